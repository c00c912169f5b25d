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
    /// A change of the upgrade request, stored until there is one. Repeats the checks of the library, which
    /// can check only an existing request; a test compares both.
    /// </summary>
    internal unsafe struct HeaderChange
    {
        // The library accepts 64 headers and 32 KiB per request, including its own (Authorization, Cookie,
        // Origin, User-Agent).
        private const int MaxHeaders = 60;
        private const int MaxBytes = 28 * 1024;

        private static readonly string[] s_handshakeHeaders =
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

        /// <summary>Whether an earlier change has no effect because of this one.</summary>
        internal bool Overrides(HeaderChange other)
        {
            return _kind != HeaderChangeKind.Add && IsSame(Name, other.Name);
        }

        /// <summary>Throws if the library would reject the change (RFC 9110 sections 5.5 and 5.6.2).</summary>
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
                    "'" + Name + "' is not a header name: only letters, digits and !#$%&'*+-.^_`|~ are allowed.", "name");
            }
            for (int i = 0; i < _value.Length - 1; i++)
            {
                if ((_value[i] < 0x20 || _value[i] >= 0x7f) && _value[i] != '\t')
                {
                    throw new ArgumentException(
                        "The value of the header " + Name + " may contain only visible ASCII, spaces and tabs.", "value");
                }
            }
            if (_value.Length > 1 && (IsSpace(_value[0]) || IsSpace(_value[_value.Length - 2])))
            {
                throw new ArgumentException(
                    "The value of the header " + Name + " begins or ends with a space or a tab.", "value");
            }
            bool isOfHandshake = Name.StartsWith("sec-websocket-", StringComparison.OrdinalIgnoreCase);
            foreach (string owned in s_handshakeHeaders)
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
                    "InternalRequest accepts at most " + MaxHeaders + " headers and " + MaxBytes + " bytes of headers.");
            }
        }

        internal void ApplyTo(fw_request request)
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
            FramewireLibrary.ThrowIfFailed(result);
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
