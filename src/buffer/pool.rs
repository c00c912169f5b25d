//! Free blocks, kept by size for whoever needs one next.

use std::sync::PoisonError;

use super::block::{Block, Writer};
use crate::limits;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, array, statics};

/// Sizes are powers of two from 1 KiB, so that a block of any size finds its equals, and a little more:
/// most payloads have a round number of bytes, and the headers of their frames come on top.
const SMALLEST_SHIFT: u32 = 10;
/// How much more: a 64th.
const MORE_SHIFT: u32 = 6;
const CLASSES: usize = 22;

statics! {
    static FREE: [Mutex<Vec<Block>>; CLASSES] = array!(Mutex::new(Vec::new()); CLASSES);
    static FREE_BYTES: AtomicUsize = AtomicUsize::new(0);
    static USED_BLOCKS: AtomicUsize = AtomicUsize::new(0);
    static USED_BYTES: AtomicUsize = AtomicUsize::new(0);
    static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
}

/// The allocator has no memory for a block of this size, or the size exceeds 2 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// Statistics of the buffer pool. Approximate while other threads use the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Blocks that segments or connections refer to.
    pub blocks_in_use: u64,
    /// Capacity of those blocks in bytes.
    pub bytes_in_use: u64,
    /// Blocks that are kept for reuse.
    pub blocks_free: u64,
    /// Capacity of those blocks in bytes.
    pub bytes_free: u64,
    /// Segments that C code holds a reference to.
    pub leases: u64,
    /// Blocks allocated since the process started.
    pub allocations: u64,
}

/// A block of at least `size` bytes.
pub fn take(size: usize) -> Result<Writer, OutOfMemory> {
    crate::fault::point("buffer.take");
    if let Some(writer) = take_free(size) {
        return Ok(writer);
    }
    let class = class_of(size).ok_or(OutOfMemory)?;
    let block = Block::allocate(class_size(class)).ok_or(OutOfMemory)?;
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    Ok(lend(block))
}

/// The same, but only if one lies ready: for guesses that are not worth an allocation.
pub fn take_free(size: usize) -> Option<Writer> {
    let block = free_list(class_of(size)?).pop()?;
    FREE_BYTES.fetch_sub(block.capacity(), Ordering::Relaxed);
    Some(lend(block))
}

/// How much a block has room for that was asked for with this size.
pub const fn capacity_for(size: usize) -> usize {
    class_size(class_for(size))
}

/// The size of the largest block of at most so many bytes, or of the smallest there is.
pub fn largest_within(most: usize) -> usize {
    // Each is twice as large as the one before.
    let smallest = class_size(0);
    let class = (most / smallest).max(1).ilog2() as usize;
    class_size(class.min(CLASSES - 1))
}

/// Returns all free blocks to the allocator.
pub fn trim() {
    for class in 0..CLASSES {
        let blocks = std::mem::take(&mut *free_list(class));
        for block in blocks {
            FREE_BYTES.fetch_sub(block.capacity(), Ordering::Relaxed);
            block.free();
        }
    }
}

/// Returns the statistics of the buffer pool.
pub fn stats() -> PoolStats {
    PoolStats {
        blocks_in_use: USED_BLOCKS.load(Ordering::Relaxed) as u64,
        bytes_in_use: USED_BYTES.load(Ordering::Relaxed) as u64,
        blocks_free: (0..CLASSES).map(|class| free_list(class).len() as u64).sum(),
        bytes_free: FREE_BYTES.load(Ordering::Relaxed) as u64,
        leases: super::lease::count() as u64,
        allocations: ALLOCATIONS.load(Ordering::Relaxed) as u64,
    }
}

/// From the last reference to a block.
pub(super) fn give_back(block: Block) {
    let capacity = block.capacity();
    USED_BLOCKS.fetch_sub(1, Ordering::Relaxed);
    USED_BYTES.fetch_sub(capacity, Ordering::Relaxed);
    let class = capacity.ilog2() - SMALLEST_SHIFT;
    if FREE_BYTES.fetch_add(capacity, Ordering::Relaxed) + capacity <= limits::POOL_KEEP_BYTES {
        let mut list = free_list(class as usize);
        if list.try_reserve(1).is_ok() {
            list.push(block);
            return;
        }
    }
    FREE_BYTES.fetch_sub(capacity, Ordering::Relaxed);
    block.free();
}

fn lend(block: Block) -> Writer {
    USED_BLOCKS.fetch_add(1, Ordering::Relaxed);
    USED_BYTES.fetch_add(block.capacity(), Ordering::Relaxed);
    Writer::new(block)
}

fn class_of(size: usize) -> Option<usize> {
    let class = class_for(size);
    (class < CLASSES).then_some(class)
}

const fn class_for(size: usize) -> usize {
    let class = match size >> SMALLEST_SHIFT {
        0 => 0,
        above => above.ilog2() as usize,
    };
    if size > class_size(class) { class + 1 } else { class }
}

const fn class_size(class: usize) -> usize {
    let round = 1 << (class as u32 + SMALLEST_SHIFT);
    round + (round >> MORE_SHIFT)
}

fn free_list(class: usize) -> MutexGuard<'static, Vec<Block>> {
    // Nothing that runs under these locks can panic half-way.
    FREE[class].lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_to_their_class() {
        for (wanted, given) in [
            (0, 1040),
            (1, 1040),
            (1040, 1040),
            (1041, 2080),
            (65536, 66560),
            (66560, 66560),
            (66561, 133120),
        ] {
            assert_eq!((take(wanted).unwrap().capacity(), capacity_for(wanted)), (given, given));
        }
    }

    #[test]
    fn the_largest_within_a_limit_is_more_than_half_of_it() {
        for (most, size) in [(0, 1040), (1040, 1040), (2079, 1040), (2080, 2080), (133_119, 66_560)] {
            assert_eq!(largest_within(most), size, "within {most}");
            assert_eq!(take(size).unwrap().capacity(), size);
        }
    }

    #[test]
    fn what_nobody_could_have_is_refused_without_a_panic() {
        assert_eq!(take(usize::MAX).err(), Some(OutOfMemory));
        assert_eq!(take(1 << 40).err(), Some(OutOfMemory));
    }

    #[test]
    fn a_returned_block_is_lent_again() {
        // An odd size, so that tests beside this one do not take it away.
        let size = 8 << 20;
        let writer = take(size).unwrap();
        let address = writer.bytes().as_ptr();
        drop(writer);
        assert_eq!(take_free(size).unwrap().bytes().as_ptr(), address);
    }
}
