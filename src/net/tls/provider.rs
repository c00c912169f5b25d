//! The crypto provider that all TLS connections share.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;

static PROVIDER: Mutex<Option<Arc<CryptoProvider>>> = Mutex::new(None);

/// Returns ring, never the process-wide default: another library in the game may have set that.
pub fn provider() -> Arc<CryptoProvider> {
    shared(&PROVIDER, || Arc::new(rustls::crypto::ring::default_provider()))
}

/// Releases the shared provider.
pub(super) fn forget() {
    PROVIDER.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Returns the value of the slot; creates it first if the slot is empty.
pub(super) fn shared<T>(slot: &Mutex<Option<Arc<T>>>, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(make).clone()
}
