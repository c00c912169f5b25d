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
//!
//! Segments of one block that are passed to the caller together share one table entry, a [`Group`], so that a burst
//! of small messages takes its lock once. Each still has a separate handle and separate references.

use super::pool::OutOfMemory;
use super::segment::{self, Segment};
use crate::error::{CallError, Code};
use crate::handles::{self, Handles};
use crate::limits;
use crate::sync::statics;

statics! {
    static LEASES: Handles<Lease> = Handles::new();
    static GROUPS: Handles<Group> = Handles::new();
}

/// Set in the handles of groups. The tables leave this bit free: neither has so many entries.
const IN_GROUP: u64 = 1 << 23;

/// The maximum number of segments in a group.
pub const MAX_GROUP: usize = handles::MAX_HANDLES;

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

/// Segments of one block. Each has a bit in two sets.
struct Group {
    block: Segment,
    count: usize,
    /// Segments with a reference of the library, while their events are not released.
    library_refs: u32,
    /// Segments with a reference of the caller.
    caller_refs: u32,
    /// The caller's further references to a segment, if any: its index and their number.
    more: Vec<(usize, u32)>,
    /// The range of each in the block.
    ranges: [(u32, u32); MAX_GROUP],
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

/// Creates the leases of several parts of a segment, like [`create`]. Each range is relative to the segment.
/// Returns the lease of the first; [`nth`](crate::handles::nth) returns the handles of the others.
pub fn create_group(
    segment: Segment,
    count: usize,
    mut ranges: [(u32, u32); MAX_GROUP],
) -> Result<Leased, CallError> {
    crate::fault::point("buffer.lease");
    let (data, base) = (segment.data(), segment.offset() as u32);
    for range in &mut ranges[..count] {
        *range = (base + range.0, base + range.1);
    }
    let (start, end) = ranges[0];
    let library_refs = bits(0, count);
    let group = Group { block: segment, count, library_refs, caller_refs: 0, more: Vec::new(), ranges };
    let id = GROUPS.insert_many(count, group).map_err(|_| CallError::out_of_memory())?;
    if id & IN_GROUP != 0 {
        GROUPS.remove(id);
        return Err(CallError::out_of_memory());
    }
    Ok(Leased { data, offset: start as usize, count: (end - start) as usize, id: id | IN_GROUP })
}

/// Releases the library's reference. The caller's references stay valid.
#[inline]
pub fn end(id: u64) {
    if id & IN_GROUP == 0 {
        in_lease(id, |lease| lease.library_ref = false);
    } else {
        in_group(id, |group, index| group.library_refs &= !bits(index, 1));
    }
}

/// Like [`end`], for `count` consecutive handles, which usually belong to one group.
#[inline]
pub fn end_several(first: u64, count: usize) {
    if count == 1 {
        return end(first);
    }
    let in_one = |id, count| in_group(id, |group, index| group.library_refs &= !bits(index, count));
    if first & IN_GROUP == 0 {
        for index in 0..count {
            in_lease(handles::nth(first, index), |lease| lease.library_ref = false);
        }
    } else if in_one(first, count).is_none() {
        // The first is stale. The others may belong to another group, in the same place of the table.
        for index in 1..count {
            in_one(handles::nth(first, index), 1);
        }
    }
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
    let retained = match id & IN_GROUP {
        0 => in_lease(id, Lease::retain),
        _ => in_group(id, Group::retain),
    };
    retained.unwrap_or_else(|| Err(stale()))
}

/// Releases one of the caller's references.
pub fn release(id: u64) -> Result<(), CallError> {
    let released = match id & IN_GROUP {
        0 => in_lease(id, Lease::release),
        _ => in_group(id, Group::release),
    };
    released.flatten().ok_or_else(stale)
}

/// Consumes one of the caller's references, even on failure, and returns the given range as a segment.
pub fn take(id: u64, data: *const u8, offset: usize, count: usize) -> Result<Segment, CallError> {
    let part = |segment: &Segment, start: usize, end: usize| {
        let inside = std::ptr::eq(data, segment.data())
            && offset >= start
            && offset.checked_add(count).is_some_and(|last| last <= end);
        inside.then(|| segment.clone().with_range(offset, count))
    };
    let taken = match id & IN_GROUP {
        0 => in_lease(id, |lease| {
            lease.release()?;
            Some(part(&lease.segment, lease.start, lease.end))
        }),
        _ => in_group(id, |group, index| {
            group.release(index)?;
            let (start, end) = group.ranges[index];
            Some(part(&group.block, start as usize, end as usize))
        }),
    };
    let segment = taken.flatten().ok_or_else(stale)?;
    segment.ok_or_else(|| CallError::argument("the range is outside the memory of the segment"))
}

/// Returns the number of segments with a lease.
pub(super) fn count() -> usize {
    LEASES.len() + GROUPS.sum(Group::live)
}

/// Frees the tables' memory if no lease is live.
pub fn shrink() {
    LEASES.shrink();
    GROUPS.shrink();
}

fn lease(lease: Lease) -> Result<Leased, CallError> {
    let (data, offset, count) = (lease.segment.data(), lease.segment.offset(), lease.segment.len());
    let id = LEASES.insert(lease).map_err(|_| CallError::out_of_memory())?;
    if id & IN_GROUP != 0 {
        LEASES.remove(id);
        return Err(CallError::out_of_memory());
    }
    Ok(Leased { data, offset, count, id })
}

/// Accesses a lease, and removes it if that released its last reference.
#[inline]
fn in_lease<R>(id: u64, access: impl FnOnce(&mut Lease) -> R) -> Option<R> {
    let found = LEASES.remove_if(id, |lease| {
        let result = access(lease);
        (result, !lease.library_ref && lease.caller_refs == 0)
    });
    found.map(|(result, _)| result)
}

/// Accesses a group, and removes it if that released the last reference to its last segment. For a segment
/// without a reference, `access` must do nothing: its handle is stale.
#[inline]
fn in_group<R>(id: u64, access: impl FnOnce(&mut Group, usize) -> R) -> Option<R> {
    let count = |group: &Group| group.count;
    let found = GROUPS.remove_one_of(id & !IN_GROUP, count, |group, index| {
        let result = access(group, index);
        (result, group.library_refs | group.caller_refs == 0)
    });
    found.map(|(result, _)| result)
}

/// `count` bits from bit `first`, as far as there are any.
fn bits(first: usize, count: usize) -> u32 {
    let below = |count: usize| (1u64 << count.min(MAX_GROUP)) - 1;
    (below(first + count) & !below(first)) as u32
}

fn too_many() -> CallError {
    CallError::state("the segment's reference count is at its maximum")
}

fn stale() -> CallError {
    CallError::new(Code::InvalidHandle, "the segment was released, or its handle was never valid")
}

impl Lease {
    fn retain(&mut self) -> Result<(), CallError> {
        self.caller_refs = self.caller_refs.checked_add(1).ok_or_else(too_many)?;
        Ok(())
    }

