//! Memory that only a busy connection needs.

use std::ops::{Deref, DerefMut};

/// A type with a value that costs nothing.
pub trait Empty: Default + 'static {
    const EMPTY: &'static Self;
}

/// A value that is empty, and allocated when it is first accessed for writing: most connections of a process with many
/// are idle.
#[derive(Default)]
pub struct OnDemand<T>(Option<Box<T>>);

impl<T: Empty> OnDemand<T> {
    pub const EMPTY: Self = Self(None);

    /// The value for writing, unless it is empty.
    #[inline]
    pub fn allocated(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Makes it empty, and frees its memory.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

impl<T: Empty> Deref for OnDemand<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: Empty> DerefMut for OnDemand<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
