//! Unpredictable masking keys (RFC 6455 section 10.3) and nonces.
//!
//! All come from one cryptographic generator, which the operating system seeds; keys through a small buffer per
//! thread. A key takes a fifth of the time that the system needs for one.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};

const KEYS_AT_ONCE: usize = 1024;

struct Buffer {
    keys: [[u8; 4]; KEYS_AT_ONCE],
    used: usize,
}

/// Not one per thread: it has a destructor, and a destructor registered with a thread of the game keeps the
/// library from being unloaded. The lock is the standard library's everywhere: nothing is called while it is held.
static GENERATOR: Mutex<Option<StdRng>> = Mutex::new(None);

thread_local! {
    static KEYS: RefCell<Buffer> = const { RefCell::new(Buffer { keys: [[0; 4]; KEYS_AT_ONCE], used: KEYS_AT_ONCE }) };
}

/// A new masking key. Usable as [`MaskKeys`](crate::session::MaskKeys).
#[inline]
pub fn next_key() -> [u8; 4] {
    KEYS.with_borrow_mut(|buffer| {
        if buffer.used >= KEYS_AT_ONCE {
            generate(buffer.keys.as_flattened_mut());
            buffer.used = 0;
        }
        // Do not keep used keys in memory.
        let key = std::mem::take(&mut buffer.keys[buffer.used]);
        buffer.used += 1;
        key
    })
}

/// A random number.
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    generate(&mut bytes);
    u64::from_ne_bytes(bytes)
}

pub fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    generate(&mut nonce);
    nonce
}

#[cold]
fn generate(bytes: &mut [u8]) {
    let mut generator = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let generator = generator.get_or_insert_with(|| {
        let mut seed = <StdRng as SeedableRng>::Seed::default();
        // Does not fail on the supported systems after boot. Predictable keys would be worse than a panic, which
        // ends only the current call or connection.
        SysRng.try_fill_bytes(&mut seed).expect("the system has a random number generator");
        StdRng::from_seed(seed)
    });
    generator.fill_bytes(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_do_not_repeat() {
        let keys: HashSet<[u8; 4]> = (0..10_000).map(|_| next_key()).collect();
        // A random repetition among 10,000 of 2^32 keys is expected once in 86 runs.
        assert!(keys.len() >= 9_990);
    }
}
