using System;

namespace Framewire
{
    /// <summary>Where a <see cref="WebSocket"/> is in its life.</summary>
    public enum WebSocketStates : byte
    {
        /// <summary>Between Open and OnOpen.</summary>
        Connecting = 0,

        /// <summary>Messages can be sent.</summary>
        Open = 1,

        /// <summary>The closing handshake runs; messages may still come.</summary>
        Closing = 2,

        /// <summary>Never opened, or the connection is over. Its last events may still wait.</summary>
        Closed = 3,

        /// <summary>Disposed, or ended by <see cref="WebSocket.Shutdown"/>.</summary>
        Unknown = 4,
    }

    /// <summary>What became of a message that was given to a Send method.</summary>
    public enum SendResult : byte
    {
        /// <summary>It is in the send queue.</summary>
        Queued = 0,

        /// <summary>The socket is not open; nothing was queued.</summary>
        NotOpen = 1,

        /// <summary>The send queue is at <see cref="WebSocket.MaxBufferedAmount"/>; nothing was queued.</summary>
        QueueFull = 2,

        /// <summary>Longer than 1 GiB; nothing was queued.</summary>
        TooLarge = 3,

        /// <summary>SendAsText was given bytes that are not UTF-8; nothing was queued.</summary>
        InvalidUtf8 = 4,

        /// <summary>No memory; nothing was queued.</summary>
        OutOfMemory = 5,

        /// <summary>The native segment is not, or not any more, the caller's.</summary>
        InvalidSegment = 6,

        /// <summary>A fault of the library's own.</summary>
        Failed = 7,
    }

    /// <summary>What a message holds.</summary>
    public enum WebSocketFrameTypes : byte
    {
        /// <summary>UTF-8.</summary>
        Text = 1,

        /// <summary>Any bytes.</summary>
        Binary = 2,
    }

    /// <summary>The connection is established.</summary>
    public delegate void OnWebSocketOpenDelegate(WebSocket webSocket);

    /// <summary>A text message came.</summary>
    public delegate void OnWebSocketMessageDelegate(WebSocket webSocket, string message);

    /// <summary>A binary message came, in an array of its own.</summary>
    public delegate void OnWebSocketBinaryDelegate(WebSocket webSocket, byte[] data);

    /// <summary>A message came, in a pooled array that is reused when the handler returns.</summary>
    public delegate void OnWebSocketBinaryNoAllocDelegate(WebSocket webSocket, BufferSegment buffer);

    /// <summary>A message came, shown in native memory that is reused when the handler returns.</summary>
    public delegate void OnWebSocketNativeDelegate(WebSocket webSocket, NativeSegment segment);

    /// <summary>The connection has ended in order.</summary>
    public delegate void OnWebSocketClosedDelegate(WebSocket webSocket, ushort code, string message);

    /// <summary>The connection could not be made, or was lost.</summary>
    public delegate void OnWebSocketErrorDelegate(WebSocket webSocket, string error);

    /// <summary>The connection was lost, or not made, and will be tried again.</summary>
    public delegate void OnWebSocketReconnectingDelegate(
        WebSocket webSocket, WebSocketError error, int attempt, TimeSpan delay);

    /// <summary>One fragment of a message came.</summary>
    public delegate void OnWebSocketIncompleteFrameDelegate(WebSocket webSocket, WebSocketFrame frame);

    /// <summary>The upgrade request is ready to be sent and can still be changed.</summary>
    public delegate void OnWebSocketRequestDelegate(WebSocket webSocket, HTTPRequest request);

    /// <summary>Which version of HTTP a connection begins with.</summary>
    public enum WebSocketHttpVersion : uint
    {
        /// <summary>HTTP/2 (RFC 8441) for <c>wss:</c> where the server has it, else HTTP/1.1.</summary>
        Automatic = 0,

        /// <summary>HTTP/1.1 only.</summary>
        Http1 = 1,

        /// <summary>HTTP/2 or an error.</summary>
        Http2 = 2,
    }

    /// <summary>
    /// When a lost connection is tried again: after random delays from <see cref="MinDelay"/> on, whose
    /// upper end doubles with each try in a row, up to <see cref="MaxDelay"/>.
    /// </summary>
    /// <remarks>
    /// May be given to several sockets. Once a socket has it (<see cref="WebSocket.Reconnect"/>), its
    /// setters throw <see cref="InvalidOperationException"/>: the socket would not notice.
    /// </remarks>
    public sealed class ReconnectSettings
    {
        private TimeSpan _minDelay = TimeSpan.FromMilliseconds(250);
        private TimeSpan _maxDelay = TimeSpan.FromSeconds(30);
        private int _maxAttempts;
        private bool _queueSends;
        private volatile bool _isFrozen;

        /// <summary>The shortest delay, at least a millisecond. 250 milliseconds by default.</summary>
        public TimeSpan MinDelay
        {
            get { return _minDelay; }
            set { _minDelay = Changed(value); }
        }

        /// <summary>The longest delay. 30 seconds by default.</summary>
        public TimeSpan MaxDelay
        {
            get { return _maxDelay; }
            set { _maxDelay = Changed(value); }
        }

        /// <summary>Tries in a row, the first attempt not counted; 0, the default, for no end.</summary>
        public int MaxAttempts
        {
            get { return _maxAttempts; }
            set { _maxAttempts = Changed(value); }
        }

        /// <summary>
        /// Lets sends while the socket is connecting wait for the connection, up to
        /// <see cref="WebSocket.MaxBufferedAmount"/>; false, the default, refuses them.
        /// </summary>
        public bool QueueSends
        {
            get { return _queueSends; }
            set { _queueSends = Changed(value); }
        }

        internal void Freeze()
        {
            _isFrozen = true;
        }

        private T Changed<T>(T value)
        {
            if (_isFrozen)
            {
                throw new InvalidOperationException(
                    "A socket has these settings already and would not notice: give it new ones.");
            }
            return value;
        }
    }

    /// <summary>
    /// One fragment of a message, decoded. <see cref="Data"/> is pooled memory that is reused when
    /// the handler returns.
    /// </summary>
    public struct WebSocketFrame
    {
        /// <summary>What the whole message is: the same for all of its fragments.</summary>
        public readonly WebSocketFrameTypes Type;

        /// <summary>The first fragment of a message.</summary>
        public readonly bool IsFirst;

        /// <summary>The last fragment of a message.</summary>
        public readonly bool IsFinal;

        /// <summary>The bytes; a fragment of a text may begin and end within a character.</summary>
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
    /// An extension that is negotiated with the server. Extensions run in the native library, on its
    /// own threads, where managed code never runs: what implements this holds an extension's
    /// settings, for those the library knows, which is <see cref="PerMessageCompression"/>.
    /// </summary>
    public interface IExtension
    {
        /// <summary>Its name in the Sec-WebSocket-Extensions header.</summary>
        string Name { get; }
    }
}
