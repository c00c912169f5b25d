using System;
using System.Threading;

namespace Framewire
{
    /// <summary>
    /// Arrays that are used again and again, so that messages leave no garbage. Every array has a
    /// power of two for a length; each length has a shelf of its own. Any thread may use it.
    /// </summary>
    public static class BufferPool
    {
        /// <summary>An empty array.</summary>
        public static readonly byte[] NoData = new byte[0];

        // Smaller arrays are not worth a shelf; larger ones come by so rarely that keeping them would
        // only hold memory.
        private const int SmallestShift = 8;
        private const int LargestShift = 24;

        // Enough for the messages that one frame handles at a time.
        private const int ShelfPlaces = 32;

        private static readonly Shelf[] s_shelves = MakeShelves();
        private static long s_maxPoolSize = 10 * 1024 * 1024;
        private static long s_poolSize;

        /// <summary>Bytes that are kept at most; what is released beyond goes to the collector. 10 MiB.</summary>
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

        /// <summary>Bytes that are kept now.</summary>
        public static long PoolSize
        {
            get { return Interlocked.Read(ref s_poolSize); }
        }

        /// <summary>An array of at least that size; its content is undefined.</summary>
        public static byte[] Get(long size)
        {
            return Get(size, true);
        }

        /// <summary>
        /// An array of at least that size or, unless <paramref name="canBeLarger"/>, of exactly that
        /// size. Its content is undefined.
        /// </summary>
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
            int shift = SmallestShift;
            while (shift <= LargestShift && 1L << shift < size)
            {
                shift++;
            }
            bool pooled = shift <= LargestShift && (canBeLarger || 1L << shift == size);
            if (!pooled)
            {
                return new byte[size];
            }
            byte[] found = s_shelves[shift - SmallestShift].Take();
            if (found == null)
            {
                return new byte[1 << shift];
            }
            Interlocked.Add(ref s_poolSize, -found.Length);
            return found;
        }

        /// <summary>
        /// Gives an array back; it must not be touched any more. One that is not of the pool's sizes
        /// is left to the collector.
        /// </summary>
        /// <exception cref="InvalidOperationException">It was released already.</exception>
        public static void Release(byte[] buffer)
        {
            if (buffer == null)
            {
                return;
            }
            int shift = SmallestShift;
            while (shift <= LargestShift && 1 << shift != buffer.Length)
            {
                shift++;
            }
            if (shift > LargestShift)
            {
                return;
            }
            if (Interlocked.Add(ref s_poolSize, buffer.Length) > MaxPoolSize
                || !s_shelves[shift - SmallestShift].Put(buffer))
            {
                Interlocked.Add(ref s_poolSize, -buffer.Length);
            }
        }

        /// <summary>Gives the segment's array back; it must not be touched any more.</summary>
        public static void Release(BufferSegment segment)
        {
            Release(segment.Data);
        }

        /// <summary>Leaves all that is kept to the collector, such as at a change of levels.</summary>
        public static void Clear()
        {
            for (int i = 0; i < s_shelves.Length; i++)
            {
                byte[] found;
                while ((found = s_shelves[i].Take()) != null)
                {
                    Interlocked.Add(ref s_poolSize, -found.Length);
                }
            }
        }

        private static Shelf[] MakeShelves()
        {
            var shelves = new Shelf[LargestShift - SmallestShift + 1];
            for (int i = 0; i < shelves.Length; i++)
            {
                shelves[i] = new Shelf();
            }
            return shelves;
        }

        /// <summary>Arrays of one length.</summary>
        private sealed class Shelf
        {
            private readonly byte[][] _places = new byte[ShelfPlaces][];
            private int _count;

            internal byte[] Take()
            {
                lock (_places)
                {
                    if (_count == 0)
                    {
                        return null;
                    }
                    byte[] taken = _places[--_count];
                    _places[_count] = null;
                    return taken;
                }
            }

            internal bool Put(byte[] buffer)
            {
                lock (_places)
                {
                    // Two owners of one array would write over each other's messages, far from here.
                    for (int i = 0; i < _count; i++)
                    {
                        if (ReferenceEquals(_places[i], buffer))
                        {
                            Interlocked.Add(ref s_poolSize, -buffer.Length);
                            throw new InvalidOperationException("The buffer was released already.");
                        }
                    }
                    if (_count == ShelfPlaces)
                    {
                        return false;
                    }
                    _places[_count++] = buffer;
                    return true;
                }
            }
        }
    }
}
