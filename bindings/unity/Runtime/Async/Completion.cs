#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Runtime.ExceptionServices;
using System.Threading;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;

namespace Framewire
{
    /// <summary>
    /// The source of one ValueTask after another, without garbage. The continuation runs inside SetResult or
    /// SetError, unless it has to run in another SynchronizationContext than that of the calling thread.
    /// </summary>
    internal class Completion<T> : IValueTaskSource<T>, IValueTaskSource
    {
        private const int Free = 0;
        private const int Reserved = 1;
        private const int Pending = 2;
        private const int Completed = 3;

        private volatile int _phase;
        private short _version;
        private T _result;
        private Exception _error;
        private CancellationToken _cancellation;

        // What OnCompleted has registered. The context is a SynchronizationContext, a TaskScheduler or null.
        private Action<object> _continuation;
        private object _state;
        private object _context;
        private ExecutionContext _executionContext;

        internal short Version
        {
            get { return _version; }
        }

        internal bool IsPending
        {
            get { return _phase == Pending; }
        }

        internal CancellationToken Cancellation
        {
            get { return _cancellation; }
        }

        /// <summary>Reserves the source for one operation. False if the last one was not awaited yet.</summary>
        internal bool TryReserve(CancellationToken cancellation)
        {
            lock (this)
            {
                if (_phase != Free)
                {
                    return false;
                }
                _phase = Reserved;
                _cancellation = cancellation;
                return true;
            }
        }

        /// <summary>From now on, the operation can be completed.</summary>
        internal void Start()
        {
            _phase = Pending;
        }

        internal void CancelReservation()
        {
            _phase = Free;
        }

        /// <summary>Completes the operation. Does nothing if none is pending.</summary>
        internal void SetResult(T result)
        {
            Complete(result, null);
        }

        /// <summary>Completes the operation with an exception. Does nothing if none is pending.</summary>
        internal void SetError(Exception error)
        {
            Complete(default(T), error);
        }

        public ValueTaskSourceStatus GetStatus(short token)
        {
            lock (this)
            {
                CheckVersion(token);
                if (_phase != Completed)
                {
                    return ValueTaskSourceStatus.Pending;
                }
                return _error == null ? ValueTaskSourceStatus.Succeeded
                    : _error is OperationCanceledException ? ValueTaskSourceStatus.Canceled
                    : ValueTaskSourceStatus.Faulted;
            }
        }

        public T GetResult(short token)
        {
            Exception error;
            T result;
            lock (this)
            {
                CheckVersion(token);
                if (_phase != Completed)
                {
                    throw new InvalidOperationException("The operation has not completed; await it.");
                }
                error = _error;
                result = _result;
                _error = null;
                _result = default(T);
                _cancellation = default(CancellationToken);
                // Invalidates the ValueTask, which must not be awaited twice.
                _version++;
                _phase = Free;
            }
            if (error != null)
            {
                ExceptionDispatchInfo.Capture(error).Throw();
            }
            return result;
        }

        void IValueTaskSource.GetResult(short token)
        {
            GetResult(token);
        }

        public void OnCompleted(
            Action<object> continuation, object state, short token, ValueTaskSourceOnCompletedFlags flags)
        {
            object context = null;
            ExecutionContext executionContext = null;
            if ((flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0)
            {
                context = CurrentContext();
            }
            if ((flags & ValueTaskSourceOnCompletedFlags.FlowExecutionContext) != 0)
            {
                executionContext = ExecutionContext.Capture();
            }
            lock (this)
            {
                CheckVersion(token);
                if (_phase != Completed)
                {
                    if (_continuation != null)
                    {
                        throw new InvalidOperationException("The operation is awaited already.");
                    }
                    _continuation = continuation;
                    _state = state;
                    _context = context;
                    _executionContext = executionContext;
                    return;
                }
            }
            // It has completed on another thread in the meantime.
            Schedule(continuation, state, context, executionContext);
        }

        private void Complete(T result, Exception error)
        {
            Action<object> continuation;
            object state;
            object context;
            ExecutionContext executionContext;
            lock (this)
            {
                if (_phase != Pending)
                {
                    return;
                }
                _result = result;
                _error = error;
                _phase = Completed;
                continuation = _continuation;
                state = _state;
                context = _context;
                executionContext = _executionContext;
                _continuation = null;
                _state = null;
                _context = null;
                _executionContext = null;
            }
            if (continuation == null)
            {
                return;
            }
            if (context == null || context == SynchronizationContext.Current)
            {
                Run(continuation, state, executionContext);
            }
            else
            {
                Schedule(continuation, state, context, executionContext);
            }
        }

        private void CheckVersion(short token)
        {
            if (token != _version)
            {
                throw new InvalidOperationException("The ValueTask was awaited already.");
            }
        }

        private static object CurrentContext()
        {
            SynchronizationContext context = SynchronizationContext.Current;
            if (context != null && context.GetType() != typeof(SynchronizationContext))
            {
                return context;
            }
            return TaskScheduler.Current == TaskScheduler.Default ? null : TaskScheduler.Current;
        }

        private static void Run(Action<object> continuation, object state, ExecutionContext executionContext)
        {
            if (executionContext == null)
            {
                continuation(state);
            }
            else
            {
                RunIn(executionContext, continuation, state);
            }
        }

        // The following are apart, because a lambda allocates at the beginning of its method.

        private static void RunIn(ExecutionContext executionContext, Action<object> continuation, object state)
        {
            ExecutionContext.Run(executionContext, ignored => continuation(state), null);
        }

        private static void Schedule(
            Action<object> continuation, object state, object context, ExecutionContext executionContext)
        {
            var synchronization = context as SynchronizationContext;
            if (context == null)
            {
                ThreadPool.QueueUserWorkItem(ignored => Run(continuation, state, executionContext));
            }
            else if (synchronization != null)
            {
                synchronization.Post(ignored => Run(continuation, state, executionContext), null);
            }
            else
            {
                Task.Factory.StartNew(
                    () => Run(continuation, state, executionContext),
                    CancellationToken.None,
                    TaskCreationOptions.DenyChildAttach,
                    (TaskScheduler)context);
            }
        }
    }

    /// <summary>The source of ReceiveAsync, and of MoveNextAsync, whose result is whether there is a message.</summary>
    internal sealed class ReceiveCompletion : Completion<WebSocketMessage>, IValueTaskSource<bool>
    {
        /// <summary>The result of the last MoveNextAsync.</summary>
        internal WebSocketMessage Current;

        bool IValueTaskSource<bool>.GetResult(short token)
        {
            Current = GetResult(token);
            return !Current.IsClosed;
        }
    }
}
#endif
