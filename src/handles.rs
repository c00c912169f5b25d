//! Handle tables, which detect stale and invalid handles.
//!
//! A handle is `generation << 24 | slot`. Generations come from one counter for the process and are never
//! reused, so a handle that was removed, that belongs to another table, or that is made up is always
//! detected. 0 is never valid. The lock is held for an array access only, never while foreign code runs:
//! removed values are returned to the caller and dropped outside of the lock.

use std::ops::Range;
use std::sync::PoisonError;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, const_fn, statics};

const SLOT_BITS: u32 = 24;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
const NO_SLOT: u32 = u32::MAX;

statics! {
    /// 2^40 handles: at a million per second, one could repeat after twelve days, and only in the same slot.
    static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);
}

/// The number of generations that a table reserves at a time.
const RESERVED: u64 = 256;

/// The most handles that one value can have.
pub const MAX_HANDLES: usize = 32;

const _: () = assert!(MAX_HANDLES as u64 <= RESERVED);

/// Returns a handle of a value with several, from its first.
pub fn nth(first: u64, index: usize) -> u64 {
    first + ((index as u64) << SLOT_BITS)
}

/// Returns the number of a handle's place in its table, which is reused after the handle.
#[inline]
pub fn slot_of(id: u64) -> usize {
    (id & SLOT_MASK) as usize
}

/// No slot or no memory is left for another handle.
#[derive(Debug, PartialEq, Eq)]
pub struct Exhausted;

/// A table of values of one type.
pub struct Handles<T> {
    slots: Mutex<Slots<T>>,
}

struct Slots<T> {
    entries: Vec<Entry<T>>,
    first_free: u32,
    occupied: usize,
    /// Reserved generations that are not used yet.
    reserved: Range<u64>,
}

enum Entry<T> {
    Free { next: u32 },
    Taken { id: u64, value: T },
}

impl<T> Handles<T> {
    const_fn! {
        pub fn new() -> Self {
            Self {
                slots: Mutex::new(Slots {
                    entries: Vec::new(),
                    first_free: NO_SLOT,
                    occupied: 0,
                    reserved: 0..0,
                }),
            }
        }
    }

    pub fn insert(&self, value: T) -> Result<u64, Exhausted> {
        self.insert_with(|_| value)
    }

    /// Inserts a value that is created from its own handle.
    pub fn insert_with(&self, make: impl FnOnce(u64) -> T) -> Result<u64, Exhausted> {
        self.insert_for(1, make)
    }

    /// Inserts one value with `count` handles, and returns the first; [`nth`] returns the others. At most
    /// [`MAX_HANDLES`].
    pub fn insert_many(&self, count: usize, value: T) -> Result<u64, Exhausted> {
        self.insert_for(count as u64, |_| value)
    }

    fn insert_for(&self, count: u64, make: impl FnOnce(u64) -> T) -> Result<u64, Exhausted> {
        let mut slots = self.lock();
        let slot = match slots.first_free {
            NO_SLOT => slots.entries.len(),
            free => free as usize,
        };
        if slot as u64 > SLOT_MASK {
            return Err(Exhausted);
        }
        if slot == slots.entries.len() {
            slots.entries.try_reserve(1).map_err(|_| Exhausted)?;
        }
        let id = (slots.next_generations(count) << SLOT_BITS) | slot as u64;
        // Called before the table changes, as it may panic.
        let value = make(id);
        let taken = Entry::Taken { id, value };
        match slots.entries.get_mut(slot) {
            Some(place) => {
                if let Entry::Free { next } = std::mem::replace(place, taken) {
                    slots.first_free = next;
                }
            }
            None => slots.entries.push(taken),
        }
        slots.occupied += 1;
        Ok(id)
    }

    /// Runs `access` on the value of the handle with the lock held; it must be short.
    pub fn with<R>(&self, id: u64, access: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut slots = self.lock();
        match slots.entries.get_mut(slot_of(id)) {
            Some(Entry::Taken { id: taken, value }) if *taken == id => Some(access(value)),
            _ => None,
        }
    }

    pub fn get(&self, id: u64) -> Option<T>
    where
        T: Clone,
    {
        self.with(id, |value| value.clone())
    }

    pub fn remove(&self, id: u64) -> Option<T> {
        self.remove_if(id, |_| ((), true)).and_then(|((), removed)| removed)
    }

    /// Runs `access` on the value and removes it, under the same lock, if `access` returns true.
    pub fn remove_if<R>(&self, id: u64, access: impl FnOnce(&mut T) -> (R, bool)) -> Option<(R, Option<T>)> {
        self.remove_entry(id, |taken, _| (taken == id).then_some(0), |value, _| access(value))
    }

    /// As [`remove_if`](Self::remove_if), for a value with as many handles as `count` returns; `access` is
    /// also passed the index of this one.
    #[inline]
    pub fn remove_one_of<R>(
        &self,
        id: u64,
        count: impl FnOnce(&T) -> usize,
        access: impl FnOnce(&mut T, usize) -> (R, bool),
    ) -> Option<(R, Option<T>)> {
        // Handles of one slot differ in their generations only.
        let index = |first, value: &T| {
            let index = (u64::checked_sub(id, first)? >> SLOT_BITS) as usize;
            (index < count(value)).then_some(index)
        };
        self.remove_entry(id, index, access)
    }

