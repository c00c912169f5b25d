using System;

namespace Framewire
{
    /// <summary>The state of a <see cref="WebSocket"/>.</summary>
    public enum WebSocketStates : byte
    {
        /// <summary>Connecting, or waiting for a retry.</summary>
        Connecting = 0,

        /// <summary>Open: messages can be sent.</summary>
        Open = 1,

        /// <summary>The closing handshake is in progress; messages may still be received.</summary>
        Closing = 2,

        /// <summary>Not opened, or the connection has ended. Its last events may still be queued.</summary>
        Closed = 3,

        /// <summary>Disposed, or destroyed by <see cref="WebSocket.Shutdown"/>.</summary>
        Unknown = 4,
    }

    /// <summary>The result of a Send method.</summary>
    public enum SendResult : byte
    {
        /// <summary>The message is in the send queue.</summary>
        Queued = 0,

        /// <summary>The socket is not open; nothing was queued.</summary>
        NotOpen = 1,

        /// <summary>The send queue has reached <see cref="WebSocket.MaxBufferedAmount"/>; nothing was queued.</summary>
        QueueFull = 2,

        /// <summary>The message is larger than 1 GiB, or a ping larger than 125 bytes; nothing was queued.</summary>
        TooLarge = 3,

        /// <summary>The bytes of a text message are not valid UTF-8; nothing was queued.</summary>
        InvalidUtf8 = 4,

        /// <summary>Memory allocation failed; nothing was queued.</summary>
        OutOfMemory = 5,

        /// <summary>The native segment is invalid, or was released or sent already.</summary>
        InvalidSegment = 6,

        /// <summary>An internal error of the library.</summary>
        Failed = 7,
    }

    /// <summary>The type of a message.</summary>
    public enum WebSocketFrameTypes : byte
    {
        /// <summary>A text message, in UTF-8.</summary>
        Text = 1,

        /// <summary>A binary message.</summary>
        Binary = 2,
    }

    /// <summary>Handles an open connection.</summary>
    /// <param name="webSocket">The socket.</param>
    public delegate void OnWebSocketOpenDelegate(WebSocket webSocket);

    /// <summary>Handles a text message.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="message">The text.</param>
    public delegate void OnWebSocketMessageDelegate(WebSocket webSocket, string message);

    /// <summary>Handles a binary message.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="data">The payload, in a new array.</param>
    public delegate void OnWebSocketBinaryDelegate(WebSocket webSocket, byte[] data);

    /// <summary>Handles a message without a new array.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="buffer">The payload, in an array that is valid until the handler returns.</param>
    public delegate void OnWebSocketBinaryNoAllocDelegate(WebSocket webSocket, BufferSegment buffer);

    /// <summary>Handles a message without a copy.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="segment">The payload, in native memory that is valid until the handler returns.</param>
    public delegate void OnWebSocketNativeDelegate(WebSocket webSocket, NativeSegment segment);

    /// <summary>Handles the end of a connection by a closing handshake or a cancel.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="code">The close code.</param>
    /// <param name="message">The close reason.</param>
    public delegate void OnWebSocketClosedDelegate(WebSocket webSocket, ushort code, string message);

    /// <summary>Handles a failed connection.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="error">The error message; see <see cref="WebSocket.LastError"/> for details.</param>
    public delegate void OnWebSocketErrorDelegate(WebSocket webSocket, string error);

    /// <summary>Handles a failed connection that is retried.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="error">The error.</param>
    /// <param name="attempt">The number of consecutive retries, from 1.</param>
    /// <param name="delay">The delay before the retry.</param>
    public delegate void OnWebSocketReconnectingDelegate(
        WebSocket webSocket, WebSocketError error, int attempt, TimeSpan delay);

    /// <summary>Handles a fragment of a message.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="frame">The fragment, valid until the handler returns.</param>
    public delegate void OnWebSocketIncompleteFrameDelegate(WebSocket webSocket, WebSocketFrame frame);

    /// <summary>Modifies the upgrade request before it is sent.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="request">The request.</param>
    public delegate void OnWebSocketRequestDelegate(WebSocket webSocket, HTTPRequest request);

    /// <summary>
    /// What the native library can do, see <see cref="WebSocket.Capabilities"/>. A build for browsers, or one without
    /// TLS or HTTP/2, lacks some; what needs them throws <see cref="NotSupportedException"/>.
    /// </summary>
    [Flags]
    public enum WebSocketCapabilities : uint
    {
        /// <summary>Header fields of the upgrade request, authentication, and the response.</summary>
        Headers = 1,

        /// <summary>A cookie jar.</summary>
        Cookies = 2,

        /// <summary>Redirects are followed.</summary>
        Redirects = 4,

        /// <summary>Proxies are chosen by the program.</summary>
        Proxy = 8,

        /// <summary><c>wss:</c> URLs.</summary>
        Tls = 16,

        /// <summary>Certificates, pins and verification can be set.</summary>
        TlsSettings = 32,

        /// <summary>The HTTP version is chosen by the program.</summary>
        HttpVersion = 64,

