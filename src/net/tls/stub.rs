//! Stand-ins for a build without the feature `tls`: every use returns NOT_SUPPORTED.

use std::io::{IoSlice, IoSliceMut};
use std::marker::PhantomData;

use super::Roots;
#[cfg(test)]
use super::TlsVersion;
use crate::error::{CallError, Code, Error, ErrorKind, Phase};
use crate::net::outcome::{Progress, ReadOutcome, WriteOutcome};

#[derive(Clone, Default)]
pub struct TlsSettings(());

/// Never constructed.
#[derive(Clone)]
pub struct TlsConnector(());

/// Never constructed.
pub enum TlsStream {}

/// Passed to no stream.
#[derive(Clone, Copy)]
pub struct Link<'a>(PhantomData<&'a ()>);

impl<'a> Link<'a> {
    pub fn new<T, L>(_tcp: &'a T, _lower: Option<&'a L>, _phase: Phase, _short_read_drains: bool) -> Self {
        Self(PhantomData)
    }
    pub fn below(&self) -> Self {
        *self
    }
}

impl TlsSettings {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn add_ca_pem(&mut self, _pem: &[u8]) -> Result<(), CallError> {
        Err(not_supported())
    }
    pub fn set_client_cert_pem(&mut self, _cert_pem: &[u8], _key_pem: &[u8]) -> Result<(), CallError> {
        Err(not_supported())
    }
    pub fn add_pin_sha256(&mut self, _pin: [u8; 32]) {}
    pub fn set_roots(&mut self, _roots: Roots) {}
    pub fn set_insecure(&mut self, _insecure: bool) {}
    pub fn set_key_log(&mut self, _key_log: bool) {}
    pub fn for_proxy(&self) -> Self {
        self.clone()
    }
    pub fn connector(&self, _http2: bool) -> Result<TlsConnector, CallError> {
        Err(not_supported())
    }
}

impl TlsStream {
    pub fn new(_connector: &TlsConnector, _host: &str) -> Result<Self, Error> {
        Err(Error::new(ErrorKind::Tls, Phase::Tls, not_supported().message).with_retriable(false))
    }
    pub fn handshake(&mut self, _link: Link<'_>) -> Result<Progress, Error> {
        match *self {}
    }
    pub fn read(&mut self, _link: Link<'_>, _buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        match *self {}
    }
    pub fn write(&mut self, _link: Link<'_>, _buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        match *self {}
    }
    pub fn flush(&mut self, _link: Link<'_>) -> Result<bool, Error> {
        match *self {}
    }
    pub fn wants_write(&self) -> bool {
        match *self {}
    }
    pub fn send_close_notify(&mut self) {
        match *self {}
    }
    pub fn alpn(&self) -> Option<&[u8]> {
        match *self {}
    }
    #[cfg(test)]
    pub fn version(&self) -> Option<TlsVersion> {
        match *self {}
    }
}

fn not_supported() -> CallError {
    CallError::new(Code::NotSupported, "this build of the library has no TLS (feature `tls`)")
}

pub fn forget_shared() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_return_not_supported() {
        let mut settings = TlsSettings::new();
        let refusals = [
            settings.add_ca_pem(b"").unwrap_err(),
            settings.set_client_cert_pem(b"", b"").unwrap_err(),
            settings.connector(false).err().unwrap(),
        ];
        assert!(refusals.iter().all(|refusal| refusal.code == Code::NotSupported));
    }
}