    /// `index_of` returns the index of the handle among those of an entry, if it is one of them.
    #[inline]
    fn remove_entry<R>(
        &self,
        id: u64,
        index_of: impl FnOnce(u64, &T) -> Option<usize>,
        access: impl FnOnce(&mut T, usize) -> (R, bool),
    ) -> Option<(R, Option<T>)> {
        let mut slots = self.lock();
        let slot = slot_of(id);
        let Some(Entry::Taken { id: first, value }) = slots.entries.get_mut(slot) else { return None };
        let index = index_of(*first, value)?;
        let result = match access(value, index) {
            (result, false) => return Some((result, None)),
            (result, true) => result,
        };
        let next = slots.first_free;
        let removed = std::mem::replace(&mut slots.entries[slot], Entry::Free { next });
        slots.first_free = slot as u32;
        slots.occupied -= 1;
        slots.free_when_large_and_empty();
        match removed {
            Entry::Taken { value, .. } => Some((result, Some(value))),
            Entry::Free { .. } => Some((result, None)),
        }
    }

    /// Returns the values of all handles.
    pub fn all(&self) -> Vec<T>
    where
        T: Clone,
    {
        let slots = self.lock();
        let taken = slots.entries.iter().filter_map(|entry| match entry {
            Entry::Taken { value, .. } => Some(value.clone()),
            Entry::Free { .. } => None,
        });
        taken.collect()
    }

    pub fn remove_all(&self) -> Vec<T> {
        let mut slots = self.lock();
        let entries = std::mem::take(&mut slots.entries);
        slots.first_free = NO_SLOT;
        slots.occupied = 0;
        drop(slots);
        entries
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Taken { value, .. } => Some(value),
                Entry::Free { .. } => None,
            })
            .collect()
    }

    pub fn len(&self) -> usize {
        self.lock().occupied
    }

    /// Adds up a number over all values, with the lock held.
    pub fn sum(&self, of: impl Fn(&T) -> usize) -> usize {
        let slots = self.lock();
        let taken = slots.entries.iter().filter_map(|entry| match entry {
            Entry::Taken { value, .. } => Some(of(value)),
            Entry::Free { .. } => None,
        });
        taken.sum()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ignores poisoning: a panic with the lock held can only occur in `access` or `make`, which do not
    /// modify the table itself.
    fn lock(&self) -> MutexGuard<'_, Slots<T>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Slots<T> {
    /// The first of `count` consecutive generations.
    fn next_generations(&mut self, count: u64) -> u64 {
        if self.reserved.end - self.reserved.start < count {
            let first = NEXT_GENERATION.fetch_add(RESERVED, Ordering::Relaxed);
            self.reserved = first..first + RESERVED;
        }
        let first = self.reserved.start;
        self.reserved.start += count;
        first
    }

    /// Frees the memory of a large table when it is empty. A small one keeps it, so that creating and
    /// destroying a single handle costs no allocation.
    fn free_when_large_and_empty(&mut self) {
        if self.occupied == 0 && self.entries.len() > 64 {
            self.entries = Vec::new();
            self.first_free = NO_SLOT;
        }
    }

    fn free_when_empty(&mut self) {
        if self.occupied == 0 {
            self.entries = Vec::new();
            self.first_free = NO_SLOT;
        }
    }
}

impl<T> Handles<T> {
    /// Frees the memory of the table if it is empty.
    pub fn shrink(&self) {
        self.lock().free_when_empty();
    }
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_handle_never_becomes_valid_again() {
        let table = Handles::new();
        let first = table.insert("first").unwrap();
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second").unwrap();
        assert_eq!(second & SLOT_MASK, first & SLOT_MASK, "the slot is reused");
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some("second"));
    }

    #[test]
    fn zero_and_made_up_handles_are_invalid() {
        let table = Handles::new();
        let id = table.insert(1).unwrap();
        for wrong in [0, 1, id + 1, id ^ (1 << SLOT_BITS), u64::MAX] {
            assert_eq!(table.get(wrong), None);
        }
    }

    #[test]
    fn handle_of_another_table_is_invalid() {
        let (left, right) = (Handles::new(), Handles::new());
        let id = left.insert(1).unwrap();
        right.insert(2).unwrap();
        assert_eq!(right.get(id), None);
    }

    #[test]
    fn each_handle_of_a_value_finds_it_until_removed() {
        let table = Handles::new();
        let before = table.insert(vec![]).unwrap();
        let first = table.insert_many(3, vec![0; 3]).unwrap();
        let after = table.insert(vec![]).unwrap();
        let find = |id| table.remove_one_of(id, Vec::len, |_, index| (index, false)).map(|found| found.0);
        for index in 0..3 {
            assert_eq!(find(nth(first, index)), Some(index));
        }
        for wrong in [nth(first, 3), before, after, nth(before, 1), 0, u64::MAX] {
            assert_eq!(find(wrong), None);
        }
        assert_eq!(table.sum(Vec::len), 3);
        assert!(table.remove_one_of(nth(first, 2), Vec::len, |_, _| ((), true)).unwrap().1.is_some());
        assert_eq!(find(first), None);
        let next = table.insert_many(MAX_HANDLES, vec![0; MAX_HANDLES]).unwrap();
        assert_eq!(next & SLOT_MASK, first & SLOT_MASK, "the slot is reused");
        for stale in 0..3 {
            assert_eq!(find(nth(first, stale)), None);
        }
    }

    #[test]
    fn table_is_usable_after_remove_all() {
        let table = Handles::new();
        let ids: Vec<u64> = (0..100).map(|n| table.insert(n).unwrap()).collect();
        table.remove(ids[50]);
        let mut rest = table.remove_all();
        rest.sort();
        assert_eq!(rest.len(), 99);
        assert!(table.is_empty());
        assert!(ids.iter().all(|id| table.get(*id).is_none()));
        let again = table.insert(7).unwrap();
        assert_eq!(table.get(again), Some(7));
    }
}
