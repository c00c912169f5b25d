using System;
using System.Threading;

namespace Framewire
{
    /// <summary>
    /// A pool of byte arrays, for messages without garbage. The length of a pooled array is a power of two.
    /// Can be used from any thread.
    /// </summary>
    public static class BufferPool
    {
        /// <summary>An empty array.</summary>
        public static readonly byte[] NoData = new byte[0];

        // Smaller arrays are cheap to allocate, and larger ones are too rare to keep.
        private const int MinShift = 8;
        private const int MaxShift = 24;

        // Enough for the messages that are handled at the same time in one frame.
        private const int BucketCapacity = 32;

        private static readonly Bucket[] s_buckets = CreateBuckets();
        private static long s_maxPoolSize = 10 * 1024 * 1024;
        private static long s_poolSize;

        // The array of the message that is being delivered.
        private static volatile byte[] s_lent;

        /// <summary>
        /// The maximum number of bytes in the pool. Arrays released beyond it are garbage-collected. Default:
        /// 10 MiB.
        /// </summary>
        public static long MaxPoolSize
        {
            get { return Interlocked.Read(ref s_maxPoolSize); }
            set
            {
                if (value < 0)
                {
                    throw new ArgumentOutOfRangeException("value");
                }
                Interlocked.Exchange(ref s_maxPoolSize, value);
            }
        }

        /// <summary>The number of bytes in the pool.</summary>
        public static long PoolSize
        {
            get { return Interlocked.Read(ref s_poolSize); }
        }

        /// <summary>Returns an array of at least the given size. Its contents are undefined.</summary>
        /// <param name="size">The minimum length.</param>
        /// <returns>An array from the pool, or a new one.</returns>
        public static byte[] Get(long size)
        {
            return Get(size, true);
        }

        /// <summary>
        /// Returns an array of at least, or exactly, the given size. Its contents are undefined.
        /// </summary>
        /// <param name="size">The length.</param>
        /// <param name="canBeLarger">Whether the array may be longer.</param>
        /// <returns>An array from the pool, or a new one.</returns>
        public static byte[] Get(long size, bool canBeLarger)
        {
            if (size < 0 || size > int.MaxValue)
            {
                throw new ArgumentOutOfRangeException("size");
            }
            if (size == 0)
            {
                return NoData;
            }
            int shift = MinShift;
            while (shift <= MaxShift && 1L << shift < size)
            {
                shift++;
            }
            bool pooled = shift <= MaxShift && (canBeLarger || 1L << shift == size);
            if (!pooled)
            {
                return new byte[size];
            }
            byte[] pooledArray = s_buckets[shift - MinShift].Take();
            if (pooledArray == null)
            {
                return new byte[1 << shift];
            }
            Interlocked.Add(ref s_poolSize, -pooledArray.Length);
            return pooledArray;
        }

        /// <summary>
        /// Returns an array to the pool: do not access it afterwards. An array whose length is not one of the
        /// pool's is ignored.
        /// </summary>
        /// <param name="buffer">The array, or null.</param>
        /// <exception cref="InvalidOperationException">The array is already in the pool.</exception>
        public static void Release(byte[] buffer)
        {
            if (buffer == null || buffer == s_lent)
            {
                return;
            }
            int shift = MinShift;
            while (shift <= MaxShift && 1 << shift != buffer.Length)
            {
                shift++;
            }
            if (shift > MaxShift)
            {
                return;
            }
            if (Interlocked.Add(ref s_poolSize, buffer.Length) > MaxPoolSize
                || !s_buckets[shift - MinShift].Put(buffer))
            {
                Interlocked.Add(ref s_poolSize, -buffer.Length);
            }
        }

        /// <summary>Returns the segment's array to the pool: do not access it afterwards.</summary>
        /// <param name="segment">The segment.</param>
        public static void Release(BufferSegment segment)
        {
            Release(segment.Data);
        }

        /// <summary>
        /// Returns an array for handlers, which may release it: that has no effect until it is taken back. One array
        /// may be lent at a time.
        /// </summary>
        internal static byte[] Lend(int size)
        {
            byte[] lent = Get(size, true);
            s_lent = lent;
            return lent;
        }

        /// <summary>Releases an array that was lent.</summary>
        internal static void TakeBack(byte[] lent)
        {
            s_lent = null;
            Release(lent);
        }

        /// <summary>Removes all arrays from the pool, such as when a level is loaded.</summary>
        public static void Clear()
        {
            for (int i = 0; i < s_buckets.Length; i++)
            {
                byte[] found;
                while ((found = s_buckets[i].Take()) != null)
                {
                    Interlocked.Add(ref s_poolSize, -found.Length);
                }
            }
        }

        private static Bucket[] CreateBuckets()
        {
            var buckets = new Bucket[MaxShift - MinShift + 1];
            for (int i = 0; i < buckets.Length; i++)
            {
                buckets[i] = new Bucket();
            }
            return buckets;
        }

        /// <summary>The pooled arrays of one length.</summary>
        private sealed class Bucket
        {
            private readonly byte[][] _arrays = new byte[BucketCapacity][];
            private int _count;

            internal byte[] Take()
            {
                lock (_arrays)
                {
                    if (_count == 0)
                    {
                        return null;
                    }
                    byte[] taken = _arrays[--_count];
                    _arrays[_count] = null;
                    return taken;
                }
            }

            internal bool Put(byte[] buffer)
            {
                lock (_arrays)
                {
                    // Detects a double release, after which two owners would overwrite each other's data.
                    for (int i = 0; i < _count; i++)
                    {
                        if (ReferenceEquals(_arrays[i], buffer))
                        {
                            Interlocked.Add(ref s_poolSize, -buffer.Length);
                            throw new InvalidOperationException("The buffer is already in the pool.");
                        }
                    }
                    if (_count == BucketCapacity)
                    {
                        return false;
                    }
                    _arrays[_count++] = buffer;
                    return true;
                }
            }
        }
    }
}
