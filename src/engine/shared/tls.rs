//! TLS settings that sockets share.

use std::sync::Arc;

use once_cell::sync::OnceCell;

use crate::error::CallError;
use crate::net::tls::{TlsConnector, TlsSettings};
use crate::sync::{Mutex, lock};

/// TLS settings that may change while sockets use them. A change applies to connections made after it.
pub struct TlsHandle {
    current: Mutex<(u64, Arc<TlsVersion>)>,
}

/// The settings between two changes, and the connectors made from them on first use.
struct TlsVersion {
    settings: TlsSettings,
    /// Without HTTP/2 and with it.
    server: [OnceCell<TlsConnector>; 2],
    proxy: OnceCell<TlsConnector>,
}

impl TlsVersion {
    fn new(settings: TlsSettings) -> Arc<Self> {
        Arc::new(Self { settings, server: Default::default(), proxy: OnceCell::new() })
    }
}

impl TlsHandle {
    pub fn new(settings: TlsSettings) -> Self {
        Self { current: Mutex::new((0, TlsVersion::new(settings))) }
    }

    pub fn change<R>(&self, change: impl FnOnce(&mut TlsSettings) -> R) -> R {
        let mut current = lock(&self.current);
        let mut settings = current.1.settings.clone();
        let changed = change(&mut settings);
        *current = (current.0 + 1, TlsVersion::new(settings));
        changed
    }

    /// Changes with every change of the settings.
    pub fn version(&self) -> u64 {
        lock(&self.current).0
    }

    pub fn connector(&self, http2: bool) -> Result<TlsConnector, CallError> {
        let current = self.current();
        current.server[usize::from(http2)].get_or_try_init(|| current.settings.connector(http2)).cloned()
    }

    /// For a proxy that is reached over TLS.
    pub fn proxy_connector(&self) -> Result<TlsConnector, CallError> {
        let current = self.current();
        current.proxy.get_or_try_init(|| current.settings.for_proxy().connector(false)).cloned()
    }

    /// Making a connector can take milliseconds, so it happens without the lock.
    fn current(&self) -> Arc<TlsVersion> {
        lock(&self.current).1.clone()
    }
}
