using System;
using System.Text;

namespace UnityWebSocket
{
    /// <summary>The state of a connection.</summary>
    public enum WebSocketState : ushort
    {
        /// <summary>Connecting.</summary>
        Connecting = 0,

        /// <summary>Open.</summary>
        Open = 1,

        /// <summary>The closing handshake is in progress.</summary>
        Closing = 2,

        /// <summary>Closed.</summary>
        Closed = 3,
    }

    /// <summary>The arguments of OnOpen.</summary>
    public class OpenEventArgs : EventArgs
    {
        internal OpenEventArgs()
        {
        }
    }

    /// <summary>The arguments of OnClose.</summary>
    public class CloseEventArgs : EventArgs
    {
        internal CloseEventArgs(ushort code, string reason, bool wasClean)
        {
            Code = code;
            Reason = reason;
            WasClean = wasClean;
        }

        /// <summary>The close code.</summary>
        public ushort Code { get; private set; }

        /// <summary>The close reason.</summary>
        public string Reason { get; private set; }

        /// <summary>Whether the closing handshake was completed.</summary>
        public bool WasClean { get; private set; }
    }

    /// <summary>The arguments of OnError.</summary>
    public class ErrorEventArgs : EventArgs
    {
        internal ErrorEventArgs(string message)
        {
            Message = message;
        }

        /// <summary>What has failed.</summary>
        public string Message { get; private set; }

        /// <summary>Always null: no exception is the cause.</summary>
        public Exception Exception
        {
            get { return null; }
        }
    }

    /// <summary>The arguments of OnMessage.</summary>
    public class MessageEventArgs : EventArgs
    {
        private string _data;
        private byte[] _rawData;

        internal MessageEventArgs(byte[] rawData)
        {
            _rawData = rawData;
            IsBinary = true;
        }

        internal MessageEventArgs(string data)
        {
            _data = data;
        }

        /// <summary>Whether the message is binary.</summary>
        public bool IsBinary { get; private set; }

        /// <summary>Whether the message is a text.</summary>
        public bool IsText
        {
            get { return !IsBinary; }
        }

        /// <summary>The payload as text.</summary>
        public string Data
        {
            get { return _data ?? (_data = Encoding.UTF8.GetString(_rawData)); }
        }

        /// <summary>The payload as bytes.</summary>
        public byte[] RawData
        {
            get { return _rawData ?? (_rawData = Encoding.UTF8.GetBytes(_data)); }
        }
    }

    /// <summary>A WebSocket.</summary>
    public interface IWebSocket
    {
        /// <summary>The connection is open.</summary>
        event EventHandler<OpenEventArgs> OnOpen;

        /// <summary>The connection has ended.</summary>
        event EventHandler<CloseEventArgs> OnClose;

        /// <summary>The connection has failed. OnClose follows.</summary>
        event EventHandler<ErrorEventArgs> OnError;

        /// <summary>A message was received.</summary>
        event EventHandler<MessageEventArgs> OnMessage;

        /// <summary>The URL.</summary>
        string Address { get; }

        /// <summary>The subprotocols that are offered.</summary>
        string[] SubProtocols { get; }

        /// <summary>The state.</summary>
        WebSocketState ReadyState { get; }

        /// <summary>Starts connecting.</summary>
        void ConnectAsync();

        /// <summary>Starts the closing handshake, after all queued messages.</summary>
        void CloseAsync();

        /// <summary>Sends a binary message.</summary>
        /// <param name="data">The payload.</param>
        void SendAsync(byte[] data);

        /// <summary>Sends a text message.</summary>
        /// <param name="text">The text.</param>
        void SendAsync(string text);
    }

    /// <summary>
    /// The API of the package UnityWebSocket on Framewire. Handlers run in WebSocket.DispatchAll of Framewire, which its
    /// updater calls once per frame.
    /// </summary>
    public class WebSocket : IWebSocket
    {
        private readonly Framewire.WebSocket _socket;

