//! Segments: payload memory from the pool, with reference counts for C.

use super::args::pointer;
use super::guard::guard;
use super::guard::guard_or;
use super::result::fw_result;
use super::sized::{self, sized};
use crate::client::lease::{self, Leased};
use crate::client::{self, PoolStats, Segment};
use crate::error::CallError;

/// Identifies a reference to a pooled block. Part of fw_segment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct fw_buffer {
    /// 0 is never valid.
    pub id: u64,
}

/// A range of a pooled block: count bytes from data + offset.
///
/// The block is usually larger; do not access bytes outside of the range. In a callback or an
/// event, a segment is read-only and borrowed until the callback returns or the event is released;
/// fw_segment_retain keeps it longer. A segment from fw_buffer_get, or retained, belongs to the
/// caller until fw_segment_release or until it is sent, and outlives its socket and fw_shutdown. It
/// keeps its whole block alive, usually 64 KiB for one that was received, however small it is: to
/// keep small payloads for long, copy them. fw_buffer_get rounds up to a power of two from 1 KiB.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fw_segment {
    /// Start of the block; not NULL in segments that the library returns.
    pub data: *mut u8,
    /// Offset of the first byte from data.
    pub offset: usize,
    /// Number of bytes; may be 0.
    pub count: usize,
    /// Identifies the reference.
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

    /// Consumes one of the caller's references, even on failure.
    pub(super) fn take(self) -> Result<Segment, CallError> {
        lease::take(self.buffer.id, self.data, self.offset, self.count)
    }
}

/// Allocates a segment from the pool, with one reference.
///
/// The caller may write its bytes, which are uninitialized, and those of the block before offset.
/// They leave room for a frame header, so that the segment can be sent without a copy. To send
/// fewer bytes, narrow offset and count.
///
/// \param size Size in bytes, may be 0; at most 2 GiB less 17.
/// \param out Receives the segment; not NULL.
/// \returns OK; INVALID_ARGUMENT (NULL); TOO_LARGE; OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_buffer_get(size: usize, out: *mut fw_segment) -> fw_result {
    guard(|| {
        let out = pointer(out, "out")?;
        let leased = lease::get(size)?;
        // SAFETY: not NULL and aligned; the caller promises that it can be written.
        unsafe { out.write(leased.into()) };
        Ok(())
    })
}

/// Adds a reference to a segment.
///
/// Inside a callback, or before the event is released, it keeps a received payload without a copy.
/// Every reference ends with fw_segment_release, or when the segment is sent.
///
/// \param segment A valid segment.
/// \returns OK; INVALID_HANDLE (already released, or never valid); INVALID_STATE (2^32 references).
#[unsafe(no_mangle)]
pub extern "C" fn fw_segment_retain(segment: fw_segment) -> fw_result {
    guard(|| lease::retain(segment.buffer.id))
}

/// Releases one reference to a segment.
///
/// Do not access the bytes after the last reference is released. Releasing too often is safe: the
/// call returns INVALID_HANDLE.
///
/// \param segment A segment that the caller holds a reference to.
/// \returns OK; INVALID_HANDLE (the caller holds no reference).
#[unsafe(no_mangle)]
pub extern "C" fn fw_segment_release(segment: fw_segment) -> fw_result {
    guard(|| lease::release(segment.buffer.id))
}

/// Statistics of the payload pool; approximate while threads use it.
///
/// Initialize it once with fw_pool_stats_init.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fw_pool_stats {
    /// Size of this struct in bytes, set by fw_pool_stats_init.
    pub struct_size: u32,
    /// Number of blocks in use.
    pub blocks_in_use: u64,
    /// Size of the blocks in use, in bytes.
    pub bytes_in_use: u64,
    /// Number of free blocks kept for reuse.
    pub blocks_free: u64,
    /// Size of the free blocks in bytes, at most 32 MiB.
    pub bytes_free: u64,
    /// Number of segments that the caller holds, including those in events.
    pub leases: u64,
    /// Number of blocks allocated since the process started; constant in a steady state.
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

/// Initializes the struct for fw_buffer_pool_stats.
///
/// \param stats Written to; NULL does nothing.
/// \param struct_size sizeof(fw_pool_stats).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_pool_stats_init(stats: *mut fw_pool_stats, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(stats, struct_size) }
}

/// Returns the statistics of the payload pool.
///
/// \param out Initialized with fw_pool_stats_init, not NULL; receives the numbers.
/// \returns OK; INVALID_ARGUMENT (NULL, struct_size).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_buffer_pool_stats(out: *mut fw_pool_stats) -> fw_result {
    guard(|| {
        let out = pointer(out, "out")?;
        // SAFETY: the caller promises a struct of its struct_size.
        unsafe { sized::write(&client::pool_stats().into(), out) }
    })
}

/// Frees the blocks that the pool keeps for reuse.
///
/// For moments when memory matters more than the next allocations, such as a level change.
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
        // SAFETY: `out` can be written.
        assert_eq!(unsafe { fw_buffer_get(size, out.as_mut_ptr()) }, fw_result::FW_RESULT_OK);
        // SAFETY: written, as the call returned OK.
        unsafe { out.assume_init() }
    }

    #[test]
    fn segment_is_valid_until_its_last_release() {
        let segment = get(1000);
        assert!(segment.offset >= 14 && segment.count == 1000);
        // SAFETY: no other reference to the segment exists.
        unsafe { segment.data.add(segment.offset).write_bytes(7, segment.count) };
        assert_eq!(fw_segment_retain(segment), fw_result::FW_RESULT_OK);
        assert_eq!(fw_segment_release(segment), fw_result::FW_RESULT_OK);
        assert_eq!(fw_segment_release(segment), fw_result::FW_RESULT_OK);
        assert_eq!(fw_segment_release(segment), fw_result::FW_RESULT_INVALID_HANDLE);
        assert_eq!(fw_segment_retain(segment), fw_result::FW_RESULT_INVALID_HANDLE);
    }

    #[test]
    fn invalid_segments_sizes_and_pointers_are_refused() {
        assert_eq!(fw_segment_release(fw_segment::NONE), fw_result::FW_RESULT_INVALID_HANDLE);
        let made_up = fw_segment { buffer: fw_buffer { id: u64::MAX }, ..get(1) };
        assert_eq!(fw_segment_retain(made_up), fw_result::FW_RESULT_INVALID_HANDLE);
        // SAFETY: NULL.
        let result = unsafe { fw_buffer_get(1, std::ptr::null_mut()) };
        assert_eq!(result, fw_result::FW_RESULT_INVALID_ARGUMENT);
        // SAFETY: not written, as the size is refused.
        let result = unsafe { fw_buffer_get(usize::MAX, MaybeUninit::uninit().as_mut_ptr()) };
        assert_eq!(result, fw_result::FW_RESULT_TOO_LARGE);
    }
}
