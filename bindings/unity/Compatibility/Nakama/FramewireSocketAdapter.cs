using System;
using System.Threading;
using System.Threading.Tasks;
using Nakama;

namespace Framewire
{
    /// <summary>
    /// A socket adapter for Nakama: <c>client.NewSocket(defaultAdapter: new FramewireSocketAdapter())</c>. Events are raised in
    /// WebSocket.DispatchAll, which the updater calls once per frame.
    /// </summary>
    public sealed class FramewireSocketAdapter : ISocketAdapter
    {
        private WebSocket _socket;
        private TaskCompletionSource<bool> _connecting;
        private TaskCompletionSource<bool> _closing;

        /// <summary>Raised when the connection is open.</summary>
        public event Action Connected;

        /// <summary>Raised when the connection has ended, with the reason.</summary>
        public event Action<string> Closed;

        /// <summary>Raised when the connection has failed. Closed follows.</summary>
        public event Action<Exception> ReceivedError;

        /// <summary>Raised for each message. The array is new.</summary>
        public event Action<ArraySegment<byte>> Received;

        /// <summary>Called with each new socket before it connects, to change its settings; or null.</summary>
        public Action<WebSocket> Configure { get; set; }

        /// <summary>Whether the connection is open.</summary>
        public bool IsConnected
        {
            get { return _socket != null && _socket.IsOpen && !IsConnecting; }
        }

        /// <summary>Whether the connection is being opened, until Connected is raised.</summary>
        public bool IsConnecting
        {
            get { return _connecting != null && !_connecting.Task.IsCompleted; }
        }

        /// <summary>Connects.</summary>
        /// <param name="uri">The URL of the server.</param>
        /// <param name="timeout">The timeout in seconds.</param>
        /// <returns>A task that completes when the connection is open, or has failed.</returns>
        public Task ConnectAsync(Uri uri, int timeout)
        {
            if (!HasEnded)
            {
                throw new InvalidOperationException("The socket is connected already.");
            }
            if (_socket != null)
            {
                _socket.Dispose();
            }
            var connecting = new TaskCompletionSource<bool>();
            _connecting = connecting;
            _closing = null;
            _socket = new WebSocket(uri);
            _socket.ConnectTimeout = TimeSpan.FromSeconds(Math.Max(1, timeout));
            _socket.OnOpen = HandleOpen;
            _socket.OnMessageNoAlloc = (socket, data) => Receive(data.ToArray());
            _socket.OnBinary = (socket, data) => Receive(data);
            _socket.OnClosed = (socket, code, reason) => End(reason, null);
            _socket.OnError = (socket, error) => End(error, new InvalidOperationException(error));
            if (Configure != null)
            {
                Configure(_socket);
            }
            try
            {
                _socket.Open();
            }
            catch
            {
                _connecting = null;
                throw;
            }
            return connecting.Task;
        }

        /// <summary>Closes with code 1000, after all queued messages.</summary>
        /// <returns>A task that completes when the connection has ended.</returns>
        public Task CloseAsync()
        {
            if (HasEnded)
            {
                return Task.FromResult(true);
            }
            _closing = _closing ?? new TaskCompletionSource<bool>();
            _socket.Close();
            return _closing.Task;
        }

        /// <summary>Sends a message, as text.</summary>
        /// <param name="buffer">The UTF-8 of the message.</param>
        /// <param name="reliable">No effect: messages are always delivered in order.</param>
        /// <param name="canceller">Cancels the message if it is cancelled already.</param>
        /// <returns>A completed task; it has failed if the message was refused.</returns>
        public Task SendAsync(
            ArraySegment<byte> buffer, bool reliable = true, CancellationToken canceller = default(CancellationToken))
        {
            var sent = new TaskCompletionSource<bool>();
            if (canceller.IsCancellationRequested)
            {
                sent.SetCanceled();
                return sent.Task;
            }
            byte[] copy = BufferPool.Get(buffer.Count, true);
            Buffer.BlockCopy(buffer.Array, buffer.Offset, copy, 0, buffer.Count);
            SendResult result = _socket == null
                ? SendResult.NotOpen
                : _socket.SendAsText(new BufferSegment(copy, 0, buffer.Count));
            if (result == SendResult.Queued)
            {
                sent.SetResult(true);
            }
            else
            {
                sent.SetException(new InvalidOperationException("The message was refused: " + result + "."));
            }
            return sent.Task;
        }

        /// <summary>Whether there is no connection, also because WebSocket.Shutdown has ended it.</summary>
        private bool HasEnded
        {
            get
            {
                WebSocketStates state = _socket == null ? WebSocketStates.Closed : _socket.State;
                return state == WebSocketStates.Closed || state == WebSocketStates.Unknown;
            }
        }

        private void HandleOpen(WebSocket socket)
        {
            _connecting.TrySetResult(true);
            if (Connected != null)
            {
                Connected();
            }
        }

        private void Receive(byte[] message)
        {
            if (Received != null)
            {
                Received(new ArraySegment<byte>(message));
            }
        }

        private void End(string reason, Exception error)
        {
            // Has no effect if it was open.
            _connecting.TrySetException(error ?? new InvalidOperationException("The connection was closed: " + reason));
            if (_closing != null)
            {
                _closing.TrySetResult(true);
            }
            if (error != null && ReceivedError != null)
            {
                ReceivedError(error);
            }
            if (Closed != null)
            {
                Closed(reason);
            }
        }
    }
}
