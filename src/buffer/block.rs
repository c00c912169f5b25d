//! A block of memory, the one who writes it and those who read it.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use super::pool;
use crate::sync::atomic::{AtomicUsize, Ordering, fence};

/// The header of a block; its bytes follow in the same allocation.
///
/// One cache line of its own, so that counting references does not disturb the first payload.
#[repr(C, align(64))]
struct Header {
    references: AtomicUsize,
    capacity: usize,
}

const HEADER_SIZE: usize = size_of::<Header>();

/// One counted reference to a block.
///
/// The bytes are initialised from the start (the allocator zeroes them), so any of them may be
/// shown as `u8` at any time.
pub(super) struct Block(NonNull<Header>);

// SAFETY: a block is reached through counted references only, its count is atomic, and its bytes
// are split between one `Writer` (beyond `filled`) and the `Segment`s (before it), which never
// overlap; see `Writer::spare` and `Segment::as_slice`.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// A new block, or nothing when the allocator has no memory.
    pub(super) fn allocate(capacity: usize) -> Option<Block> {
        let layout = layout(capacity)?;
        // SAFETY: the layout is never empty: it holds a header.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) })?.cast::<Header>();
        // SAFETY: fresh memory, large enough and aligned for a header by its layout.
        unsafe { memory.write(Header { references: AtomicUsize::new(1), capacity }) };
        Some(Block(memory))
    }

    /// Gives the memory back to the allocator; for the pool, which holds the last reference.
    pub(super) fn free(self) {
        let memory = self.0;
        let layout = layout(self.capacity()).expect("it was valid when the block was made");
        std::mem::forget(self);
        // SAFETY: the caller holds the last reference, and the layout is the one of `allocate`.
        unsafe { dealloc(memory.as_ptr().cast(), layout) };
    }

    pub(super) fn capacity(&self) -> usize {
        self.header().capacity
    }

    fn header(&self) -> &Header {
        // SAFETY: a reference keeps the block alive, and its header is never written as a whole.
        unsafe { self.0.as_ref() }
    }

    fn data(&self) -> *mut u8 {
        // SAFETY: the bytes follow the header within the same allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEADER_SIZE) }
    }

    fn is_unique(&self) -> bool {
        // Acquire: what the others read or wrote before they let go lies behind us.
        self.header().references.load(Ordering::Acquire) == 1
    }
}

fn layout(capacity: usize) -> Option<Layout> {
    Layout::from_size_align(HEADER_SIZE.checked_add(capacity)?, align_of::<Header>()).ok()
}

impl Clone for Block {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed, as in `Arc`: a new reference can only come from an existing one.
        self.header().references.fetch_add(1, Ordering::Relaxed);
        Block(self.0)
    }
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        if self.header().references.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // The last reference goes to the pool as a live one again.
            self.header().references.store(1, Ordering::Relaxed);
            pool::give_back(Block(self.0));
        }
    }
}

/// The one who fills a block.
///
/// `[0, filled)` belongs to the segments that were cut from it, `[filled, capacity)` to the writer.
pub struct Writer {
    block: Block,
    filled: usize,
}

impl Writer {
    pub(super) fn new(block: Block) -> Self {
        Self { block, filled: 0 }
    }

    pub fn capacity(&self) -> usize {
        self.block.capacity()
    }

    pub fn filled(&self) -> usize {
        self.filled
    }

    pub fn room(&self) -> usize {
        self.capacity() - self.filled
    }

    /// What has been filled so far.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `[0, filled)` is initialised and is only written through `reclaim`d or unique
        // writers, which need `&mut self`.
        unsafe { std::slice::from_raw_parts(self.block.data(), self.filled) }
    }

    /// Where the next bytes go; [`fill`](Self::fill) then says how many came.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        // SAFETY: no segment reaches beyond `filled`, there is one writer for a block, and the
        // borrow of `self` keeps this the only view of the range.
        unsafe { std::slice::from_raw_parts_mut(self.block.data().add(self.filled), self.room()) }
    }

    /// Counts the first `count` bytes of the spare room as filled.
    ///
    /// # Panics
    /// If there was less room than that: a fault of the caller's arithmetic, never of a peer.
    #[inline]
    pub fn fill(&mut self, count: usize) {
        assert!(count <= self.room());
        self.filled += count;
    }

    /// Copies as much as there is room for and returns how much that was.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        self.spare()[..count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        count
    }

    /// A counted view of filled bytes.
    ///
    /// # Panics
    /// If the range is not filled: a fault of the caller's arithmetic, never of a peer.
    #[inline]
    pub fn segment(&self, start: usize, end: usize) -> Segment {
        assert!(start <= end && end <= self.filled);
        Segment { block: Some(self.block.clone()), offset: start as u32, len: (end - start) as u32 }
    }

    /// The filled bytes as a segment, without counting twice.
    pub fn into_segment(self, start: usize) -> Segment {
        assert!(start <= self.filled);
        Segment { offset: start as u32, len: (self.filled - start) as u32, block: Some(self.block) }
    }

    /// Starts again at the front if nobody reads the block any more.
    #[inline]
    pub fn reclaim(&mut self) -> bool {
        if self.filled != 0 && !self.block.is_unique() {
            return false;
        }
        self.filled = 0;
        true
    }
}

