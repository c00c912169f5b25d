//! The Java VM of an Android app, which only the app can hand over.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

static VM: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Keeps the VM until the process ends; the first one, because a process has no other.
pub fn keep_vm(vm: NonNull<c_void>) {
    // With the writes of the thread that has created it.
    let _ = VM.compare_exchange(ptr::null_mut(), vm.as_ptr(), Ordering::AcqRel, Ordering::Relaxed);
}

/// Returns the VM once it was handed over.
#[cfg_attr(not(target_os = "android"), allow(dead_code))]
pub fn vm() -> Option<NonNull<c_void>> {
    NonNull::new(VM.load(Ordering::Acquire))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_vm_is_kept_whichever_thread_hands_it_over() {
        static VMS: [u8; 2] = [0; 2];
        let pointers = || VMS.iter().map(NonNull::from).map(NonNull::cast::<c_void>);
        std::thread::scope(|scope| {
            for at in 0..2 {
                scope.spawn(move || {
                    keep_vm(pointers().nth(at).expect("one of two"));
                    assert!(vm().is_some());
                });
            }
        });
        let kept = vm();
        assert!(pointers().any(|one| Some(one) == kept));
        for one in pointers() {
            keep_vm(one);
            assert_eq!(vm(), kept);
        }
    }
}
