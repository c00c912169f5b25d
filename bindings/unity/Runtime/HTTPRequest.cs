using System;
using System.Collections.Generic;
using System.Text;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// The upgrade request of a <see cref="WebSocket"/>. Inside OnInternalRequestCreated it stands for
    /// the request that is about to be sent. Outside, changes are noted down and made to every
    /// request from then on.
    /// </summary>
    public sealed unsafe class HTTPRequest
    {
        private readonly List<Change> _changes = new List<Change>();
        private fw_request _live;

        internal HTTPRequest()
        {
        }

        /// <summary>Where the request goes; null outside of OnInternalRequestCreated.</summary>
        public Uri Uri
        {
            get
            {
                if (_live.id == 0)
                {
                    return null;
                }
                var url = new byte[(ulong)FramewireNative.fw_request_url(_live, null, UIntPtr.Zero) + 1];
                fixed (byte* raw = url)
                {
                    FramewireNative.fw_request_url(_live, raw, (UIntPtr)url.Length);
                }
                return new Uri(Encoding.UTF8.GetString(url, 0, url.Length - 1));
            }
        }

        /// <summary>Which attempt of this Open it is, from 1; 0 outside of OnInternalRequestCreated.</summary>
        public int Attempt
        {
            get { return (int)FramewireNative.fw_request_attempt(_live); }
        }

        /// <summary>The HTTP version of the request; 0 outside of OnInternalRequestCreated.</summary>
        public int HttpVersion
        {
            get { return (int)FramewireNative.fw_request_http_version(_live); }
        }

        /// <summary>Adds a header; a name that is there already is sent twice.</summary>
        public void AddHeader(string name, string value)
        {
            Make(new Change(ChangeKind.Add, name, value));
        }

        /// <summary>Sets a header in place of all of that name.</summary>
        public void SetHeader(string name, string value)
        {
            Make(new Change(ChangeKind.Set, name, value));
        }

        /// <summary>Removes all headers of that name.</summary>
        public void RemoveHeader(string name)
        {
            Make(new Change(ChangeKind.Remove, name, string.Empty));
        }

        /// <summary>
        /// The first header of that name among those that can be changed; null if there is none, and
        /// outside of OnInternalRequestCreated.
        /// </summary>
        public string GetFirstHeaderValue(string name)
        {
            fixed (byte* rawName = Utf8.Terminated(name, "name"))
            {
                ulong length = (ulong)FramewireNative.fw_request_header(_live, rawName, null, UIntPtr.Zero);
                if (length == 0)
                {
                    return null;
                }
                var value = new byte[length + 1];
                fixed (byte* raw = value)
                {
                    FramewireNative.fw_request_header(_live, rawName, raw, (UIntPtr)value.Length);
                }
                return Encoding.UTF8.GetString(value, 0, value.Length - 1);
            }
        }

        /// <summary>The request of one attempt; what was noted down is made to it.</summary>
        internal void Begin(fw_request request)
        {
            _live = request;
            for (int i = 0; i < _changes.Count; i++)
            {
                _changes[i].MakeTo(request);
            }
        }

        internal void End()
        {
            _live = default(fw_request);
        }

        private void Make(Change change)
        {
            if (_live.id == 0)
            {
                change.Check();
                _changes.Add(change);
            }
            else
            {
                change.MakeTo(_live);
            }
        }

        private enum ChangeKind
        {
            Add,
            Set,
            Remove,
        }

        private struct Change
        {
            private readonly ChangeKind _kind;
            private readonly byte[] _name;
            private readonly byte[] _value;

            internal Change(ChangeKind kind, string name, string value)
            {
                _kind = kind;
                _name = Utf8.Terminated(name, "name");
                _value = Utf8.Terminated(value, "value");
            }

            /// <summary>
            /// Finds at once what the library would find much later (RFC 9110 sections 5.5 and 5.6.2);
            /// the names that the handshake owns are the library's to refuse.
            /// </summary>
            internal void Check()
            {
                bool legal = _name.Length > 1;
                for (int i = 0; i < _name.Length - 1; i++)
                {
                    char c = (char)_name[i];
                    legal &= c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
                        || "!#$%&'*+-.^_`|~".IndexOf(c) >= 0;
                }
                for (int i = 0; i < _value.Length - 1; i++)
                {
                    legal &= _value[i] >= 0x20 && _value[i] < 0x7f || _value[i] == '\t';
                }
                if (!legal)
                {
                    throw new ArgumentException("Not a legal header.");
                }
            }

            internal void MakeTo(fw_request request)
            {
                fw_result result;
                fixed (byte* name = _name)
                fixed (byte* value = _value)
                {
                    switch (_kind)
                    {
                        case ChangeKind.Add:
                            result = FramewireNative.fw_request_add_header(request, name, value);
                            break;
                        case ChangeKind.Set:
                            result = FramewireNative.fw_request_set_header(request, name, value);
                            break;
                        default:
                            result = FramewireNative.fw_request_remove_header(request, name);
                            break;
                    }
                }
                NativeLibrary.ThrowIfFailed(result);
            }
        }
    }
}
