using System;
using NUnit.Framework;

namespace Framewire.Tests
{
    public sealed class BufferTests
    {
        [Test]
        public void SizesArePowersOfTwo()
        {
            Assert.AreEqual(0, BufferPool.Get(0, true).Length);
            Assert.AreEqual(256, BufferPool.Get(1, true).Length);
            Assert.AreEqual(256, BufferPool.Get(256, true).Length);
            Assert.AreEqual(512, BufferPool.Get(257, true).Length);
            Assert.AreEqual(257, BufferPool.Get(257, false).Length);
            Assert.AreEqual((1 << 24) + 1, BufferPool.Get((1 << 24) + 1, true).Length);
            Assert.Throws<ArgumentOutOfRangeException>(() => BufferPool.Get(-1, true));
            Assert.Throws<ArgumentOutOfRangeException>(() => BufferPool.Get(1L << 31, true));
        }

        [Test]
        public void ReleasedArrayIsReused()
        {
            BufferPool.Clear();
            byte[] first = BufferPool.Get(1000, true);
            BufferPool.Release(first);
            Assert.AreEqual(1024L, BufferPool.PoolSize);
            Assert.IsTrue(ReferenceEquals(first, BufferPool.Get(600, true)));
            Assert.AreEqual(0L, BufferPool.PoolSize);
        }

        [Test]
        public void DoubleReleaseIsDetected()
        {
            byte[] buffer = BufferPool.Get(1000, true);
            BufferPool.Release(buffer);
            long size = BufferPool.PoolSize;
            Assert.Throws<InvalidOperationException>(() => BufferPool.Release(buffer));
            Assert.AreEqual(size, BufferPool.PoolSize);
            BufferPool.Release((byte[])null);
            BufferPool.Release(BufferSegment.Empty);
            BufferPool.Release(new byte[1000]);
            Assert.AreEqual(size, BufferPool.PoolSize);
        }

        [Test]
        public void PoolSizeIsBounded()
        {
            BufferPool.Clear();
            for (int i = 0; i < 100; i++)
            {
                BufferPool.Release(new byte[256]);
            }
            Assert.AreEqual(32L * 256, BufferPool.PoolSize);
            for (int i = 0; i < 20; i++)
            {
                BufferPool.Release(new byte[1 << 20]);
            }
            Assert.Less(BufferPool.PoolSize, BufferPool.MaxPoolSize + 1);
            BufferPool.Clear();
            Assert.AreEqual(0L, BufferPool.PoolSize);
        }

        [Test]
        public void NegativePoolSizeIsRejected()
        {
            long before = BufferPool.MaxPoolSize;
            Assert.Throws<ArgumentOutOfRangeException>(() => BufferPool.MaxPoolSize = -1);
            Assert.AreEqual(before, BufferPool.MaxPoolSize);
        }

        [Test]
        public void NativePoolCountsWhatIsNotReleased()
        {
            ulong before = NativeBufferPool.GetStatistics().Leases;
            NativeSegment segment = NativeSegment.Get(1000);
            NativeBufferPoolStatistics used = NativeBufferPool.GetStatistics();
            Assert.AreEqual(before + 1, used.Leases);
            Assert.Greater(used.BlocksInUse, 0ul);
            Assert.Greater(used.BytesInUse, 999ul);
            Assert.Greater(used.Allocations, 0ul);
            segment.Release();
            Assert.AreEqual(before, NativeBufferPool.GetStatistics().Leases);
            NativeBufferPool.Trim();
            Assert.AreEqual(0ul, NativeBufferPool.GetStatistics().BytesFree);
            Assert.AreEqual(0ul, NativeBufferPool.GetStatistics().BlocksFree);
        }

        [Test]
        public void SlicesOutsideOfTheSegmentAreRejected()
        {
            var segment = new BufferSegment(new byte[] { 0, 1, 2, 3, 4, 5, 6, 7 }, 2, 4);
            Assert.AreEqual(3, segment.Slice(3).Count);
            Assert.AreEqual("04-05", BitConverter.ToString(segment.Slice(4, 2).ToArray()));
            Assert.Throws<ArgumentOutOfRangeException>(() => segment.Slice(1));
            Assert.Throws<ArgumentOutOfRangeException>(() => segment.Slice(4, 3));
            Assert.Throws<ArgumentOutOfRangeException>(() => segment.Slice(4, -1));
            Assert.Throws<ArgumentOutOfRangeException>(() => segment.Slice(7));
        }
    }
}
