namespace Framewire
{
    /// <summary>The traffic of all sockets in an interval, and their queues at its end.</summary>
    internal struct Traffic
    {
        internal ulong MessagesSent;
        internal ulong MessagesReceived;
        internal ulong BytesSent;
        internal ulong BytesReceived;

        /// <summary>The payload bytes in the send queues.</summary>
        internal ulong SendQueueBytes;

        /// <summary>The highest round-trip time of a socket, or 0 if none was measured.</summary>
        internal ulong LatencyMicroseconds;
    }

    /// <summary>
    /// Adds up the traffic of all sockets, including what a socket has sent and received since the last measurement when
    /// it ends. Used by SocketTable, under its lock.
    /// </summary>
    internal sealed class TrafficMeter
    {
        private Traffic _traffic;

        /// <summary>Adds the traffic of a socket since it was counted last.</summary>
        internal void Count(WebSocket socket)
        {
            WebSocketStatistics now;
            if (!socket.TryGetStatistics(out now))
            {
                return;
            }
            _traffic.MessagesSent += now.MessagesSent - socket.Counted.MessagesSent;
            _traffic.MessagesReceived += now.MessagesReceived - socket.Counted.MessagesReceived;
            _traffic.BytesSent += now.BytesSent - socket.Counted.BytesSent;
            _traffic.BytesReceived += now.BytesReceived - socket.Counted.BytesReceived;
            socket.Counted.MessagesSent = now.MessagesSent;
            socket.Counted.MessagesReceived = now.MessagesReceived;
            socket.Counted.BytesSent = now.BytesSent;
            socket.Counted.BytesReceived = now.BytesReceived;
        }

        /// <summary>Adds the queue and the latency of an open socket.</summary>
        internal void Inspect(WebSocket socket)
        {
            _traffic.SendQueueBytes += (ulong)socket.BufferedAmount;
            long latency = socket.LatencyMicroseconds;
            if (latency > (long)_traffic.LatencyMicroseconds)
            {
                _traffic.LatencyMicroseconds = (ulong)latency;
            }
        }

        /// <summary>Returns the traffic since the last call.</summary>
        internal Traffic Take()
        {
            Traffic traffic = _traffic;
            _traffic = default(Traffic);
            return traffic;
        }
    }
}
