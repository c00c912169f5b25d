using System;

namespace Framewire.Native
{
    /// <summary>
    /// Checks what the native library can do before a setting reaches it. The only place that knows what a
    /// browser lacks.
    /// </summary>
    internal static class Capability
    {
        /// <summary>The capabilities of the library for browsers (Unity's WebGL player).</summary>
        internal const WebSocketCapabilities OfBrowsers = WebSocketCapabilities.Tls;

        /// <summary>For tests: replaces the capabilities of the loaded library.</summary>
        internal static WebSocketCapabilities? Simulated { get; set; }

        internal static WebSocketCapabilities All
        {
            get
            {
                FramewireLibrary.EnsureLoaded();
                return Simulated ?? (WebSocketCapabilities)FramewireNative.fw_capabilities();
            }
        }

        internal static bool Has(WebSocketCapabilities capability)
        {
            return (All & capability) != 0;
        }

        /// <summary>
        /// Throws if the library is one for browsers and lacks a capability. Other libraries explain themselves
        /// when they are called.
        /// </summary>
        /// <param name="capability">One capability.</param>
        /// <param name="member">The member that needs it.</param>
        /// <exception cref="NotSupportedException">The message has the reason.</exception>
        internal static void Require(WebSocketCapabilities capability, string member)
        {
            // Only browsers lack headers.
            if (!Has(capability) && !Has(WebSocketCapabilities.Headers))
            {
                throw new NotSupportedException(
                    member + " is not available under WebGL: " + Reason(capability)
                    + " WebSocket.Capabilities lacks " + capability + ".");
            }
        }

        private static string Reason(WebSocketCapabilities capability)
        {
            switch (capability)
            {
                case WebSocketCapabilities.Headers:
                    return "a browser lets no page read or change header fields. Send a token in the first message, or in "
                        + "the URL.";
                case WebSocketCapabilities.Cookies:
                    return "the browser stores and sends cookies itself.";
                case WebSocketCapabilities.Redirects:
                    return "a browser follows no redirects of a WebSocket.";
                case WebSocketCapabilities.Proxy:
                    return "the browser chooses the proxy.";
                case WebSocketCapabilities.TlsSettings:
                    return "a browser lets no page change how certificates are verified.";
                case WebSocketCapabilities.HttpVersion:
                    return "the browser chooses the HTTP version.";
                case WebSocketCapabilities.CompressionSettings:
                    return "the browser negotiates compression itself.";
                case WebSocketCapabilities.Fragments:
                    return "a browser delivers whole messages, and chooses the fragments that it sends.";
                case WebSocketCapabilities.Ping:
                    return "a browser lets no page send pings or receive pongs.";
                case WebSocketCapabilities.CloseCodes:
                    return "a page can send only the codes 1000 and 3000 to 4999.";
                default:
                    return "a browser cannot do this.";
            }
        }
    }
}
