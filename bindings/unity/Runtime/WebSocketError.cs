using Framewire.Native;

namespace Framewire
{
    /// <summary>The cause of a connection error.</summary>
    public enum WebSocketErrorKind : byte
    {
        /// <summary>No error.</summary>
        None = 0,

        /// <summary>Name resolution failed.</summary>
        Resolve = 1,

        /// <summary>Connection refused.</summary>
        Refused = 2,

        /// <summary>Host unreachable.</summary>
        Unreachable = 3,

        /// <summary>Connection reset or closed without a closing handshake.</summary>
        Reset = 4,

        /// <summary>Connecting timed out, or writing stalled.</summary>
        TimedOut = 5,

        /// <summary>The TLS handshake failed, such as because of a certificate.</summary>
        Tls = 6,

        /// <summary>The server rejected the upgrade with an HTTP status; see HttpStatus.</summary>
        Http = 7,

        /// <summary>A proxy rejected the request or failed.</summary>
        Proxy = 8,

        /// <summary>The server violated the protocol.</summary>
        Protocol = 9,

        /// <summary>The server sent a text message that is not valid UTF-8.</summary>
        Utf8 = 10,

        /// <summary>The server sent a message larger than MaxMessageSize.</summary>
        TooLarge = 11,

        /// <summary>Nothing was received within the timeout after a keepalive ping.</summary>
        PingTimeout = 12,

        /// <summary>An extension failed.</summary>
        Extension = 13,

        /// <summary>Another error of the operating system; see OsCode.</summary>
        Io = 14,

        /// <summary>An internal error of the library.</summary>
        Internal = 15,
    }

    /// <summary>The phase in which a connection failed.</summary>
    public enum WebSocketPhase : byte
    {
        /// <summary>No error.</summary>
        None = 0,

        /// <summary>Name resolution.</summary>
        Resolve = 1,

        /// <summary>TCP connection.</summary>
        Connect = 2,

        /// <summary>Proxy negotiation.</summary>
        Proxy = 3,

        /// <summary>TLS handshake.</summary>
        Tls = 4,

        /// <summary>HTTP upgrade.</summary>
        Upgrade = 5,

        /// <summary>Open connection.</summary>
        Open = 6,

        /// <summary>Closing handshake.</summary>
        Closing = 7,
    }

    /// <summary>
    /// The details of a connection error; see <see cref="WebSocket.LastError"/>.
    /// </summary>
    public sealed class WebSocketError
    {
        /// <summary>The cause.</summary>
        public WebSocketErrorKind Kind { get; private set; }

        /// <summary>The phase in which the connection failed.</summary>
        public WebSocketPhase Phase { get; private set; }

        /// <summary>The error number of the operating system, or 0.</summary>
        public int OsCode { get; private set; }

        /// <summary>The HTTP status of a rejected upgrade, or 0.</summary>
        public int HttpStatus { get; private set; }

        /// <summary>The TLS alert (RFC 8446 section 6), or 0.</summary>
        public int TlsAlert { get; private set; }

        /// <summary>Whether a retry may succeed.</summary>
        public bool Retriable { get; private set; }

        /// <summary>What failed, at which address, and what to do if that is known.</summary>
        public string Message { get; private set; }

        internal unsafe WebSocketError(fw_error* error, string message)
        {
            Kind = (WebSocketErrorKind)error->kind;
            Phase = (WebSocketPhase)error->phase;
            OsCode = error->os_code;
            HttpStatus = error->http_status;
            TlsAlert = error->tls_alert;
            Retriable = error->retriable != 0;
            Message = FramewireLibrary.NameMembers(message);
        }

        /// <summary>Returns the kind, the phase and the message.</summary>
        /// <returns>Text for logs.</returns>
        public override string ToString()
        {
            return Kind + " in phase " + Phase + ": " + Message;
        }
    }
}
