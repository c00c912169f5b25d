using System;
using System.Runtime.InteropServices;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// A range of bytes in the native library's pooled memory, for receiving and sending without a copy. A
    /// segment passed to a handler is read-only and valid until the handler returns; <see cref="Retain"/>
    /// keeps it longer.
    /// </summary>
    public unsafe struct NativeSegment
    {
        private readonly fw_segment _segment;

        internal NativeSegment(fw_segment segment)
        {
            _segment = segment;
        }

        /// <summary>
        /// Allocates native memory for a message to send. The caller owns it until it is sent with SendAsText
        /// or SendAsBinary, or released with <see cref="Release"/>.
        /// </summary>
        /// <param name="size">The size in bytes; the contents are undefined.</param>
        /// <returns>The segment.</returns>
        /// <exception cref="OutOfMemoryException">Allocation failed.</exception>
        public static NativeSegment Get(int size)
        {
            if (size < 0)
            {
                throw new ArgumentOutOfRangeException("size");
            }
            FramewireLibrary.EnsureLoaded();
            fw_segment segment;
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_buffer_get((UIntPtr)size, &segment));
            return new NativeSegment(segment);
        }

        /// <summary>The first byte.</summary>
        public byte* Data
        {
            get { return _segment.data + (ulong)_segment.offset; }
        }

        /// <summary>The number of bytes.</summary>
        public int Count
        {
            get { return (int)_segment.count; }
        }

        /// <summary>
        /// Returns a part of the segment, without a copy and without a new reference. Use it to send
        /// fewer bytes than were allocated.
        /// </summary>
        /// <param name="offset">The index of the first byte in this segment.</param>
        /// <param name="count">The number of bytes.</param>
        /// <returns>The shorter segment.</returns>
        public NativeSegment Slice(int offset, int count)
        {
            if (offset < 0 || count < 0 || offset > Count - count)
            {
                throw new ArgumentOutOfRangeException("offset", "The slice is outside of the segment.");
            }
            fw_segment slice = _segment;
            slice.offset = (UIntPtr)((ulong)slice.offset + (ulong)offset);
            slice.count = (UIntPtr)count;
            return new NativeSegment(slice);
        }

        /// <summary>Copies the bytes into an array.</summary>
        /// <param name="to">The destination.</param>
        /// <param name="offset">The index of the first byte in the destination.</param>
        public void CopyTo(byte[] to, int offset)
        {
            if (Count > 0)
            {
                Marshal.Copy((IntPtr)Data, to, offset, Count);
            }
        }

        /// <summary>Copies the bytes to a new array.</summary>
        /// <returns>The array.</returns>
        public byte[] ToArray()
        {
            var copy = new byte[Count];
            CopyTo(copy, 0);
            return copy;
        }

#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
        /// <summary>Returns the bytes as a read-only span.</summary>
        /// <returns>The span, valid as long as the segment.</returns>
        public ReadOnlySpan<byte> AsSpan()
        {
            return new ReadOnlySpan<byte>(Data, Count);
        }

        /// <summary>Returns the bytes of a segment from <see cref="Get"/> as a writable span.</summary>
        /// <returns>The span, valid as long as the segment.</returns>
        public Span<byte> AsWritableSpan()
        {
            return new Span<byte>(Data, Count);
        }
#endif

        /// <summary>
        /// Adds a reference, which keeps the bytes after the handler returns. Each Retain requires one
        /// <see cref="Release"/>. The reference keeps the whole pooled block, up to 64 KiB even for a small
        /// message.
        /// </summary>
        public void Retain()
        {
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_segment_retain(_segment));
        }

        /// <summary>Releases one reference: do not access the bytes afterwards.</summary>
        /// <exception cref="InvalidOperationException">The caller owns no reference.</exception>
        public void Release()
        {
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_segment_release(_segment));
        }

        internal fw_segment Raw
        {
            get { return _segment; }
        }
    }
}
