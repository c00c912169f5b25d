//! Mask keys that a peer or a page cannot foresee (RFC 6455 section 10.3).
//!
//! The system's generator fills a small store per thread, so that a key costs a few instructions
//! and a system call is made once in 256 keys.

use std::cell::RefCell;

const STORE: usize = 1024;

struct Store {
    bytes: [u8; STORE],
    used: usize,
}

thread_local! {
    static KEYS: RefCell<Store> = const { RefCell::new(Store { bytes: [0; STORE], used: STORE }) };
}

/// A fresh key. Usable as [`MaskKeys`](crate::session::MaskKeys).
#[inline]
pub fn next_key() -> [u8; 4] {
    KEYS.with_borrow_mut(|store| {
        if store.used == STORE {
            fill(&mut store.bytes);
            store.used = 0;
        }
        let mut key = [0; 4];
        let taken = &mut store.bytes[store.used..store.used + 4];
        key.copy_from_slice(taken);
        // A key that was used is nobody's business any more.
        taken.fill(0);
        store.used += 4;
        key
    })
}

/// Dice.
pub fn random() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

pub fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    fill(&mut nonce);
    nonce
}

fn fill(bytes: &mut [u8]) {
    // The system's generator fails on no system that this library runs on once it has started;
    // going on with foreseeable keys would be worse than ending here, and the panic ends only the
    // call or the connection that asked.
    getrandom::fill(bytes).expect("the system has a random number generator");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_do_not_repeat() {
        let keys: HashSet<[u8; 4]> = (0..10_000).map(|_| next_key()).collect();
        // By chance, a pair among ten thousand of four billion is expected every 86th time.
        assert!(keys.len() >= 9_990);
    }
}
