using System;
using Framewire.Native;

namespace Framewire
{
    /// <summary>The compression level.</summary>
    public enum CompressionLevel : uint
    {
        /// <summary>No compression.</summary>
        None = 0,

        /// <summary>The fastest level.</summary>
        BestSpeed = 1,

        /// <summary>The default level.</summary>
        Default = 6,

        /// <summary>The smallest output, slowest.</summary>
        BestCompression = 9,
    }

    /// <summary>
    /// Settings for permessage-deflate (RFC 7692), which sockets offer by default.
    /// <see cref="WebSocket.NegotiatedExtensions"/> returns what the server has accepted.
    /// </summary>
    public sealed unsafe class PerMessageCompression : IExtension
    {
        /// <summary>The default minimum size of compressed messages, in bytes.</summary>
        public const int MinDataLengthToCompressDefault = 256;

        private readonly CompressionLevel _level;
        private readonly bool _clientNoContextTakeover;
        private readonly bool _serverNoContextTakeover;
        private readonly int _clientMaxWindowBits;
        private readonly int _serverMaxWindowBits;
        private readonly int _minimumDataLengthToCompress;

        /// <summary>
        /// Creates settings with the default level and windows, and with context takeover in both directions.
        /// </summary>
        public PerMessageCompression()
            : this(CompressionLevel.Default, false, false, 15, 15, MinDataLengthToCompressDefault)
        {
        }

        /// <summary>Creates custom settings.</summary>
        /// <param name="level">The compression level, 0 to 9.</param>
        /// <param name="clientNoContextTakeover">
        /// Resets the client's compression context after each message: less memory, less compression.
        /// </param>
        /// <param name="serverNoContextTakeover">Asks the server to do the same.</param>
        /// <param name="clientMaxWindowBits">The client's window size, 8 to 15, as a power of two in bytes.</param>
        /// <param name="desiredServerMaxWindowBits">The maximum window size requested from the server, 8 to 15.</param>
        /// <param name="minDatalengthToCompress">Smaller messages are sent uncompressed.</param>
        /// <exception cref="ArgumentOutOfRangeException">A value is out of range.</exception>
        public PerMessageCompression(
            CompressionLevel level,
            bool clientNoContextTakeover,
            bool serverNoContextTakeover,
            int clientMaxWindowBits,
            int desiredServerMaxWindowBits,
            int minDatalengthToCompress)
        {
            if ((uint)level > 9)
            {
                throw new ArgumentOutOfRangeException("level");
            }
            if (clientMaxWindowBits < 8 || clientMaxWindowBits > 15)
            {
                throw new ArgumentOutOfRangeException("clientMaxWindowBits");
            }
            if (desiredServerMaxWindowBits < 8 || desiredServerMaxWindowBits > 15)
            {
                throw new ArgumentOutOfRangeException("desiredServerMaxWindowBits");
            }
            if (minDatalengthToCompress < 0)
            {
                throw new ArgumentOutOfRangeException("minDatalengthToCompress");
            }
            _level = level;
            _clientNoContextTakeover = clientNoContextTakeover;
            _serverNoContextTakeover = serverNoContextTakeover;
            _clientMaxWindowBits = clientMaxWindowBits;
            _serverMaxWindowBits = desiredServerMaxWindowBits;
            _minimumDataLengthToCompress = minDatalengthToCompress;
        }

        /// <summary>Returns "permessage-deflate".</summary>
        public string Name
        {
            get { return "permessage-deflate"; }
        }

        internal fw_compression ToNative()
        {
            fw_compression settings = default(fw_compression);
            FramewireNative.fw_compression_init(&settings, (UIntPtr)sizeof(fw_compression));
            settings.level = (uint)_level;
            settings.client_no_context_takeover = _clientNoContextTakeover ? 1u : 0u;
            settings.server_no_context_takeover = _serverNoContextTakeover ? 1u : 0u;
            settings.client_max_window_bits = (uint)_clientMaxWindowBits;
            settings.server_max_window_bits = (uint)_serverMaxWindowBits;
            settings.min_size_to_compress = (UIntPtr)(uint)_minimumDataLengthToCompress;
            return settings;
        }
    }
}
