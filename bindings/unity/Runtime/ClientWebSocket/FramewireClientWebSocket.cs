#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Collections.Generic;
using System.Net.WebSockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Framewire.Native;
using NetWebSocketError = System.Net.WebSockets.WebSocketError;
using NetWebSocketException = System.Net.WebSockets.WebSocketException;

namespace Framewire
{
    /// <summary>
    /// A System.Net.WebSockets.WebSocket on Framewire, in place of ClientWebSocket: for SignalR, StreamJsonRpc and other
    /// libraries that take such an object.
    ///
    /// <para>It does not depend on a game loop. One background thread takes the events of all of these sockets;
    /// DispatchAll leaves them alone. Tasks complete on the thread pool, or in the SynchronizationContext that awaits
    /// them. Under WebGL, which has no threads, events are taken and tasks complete inside DispatchAll. Members may be
    /// called from any thread. As with ClientWebSocket, one send and one receive may be pending at the same time.</para>
    /// </summary>
    public sealed partial class FramewireClientWebSocket : System.Net.WebSockets.WebSocket
    {
        // Received messages are taken from the native queue up to this many bytes, so that the outcome of a send, which
        // comes after them in the queue, is found while nobody receives. Beyond it, the native queue fills up, and then the
        // server waits.
        private const int MaxHeld = 1024 * 1024;
        private const int EventOverhead = 256;

        private const string CannotConnect = "Unable to connect to the remote server";

        private static readonly WebSocketState[] s_maySend = { WebSocketState.Open, WebSocketState.CloseReceived };
        private static readonly WebSocketState[] s_mayReceive = { WebSocketState.Open, WebSocketState.CloseSent };
        private static readonly WebSocketState[] s_mayClose =
        {
            WebSocketState.Open, WebSocketState.CloseReceived, WebSocketState.CloseSent,
        };

        private static readonly Action<object> s_drop = client => ((FramewireClientWebSocket)client).Drop();

        private readonly FramewireClientWebSocketOptions _options = new FramewireClientWebSocketOptions();
        private readonly object _lock = new object();
        private readonly EarlyEvents _early = new EarlyEvents();

        // All of the following are used with the lock held.
        private readonly Queue<fw_event> _received = new Queue<fw_event>();
        private readonly Dictionary<ulong, TaskCompletionSource<bool>> _sends =
            new Dictionary<ulong, TaskCompletionSource<bool>>();

        // Messages that the native queues have no room for, in order.
        private readonly Queue<WaitingSend> _waiting = new Queue<WaitingSend>();

        // The event that is being handled. Not on the stack, so that the finalizer releases it if the thread is aborted,
        // because its AppDomain unloads. An event that is in two places is released once: its handle is stale then.
        private fw_event _taken;

        private WebSocket _socket;
        private Uri _uri;
        private WebSocketState _state = WebSocketState.None;
        private bool _isDisposed;
        private bool _isTakingEvents;
        private int _held;
        private int _offset;
        private ulong _lastTag;
        private bool _hasEnded;
        private bool _discards;
        private bool _hasSentClose;
        private WebSocketError _error;
        private ushort _closeCode;
        private string _closeReason;
        private WebSocketCloseStatus? _closeStatus;
        private string _closeDescription;
        private string _subProtocol;
        private byte[] _unsent = new byte[0];
        private int _unsentCount;
        private WebSocketMessageType _unsentType;
        private TaskCompletionSource<bool> _connecting;
        private TaskCompletionSource<ValueWebSocketReceiveResult> _receiving;
        private Memory<byte> _receiveBuffer;
        private TaskCompletionSource<bool> _closing;

        /// <summary>Creates a socket that is not connected.</summary>
        public FramewireClientWebSocket()
        {
        }

        /// <summary>The options. Read-only after ConnectAsync was called.</summary>
        public FramewireClientWebSocketOptions Options
        {
            get { return _options; }
        }

        /// <summary>The close code that the server has sent, or null.</summary>
        public override WebSocketCloseStatus? CloseStatus
        {
            get { return _closeStatus; }
        }

