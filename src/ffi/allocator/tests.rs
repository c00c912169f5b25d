//! Each block must be freed by the hooks that made it, with the size and alignment it was made with.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;

/// Hooks that record their blocks.
#[derive(Default)]
struct Host {
    /// Size and alignment by address.
    blocks: Mutex<HashMap<usize, (usize, usize)>>,
    reallocs: AtomicUsize,
    empty: AtomicBool,
}

impl Host {
    fn hooks(&self) -> Hooks {
        Hooks { alloc, realloc: Some(realloc), free, user_data: ptr::from_ref(self).cast_mut().cast() }
    }

    fn live(&self) -> usize {
        self.blocks.lock().unwrap().len()
    }

    fn give(&self, size: usize, align: usize) -> *mut u8 {
        // SAFETY: the size is not zero, because it includes the origin.
        let block = unsafe { System.alloc(Layout::from_size_align(size, align).unwrap()) };
        assert!(self.blocks.lock().unwrap().insert(block as usize, (size, align)).is_none());
        block
    }

    fn take(&self, block: *mut u8, size: usize, align: usize) {
        let known = self.blocks.lock().unwrap().remove(&(block as usize));
        assert_eq!(known, Some((size, align)), "freed with the size and alignment it was made with");
        // SAFETY: made by `give` with this layout.
        unsafe { System.dealloc(block, Layout::from_size_align(size, align).unwrap()) };
    }
}

unsafe extern "C" fn alloc(size: usize, align: usize, host: *mut c_void) -> *mut c_void {
    // SAFETY: the tests pass a `Host` that outlives its hooks.
    let host = unsafe { &*host.cast::<Host>() };
    if host.empty.load(Ordering::Relaxed) { ptr::null_mut() } else { host.give(size, align).cast() }
}

unsafe extern "C" fn realloc(
    block: *mut c_void,
    old_size: usize,
    new_size: usize,
    align: usize,
    host: *mut c_void,
) -> *mut c_void {
    // SAFETY: as above.
    let host = unsafe { &*host.cast::<Host>() };
    host.reallocs.fetch_add(1, Ordering::Relaxed);
    if host.empty.load(Ordering::Relaxed) {
        return ptr::null_mut();
    }
    let grown = host.give(new_size, align);
    // SAFETY: both are at least that long.
    unsafe { grown.copy_from_nonoverlapping(block.cast(), old_size.min(new_size)) };
    host.take(block.cast(), old_size, align);
    grown.cast()
}

