using System;
using System.Collections.Generic;
using System.Threading.Tasks;

namespace NativeWebSocket
{
    /// <summary>Handles an open connection.</summary>
    public delegate void WebSocketOpenEventHandler();

    /// <summary>Handles a text or binary message.</summary>
    /// <param name="data">The payload; that of a text is UTF-8.</param>
    public delegate void WebSocketMessageEventHandler(byte[] data);

    /// <summary>Handles a failed connection.</summary>
    /// <param name="errorMsg">What has failed.</param>
    public delegate void WebSocketErrorEventHandler(string errorMsg);

    /// <summary>Handles the end of a connection.</summary>
    /// <param name="closeCode">The close code.</param>
    public delegate void WebSocketCloseEventHandler(WebSocketCloseCode closeCode);

    /// <summary>A close code. Codes that have no name here are Undefined.</summary>
    public enum WebSocketCloseCode
    {
        /// <summary>No code.</summary>
        NotSet = 0,

        /// <summary>Normal closure.</summary>
        Normal = 1000,

        /// <summary>The server is going away.</summary>
        Away = 1001,

        /// <summary>Protocol error.</summary>
        ProtocolError = 1002,

        /// <summary>Data of an unacceptable type.</summary>
        UnsupportedData = 1003,

        /// <summary>Another code.</summary>
        Undefined = 1004,

        /// <summary>A close frame without a code.</summary>
        NoStatus = 1005,

        /// <summary>The connection has failed.</summary>
        Abnormal = 1006,

        /// <summary>Inconsistent data, such as a text that is not UTF-8.</summary>
        InvalidData = 1007,

        /// <summary>A policy was violated.</summary>
        PolicyViolation = 1008,

        /// <summary>A message was too large.</summary>
        TooBig = 1009,

        /// <summary>An extension was not negotiated.</summary>
        MandatoryExtension = 1010,

        /// <summary>Server error.</summary>
        ServerError = 1011,

        /// <summary>The TLS handshake has failed.</summary>
        TlsHandshakeFailure = 1015,
    }

    /// <summary>The state of a connection.</summary>
    public enum WebSocketState
    {
        /// <summary>Connecting.</summary>
        Connecting,

        /// <summary>Open.</summary>
        Open,

        /// <summary>The closing handshake is in progress.</summary>
        Closing,

        /// <summary>Closed.</summary>
        Closed,
    }

    /// <summary>The events and the state of a WebSocket.</summary>
    public interface IWebSocket
    {
        /// <summary>The connection is open.</summary>
        event WebSocketOpenEventHandler OnOpen;

        /// <summary>A message was received.</summary>
        event WebSocketMessageEventHandler OnMessage;

        /// <summary>The connection has failed. OnClose follows.</summary>
        event WebSocketErrorEventHandler OnError;

        /// <summary>The connection has ended.</summary>
        event WebSocketCloseEventHandler OnClose;

        /// <summary>The state.</summary>
        WebSocketState State { get; }
    }

    /// <summary>
    /// The API of the package NativeWebSocket on Framewire. Handlers run in WebSocket.DispatchAll of Framewire, which its
    /// updater calls once per frame, and in <see cref="DispatchMessageQueue"/>.
    /// </summary>
    public class WebSocket : IWebSocket, IDisposable
    {
        private readonly Framewire.WebSocket _socket;
        private TaskCompletionSource<bool> _ended;
        private bool _isDisposed;

        /// <summary>Creates a socket. Does not connect.</summary>
        /// <param name="url">A <c>ws:</c> or <c>wss:</c> URL.</param>
        /// <param name="headers">Headers of the upgrade request, or null.</param>
        public WebSocket(string url, Dictionary<string, string> headers = null)
            : this(url, new List<string>(), headers)
        {
        }

        /// <summary>Creates a socket that offers a subprotocol. Does not connect.</summary>
        /// <param name="url">A <c>ws:</c> or <c>wss:</c> URL.</param>
        /// <param name="subprotocol">The subprotocol.</param>
        /// <param name="headers">Headers of the upgrade request, or null.</param>
        public WebSocket(string url, string subprotocol, Dictionary<string, string> headers = null)
            : this(url, new List<string> { subprotocol }, headers)
        {
        }