        /// <summary>The close reason that the server has sent, or null.</summary>
        public override string CloseStatusDescription
        {
            get { return _closeDescription; }
        }

        /// <summary>The state.</summary>
        public override WebSocketState State
        {
            get { return _state; }
        }

        /// <summary>The subprotocol selected by the server, or null.</summary>
        public override string SubProtocol
        {
            get { return string.IsNullOrEmpty(_subProtocol) ? null : _subProtocol; }
        }

        /// <summary>
        /// The details of the failure of the connection, or null. Also the reason of the exceptions.
        /// </summary>
        public WebSocketError LastError
        {
            get { return _error; }
        }

        /// <summary>Connects. Completes when the connection is open.</summary>
        /// <param name="uri">A <c>ws:</c> or <c>wss:</c> URL.</param>
        /// <param name="cancellationToken">Aborts the attempt.</param>
        /// <returns>A task.</returns>
        public Task ConnectAsync(Uri uri, CancellationToken cancellationToken)
        {
            if (uri == null)
            {
                throw new ArgumentNullException("uri");
            }
            if (!uri.IsAbsoluteUri)
            {
                throw new ArgumentException("The URL must be absolute.", "uri");
            }
            if (uri.Scheme != "ws" && uri.Scheme != "wss")
            {
                throw new ArgumentException("The URL must begin with ws: or wss:.", "uri");
            }
            lock (_lock)
            {
                if (_isDisposed)
                {
                    throw Disposed();
                }
                if (_state != WebSocketState.None)
                {
                    throw new InvalidOperationException("The WebSocket has already been started.");
                }
                _options.Freeze();
                _state = WebSocketState.Connecting;
            }
            return ConnectCore(uri, cancellationToken);
        }

        /// <summary>
        /// Sends a message, or a part of one. A part is kept until the message is complete, and completes at once.
        /// </summary>
        /// <param name="buffer">The payload.</param>
        /// <param name="messageType">Text or Binary.</param>
        /// <param name="endOfMessage">Whether the message is complete.</param>
        /// <param name="cancellationToken">Aborts the connection.</param>
        /// <returns>
        /// A task that completes when the message was given to the network. While the queue of received messages or the
        /// send queue is full, the message waits.
        /// </returns>
        public override Task SendAsync(
            ArraySegment<byte> buffer,
            WebSocketMessageType messageType,
            bool endOfMessage,
            CancellationToken cancellationToken)
        {
            CheckBuffer(buffer);
            return SendCore(buffer, messageType, endOfMessage, cancellationToken);
        }

        /// <summary>As the other overload.</summary>
        /// <param name="buffer">The payload.</param>
        /// <param name="messageType">Text or Binary.</param>
        /// <param name="endOfMessage">Whether the message is complete.</param>
        /// <param name="cancellationToken">Aborts the connection.</param>
        /// <returns>A task that completes when the message was given to the network.</returns>
        public override ValueTask SendAsync(
            ReadOnlyMemory<byte> buffer,
            WebSocketMessageType messageType,
            bool endOfMessage,
            CancellationToken cancellationToken)
        {
            return new ValueTask(SendCore(buffer, messageType, endOfMessage, cancellationToken));
        }

        /// <summary>Receives a message or a part of one, or the server's close frame.</summary>
        /// <param name="buffer">Receives the payload.</param>
        /// <param name="cancellationToken">Aborts the connection.</param>
        /// <returns>A task with what was received.</returns>
        public override Task<WebSocketReceiveResult> ReceiveAsync(
            ArraySegment<byte> buffer, CancellationToken cancellationToken)
        {
            CheckBuffer(buffer);
            return WithCloseStatus(ReceiveCore(buffer, cancellationToken));
        }

        /// <summary>As the other overload. The close code is in CloseStatus.</summary>
        /// <param name="buffer">Receives the payload.</param>
        /// <param name="cancellationToken">Aborts the connection.</param>
        /// <returns>A task with what was received.</returns>
        public override ValueTask<ValueWebSocketReceiveResult> ReceiveAsync(
            Memory<byte> buffer, CancellationToken cancellationToken)
        {
            return new ValueTask<ValueWebSocketReceiveResult>(ReceiveCore(buffer, cancellationToken));
        }

