//! Another static library written in Rust, in the same program as Framewire. It uses what two copies of the standard
//! library could get from each other: unwinding, threads and thread-local variables.

use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(40) };
}

#[unsafe(no_mangle)]
pub extern "C" fn other_result() -> u32 {
    let is_caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(()))).is_err();
    let of_thread = std::thread::spawn(|| COUNT.replace(0)).join().unwrap_or_default();
    COUNT.set(1 + u32::from(is_caught));
    of_thread + COUNT.get()
}
