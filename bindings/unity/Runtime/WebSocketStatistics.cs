using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// Counters of a socket, over all of its connections. Durations are those of the last connection.
    /// </summary>
    public struct WebSocketStatistics
    {
        private readonly fw_stats _stats;

        internal WebSocketStatistics(fw_stats stats)
        {
            _stats = stats;
        }

        /// <summary>Bytes sent, with the handshake and frame headers, without TLS.</summary>
        public ulong BytesSent { get { return _stats.bytes_sent; } }

        /// <summary>Bytes received, with the handshake and frame headers, without TLS.</summary>
        public ulong BytesReceived { get { return _stats.bytes_received; } }

        /// <summary>Messages sent.</summary>
        public ulong MessagesSent { get { return _stats.messages_sent; } }

        /// <summary>Complete messages received, including those delivered as fragments.</summary>
        public ulong MessagesReceived { get { return _stats.messages_received; } }

        /// <summary>Frames sent, including control frames.</summary>
        public ulong FramesSent { get { return _stats.frames_sent; } }

        /// <summary>Frames received, including control frames.</summary>
        public ulong FramesReceived { get { return _stats.frames_received; } }

        /// <summary>Pings sent.</summary>
        public ulong PingsSent { get { return _stats.pings_sent; } }

        /// <summary>Pongs received.</summary>
        public ulong PongsReceived { get { return _stats.pongs_received; } }

        /// <summary>Successful reconnects (<see cref="WebSocket.Reconnect"/>).</summary>
        public ulong Reconnects { get { return _stats.reconnects; } }

        /// <summary>Payload bytes of compressed messages sent, before compression.</summary>
        public ulong PayloadBytesBeforeCompression { get { return _stats.payload_bytes_before_compression; } }

        /// <summary>Payload bytes of compressed messages sent, after compression.</summary>
        public ulong PayloadBytesAfterCompression { get { return _stats.payload_bytes_after_compression; } }

        /// <summary>The duration of name resolution in microseconds.</summary>
        public ulong ResolveMicroseconds { get { return _stats.resolve_us; } }

        /// <summary>The duration of the TCP connection in microseconds.</summary>
        public ulong ConnectMicroseconds { get { return _stats.connect_us; } }

        /// <summary>The duration of the TLS handshake in microseconds.</summary>
        public ulong TlsMicroseconds { get { return _stats.tls_us; } }

        /// <summary>The duration from the upgrade request to its response in microseconds.</summary>
        public ulong UpgradeMicroseconds { get { return _stats.upgrade_us; } }
    }
}
