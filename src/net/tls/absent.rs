//! What stands for TLS in a build without it.

use std::convert::Infallible;
use std::io::{IoSlice, IoSliceMut};

use mio::net::TcpStream;

use super::Roots;
use crate::error::{CallError, Code, Error, Phase};
use crate::net::stream::{Progress, ReadOutcome, WriteOutcome};

#[derive(Clone, Default)]
pub struct TlsSettings(());

/// Cannot exist.
#[derive(Clone)]
pub struct TlsConnector(Infallible);

/// Cannot exist.
pub struct TlsStream(Infallible);

pub fn forget_shared() {}

fn absent() -> CallError {
    CallError::new(Code::NotSupported, "this build of the library has no TLS")
}

impl TlsSettings {
    pub fn new() -> Self {
        Self(())
    }

    pub fn add_ca_pem(&mut self, _pem: &[u8]) -> Result<(), CallError> {
        Err(absent())
    }

    pub fn set_client_cert_pem(&mut self, _certificate: &[u8], _key: &[u8]) -> Result<(), CallError> {
        Err(absent())
    }

    pub fn add_pin_sha256(&mut self, _pin: [u8; 32]) {}

    pub fn set_roots(&mut self, _roots: Roots) {}

    pub fn set_insecure(&mut self, _insecure: bool) {}

    pub fn set_key_log(&mut self, _key_log: bool) {}

    pub fn connector(&self) -> Result<TlsConnector, CallError> {
        Err(absent())
    }
}

impl TlsStream {
    pub fn new(connector: &TlsConnector, _host: &str) -> Result<Self, Error> {
        match connector.0 {}
    }

    pub fn handshake(&mut self, _tcp: &mut TcpStream) -> Result<Progress, Error> {
        match self.0 {}
    }

    pub fn read_vectored(
        &mut self,
        _tcp: &mut TcpStream,
        _buffers: &mut [IoSliceMut<'_>],
        _phase: Phase,
    ) -> Result<ReadOutcome, Error> {
        match self.0 {}
    }

    pub fn write_vectored(
        &mut self,
        _tcp: &mut TcpStream,
        _buffers: &[IoSlice<'_>],
        _phase: Phase,
    ) -> Result<WriteOutcome, Error> {
        match self.0 {}
    }

    pub fn wants_write(&self) -> bool {
        match self.0 {}
    }

    pub fn flush(&mut self, _tcp: &mut TcpStream, _phase: Phase) -> Result<bool, Error> {
        match self.0 {}
    }
}