        /// <summary>Creates a socket. Does not connect.</summary>
        /// <param name="address">A <c>ws:</c> or <c>wss:</c> URL.</param>
        public WebSocket(string address)
            : this(address, new string[0])
        {
        }

        /// <summary>Creates a socket that offers a subprotocol. Does not connect.</summary>
        /// <param name="address">A <c>ws:</c> or <c>wss:</c> URL.</param>
        /// <param name="subProtocol">The subprotocol.</param>
        public WebSocket(string address, string subProtocol)
            : this(address, new[] { subProtocol })
        {
        }

        /// <summary>Creates a socket that offers subprotocols. Does not connect.</summary>
        /// <param name="address">A <c>ws:</c> or <c>wss:</c> URL.</param>
        /// <param name="subProtocols">The subprotocols.</param>
        public WebSocket(string address, string[] subProtocols)
        {
            Address = address;
            SubProtocols = subProtocols;
            _socket = new Framewire.WebSocket(new Uri(address));
            try
            {
                foreach (string subProtocol in subProtocols)
                {
                    _socket.AddProtocol(subProtocol);
                }
            }
            catch
            {
                _socket.Dispose();
                throw;
            }
            _socket.OnOpen = socket => Call(OnOpen, new OpenEventArgs());
            _socket.OnBinary = (socket, data) => Call(OnMessage, new MessageEventArgs(data));
            _socket.OnMessage = (socket, text) => Call(OnMessage, new MessageEventArgs(text));
            _socket.OnClosed = (socket, code, reason) => Call(OnClose, new CloseEventArgs(code, reason, code != 1006));
            _socket.OnError = HandleError;
        }

        /// <summary>The connection is open.</summary>
        public event EventHandler<OpenEventArgs> OnOpen;

        /// <summary>The connection has ended.</summary>
        public event EventHandler<CloseEventArgs> OnClose;

        /// <summary>The connection has failed. OnClose follows.</summary>
        public event EventHandler<ErrorEventArgs> OnError;

        /// <summary>A message was received.</summary>
        public event EventHandler<MessageEventArgs> OnMessage;

        /// <summary>The URL.</summary>
        public string Address { get; private set; }

        /// <summary>The subprotocols that are offered.</summary>
        public string[] SubProtocols { get; private set; }

        /// <summary>The socket of Framewire, for its settings.</summary>
        public Framewire.WebSocket Socket
        {
            get { return _socket; }
        }

        /// <summary>The state.</summary>
        public WebSocketState ReadyState
        {
            get
            {
                Framewire.WebSocketStates state = _socket.State;
                return state == Framewire.WebSocketStates.Unknown ? WebSocketState.Closed : (WebSocketState)state;
            }
        }

        /// <summary>Starts connecting.</summary>
        public void ConnectAsync()
        {
            _socket.Open();
        }

        /// <summary>Starts the closing handshake, after all queued messages.</summary>
        public void CloseAsync()
        {
            _socket.Close();
        }

        /// <summary>Sends a binary message.</summary>
        /// <param name="data">The payload.</param>
        /// <exception cref="InvalidOperationException">The message was refused.</exception>
        public void SendAsync(byte[] data)
        {
            Check(_socket.Send(data));
        }

        /// <summary>Sends a text message.</summary>
        /// <param name="text">The text.</param>
        /// <exception cref="InvalidOperationException">The message was refused.</exception>
        public void SendAsync(string text)
        {
            Check(_socket.Send(text));
        }

        private void HandleError(Framewire.WebSocket socket, string error)
        {
            try
            {
                Call(OnError, new ErrorEventArgs(error));
            }
            finally
            {
                Call(OnClose, new CloseEventArgs(1006, error, false));
            }
        }

        private void Call<T>(EventHandler<T> handler, T arguments) where T : EventArgs
        {
            if (handler != null)
            {
                handler(this, arguments);
            }
        }

        private static void Check(Framewire.SendResult result)
        {
            if (result != Framewire.SendResult.Queued)
            {
                throw new InvalidOperationException("The message was refused: " + result + ".");
            }
        }
    }
}
