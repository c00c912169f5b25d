using System;
using Framewire.Native;

namespace Framewire
{
    /// <summary>How well messages are compressed.</summary>
    public enum CompressionLevel : uint
    {
        /// <summary>Stored as they are.</summary>
        None = 0,

        /// <summary>Quickly.</summary>
        BestSpeed = 1,

        /// <summary>Between the two.</summary>
        Default = 6,

        /// <summary>As small as can be, slowly.</summary>
        BestCompression = 9,
    }

    /// <summary>
    /// The settings of permessage-deflate (RFC 7692). A socket offers it by itself; the server decides,
    /// and <see cref="WebSocket.NegotiatedExtensions"/> says what it has decided.
    /// </summary>
    public sealed unsafe class PerMessageCompression : IExtension
    {
        /// <summary>From here on, in bytes, messages are worth compressing.</summary>
        public const int MinDataLengthToCompressDefault = 256;

        private readonly CompressionLevel _level;
        private readonly bool _clientNoContextTakeover;
        private readonly bool _serverNoContextTakeover;
        private readonly int _clientMaxWindowBits;
        private readonly int _serverMaxWindowBits;
        private readonly int _minimumDataLengthToCompress;

        /// <summary>The default level and windows, context kept in both directions.</summary>
        public PerMessageCompression()
            : this(CompressionLevel.Default, false, false, 15, 15, MinDataLengthToCompressDefault)
        {
        }

        /// <summary>Settings of one's own.</summary>
        /// <param name="level">How well messages are compressed.</param>
        /// <param name="clientNoContextTakeover">
        /// This side forgets each message before the next: less memory, less compression.
        /// </param>
        /// <param name="serverNoContextTakeover">The server is asked to do so.</param>
        /// <param name="clientMaxWindowBits">8 to 15: the window of what this side sends, a power of two in bytes.</param>
        /// <param name="desiredServerMaxWindowBits">8 to 15: the window that the server is asked to stay within.</param>
        /// <param name="minDatalengthToCompress">Messages of fewer bytes are sent as they are.</param>
        /// <exception cref="ArgumentOutOfRangeException">A number is out of its range.</exception>
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

        /// <summary>permessage-deflate</summary>
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
