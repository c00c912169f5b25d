using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// Delivery options of one message. The defaults are those of a send without options.
    /// </summary>
    public struct SendOptions
    {
        /// <summary>The lane, from 0; see <see cref="WebSocket.SetLanes"/>.</summary>
        public int Lane { get; set; }

        /// <summary>
        /// Milliseconds after which the message is dropped if it has not begun; 0 for never.
        /// </summary>
        public int TimeToLive { get; set; }

        /// <summary>
        /// If not 0, the message replaces the waiting message with the same key in the same lane, in its place.
        /// </summary>
        public ulong Key { get; set; }

        /// <summary>
        /// If not 0, <see cref="WebSocket.OnSent"/> is called once with this tag and what became of the message.
        /// </summary>
        public ulong Tag { get; set; }

        /// <summary>Whether the message is sent uncompressed even if compression was negotiated.</summary>
        public bool Uncompressed { get; set; }
    }

    /// <summary>What became of a message with a tag.</summary>
    public enum SendOutcome : byte
    {
        /// <summary>It was given to the network. The server may still not receive it.</summary>
        Sent = 1,

        /// <summary>Its time to live ended before it began.</summary>
        Expired = 2,

        /// <summary>A newer message with the same key took its place.</summary>
        Replaced = 3,

        /// <summary>The connection ended first.</summary>
        Lost = 4,
    }

    /// <summary>Handles the outcome of a message with a tag.</summary>
    /// <param name="webSocket">The socket.</param>
    /// <param name="tag">The tag of the message.</param>
    /// <param name="outcome">What became of the message.</param>
    public delegate void OnWebSocketSentDelegate(WebSocket webSocket, ulong tag, SendOutcome outcome);

    /// <summary>A lane of a socket, in which messages wait until they begin.</summary>
    public struct WebSocketLane
    {
        private readonly uint _priority;
        private readonly uint _weight;
        private readonly ulong _maxBytes;

        /// <summary>Creates a lane.</summary>
        /// <param name="priority">Lanes with a lower number go first.</param>
        /// <param name="weight">The share among lanes of equal priority, 1 to 1000.</param>
        /// <param name="maxBytes">The limit of the waiting payload in bytes; 0 for none.</param>
        public WebSocketLane(int priority, int weight = 1, int maxBytes = 0)
        {
            _priority = WebSocket.NonNegative(priority);
            _weight = WebSocket.NonNegative(weight);
            _maxBytes = WebSocket.NonNegative(maxBytes);
        }

        internal fw_lane Raw
        {
            get
            {
                return new fw_lane
                {
                    struct_size = fw_lane.Size,
                    priority = _priority,
                    weight = _weight,
                    max_bytes = (System.UIntPtr)_maxBytes,
                };
            }
        }
    }

    /// <summary>
    /// Counts of a lane, over all connections of the socket. Times are in microseconds, from the send until the
    /// message begins.
    /// </summary>
    public struct WebSocketLaneStatistics
    {
        private readonly fw_lane_stats _stats;

        internal WebSocketLaneStatistics(fw_lane_stats stats)
        {
            _stats = stats;
        }

        /// <summary>Messages that have not begun.</summary>
        public ulong WaitingMessages { get { return _stats.waiting_messages; } }

        /// <summary>Their payload bytes.</summary>
        public ulong WaitingBytes { get { return _stats.waiting_bytes; } }

        /// <summary>How long the oldest of them has waited.</summary>
        public ulong OldestMicroseconds { get { return _stats.oldest_us; } }

        /// <summary>The longest time that a message has waited.</summary>
        public ulong MaxQueueMicroseconds { get { return _stats.queue_time_max_us; } }

        /// <summary>The sum of the times that messages have waited.</summary>
        public ulong TotalQueueMicroseconds { get { return _stats.queue_time_total_us; } }

        /// <summary>Messages that have begun: the number that the total time is the sum of.</summary>
        public ulong Begun { get { return _stats.begun; } }

        /// <summary>Messages that were given to the network.</summary>
        public ulong Sent { get { return _stats.sent; } }

        /// <summary>Messages whose time to live ended.</summary>
        public ulong Expired { get { return _stats.expired; } }

        /// <summary>Messages that were replaced by a newer one.</summary>
        public ulong Replaced { get { return _stats.replaced; } }

        /// <summary>Messages that were accepted and then lost with the connection.</summary>
        public ulong Lost { get { return _stats.lost; } }
    }
}
