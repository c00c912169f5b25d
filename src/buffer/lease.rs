//! Handles to segments, for callers that cannot count references.
//!
//! ```text
//!   create ─► the library's reference ───────────────────── end
//!               └─ retain, retain … the caller's references … release, take
//! ```
//!
//! A lease ends when the library and the caller have released all their references. Each segment passed to a
//! caller has a separate lease, so a double release never frees another segment's memory: it is detected and
//! rejected.

use super::pool::OutOfMemory;
use super::segment::{self, Segment};
use crate::error::{CallError, Code};
use crate::handles::Handles;
use crate::limits;
use crate::sync::statics;

statics! {
    static LEASES: Handles<Lease> = Handles::new();
}

struct Lease {
    segment: Segment,
    /// The library has a reference: a callback is running or an event is not released.
    library_ref: bool,
    /// The number of the caller's references.
    caller_refs: u32,
    /// The range that the caller may use: the whole block if it was allocated for the caller, otherwise
    /// only the bytes passed to the caller, as the rest of the block may hold other segments.
    start: usize,
    end: usize,
}

/// Describes a lease to the caller.
#[derive(Clone, Copy, Debug)]
pub struct Leased {
    pub data: *mut u8,
    pub offset: usize,
    pub count: usize,
    pub id: u64,
}

/// Creates a lease with one reference of the library, for a callback or an event, until [`end`].
pub fn create(segment: Segment) -> Result<Leased, CallError> {
    crate::fault::point("buffer.lease");
    let (start, end) = (segment.offset(), segment.offset() + segment.len());
    lease(Lease { segment, library_ref: true, caller_refs: 0, start, end })
}

/// Releases the library's reference. The caller's references stay valid.
pub fn end(id: u64) {
    LEASES.remove_if(id, |lease| {
        lease.library_ref = false;
        ((), lease.caller_refs == 0)
    });
}

/// Allocates a block of at least `size` bytes, with one reference for the caller.
pub fn get(size: usize) -> Result<Leased, CallError> {
    if size > limits::MAX_MESSAGE_SIZE_CEILING - limits::HEADROOM {
        return Err(CallError::new(Code::TooLarge, "the size must be less than 2 GiB"));
    }
    let mut writer =
        segment::take(size + limits::HEADROOM).map_err(|OutOfMemory| CallError::out_of_memory())?;
    let capacity = writer.capacity();
    writer.fill(capacity);
    let segment = writer.into_segment(0).with_range(limits::HEADROOM, size);
    lease(Lease { segment, library_ref: false, caller_refs: 1, start: 0, end: capacity })
}

/// Adds one reference for the caller.
pub fn retain(id: u64) -> Result<(), CallError> {
    LEASES
        .with(id, |lease| match lease.caller_refs.checked_add(1) {
            Some(count) => {
                lease.caller_refs = count;
                Ok(())
            }
            None => Err(CallError::state("the segment's reference count is at its maximum")),
        })
        .unwrap_or_else(|| Err(stale()))
}

/// Releases one of the caller's references.
pub fn release(id: u64) -> Result<(), CallError> {
    let released = LEASES.remove_if(id, |lease| {
        let last = lease.release();
        (last.is_some(), last == Some(true))
    });
    match released {
        Some((true, _)) => Ok(()),
        Some((false, _)) | None => Err(stale()),
    }
}

/// Consumes one of the caller's references, even on failure, and returns the given range as a segment.
pub fn take(id: u64, data: *const u8, offset: usize, count: usize) -> Result<Segment, CallError> {
    let taken = LEASES.remove_if(id, |lease| {
        let Some(last) = lease.release() else { return (None, false) };
        let inside = std::ptr::eq(data, lease.segment.data())
            && offset >= lease.start
            && offset.checked_add(count).is_some_and(|end| end <= lease.end);
        let segment = inside.then(|| lease.segment.clone().with_range(offset, count));
        (Some(segment), last)
    });
    let Some((Some(segment), _)) = taken else { return Err(stale()) };
    segment.ok_or_else(|| CallError::argument("the range is outside the memory of the segment"))
}

pub(super) fn count() -> usize {
    LEASES.len()
}

/// Frees the table's memory if no lease is live.
pub fn shrink() {
    LEASES.shrink();
}

fn lease(lease: Lease) -> Result<Leased, CallError> {
    let (data, offset, count) = (lease.segment.data(), lease.segment.offset(), lease.segment.len());
    let id = LEASES.insert(lease).map_err(|_| CallError::out_of_memory())?;
    Ok(Leased { data, offset, count, id })
}

fn stale() -> CallError {
    CallError::new(Code::InvalidHandle, "the segment was released, or its handle was never valid")
}

impl Lease {
    /// Releases one of the caller's references. Returns `Some(true)` if it was the last reference to the
    /// lease, `None` if the caller had none.
    fn release(&mut self) -> Option<bool> {
        self.caller_refs = self.caller_refs.checked_sub(1)?;
        Some(self.caller_refs == 0 && !self.library_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_release_is_rejected() {
        let leased = get(100).unwrap();
        assert!(leased.offset >= 14, "headroom for the longest frame header");
        assert_eq!(release(leased.id), Ok(()));
        assert_eq!(release(leased.id).unwrap_err().code, Code::InvalidHandle);
    }

    #[test]
    fn caller_cannot_release_library_reference() {
        let leased = create(Segment::copy_of(b"abc").unwrap()).unwrap();
        assert!(release(leased.id).is_err());
        retain(leased.id).unwrap();
        end(leased.id);
        assert_eq!(release(leased.id), Ok(()));
        assert!(retain(leased.id).is_err());
    }

    #[test]
    fn double_release_does_not_affect_other_segments() {
        let both = Segment::copy_of(b"onetwo").unwrap();
        let (one, two) = (create(both.slice(0, 3)).unwrap(), create(both.slice(3, 6)).unwrap());
        for leased in [one, two] {
            retain(leased.id).unwrap();
            end(leased.id);
        }
        assert_eq!(release(one.id), Ok(()));
        assert!(release(one.id).is_err());
        let taken = take(two.id, two.data, two.offset, two.count).unwrap();
        assert_eq!(taken.as_slice(), b"two");
    }

    #[test]
    fn take_checks_range_and_consumes_reference_on_failure() {
        let leased = get(10).unwrap();
        assert_eq!(
            take(leased.id, leased.data, leased.offset, 1 << 30).err().unwrap().code,
            Code::InvalidArgument
        );
        assert!(release(leased.id).is_err());
        let leased = get(10).unwrap();
        assert!(take(leased.id, std::ptr::null(), leased.offset, 1).is_err());
        let both = Segment::copy_of(b"mineyours").unwrap();
        let mine = create(both.slice(0, 4)).unwrap();
        retain(mine.id).unwrap();
        assert!(take(mine.id, mine.data, mine.offset, 9).is_err(), "the rest belongs to another segment");
        end(mine.id);
    }
}
