//! Handles: numbers that stand for things, safe to receive from anywhere.
//!
//! A handle is `generation << 24 | slot`. Generations are drawn from one counter for the whole
//! process and never come again, so a handle that was removed, that belongs to another table, or
//! that somebody made up is always recognised; 0 is never given out. The lock is held for a look
//! into an array and never while foreign code runs: what is removed is handed back to the caller
//! to be dropped outside.

use std::ops::Range;
use std::sync::PoisonError;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, const_fn, statics};

const SLOT_BITS: u32 = 24;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
const NO_SLOT: u32 = u32::MAX;

statics! {
    /// 2^40 handles: a million a second for twelve days before one could repeat, and then only in
    /// the same slot.
    static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);
}

/// Generations that a table draws at a time.
const DRAWN: u64 = 256;

/// The slots or the memory for another handle are used up.
#[derive(Debug, PartialEq, Eq)]
pub struct Exhausted;

/// A table of things of one kind.
pub struct Handles<T> {
    slots: Mutex<Slots<T>>,
}

struct Slots<T> {
    entries: Vec<Entry<T>>,
    first_free: u32,
    occupied: usize,
    /// Generations that are drawn and not given out.
    drawn: Range<u64>,
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
                    drawn: 0..0,
                }),
            }
        }
    }

    pub fn insert(&self, value: T) -> Result<u64, Exhausted> {
        self.insert_with(|_| value)
    }

    /// For things that know their own handle.
    pub fn insert_with(&self, make: impl FnOnce(u64) -> T) -> Result<u64, Exhausted> {
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
        let id = (slots.next_generation() << SLOT_BITS) | slot as u64;
        // Before anything changes: it may panic.
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

    /// Runs `look` on the thing behind the handle, under the table's lock: a look, no more.
    pub fn with<R>(&self, id: u64, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut slots = self.lock();
        match slots.entries.get_mut((id & SLOT_MASK) as usize) {
            Some(Entry::Taken { id: taken, value }) if *taken == id => Some(look(value)),
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

    /// Runs `look`, and removes the thing in the same breath if that says so.
    pub fn remove_if<R>(&self, id: u64, look: impl FnOnce(&mut T) -> (R, bool)) -> Option<(R, Option<T>)> {
        let mut slots = self.lock();
        let slot = (id & SLOT_MASK) as usize;
        let answer = match slots.entries.get_mut(slot) {
            Some(Entry::Taken { id: taken, value }) if *taken == id => match look(value) {
                (answer, false) => return Some((answer, None)),
                (answer, true) => answer,
            },
            _ => return None,
        };
        let next = slots.first_free;
        let removed = std::mem::replace(&mut slots.entries[slot], Entry::Free { next });
        slots.first_free = slot as u32;
        slots.occupied -= 1;
        slots.give_back_when_empty();
        match removed {
            Entry::Taken { value, .. } => Some((answer, Some(value))),
            Entry::Free { .. } => Some((answer, None)),
        }
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

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A panic while the lock was held can only have come from `look` or `make`, which leave the
    /// table itself whole.
    fn lock(&self) -> MutexGuard<'_, Slots<T>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Slots<T> {
    fn next_generation(&mut self) -> u64 {
        self.drawn.next().unwrap_or_else(|| {
            let first = NEXT_GENERATION.fetch_add(DRAWN, Ordering::Relaxed);
            self.drawn = first + 1..first + DRAWN;
            first
        })
    }

    /// A table that has grown large gives its memory back once nothing lives in it; a small one
    /// keeps it, so that a single handle coming and going costs no allocation.
    fn give_back_when_empty(&mut self) {
        if self.occupied == 0 && self.entries.len() > 64 {
            self.entries = Vec::new();
            self.first_free = NO_SLOT;
        }
    }

    fn forget_when_empty(&mut self) {
        if self.occupied == 0 {
            self.entries = Vec::new();
            self.first_free = NO_SLOT;
        }
    }
}

impl<T> Handles<T> {
    /// Gives the table's own memory back if nothing lives in it.
    pub fn shrink(&self) {
        self.lock().forget_when_empty();
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
    fn a_removed_handle_never_comes_alive_again() {
        let table = Handles::new();
        let first = table.insert("first").unwrap();
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second").unwrap();
        assert_eq!(second & SLOT_MASK, first & SLOT_MASK, "the slot is used again");
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some("second"));
    }

    #[test]
    fn zero_and_made_up_handles_are_nothing() {
        let table = Handles::new();
        let id = table.insert(1).unwrap();
        for wrong in [0, 1, id + 1, id ^ (1 << SLOT_BITS), u64::MAX] {
            assert_eq!(table.get(wrong), None);
        }
    }

    #[test]
    fn a_handle_of_one_table_means_nothing_to_another() {
        let (left, right) = (Handles::new(), Handles::new());
        let id = left.insert(1).unwrap();
        right.insert(2).unwrap();
        assert_eq!(right.get(id), None);
    }

    #[test]
    fn remove_all_empties_and_the_table_goes_on() {
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
