using System;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// The native library's pool for payloads. The pool of arrays is <see cref="BufferPool"/>.
    /// </summary>
    public static unsafe class NativeBufferPool
    {
        /// <summary>Returns the statistics of the pool. Does not allocate.</summary>
        /// <returns>A copy of the numbers.</returns>
        public static NativeBufferPoolStatistics GetStatistics()
        {
            FramewireLibrary.EnsureLoaded();
            fw_pool_stats stats = default(fw_pool_stats);
            FramewireNative.fw_pool_stats_init(&stats, (UIntPtr)sizeof(fw_pool_stats));
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_buffer_pool_stats(&stats));
            return new NativeBufferPoolStatistics(stats);
        }

        /// <summary>Frees the blocks that the pool keeps for reuse, such as when a level is loaded.</summary>
        public static void Trim()
        {
            FramewireLibrary.EnsureLoaded();
            FramewireNative.fw_buffer_pool_trim();
        }
    }

    /// <summary>The statistics of <see cref="NativeBufferPool"/>.</summary>
    public struct NativeBufferPoolStatistics
    {
        private readonly fw_pool_stats _stats;

        internal NativeBufferPoolStatistics(fw_pool_stats stats)
        {
            _stats = stats;
        }

        /// <summary>Blocks in use.</summary>
        public ulong BlocksInUse { get { return _stats.blocks_in_use; } }

        /// <summary>Bytes of the blocks in use.</summary>
        public ulong BytesInUse { get { return _stats.bytes_in_use; } }

        /// <summary>Blocks kept for reuse.</summary>
        public ulong BlocksFree { get { return _stats.blocks_free; } }

        /// <summary>Bytes of the blocks kept for reuse.</summary>
        public ulong BytesFree { get { return _stats.bytes_free; } }

        /// <summary>
        /// Payloads that are not released: unread messages, retained and unsent segments. A number that grows is a leak.
        /// </summary>
        public ulong Leases { get { return _stats.leases; } }

        /// <summary>How often a block was allocated.</summary>
        public ulong Allocations { get { return _stats.allocations; } }
    }
}