    /// Releases one of the caller's references. None if the caller has none.
    fn release(&mut self) -> Option<()> {
        self.caller_refs = self.caller_refs.checked_sub(1)?;
        Some(())
    }
}

impl Group {
    fn retain(&mut self, index: usize) -> Result<(), CallError> {
        let bit = bits(index, 1);
        if (self.library_refs | self.caller_refs) & bit == 0 {
            return Err(stale());
        }
        if self.caller_refs & bit == 0 {
            self.caller_refs |= bit;
        } else if let Some((_, more)) = self.more.iter_mut().find(|(of, _)| *of == index) {
            *more = more.checked_add(1).ok_or_else(too_many)?;
        } else {
            self.more.try_reserve(1).map_err(|_| CallError::out_of_memory())?;
            self.more.push((index, 1));
        }
        Ok(())
    }

    /// Releases one of the caller's references to a segment. None if the caller has none.
    fn release(&mut self, index: usize) -> Option<()> {
        let bit = bits(index, 1);
        if self.caller_refs & bit == 0 {
            return None;
        }
        match self.more.iter().position(|(of, _)| *of == index) {
            Some(at) if self.more[at].1 == 1 => _ = self.more.swap_remove(at),
            Some(at) => self.more[at].1 -= 1,
            None => self.caller_refs &= !bit,
        }
        Some(())
    }

