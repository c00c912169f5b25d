using Framewire.Native;

namespace Framewire
{
    /// <summary>What went wrong with a connection.</summary>
    public enum WebSocketErrorKind : byte
    {
        /// <summary>No error.</summary>
        None = 0,

        /// <summary>The host's name has no address, or could not be asked for.</summary>
        Resolve = 1,

        /// <summary>Nobody listens there.</summary>
        Refused = 2,

        /// <summary>There is no way to the host.</summary>
        Unreachable = 3,

        /// <summary>The connection was cut.</summary>
        Reset = 4,

        /// <summary>Connecting took longer than the timeout, or the network takes nothing any more.</summary>
        TimedOut = 5,

        /// <summary>TLS: a certificate, a version, an alert.</summary>
        Tls = 6,

        /// <summary>The server answered the upgrade with another status; HttpStatus says which.</summary>
        Http = 7,

        /// <summary>A proxy refused or failed.</summary>
        Proxy = 8,

        /// <summary>The server broke the protocol.</summary>
        Protocol = 9,

        /// <summary>The server sent a text that is not UTF-8.</summary>
        Utf8 = 10,

        /// <summary>A message is larger than MaxMessageSize.</summary>
        TooLarge = 11,

        /// <summary>A ping stayed unanswered and nothing else came.</summary>
        PingTimeout = 12,

        /// <summary>An extension failed.</summary>
        Extension = 13,

        /// <summary>Any other error of the operating system; OsCode says which.</summary>
        Io = 14,

        /// <summary>A fault of the library's own.</summary>
        Internal = 15,
    }

    /// <summary>How far a connection had come.</summary>
    public enum WebSocketPhase : byte
    {
        /// <summary>No error.</summary>
        None = 0,

        /// <summary>The host's name is looked up.</summary>
        Resolve = 1,

        /// <summary>TCP connects.</summary>
        Connect = 2,

        /// <summary>A proxy is asked.</summary>
        Proxy = 3,

        /// <summary>The TLS handshake.</summary>
        Tls = 4,

        /// <summary>The HTTP request and its answer.</summary>
        Upgrade = 5,

        /// <summary>Messages go back and forth.</summary>
        Open = 6,

        /// <summary>The closing handshake.</summary>
        Closing = 7,
    }

    /// <summary>
    /// How a connection failed, in parts that a program can decide by: <see cref="WebSocket.LastError"/>.
    /// </summary>
    public sealed class WebSocketError
    {
        /// <summary>What went wrong.</summary>
        public WebSocketErrorKind Kind { get; private set; }

        /// <summary>How far the connection had come.</summary>
        public WebSocketPhase Phase { get; private set; }

        /// <summary>The operating system's number, 0 where there is none.</summary>
        public int OsCode { get; private set; }

        /// <summary>The HTTP status of a refused upgrade, 0 where there is none.</summary>
        public int HttpStatus { get; private set; }

        /// <summary>The TLS alert (RFC 8446 section 6), 0 where there is none.</summary>
        public int TlsAlert { get; private set; }

        /// <summary>Trying again later may help.</summary>
        public bool Retriable { get; private set; }

        /// <summary>What failed, against what address, and what to do where that is known.</summary>
        public string Message { get; private set; }

        internal unsafe WebSocketError(fw_error* error, string message)
        {
            Kind = (WebSocketErrorKind)error->kind;
            Phase = (WebSocketPhase)error->phase;
            OsCode = error->os_code;
            HttpStatus = error->http_status;
            TlsAlert = error->tls_alert;
            Retriable = error->retriable != 0;
            Message = message;
        }

        /// <summary>Kind, phase and message.</summary>
        public override string ToString()
        {
            return Kind + " in phase " + Phase + ": " + Message;
        }
    }
}
