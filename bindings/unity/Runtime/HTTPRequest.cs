using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// The upgrade request of a <see cref="WebSocket"/>. Inside OnInternalRequestCreated it stands for
    /// the request that is about to be sent. Outside, and on other threads, changes are noted down and
    /// made to every request from then on.
    /// </summary>
    /// <remarks>
    /// A change that cannot be made is refused at once with an <see cref="ArgumentException"/>: a name or
    /// value that HTTP does not allow, a header that belongs to the handshake (Host, Upgrade,
    /// Sec-WebSocket-*), more than 60 headers or 28 KiB of them.
    /// </remarks>
    public sealed unsafe class HTTPRequest
    {
        private readonly List<HeaderChange> _changes = new List<HeaderChange>();
        private fw_request _request;
        private volatile int _thread;

        internal HTTPRequest()
        {
        }

        /// <summary>The request about to be sent, on the thread whose handler is shown it.</summary>
        private fw_request Live
        {
            get
            {
                return _thread == Thread.CurrentThread.ManagedThreadId ? _request : default(fw_request);
            }
        }

        /// <summary>Where the request goes; null outside of OnInternalRequestCreated.</summary>
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

        /// <summary>Which attempt of this Open it is, from 1; 0 outside of OnInternalRequestCreated.</summary>
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
        /// Adds a header; a name that is there already is sent twice, except Authorization, Origin and
        /// User-Agent, which are replaced.
        /// </summary>
        public void AddHeader(string name, string value)
        {
            Make(new HeaderChange(HeaderChangeKind.Add, name, value));
        }

        /// <summary>Sets a header in place of all of that name.</summary>
        public void SetHeader(string name, string value)
        {
            Make(new HeaderChange(HeaderChangeKind.Set, name, value));
        }

        /// <summary>Removes all headers of that name.</summary>
        public void RemoveHeader(string name)
        {
            Make(new HeaderChange(HeaderChangeKind.Remove, name, string.Empty));
        }

        /// <summary>
        /// The first header of that name among those that can be changed; null if there is none, and
        /// outside of OnInternalRequestCreated.
        /// </summary>
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
        /// The request of one attempt; what was noted down is made to it. What cannot be made, such as
        /// where AddHeader of the socket left no room, is reported and costs neither the other changes nor
        /// the handler.
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
                    change.MakeTo(request);
                }
                catch (Exception reason)
                {
                    WebSocket.Report(socket, new InvalidOperationException(
                        "The upgrade request goes out without a change of its header "
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

        private void Make(HeaderChange change)
        {
            fw_request live = Live;
            if (live.id != 0)
            {
                change.MakeTo(live);
                return;
            }
            change.Check();
            lock (_changes)
            {
                // What it undoes need not be kept, so setting a token again and again costs nothing.
                List<HeaderChange> kept = _changes.FindAll(other => !change.Overrides(other));
                kept.Add(change);
                HeaderChange.CheckTotal(kept);
                _changes.Clear();
                _changes.AddRange(kept);
            }
        }
    }
}
