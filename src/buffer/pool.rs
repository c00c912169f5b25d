//! The pool: free blocks in one list per size class, and the counters of all blocks.

use std::sync::PoisonError;

use super::block::Block;
use crate::limits;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, array, statics};

/// Size classes are powers of two from 1 KiB, each enlarged a little: most payloads have a round number of
/// bytes, and frame headers are added to them.
const SMALLEST_SHIFT: u32 = 10;
/// The enlargement: 1/64.
const EXTRA_SHIFT: u32 = 6;
const CLASSES: usize = 22;

statics! {
    static FREE: [Mutex<Vec<Block>>; CLASSES] = array!(Mutex::new(Vec::new()); CLASSES);
    static FREE_BYTES: AtomicUsize = AtomicUsize::new(0);
    static USED_BLOCKS: AtomicUsize = AtomicUsize::new(0);
    static USED_BYTES: AtomicUsize = AtomicUsize::new(0);
    static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
}

/// The allocation failed, or the size exceeds the largest class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A snapshot of the pool's counters; approximate while other threads use the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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

/// Returns a block of at least `size` bytes: a free one, else a newly allocated one.
pub(super) fn take(size: usize) -> Result<Block, OutOfMemory> {
    if let Some(block) = take_free(size) {
        return Ok(block);
    }
    let class = class_of(size).ok_or(OutOfMemory)?;
    let block = Block::allocate(class_size(class)).ok_or(OutOfMemory)?;
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    count_as_used(&block);
    Ok(block)
}

/// Returns a free block of at least `size` bytes, if there is one.
pub(super) fn take_free(size: usize) -> Option<Block> {
    let block = free_list(class_of(size)?).pop()?;
    FREE_BYTES.fetch_sub(block.capacity(), Ordering::Relaxed);
    count_as_used(&block);
    Some(block)
}

/// Returns the capacity of a block that is requested with `size`.
pub const fn capacity_for(size: usize) -> usize {
    class_size(class_for(size))
}

/// Returns the largest class size that is at most `limit`, or the smallest class size.
pub fn largest_within(limit: usize) -> usize {
    // Each class is twice as large as the one before.
    let smallest = class_size(0);
    let class = (limit / smallest).max(1).ilog2() as usize;
    class_size(class.min(CLASSES - 1))
}

/// Deallocates all free blocks and the lists that held them.
pub fn trim() {
    for class in 0..CLASSES {
        let blocks = std::mem::take(&mut *free_list(class));
        for block in blocks {
            FREE_BYTES.fetch_sub(block.capacity(), Ordering::Relaxed);
            block.free();
        }
    }
}

/// Returns the counters. The caller passes `leases`: the pool does not know them.
pub(super) fn stats(leases: u64) -> PoolStats {
    PoolStats {
        blocks_in_use: USED_BLOCKS.load(Ordering::Relaxed) as u64,
        bytes_in_use: USED_BYTES.load(Ordering::Relaxed) as u64,
        blocks_free: (0..CLASSES).map(|class| free_list(class).len() as u64).sum(),
        bytes_free: FREE_BYTES.load(Ordering::Relaxed) as u64,
        leases,
        allocations: ALLOCATIONS.load(Ordering::Relaxed) as u64,
    }
}

/// Takes back a block whose last reference was dropped; keeps it, or deallocates it beyond the limit.
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

fn count_as_used(block: &Block) {
    USED_BLOCKS.fetch_add(1, Ordering::Relaxed);
    USED_BYTES.fetch_add(block.capacity(), Ordering::Relaxed);
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
    round + (round >> EXTRA_SHIFT)
}

fn free_list(class: usize) -> MutexGuard<'static, Vec<Block>> {
    // No code that holds these locks can panic and leave a list inconsistent.
    FREE[class].lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity_of(size: usize) -> usize {
        let block = take(size).unwrap();
        let capacity = block.capacity();
        give_back(block);
        capacity
    }

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
            assert_eq!((capacity_of(wanted), capacity_for(wanted)), (given, given));
        }
    }

    #[test]
    fn largest_size_within_limit_is_more_than_half_of_it() {
        for (limit, size) in [(0, 1040), (1040, 1040), (2079, 1040), (2080, 2080), (133_119, 66_560)] {
            assert_eq!(largest_within(limit), size, "within {limit}");
            assert_eq!(capacity_of(size), size);
        }
    }

    #[test]
    fn impossible_sizes_return_out_of_memory() {
        assert_eq!(take(usize::MAX).err(), Some(OutOfMemory));
        assert_eq!(take(1 << 40).err(), Some(OutOfMemory));
    }

    #[test]
    fn returned_block_is_reused() {
        // A size that no other test uses, as tests share the pool.
        let size = 8 << 20;
        let block = take(size).unwrap();
        let address = block.data();
        give_back(block);
        let block = take_free(size).unwrap();
        assert_eq!(block.data(), address);
        give_back(block);
    }
}
