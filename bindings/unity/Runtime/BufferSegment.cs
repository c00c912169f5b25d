using System;

namespace Framewire
{
    /// <summary>
    /// A piece of an array: <c>Data[Offset]</c> to <c>Data[Offset + Count - 1]</c>. Data is usually
    /// larger than the message in it, so use Count and never Data.Length.
    /// </summary>
    public struct BufferSegment
    {
        /// <summary>No bytes.</summary>
        public static readonly BufferSegment Empty = new BufferSegment(BufferPool.NoData, 0, 0);

        /// <summary>The array.</summary>
        public readonly byte[] Data;

        /// <summary>Where the bytes begin.</summary>
        public readonly int Offset;

        /// <summary>How many bytes there are.</summary>
        public readonly int Count;

        /// <summary>Describes a piece of <paramref name="data"/>; nothing is copied.</summary>
        public BufferSegment(byte[] data, int offset, int count)
        {
            Data = data;
            Offset = offset;
            Count = count;
        }

        /// <summary>From <paramref name="newOffset"/>, counted in Data, to the end; nothing is copied.</summary>
        public BufferSegment Slice(int newOffset)
        {
            return Slice(newOffset, Offset + Count - newOffset);
        }

        /// <summary>A smaller piece, with its offset counted in Data; nothing is copied.</summary>
        public BufferSegment Slice(int newOffset, int newCount)
        {
            if (newOffset < Offset || newCount < 0 || newOffset - Offset > Count - newCount)
            {
                throw new ArgumentOutOfRangeException("newOffset", "The slice reaches outside of the segment.");
            }
            return new BufferSegment(Data, newOffset, newCount);
        }

        /// <summary>Copies the bytes to the beginning of <paramref name="to"/>.</summary>
        public void CopyTo(byte[] to)
        {
            if (Count > 0)
            {
                Buffer.BlockCopy(Data, Offset, to, 0, Count);
            }
        }

        /// <summary>A copy of the bytes in an array of its own.</summary>
        public byte[] ToArray()
        {
            var copy = new byte[Count];
            CopyTo(copy);
            return copy;
        }

        /// <summary>Its length and place.</summary>
        public override string ToString()
        {
            return "[BufferSegment Offset: " + Offset + " Count: " + Count + "]";
        }

        /// <summary>The range lies inside the array; an empty one needs no array.</summary>
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
