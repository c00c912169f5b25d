#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Threading;
using System.Threading.Tasks;
using Framewire.Native;

namespace Framewire
{
    // Asynchronous methods. They complete inside DispatchAll, on the thread that dispatches, in the order of the
    // events. While nothing is awaited, the events of a socket stay in the native queue, which is bounded.
    public sealed unsafe partial class WebSocket
    {
        private AwaitedOperations _awaited;

        // Receives all events, if it was created for one.
        private FramewireClientWebSocket _client;

        /// <summary>
        /// Connects. Completes when the connection is open, with <see cref="Reconnect"/> also after retries.
        ///
        /// <para>If a handler for messages is attached at this call (OnMessage, OnBinary, their variants,
        /// OnIncompleteFrame), messages go to the handlers. Otherwise they are received with
        /// <see cref="ReceiveAsync"/>. The other handlers are called in both cases.</para>
        ///
        /// <para>Completes inside <see cref="DispatchAll(int, int)"/>, where a cancelled token is noticed as
        /// well.</para>
        /// </summary>
        /// <param name="cancellation">Aborts the attempt.</param>
        /// <returns>A task to await once.</returns>
        /// <exception cref="WebSocketConnectionException">The connection failed; Error contains the details.</exception>
        /// <exception cref="OperationCanceledException">The token was cancelled. The socket is closed.</exception>
        /// <exception cref="InvalidOperationException">The socket is not closed.</exception>
        public ValueTask OpenAsync(CancellationToken cancellation = default(CancellationToken))
        {
            ThrowIfDisposed();
            if (cancellation.IsCancellationRequested)
            {
                return new ValueTask(Task.FromCanceled(cancellation));
            }
            if (PendingEnds > 0)
            {
                throw new InvalidOperationException(
                    "The socket is not closed, or the last event of its last connection was not received yet.");
            }
            AwaitedOperations awaited = Awaited();
            var open = new Completion<bool>();
            open.TryReserve(cancellation);
            open.Start();
            awaited.Open = open;
            _pulls = !HasMessageHandlers;
            try
            {
                OpenNow();
            }
            catch
            {
                awaited.Open = null;
                _pulls = false;
                throw;
            }
            return new ValueTask(open, open.Version);
        }

        /// <summary>
        /// Closes with code 1000. See <see cref="CloseAsync(ushort, string, CancellationToken)"/>.
        /// </summary>
        /// <param name="cancellation">Aborts the connection.</param>
        /// <returns>A task to await once.</returns>
        public ValueTask CloseAsync(CancellationToken cancellation = default(CancellationToken))
        {
            return CloseAsync(1000, null, cancellation);
        }

        /// <summary>
        /// Closes after all queued messages. Completes when the connection has ended; <see cref="CloseCode"/> and
        /// <see cref="CloseReason"/> contain how. Messages that nobody receives meanwhile are dropped. To receive them,
        /// call <see cref="Close(ushort, string)"/> and ReceiveAsync until the end. Completes at once if the socket is
        /// closed.
        /// </summary>
        /// <param name="code">The close code, as of <see cref="Close(ushort, string)"/>.</param>
        /// <param name="message">The close reason, at most 123 bytes of UTF-8, or null.</param>
        /// <param name="cancellation">Aborts the connection.</param>
        /// <returns>A task to await once.</returns>
        /// <exception cref="WebSocketConnectionException">The connection failed before it was closed.</exception>
        /// <exception cref="OperationCanceledException">The token was cancelled. The socket is closed.</exception>
        /// <exception cref="InvalidOperationException">Another CloseAsync is pending.</exception>
        public ValueTask CloseAsync(
            ushort code, string message, CancellationToken cancellation = default(CancellationToken))
        {
            if (cancellation.IsCancellationRequested)
            {
                return new ValueTask(Task.FromCanceled(cancellation));
            }
            if (IsDisposed || PendingEnds == 0)
            {
                return default(ValueTask);
            }
            AwaitedOperations awaited = Awaited();
            var close = new Completion<bool>();
            close.TryReserve(cancellation);
            close.Start();
            if (Interlocked.CompareExchange(ref awaited.Close, close, null) != null)
            {
                throw new InvalidOperationException("Another CloseAsync is pending.");
            }
            // If another thread delivers the last event meanwhile, either it completes this one, or it was too early.
            if (PendingEnds == 0 && Interlocked.CompareExchange(ref awaited.Close, null, close) == close)
            {
                return default(ValueTask);
            }
            try
            {
                Close(code, message);
            }
            catch
            {
                Interlocked.CompareExchange(ref awaited.Close, null, close);
                throw;
            }
            SocketTable.MarkIndividual(this);
            return new ValueTask(close, close.Version);
        }

        /// <summary>
        /// Receives the next message, or the end of the connection
        /// (<see cref="WebSocketMessage.IsClosed"/>). Allocates nothing.
        ///
        /// <para>Completes inside <see cref="DispatchAll(int, int)"/>, within its budget. While it is not called,
        /// events stay in the queue of the socket, and the server waits when that is full.</para>
        /// </summary>
        /// <param name="cancellation">
        /// Ends the wait, at the next DispatchAll. No message is lost: the next ReceiveAsync returns it.
        /// </param>
        /// <returns>A task to await once, before the next ReceiveAsync.</returns>
        /// <exception cref="WebSocketConnectionException">The connection failed; Error contains the details.</exception>
        /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
        /// <exception cref="InvalidOperationException">
        /// Another ReceiveAsync is pending, the connection has ended, or the socket was opened with Open or with handlers
        /// for messages.
        /// </exception>
        public ValueTask<WebSocketMessage> ReceiveAsync(CancellationToken cancellation = default(CancellationToken))
        {
            if (cancellation.IsCancellationRequested)
            {
                return new ValueTask<WebSocketMessage>(Task.FromCanceled<WebSocketMessage>(cancellation));
            }
            ReceiveCompletion receive = BeginReceive(cancellation);
            return new ValueTask<WebSocketMessage>(receive, receive.Version);
        }

