//! Pooled memory that the caller may hold.

use super::args::pointer;
use super::guard::guard;
use super::guard::guard_or;
use super::result::fw_result;
use super::sized::{self, sized};
use crate::client::lease::{self, Leased};
use crate::client::{self, PoolStats, Segment};
use crate::error::CallError;

/// The right to a piece of a pooled block. Part of fw_segment; of no use alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct fw_buffer {
    /// 0 is no buffer.
    pub id: u64,
}

/// Bytes in a pooled block: data[offset] to data[offset + count - 1].
///
/// data is the whole block, which is usually larger; bytes outside of the range belong to others.
/// What the library passes to a callback or in an event is read-only and borrowed until the callback
/// returns or the event is released; fw_segment_retain makes it stay. What fw_buffer_get returned,
/// or was retained, is the caller's until fw_segment_release, or until it is sent, and outlives its
/// socket and fw_shutdown. A retained segment keeps its whole block alive, which is 64 KiB even when
/// the segment is small: copy small payloads that are to be kept for long.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fw_segment {
    /// Where the block begins; never NULL in what the library hands out.
    pub data: *mut u8,
    /// Where the bytes begin, from data.
    pub offset: usize,
    /// How many bytes there are, may be 0.
    pub count: usize,
    /// What makes it valid.
    pub buffer: fw_buffer,
}

impl From<Leased> for fw_segment {
    fn from(leased: Leased) -> Self {
        let Leased { data, offset, count, id } = leased;
        Self { data, offset, count, buffer: fw_buffer { id } }
    }
}

impl fw_segment {
    pub(super) const NONE: fw_segment =
        fw_segment { data: std::ptr::null_mut(), offset: 0, count: 0, buffer: fw_buffer { id: 0 } };

    /// Takes over one of the caller's holds. It is gone whatever the result.
    pub(super) fn take(self) -> Result<Segment, CallError> {
        lease::take(self.buffer.id, self.data, self.offset, self.count)
    }
}

/// Takes a block from the pool.
///
/// The bytes are the caller's to write, their content is undefined, and so are those before offset:
/// room for a frame's header, so that the segment can be sent where it lies. The range may be
/// narrowed by changing offset and count before it is sent.
///
/// size: bytes needed, may be 0; less than 2 GiB.
/// out: receives the segment, held once; not NULL.
/// Returns: OK; INVALID_ARGUMENT (NULL); TOO_LARGE; OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_buffer_get(size: usize, out: *mut fw_segment) -> fw_result {
    guard(|| {
        let out = pointer(out, "out")?;
        let leased = lease::get(size)?;
        // SAFETY: not NULL and aligned; the caller's to write.
        unsafe { out.write(leased.into()) };
        Ok(())
    })
}

/// Holds a segment once more.
///
/// Inside a callback, or before an event is released, it makes a received segment outlive them
/// without a copy. Each hold is given up with fw_segment_release, or by sending the segment.
///
/// segment: a segment that is valid now.
/// Returns: OK; INVALID_HANDLE (released, or never handed out).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_segment_retain(segment: fw_segment) -> fw_result {
    guard(|| lease::retain(segment.buffer.id))
}

/// Gives up one hold.
///
/// With the last one the bytes must not be touched any more. Releasing too often is detected and
/// does no harm.
///
/// segment: a segment that the caller holds.
/// Returns: OK; INVALID_HANDLE (the caller does not hold it).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_segment_release(segment: fw_segment) -> fw_result {
    guard(|| lease::release(segment.buffer.id))
}

/// What the pool of payload memory holds. Exact when nothing moves, close otherwise.
///
/// Prepare it with fw_pool_stats_init once; fw_buffer_pool_stats fills as much of it as struct_size
/// says.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fw_pool_stats {
    /// The size of this struct in bytes, set by fw_pool_stats_init.
    pub struct_size: u32,
    /// Blocks that hold something.
    pub blocks_in_use: u64,
    /// Their size in bytes.
    pub bytes_in_use: u64,
    /// Blocks kept for reuse.
    pub blocks_free: u64,
    /// Their size in bytes, at most 32 MiB.
    pub bytes_free: u64,
    /// Segments that the caller holds, in events too.
    pub leases: u64,
    /// Blocks that came from the allocator since the process began: stands still in a steady state.
    pub allocations: u64,
}

