using System;
using System.Text;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// A WebSocket client. It has one connection at a time and can be opened again after it has ended.
    ///
    /// <para>No member blocks, except <see cref="Wait"/> and <see cref="Shutdown"/>. Methods may be called
    /// from any thread and inside any handler.</para>
    ///
    /// <para>Events are queued by the native library. <see cref="DispatchAll(int, int)"/> dequeues them and
    /// calls the handlers on the calling thread. In Unity, <c>WebSocketUpdater</c> calls it once per
    /// frame. The native library never calls managed code, so domain reloads and garbage-collected
    /// delegates are safe.</para>
    ///
    /// <para>Every Open ends with exactly one OnClosed or OnError, after all messages received before.</para>
    ///
    /// <para>Unless stated otherwise, methods and setters throw <see cref="ArgumentException"/> for an
    /// invalid value, <see cref="ObjectDisposedException"/> after Dispose, and
    /// <see cref="InvalidOperationException"/> in a wrong state.</para>
    /// </summary>
    public sealed unsafe partial class WebSocket : IDisposable
    {
        /// <summary>
        /// The native socket. Calls with it after it was destroyed are safe and fail, so they do not need the
        /// SafeHandle.
        /// </summary>
        internal readonly fw_socket Native;

        private readonly SocketHandle _handle;
        private volatile bool _isDisposed;

        // In bytes of UTF-8: a control frame has at most 125, and 2 are the code (RFC 6455 section 5.5).
        private const int MaxCloseReason = 123;

        private readonly LoggingContext _context;
        private static readonly IExtension[] NoExtensions = new IExtension[0];

        private readonly IExtension[] _extensions;
        private HTTPRequest _internalRequest;

        /// <summary>Creates a socket for a URL. Does not connect.</summary>
        /// <remarks>
        /// An internationalized host name is converted to punycode. User name and password are sent as
        /// basic authentication. The zone of an IPv6 address (<c>ws://[fe80::1%25eth0]/</c>) selects the
        /// network interface.
        /// </remarks>
        /// <param name="uri">A <c>ws:</c> or <c>wss:</c> URL.</param>
        /// <exception cref="ArgumentException">The URL is invalid.</exception>
        public WebSocket(Uri uri)
        {
            if (uri == null)
            {
                throw new ArgumentNullException("uri");
            }
            if (!uri.IsAbsoluteUri)
            {
                throw new ArgumentException("The URL must begin with ws: or wss:.", "uri");
            }
            FramewireLibrary.EnsureLoaded();
            StartLog();
            if (uri.UserInfo.Length != 0)
            {
                Capability.Require(WebSocketCapabilities.Headers, "A user name in the URL");
            }
            fw_socket socket;
            fixed (byte* url = Utf8.Terminated(Address.Of(uri), "uri"))
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_create(url, &socket));
            }
            Native = socket;
            _handle = new SocketHandle(socket);
            _context = new LoggingContext(this);
            LaneCount = 1;
            _extensions = Capability.Has(WebSocketCapabilities.CompressionSettings)
                ? new IExtension[] { new PerMessageCompression() }
                : NoExtensions;
        }

        /// <summary>Creates a socket for a URL, with handshake options. Does not connect.</summary>
        /// <param name="uri">A <c>ws:</c> or <c>wss:</c> URL.</param>
        /// <param name="origin">The Origin header, or null. No effect under WebGL: the browser sends the page's.</param>
        /// <param name="protocol">The subprotocol, or a comma-separated list, or null.</param>
        /// <param name="extensions">
        /// The extensions to offer, or null for none. If omitted, <see cref="PerMessageCompression"/> is
        /// offered with its defaults. Under WebGL the browser chooses, and extensions other than null throw a
        /// <see cref="NotSupportedException"/>.
        /// </param>
        public WebSocket(Uri uri, string origin, string protocol, params IExtension[] extensions)
            : this(uri)
        {
            try
            {
                if (!string.IsNullOrEmpty(origin) && Capability.Has(WebSocketCapabilities.Headers))
                {
                    Origin = origin;
                }
                if (!string.IsNullOrEmpty(protocol))
                {
                    foreach (string name in protocol.Split(','))
                    {
                        AddProtocol(name.Trim());
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
                Dispose();
                throw;
            }
        }

        /// <summary>Called when the connection is open and messages can be sent.</summary>
        public OnWebSocketOpenDelegate OnOpen
        {
            get { return Handlers.Combine(_onOpen); }
            set { _onOpen = Handlers.Split(value); }
        }

        private OnWebSocketOpenDelegate[] _onOpen;

        /// <summary>Called for each text message.</summary>
        public OnWebSocketMessageDelegate OnMessage
        {
            get { return Handlers.Combine(_onMessage); }
            set { _onMessage = Handlers.Split(CheckHandler(value)); }
        }

        private OnWebSocketMessageDelegate[] _onMessage;

        /// <summary>
        /// Called for each text message, with its UTF-8 in an array that is valid until the handler returns
        /// and is used again for the next message.
        /// </summary>
        public OnWebSocketBinaryNoAllocDelegate OnMessageNoAlloc
        {
            get { return Handlers.Combine(_onMessageNoAlloc); }
            set { _onMessageNoAlloc = Handlers.Split(CheckHandler(value)); }
        }

        private OnWebSocketBinaryNoAllocDelegate[] _onMessageNoAlloc;

        /// <summary>Called for each text message, with its UTF-8 in native memory, without a copy.</summary>
        public OnWebSocketNativeDelegate OnMessageNoCopy
        {
            get { return Handlers.Combine(_onMessageNoCopy); }
            set { _onMessageNoCopy = Handlers.Split(CheckHandler(value)); }
        }

        private OnWebSocketNativeDelegate[] _onMessageNoCopy;

        /// <summary>Called for each binary message, with a new array.</summary>
        public OnWebSocketBinaryDelegate OnBinary
        {
            get { return Handlers.Combine(_onBinary); }
            set { _onBinary = Handlers.Split(CheckHandler(value)); }
        }

        private OnWebSocketBinaryDelegate[] _onBinary;

        /// <summary>
        /// Called for each binary message, with an array that is valid until the handler returns and is used
        /// again for the next message. Use the segment's Count, not its Data.Length.
        /// </summary>
        public OnWebSocketBinaryNoAllocDelegate OnBinaryNoAlloc
        {
            get { return Handlers.Combine(_onBinaryNoAlloc); }
            set { _onBinaryNoAlloc = Handlers.Split(CheckHandler(value)); }
        }

        private OnWebSocketBinaryNoAllocDelegate[] _onBinaryNoAlloc;

        /// <summary>
        /// Called for each binary message, with its bytes in native memory, without a copy.
        /// <see cref="NativeSegment.Retain"/> keeps them after the handler returns.
        /// </summary>
        public OnWebSocketNativeDelegate OnBinaryNoCopy
        {
            get { return Handlers.Combine(_onBinaryNoCopy); }
            set { _onBinaryNoCopy = Handlers.Split(CheckHandler(value)); }
        }

        private OnWebSocketNativeDelegate[] _onBinaryNoCopy;

        /// <summary>
        /// Called for each pong, including those for keepalive pings. Not available under WebGL.
        /// </summary>
        public OnWebSocketBinaryNoAllocDelegate OnPong
        {
            get { return Handlers.Combine(_onPong); }
            set
            {
                if (value != null)
                {
                    Capability.Require(WebSocketCapabilities.Ping, "OnPong");
                }
                _onPong = Handlers.Split(value);
            }
        }

        private OnWebSocketBinaryNoAllocDelegate[] _onPong;

        /// <summary>
        /// Called when the connection failed and is retried after a delay; see <see cref="Reconnect"/>. Close
        /// cancels the retry.
        /// </summary>
        public OnWebSocketReconnectingDelegate OnReconnecting
        {
            get { return Handlers.Combine(_onReconnecting); }
            set { _onReconnecting = Handlers.Split(value); }
        }

        private OnWebSocketReconnectingDelegate[] _onReconnecting;

        /// <summary>
        /// Called once for each message with a <see cref="SendOptions.Tag"/>, before the connection ends.
        /// </summary>
        public OnWebSocketSentDelegate OnSent
        {
            get { return Handlers.Combine(_onSent); }
            set { _onSent = Handlers.Split(value); }
        }

        private OnWebSocketSentDelegate[] _onSent;

        /// <summary>
        /// Called when the connection has ended with a closing handshake, or was cancelled by Close or Abort.
        /// </summary>
        public OnWebSocketClosedDelegate OnClosed
        {
            get { return Handlers.Combine(_onClosed); }
            set { _onClosed = Handlers.Split(value); }
        }

        private OnWebSocketClosedDelegate[] _onClosed;

        /// <summary>
        /// Called when the connection failed. <see cref="LastError"/> contains the details.
        /// </summary>
        public OnWebSocketErrorDelegate OnError
        {
            get { return Handlers.Combine(_onError); }
            set { _onError = Handlers.Split(value); }
        }

        private OnWebSocketErrorDelegate[] _onError;

        /// <summary>
        /// Called for each fragment of a fragmented message. While a handler is attached, fragmented messages
        /// are not assembled. Messages of one frame are delivered as usual. Not available under WebGL.
        /// </summary>
        public OnWebSocketIncompleteFrameDelegate OnIncompleteFrame
        {
            get { return Handlers.Combine(_onIncompleteFrame); }
            set
            {
                if (value != null)
                {
                    Capability.Require(WebSocketCapabilities.Fragments, "OnIncompleteFrame");
                }
                CheckHandler(value);
                EnableEvent(fw_event_type.FW_EVENT_INCOMPLETE_FRAME, value != null);
                _onIncompleteFrame = Handlers.Split(value);
            }
        }

        private OnWebSocketIncompleteFrameDelegate[] _onIncompleteFrame;

        /// <summary>
        /// Called before each connection attempt, with the upgrade request. The attempt continues when the
        /// handler returns. Not available under WebGL.
        /// </summary>
        public OnWebSocketRequestDelegate OnInternalRequestCreated
        {
            get { return Handlers.Combine(_onInternalRequestCreated); }
            set
            {
                if (value != null)
                {
                    Capability.Require(WebSocketCapabilities.Headers, "OnInternalRequestCreated");
                }
                EnableEvent(fw_event_type.FW_EVENT_REQUEST, value != null || _internalRequest != null);
                _onInternalRequestCreated = Handlers.Split(value);
            }
        }

        private OnWebSocketRequestDelegate[] _onInternalRequestCreated;

        /// <summary>
        /// The upgrade request. A change made before Open applies to every connection attempt; a change made
        /// inside OnInternalRequestCreated applies to that attempt. Not available under WebGL.
        /// </summary>
        public HTTPRequest InternalRequest
        {
            get
            {
                if (_internalRequest == null)
                {
                    Capability.Require(WebSocketCapabilities.Headers, "InternalRequest");
                    EnableEvent(fw_event_type.FW_EVENT_REQUEST, true);
                    _internalRequest = new HTTPRequest();
                }
                return _internalRequest;
            }
        }

        /// <summary>
        /// Starts connecting. Can be called again after OnClosed or OnError, also inside their handlers.
        /// </summary>
        /// <exception cref="InvalidOperationException">The socket is connecting, open or closing.</exception>
        public void Open()
        {
            ThrowIfDisposed();
            if (_pulls && PendingEnds > 0)
            {
                throw new InvalidOperationException(
                    "The socket is not closed, or the last event of its last connection was not received yet.");
            }
            _pulls = false;
            OpenNow();
        }

        private void OpenNow()
        {
            WebSocketError lastError = LastError;
            LastError = null;
            CloseCode = 0;
            CloseReason = null;
            // Before the first event, and so that an open socket is not garbage-collected.
            SocketTable.Add(this);
            fw_result result = FramewireNative.fw_socket_open(Native);
            if (result != fw_result.FW_RESULT_OK)
            {
                Exception failure = FramewireLibrary.Failure(result);
                SocketTable.RemoveOne(this);
                LastError = lastError;
                throw failure;
            }
        }

        /// <summary>Closes with code 1000 after all queued messages. While connecting, cancels the attempt.</summary>
        public void Close()
        {
            Close(1000, null);
        }

        /// <summary>
        /// Starts the closing handshake after all queued messages. OnClosed follows. Does nothing if the
        /// connection is closing or closed.
        /// </summary>
        /// <param name="code">
        /// The close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999. Under WebGL, 1000 or 3000 to 4999.
        /// </param>
        /// <param name="message">The close reason, at most 123 bytes of UTF-8, or null.</param>
        public void Close(ushort code, string message)
        {
            if (IsDisposed)
            {
                return;
            }
            if (code != 1000 && (code < 3000 || code > 4999))
            {
                Capability.Require(WebSocketCapabilities.CloseCodes, "The close code " + code);
            }
            fw_result result;
            fixed (byte* reason = Utf8.Terminated(message ?? string.Empty, "message"))
            {
                result = FramewireNative.fw_socket_close(Native, code, reason);
            }
            if (result != fw_result.FW_RESULT_INVALID_STATE && result != fw_result.FW_RESULT_INVALID_HANDLE)
            {
                FramewireLibrary.ThrowIfFailed(result);
            }
        }

        /// <summary>Drops the connection immediately, without a closing handshake. OnClosed follows.</summary>
        public void Abort()
        {
            if (!IsDisposed)
            {
                // INVALID_STATE means that it is closed already.
                FramewireNative.fw_socket_abort(Native);
            }
        }

        /// <summary>
        /// Destroys the socket. An open connection is closed in the background, and no handler is called
        /// afterwards. Queued messages are dropped; to send them, call <see cref="DisposeWhenSent"/>. May be
        /// called more than once. Afterwards Open and Send throw, and Close does nothing.
        /// </summary>
        public void Dispose()
        {
            _isDisposed = true;
            SocketTable.Remove(this);
            _handle.Dispose();
            EndByDispose();
        }

        /// <summary>
        /// Disposes the socket, but first sends the queued messages and a close frame (1001) in the background.
        /// </summary>
        /// <param name="timeout">
        /// The maximum time for that, at least a millisecond. Messages that are not sent by then are dropped.
        /// </param>
        /// <exception cref="ArgumentOutOfRangeException">The timeout is out of range.</exception>
        public void DisposeWhenSent(TimeSpan timeout)
        {
            uint milliseconds = Milliseconds(timeout);
            // INVALID_HANDLE means that it is disposed already.
            FramewireNative.fw_socket_destroy_when_sent(Native, milliseconds);
            Dispose();
        }

        /// <summary>Whether the connection is open and messages can be sent.</summary>
        public bool IsOpen
        {
            get { return FramewireNative.fw_socket_is_open(Native) != 0; }
        }

        /// <summary>The state of the socket.</summary>
        public WebSocketStates State
        {
            get { return (WebSocketStates)FramewireNative.fw_socket_state(Native); }
        }

        /// <summary>
        /// The error of the last connection, or null. Set before OnError or OnReconnecting is called; null again when the
        /// connection is open.
        /// </summary>
        public WebSocketError LastError { get; private set; }

        /// <summary>The close code of the last connection. 0 until OnClosed, and if the connection failed.</summary>
        public int CloseCode { get; private set; }

        /// <summary>The close reason of the last connection, or null. Set together with CloseCode.</summary>
        public string CloseReason { get; private set; }

        /// <summary>The number of payload bytes in the send queue.</summary>
        public int BufferedAmount
        {
            get
            {
                ulong bytes = (ulong)FramewireNative.fw_socket_buffered_amount(Native);
                return (int)Math.Min(bytes, int.MaxValue);
            }
        }

        /// <summary>
        /// The smoothed round-trip time of pings in milliseconds, or 0 before the first pong. Requires
        /// <see cref="StartPingThread"/>. Always 0 under WebGL.
        /// </summary>
        public int Latency
        {
            get { return (int)Math.Min(int.MaxValue, Math.Max(0, (LatencyMicroseconds + 500) / 1000)); }
        }

        /// <summary>
        /// The smoothed round-trip time of pings in microseconds, or -1 before the first pong. Always -1 under
        /// WebGL.
        /// </summary>
        public long LatencyMicroseconds
        {
            get { return FramewireNative.fw_socket_latency_us(Native); }
        }

        /// <summary>
        /// The UTC time at which the last message was received, or <see cref="DateTime.MinValue"/>.
        /// </summary>
        public DateTime LastMessageReceived
        {
            get
            {
                const long unixEpochTicks = 621355968000000000;
                ulong micros = FramewireNative.fw_socket_last_message_received(Native);
                return micros == 0
                    ? DateTime.MinValue
                    : new DateTime(unixEpochTicks + (long)micros * 10, DateTimeKind.Utc);
            }
        }

        /// <summary>Key-value pairs that are added to every log line of this socket.</summary>
        public LoggingContext Context
        {
            get { return _context; }
        }

        /// <summary>
        /// A copy of the extensions that are offered to the server, as given to the constructor. Empty under
        /// WebGL, where the browser chooses; see <see cref="NegotiatedExtensions"/>.
        /// </summary>
        public IExtension[] Extensions
        {
            get { return (IExtension[])_extensions.Clone(); }
        }

        /// <summary>Returns the counters of the socket. Does not allocate.</summary>
        /// <returns>A copy of the counters.</returns>
        public WebSocketStatistics GetStatistics()
        {
            WebSocketStatistics statistics;
            TryGetStatistics(out statistics);
            return statistics;
        }

        /// <summary>Returns false, and counters of 0, if the native socket was destroyed.</summary>
        internal bool TryGetStatistics(out WebSocketStatistics statistics)
        {
            fw_stats stats = default(fw_stats);
            FramewireNative.fw_stats_init(&stats, (UIntPtr)sizeof(fw_stats));
            fw_result result = FramewireNative.fw_socket_stats(Native, &stats);
            statistics = new WebSocketStatistics(stats);
            return result == fw_result.FW_RESULT_OK;
        }

        /// <summary>
        /// Sets the lanes in which messages wait until they begin, at most 8; none is the same as one. Sends without
        /// options use lane 0. Takes effect at any time.
        /// </summary>
        /// <param name="lanes">The lanes.</param>
        /// <exception cref="InvalidOperationException">A lane that would be removed has waiting messages.</exception>
        public void SetLanes(params WebSocketLane[] lanes)
        {
            if (lanes == null)
            {
                throw new ArgumentNullException("lanes");
            }
            fw_lane[] raw = new fw_lane[lanes.Length];
            for (int index = 0; index < raw.Length; index++)
            {
                raw[index] = lanes[index].Raw;
            }
            fixed (fw_lane* first = raw)
            {
                fw_result result = FramewireNative.fw_socket_set_lanes(LiveHandle(), first, (UIntPtr)raw.Length);
                FramewireLibrary.ThrowIfFailed(result);
            }
            LaneCount = Math.Max(1, raw.Length);
        }

        /// <summary>Returns the counts of a lane. Does not allocate.</summary>
        /// <param name="lane">The lane, from 0.</param>
        /// <returns>A copy of the counts.</returns>
        public WebSocketLaneStatistics GetLaneStatistics(int lane)
        {
            WebSocketLaneStatistics statistics;
            FramewireLibrary.ThrowIfFailed(ReadLane(LiveHandle(), NonNegative(lane), out statistics));
            return statistics;
        }

        /// <summary>Returns false if the native socket was destroyed, or the lane removed.</summary>
        internal bool TryGetLaneStatistics(int lane, out WebSocketLaneStatistics statistics)
        {
            return ReadLane(Native, NonNegative(lane), out statistics) == fw_result.FW_RESULT_OK;
        }

        private static fw_result ReadLane(fw_socket socket, uint lane, out WebSocketLaneStatistics statistics)
        {
            fw_lane_stats stats = default(fw_lane_stats);
            stats.struct_size = (uint)sizeof(fw_lane_stats);
            fw_result result = FramewireNative.fw_socket_lane_stats(socket, lane, &stats);
            statistics = new WebSocketLaneStatistics(stats);
            return result;
        }

        /// <summary>The number of lanes.</summary>
        internal int LaneCount { get; private set; }

        internal fw_socket LiveHandle()
        {
            ThrowIfDisposed();
            return Native;
        }

        /// <summary>Whether a handler for messages is attached.</summary>
        private bool HasMessageHandlers
        {
            get
            {
                return _onMessage != null || _onMessageNoAlloc != null || _onMessageNoCopy != null || _onBinary != null
                    || _onBinaryNoAlloc != null || _onBinaryNoCopy != null || _onIncompleteFrame != null;
            }
        }

        /// <summary>Rejects a handler that would never be called.</summary>
        private T CheckHandler<T>(T value) where T : class
        {
            if (value != null && _pulls && PendingEnds > 0)
            {
                throw new InvalidOperationException(
                    "The messages of this connection are received with ReceiveAsync. To use handlers, attach them before "
                    + "OpenAsync.");
            }
            return value;
        }

        private bool IsDisposed
        {
            get { return _isDisposed; }
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
            // Removing a handler from a disposed socket is allowed.
            if (enable)
            {
                ThrowIfDisposed();
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_enable_event(Native, type, 1));
            }
            else if (!IsDisposed)
            {
                FramewireNative.fw_socket_enable_event(Native, type, 0);
            }
        }
    }
}