        /// <summary>
        /// Closes, and completes when the server has closed. Messages that arrive meanwhile are dropped, unless a receive
        /// is pending.
        /// </summary>
        /// <param name="closeStatus">The close code.</param>
        /// <param name="statusDescription">The close reason, at most 123 bytes of UTF-8, or null.</param>
        /// <param name="cancellationToken">Aborts the connection.</param>
        /// <returns>A task.</returns>
        public override Task CloseAsync(
            WebSocketCloseStatus closeStatus, string statusDescription, CancellationToken cancellationToken)
        {
            CheckCloseStatus(closeStatus, statusDescription);
            return CloseCore(closeStatus, statusDescription, cancellationToken, true);
        }

        /// <summary>Sends the close frame after all messages. Messages can still be received.</summary>
        /// <param name="closeStatus">The close code.</param>
        /// <param name="statusDescription">The close reason, at most 123 bytes of UTF-8, or null.</param>
        /// <param name="cancellationToken">Aborts the connection.</param>
        /// <returns>A task that completes when the close frame is queued.</returns>
        public override Task CloseOutputAsync(
            WebSocketCloseStatus closeStatus, string statusDescription, CancellationToken cancellationToken)
        {
            CheckCloseStatus(closeStatus, statusDescription);
            return CloseCore(closeStatus, statusDescription, cancellationToken, false);
        }

        /// <summary>
        /// Drops the connection. Pending operations end with an exception, and the socket cannot be used any more.
        /// </summary>
        public override void Abort()
        {
            lock (_lock)
            {
                Drop();
                _isDisposed = true;
            }
        }

        private void Drop()
        {
            lock (_lock)
            {
                if (_state == WebSocketState.Closed || _state == WebSocketState.Aborted)
                {
                    // The rest of a message that was received in part.
                    DiscardReceived();
                    return;
                }
                // A socket that is not connected becomes closed, as ClientWebSocket does.
                _state = _state == WebSocketState.None || _state == WebSocketState.Connecting
                    ? WebSocketState.Closed
                    : WebSocketState.Aborted;
                End(new OperationCanceledException("Aborted"));
            }
        }

        /// <summary>Drops the connection and releases everything. Pending operations end with an exception.</summary>
        public override void Dispose()
        {
            lock (_lock)
            {
                if (_isDisposed)
                {
                    return;
                }
                _isDisposed = true;
                if (_state < WebSocketState.Closed)
                {
                    _state = WebSocketState.Closed;
                }
                End(LostConnection());
            }
            GC.SuppressFinalize(this);
        }

        /// <summary>Releases the events of a socket that is never disposed.</summary>
        ~FramewireClientWebSocket()
        {
            if (FramewireLibrary.IsLoaded)
            {
                DiscardReceived();
                _early.Release();
                ReleaseTaken();
                foreach (WaitingSend waiting in _waiting)
                {
                    FramewireNative.fw_segment_release(waiting.Payload.Raw);
                }
            }
        }

        private async Task ConnectCore(Uri uri, CancellationToken cancellation)
        {
            if (cancellation.IsCancellationRequested)
            {
                Drop();
                throw new OperationCanceledException(cancellation);
            }
            TaskCompletionSource<bool> connecting = Source<bool>();
            try
            {
                WebSocket socket = _options.Create(uri);
                lock (_lock)
                {
                    if (_state != WebSocketState.Connecting)
                    {
                        socket.Dispose();
                        throw Disposed();
                    }
                    _socket = socket;
                    _uri = uri;
                    _connecting = connecting;
                    socket.OpenFor(this);
                }
                ClientDriver.Add(this);
                lock (_lock)
                {
                    if (_hasEnded)
                    {
                        // It was aborted before it was added.
                        ClientDriver.Remove(this);
                    }
                }
                await WithCancellation(connecting.Task, cancellation).ConfigureAwait(!ClientDriver.HasThreads);
            }
            catch (Exception exception)
            {
                Drop();
                if (exception is OperationCanceledException || exception is NetWebSocketException
                    || exception is ObjectDisposedException)
                {
                    throw;
                }
                throw new NetWebSocketException(NetWebSocketError.Faulted, CannotConnect, exception);
            }
        }