        /// <summary>Creates a socket that offers subprotocols. Does not connect.</summary>
        /// <param name="url">A <c>ws:</c> or <c>wss:</c> URL.</param>
        /// <param name="subprotocols">The subprotocols.</param>
        /// <param name="headers">Headers of the upgrade request, or null.</param>
        public WebSocket(string url, List<string> subprotocols, Dictionary<string, string> headers = null)
        {
            _socket = new Framewire.WebSocket(new Uri(url));
            try
            {
                foreach (string subprotocol in subprotocols)
                {
                    _socket.AddProtocol(subprotocol);
                }
                foreach (KeyValuePair<string, string> header in headers ?? new Dictionary<string, string>())
                {
                    _socket.AddHeader(header.Key, header.Value);
                }
            }
            catch
            {
                _socket.Dispose();
                throw;
            }
            _socket.OnOpen = HandleOpen;
            _socket.OnBinary = (socket, data) => Handle(data);
            _socket.OnMessageNoAlloc = (socket, data) => Handle(data.ToArray());
            _socket.OnClosed = (socket, code, reason) => End((WebSocketCloseCode)code);
            _socket.OnError = HandleError;
        }

        /// <summary>The connection is open.</summary>
        public event WebSocketOpenEventHandler OnOpen;

        /// <summary>A text or binary message was received.</summary>
        public event WebSocketMessageEventHandler OnMessage;

        /// <summary>The connection has failed. OnClose follows.</summary>
        public event WebSocketErrorEventHandler OnError;

        /// <summary>The connection has ended.</summary>
        public event WebSocketCloseEventHandler OnClose;

        /// <summary>The socket of Framewire, for its settings.</summary>
        public Framewire.WebSocket Socket
        {
            get { return _socket; }
        }

        /// <summary>The state.</summary>
        public WebSocketState State
        {
            get
            {
                Framewire.WebSocketStates state = _socket.State;
                return state == Framewire.WebSocketStates.Unknown ? WebSocketState.Closed : (WebSocketState)state;
            }
        }

        /// <summary>Connects.</summary>
        /// <returns>A task that completes at the end of the connection, as in NativeWebSocket.</returns>
        public Task Connect()
        {
            var ended = new TaskCompletionSource<bool>();
            _socket.Open();
            _ended = ended;
            return ended.Task;
        }

        /// <summary>Drops the connection.</summary>
        public void CancelConnection()
        {
            _socket.Abort();
        }

        /// <summary>
        /// Drops the connection and releases the socket. No handler is called afterwards; the task of
        /// <see cref="Connect"/> completes.
        /// </summary>
        public void Dispose()
        {
            _isDisposed = true;
            _socket.Dispose();
            if (_ended != null)
            {
                _ended.TrySetResult(true);
            }
        }

        /// <summary>Sends a binary message.</summary>
        /// <param name="bytes">The payload.</param>
        /// <returns>A completed task; it has failed if the message was refused.</returns>
        public Task Send(byte[] bytes)
        {
            return Completed(_socket.Send(bytes));
        }

        /// <summary>Sends a text message.</summary>
        /// <param name="message">The text.</param>
        /// <returns>A completed task; it has failed if the message was refused.</returns>
        public Task SendText(string message)
        {
            return Completed(_socket.Send(message));
        }

        /// <summary>Closes with a code.</summary>
        /// <param name="code">The close code.</param>
        /// <param name="reason">The close reason, or null.</param>
        /// <returns>A task that completes at the end of the connection.</returns>
        public Task Close(WebSocketCloseCode code = WebSocketCloseCode.Normal, string reason = null)
        {
            _socket.Close((ushort)code, reason);
            return _ended == null ? Task.FromResult(true) : (Task)_ended.Task;
        }

        /// <summary>Calls the handlers of all sockets. Not needed in Unity, where an updater does it.</summary>
        public void DispatchMessageQueue()
        {
            Framewire.WebSocket.DispatchAll();
        }

        private void HandleOpen(Framewire.WebSocket socket)
        {
            if (OnOpen != null)
            {
                OnOpen();
            }
        }

        private void Handle(byte[] data)
        {
            if (OnMessage != null)
            {
                OnMessage(data);
            }
        }

        private void HandleError(Framewire.WebSocket socket, string error)
        {
            try
            {
                if (OnError != null)
                {
                    OnError(error);
                }
            }
            finally
            {
                End(WebSocketCloseCode.Abnormal);
            }
        }

        private void End(WebSocketCloseCode code)
        {
            TaskCompletionSource<bool> ended = _ended;
            try
            {
                // Unless OnError has disposed it.
                if (OnClose != null && !_isDisposed)
                {
                    OnClose(Enum.IsDefined(typeof(WebSocketCloseCode), code) ? code : WebSocketCloseCode.Undefined);
                }
            }
            finally
            {
                ended.TrySetResult(true);
            }
        }

        private static Task Completed(Framewire.SendResult result)
        {
            if (result == Framewire.SendResult.Queued)
            {
                return Task.FromResult(true);
            }
            var failed = new TaskCompletionSource<bool>();
            failed.SetException(new InvalidOperationException("The message was refused: " + result + "."));
            return failed.Task;
        }
    }
}
