using System;
using System.Collections.Generic;
using Framewire.Native;

namespace Framewire
{
    internal enum HeaderChangeKind
    {
        Add,
        Set,
        Remove,
    }

    /// <summary>
    /// A change of the upgrade request, noted down until there is one. The rules of the library are
    /// written here a second time, because it can only be asked about a request that exists; tests
    /// compare the two.
    /// </summary>
    internal unsafe struct HeaderChange
    {
        // The library takes 64 headers and 32 KiB in one request, its own among them (Authorization, Cookie,
        // Origin, User-Agent), for which this leaves room.
        private const int MaxHeaders = 60;
        private const int MaxBytes = 28 * 1024;

        private static readonly string[] s_handshake =
        {
            "host", "connection", "upgrade", "content-length", "transfer-encoding", "te", "trailer", "keep-alive",
            "proxy-connection", "expect", "http2-settings",
        };

        private readonly HeaderChangeKind _kind;
        private readonly byte[] _name;
        private readonly byte[] _value;

        internal HeaderChange(HeaderChangeKind kind, string name, string value)
        {
            _kind = kind;
            _name = Utf8.Terminated(name, "name");
            _value = Utf8.Terminated(value, "value");
            Name = name;
        }

        internal readonly string Name;

        /// <summary>The other, earlier one has no effect any more.</summary>
        internal bool Overrides(HeaderChange other)
        {
            return _kind != HeaderChangeKind.Add && IsSame(Name, other.Name);
        }

        /// <summary>Refuses what the library would refuse (RFC 9110 sections 5.5 and 5.6.2).</summary>
        internal void Check()
        {
            bool isToken = _name.Length > 1;
            for (int i = 0; i < _name.Length - 1; i++)
            {
                char c = (char)_name[i];
                isToken &= c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
                    || "!#$%&'*+-.^_`|~".IndexOf(c) >= 0;
            }
            if (!isToken)
            {
                throw new ArgumentException(
                    "'" + Name + "' is no header name: letters, digits and !#$%&'*+-.^_`|~ only.", "name");
            }
            for (int i = 0; i < _value.Length - 1; i++)
            {
                if ((_value[i] < 0x20 || _value[i] >= 0x7f) && _value[i] != '\t')
                {
                    throw new ArgumentException(
                        "The value of the header " + Name + " may have visible ASCII, spaces and tabs only.", "value");
                }
            }
            if (_value.Length > 1 && (IsSpace(_value[0]) || IsSpace(_value[_value.Length - 2])))
            {
                throw new ArgumentException(
                    "The value of the header " + Name + " begins or ends with a space or a tab.", "value");
            }
            bool isOfHandshake = Name.StartsWith("sec-websocket-", StringComparison.OrdinalIgnoreCase);
            foreach (string owned in s_handshake)
            {
                isOfHandshake |= IsSame(Name, owned);
            }
            if (isOfHandshake)
            {
                throw new ArgumentException("The header " + Name + " belongs to the WebSocket handshake.", "name");
            }
        }

        internal static void CheckTotal(List<HeaderChange> changes)
        {
            int bytes = 0;
            int removals = 0;
            foreach (HeaderChange change in changes)
            {
                bytes += change._name.Length - 1 + change._value.Length - 1;
                removals += change._kind == HeaderChangeKind.Remove ? 1 : 0;
            }
            if (changes.Count - removals > MaxHeaders || removals > MaxHeaders || bytes > MaxBytes)
            {
                throw new ArgumentException(
                    "InternalRequest takes at most " + MaxHeaders + " headers and " + MaxBytes + " bytes of them.");
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
                    case HeaderChangeKind.Add:
                        result = FramewireNative.fw_request_add_header(request, name, value);
                        break;
                    case HeaderChangeKind.Set:
                        result = FramewireNative.fw_request_set_header(request, name, value);
                        break;
                    default:
                        result = FramewireNative.fw_request_remove_header(request, name);
                        break;
                }
            }
            NativeLibrary.ThrowIfFailed(result);
        }

        private static bool IsSame(string a, string b)
        {
            return string.Equals(a, b, StringComparison.OrdinalIgnoreCase);
        }

        private static bool IsSpace(byte b)
        {
            return b == ' ' || b == '\t';
        }
    }
}
