using System;
using Framewire.Native;

namespace Framewire
{
    // Settings. They require a closed socket unless their comment says otherwise. Those that are not available
    // under WebGL throw a NotSupportedException there, except for their default values.
    public sealed unsafe partial class WebSocket
    {
        private bool _startPingThread;
        private int _pingFrequency = 1000;
        private TimeSpan _closeAfterNoMessage = TimeSpan.FromSeconds(2);
        private string _origin = string.Empty;
        private int _maxFragmentSize = 32767;
        private int _maxMessageSize = 64 * 1024 * 1024;
        private long _maxBufferedAmount = 64 * 1024 * 1024;
        private TimeSpan _connectTimeout = TimeSpan.FromSeconds(20);
        private TimeSpan _closeTimeout = TimeSpan.FromSeconds(5);
        private TlsSettings _tls;
        private WebSocketHttpVersion _requestedHttpVersion;
        private string _proxy;
        private int _maxRedirects;
        private bool _keepCookies;
        private ReconnectSettings _reconnect;
        private LinkConditions? _link;

        /// <summary>
        /// Enables keepalive pings, which measure <see cref="Latency"/> and detect dead connections. Starts no
        /// thread. Can change while open. No effect under WebGL. Default: false.
        /// </summary>
        public bool StartPingThread
        {
            get { return _startPingThread; }
            set
            {
                fw_socket socket = LiveHandle();
                if (Capability.Has(WebSocketCapabilities.Ping))
                {
                    FramewireLibrary.ThrowIfFailed(
                        FramewireNative.fw_socket_set_start_ping_thread(socket, value ? (byte)1 : (byte)0));
                }
                _startPingThread = value;
            }
        }

        /// <summary>
        /// The interval between keepalive pings in milliseconds, at least 10. Can change while open. No effect
        /// under WebGL. Default: 1000.
        /// </summary>
        public int PingFrequency
        {
            get { return _pingFrequency; }
            set
            {
                fw_socket socket = LiveHandle();
                uint milliseconds = NonNegative(value);
                if (Capability.Has(WebSocketCapabilities.Ping))
                {
                    FramewireLibrary.ThrowIfFailed(
                        FramewireNative.fw_socket_set_ping_frequency(socket, milliseconds));
                }
                _pingFrequency = value;
            }
        }

        /// <summary>
        /// The time to wait for any data after a keepalive ping. When it expires, the connection ends with
        /// OnError. Can change while open. No effect under WebGL. Default: 2 seconds.
        /// </summary>
        public TimeSpan CloseAfterNoMesssage
        {
            get { return _closeAfterNoMessage; }
            set
            {
                fw_socket socket = LiveHandle();
                uint milliseconds = Milliseconds(value);
                if (Capability.Has(WebSocketCapabilities.Ping))
                {
                    FramewireLibrary.ThrowIfFailed(
                        FramewireNative.fw_socket_set_close_after_no_message(socket, milliseconds));
                }
                _closeAfterNoMessage = value;
            }
        }

        /// <summary>The same as <see cref="CloseAfterNoMesssage"/>, spelled correctly.</summary>
        public TimeSpan CloseAfterNoMessage
        {
            get { return CloseAfterNoMesssage; }
            set { CloseAfterNoMesssage = value; }
        }

        /// <summary>
        /// The Origin header, such as <c>https://example.org</c>; empty for none. An internationalized host
        /// name is converted to punycode. Not available under WebGL. Default: empty.
        /// </summary>
        public string Origin
        {
            get { return _origin; }
            set
            {
                if (!string.IsNullOrEmpty(value))
                {
                    Capability.Require(WebSocketCapabilities.Headers, "Origin");
                }
                fixed (byte* raw = Utf8.Terminated(Address.WithAsciiHost(value ?? string.Empty, "value"), "value"))
                {
                    FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_origin(LiveHandle(), raw));
                }
                _origin = value ?? string.Empty;
            }
        }

