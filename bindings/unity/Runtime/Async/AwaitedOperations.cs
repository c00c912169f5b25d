#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// The operations of a socket that are awaited, and the message that ReceiveAsync has returned last.
    /// </summary>
    internal sealed unsafe class AwaitedOperations
    {
        internal readonly ReceiveCompletion Receive = new ReceiveCompletion();

        // New for each connection, so that a handler may open the socket again before these complete.
        internal Completion<bool> Open;
        internal Completion<bool> Close;

        // A cancelled Open or Close aborts the connection and completes at its end.
        private bool _aborted;

        // The event that is being delivered. Not on the stack, so that the finalizer releases it if the thread is aborted,
        // because its AppDomain unloads. An event that is in two places is released once: its handle is stale then.
        internal fw_event Taken;

        // A message event, or zero.
        private fw_event _message;

        private readonly EarlyEvents _early = new EarlyEvents();

        /// <summary>Releases the events if the socket is never disposed.</summary>
        ~AwaitedOperations()
        {
            if (FramewireLibrary.IsLoaded)
            {
                ReleaseAll();
                fixed (fw_event* taken = &Taken)
                {
                    Events.Release(taken);
                }
            }
        }

        /// <summary>Whether an event is taken from the native queue. If not, the queue fills up, and the server waits.</summary>
        internal bool WantsEvent
        {
            get { return Receive.IsPending || IsPending(Open) || IsPending(Close); }
        }

        /// <summary>Takes the next event of a socket.</summary>
        internal bool Take(fw_socket socket, fw_event* next)
        {
            return _early.Take(next)
                || FramewireNative.fw_socket_next_events(socket, next, (UIntPtr)1) != UIntPtr.Zero;
        }

        /// <summary>Keeps an event until something is awaited. Zeroes the original, which then needs no release.</summary>
        internal void Keep(fw_event* next)
        {
            _early.Add(next);
        }

        /// <summary>Starts Receive, unless the connection has ended, also if another thread ends it meanwhile.</summary>
        internal bool TryReceive(WebSocket socket)
        {
            lock (Receive)
            {
                if (socket.PendingEnds == 0)
                {
                    return false;
                }
                ReleaseMessage();
                Receive.Start();
                return true;
            }
        }

        /// <summary>Completes Receive with a message, or drops it if nobody receives: CloseAsync is awaited.</summary>
        internal void Deliver(fw_event* next)
        {
            if (!Receive.IsPending)
            {
                Events.Release(next);
                return;
            }
            _message = *next;
            *next = default(fw_event);
            Receive.SetResult(new WebSocketMessage(
                _message.type == fw_event_type.FW_EVENT_TEXT ? WebSocketMessageTypes.Text : WebSocketMessageTypes.Binary,
                _message.payload));
        }

        internal void ReleaseMessage()
        {
            if (_message.type != fw_event_type.FW_EVENT_NONE)
            {
                fixed (fw_event* message = &_message)
                {
                    Events.Release(message);
                }
            }
        }

        /// <summary>Releases the message and the events that are kept.</summary>
        internal void ReleaseAll()
        {
            ReleaseMessage();
            _early.Release();
        }

        /// <summary>Completes what is cancelled.</summary>
        internal void CheckCancellation(WebSocket socket)
        {
            // Its continuation may receive again, with a token that is cancelled by then.
            while (Receive.IsPending && Receive.Cancellation.IsCancellationRequested)
            {
                Receive.SetError(new OperationCanceledException(Receive.Cancellation));
            }
            if (!_aborted && (IsCancelled(Open) || IsCancelled(Close)))
            {
                _aborted = true;
                socket.Abort();
            }
        }

        internal void Opened()
        {
            if (IsPending(Open) && !_aborted)
            {
                Open.SetResult(true);
            }
        }

        /// <summary>
        /// Removes what the end of the connection completes, before handlers run. The socket has no more pending ends.
        /// </summary>
        internal Ending End()
        {
            bool isReceiving;
            lock (Receive)
            {
                isReceiving = Receive.IsPending;
            }
            // A receive that begins later is one of the next connection.
            var ending = new Ending(
                isReceiving ? Receive : null,
                Interlocked.Exchange(ref Open, null),
                Interlocked.Exchange(ref Close, null));
            _aborted = false;
            return ending;
        }

        private static bool IsPending(Completion<bool> operation)
        {
            return operation != null && operation.IsPending;
        }

        private static bool IsCancelled(Completion<bool> operation)
        {
            return IsPending(operation) && operation.Cancellation.IsCancellationRequested;
        }

        /// <summary>What the end of a connection completes.</summary>
        internal struct Ending
        {
            private readonly ReceiveCompletion _receive;
            private readonly Completion<bool> _open;
            private readonly Completion<bool> _close;

            internal Ending(ReceiveCompletion receive, Completion<bool> open, Completion<bool> close)
            {
                _receive = receive;
                _open = open;
                _close = close;
            }

            internal void Closed(ushort code, string reason)
            {
                Fail(_open, code, reason);
                if (!Cancel(_close) && _close != null)
                {
                    _close.SetResult(true);
                }
                if (_receive != null)
                {
                    _receive.SetResult(new WebSocketMessage(code, reason));
                }
            }

            internal void Failed(Exception error)
            {
                if (!Cancel(_open) && _open != null)
                {
                    _open.SetError(error);
                }
                if (!Cancel(_close) && _close != null)
                {
                    _close.SetError(error);
                }
                if (_receive != null)
                {
                    _receive.SetError(error);
                }
            }

            private static void Fail(Completion<bool> open, ushort code, string reason)
            {
                if (!Cancel(open) && open != null)
                {
                    open.SetError(new WebSocketConnectionException(
                        "The connection was closed with code " + code + " before it was open. " + reason, null));
                }
            }

            private static bool Cancel(Completion<bool> operation)
            {
                if (!IsCancelled(operation))
                {
                    return false;
                }
                operation.SetError(new OperationCanceledException(operation.Cancellation));
                return true;
            }
        }
    }
}
#endif
