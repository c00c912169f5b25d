using System;
using Framewire.Native;

namespace Framewire
{
    /// <summary>How a simulated link fails; see <see cref="LinkConditions"/>.</summary>
    public enum LinkCut : uint
    {
        /// <summary>It does not.</summary>
        None = 0,

        /// <summary>
        /// Nothing moves in either direction until the conditions change. The connection itself stays.
        /// </summary>
        Stall = 1,

        /// <summary>
        /// What is sent is lost, and nothing is received, as if the network path had disappeared. An open
        /// connection stays half-open, whatever the conditions change to.
        /// </summary>
        HalfOpen = 2,

        /// <summary>Connections are reset, new ones as soon as they are established.</summary>
        Reset = 3,

        /// <summary>
        /// Connections end without a closing handshake, new ones as soon as they are established.
        /// </summary>
        End = 4,

        /// <summary>New connections are refused. Open ones are not affected.</summary>
        Refuse = 5,
    }

    /// <summary>
    /// The conditions of a simulated network link, for <see cref="WebSocket.Link"/>. The default is a perfect link:
    /// zero is no delay and no limit. Out is from this side to the server, in from the server to this side.
    /// </summary>
    public struct LinkConditions
    {
        /// <summary>
        /// Selects the random numbers of the jitter. Links with equal seeds and conditions delay bytes equally at
        /// equal times after the connection was established.
        /// </summary>
        public int Seed { get; set; }

        /// <summary>The one-way delay to the server, at most a minute.</summary>
        public TimeSpan OutDelay { get; set; }

        /// <summary>The one-way delay from the server, at most a minute.</summary>
        public TimeSpan InDelay { get; set; }

        /// <summary>
        /// The mean of a random additional delay, at most a minute: exponentially distributed, chosen anew every 20
        /// milliseconds. The order is kept.
        /// </summary>
        public TimeSpan OutJitter { get; set; }

        /// <summary>See <see cref="OutJitter"/>.</summary>
        public TimeSpan InJitter { get; set; }

        /// <summary>The longest additional delay, at most a minute; zero for ten times the mean.</summary>
        public TimeSpan MaxJitter { get; set; }

        /// <summary>The data rate to the server (a token bucket).</summary>
        public int OutBytesPerSecond { get; set; }

        /// <summary>The data rate from the server (a token bucket).</summary>
        public int InBytesPerSecond { get; set; }

        /// <summary>
        /// How many bytes may exceed the rate at once, after a pause; 0 for the bytes of 10 milliseconds.
        /// </summary>
        public int BurstBytes { get; set; }

        /// <summary>How often nothing moves for <see cref="Stall"/>; at most an hour.</summary>
        public TimeSpan StallInterval { get; set; }

        /// <summary>The length of a stall, shorter than <see cref="StallInterval"/>; zero for no stalls.</summary>
        public TimeSpan Stall { get; set; }

        /// <summary>How the link fails.</summary>
        public LinkCut Cut { get; set; }

        internal fw_link Raw
        {
            get
            {
                return new fw_link
                {
                    struct_size = fw_link.Size,
                    seed = unchecked((uint)Seed),
                    out_delay_ms = Milliseconds(OutDelay),
                    in_delay_ms = Milliseconds(InDelay),
                    out_jitter_ms = Milliseconds(OutJitter),
                    in_jitter_ms = Milliseconds(InJitter),
                    jitter_max_ms = Milliseconds(MaxJitter),
                    out_bytes_per_s = WebSocket.NonNegative(OutBytesPerSecond),
                    in_bytes_per_s = WebSocket.NonNegative(InBytesPerSecond),
                    burst_bytes = WebSocket.NonNegative(BurstBytes),
                    stall_every_ms = Milliseconds(StallInterval),
                    stall_ms = Milliseconds(Stall),
                    cut = (fw_link_cut)Cut,
                };
            }
        }

        private static uint Milliseconds(TimeSpan value)
        {
            return value == TimeSpan.Zero ? 0 : WebSocket.Milliseconds(value);
        }
    }
}
