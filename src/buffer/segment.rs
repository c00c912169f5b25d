//! Counted views of pooled blocks: the writer that fills a block and the segments that read it.

use super::block::Block;
use super::pool::{self, OutOfMemory};
use crate::sync::atomic::{Ordering, fence};
use std::fmt;

/// Takes a block of at least `size` bytes from the pool, or from the allocator.
pub fn take(size: usize) -> Result<Writer, OutOfMemory> {
    crate::fault::point("buffer.take");
    pool::take(size).map(Writer::new)
}

/// Takes a block of at least `size` bytes only if the pool has a free one: for speculative
/// use that does not justify an allocation.
pub fn take_free(size: usize) -> Option<Writer> {
    pool::take_free(size).map(Writer::new)
}

/// A counted reference to a block. Dropping the last one returns the block to the pool.
struct BlockRef(Block);

impl BlockRef {
    fn is_unique(&self) -> bool {
        // Acquire: reads and writes made through dropped references happen before what follows.
        self.0.header().references.load(Ordering::Acquire) == 1
    }

    fn data(&self) -> *mut u8 {
        self.0.data()
    }
}

impl Clone for BlockRef {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed, as in `Arc`: a new reference can only be made from an existing one.
        self.0.header().references.fetch_add(1, Ordering::Relaxed);
        BlockRef(self.0.alias())
    }
}

impl Drop for BlockRef {
    #[inline]
    fn drop(&mut self) {
        if self.0.header().references.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // The pool hands blocks out with a count of 1.
            self.0.header().references.store(1, Ordering::Relaxed);
            pool::give_back(self.0.alias());
        }
    }
}

/// Fills a block from the front.
///
/// `[0, filled)` is read through segments, `[filled, capacity)` is written by the writer only.
pub struct Writer {
    block: BlockRef,
    filled: usize,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl Writer {
    fn new(block: Block) -> Self {
        Self { block: BlockRef(block), filled: 0 }
    }

    pub fn capacity(&self) -> usize {
        self.block.0.capacity()
    }

    pub fn filled(&self) -> usize {
        self.filled
    }

    pub fn room(&self) -> usize {
        self.capacity() - self.filled
    }

    /// Returns the filled bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `[0, filled)` is initialised and is only written by a writer that is unique or
        // was reclaimed, which needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.block.data(), self.filled) }
    }

    /// Returns the unfilled bytes for writing; call [`fill`](Self::fill) with the count written.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        // SAFETY: no segment reaches beyond `filled`, a block has one writer, and the borrow
        // of `self` makes this the only view of the range.
        unsafe { std::slice::from_raw_parts_mut(self.block.data().add(self.filled), self.room()) }
    }

    /// Marks the first `count` unfilled bytes as filled.
    ///
    /// # Panics
    /// If `count` exceeds [`room`](Self::room): a bug in the caller, which no peer can trigger.
    #[inline]
    pub fn fill(&mut self, count: usize) {
        assert!(count <= self.room());
        self.filled += count;
    }

    /// Copies as many bytes as fit and returns their count.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        self.spare()[..count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        count
    }

    /// Returns a segment over filled bytes, with a new reference.
    ///
    /// # Panics
    /// If the range is not filled: a bug in the caller, which no peer can trigger.
    #[inline]
    pub fn segment(&self, start: usize, end: usize) -> Segment {
        assert!(start <= end && end <= self.filled);
        Segment { block: Some(self.block.clone()), offset: start as u32, len: (end - start) as u32 }
    }

    /// Converts the writer into a segment over the filled bytes; it takes over the reference.
    pub fn into_segment(self, start: usize) -> Segment {
        assert!(start <= self.filled);
        Segment { offset: start as u32, len: (self.filled - start) as u32, block: Some(self.block) }
    }

    /// Restarts at the front if no segment refers to the block; returns whether it did.
    #[inline]
    pub fn reclaim(&mut self) -> bool {
        if self.filled != 0 && !self.block.is_unique() {
            return false;
        }
        self.filled = 0;
        true
    }
}