unsafe extern "C" fn free(block: *mut c_void, size: usize, align: usize, host: *mut c_void) {
    // SAFETY: as above.
    unsafe { &*host.cast::<Host>() }.take(block.cast(), size, align);
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A block filled with a pattern.
fn filled(allocator: &HostAllocator, size: usize, align: usize) -> *mut u8 {
    // SAFETY: this allocator accepts size zero.
    let block = unsafe { allocator.alloc(layout(size, align)) };
    assert!(!block.is_null());
    assert_eq!(block as usize % align, 0, "{size} bytes aligned to {align}");
    for at in 0..size {
        // SAFETY: in bounds.
        unsafe { block.add(at).write(at as u8) };
    }
    block
}

fn assert_filled(block: *mut u8, size: usize) {
    for at in 0..size {
        // SAFETY: in bounds.
        assert_eq!(unsafe { block.add(at).read() }, at as u8);
    }
}

const SHAPES: [(usize, usize); 7] = [(0, 1), (1, 1), (24, 8), (100, 16), (100, 32), (10, 4096), (70_000, 64)];

#[test]
fn blocks_are_freed_by_the_allocator_that_made_them() {
    let (first, second) = (Host::default(), Host::default());
    let allocator = HostAllocator::new();
    let make = || SHAPES.map(|(size, align)| (filled(&allocator, size, align), layout(size, align)));

    let from_system = make();
    let installed = allocator.install(first.hooks()).unwrap();
    let from_first = make();
    assert_eq!(first.live(), SHAPES.len());
    allocator.withdraw(installed);
    let from_system_again = make();
    let installed = allocator.install(second.hooks()).unwrap();
    let from_second = make();
    assert_eq!((first.live(), second.live()), (SHAPES.len(), SHAPES.len()));

    // Everything is freed while the second set is installed; the hooks check their arguments.
    for (block, layout) in [from_first, from_second, from_system, from_system_again].concat() {
        assert_filled(block, layout.size());
        // SAFETY: made with this layout.
        unsafe { allocator.dealloc(block, layout) };
    }
    allocator.withdraw(installed);
    assert_eq!((first.live(), second.live()), (0, 0));
    assert!(allocator.sets.iter().all(|set| set.live.load(Ordering::SeqCst) == 0));
}

#[test]
fn blocks_are_resized_by_the_allocator_that_made_them() {
    let (host, later) = (Host::default(), Host::default());
    let allocator = HostAllocator::new();
    for (size, align) in SHAPES {
        let from_system = filled(&allocator, size, align);
        let installed = allocator.install(host.hooks()).unwrap();
        let from_host = filled(&allocator, size, align);
        allocator.withdraw(installed);
        let installed = allocator.install(later.hooks()).unwrap();
        for block in [from_system, from_host] {
            // SAFETY: made with this layout; then with the new sizes.
            unsafe {
                let grown = allocator.realloc(block, layout(size, align), size + 5000);
                assert_eq!(grown as usize % align, 0);
                assert_filled(grown, size);
                let small = allocator.realloc(grown, layout(size + 5000, align), size.min(7));
                assert_filled(small, size.min(7));
                allocator.dealloc(small, layout(size.min(7), align));
            }
        }
        allocator.withdraw(installed);
    }
    assert_eq!(host.reallocs.load(Ordering::Relaxed), 2 * SHAPES.len());
    assert_eq!((host.live(), later.live()), (0, 0));
    assert_eq!(later.reallocs.load(Ordering::Relaxed), 0);
}

#[test]
fn block_is_copied_without_a_realloc_hook() {
    let host = Host::default();
    let allocator = HostAllocator::new();
    allocator.install(Hooks { realloc: None, ..host.hooks() }).unwrap();
    for (size, align) in SHAPES {
        let block = filled(&allocator, size, align);
        // SAFETY: made with this layout; then with the new size.
        unsafe {
            let grown = allocator.realloc(block, layout(size, align), size + 100);
            assert_filled(grown, size);
            allocator.dealloc(grown, layout(size + 100, align));
        }
    }
    assert_eq!(host.live(), 0);
}

#[test]
fn zeroed_blocks_are_zero_with_and_without_hooks() {
    let host = Host::default();
    let allocator = HostAllocator::new();
    for hooked in [false, true] {
        if hooked {
            allocator.install(host.hooks()).unwrap();
        }
        // SAFETY: freed with the layout they are made with.
        unsafe {
            let block = allocator.alloc_zeroed(layout(300, 32));
            assert!((0..300).all(|at| block.add(at).read() == 0));
            assert_eq!(host.live(), usize::from(hooked));
            allocator.dealloc(block, layout(300, 32));
        }
    }
}

#[test]
fn failed_hook_returns_null_and_keeps_blocks() {
    let host = Host::default();
    let allocator = HostAllocator::new();
    allocator.install(host.hooks()).unwrap();
    let block = filled(&allocator, 50, 8);
    host.empty.store(true, Ordering::Relaxed);
    // SAFETY: the one block is freed with its layout.
    unsafe {
        assert!(allocator.alloc(layout(10, 8)).is_null());
        assert!(allocator.alloc_zeroed(layout(10, 8)).is_null());
        assert!(allocator.realloc(block, layout(50, 8), 500).is_null());
        assert_filled(block, 50);
        allocator.dealloc(block, layout(50, 8));
    }
    assert!(allocator.sets.iter().all(|set| set.live.load(Ordering::SeqCst) == 0));
}

#[test]
fn installed_hooks_cannot_be_replaced_or_withdrawn_late() {
    let (one, other) = (Host::default(), Host::default());
    let allocator = HostAllocator::new();
    let first = allocator.install(one.hooks()).unwrap();
    assert!(allocator.install(other.hooks()).is_err());
    allocator.withdraw(first);
    let keep = filled(&allocator, 1, 1);
    let held = {
        allocator.install(one.hooks()).unwrap();
        filled(&allocator, 1, 1)
    };
    allocator.withdraw(first);
    let second = allocator.install(other.hooks()).unwrap();
    assert_ne!(first.0, second.0, "the slot of the first set is in use while a block of it lives");
    allocator.withdraw(first);
    assert_eq!(allocator.current.load(Ordering::SeqCst), second.0);
    // SAFETY: made with this layout.
    unsafe {
        allocator.dealloc(keep, layout(1, 1));
        allocator.dealloc(held, layout(1, 1));
    }
}

#[test]
fn slots_are_reused_only_when_no_block_is_left() {
    let hosts: Vec<Host> = (0..=MAX_SETS).map(|_| Host::default()).collect();
    let allocator = HostAllocator::new();
    let mut blocks = Vec::new();
    for host in &hosts[..MAX_SETS] {
        let installed = allocator.install(host.hooks()).unwrap();
        blocks.push(filled(&allocator, 8, 8));
        allocator.withdraw(installed);
    }
    assert!(allocator.install(hosts[MAX_SETS].hooks()).is_err());
    let again = allocator.install(hosts[3].hooks()).expect("the same hooks keep their slot");
    allocator.withdraw(again);
    // SAFETY: made with this layout.
    unsafe { allocator.dealloc(blocks.remove(5), layout(8, 8)) };
    let installed = allocator.install(hosts[MAX_SETS].hooks()).expect("one slot is free now");
    allocator.withdraw(installed);
    for block in blocks {
        // SAFETY: made with this layout.
        unsafe { allocator.dealloc(block, layout(8, 8)) };
    }
    assert!(hosts.iter().all(|host| host.live() == 0));
}

#[test]
fn hooks_change_while_threads_allocate() {
    const ROUNDS: usize = 2000;
    let hosts: Vec<Host> = (0..3).map(|_| Host::default()).collect();
    let allocator = HostAllocator::new();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for seed in 0..2usize {
            let (allocator, done) = (&allocator, &done);
            scope.spawn(move || {
                let mut kept = Vec::new();
                for round in 0..ROUNDS {
                    let size = (round * 7 + seed) % 200;
                    kept.push((filled(allocator, size, 8), size));
                    if kept.len() > 10 {
                        let (block, size) = kept.swap_remove(round % 10);
                        assert_filled(block, size);
                        // SAFETY: made with this layout.
                        unsafe { allocator.dealloc(block, layout(size, 8)) };
                    }
                }
                for (block, size) in kept {
                    // SAFETY: made with this layout.
                    unsafe { allocator.dealloc(block, layout(size, 8)) };
                }
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        let mut turn = 0;
        while done.load(Ordering::SeqCst) < 2 {
            let installed = allocator.install(hosts[turn % 3].hooks()).unwrap();
            std::thread::yield_now();
            allocator.withdraw(installed);
            turn += 1;
        }
    });
    assert!(hosts.iter().all(|host| host.live() == 0));
    assert!(allocator.sets.iter().all(|set| set.live.load(Ordering::SeqCst) == 0));
}
