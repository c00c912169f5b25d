#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Collections.Generic;
using System.Net;
using System.Threading;

namespace Framewire
{
    /// <summary>
    /// The options of a <see cref="FramewireClientWebSocket"/>, in the manner of ClientWebSocketOptions. Read-only after
    /// ConnectAsync was called.
    /// </summary>
    public sealed class FramewireClientWebSocketOptions
    {
        private readonly List<KeyValuePair<string, string>> _headers = new List<KeyValuePair<string, string>>();
        private readonly List<string> _subProtocols = new List<string>();
        private TimeSpan _keepAliveInterval = TimeSpan.FromSeconds(30);
        private TimeSpan _keepAliveTimeout = Timeout.InfiniteTimeSpan;
        private ICredentials _credentials;
        private IWebProxy _proxy;
        private bool _isProxySet;
        private CookieContainer _cookies;
        private bool _collectsResponse;
        private TlsSettings _tls;
        private PerMessageCompression _compression;
        private Action<WebSocket> _configure;
        private bool _isReadOnly;

        internal FramewireClientWebSocketOptions()
        {
        }

        /// <summary>Sets a header of the upgrade request. A value of null removes it.</summary>
        /// <param name="headerName">The name.</param>
        /// <param name="headerValue">The value.</param>
        public void SetRequestHeader(string headerName, string headerValue)
        {
            ThrowIfReadOnly();
            if (headerName == null)
            {
                throw new ArgumentNullException("headerName");
            }
            _headers.RemoveAll(pair => string.Equals(pair.Key, headerName, StringComparison.OrdinalIgnoreCase));
            if (headerValue != null)
            {
                _headers.Add(new KeyValuePair<string, string>(headerName, headerValue));
            }
        }

        /// <summary>Adds a subprotocol to offer.</summary>
        /// <param name="subProtocol">The name, a token that was not added yet.</param>
        public void AddSubProtocol(string subProtocol)
        {
            ThrowIfReadOnly();
            if (string.IsNullOrEmpty(subProtocol))
            {
                throw new ArgumentException("A subprotocol must not be empty.", "subProtocol");
            }
            foreach (char c in subProtocol)
            {
                if (c <= ' ' || c > '~' || "()<>@,;:\\\"/[]?={}".IndexOf(c) >= 0)
                {
                    throw new ArgumentException("The subprotocol '" + subProtocol + "' is not a token.", "subProtocol");
                }
            }
            foreach (string other in _subProtocols)
            {
                if (string.Equals(other, subProtocol, StringComparison.OrdinalIgnoreCase))
                {
                    throw new ArgumentException("The subprotocol was added already.", "subProtocol");
                }
            }
            _subProtocols.Add(subProtocol);
        }

        /// <summary>
        /// How often a ping is sent; zero or Timeout.InfiniteTimeSpan for never. Default: 30 seconds.
        /// </summary>
        public TimeSpan KeepAliveInterval
        {
            get { return _keepAliveInterval; }
            set
            {
                ThrowIfReadOnly();
                CheckTime(value);
                _keepAliveInterval = value;
            }
        }

        /// <summary>
        /// How long after a ping the connection ends if nothing is received; Timeout.InfiniteTimeSpan for never.
        /// Default: never.
        /// </summary>
        public TimeSpan KeepAliveTimeout
        {
            get { return _keepAliveTimeout; }
            set
            {
                ThrowIfReadOnly();
                CheckTime(value);
                _keepAliveTimeout = value;
            }
        }

        /// <summary>
        /// The user name and password for the server, sent as basic authentication with the first request.
        /// </summary>
        public ICredentials Credentials
        {
            get { return _credentials; }
            set
            {
                ThrowIfReadOnly();
                _credentials = value;
            }
        }

        /// <summary>
        /// The proxy; null for none. If it is not set, that of the environment is used (see
        /// <see cref="WebSocket.Proxy"/>).
        /// </summary>
        public IWebProxy Proxy
        {
            get { return _proxy; }
            set
            {
                ThrowIfReadOnly();
                _proxy = value;
                _isProxySet = true;
            }
        }

        /// <summary>Whether status and headers of the response are kept. Default: false.</summary>
        public bool CollectHttpResponseDetails
        {
            get { return _collectsResponse; }
            set
            {
                ThrowIfReadOnly();
                _collectsResponse = value;
            }
        }

        /// <summary>
        /// The cookies to send, or null. Those of the response are added to it.
        /// </summary>
        public CookieContainer Cookies
        {
            get { return _cookies; }
            set
            {
                ThrowIfReadOnly();
                _cookies = value;
            }
        }

        /// <summary>TLS settings: certificate authorities, client certificate, pins. Null for the defaults.</summary>
        public TlsSettings Tls
        {
            get { return _tls; }
            set
            {
                ThrowIfReadOnly();
                _tls = value;
            }
        }

        /// <summary>Compression to offer, or null for none. Default: null.</summary>
        public PerMessageCompression Compression
        {
            get { return _compression; }
            set
            {
                ThrowIfReadOnly();
                _compression = value;
            }
        }