        /// <summary>WebSocket over HTTP/2 (RFC 8441), if the library makes the connection.</summary>
        Http2 = 128,

        /// <summary>Compression can be configured and disabled.</summary>
        CompressionSettings = 256,

        /// <summary>Extensions of the program.</summary>
        Extensions = 512,

        /// <summary>Messages are received and sent in fragments.</summary>
        Fragments = 1024,

        /// <summary>Pings, keepalive, pongs and the latency.</summary>
        Ping = 2048,

        /// <summary>Close codes other than 1000 and 3000 to 4999 can be sent.</summary>
        CloseCodes = 4096,

        /// <summary>A full event queue stops the server.</summary>
        Backpressure = 8192,

        /// <summary>Callbacks on worker threads.</summary>
        WorkerDispatch = 16384,

        /// <summary>Waiting for events blocks until there is one.</summary>
        Wait = 32768,

        /// <summary>The Java VM of an Android app can be handed over, which the package does by itself.</summary>
        Android = 65536,

        /// <summary>A network link can be simulated.</summary>
        Link = 131072,

        /// <summary>Traffic can be captured to a file.</summary>
        Capture = 262144,
    }

    /// <summary>The HTTP version to connect with.</summary>
    public enum WebSocketHttpVersion : uint
    {
        /// <summary>HTTP/2 (RFC 8441) if a <c>wss:</c> server supports it, otherwise HTTP/1.1.</summary>
        Automatic = 0,

        /// <summary>HTTP/1.1 only.</summary>
        Http1 = 1,

        /// <summary>HTTP/2 only.</summary>
        Http2 = 2,
    }

    /// <summary>
    /// Settings for retries with exponential backoff and jitter. Delays are random, from
    /// <see cref="MinDelay"/> to an upper limit that doubles with each consecutive retry, up to
    /// <see cref="MaxDelay"/>.
    /// </summary>
    /// <remarks>
    /// Can be assigned to several sockets. After it was assigned to <see cref="WebSocket.Reconnect"/>, its
    /// setters throw <see cref="InvalidOperationException"/>, because a change would have no effect.
    /// </remarks>
    public sealed class ReconnectSettings
    {
        private TimeSpan _minDelay = TimeSpan.FromMilliseconds(250);
        private TimeSpan _maxDelay = TimeSpan.FromSeconds(30);
        private int _maxAttempts;
        private bool _queueSends;
        private volatile bool _isFrozen;

        /// <summary>The minimum delay, at least one millisecond. Default: 250 milliseconds.</summary>
        public TimeSpan MinDelay
        {
            get { return _minDelay; }
            set { _minDelay = CheckNotFrozen(value); }
        }

        /// <summary>The maximum delay. Default: 30 seconds.</summary>
        public TimeSpan MaxDelay
        {
            get { return _maxDelay; }
            set { _maxDelay = CheckNotFrozen(value); }
        }

        /// <summary>The maximum number of consecutive retries; 0 for no limit. Default: 0.</summary>
        public int MaxAttempts
        {
            get { return _maxAttempts; }
            set { _maxAttempts = CheckNotFrozen(value); }
        }

        /// <summary>
        /// Queues messages that are sent while the socket is connecting, up to
        /// <see cref="WebSocket.MaxBufferedAmount"/>. If false, they are rejected. Default: false.
        /// </summary>
        public bool QueueSends
        {
            get { return _queueSends; }
            set { _queueSends = CheckNotFrozen(value); }
        }

        internal void Freeze()
        {
            _isFrozen = true;
        }

        private T CheckNotFrozen<T>(T value)
        {
            if (_isFrozen)
            {
                throw new InvalidOperationException(
                    "These settings are assigned to a socket and are read-only: assign new settings instead.");
            }
            return value;
        }
    }

    /// <summary>
    /// A fragment of a message. <see cref="Data"/> is pooled memory that is valid until the handler
    /// returns.
    /// </summary>
    public struct WebSocketFrame
    {
        /// <summary>The type of the message, the same for all of its fragments.</summary>
        public readonly WebSocketFrameTypes Type;

        /// <summary>Whether this is the first fragment of the message.</summary>
        public readonly bool IsFirst;

        /// <summary>Whether this is the last fragment of the message.</summary>
        public readonly bool IsFinal;

        /// <summary>The payload. A fragment of a text may begin or end within a character.</summary>
        public readonly BufferSegment Data;

        internal WebSocketFrame(WebSocketFrameTypes type, bool isFirst, bool isFinal, BufferSegment data)
        {
            Type = type;
            IsFirst = isFirst;
            IsFinal = isFinal;
            Data = data;
        }
    }

    /// <summary>
    /// An extension that is negotiated with the server: <see cref="PerMessageCompression"/>, or your own, derived from
    /// <see cref="CustomExtension"/>.
    /// </summary>
    public interface IExtension
    {
        /// <summary>The name in the Sec-WebSocket-Extensions header.</summary>
        string Name { get; }
    }
}
