using System.Globalization;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// Key-value pairs that are added to every log line of one socket, such as a match or a player.
    /// </summary>
    public sealed class LoggingContext
    {
        private readonly WebSocket _socket;

        internal LoggingContext(WebSocket socket)
        {
            _socket = socket;
        }

        /// <summary>Sets the value of a key.</summary>
        /// <param name="key">The key, 1 to 64 bytes of UTF-8.</param>
        /// <param name="value">The value, at most 256 bytes of UTF-8; empty removes the key.</param>
        public unsafe void Add(string key, string value)
        {
            fixed (byte* rawKey = Utf8.Terminated(key, "key"))
            fixed (byte* rawValue = Utf8.Terminated(value, "value"))
            {
                FramewireLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_context(_socket.LiveHandle(), rawKey, rawValue));
            }
        }

        /// <summary>Sets the value of a key to a number.</summary>
        /// <param name="key">The key, 1 to 64 bytes of UTF-8.</param>
        /// <param name="value">The number.</param>
        public void Add(string key, long value)
        {
            Add(key, value.ToString(CultureInfo.InvariantCulture));
        }

        /// <summary>Removes a key.</summary>
        /// <param name="key">The key.</param>
        public void Remove(string key)
        {
            Add(key, string.Empty);
        }
    }
}
