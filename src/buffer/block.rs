//! Raw blocks of payload memory, each with a header that holds its reference count.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::sync::atomic::AtomicUsize;

/// The header of a block; its bytes follow in the same allocation.
///
/// A separate cache line keeps updates of the reference count away from the payload.
#[repr(C, align(64))]
pub(super) struct Header {
    pub(super) references: AtomicUsize,
    capacity: usize,
}

const HEADER_SIZE: usize = size_of::<Header>();

/// A pointer to a block. It does not count: the pool owns free blocks, `segment` counts the rest.
///
/// All bytes are initialised (the allocator zeroes them), so they can be read as `u8` at any time.
#[derive(PartialEq, Eq)]
pub(super) struct Block(NonNull<Header>);

// SAFETY: a block is either free and owned by the pool, or reached through counted references only;
// its count is atomic, and its bytes are split between one `Writer` (beyond `filled`) and the
// `Segment`s (before it), which never overlap; see `Writer::spare` and `Segment::as_slice`.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Allocates a block with a reference count of 1; `None` if the allocation fails.
    pub(super) fn allocate(capacity: usize) -> Option<Block> {
        let layout = layout(capacity)?;
        // SAFETY: the layout is never empty: it holds a header.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) })?.cast::<Header>();
        // SAFETY: fresh memory, large enough and aligned for a header by its layout.
        unsafe { memory.write(Header { references: AtomicUsize::new(1), capacity }) };
        Some(Block(memory))
    }

    /// Deallocates the block. Only for the pool, which owns the last pointer to it.
    pub(super) fn free(self) {
        let layout = layout(self.capacity()).expect("the layout was valid in `allocate`");
        // SAFETY: the caller owns the last pointer, and the layout is the one of `allocate`.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) };
    }

    /// Returns a second pointer to the same block.
    #[inline]
    pub(super) fn alias(&self) -> Block {
        Block(self.0)
    }

    pub(super) fn capacity(&self) -> usize {
        self.header().capacity
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the pool or a counted reference keeps the block alive, and its header is never
        // written as a whole.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn data(&self) -> *mut u8 {
        // SAFETY: the bytes follow the header within the same allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEADER_SIZE) }
    }

    /// Returns a non-null, aligned pointer for empty segments, which have no block.
    pub(super) fn dangling_data() -> *mut u8 {
        NonNull::<Header>::dangling().as_ptr().cast()
    }
}

fn layout(capacity: usize) -> Option<Layout> {
    Layout::from_size_align(HEADER_SIZE.checked_add(capacity)?, align_of::<Header>()).ok()
}
