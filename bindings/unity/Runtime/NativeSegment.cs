using System;
using System.Runtime.InteropServices;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// Bytes in the native library's pooled memory, where they were received or will be sent from:
    /// no copy, no garbage. What a handler is shown is read-only and ends when it returns;
    /// <see cref="Retain"/> keeps it longer.
    /// </summary>
    public unsafe struct NativeSegment
    {
        private readonly fw_segment _segment;

        internal NativeSegment(fw_segment segment)
        {
            _segment = segment;
        }

        /// <summary>
        /// A piece of native memory to write a message into and hand to SendAsText or SendAsBinary.
        /// It is the caller's until then, or until <see cref="Release"/>.
        /// </summary>
        public static NativeSegment Get(int size)
        {
            if (size < 0)
            {
                throw new ArgumentOutOfRangeException("size");
            }
            NativeLibrary.EnsureLoaded();
            fw_segment segment;
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_buffer_get((UIntPtr)size, &segment));
            return new NativeSegment(segment);
        }

        /// <summary>The first byte.</summary>
        public byte* Data
        {
            get { return _segment.data + (ulong)_segment.offset; }
        }

        /// <summary>How many bytes there are.</summary>
        public int Count
        {
            get { return (int)_segment.count; }
        }

        /// <summary>The same memory with fewer bytes, such as after writing less than was asked for.</summary>
        public NativeSegment Slice(int offset, int count)
        {
            if (offset < 0 || count < 0 || offset > Count - count)
            {
                throw new ArgumentOutOfRangeException("offset", "The slice reaches outside of the segment.");
            }
            fw_segment slice = _segment;
            slice.offset = (UIntPtr)((ulong)slice.offset + (ulong)offset);
            slice.count = (UIntPtr)count;
            return new NativeSegment(slice);
        }

        /// <summary>Copies the bytes into an array.</summary>
        public void CopyTo(byte[] to, int offset)
        {
            if (Count > 0)
            {
                Marshal.Copy((IntPtr)Data, to, offset, Count);
            }
        }

        /// <summary>A copy of the bytes in an array of its own.</summary>
        public byte[] ToArray()
        {
            var copy = new byte[Count];
            CopyTo(copy, 0);
            return copy;
        }

#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_SPAN
        /// <summary>The bytes of a received message.</summary>
        public ReadOnlySpan<byte> AsSpan()
        {
            return new ReadOnlySpan<byte>(Data, Count);
        }

        /// <summary>The bytes of a segment from <see cref="Get"/>, to be written.</summary>
        public Span<byte> AsWritableSpan()
        {
            return new Span<byte>(Data, Count);
        }
#endif

        /// <summary>
        /// Keeps the bytes beyond the handler, until a <see cref="Release"/> for each Retain.
        /// The whole block around them is kept, 64 KiB even for a small message.
        /// </summary>
        public void Retain()
        {
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_segment_retain(_segment));
        }

        /// <summary>Gives the bytes up; they must not be touched any more.</summary>
        /// <exception cref="InvalidOperationException">They are not the caller's.</exception>
        public void Release()
        {
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_segment_release(_segment));
        }

        internal fw_segment Raw
        {
            get { return _segment; }
        }
    }
}
