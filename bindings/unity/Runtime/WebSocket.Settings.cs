using System;
using Framewire.Native;

namespace Framewire
{
    // Settings. Those that say so hold at any time, the others are made while the socket is closed.
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

        /// <summary>
        /// Sends pings, which measures <see cref="Latency"/> and finds dead connections. No thread is
        /// started for it. At any time; false by default.
        /// </summary>
        public bool StartPingThread
        {
            get { return _startPingThread; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_start_ping_thread(LiveHandle(), value ? (byte)1 : (byte)0));
                _startPingThread = value;
            }
        }

        /// <summary>Milliseconds between two pings, at least 10. At any time; 1000 by default.</summary>
        public int PingFrequency
        {
            get { return _pingFrequency; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_ping_frequency(LiveHandle(), Positive(value)));
                _pingFrequency = value;
            }
        }

        /// <summary>
        /// With pings on: a ping unanswered for so long, with nothing else received meanwhile either,
        /// ends the connection with OnError. At any time; 2 seconds by default.
        /// </summary>
        public TimeSpan CloseAfterNoMesssage
        {
            get { return _closeAfterNoMessage; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_close_after_no_message(LiveHandle(), Milliseconds(value)));
                _closeAfterNoMessage = value;
            }
        }

        /// <summary>The same as <see cref="CloseAfterNoMesssage"/>, by the spelling of dictionaries.</summary>
        public TimeSpan CloseAfterNoMessage
        {
            get { return CloseAfterNoMesssage; }
            set { CloseAfterNoMesssage = value; }
        }

        /// <summary>
        /// The Origin header, such as <c>https://example.org</c>; empty for none. A host in it is sent as
        /// punycode.
        /// </summary>
        public string Origin
        {
            get { return _origin; }
            set
            {
                fixed (byte* raw = Utf8.Terminated(Address.WithAsciiHost(value ?? string.Empty, "value"), "value"))
                {
                    NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_origin(LiveHandle(), raw));
                }
                _origin = value ?? string.Empty;
            }
        }

        /// <summary>
        /// Messages larger than this go out in several frames of this size. At any time; 32767 bytes
        /// by default.
        /// </summary>
        public int MaxFragmentSize
        {
            get { return _maxFragmentSize; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_max_fragment_size(LiveHandle(), (UIntPtr)Positive(value)));
                _maxFragmentSize = value;
            }
        }

        /// <summary>A larger message ends the connection with close code 1009 and OnError. 64 MiB by default.</summary>
        public int MaxMessageSize
        {
            get { return _maxMessageSize; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_max_message_size(LiveHandle(), (UIntPtr)Positive(value)));
                _maxMessageSize = value;
            }
        }

        /// <summary>
        /// While <see cref="BufferedAmount"/> is at this or past it, sends are refused with
        /// <see cref="SendResult.QueueFull"/>. At any time; 64 MiB by default.
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
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_max_buffered_amount(LiveHandle(), (UIntPtr)bytes));
                _maxBufferedAmount = value;
            }
        }

        /// <summary>From Open to OnOpen, over all phases; past it OnError comes. 20 seconds by default.</summary>
        public TimeSpan ConnectTimeout
        {
            get { return _connectTimeout; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_connect_timeout(LiveHandle(), Milliseconds(value)));
                _connectTimeout = value;
            }
        }

        /// <summary>For the closing handshake; past it OnClosed comes with 1006. 5 seconds by default.</summary>
        public TimeSpan CloseTimeout
        {
            get { return _closeTimeout; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_close_timeout(LiveHandle(), Milliseconds(value)));
                _closeTimeout = value;
            }
        }

        /// <summary>
        /// Which version of HTTP to begin with; sockets of one server share a connection of HTTP/2.
        /// <see cref="HttpVersion"/> says which one it became. Automatic by default.
        /// </summary>
        public WebSocketHttpVersion RequestedHttpVersion
        {
            get { return _requestedHttpVersion; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_http_version(LiveHandle(), (fw_http)value));
                _requestedHttpVersion = value;
            }
        }

        /// <summary>
        /// The proxy on the way to the server, such as <c>http://user:password@host:3128</c>,
        /// <c>https:</c>, <c>socks5:</c> or <c>socks5h:</c>. Empty for none; null, the default, for what
        /// the environment says (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY).
        /// </summary>
        public string Proxy
        {
            get { return _proxy; }
            set
            {
                if (value == null)
                {
                    NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_proxy(LiveHandle(), null));
                }
                else
                {
                    fixed (byte* raw = Utf8.Terminated(Address.WithAsciiHost(value, "value"), "value"))
                    {
                        NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_proxy(LiveHandle(), raw));
                    }
                }
                _proxy = value;
            }
        }

        /// <summary>
        /// How many redirects one Open may follow, never from <c>wss:</c> to <c>ws:</c>. 0 by default.
        /// </summary>
        public int MaxRedirects
        {
            get { return _maxRedirects; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_max_redirects(LiveHandle(), Positive(value)));
                _maxRedirects = value;
            }
        }

        /// <summary>
        /// Keeps the cookies that servers set, for this socket, and sends them back; false, the default,
        /// also forgets them.
        /// </summary>
        public bool KeepCookies
        {
            get { return _keepCookies; }
            set
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_cookies(LiveHandle(), value ? (byte)1 : (byte)0));
                _keepCookies = value;
            }
        }

        /// <summary>
        /// Tries again when the connection is lost, or could not be made, and that may help; null, the
        /// default, does not. OnReconnecting comes before each try, OnError or OnClosed once at the end;
        /// meanwhile the socket is connecting, and sends are refused or wait, as
        /// <see cref="ReconnectSettings.QueueSends"/> says. What is set here can no longer be changed:
        /// assign new settings instead.
        /// </summary>
        public ReconnectSettings Reconnect
        {
            get { return _reconnect; }
            set
            {
                if (value == null)
                {
                    NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_reconnect(LiveHandle(), null));
                }
                else
                {
                    fw_reconnect reconnect = default(fw_reconnect);
                    FramewireNative.fw_reconnect_init(&reconnect, (UIntPtr)sizeof(fw_reconnect));
                    reconnect.min_delay_ms = Milliseconds(value.MinDelay);
                    reconnect.max_delay_ms = Milliseconds(value.MaxDelay);
                    reconnect.max_attempts = Positive(value.MaxAttempts);
                    reconnect.queue_sends = value.QueueSends ? 1u : 0u;
                    NativeLibrary.ThrowIfFailed(
                        FramewireNative.fw_socket_set_reconnect(LiveHandle(), &reconnect));
                    value.Freeze();
                }
                _reconnect = value;
            }
        }

        /// <summary>TLS settings for <c>wss:</c>; null for the default ones, which cannot be set again.</summary>
        public TlsSettings Tls
        {
            get { return _tls; }
            set
            {
                if (value == null)
                {
                    throw new ArgumentNullException("value");
                }
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_tls(LiveHandle(), value.Raw));
                _tls = value;
            }
        }

        /// <summary>Offers these extensions to the server, and no others.</summary>
        private void Negotiate(IExtension[] extensions)
        {
            PerMessageCompression compression = null;
            foreach (IExtension extension in extensions)
            {
                if (extension == null)
                {
                    continue;
                }
                if (compression != null || !(extension is PerMessageCompression))
                {
                    throw new NotSupportedException(
                        "The library knows one PerMessageCompression, and not the extension " + extension.Name + ".");
                }
                compression = (PerMessageCompression)extension;
            }
            if (compression == null)
            {
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_compression(LiveHandle(), null));
                return;
            }
            fw_compression settings = compression.ToNative();
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_compression(LiveHandle(), &settings));
        }

        /// <summary>Offers a subprotocol, beside those offered already; <see cref="Protocol"/> says the server's choice.</summary>
        public void AddProtocol(string protocol)
        {
            fixed (byte* raw = Utf8.Terminated(protocol, "protocol"))
            {
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_add_protocol(LiveHandle(), raw));
            }
        }

        /// <summary>
        /// Adds a header to the upgrade request of every attempt. Authorization, Origin and User-Agent
        /// (<c>Framewire/</c> and the version by default) take the place of the one before.
        /// </summary>
        public void AddHeader(string name, string value)
        {
            fixed (byte* rawName = Utf8.Terminated(name, "name"))
            fixed (byte* rawValue = Utf8.Terminated(value, "value"))
            {
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_add_header(LiveHandle(), rawName, rawValue));
            }
        }

        /// <summary>Sends user and password with the upgrade request (RFC 7617).</summary>
        public void SetBasicAuth(string user, string password)
        {
            fixed (byte* rawUser = Utf8.Terminated(user, "user"))
            fixed (byte* rawPassword = Utf8.Terminated(password, "password"))
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_basic_auth(LiveHandle(), rawUser, rawPassword));
            }
        }

        /// <summary>Sends a token with the upgrade request (RFC 6750).</summary>
        public void SetBearerAuth(string token)
        {
            fixed (byte* raw = Utf8.Terminated(token, "token"))
            {
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_socket_set_bearer_auth(LiveHandle(), raw));
            }
        }

        private static uint Positive(int value)
        {
            if (value < 0)
            {
                throw new ArgumentOutOfRangeException("value");
            }
            return (uint)value;
        }

        private static uint Milliseconds(TimeSpan value)
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