        /// <summary>
        /// The maximum payload of a sent frame in bytes. Larger messages are sent in fragments. Can change
        /// while open. Not available under WebGL. Default: 32767.
        /// </summary>
        public int MaxFragmentSize
        {
            get { return _maxFragmentSize; }
            set
            {
                Capability.Require(WebSocketCapabilities.Fragments, "MaxFragmentSize");
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_max_fragment_size(LiveHandle(), (UIntPtr)NonNegative(value)));
                _maxFragmentSize = value;
            }
        }

        /// <summary>
        /// The maximum size of a received message in bytes. A larger message ends the connection with close
        /// code 1009 and OnError. Under WebGL it is in memory by then. Default: 64 MiB.
        /// </summary>
        public int MaxMessageSize
        {
            get { return _maxMessageSize; }
            set
            {
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_max_message_size(LiveHandle(), (UIntPtr)NonNegative(value)));
                _maxMessageSize = value;
            }
        }

        /// <summary>
        /// The limit of the send queue in bytes. When <see cref="BufferedAmount"/> reaches it, sends return
        /// <see cref="SendResult.QueueFull"/>. Can change while open. Default: 64 MiB.
        /// </summary>
        public long MaxBufferedAmount
        {
            get { return _maxBufferedAmount; }
            set
            {
                if (value < 0)
                {
                    throw new ArgumentOutOfRangeException("value");
                }
                ulong bytes = Math.Min((ulong)value, UIntPtr.Size == 4 ? uint.MaxValue : ulong.MaxValue);
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_max_buffered_amount(LiveHandle(), (UIntPtr)bytes));
                _maxBufferedAmount = value;
            }
        }

        /// <summary>
        /// The timeout from Open to OnOpen, over all phases. When it expires, OnError is called. Default: 20
        /// seconds.
        /// </summary>
        public TimeSpan ConnectTimeout
        {
            get { return _connectTimeout; }
            set
            {
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_connect_timeout(LiveHandle(), Milliseconds(value)));
                _connectTimeout = value;
            }
        }

        /// <summary>
        /// The timeout for the closing handshake. When it expires, OnClosed is called with code 1006. Default:
        /// 5 seconds.
        /// </summary>
        public TimeSpan CloseTimeout
        {
            get { return _closeTimeout; }
            set
            {
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_close_timeout(LiveHandle(), Milliseconds(value)));
                _closeTimeout = value;
            }
        }

        /// <summary>
        /// The HTTP version to connect with. Sockets to one server share an HTTP/2 connection.
        /// <see cref="HttpVersion"/> returns the version in use. Not available under WebGL. Default: Automatic.
        /// </summary>
        public WebSocketHttpVersion RequestedHttpVersion
        {
            get { return _requestedHttpVersion; }
            set
            {
                if (value != WebSocketHttpVersion.Automatic)
                {
                    Capability.Require(WebSocketCapabilities.HttpVersion, "RequestedHttpVersion");
                }
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_http_version(LiveHandle(), (fw_http)value));
                _requestedHttpVersion = value;
            }
        }

        /// <summary>
        /// The proxy to connect through, such as <c>http://user:password@host:3128</c>, or with
        /// <c>https:</c>, <c>socks5:</c> or <c>socks5h:</c>. Empty uses no proxy. Default: null, which uses
        /// the environment variables HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. Not available under WebGL.
        /// </summary>
        public string Proxy
        {
            get { return _proxy; }
            set
            {
                if (value == null)
                {
                    FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_proxy(LiveHandle(), null));
                }
                else
                {
                    Capability.Require(WebSocketCapabilities.Proxy, "Proxy");
                    fixed (byte* raw = Utf8.Terminated(Address.WithAsciiHost(value, "value"), "value"))
                    {
                        FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_proxy(LiveHandle(), raw));
                    }
                }
                _proxy = value;
            }
        }

        /// <summary>
        /// The maximum number of redirects to follow, never from <c>wss:</c> to <c>ws:</c>. Not available under
        /// WebGL. Default: 0.
        /// </summary>
        public int MaxRedirects
        {
            get { return _maxRedirects; }
            set
            {
                if (value > 0)
                {
                    Capability.Require(WebSocketCapabilities.Redirects, "MaxRedirects");
                }
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_max_redirects(LiveHandle(), NonNegative(value)));
                _maxRedirects = value;
            }
        }

        /// <summary>
        /// Stores the cookies that servers set for this socket, and sends them back. False also deletes them.
        /// Not available under WebGL. Default: false.
        /// </summary>
        public bool KeepCookies
        {
            get { return _keepCookies; }
            set
            {
                if (value)
                {
                    Capability.Require(WebSocketCapabilities.Cookies, "KeepCookies");
                }
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_cookies(LiveHandle(), value ? (byte)1 : (byte)0));
                _keepCookies = value;
            }
        }

        /// <summary>
        /// Settings for retries after a retriable failure, with exponential backoff and jitter; null disables
        /// retries. OnReconnecting is called before each retry, and OnError or OnClosed once at the end.
        /// Meanwhile the state is Connecting, and sends are rejected or queued according to
        /// <see cref="ReconnectSettings.QueueSends"/>. The assigned object becomes read-only. Default: null.
        /// </summary>
        public ReconnectSettings Reconnect
        {
            get { return _reconnect; }
            set
            {
                if (value == null)
                {
                    FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_reconnect(LiveHandle(), null));
                }
                else
                {
                    fw_reconnect reconnect = default(fw_reconnect);
                    FramewireNative.fw_reconnect_init(&reconnect, (UIntPtr)sizeof(fw_reconnect));
                    reconnect.min_delay_ms = Milliseconds(value.MinDelay);
                    reconnect.max_delay_ms = Milliseconds(value.MaxDelay);
                    reconnect.max_attempts = NonNegative(value.MaxAttempts);
                    reconnect.queue_sends = value.QueueSends ? 1u : 0u;
                    FramewireLibrary.ThrowIfFailed(
                        FramewireNative.fw_socket_set_reconnect(LiveHandle(), &reconnect));
                    value.Freeze();
                }
                _reconnect = value;
            }
        }

        /// <summary>
        /// Simulates a bad network: delay, jitter, a limited data rate, stalls and failures. Takes effect at any
        /// time; null disables it. Not available under WebGL. Default: null, or what was set with
        /// <see cref="SetLinkOfAll"/>, which this does not return.
        /// </summary>
        public LinkConditions? Link
        {
            get { return _link; }
            set
            {
                SetLink(LiveHandle(), value);
                _link = value;
            }
        }

        /// <summary>
        /// Sets the simulated link of every socket: those that exist, and those that are created until the library is
        /// shut down. Not available under WebGL.
        /// </summary>
        /// <param name="link">The conditions; null disables the links.</param>
        public static void SetLinkOfAll(LinkConditions? link)
        {
            FramewireLibrary.EnsureLoaded();
            SetLink(default(fw_socket), link);
        }

        private static void SetLink(fw_socket socket, LinkConditions? link)
        {
            if (link == null)
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_link(socket, null));
                return;
            }
            Capability.Require(WebSocketCapabilities.Link, "Link");
            fw_link raw = link.Value.Raw;
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_link(socket, &raw));
        }

        /// <summary>
        /// Captures the traffic to a pcapng file, which Wireshark opens: of connections that start from now on. Sockets
        /// with the same path share one file. A thread of the library writes it; if it cannot, that is logged and the
        /// socket continues. Not available under WebGL.
        /// </summary>
        /// <param name="path">The file, which is replaced if it exists; null ends the capture.</param>
        /// <param name="options">The options.</param>
        public void SetCapture(string path, CaptureOptions options = default(CaptureOptions))
        {
            SetCapture(LiveHandle(), path, options);
        }

        /// <summary>
        /// Captures the traffic of every socket: those that exist, and those that are created until the library is
        /// shut down; see <see cref="SetCapture(string, CaptureOptions)"/>. Not available under WebGL.
        /// </summary>
        /// <param name="path">The file, which is replaced if it exists; null ends the captures.</param>
        /// <param name="options">The options.</param>
        public static void SetCaptureOfAll(string path, CaptureOptions options = default(CaptureOptions))
        {
            FramewireLibrary.EnsureLoaded();
            SetCapture(default(fw_socket), path, options);
        }

        private static void SetCapture(fw_socket socket, string path, CaptureOptions options)
        {
            if (path == null)
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_capture(socket, null, null));
                return;
            }
            Capability.Require(WebSocketCapabilities.Capture, "SetCapture");
            fw_capture raw = options.Raw;
            fixed (byte* rawPath = Utf8.Terminated(path, "path"))
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_capture(socket, rawPath, &raw));
            }
        }

        /// <summary>
        /// TLS settings for <c>wss:</c>. Not available under WebGL. Default: null, for default settings; null
        /// cannot be assigned.
        /// </summary>
        public TlsSettings Tls
        {
            get { return _tls; }
            set
            {
                if (value == null)
                {
                    throw new ArgumentNullException("value");
                }
                Capability.Require(WebSocketCapabilities.TlsSettings, "Tls");
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_tls(LiveHandle(), value.Raw));
                _tls = value;
            }
        }

        /// <summary>Offers only these extensions to the server.</summary>
        private void Negotiate(IExtension[] extensions)
        {
            PerMessageCompression compression = null;
            foreach (IExtension extension in extensions)
            {
                if (extension == null)
                {
                    continue;
                }
                if (extension is CustomExtension)
                {
                    continue;
                }
                if (compression != null || !(extension is PerMessageCompression))
                {
                    throw new NotSupportedException(
                        "Only CustomExtensions and one PerMessageCompression can be offered; " + extension.Name
                        + " is neither.");
                }
                compression = (PerMessageCompression)extension;
            }
            OfferExtensions(extensions);
            if (compression == null)
            {
                if (Capability.Has(WebSocketCapabilities.CompressionSettings))
                {
                    FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_compression(LiveHandle(), null));
                }
                return;
            }
            Capability.Require(WebSocketCapabilities.CompressionSettings, "PerMessageCompression");
            fw_compression settings = compression.ToNative();
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_compression(LiveHandle(), &settings));
        }

        /// <summary>
        /// Adds a subprotocol to offer. <see cref="Protocol"/> returns the one selected by the server.
        /// </summary>
        /// <param name="protocol">The name of the subprotocol, a token.</param>
        public void AddProtocol(string protocol)
        {
            fixed (byte* raw = Utf8.Terminated(protocol, "protocol"))
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_add_protocol(LiveHandle(), raw));
            }
        }

        /// <summary>
        /// Adds a header to the upgrade request. Authorization, Origin and User-Agent (<c>Framewire/</c> and
        /// the version by default) replace the previous value. Not available under WebGL.
        /// </summary>
        /// <param name="name">The name, which must not belong to the handshake.</param>
        /// <param name="value">The value: visible ASCII, spaces and tabs.</param>
        public void AddHeader(string name, string value)
        {
            Capability.Require(WebSocketCapabilities.Headers, "AddHeader");
            fixed (byte* rawName = Utf8.Terminated(name, "name"))
            fixed (byte* rawValue = Utf8.Terminated(value, "value"))
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_add_header(LiveHandle(), rawName, rawValue));
            }
        }

        /// <summary>
        /// Sets HTTP basic authentication for the upgrade request (RFC 7617). Not available under WebGL.
        /// </summary>
        /// <param name="user">The user name, without a colon.</param>
        /// <param name="password">The password.</param>
        public void SetBasicAuth(string user, string password)
        {
            Capability.Require(WebSocketCapabilities.Headers, "SetBasicAuth");
            fixed (byte* rawUser = Utf8.Terminated(user, "user"))
            fixed (byte* rawPassword = Utf8.Terminated(password, "password"))
            {
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_basic_auth(LiveHandle(), rawUser, rawPassword));
            }
        }

        /// <summary>
        /// Sets a bearer token for the upgrade request (RFC 6750). Not available under WebGL.
        /// </summary>
        /// <param name="token">The token.</param>
        public void SetBearerAuth(string token)
        {
            Capability.Require(WebSocketCapabilities.Headers, "SetBearerAuth");
            fixed (byte* raw = Utf8.Terminated(token, "token"))
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_bearer_auth(LiveHandle(), raw));
            }
        }

        internal static uint NonNegative(int value)
        {
            if (value < 0)
            {
                throw new ArgumentOutOfRangeException("value");
            }
            return (uint)value;
        }

        internal static uint Milliseconds(TimeSpan value)
        {
            double milliseconds = Math.Ceiling(value.TotalMilliseconds);
            if (milliseconds < 1 || milliseconds > uint.MaxValue)
            {
                throw new ArgumentOutOfRangeException("value");
            }
            return (uint)milliseconds;
        }
    }
}