        /// <summary>
        /// Returns all messages until the end of the connection, for <c>await foreach</c>, which needs C# 8. Allocates
        /// nothing. A failed connection throws <see cref="WebSocketConnectionException"/> in the loop.
        /// </summary>
        /// <param name="cancellation">Ends the loop with an OperationCanceledException. The socket stays open.</param>
        /// <returns>The messages, each valid until the next one.</returns>
        public WebSocketMessages ReceiveAllAsync(CancellationToken cancellation = default(CancellationToken))
        {
            return new WebSocketMessages(this, cancellation);
        }

        internal WebSocketMessage CurrentMessage
        {
            get { return _awaited == null ? default(WebSocketMessage) : _awaited.Receive.Current; }
        }

        internal ValueTask<bool> MoveNextAsync(CancellationToken cancellation)
        {
            if (cancellation.IsCancellationRequested)
            {
                return new ValueTask<bool>(Task.FromCanceled<bool>(cancellation));
            }
            ThrowIfDisposed();
            if (_pulls && PendingEnds == 0)
            {
                return new ValueTask<bool>(false);
            }
            ReceiveCompletion receive = BeginReceive(cancellation);
            return new ValueTask<bool>(receive, receive.Version);
        }

        private ReceiveCompletion BeginReceive(CancellationToken cancellation)
        {
            ThrowIfDisposed();
            if (!_pulls)
            {
                throw new InvalidOperationException(
                    "To receive with await, open the socket with OpenAsync and without handlers for messages.");
            }
            AwaitedOperations awaited = _awaited;
            if (!awaited.Receive.TryReserve(cancellation))
            {
                throw new InvalidOperationException("Another ReceiveAsync is pending, or was not awaited.");
            }
            if (!awaited.TryReceive(this))
            {
                awaited.Receive.CancelReservation();
                throw new InvalidOperationException("The connection has ended. Open the socket again.");
            }
            return awaited.Receive;
        }

        /// <summary>Whether the socket is opened with OpenAsync.</summary>
        internal bool IsIndividual
        {
            get { return _pulls || _awaited != null && _awaited.Open != null; }
        }

        private AwaitedOperations Awaited()
        {
            return _awaited
                ?? Interlocked.CompareExchange(ref _awaited, new AwaitedOperations(), null)
                ?? _awaited;
        }

        /// <summary>Delivers events while some operation is awaited. Returns whether the time is over.</summary>
        internal bool DispatchAwaited(ref int left, long end)
        {
            AwaitedOperations awaited = _awaited;
            fixed (fw_event* next = &awaited.Taken)
            {
                while (left > 0)
                {
                    awaited.CheckCancellation(this);
                    if (!awaited.WantsEvent || !awaited.Take(Native, next))
                    {
                        break;
                    }
                    left--;
                    try
                    {
                        DeliverAwaited(awaited, next);
                    }
                    catch (Exception exception)
                    {
                        Report(this, exception);
                    }
                    if (IsLate(end))
                    {
                        return true;
                    }
                }
            }
            return false;
        }

        private void DeliverAwaited(AwaitedOperations awaited, fw_event* next)
        {
            if (next->type == fw_event_type.FW_EVENT_ENCODED && !_isRejected)
            {
                DecodeEvent(next);
            }
            if (next->type == fw_event_type.FW_EVENT_TEXT || next->type == fw_event_type.FW_EVENT_BINARY)
            {
                awaited.Deliver(next);
                return;
            }
            try
            {
                Deliver(next);
            }
            finally
            {
                Events.Release(next);
            }
        }

        /// <summary>Keeps an event that a batch contains although the socket is received from with await.</summary>
        private void KeepForAwait(fw_event* next)
        {
            if (_client != null)
            {
                _client.Keep(next);
                return;
            }
            _awaited.Keep(next);
        }

        /// <summary>Starts connecting for a client, which receives all events.</summary>
        internal void OpenFor(FramewireClientWebSocket client)
        {
            _client = client;
            _pulls = true;
            if (Capability.Has(WebSocketCapabilities.Fragments))
            {
                EnableEvent(fw_event_type.FW_EVENT_INCOMPLETE_FRAME, true);
            }
            OpenNow();
        }

        private void CheckCancellation()
        {
            if (_awaited != null)
            {
                _awaited.CheckCancellation(this);
            }
        }

        private void CompleteOpen()
        {
            if (_awaited != null)
            {
                _awaited.Opened();
            }
        }

        /// <summary>Ends the client that receives the events of this socket, if there is one.</summary>
        private void EndClient()
        {
            if (_client != null)
            {
                _client.ShutDown();
            }
        }

        private AwaitedOperations.Ending BeginEnd()
        {
            EndClient();
            return _awaited == null ? default(AwaitedOperations.Ending) : _awaited.End();
        }

        private void EndByDispose()
        {
            if (_awaited != null)
            {
                _awaited.ReleaseAll();
                _awaited.End().Failed(new ObjectDisposedException("WebSocket"));
            }
        }
    }
}
#endif