/// A counted view of part of a block: a clone shares the bytes, the last drop returns the block.
#[derive(Clone)]
pub struct Segment {
    /// `None` in an empty segment.
    block: Option<BlockRef>,
    offset: u32,
    len: u32,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Segment {
    /// A segment without bytes.
    pub const EMPTY: Segment = Segment { block: None, offset: 0, len: 0 };

    /// Copies `bytes` into a pooled block.
    pub fn copy_of(bytes: &[u8]) -> Result<Segment, OutOfMemory> {
        if bytes.is_empty() {
            return Ok(Segment::EMPTY);
        }
        let mut writer = take(bytes.len())?;
        writer.put(bytes);
        Ok(writer.into_segment(0))
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.block {
            // SAFETY: the range was filled when the segment was made, the writer only writes
            // beyond it, and an `Exclusive` never shares its range.
            Some(block) => unsafe {
                std::slice::from_raw_parts(block.data().add(self.offset as usize), self.len as usize)
            },
            None => &[],
        }
    }

    /// Returns part of this segment, with a new reference.
    ///
    /// # Panics
    /// If the range is out of bounds: a bug in the caller, which no peer can trigger.
    pub fn slice(&self, start: usize, end: usize) -> Segment {
        assert!(start <= end && end <= self.len());
        Segment { block: self.block.clone(), offset: self.offset + start as u32, len: (end - start) as u32 }
    }

    /// Extends the segment by filled bytes of `writer` if they directly follow its own in the same block;
    /// returns whether it did. Adds no reference.
    #[inline]
    pub(crate) fn extend(&mut self, writer: &Writer, start: usize, end: usize) -> bool {
        let own_end = (self.offset + self.len) as usize;
        let adjacent = self.block.as_ref().is_some_and(|block| block.0 == writer.block.0)
            && start == own_end
            && (start..=writer.filled).contains(&end);
        if adjacent {
            self.len += (end - start) as u32;
        }
        adjacent
    }

    /// Removes the first `count` bytes from the view.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len());
        self.offset += count as u32;
        self.len -= count as u32;
    }

    /// Converts to exclusive access if this is the only reference to the block, else returns the segment.
    pub(crate) fn into_exclusive(self) -> Result<Exclusive, Segment> {
        match &self.block {
            Some(block) if !block.is_unique() => Err(self),
            _ => Ok(Exclusive(self)),
        }
    }

    pub(super) fn data(&self) -> *mut u8 {
        self.block.as_ref().map_or_else(Block::dangling_data, BlockRef::data)
    }

    pub(super) fn offset(&self) -> usize {
        self.offset as usize
    }

    /// Returns another range of the same block; the caller has checked that it is in bounds.
    pub(super) fn with_range(mut self, offset: usize, count: usize) -> Segment {
        (self.offset, self.len) = (offset as u32, count as u32);
        self
    }
}

/// Bytes with one owner, who may write them. Other parts of the block may have other owners.
pub struct Exclusive(Segment);

impl Exclusive {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match &self.0.block {
            // SAFETY: the first `Exclusive` of a block was made from its only reference, and since
            // then its range was only split or frozen, never shared: no two views of the block
            // overlap.
            Some(block) => unsafe {
                std::slice::from_raw_parts_mut(block.data().add(self.0.offset as usize), self.0.len as usize)
            },
            None => &mut [],
        }
    }

    /// Splits off the first `count` bytes.
    ///
    /// # Panics
    /// If there are fewer: a bug in the caller, which no peer can trigger.
    pub fn split_to(&mut self, count: usize) -> Exclusive {
        let front = self.0.slice(0, count);
        self.0.advance(count);
        Exclusive(front)
    }

    /// Makes the bytes read-only, so that they can be shared.
    pub fn freeze(self) -> Segment {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_readable_while_writer_continues() {
        let mut writer = take(1024).unwrap();
        writer.put(b"hello");
        let hello = writer.segment(0, 5);
        writer.put(b" world");
        assert_eq!(hello.as_slice(), b"hello");
        assert_eq!(writer.bytes(), b"hello world");
        assert_eq!(writer.segment(6, 11).as_slice(), b"world");
    }

    #[test]
    fn segment_extends_over_adjacent_filled_bytes() {
        let mut writer = take(1024).unwrap();
        let other = take(1024).unwrap();
        writer.put(b"one two");
        let mut segment = writer.segment(0, 3);
        assert!(!segment.extend(&writer, 4, 7), "a gap");
        assert!(!segment.extend(&writer, 3, 8), "not filled yet");
        assert!(!segment.extend(&other, 3, 3), "another block");
        assert!(!Segment::EMPTY.clone().extend(&writer, 0, 3));
        assert!(segment.extend(&writer, 3, 7));
        assert_eq!(segment.as_slice(), b"one two");
        // Extending added no reference.
        drop(segment);
        assert!(writer.reclaim());
    }

    #[test]
    fn block_is_reclaimed_only_without_other_references() {
        let mut writer = take(1024).unwrap();
        writer.put(b"abc");
        let segment = writer.segment(0, 3);
        assert!(!writer.reclaim());
        drop(segment);
        assert!(writer.reclaim());
        assert_eq!(writer.filled(), 0);
    }

    #[test]
    fn only_sole_reference_becomes_exclusive() {
        let segment = Segment::copy_of(b"abcdef").unwrap();
        let other = segment.clone();
        let segment = segment.into_exclusive().err().unwrap();
        drop(other);
        let mut rest = segment.into_exclusive().ok().unwrap();
        let mut front = rest.split_to(2);
        front.as_mut_slice().fill(b'A');
        rest.as_mut_slice().fill(b'B');
        assert_eq!((front.freeze().as_slice(), rest.freeze().as_slice()), (&b"AA"[..], &b"BBBB"[..]));
    }

    #[test]
    #[should_panic]
    fn segment_beyond_filled_bytes_panics() {
        let writer = take(1024).unwrap();
        writer.segment(0, 1);
    }
}
