using Framewire.Native;

namespace Framewire
{
    /// <summary>What a socket has done over all of its connections; the times are of the last one.</summary>
    public struct WebSocketStatistics
    {
        private readonly fw_stats _stats;

        internal WebSocketStatistics(fw_stats stats)
        {
            _stats = stats;
        }

        /// <summary>Bytes handed to the network after the upgrade, frame headers included.</summary>
        public ulong BytesSent { get { return _stats.bytes_sent; } }

        /// <summary>Bytes taken from the network after the upgrade, frame headers included.</summary>
        public ulong BytesReceived { get { return _stats.bytes_received; } }

        /// <summary>Messages handed to the network.</summary>
        public ulong MessagesSent { get { return _stats.messages_sent; } }

        /// <summary>Whole messages that came, those shown as fragments included.</summary>
        public ulong MessagesReceived { get { return _stats.messages_received; } }

        /// <summary>Frames handed to the network, control frames included.</summary>
        public ulong FramesSent { get { return _stats.frames_sent; } }

        /// <summary>Frames that came, control frames included.</summary>
        public ulong FramesReceived { get { return _stats.frames_received; } }

        /// <summary>Pings handed to the network.</summary>
        public ulong PingsSent { get { return _stats.pings_sent; } }

        /// <summary>Pongs that came.</summary>
        public ulong PongsReceived { get { return _stats.pongs_received; } }

        /// <summary>Successful reconnects (<see cref="WebSocket.Reconnect"/>).</summary>
        public ulong Reconnects { get { return _stats.reconnects; } }

        /// <summary>Bytes of payload before compression, of messages that were sent compressed.</summary>
        public ulong PayloadBytesBeforeCompression { get { return _stats.payload_bytes_before_compression; } }

        /// <summary>The same after compression.</summary>
        public ulong PayloadBytesAfterCompression { get { return _stats.payload_bytes_after_compression; } }

        /// <summary>Microseconds that name resolution took.</summary>
        public ulong ResolveMicroseconds { get { return _stats.resolve_us; } }

        /// <summary>Microseconds that TCP took to connect.</summary>
        public ulong ConnectMicroseconds { get { return _stats.connect_us; } }

        /// <summary>Microseconds that the TLS handshake took.</summary>
        public ulong TlsMicroseconds { get { return _stats.tls_us; } }

        /// <summary>Microseconds from the upgrade request to its answer.</summary>
        public ulong UpgradeMicroseconds { get { return _stats.upgrade_us; } }
    }
}
