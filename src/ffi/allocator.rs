//! The global allocator: the hooks of `fw_config` while they are installed, else the system's
//! allocator.
//!
//! ```text
//!   fw_init ── install ──> hooks installed ── withdraw ──> fw_shutdown
//!
//!   block: [ requested bytes ][ padding ][ origin ]
//! ```
//!
//! Blocks outlive their hooks (the end of threads, what the host still holds, process-wide statics),
//! and must be freed by the allocator that made them. So each block stores its origin: 0 is the
//! system, n the n-th set of hooks. It is at the end, where Rust finds it because it frees with the
//! size: alignment costs no extra memory, and leak detectors see pointers to the start of blocks.
//! The slot of a set is reused only when none of its blocks is left.
//!
//! No lock and no thread-local on this path: without hooks it costs one load.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::CallError;

/// Maximum number of sets of hooks with live blocks: an editor installs a new set each time it
/// reloads its scripts.
const MAX_SETS: usize = 16;
/// A block's origin: one byte, because most blocks are small.
type Origin = u8;
const _: () = assert!(MAX_SETS <= Origin::MAX as usize);
/// The origin of blocks of the system's allocator.
const SYSTEM: usize = 0;

pub(super) type AllocFn = unsafe extern "C" fn(usize, usize, *mut c_void) -> *mut c_void;
pub(super) type ReallocFn =
    unsafe extern "C" fn(*mut c_void, usize, usize, usize, *mut c_void) -> *mut c_void;
pub(super) type FreeFn = unsafe extern "C" fn(*mut c_void, usize, usize, *mut c_void);

