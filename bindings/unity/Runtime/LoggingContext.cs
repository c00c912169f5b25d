using System.Globalization;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// Pairs that go with every log line of one socket, such as a match or a player, to find one
    /// connection among many.
    /// </summary>
    public sealed class LoggingContext
    {
        private readonly WebSocket _socket;

        internal LoggingContext(WebSocket socket)
        {
            _socket = socket;
        }

        /// <summary>Sets the value of a key of 1 to 64 bytes; at most 256 bytes.</summary>
        public unsafe void Add(string key, string value)
        {
            fixed (byte* rawKey = Utf8.Terminated(key, "key"))
            fixed (byte* rawValue = Utf8.Terminated(value, "value"))
            {
                NativeLibrary.ThrowIfFailed(
                    FramewireNative.fw_socket_set_context(_socket.LiveHandle(), rawKey, rawValue));
            }
        }

        /// <summary>Sets the value of a key to a number.</summary>
        public void Add(string key, long value)
        {
            Add(key, value.ToString(CultureInfo.InvariantCulture));
        }

        /// <summary>Removes a key.</summary>
        public void Remove(string key)
        {
            Add(key, string.Empty);
        }
    }
}
