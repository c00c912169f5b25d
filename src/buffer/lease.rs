//! Segments held by handle, for callers who cannot count references.
//!
//! ```text
//!   grant ──> the library's hold ──────────────── end
//!                 └─ retain, retain … the caller's holds … release, take
//! ```
//!
//! A lease lives until the library's hold and all of the caller's are given up. Each segment that
//! is handed out has a lease of its own, so releasing one twice can never take another's memory:
//! it is found out and refused.

use super::block::Segment;
use super::pool;
use crate::error::{CallError, Code};
use crate::handles::Handles;
use crate::limits;
use crate::sync::statics;

statics! {
    static LEASES: Handles<Lease> = Handles::new();
}

struct Lease {
    segment: Segment,
    /// The library's own hold, while a callback runs or an event is out.
    granted: bool,
    /// The caller's holds.
    held: u32,
    /// What the caller may name as its range: all of a block that was made for it, otherwise just
    /// the bytes that were handed out, as the rest of the block belongs to others.
    start: usize,
    end: usize,
}

/// What the caller is shown.
#[derive(Clone, Copy, Debug)]
pub struct Leased {
    pub data: *mut u8,
    pub offset: usize,
    pub count: usize,
    pub id: u64,
}

/// Shows a segment to the caller, for the length of a callback or of an event; `end` closes it.
pub fn grant(segment: Segment) -> Result<Leased, CallError> {
    crate::fault::point("buffer.lease");
    let (start, end) = (segment.offset(), segment.offset() + segment.len());
    lease(Lease { segment, granted: true, held: 0, start, end })
}

/// Gives up the library's hold. The caller's holds outlive it.
pub fn end(id: u64) {
    LEASES.remove_if(id, |lease| {
        lease.granted = false;
        ((), lease.held == 0)
    });
}

/// A fresh block of at least `size` bytes, held once by the caller.
pub fn get(size: usize) -> Result<Leased, CallError> {
    if size > limits::MAX_MESSAGE_SIZE_CEILING - limits::HEADROOM {
        return Err(CallError::new(Code::TooLarge, "no message can be that large"));
    }
    let mut writer =
        pool::take(size + limits::HEADROOM).map_err(|pool::OutOfMemory| CallError::out_of_memory())?;
    let capacity = writer.capacity();
    writer.fill(capacity);
    let segment = writer.into_segment(0).with_range(limits::HEADROOM, size);
    lease(Lease { segment, granted: false, held: 1, start: 0, end: capacity })
}

/// Another hold of the caller's.
pub fn retain(id: u64) -> Result<(), CallError> {
    LEASES
        .with(id, |lease| match lease.held.checked_add(1) {
            Some(held) => {
                lease.held = held;
                Ok(())
            }
            None => Err(CallError::state("the segment is retained four billion times")),
        })
        .unwrap_or_else(|| Err(stale()))
}

/// Gives up one of the caller's holds.
pub fn release(id: u64) -> Result<(), CallError> {
    let released = LEASES.remove_if(id, |lease| {
        let last = lease.let_go();
        (last.is_some(), last == Some(true))
    });
    match released {
        Some((true, _)) => Ok(()),
        Some((false, _)) | None => Err(stale()),
    }
}

/// Takes over one of the caller's holds, as a segment of the range that the caller names.
/// The hold is gone whatever the result.
pub fn take(id: u64, data: *const u8, offset: usize, count: usize) -> Result<Segment, CallError> {
    let taken = LEASES.remove_if(id, |lease| {
        let Some(last) = lease.let_go() else { return (None, false) };
        let inside = std::ptr::eq(data, lease.segment.data())
            && offset >= lease.start
            && offset.checked_add(count).is_some_and(|end| end <= lease.end);
        let segment = inside.then(|| lease.segment.clone().with_range(offset, count));
        (Some(segment), last)
    });
    let Some((Some(segment), _)) = taken else { return Err(stale()) };
    segment.ok_or_else(|| CallError::argument("the segment's range lies outside of what was handed out"))
}

pub(super) fn count() -> usize {
    LEASES.len()
}

/// Gives back the table's own memory if no lease is left.
pub fn shrink() {
    LEASES.shrink();
}

fn lease(lease: Lease) -> Result<Leased, CallError> {
    let (data, offset, count) = (lease.segment.data(), lease.segment.offset(), lease.segment.len());
    let id = LEASES.insert(lease).map_err(|_| CallError::out_of_memory())?;
    Ok(Leased { data, offset, count, id })
}

fn stale() -> CallError {
    CallError::new(Code::InvalidHandle, "the segment was released, or was never handed out")
}

impl Lease {
    /// Gives up one hold of the caller's: `Some(true)` when nobody holds the lease any more, `None`
    /// when the caller held none.
    fn let_go(&mut self) -> Option<bool> {
        self.held = self.held.checked_sub(1)?;
        Some(self.held == 0 && !self.granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_release_is_refused() {
        let leased = get(100).unwrap();
        assert!(leased.offset >= 14, "room for the longest frame header");
        assert_eq!(release(leased.id), Ok(()));
        assert_eq!(release(leased.id).unwrap_err().code, Code::InvalidHandle);
    }

    #[test]
    fn the_librarys_hold_cannot_be_released_by_the_caller() {
        let leased = grant(Segment::copy_of(b"abc").unwrap()).unwrap();
        assert!(release(leased.id).is_err());
        retain(leased.id).unwrap();
        end(leased.id);
        assert_eq!(release(leased.id), Ok(()));
        assert!(retain(leased.id).is_err());
    }

    #[test]
    fn releasing_one_segment_twice_leaves_its_neighbour_alone() {
        let both = Segment::copy_of(b"onetwo").unwrap();
        let (one, two) = (grant(both.slice(0, 3)).unwrap(), grant(both.slice(3, 6)).unwrap());
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
    fn a_taken_range_must_lie_inside_and_the_hold_is_gone_all_the_same() {
        let leased = get(10).unwrap();
        assert_eq!(
            take(leased.id, leased.data, leased.offset, 1 << 30).err().unwrap().code,
            Code::InvalidArgument
        );
        assert!(release(leased.id).is_err());
        let leased = get(10).unwrap();
        assert!(take(leased.id, std::ptr::null(), leased.offset, 1).is_err());
        let both = Segment::copy_of(b"mineyours").unwrap();
        let mine = grant(both.slice(0, 4)).unwrap();
        retain(mine.id).unwrap();
        assert!(take(mine.id, mine.data, mine.offset, 9).is_err(), "the rest belongs to another");
        end(mine.id);
    }
}