/// The three allocator functions of `fw_config`.
#[derive(Clone, Copy)]
pub(super) struct Hooks {
    pub alloc: AllocFn,
    /// If `None`, blocks are resized by copying.
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

/// Installs hooks for new blocks. Older blocks are still freed by the allocator that made them.
pub(super) fn install(hooks: Hooks) -> Result<Installed, CallError> {
    GLOBAL.install(hooks)
}

/// The installed hooks, for [`withdraw`].
pub(super) fn installed() -> Installed {
    Installed(GLOBAL.current.load(Ordering::SeqCst))
}

/// Uninstalls these hooks, unless others are installed by now.
pub(super) fn withdraw(installed: Installed) {
    GLOBAL.withdraw(installed);
}

/// Identifies a set of hooks that was installed.
#[derive(Clone, Copy)]
pub(super) struct Installed(usize);

struct HostAllocator {
    /// The origin of new blocks.
    current: AtomicUsize,
    sets: [HookSet; MAX_SETS],
    /// A thread is writing to `sets`.
    installing: AtomicBool,
}

/// A slot for a set of hooks.
///
/// ```text
///   free (live 0, not current) ──install──> current ──withdraw──> draining ──live 0──> free
/// ```
struct HookSet {
    hooks: UnsafeCell<Option<Hooks>>,
    /// Number of blocks of these hooks, plus threads that are about to allocate one.
    live: AtomicUsize,
}

// SAFETY: `hooks` is written only under `installing` while the set is not current and `live` is 0,
// and is read only under `installing` or by a thread that has incremented `live`: see
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
            return Err(CallError::state("allocator hooks are installed until fw_shutdown has returned OK"));
        }
        // SAFETY: no other thread writes (`installing`), and these are reads.
        let holds = |set: &HookSet| unsafe { &*set.hooks.get() }.is_some_and(|held| held.is_same(&hooks));
        let known = self.sets.iter().position(holds);
        let index = match known {
            Some(index) => index,
            None => {
                let free = self.sets.iter().position(|set| set.live.load(Ordering::SeqCst) == 0);
                let index = free.ok_or_else(|| {
                    CallError::state("blocks of too many different allocator hooks are still in use")
                })?;
                // SAFETY: no other thread writes (`installing`). None reads: `live` is 0, and a
                // thread that enters now finds that the set is not current and leaves.
                unsafe { *self.sets[index].hooks.get() = Some(hooks) };
                index
            }
        };
        self.current.store(index + 1, Ordering::SeqCst);
        Ok(Installed(index + 1))
    }

    fn withdraw(&self, installed: Installed) {
        // Fails if other hooks are installed by now; they stay.
        let _ = self.current.compare_exchange(installed.0, SYSTEM, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The installed hooks, with `live` incremented for the block that the caller allocates.
    ///
    /// This increments `live` first and then checks that the set is still current; reuse of a slot
    /// withdraws the set first and then checks `live`. In the total order of these operations
    /// (`SeqCst`), at least one of the two reads the other's write.
    fn enter(&self) -> Option<(usize, Hooks)> {
        loop {
            let origin = self.current.load(Ordering::Acquire);
            let set = self.sets.get(origin.checked_sub(1)?)?;
            set.live.fetch_add(1, Ordering::SeqCst);
            if self.current.load(Ordering::SeqCst) == origin {
                // SAFETY: `live` is incremented and the set is current, so no thread writes.
                if let Some(hooks) = unsafe { *set.hooks.get() } {
                    return Some((origin, hooks));
                }
            }
            set.live.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// The hooks that allocated a block.
    ///
    /// # Safety
    /// A block with this origin exists.
    unsafe fn maker(&self, origin: usize) -> Option<(usize, &HookSet, Hooks)> {
        let set = self.sets.get(origin.checked_sub(1)?)?;
        // SAFETY: the block is counted in `live`, so no thread writes.
        unsafe { *set.hooks.get() }.map(|hooks| (origin, set, hooks))
    }
}

/// The layout of a block with its origin, and the offset of the origin; `None` if the size
/// overflows. Hooks get at least the alignment of a pointer.
fn whole(layout: Layout) -> Option<(Layout, usize)> {
    layout.align_to(align_of::<*mut c_void>()).ok()?.extend(Layout::new::<Origin>()).ok()
}

/// Writes the origin.
///
/// # Safety
/// `block` is NULL, or a block of a [`whole`] layout with the origin at `at`.
unsafe fn mark(block: *mut u8, at: usize, origin: usize) -> *mut u8 {
    if !block.is_null() {
        // SAFETY: the layout includes the origin.
        unsafe { block.add(at).cast::<Origin>().write(origin as Origin) };
    }
    block
}

// SAFETY: blocks come from the system's allocator or the hooks with the requested size and
// alignment plus the origin, and are freed by the allocator that the origin names. Nothing here
// panics or allocates.
unsafe impl GlobalAlloc for HostAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, at)) = whole(layout) else { return ptr::null_mut() };
        let Some((origin, hooks)) = self.enter() else {
            // SAFETY: the size is not zero, because it includes the origin; `mark` gets its layout.
            return unsafe { mark(System.alloc(whole), at, SYSTEM) };
        };
        // SAFETY: the caller of `fw_init` promises that the hook does what `fw_config` requires.
        let block = unsafe { (hooks.alloc)(whole.size(), whole.align(), hooks.user_data) }.cast::<u8>();
        if block.is_null() {
            self.sets[origin - 1].live.fetch_sub(1, Ordering::SeqCst);
        }
        // SAFETY: made for this layout.
        unsafe { mark(block, at, origin) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.current.load(Ordering::Acquire) == SYSTEM {
            // The system's allocator knows which pages are zero already.
            let Some((whole, at)) = whole(layout) else { return ptr::null_mut() };
            // SAFETY: the size is not zero, because it includes the origin; `mark` gets its layout.
            return unsafe { mark(System.alloc_zeroed(whole), at, SYSTEM) };
        }
        // SAFETY: the caller's guarantees are passed on.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: `layout.size()` bytes were allocated.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // `Some`, as it was when the block was allocated.
        let Some((whole, at)) = whole(layout) else { return };
        // SAFETY: the block was allocated here and has its origin at `at`.
        match unsafe { self.maker(block.add(at).cast::<Origin>().read().into()) } {
            // SAFETY: the system's allocator made it with this layout.
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
        // SAFETY: the block was allocated here and has its origin at `at`.
        match unsafe { self.maker(block.add(at).cast::<Origin>().read().into()) } {
            // SAFETY: the system's allocator made it with this layout; the new size is valid.
            None => unsafe { mark(System.realloc(block, old, new.size()), new_at, SYSTEM) },
            Some((origin, _, Hooks { realloc: Some(realloc), user_data, .. })) => {
                // SAFETY: these hooks made it with this size and alignment.
                let moved = unsafe { realloc(block.cast(), old.size(), new.size(), old.align(), user_data) };
                // SAFETY: made for the new layout.
                unsafe { mark(moved.cast(), new_at, origin) }
            }
            // Without a realloc hook the block moves to the current allocator.
            // SAFETY: the caller's guarantees are passed on; the new block does not overlap.
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