        private Task SendCore(
            ReadOnlyMemory<byte> buffer, WebSocketMessageType type, bool endOfMessage, CancellationToken cancellation)
        {
            if (type != WebSocketMessageType.Text && type != WebSocketMessageType.Binary)
            {
                throw new ArgumentException("Only messages of the types Text and Binary can be sent.", "messageType");
            }
            ThrowIfNotConnected();
            TaskCompletionSource<bool> sent;
            lock (_lock)
            {
                Exception invalid = InvalidState(s_maySend);
                if (invalid != null)
                {
                    return Task.FromException(invalid);
                }
                if (cancellation.IsCancellationRequested)
                {
                    Drop();
                    return Task.FromCanceled(cancellation);
                }
                if (_hasEnded)
                {
                    return Task.FromException(LostConnection());
                }
                if (_unsentCount == 0)
                {
                    _unsentType = type;
                }
                if (!endOfMessage)
                {
                    Append(buffer.Span);
                    return Task.CompletedTask;
                }
                sent = Source<bool>();
                Exception refused = Send(buffer.Span, sent);
                if (refused != null)
                {
                    return Task.FromException(refused);
                }
            }
            return WithCancellation(sent.Task, cancellation);
        }

        private void Append(ReadOnlySpan<byte> part)
        {
            if (_unsent.Length - _unsentCount < part.Length)
            {
                Array.Resize(ref _unsent, Math.Max(_unsent.Length * 2, _unsentCount + part.Length));
            }
            part.CopyTo(new Span<byte>(_unsent, _unsentCount, part.Length));
            _unsentCount += part.Length;
        }

        /// <summary>Sends a message with its earlier parts. Returns why it was refused, or null.</summary>
        private unsafe Exception Send(ReadOnlySpan<byte> last, TaskCompletionSource<bool> sent)
        {
            if (_unsentCount > 0)
            {
                Append(last);
                last = new ReadOnlySpan<byte>(_unsent, 0, _unsentCount);
                _unsentCount = 0;
            }
            // Otherwise after those that wait.
            if (_waiting.Count == 0)
            {
                SendResult result;
                if (_unsentType == WebSocketMessageType.Binary)
                {
                    fixed (byte* data = &MemoryMarshal.GetReference(last))
                    {
                        result = _socket.Send(data, last.Length, new SendOptions { Tag = _lastTag + 1 });
                    }
                }
                else
                {
                    result = SendSegment(CopyToSegment(last), _unsentType);
                }
                if (result != SendResult.QueueFull)
                {
                    return Sent(result, sent);
                }
            }
            _waiting.Enqueue(new WaitingSend { Payload = CopyToSegment(last), Type = _unsentType, Sent = sent });
            return null;
        }

        /// <summary>Sends messages that wait, until there is no more room.</summary>
        private void SendWaiting()
        {
            while (_waiting.Count > 0 && !_hasEnded)
            {
                WaitingSend first = _waiting.Peek();
                first.Payload.Retain();
                SendResult result = SendSegment(first.Payload, first.Type);
                if (result == SendResult.QueueFull)
                {
                    return;
                }
                _waiting.Dequeue();
                first.Payload.Release();
                Exception refused = Sent(result, first.Sent);
                if (refused != null)
                {
                    first.Sent.TrySetException(refused);
                }
            }
        }

        /// <summary>Sends a segment with the next tag. Consumes a reference.</summary>
        private SendResult SendSegment(NativeSegment payload, WebSocketMessageType type)
        {
            var options = new SendOptions { Tag = _lastTag + 1 };
            return type == WebSocketMessageType.Binary
                ? _socket.SendAsBinary(payload, options)
                : _socket.SendAsText(payload, options);
        }

