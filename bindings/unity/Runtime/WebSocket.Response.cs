using System;
using System.Collections.Generic;
using System.Text;
using Framewire.Native;

namespace Framewire
{
    // What the server has answered to the upgrade request.
    public sealed unsafe partial class WebSocket
    {
        private delegate UIntPtr CopyText(byte* buf, UIntPtr cap);

        /// <summary>The extensions accepted by the server, as in its response; empty if none.</summary>
        public string NegotiatedExtensions
        {
            get { return Text((buf, cap) => FramewireNative.fw_socket_extensions(Native, buf, cap)); }
        }

        /// <summary>The subprotocol selected by the server; empty if none.</summary>
        public string Protocol
        {
            get { return Text((buf, cap) => FramewireNative.fw_socket_protocol(Native, buf, cap)); }
        }

        /// <summary>
        /// The HTTP version of the connection, 1 or 2, or 0 before the response. Always 0 under WebGL.
        /// </summary>
        public int HttpVersion
        {
            get { return (int)FramewireNative.fw_socket_http_version(Native); }
        }

        /// <summary>
        /// The HTTP status of the response to the upgrade request, or 0 before the response. Always 0 under
        /// WebGL.
        /// </summary>
        public int ResponseStatus
        {
            get { return FramewireNative.fw_socket_response_status(Native); }
        }

        /// <summary>
        /// The first KiB of the body of a rejected upgrade, as text; empty if none. Always empty under WebGL.
        /// </summary>
        public string ResponseBody
        {
            get
            {
                byte* body = stackalloc byte[1025];
                ulong length = (ulong)FramewireNative.fw_socket_response_body(Native, body, (UIntPtr)1025);
                return Utf8.Read(body, (int)Math.Min(length, 1024));
            }
        }

        /// <summary>
        /// The URL of the connection after redirects, without user name and password. Before Open, that of the
        /// constructor.
        /// </summary>
        /// <exception cref="ObjectDisposedException">The socket is disposed.</exception>
        /// <exception cref="InvalidOperationException">The socket was destroyed by <see cref="Shutdown"/>.</exception>
        public Uri FinalUri
        {
            get
            {
                fw_socket socket = LiveHandle();
                string url = Text((buf, cap) => FramewireNative.fw_socket_url(socket, buf, cap));
                if (url.Length == 0)
                {
                    throw new InvalidOperationException("The socket was destroyed by Shutdown.");
                }
                return new Uri(url);
            }
        }

        /// <summary>
        /// Returns a header of the response to the upgrade request. Always empty under WebGL.
        /// </summary>
        /// <param name="name">The name of the header, case-insensitive.</param>
        /// <returns>The value of the first header of that name, or an empty string.</returns>
        public string GetResponseHeader(string name)
        {
            byte[] terminated = Utf8.Terminated(name, "name");
            return Text((buf, cap) =>
            {
                fixed (byte* raw = terminated)
                {
                    return FramewireNative.fw_socket_response_header(Native, raw, buf, cap);
                }
            });
        }

        /// <summary>
        /// Returns all headers of the response to the upgrade request, in the order received. A name can occur several
        /// times, as Set-Cookie often does. Always empty under WebGL.
        /// </summary>
        /// <returns>Names and values, in a new array.</returns>
        public KeyValuePair<string, string>[] GetResponseHeaders()
        {
            string text = Text((buf, cap) => FramewireNative.fw_socket_response_headers(Native, buf, cap));
            string[] lines = text.Split(new[] { '\n' }, StringSplitOptions.RemoveEmptyEntries);
            return Array.ConvertAll(lines, line =>
            {
                int colon = line.IndexOf(": ", StringComparison.Ordinal);
                return new KeyValuePair<string, string>(line.Substring(0, colon), line.Substring(colon + 2));
            });
        }

        /// <summary>Returns the text that a native function copies.</summary>
        private static string Text(CopyText copy)
        {
            var text = new byte[256];
            while (true)
            {
                int length;
                fixed (byte* raw = text)
                {
                    length = (int)copy(raw, (UIntPtr)text.Length);
                }
                if (length < text.Length)
                {
                    return Encoding.UTF8.GetString(text, 0, length);
                }
                // The text may change between two calls.
                text = new byte[length + 1];
            }
        }

        private static string DecodeUpToNul(byte[] text)
        {
            int end = Array.IndexOf(text, (byte)0);
            return Encoding.UTF8.GetString(text, 0, end < 0 ? text.Length : end);
        }
    }
}
