//! The allocator of everything in the library: the host's hooks while they are in force, else the
//! system's.
//!
//! ```text
//!   fw_init ── install ──> hooks in force ── withdraw ──> fw_shutdown
//!
//!   block: [ what the caller sees … ][ padding ][ origin ]
//! ```
//!
//! Hooks come and go while blocks live on (threads' last words, what the host still holds, what
//! is made once per process), and a block must go back where it came from. So each carries its
//! origin: 0 is the system, n the n-th set of hooks. It stands at the end, which Rust can find as it
//! frees by size; so any alignment is kept without waste, and tools that look for leaks see pointers
//! to the beginning of blocks. A set's place is used again only when no block of it is left.
//!
//! No lock and no thread-local on this path: without hooks it costs one load.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::CallError;

/// Different sets of hooks that may have live blocks at once: an editor brings a new one each time
/// it loads its scripts again.
const MAX_SETS: usize = 16;
/// A block's origin: a byte, as most blocks are small.
type Origin = u8;
const _: () = assert!(MAX_SETS <= Origin::MAX as usize);
/// The origin of what the system's allocator gave.
const SYSTEM: usize = 0;

pub(super) type AllocFn = unsafe extern "C" fn(usize, usize, *mut c_void) -> *mut c_void;
pub(super) type ReallocFn =
    unsafe extern "C" fn(*mut c_void, usize, usize, usize, *mut c_void) -> *mut c_void;
pub(super) type FreeFn = unsafe extern "C" fn(*mut c_void, usize, usize, *mut c_void);

/// The host's three functions, as `fw_config` describes them.
#[derive(Clone, Copy)]
pub(super) struct Hooks {
    pub alloc: AllocFn,
    /// Without it, a block that grows is copied.
    pub realloc: Option<ReallocFn>,
    pub free: FreeFn,
    pub user_data: *mut c_void,
}

impl Hooks {
    fn is_same(&self, other: &Hooks) -> bool {
        ptr::fn_addr_eq(self.alloc, other.alloc)
            && self.realloc.map(|f| f as usize) == other.realloc.map(|f| f as usize)
            && ptr::fn_addr_eq(self.free, other.free)
            && self.user_data == other.user_data
    }
}

#[global_allocator]
static GLOBAL: HostAllocator = HostAllocator::new();

/// Puts hooks in force. What was allocated before goes back where it came from.
pub(super) fn install(hooks: Hooks) -> Result<Installed, CallError> {
    GLOBAL.install(hooks)
}

/// What is in force now, for [`withdraw`].
pub(super) fn installed() -> Installed {
    Installed(GLOBAL.current.load(Ordering::SeqCst))
}

/// Ends the rule of these hooks, and of no later ones.
pub(super) fn withdraw(installed: Installed) {
    GLOBAL.withdraw(installed);
}

/// Which hooks were in force at some time.
#[derive(Clone, Copy)]
pub(super) struct Installed(usize);

struct HostAllocator {
    /// The origin of new blocks.
    current: AtomicUsize,
    sets: [HookSet; MAX_SETS],
    /// Somebody is writing to `sets`.
    installing: AtomicBool,
}

/// One place for hooks.
///
/// ```text
///   free (live 0, not current) ──install──> current ──withdraw──> draining ──live 0──> free
/// ```
struct HookSet {
    hooks: UnsafeCell<Option<Hooks>>,
    /// Blocks of these hooks, and threads that are about to make one.
    live: AtomicUsize,
}

// SAFETY: `hooks` is written only under `installing` while the set is not current and nothing of
// it lives, and is read only under `installing` or by whoever holds a count of `live`: see
// `HostAllocator::enter`.
unsafe impl Sync for HookSet {}

impl HostAllocator {
    const fn new() -> Self {
        Self {
            current: AtomicUsize::new(SYSTEM),
            sets: [const { HookSet { hooks: UnsafeCell::new(None), live: AtomicUsize::new(0) } }; MAX_SETS],
            installing: AtomicBool::new(false),
        }
    }

    fn install(&self, hooks: Hooks) -> Result<Installed, CallError> {
        if self.installing.swap(true, Ordering::SeqCst) {
            return Err(CallError::state("another fw_init is running"));
        }
        let result = self.install_alone(hooks);
        self.installing.store(false, Ordering::SeqCst);
        result
    }

    fn install_alone(&self, hooks: Hooks) -> Result<Installed, CallError> {
        if self.current.load(Ordering::SeqCst) != SYSTEM {
            return Err(CallError::state("allocator hooks are in force until fw_shutdown has ended"));
        }
        // SAFETY: nobody else writes (`installing`), and these are reads.
        let holds = |set: &HookSet| unsafe { &*set.hooks.get() }.is_some_and(|held| held.is_same(&hooks));
        let known = self.sets.iter().position(holds);
        let index = match known {
            Some(index) => index,
            None => {
                let free = self.sets.iter().position(|set| set.live.load(Ordering::SeqCst) == 0);
                let index = free.ok_or_else(|| {
                    CallError::state("blocks of too many different allocator hooks are still in use")
                })?;
                // SAFETY: nobody else writes (`installing`). Nobody reads: nothing of the set
                // lives, and whoever enters it now finds that it is not current and turns back.
                unsafe { *self.sets[index].hooks.get() = Some(hooks) };
                index
            }
        };
        self.current.store(index + 1, Ordering::SeqCst);
        Ok(Installed(index + 1))
    }