        /// <summary>Awaits the outcome of the next tag. Returns why the message was refused, or null.</summary>
        private Exception Sent(SendResult result, TaskCompletionSource<bool> sent)
        {
            if (result != SendResult.Queued)
            {
                return result == SendResult.NotOpen
                    ? LostConnection()
                    : new NetWebSocketException("The message was refused: " + result + ".");
            }
            _sends.Add(++_lastTag, sent);
            return null;
        }

        private static unsafe NativeSegment CopyToSegment(ReadOnlySpan<byte> bytes)
        {
            NativeSegment segment = NativeSegment.Get(bytes.Length);
            bytes.CopyTo(new Span<byte>(segment.Data, bytes.Length));
            return segment;
        }

        private Task<ValueWebSocketReceiveResult> ReceiveCore(Memory<byte> buffer, CancellationToken cancellation)
        {
            ThrowIfNotConnected();
            TaskCompletionSource<ValueWebSocketReceiveResult> receiving;
            lock (_lock)
            {
                Exception invalid = InvalidState(s_mayReceive);
                if (invalid != null)
                {
                    return Task.FromException<ValueWebSocketReceiveResult>(invalid);
                }
                if (_receiving != null)
                {
                    Drop();
                    return Task.FromException<ValueWebSocketReceiveResult>(new InvalidOperationException(
                        "There is already one outstanding 'ReceiveAsync' call for this WebSocket instance."));
                }
                if (cancellation.IsCancellationRequested)
                {
                    Drop();
                    return Task.FromCanceled<ValueWebSocketReceiveResult>(cancellation);
                }
                receiving = Source<ValueWebSocketReceiveResult>();
                _receiving = receiving;
                _receiveBuffer = buffer;
                TakeEvents();
                CompleteReceive();
            }
            return WithCancellation(receiving.Task, cancellation);
        }

        private async Task<WebSocketReceiveResult> WithCloseStatus(Task<ValueWebSocketReceiveResult> receive)
        {
            ValueWebSocketReceiveResult result = await receive.ConfigureAwait(!ClientDriver.HasThreads);
            return result.MessageType == WebSocketMessageType.Close
                ? new WebSocketReceiveResult(0, result.MessageType, true, _closeStatus, _closeDescription)
                : new WebSocketReceiveResult(result.Count, result.MessageType, result.EndOfMessage);
        }

        private async Task CloseCore(
            WebSocketCloseStatus status, string description, CancellationToken cancellation, bool waits)
        {
            ThrowIfNotConnected();
            TaskCompletionSource<bool> closing = null;
            lock (_lock)
            {
                Exception invalid = InvalidState(waits ? s_mayClose : s_maySend);
                if (invalid != null)
                {
                    throw invalid;
                }
                if (cancellation.IsCancellationRequested)
                {
                    Drop();
                    throw new OperationCanceledException(cancellation);
                }
                if (!_hasSentClose)
                {
                    if (!_hasEnded)
                    {
                        // Throws for a reserved code, and for a reason that is no text.
                        ushort code = status == WebSocketCloseStatus.Empty ? (ushort)1000 : (ushort)status;
                        _socket.Close(code, description);
                    }
                    _hasSentClose = true;
                    if (!waits)
                    {
                        _state = _state == WebSocketState.CloseReceived
                            ? WebSocketState.Closed
                            : WebSocketState.CloseSent;
                    }
                }
                if (!waits)
                {
                    return;
                }
                if (_state < WebSocketState.CloseSent)
                {
                    _state = WebSocketState.CloseSent;
                }
                // Several calls may wait for the end.
                closing = _closing ?? Source<bool>();
                _closing = closing;
                _discards = true;
                DiscardReceived();
                TakeEvents();
                CompleteClose();
            }
            await WithCancellation(closing.Task, cancellation).ConfigureAwait(!ClientDriver.HasThreads);
        }

