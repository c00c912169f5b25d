using System;

namespace Framewire
{
    /// <summary>
    /// A range of an array: <c>Data[Offset]</c> to <c>Data[Offset + Count - 1]</c>. Data is usually longer
    /// than the range, so use Count and not Data.Length.
    /// </summary>
    public struct BufferSegment
    {
        /// <summary>An empty segment.</summary>
        public static readonly BufferSegment Empty = new BufferSegment(BufferPool.NoData, 0, 0);

        /// <summary>The array.</summary>
        public readonly byte[] Data;

        /// <summary>The index of the first byte.</summary>
        public readonly int Offset;

        /// <summary>The number of bytes.</summary>
        public readonly int Count;

        /// <summary>Creates a segment of an array, without a copy.</summary>
        /// <param name="data">The array.</param>
        /// <param name="offset">The index of the first byte.</param>
        /// <param name="count">The number of bytes.</param>
        public BufferSegment(byte[] data, int offset, int count)
        {
            Data = data;
            Offset = offset;
            Count = count;
        }

        /// <summary>Returns the rest of the segment from an offset, without a copy.</summary>
        /// <param name="newOffset">The index of the first byte in Data.</param>
        /// <returns>The shorter segment.</returns>
        public BufferSegment Slice(int newOffset)
        {
            return Slice(newOffset, Offset + Count - newOffset);
        }

        /// <summary>Returns a part of the segment, without a copy.</summary>
        /// <param name="newOffset">The index of the first byte in Data.</param>
        /// <param name="newCount">The number of bytes.</param>
        /// <returns>The shorter segment.</returns>
        public BufferSegment Slice(int newOffset, int newCount)
        {
            if (newOffset < Offset || newCount < 0 || newOffset - Offset > Count - newCount)
            {
                throw new ArgumentOutOfRangeException("newOffset", "The slice is outside of the segment.");
            }
            return new BufferSegment(Data, newOffset, newCount);
        }

        /// <summary>Copies the bytes to the beginning of an array.</summary>
        /// <param name="to">The destination.</param>
        public void CopyTo(byte[] to)
        {
            if (Count > 0)
            {
                Buffer.BlockCopy(Data, Offset, to, 0, Count);
            }
        }

        /// <summary>Copies the bytes to a new array.</summary>
        /// <returns>The array.</returns>
        public byte[] ToArray()
        {
            var copy = new byte[Count];
            CopyTo(copy);
            return copy;
        }

        /// <summary>Returns the offset and the count.</summary>
        /// <returns>Text for logs.</returns>
        public override string ToString()
        {
            return "[BufferSegment Offset: " + Offset + " Count: " + Count + "]";
        }

        /// <summary>Whether the range is inside of the array. An empty range needs no array.</summary>
        internal bool IsValid
        {
            get
            {
                return Data == null
                    ? Offset == 0 && Count == 0
                    : Offset >= 0 && Count >= 0 && Offset <= Data.Length - Count;
            }
        }
    }
}