        /// <summary>
        /// Called by ConnectAsync with the socket before it connects, for every other setting of
        /// <see cref="WebSocket"/>. Do not attach handlers or open it. With <see cref="WebSocket.Reconnect"/>, ConnectAsync
        /// retries; a connection that is lost later ends as without it.
        /// </summary>
        public Action<WebSocket> Configure
        {
            get { return _configure; }
            set
            {
                ThrowIfReadOnly();
                _configure = value;
            }
        }

        /// <summary>Checks its arguments and has no effect: buffers are pooled by the native library.</summary>
        /// <param name="receiveBufferSize">A positive number.</param>
        /// <param name="sendBufferSize">A positive number.</param>
        public void SetBuffer(int receiveBufferSize, int sendBufferSize)
        {
            ThrowIfReadOnly();
            if (receiveBufferSize <= 0 || sendBufferSize <= 0)
            {
                throw new ArgumentOutOfRangeException(receiveBufferSize <= 0 ? "receiveBufferSize" : "sendBufferSize");
            }
        }

        internal void Freeze()
        {
            _isReadOnly = true;
        }

        internal WebSocket Create(Uri uri)
        {
            WebSocket socket = _compression == null
                ? new WebSocket(uri, null, null, null)
                : new WebSocket(uri, null, null, _compression);
            try
            {
                Apply(socket, uri);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
            return socket;
        }

        private void Apply(WebSocket socket, Uri uri)
        {
            // How long to wait for the server's close frame is up to the caller's CancellationToken.
            socket.ConnectTimeout = TimeSpan.FromMilliseconds(int.MaxValue);
            socket.CloseTimeout = TimeSpan.FromMilliseconds(int.MaxValue);
            foreach (string subProtocol in _subProtocols)
            {
                socket.AddProtocol(subProtocol);
            }
            if (_keepAliveInterval > TimeSpan.Zero)
            {
                socket.PingFrequency = Milliseconds(_keepAliveInterval);
                socket.CloseAfterNoMessage =
                    _keepAliveTimeout > TimeSpan.Zero ? _keepAliveTimeout : TimeSpan.FromMilliseconds(int.MaxValue);
                socket.StartPingThread = true;
            }
            foreach (KeyValuePair<string, string> header in _headers)
            {
                socket.AddHeader(header.Key, header.Value);
            }
            NetworkCredential credential = _credentials == null ? null : _credentials.GetCredential(uri, "Basic");
            if (credential != null)
            {
                socket.SetBasicAuth(credential.UserName, credential.Password);
            }
            if (_isProxySet)
            {
                socket.Proxy = ProxyOf(_proxy, uri);
            }
            string cookies = _cookies == null ? string.Empty : _cookies.GetCookieHeader(HttpUri(uri));
            if (cookies.Length != 0)
            {
                socket.AddHeader("Cookie", cookies);
            }
            if (_tls != null)
            {
                socket.Tls = _tls;
            }
            if (_configure != null)
            {
                _configure(socket);
            }
        }

        /// <summary>Adds the cookies of the response to the container.</summary>
        internal void KeepCookies(WebSocket socket, Uri uri)
        {
            if (_cookies == null)
            {
                return;
            }
            foreach (KeyValuePair<string, string> field in socket.GetResponseHeaders())
            {
                if (!string.Equals(field.Key, "Set-Cookie", StringComparison.OrdinalIgnoreCase))
                {
                    continue;
                }
                try
                {
                    _cookies.SetCookies(HttpUri(uri), field.Value);
                }
                catch (CookieException)
                {
                    // ClientWebSocket ignores invalid cookies as well.
                }
            }
        }

        private static Uri HttpUri(Uri uri)
        {
            var http = new UriBuilder(uri);
            http.Scheme = uri.Scheme == "wss" ? "https" : "http";
            return http.Uri;
        }

        private static string ProxyOf(IWebProxy proxy, Uri uri)
        {
            Uri http = HttpUri(uri);
            Uri address = proxy == null || proxy.IsBypassed(http) ? null : proxy.GetProxy(http);
            if (address == null || address == http)
            {
                return string.Empty;
            }
            NetworkCredential credential =
                proxy.Credentials == null ? null : proxy.Credentials.GetCredential(address, "Basic");
            if (credential == null || credential.UserName.Length == 0)
            {
                return address.GetLeftPart(UriPartial.Authority);
            }
            return address.Scheme + "://" + Uri.EscapeDataString(credential.UserName) + ":"
                + Uri.EscapeDataString(credential.Password) + "@" + address.Authority;
        }

        private static int Milliseconds(TimeSpan time)
        {
            return (int)Math.Min(int.MaxValue, Math.Ceiling(time.TotalMilliseconds));
        }

        private static void CheckTime(TimeSpan value)
        {
            if (value < TimeSpan.Zero && value != Timeout.InfiniteTimeSpan)
            {
                throw new ArgumentOutOfRangeException("value");
            }
        }

        private void ThrowIfReadOnly()
        {
            if (_isReadOnly)
            {
                throw new InvalidOperationException("The WebSocket has already been started.");
            }
        }
    }
}
#endif
