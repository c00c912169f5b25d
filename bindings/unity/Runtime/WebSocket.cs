using System;
using System.Text;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// A WebSocket: one connection at a time, opened again as often as needed.
    ///
    /// <para>Nothing here blocks. What happens on the network waits in a queue of the native library
    /// until <see cref="DispatchAll(int, int)"/> takes it out, which calls the handlers on its own
    /// caller's thread: in Unity <see cref="WebSocketUpdater"/> does so once a frame. The native
    /// library never calls managed code, so neither a domain reload nor a collected delegate can
    /// harm it.</para>
    ///
    /// <para>Every Open ends in exactly one of OnClosed and OnError, after every message that was
    /// received before it. Methods may be called on any thread and in any handler.</para>
    /// </summary>
    public sealed unsafe partial class WebSocket : IDisposable
    {
        private readonly SocketHandle _handle;
        private readonly LoggingContext _context;
        private static readonly IExtension[] NoExtensions = new IExtension[0];

        private readonly IExtension[] _extensions;
        private HTTPRequest _internalRequest;

        /// <summary>Prepares a connection to a <c>ws:</c> or <c>wss:</c> address.</summary>
        /// <remarks>
        /// An internationalized host name is sent as punycode. User name and password are sent as basic
        /// authentication. The zone of an IPv6 address (<c>ws://[fe80::1%25eth0]/</c>) is kept.
        /// </remarks>
        /// <exception cref="ArgumentException">The address cannot be used.</exception>
        public WebSocket(Uri uri)
        {
            if (uri == null)
            {
                throw new ArgumentNullException("uri");
            }
            if (!uri.IsAbsoluteUri)
            {
                throw new ArgumentException("The address must begin with ws: or wss:.", "uri");
            }
            NativeLibrary.EnsureLoaded();
            fw_socket socket;
            fixed (byte* url = Utf8.Terminated(Address.Of(uri), "uri"))
            {
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_create(url, &socket));
            }
            _handle = new SocketHandle(socket);
            _context = new LoggingContext(this);
            _extensions = new IExtension[] { new PerMessageCompression() };
        }

        /// <summary>Prepares a connection, with what is told to the server.</summary>
        /// <param name="uri">A <c>ws:</c> or <c>wss:</c> address.</param>
        /// <param name="origin">The Origin header; null or empty for none.</param>
        /// <param name="protocol">The subprotocol, or several with commas between; null or empty for none.</param>
        /// <param name="extensions">
        /// Extensions to negotiate, null for none. Where it is left out, messages are compressed as
        /// <see cref="PerMessageCompression()"/> says.
        /// </param>
        public WebSocket(Uri uri, string origin, string protocol, params IExtension[] extensions)
            : this(uri)
        {
            try
            {
                if (!string.IsNullOrEmpty(origin))
                {
                    Origin = origin;
                }
                if (!string.IsNullOrEmpty(protocol))
                {
                    foreach (string one in protocol.Split(','))
                    {
                        AddProtocol(one.Trim());
                    }
                }
                if (extensions == null || extensions.Length != 0)
                {
                    _extensions = extensions == null ? NoExtensions : (IExtension[])extensions.Clone();
                    Negotiate(_extensions);
                }
            }
            catch
            {
                _handle.Dispose();
                throw;
            }
        }

        /// <summary>The connection is established; from here on messages can be sent.</summary>
        public OnWebSocketOpenDelegate OnOpen { get; set; }

        /// <summary>A text message came.</summary>
        public OnWebSocketMessageDelegate OnMessage { get; set; }

        /// <summary>
        /// A text message came: its UTF-8 in a pooled array that is reused when the handler returns.
        /// </summary>
        public OnWebSocketBinaryNoAllocDelegate OnMessageNoAlloc { get; set; }

        /// <summary>A text message came: its UTF-8 where the library received it, without a copy.</summary>
        public OnWebSocketNativeDelegate OnMessageNoCopy { get; set; }

        /// <summary>A binary message came, in an array of its own.</summary>
        public OnWebSocketBinaryDelegate OnBinary { get; set; }

        /// <summary>
        /// A binary message came, in a pooled array that is reused when the handler returns: take
        /// what you need before. Use the segment's Count, never its Data.Length.
        /// </summary>
        public OnWebSocketBinaryNoAllocDelegate OnBinaryNoAlloc { get; set; }

        /// <summary>
        /// A binary message came, shown where the library received it, without a copy;
        /// <see cref="NativeSegment.Retain"/> keeps it longer than the handler runs.
        /// </summary>
        public OnWebSocketNativeDelegate OnBinaryNoCopy { get; set; }

        /// <summary>A pong came, the answers to the library's own pings included.</summary>
        public OnWebSocketBinaryNoAllocDelegate OnPong { get; set; }

        /// <summary>
        /// The connection was lost, or not made, and will be tried again after the delay, as
        /// <see cref="Reconnect"/> says. Closing the socket ends that.
        /// </summary>
        public OnWebSocketReconnectingDelegate OnReconnecting { get; set; }

        /// <summary>The connection has ended in order, with the server's code and reason.</summary>
        public OnWebSocketClosedDelegate OnClosed { get; set; }

        /// <summary>
        /// The connection could not be made, or was lost. <see cref="LastError"/> has the parts.
        /// </summary>
        public OnWebSocketErrorDelegate OnError { get; set; }

        /// <summary>
        /// Called for each fragment of a message that comes in several. While a handler is attached
        /// such messages are neither assembled nor stored; messages of one frame come as ever.
        /// </summary>
        public OnWebSocketIncompleteFrameDelegate OnIncompleteFrame
        {
            get { return _onIncompleteFrame; }
            set
            {
                EnableEvent(fw_event_type.FW_EVENT_INCOMPLETE_FRAME, value != null);
                _onIncompleteFrame = value;
            }
        }

        private OnWebSocketIncompleteFrameDelegate _onIncompleteFrame;

        /// <summary>
        /// Called with the upgrade request before every attempt, which waits until the handler has
        /// returned.
        /// </summary>
        public OnWebSocketRequestDelegate OnInternalRequestCreated
        {
            get { return _onInternalRequestCreated; }
            set
            {
                EnableEvent(fw_event_type.FW_EVENT_REQUEST, value != null || _internalRequest != null);
                _onInternalRequestCreated = value;
            }
        }

        private OnWebSocketRequestDelegate _onInternalRequestCreated;

        /// <summary>
        /// The upgrade request. What is changed here before Open holds for every attempt; inside
        /// OnInternalRequestCreated for that attempt.
        /// </summary>
        public HTTPRequest InternalRequest
        {
            get
            {
                if (_internalRequest == null)
                {
                    EnableEvent(fw_event_type.FW_EVENT_REQUEST, true);
                    _internalRequest = new HTTPRequest();
                }
                return _internalRequest;
            }
        }

        /// <summary>Starts connecting. Legal again after OnClosed or OnError, inside their handlers too.</summary>
        /// <exception cref="InvalidOperationException">It is connecting, open or closing.</exception>
        public void Open()
        {
            ThrowIfDisposed();
            WebSocketError lastError = LastError;
            LastError = null;
            // Before the first event can come, and so that a game need not hold on to an open socket.
            SocketTable.Add(this);
            fw_result result = FramewireNative.fw_socket_open(_handle.Socket);
            if (result != fw_result.FW_RESULT_OK)
            {
                Exception failure = NativeLibrary.Failure(result);
                SocketTable.RemoveOne(this);
                LastError = lastError;
                throw failure;
            }
        }

        /// <summary>Closes with code 1000 once everything queued is sent. While connecting it cancels.</summary>
        public void Close()
        {
            Close(1000, null);
        }

        /// <summary>
        /// Closes once everything queued is sent; OnClosed follows. Does nothing if the connection is
        /// closing or closed.
        /// </summary>
        /// <param name="code">1000 to 1003, 1007 to 1014, 3000 to 4999.</param>
        /// <param name="message">At most 123 bytes of UTF-8; may be null.</param>
        public void Close(ushort code, string message)
        {
            if (IsDisposed)
            {
                return;
            }
            fw_result result;
            fixed (byte* reason = Utf8.Terminated(message ?? string.Empty, "message"))
            {
                result = FramewireNative.fw_socket_close(_handle.Socket, code, reason);
            }
            if (result != fw_result.FW_RESULT_INVALID_STATE && result != fw_result.FW_RESULT_INVALID_HANDLE)
            {
                NativeLibrary.ThrowIfFailed(result);
            }
        }

        /// <summary>Drops the connection now, without a closing handshake; OnClosed follows.</summary>
        public void Abort()
        {
            if (!IsDisposed)
            {
                // INVALID_STATE says that it is closed already, which is what was wanted.
                FramewireNative.fw_socket_abort(_handle.Socket);
            }
        }

        /// <summary>
        /// Ends the socket: an open connection is closed in the background, and no handler is called
        /// any more. What is queued is dropped: to send it, Close and wait for OnClosed. May be called
        /// twice. Afterwards Open and Send throw, Close does nothing.
        /// </summary>
        public void Dispose()
        {
            SocketTable.Remove(this);
            _handle.Dispose();
        }

        /// <summary>Messages can be sent and received.</summary>
        public bool IsOpen
        {
            get { return FramewireNative.fw_socket_is_open(_handle.Socket) != 0; }
        }

        /// <summary>Where the socket is in its life.</summary>
        public WebSocketStates State
        {
            get { return (WebSocketStates)FramewireNative.fw_socket_state(_handle.Socket); }
        }

        /// <summary>How the last connection failed; null if it did not. Set when OnError is called.</summary>
        public WebSocketError LastError { get; private set; }

        /// <summary>Payload bytes that were sent and not yet handed to the network.</summary>
        public int BufferedAmount
        {
            get
            {
                ulong bytes = (ulong)FramewireNative.fw_socket_buffered_amount(_handle.Socket);
                return (int)Math.Min(bytes, int.MaxValue);
            }
        }

        /// <summary>
        /// The smoothed round trip time of the pings in milliseconds, 0 before the first answer. Needs
        /// <see cref="StartPingThread"/>.
        /// </summary>
        public int Latency
        {
            get { return (int)Math.Min(int.MaxValue, Math.Max(0, (LatencyMicroseconds + 500) / 1000)); }
        }

        /// <summary>The same in microseconds, -1 before the first answer.</summary>
        public long LatencyMicroseconds
        {
            get { return FramewireNative.fw_socket_latency_us(_handle.Socket); }
        }

        /// <summary>When the last message came (UTC), <see cref="DateTime.MinValue"/> for never.</summary>
        public DateTime LastMessageReceived
        {
            get
            {
                const long unixEpochTicks = 621355968000000000;
                ulong micros = FramewireNative.fw_socket_last_message_received(_handle.Socket);
                return micros == 0
                    ? DateTime.MinValue
                    : new DateTime(unixEpochTicks + (long)micros * 10, DateTimeKind.Utc);
            }
        }

        /// <summary>Pairs that go with every log line of this socket.</summary>
        public LoggingContext Context
        {
            get { return _context; }
        }

        /// <summary>
        /// The extensions that are offered to the server, in an array of its own. They are chosen by the
        /// constructor.
        /// </summary>
        public IExtension[] Extensions
        {
            get { return (IExtension[])_extensions.Clone(); }
        }

        /// <summary>The extensions that the server accepted, as it wrote them; empty for none.</summary>
        public string NegotiatedExtensions
        {
            get
            {
                ulong length = (ulong)FramewireNative.fw_socket_extensions(_handle.Socket, null, UIntPtr.Zero);
                var text = new byte[length + 1];
                fixed (byte* raw = text)
                {
                    FramewireNative.fw_socket_extensions(_handle.Socket, raw, (UIntPtr)text.Length);
                }
                return UpToNul(text);
            }
        }

        /// <summary>The subprotocol that the server chose; empty for none.</summary>
        public string Protocol
        {
            get
            {
                ulong length = (ulong)FramewireNative.fw_socket_protocol(_handle.Socket, null, UIntPtr.Zero);
                var text = new byte[length + 1];
                fixed (byte* raw = text)
                {
                    FramewireNative.fw_socket_protocol(_handle.Socket, raw, (UIntPtr)text.Length);
                }
                return UpToNul(text);
            }
        }

        /// <summary>The HTTP version of the upgrade; 0 before the server has answered.</summary>
        public int HttpVersion
        {
            get { return (int)FramewireNative.fw_socket_http_version(_handle.Socket); }
        }

        /// <summary>
        /// The HTTP status of the answer to the upgrade: 101 where it was done; 0 before there is one.
        /// </summary>
        public int ResponseStatus
        {
            get { return FramewireNative.fw_socket_response_status(_handle.Socket); }
        }

        /// <summary>The first KiB of the body of a refused upgrade, as text; empty for none.</summary>
        public string ResponseBody
        {
            get
            {
                byte* body = stackalloc byte[1025];
                ulong length = (ulong)FramewireNative.fw_socket_response_body(_handle.Socket, body, (UIntPtr)1025);
                return Utf8.Read(body, (int)Math.Min(length, 1024));
            }
        }

        /// <summary>A header of the answer to the upgrade; empty if there is none of that name.</summary>
        public string GetResponseHeader(string name)
        {
            byte[] text;
            fixed (byte* rawName = Utf8.Terminated(name, "name"))
            {
                ulong length = (ulong)FramewireNative.fw_socket_response_header(
                    _handle.Socket, rawName, null, UIntPtr.Zero);
                text = new byte[length + 1];
                fixed (byte* raw = text)
                {
                    FramewireNative.fw_socket_response_header(
                        _handle.Socket, rawName, raw, (UIntPtr)text.Length);
                }
            }
            return UpToNul(text);
        }

        /// <summary>Counts what the socket has done. Allocates nothing.</summary>
        public WebSocketStatistics GetStatistics()
        {
            fw_stats stats = default(fw_stats);
            FramewireNative.fw_stats_init(&stats, (UIntPtr)sizeof(fw_stats));
            FramewireNative.fw_socket_stats(_handle.Socket, &stats);
            return new WebSocketStatistics(stats);
        }

        internal fw_socket LiveHandle()
        {
            ThrowIfDisposed();
            return _handle.Socket;
        }

        private bool IsDisposed
        {
            get { return _handle.IsClosed; }
        }

        private void ThrowIfDisposed()
        {
            if (IsDisposed)
            {
                throw new ObjectDisposedException("WebSocket");
            }
        }

        private void EnableEvent(fw_event_type type, bool enable)
        {
            // Removing a handler from a dead socket is no fault.
            if (enable)
            {
                ThrowIfDisposed();
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_enable_event(_handle.Socket, type, 1));
            }
            else if (!IsDisposed)
            {
                FramewireNative.fw_socket_enable_event(_handle.Socket, type, 0);
            }
        }

        /// <summary>It may have changed between asking for its length and for itself.</summary>
        private static string UpToNul(byte[] text)
        {
            int length = Array.IndexOf(text, (byte)0);
            return Encoding.UTF8.GetString(text, 0, length < 0 ? text.Length : length);
        }
    }
}
