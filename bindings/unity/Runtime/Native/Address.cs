using System;
using System.Globalization;
using System.Text;

namespace Framewire.Native
{
    /// <summary>
    /// Converts URLs to the form that the library accepts: ASCII, internationalized host names in punycode
    /// (RFC 5891), the zone of an IPv6 address as in RFC 6874.
    /// </summary>
    internal static class Address
    {
        private const string Dots = ".\u3002\uff0e\uff61";

        /// <summary>
        /// Returns the URL of a <see cref="Uri"/>, whose AbsoluteUri has neither punycode nor a zone.
        /// </summary>
        internal static string Of(Uri uri)
        {
            CheckUserName(uri);
            string host = ZonedHost(uri) ?? (IsAscii(uri.Host) ? null : AsciiHost(uri.Host, "uri"));
            if (host == null)
            {
                return uri.AbsoluteUri;
            }
            var url = new StringBuilder(uri.Scheme).Append("://");
            if (uri.UserInfo.Length != 0)
            {
                url.Append(uri.UserInfo).Append('@');
            }
            url.Append(host);
            if (!uri.IsDefaultPort)
            {
                url.Append(':').Append(uri.Port.ToString(CultureInfo.InvariantCulture));
            }
            return url.Append(uri.PathAndQuery).Append(uri.Fragment).ToString();
        }

        /// <summary>Converts the host of a URL or an origin to ASCII; the rest is unchanged.</summary>
        internal static string WithAsciiHost(string url, string parameter)
        {
            int start = url.IndexOf("://", StringComparison.Ordinal) + 3;
            if (start < 3 || IsAscii(url))
            {
                return url;
            }
            int end = url.IndexOfAny(new[] { '/', '?', '#' }, start);
            end = end < 0 ? url.Length : end;
            // The user info ends at the last '@' of the authority, and the host at the port.
            start = Math.Max(start, url.LastIndexOf('@', end - 1, end - start) + 1);
            int port = url.IndexOf(':', start, end - start);
            end = port < 0 ? end : port;
            string host = url.Substring(start, end - start);
            return IsAscii(host)
                ? url
                : url.Substring(0, start) + AsciiHost(host, parameter) + url.Substring(end);
        }

        /// <summary>Returns an IPv6 address with its zone, or null if the host has no zone.</summary>
        private static string ZonedHost(Uri uri)
        {
            int percent = uri.HostNameType == UriHostNameType.IPv6 ? uri.DnsSafeHost.IndexOf('%') : -1;
            if (percent < 0)
            {
                return null;
            }
            string address = uri.DnsSafeHost.Substring(0, percent);
            string zone = uri.DnsSafeHost.Substring(percent + 1);
            // A Uri may contain "%25eth0", as in a URL, or "%eth0", as IPAddress prints it. A zone is not
            // empty, so "%25" alone is the interface number 25.
            bool isEncoded = zone.Length > 2 && zone.StartsWith("25", StringComparison.Ordinal);
            return "[" + address + "%25" + (isEncoded ? zone.Substring(2) : Uri.EscapeDataString(zone)) + "]";
        }

        /// <summary>Returns the punycode of a host name.</summary>
        private static string AsciiHost(string host, string parameter)
        {
            string ascii;
            try
            {
                ascii = new IdnMapping().GetAscii(host).ToLowerInvariant();
            }
            catch (ArgumentException reason)
            {
                throw new ArgumentException(
                    "The host '" + host + "' cannot be converted to punycode: " + reason.Message, parameter);
            }
            // One character can become several, such as U+2100 "a/c". A separator among them would make it
            // the name of another server.
            bool isName = Count(ascii, ".") == Count(host, Dots);
            foreach (char c in ascii)
            {
                isName &= c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.';
            }
            if (!isName)
            {
                throw new ArgumentException(
                    "The host '" + host + "' would become '" + ascii + "', which is not the same name.", parameter);
            }
            return ascii;
        }

        /// <summary>
        /// Rejects a colon in a user name, as the library does (RFC 7617 section 2). Mono may decode "%3A",
        /// and the rest of the name would become part of the password.
        /// </summary>
        private static void CheckUserName(Uri uri)
        {
            if (uri.UserInfo.Length == 0)
            {
                return;
            }
            string original = uri.OriginalString;
            int start = original.IndexOf("//", StringComparison.Ordinal) + 2;
            int end = start < 2 ? -1 : original.IndexOfAny(new[] { ':', '@' }, start);
            if (end > start && original.IndexOf("%3A", start, end - start, StringComparison.OrdinalIgnoreCase) >= 0)
            {
                throw new ArgumentException("A user name must not contain a ':' (RFC 7617 section 2).", "uri");
            }
        }

        private static bool IsAscii(string text)
        {
            foreach (char c in text)
            {
                if (c > 0x7f)
                {
                    return false;
                }
            }
            return true;
        }

        private static int Count(string text, string characters)
        {
            int count = 0;
            foreach (char c in text)
            {
                count += characters.IndexOf(c) >= 0 ? 1 : 0;
            }
            return count;
        }
    }
}