/// A reference-counted view of bytes in a pooled block. Cloning counts a reference; the block returns to the
/// pool when the last one is dropped.
#[derive(Clone)]
pub struct Segment {
    /// An empty segment needs no block.
    block: Option<Block>,
    offset: u32,
    len: u32,
}

impl Segment {
    /// A segment without bytes.
    pub const EMPTY: Segment = Segment { block: None, offset: 0, len: 0 };

    /// Copies `bytes` into a block of the pool.
    pub fn copy_of(bytes: &[u8]) -> Result<Segment, super::OutOfMemory> {
        if bytes.is_empty() {
            return Ok(Segment::EMPTY);
        }
        let mut writer = pool::take(bytes.len())?;
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
            // SAFETY: the range was filled when the segment was cut, the writer only writes
            // beyond it, and an `Exclusive` never shares its range.
            Some(block) => unsafe {
                std::slice::from_raw_parts(block.data().add(self.offset as usize), self.len as usize)
            },
            None => &[],
        }
    }

    /// Returns the bytes from `start` to `end` as a segment that shares the block.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub fn slice(&self, start: usize, end: usize) -> Segment {
        assert!(start <= end && end <= self.len());
        Segment { block: self.block.clone(), offset: self.offset + start as u32, len: (end - start) as u32 }
    }

    /// Extends the view over filled bytes of the same block that directly follow it. Counts no reference.
    #[inline]
    pub(crate) fn extend(&mut self, writer: &Writer, start: usize, end: usize) -> bool {
        let own_end = (self.offset + self.len) as usize;
        let joins = self.block.as_ref().is_some_and(|block| block.0 == writer.block.0)
            && start == own_end
            && (start..=writer.filled).contains(&end);
        if joins {
            self.len += (end - start) as u32;
        }
        joins
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

    /// Makes the bytes writable if no other segment refers to the block.
    pub(crate) fn into_exclusive(self) -> Result<Exclusive, Segment> {
        match &self.block {
            Some(block) if !block.is_unique() => Err(self),
            _ => Ok(Exclusive(self)),
        }
    }

    pub(super) fn data(&self) -> *mut u8 {
        self.block.as_ref().map_or(NonNull::<Header>::dangling().as_ptr().cast(), Block::data)
    }

    pub(super) fn offset(&self) -> usize {
        self.offset as usize
    }

    /// The same block, another range of it; the caller has checked that it lies inside.
    pub(super) fn with_range(mut self, offset: usize, count: usize) -> Segment {
        (self.offset, self.len) = (offset as u32, count as u32);
        self
    }
}

/// Bytes that nobody else can see, though others may hold other parts of the same block.
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
            // SAFETY: when the first `Exclusive` of a block was made nobody else held the block,
            // and since then its range was only ever split or frozen, never shared: no two views
            // of the block overlap.
            Some(block) => unsafe {
                std::slice::from_raw_parts_mut(block.data().add(self.0.offset as usize), self.0.len as usize)
            },
            None => &mut [],
        }
    }

    /// Cuts off the first `count` bytes.
    ///
    /// # Panics
    /// If there are fewer: a fault of the caller's arithmetic, never of a peer.
    pub fn split_to(&mut self, count: usize) -> Exclusive {
        let front = self.0.slice(0, count);
        self.0.advance(count);
        Exclusive(front)
    }

    /// From now on the bytes are read only, and may be shared.
    pub fn freeze(self) -> Segment {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_read_what_was_filled_while_the_writer_goes_on() {
        let mut writer = pool::take(1024).unwrap();
        writer.put(b"hello");
        let hello = writer.segment(0, 5);
        writer.put(b" world");
        assert_eq!(hello.as_slice(), b"hello");
        assert_eq!(writer.bytes(), b"hello world");
        assert_eq!(writer.segment(6, 11).as_slice(), b"world");
    }

    #[test]
    fn a_segment_extends_over_what_was_filled_behind_it() {
        let mut writer = pool::take(1024).unwrap();
        let other = pool::take(1024).unwrap();
        writer.put(b"one two");
        let mut segment = writer.segment(0, 3);
        assert!(!segment.extend(&writer, 4, 7), "a gap");
        assert!(!segment.extend(&writer, 3, 8), "not filled yet");
        assert!(!segment.extend(&other, 3, 3), "another block");
        assert!(!Segment::EMPTY.clone().extend(&writer, 0, 3));
        assert!(segment.extend(&writer, 3, 7));
        assert_eq!(segment.as_slice(), b"one two");
        // One reference for all of it.
        drop(segment);
        assert!(writer.reclaim());
    }

    #[test]
    fn a_block_is_reclaimed_only_when_nobody_reads_it() {
        let mut writer = pool::take(1024).unwrap();
        writer.put(b"abc");
        let segment = writer.segment(0, 3);
        assert!(!writer.reclaim());
        drop(segment);
        assert!(writer.reclaim());
        assert_eq!(writer.filled(), 0);
    }

    #[test]
    fn only_the_sole_holder_may_write() {
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
    fn a_segment_cannot_reach_beyond_what_is_filled() {
        let writer = pool::take(1024).unwrap();
        writer.segment(0, 1);
    }
}