sized!(
    fw_pool_stats { struct_size, blocks_in_use, bytes_in_use, blocks_free, bytes_free, leases, allocations },
    fw_pool_stats::default()
);

impl From<PoolStats> for fw_pool_stats {
    fn from(stats: PoolStats) -> Self {
        let PoolStats { blocks_in_use, bytes_in_use, blocks_free, bytes_free, leases, allocations } = stats;
        let struct_size = size_of::<fw_pool_stats>() as u32;
        Self { struct_size, blocks_in_use, bytes_in_use, blocks_free, bytes_free, leases, allocations }
    }
}

/// Prepares a struct for fw_buffer_pool_stats.
///
/// Call it first, as fw_pool_stats_init(&stats, sizeof stats). Writes no more than struct_size
/// bytes: all zero but the size.
///
/// stats: written; NULL does nothing.
/// struct_size: sizeof(fw_pool_stats), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_pool_stats_init(stats: *mut fw_pool_stats, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(stats, struct_size) }
}

/// What the pool holds now.
///
/// out: prepared with fw_pool_stats_init; receives the numbers; not NULL.
/// Returns: OK; INVALID_ARGUMENT (NULL, struct_size).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_buffer_pool_stats(out: *mut fw_pool_stats) -> fw_result {
    guard(|| {
        let out = pointer(out, "out")?;
        // SAFETY: the caller promises a struct of its struct_size.
        unsafe { sized::write(&client::pool_stats().into(), out) }
    })
}

/// Gives the blocks that are kept for reuse back to the allocator.
///
/// For moments in which memory counts more than the next allocation, such as a change of levels.
///
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_buffer_pool_trim() {
    guard_or((), || {
        client::pool_trim();
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::MaybeUninit;

    fn get(size: usize) -> fw_segment {
        let mut out = MaybeUninit::uninit();
        // SAFETY: a place for it.
        assert_eq!(unsafe { fw_buffer_get(size, out.as_mut_ptr()) }, fw_result::FW_RESULT_OK);
        // SAFETY: written, as the call said.
        unsafe { out.assume_init() }
    }

    #[test]
    fn a_block_is_the_callers_until_the_last_release_and_one_more_is_refused() {
        let segment = get(1000);
        assert!(segment.offset >= 14 && segment.count == 1000);
        // SAFETY: the bytes are ours.
        unsafe { segment.data.add(segment.offset).write_bytes(7, segment.count) };
        assert_eq!(fw_segment_retain(segment), fw_result::FW_RESULT_OK);
        assert_eq!(fw_segment_release(segment), fw_result::FW_RESULT_OK);
        assert_eq!(fw_segment_release(segment), fw_result::FW_RESULT_OK);
        assert_eq!(fw_segment_release(segment), fw_result::FW_RESULT_INVALID_HANDLE);
        assert_eq!(fw_segment_retain(segment), fw_result::FW_RESULT_INVALID_HANDLE);
    }

    #[test]
    fn made_up_segments_and_places_are_refused() {
        assert_eq!(fw_segment_release(fw_segment::NONE), fw_result::FW_RESULT_INVALID_HANDLE);
        let made_up = fw_segment { buffer: fw_buffer { id: u64::MAX }, ..get(1) };
        assert_eq!(fw_segment_retain(made_up), fw_result::FW_RESULT_INVALID_HANDLE);
        // SAFETY: NULL.
        let result = unsafe { fw_buffer_get(1, std::ptr::null_mut()) };
        assert_eq!(result, fw_result::FW_RESULT_INVALID_ARGUMENT);
        // SAFETY: a place for nothing, as the size is refused.
        let result = unsafe { fw_buffer_get(usize::MAX, MaybeUninit::uninit().as_mut_ptr()) };
        assert_eq!(result, fw_result::FW_RESULT_TOO_LARGE);
    }
}
