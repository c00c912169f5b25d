using System;
using System.Runtime.CompilerServices;

// Awaitable of Unity 6, and UniTask: task types with their own builders, here on top of
// Task. Compiled with the programs, because mcs fails for builders in another assembly.

namespace UnityEngine
{
    [AsyncMethodBuilder(typeof(AwaitableMethodBuilder))]
    public sealed class Awaitable
    {
        internal System.Threading.Tasks.Task Task;

        public TaskAwaiter GetAwaiter()
        {
            return Task.GetAwaiter();
        }
    }

    public struct AwaitableMethodBuilder
    {
        private AsyncTaskMethodBuilder _builder;

        public static AwaitableMethodBuilder Create()
        {
            return new AwaitableMethodBuilder { _builder = AsyncTaskMethodBuilder.Create() };
        }

        public Awaitable Task
        {
            get { return new Awaitable { Task = _builder.Task }; }
        }

        public void Start<TMachine>(ref TMachine machine) where TMachine : IAsyncStateMachine
        {
            _builder.Start(ref machine);
        }

        public void SetStateMachine(IAsyncStateMachine machine)
        {
            _builder.SetStateMachine(machine);
        }

        public void SetResult()
        {
            _builder.SetResult();
        }

        public void SetException(Exception exception)
        {
            _builder.SetException(exception);
        }

        public void AwaitOnCompleted<TAwaiter, TMachine>(ref TAwaiter awaiter, ref TMachine machine)
            where TAwaiter : INotifyCompletion
            where TMachine : IAsyncStateMachine
        {
            _builder.AwaitOnCompleted(ref awaiter, ref machine);
        }

        public void AwaitUnsafeOnCompleted<TAwaiter, TMachine>(ref TAwaiter awaiter, ref TMachine machine)
            where TAwaiter : ICriticalNotifyCompletion
            where TMachine : IAsyncStateMachine
        {
            _builder.AwaitUnsafeOnCompleted(ref awaiter, ref machine);
        }
    }

    [AsyncMethodBuilder(typeof(AwaitableMethodBuilder<>))]
    public sealed class Awaitable<T>
    {
        internal System.Threading.Tasks.Task<T> Task;

        public TaskAwaiter<T> GetAwaiter()
        {
            return Task.GetAwaiter();
        }
    }

    public struct AwaitableMethodBuilder<T>
    {
        private AsyncTaskMethodBuilder<T> _builder;

        public static AwaitableMethodBuilder<T> Create()
        {
            return new AwaitableMethodBuilder<T> { _builder = AsyncTaskMethodBuilder<T>.Create() };
        }

        public Awaitable<T> Task
        {
            get { return new Awaitable<T> { Task = _builder.Task }; }
        }

        public void Start<TMachine>(ref TMachine machine) where TMachine : IAsyncStateMachine
        {
            _builder.Start(ref machine);
        }

        public void SetStateMachine(IAsyncStateMachine machine)
        {
            _builder.SetStateMachine(machine);
        }

        public void SetResult(T result)
        {
            _builder.SetResult(result);
        }

        public void SetException(Exception exception)
        {
            _builder.SetException(exception);
        }

        public void AwaitOnCompleted<TAwaiter, TMachine>(ref TAwaiter awaiter, ref TMachine machine)
            where TAwaiter : INotifyCompletion
            where TMachine : IAsyncStateMachine
        {
            _builder.AwaitOnCompleted(ref awaiter, ref machine);
        }

        public void AwaitUnsafeOnCompleted<TAwaiter, TMachine>(ref TAwaiter awaiter, ref TMachine machine)
            where TAwaiter : ICriticalNotifyCompletion
            where TMachine : IAsyncStateMachine
        {
            _builder.AwaitUnsafeOnCompleted(ref awaiter, ref machine);
        }
    }
}

namespace Cysharp.Threading.Tasks
{
    [AsyncMethodBuilder(typeof(UniTaskMethodBuilder))]
    public struct UniTask
    {
        internal System.Threading.Tasks.Task Task;

        public TaskAwaiter GetAwaiter()
        {
            return Task.GetAwaiter();
        }
    }

    public struct UniTaskMethodBuilder
    {
        private AsyncTaskMethodBuilder _builder;

        public static UniTaskMethodBuilder Create()
        {
            return new UniTaskMethodBuilder { _builder = AsyncTaskMethodBuilder.Create() };
        }

        public UniTask Task
        {
            get { return new UniTask { Task = _builder.Task }; }
        }

        public void Start<TMachine>(ref TMachine machine) where TMachine : IAsyncStateMachine
        {
            _builder.Start(ref machine);
        }

        public void SetStateMachine(IAsyncStateMachine machine)
        {
            _builder.SetStateMachine(machine);
        }

        public void SetResult()
        {
            _builder.SetResult();
        }

        public void SetException(Exception exception)
        {
            _builder.SetException(exception);
        }

        public void AwaitOnCompleted<TAwaiter, TMachine>(ref TAwaiter awaiter, ref TMachine machine)
            where TAwaiter : INotifyCompletion
            where TMachine : IAsyncStateMachine
        {
            _builder.AwaitOnCompleted(ref awaiter, ref machine);
        }

        public void AwaitUnsafeOnCompleted<TAwaiter, TMachine>(ref TAwaiter awaiter, ref TMachine machine)
            where TAwaiter : ICriticalNotifyCompletion
            where TMachine : IAsyncStateMachine
        {
            _builder.AwaitUnsafeOnCompleted(ref awaiter, ref machine);
        }
    }

    [AsyncMethodBuilder(typeof(UniTaskMethodBuilder<>))]
    public struct UniTask<T>
    {
        internal System.Threading.Tasks.Task<T> Task;

        public TaskAwaiter<T> GetAwaiter()
        {
            return Task.GetAwaiter();
        }
    }

    public struct UniTaskMethodBuilder<T>
    {
        private AsyncTaskMethodBuilder<T> _builder;

        public static UniTaskMethodBuilder<T> Create()
        {
            return new UniTaskMethodBuilder<T> { _builder = AsyncTaskMethodBuilder<T>.Create() };
        }

        public UniTask<T> Task
        {
            get { return new UniTask<T> { Task = _builder.Task }; }
        }

        public void Start<TMachine>(ref TMachine machine) where TMachine : IAsyncStateMachine
        {
            _builder.Start(ref machine);
        }

        public void SetStateMachine(IAsyncStateMachine machine)
        {
            _builder.SetStateMachine(machine);
        }

        public void SetResult(T result)
        {
            _builder.SetResult(result);
        }

        public void SetException(Exception exception)
        {
            _builder.SetException(exception);
        }

        public void AwaitOnCompleted<TAwaiter, TMachine>(ref TAwaiter awaiter, ref TMachine machine)
            where TAwaiter : INotifyCompletion
            where TMachine : IAsyncStateMachine
        {
            _builder.AwaitOnCompleted(ref awaiter, ref machine);
        }

        public void AwaitUnsafeOnCompleted<TAwaiter, TMachine>(ref TAwaiter awaiter, ref TMachine machine)
            where TAwaiter : ICriticalNotifyCompletion
            where TMachine : IAsyncStateMachine
        {
            _builder.AwaitUnsafeOnCompleted(ref awaiter, ref machine);
        }
    }
}