    /// Returns the number of its segments that have a reference.
    fn live(&self) -> usize {
        (self.library_refs | self.caller_refs).count_ones() as usize
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

    fn group(parts: &[&[u8]]) -> Leased {
        let mut ranges = [(0, 0); MAX_GROUP];
        let mut end = 0;
        for (range, part) in ranges.iter_mut().zip(parts) {
            *range = (end, end + part.len() as u32);
            end = range.1;
        }
        create_group(Segment::copy_of(&parts.concat()).unwrap(), parts.len(), ranges).unwrap()
    }

    #[test]
    fn each_segment_of_a_group_has_its_own_references() {
        let first = group(&[b"one", b"three", b"", b"four"]);
        let id = |index| handles::nth(first.id, index);
        assert!(release(id(1)).is_err(), "the library's reference is not the caller's");
        for times in [1, 3] {
            for _ in 0..times {
                retain(id(times)).unwrap();
            }
        }
        end_several(first.id, 4);
        assert!(retain(id(0)).is_err() && retain(id(2)).is_err() && retain(id(4)).is_err());
        for _ in 0..3 {
            assert_eq!(release(id(3)), Ok(()));
        }
        assert!(release(id(3)).is_err() && retain(id(3)).is_err());
        let wrong = take(id(1), first.data, first.offset, 3);
        assert_eq!(wrong.err().unwrap().code, Code::InvalidArgument, "bytes of its neighbour");
        assert!(release(id(1)).is_err(), "consumed on failure");
    }

    #[test]
    fn taken_segment_of_a_group_is_exclusive_after_the_others_are_released() {
        let first = group(&[b"one", b"two"]);
        let second = handles::nth(first.id, 1);
        retain(second).unwrap();
        end(second);
        end_several(first.id, 2);
        let taken = take(second, first.data, first.offset + 3, 3).unwrap();
        assert_eq!(taken.as_slice(), b"two");
        assert!(taken.into_exclusive().is_ok());
    }

    #[test]
    fn stale_handle_before_a_valid_one_does_not_hide_it() {
        let parts = [&b"x"[..]; MAX_GROUP];
        // Groups of other tests may come between.
        let adjacent = (0..1000).find_map(|_| {
            let stale = group(&parts);
            end_several(stale.id, MAX_GROUP);
            let valid = group(&parts);
            let last = handles::nth(stale.id, MAX_GROUP - 1);
            if valid.id == handles::nth(last, 1) {
                return Some((last, valid.id));
            }
            end_several(valid.id, MAX_GROUP);
            None
        });
        let (stale, valid) = adjacent.unwrap();
        end_several(stale, 1 + MAX_GROUP);
        assert!((0..MAX_GROUP).all(|index| retain(handles::nth(valid, index)).is_err()));
    }

    #[test]
    fn group_lives_until_its_last_segment_is_released() {
        let parts = [&b"x"[..]; MAX_GROUP];
        let first = group(&parts);
        end_several(first.id, MAX_GROUP - 1);
        let last = handles::nth(first.id, MAX_GROUP - 1);
        retain(last).unwrap();
        end_several(last, 1);
        assert_eq!(release(last), Ok(()));
        end_several(first.id, MAX_GROUP);
        assert!((0..MAX_GROUP).all(|index| retain(handles::nth(first.id, index)).is_err()));
    }
}