    fn withdraw(&self, installed: Installed) {
        // Fails when others are in force by now, which is as it should be.
        let _ = self.current.compare_exchange(installed.0, SYSTEM, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The hooks in force, with a count of their set's that the block to be made takes over.
    ///
    /// The count comes first and the look whether they are still in force second; whoever uses a
    /// set's place again takes it out of force first and looks at the count second. In the one
    /// order of all these (`SeqCst`), one of the two sees the other.
    fn enter(&self) -> Option<(usize, Hooks)> {
        loop {
            let origin = self.current.load(Ordering::Acquire);
            let set = self.sets.get(origin.checked_sub(1)?)?;
            set.live.fetch_add(1, Ordering::SeqCst);
            if self.current.load(Ordering::SeqCst) == origin {
                // SAFETY: the count is held and the set in force, so nobody writes.
                if let Some(hooks) = unsafe { *set.hooks.get() } {
                    return Some((origin, hooks));
                }
            }
            set.live.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// The hooks that made a block.
    ///
    /// # Safety
    /// A block with this origin lives.
    unsafe fn maker(&self, origin: usize) -> Option<(usize, &HookSet, Hooks)> {
        let set = self.sets.get(origin.checked_sub(1)?)?;
        // SAFETY: the living block has a count of the set's, so nobody writes.
        unsafe { *set.hooks.get() }.map(|hooks| (origin, set, hooks))
    }
}

/// The layout of a block with its origin, and where the origin stands; `None` if no address space is
/// large enough. Hooks are promised the alignment of a pointer at least.
fn whole(layout: Layout) -> Option<(Layout, usize)> {
    layout.align_to(align_of::<*mut c_void>()).ok()?.extend(Layout::new::<Origin>()).ok()
}

/// Writes the origin.
///
/// # Safety
/// `block` is NULL, or a block of this `whole` layout with the origin at `at`.
unsafe fn mark(block: *mut u8, at: usize, origin: usize) -> *mut u8 {
    if !block.is_null() {
        // SAFETY: `whole` has made room for it.
        unsafe { block.add(at).cast::<Origin>().write(origin as Origin) };
    }
    block
}

// SAFETY: blocks come from the system's allocator or the host's hooks with the size and alignment
// asked for, the origin on top, and go back to the one whose number they carry. Nothing here panics
// or allocates.
unsafe impl GlobalAlloc for HostAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, at)) = whole(layout) else { return ptr::null_mut() };
        let Some((origin, hooks)) = self.enter() else {
            // SAFETY: the size is not zero, as the origin is in it; made for this layout.
            return unsafe { mark(System.alloc(whole), at, SYSTEM) };
        };
        // SAFETY: the hook is what `fw_config` asks for, by the host's promise.
        let block = unsafe { (hooks.alloc)(whole.size(), whole.align(), hooks.user_data) }.cast::<u8>();
        if block.is_null() {
            self.sets[origin - 1].live.fetch_sub(1, Ordering::SeqCst);
        }
        // SAFETY: made for this layout.
        unsafe { mark(block, at, origin) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.current.load(Ordering::Acquire) == SYSTEM {
            // The system knows which of its pages are zero already.
            let Some((whole, at)) = whole(layout) else { return ptr::null_mut() };
            // SAFETY: the size is not zero, as the origin is in it; made for this layout.
            return unsafe { mark(System.alloc_zeroed(whole), at, SYSTEM) };
        }
        // SAFETY: as our caller promises.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: so many bytes were allocated.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // The same was computed when the block was made, so it is `Some`.
        let Some((whole, at)) = whole(layout) else { return };
        // SAFETY: the block is one of ours and lives.
        match unsafe { self.maker(block.add(at).cast::<Origin>().read().into()) } {
            // SAFETY: the system made it with this layout.
            None => unsafe { System.dealloc(block, whole) },
            Some((_, set, hooks)) => {
                // SAFETY: these hooks made it with this size and alignment.
                unsafe { (hooks.free)(block.cast(), whole.size(), whole.align(), hooks.user_data) };
                set.live.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        let (Some((old, at)), Some((new, new_at))) = (whole(layout), whole(new_layout)) else {
            return ptr::null_mut();
        };
        // SAFETY: the block is one of ours and lives.
        match unsafe { self.maker(block.add(at).cast::<Origin>().read().into()) } {
            // SAFETY: the system made it with this layout; the new one is a possible one.
            None => unsafe { mark(System.realloc(block, old, new.size()), new_at, SYSTEM) },
            Some((origin, _, Hooks { realloc: Some(realloc), user_data, .. })) => {
                // SAFETY: these hooks made it with this size and alignment.
                let moved = unsafe { realloc(block.cast(), old.size(), new.size(), old.align(), user_data) };
                // SAFETY: made for the new layout.
                unsafe { mark(moved.cast(), new_at, origin) }
            }
            // A block whose hooks cannot let it grow moves to the allocator now in force.
            // SAFETY: as our caller promises; the new block is another one.
            Some(_) => unsafe {
                let moved = self.alloc(new_layout);
                if !moved.is_null() {
                    moved.copy_from_nonoverlapping(block, layout.size().min(new_size));
                    self.dealloc(block, layout);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests;
