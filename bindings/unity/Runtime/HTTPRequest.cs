using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// The upgrade request of a <see cref="WebSocket"/>. Inside OnInternalRequestCreated, changes apply to
    /// the request that is about to be sent. Outside, and on other threads, changes are stored and applied
    /// to all later requests.
    /// </summary>
    /// <remarks>
    /// An invalid change throws an <see cref="ArgumentException"/>: a name or value that HTTP does not allow,
    /// a header that belongs to the handshake (Host, Upgrade, Sec-WebSocket-*), or more than 60 headers or
    /// 28 KiB of headers.
    /// </remarks>
    public sealed unsafe class HTTPRequest
    {
        private readonly List<HeaderChange> _changes = new List<HeaderChange>();
        private fw_request _request;
        private volatile int _thread;

        internal HTTPRequest()
        {
        }

        /// <summary>The current request, on the thread whose handler is running; otherwise 0.</summary>
        private fw_request Live
        {
            get
            {
                return _thread == Thread.CurrentThread.ManagedThreadId ? _request : default(fw_request);
            }
        }

        /// <summary>The URL of the request; null outside of OnInternalRequestCreated.</summary>
        public Uri Uri
        {
            get
            {
                fw_request live = Live;
                if (live.id == 0)
                {
                    return null;
                }
                var url = new byte[(ulong)FramewireNative.fw_request_url(live, null, UIntPtr.Zero) + 1];
                fixed (byte* raw = url)
                {
                    FramewireNative.fw_request_url(live, raw, (UIntPtr)url.Length);
                }
                return new Uri(Encoding.UTF8.GetString(url, 0, url.Length - 1));
            }
        }

        /// <summary>
        /// The number of the connection attempt since Open, from 1; 0 outside of OnInternalRequestCreated.
        /// </summary>
        public int Attempt
        {
            get { return (int)FramewireNative.fw_request_attempt(Live); }
        }

        /// <summary>The HTTP version of the request; 0 outside of OnInternalRequestCreated.</summary>
        public int HttpVersion
        {
            get { return (int)FramewireNative.fw_request_http_version(Live); }
        }

        /// <summary>
        /// Adds a header. A header that exists already is sent twice, except Authorization, Origin and
        /// User-Agent, which are replaced.
        /// </summary>
        /// <param name="name">The name.</param>
        /// <param name="value">The value.</param>
        public void AddHeader(string name, string value)
        {
            Apply(new HeaderChange(HeaderChangeKind.Add, name, value));
        }

        /// <summary>Replaces all headers of that name.</summary>
        /// <param name="name">The name.</param>
        /// <param name="value">The value.</param>
        public void SetHeader(string name, string value)
        {
            Apply(new HeaderChange(HeaderChangeKind.Set, name, value));
        }

        /// <summary>Removes all headers of that name.</summary>
        /// <param name="name">The name.</param>
        public void RemoveHeader(string name)
        {
            Apply(new HeaderChange(HeaderChangeKind.Remove, name, string.Empty));
        }

        /// <summary>
        /// Returns the value of a header that can be changed.
        /// </summary>
        /// <param name="name">The name, case-insensitive.</param>
        /// <returns>
        /// The value of the first header of that name; null if there is none, and outside of
        /// OnInternalRequestCreated.
        /// </returns>
        public string GetFirstHeaderValue(string name)
        {
            fw_request live = Live;
            fixed (byte* rawName = Utf8.Terminated(name, "name"))
            {
                ulong length = (ulong)FramewireNative.fw_request_header(live, rawName, null, UIntPtr.Zero);
                if (length == 0)
                {
                    return null;
                }
                var value = new byte[length + 1];
                fixed (byte* raw = value)
                {
                    FramewireNative.fw_request_header(live, rawName, raw, (UIntPtr)value.Length);
                }
                return Encoding.UTF8.GetString(value, 0, value.Length - 1);
            }
        }

        /// <summary>
        /// Begins the handler for a request and applies the stored changes. A change that fails, such as one
        /// beyond the limit because of the socket's own headers, is reported and skipped.
        /// </summary>
        internal void Begin(WebSocket socket, fw_request request)
        {
            HeaderChange[] changes;
            lock (_changes)
            {
                changes = _changes.ToArray();
            }
            foreach (HeaderChange change in changes)
            {
                try
                {
                    change.ApplyTo(request);
                }
                catch (Exception reason)
                {
                    WebSocket.Report(socket, new InvalidOperationException(
                        "The upgrade request is sent without a change of its header "
                        + change.Name + ": " + reason.Message, reason));
                }
            }
            _request = request;
            _thread = Thread.CurrentThread.ManagedThreadId;
        }

        internal void End()
        {
            _thread = 0;
        }

        private void Apply(HeaderChange change)
        {
            fw_request live = Live;
            if (live.id != 0)
            {
                change.ApplyTo(live);
                return;
            }
            change.Check();
            lock (_changes)
            {
                // Drops changes without effect, so that setting a token repeatedly does not reach the limit.
                List<HeaderChange> remaining = _changes.FindAll(other => !change.Overrides(other));
                remaining.Add(change);
                HeaderChange.CheckTotal(remaining);
                _changes.Clear();
                _changes.AddRange(remaining);
            }
        }
    }
}