        /// <summary>Aborts the connection if the token is cancelled before the task has completed.</summary>
        private async Task<T> WithCancellation<T>(Task<T> task, CancellationToken cancellation)
        {
            if (!cancellation.CanBeCanceled || task.IsCompleted)
            {
                return await task.ConfigureAwait(!ClientDriver.HasThreads);
            }
            using (cancellation.Register(s_drop, this))
            {
                try
                {
                    return await task.ConfigureAwait(!ClientDriver.HasThreads);
                }
                catch (Exception) when (cancellation.IsCancellationRequested)
                {
                    throw new OperationCanceledException(cancellation);
                }
            }
        }

        private void ThrowIfNotConnected()
        {
            if (_isDisposed)
            {
                throw Disposed();
            }
            if (_state == WebSocketState.None || _state == WebSocketState.Connecting || _socket == null)
            {
                throw new InvalidOperationException("The WebSocket is not connected.");
            }
        }

        private Exception InvalidState(WebSocketState[] valid)
        {
            if (Array.IndexOf(valid, _state) >= 0)
            {
                return null;
            }
            return new NetWebSocketException(
                NetWebSocketError.InvalidState,
                "The WebSocket is in an invalid state ('" + _state + "') for this operation. Valid states are: '"
                + string.Join(", ", Array.ConvertAll(valid, state => state.ToString())) + "'");
        }

        private Exception LostConnection()
        {
            const string message =
                "The remote party closed the WebSocket connection without completing the close handshake.";
            return new NetWebSocketException(
                NetWebSocketError.ConnectionClosedPrematurely,
                message,
                _error == null ? null : new WebSocketConnectionException(_error.Message, _error));
        }

        private Exception ConnectFailure()
        {
            if (_error == null)
            {
                return new NetWebSocketException(NetWebSocketError.Faulted, CannotConnect);
            }
            var details = new WebSocketConnectionException(_error.Message, _error);
            if (_error.Kind == WebSocketErrorKind.Http)
            {
                return new NetWebSocketException(
                    NetWebSocketError.NotAWebSocket,
                    "The server returned status code '" + _error.HttpStatus + "' when status code '101' was expected.",
                    details);
            }
            NetWebSocketError code = _error.Kind != WebSocketErrorKind.Protocol ? NetWebSocketError.Faulted
                : _error.Message.Contains("subprotocol") ? NetWebSocketError.UnsupportedProtocol
                : NetWebSocketError.HeaderError;
            return new NetWebSocketException(code, CannotConnect, details);
        }

        private static Exception Disposed()
        {
            return new ObjectDisposedException(typeof(FramewireClientWebSocket).FullName);
        }

        private static TaskCompletionSource<T> Source<T>()
        {
            // User code never runs with the lock held, nor on the thread that takes the events. Without threads it may run
            // inside TrySetResult: the state is complete before.
            return new TaskCompletionSource<T>(ClientDriver.HasThreads
                ? TaskCreationOptions.RunContinuationsAsynchronously
                : TaskCreationOptions.None);
        }

        /// <summary>A message that waits for room, with a reference to its payload.</summary>
        private struct WaitingSend
        {
            internal NativeSegment Payload;
            internal WebSocketMessageType Type;
            internal TaskCompletionSource<bool> Sent;
        }

        private static void CheckBuffer(ArraySegment<byte> buffer)
        {
            if (buffer.Array == null)
            {
                throw new ArgumentNullException("buffer");
            }
        }

        private static void CheckCloseStatus(WebSocketCloseStatus status, string description)
        {
            int code = (int)status;
            if (status == WebSocketCloseStatus.Empty && description != null)
            {
                throw new ArgumentException("A close frame without a code has no reason.", "statusDescription");
            }
            if (code >= 0 && code <= 999 || code == 1006 || code == 1015 || code < 0 || code > 4999)
            {
                throw new ArgumentException("The close code " + code + " must not be sent.", "closeStatus");
            }
            if (description != null && Encoding.UTF8.GetByteCount(description) > 123)
            {
                throw new ArgumentException("The close reason is longer than 123 bytes.", "statusDescription");
            }
        }
    }
}
#endif
