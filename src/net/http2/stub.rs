//! Stand-ins for a build without the feature `http2`. A connection cannot be created, so no other function is
//! ever called.

use std::io::{IoSlice, IoSliceMut};

use super::Status;
use crate::clock::Instant;
use crate::error::{Error, ErrorKind, Phase};
use crate::net::link::LinkConditions;
use crate::net::stream::{ReadOutcome, Stream, WriteOutcome};
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::ExtendedConnect;

pub enum Connection {}

pub enum Http2Stream {}

impl Connection {
    pub fn new(_stream: Stream, _now: Instant) -> Result<Self, Error> {
        let message = "this build of the library has no HTTP/2 (feature `http2`)";
        Err(Error::new(ErrorKind::Http, Phase::Upgrade, message).with_retriable(false))
    }
    pub fn ready(&mut self, _event: &mio::event::Event) {
        match *self {}
    }
    pub fn set_link(&mut self, _conditions: Option<&LinkConditions>, _now: Instant) {
        match *self {}
    }
    pub fn needs_drive(&self) -> bool {
        match *self {}
    }
    pub fn drive(&mut self, _now: Instant, _owners: &mut Vec<u64>) {
        match *self {}
    }
    pub fn status(&self) -> Status {
        match *self {}
    }
    pub fn most_streams(&self) -> usize {
        match *self {}
    }
    pub fn room(&self) -> usize {
        match *self {}
    }
    pub fn streams(&self) -> usize {
        match *self {}
    }
    pub fn open(&mut self, _request: ExtendedConnect, _owner: u64) -> Result<Http2Stream, Error> {
        match *self {}
    }
    pub fn close(&mut self) {
        match *self {}
    }
    pub fn failure(&self) -> Error {
        match *self {}
    }
    pub fn deadline(&self) -> Option<Instant> {
        match *self {}
    }
    pub fn handle_timeout(&mut self, _now: Instant) {
        match *self {}
    }
    pub fn restart_timeouts(&mut self, _now: Instant) {
        match *self {}
    }
    pub fn with_tcp<R>(&mut self, _act: impl FnOnce(&mut mio::net::TcpStream) -> R) -> R {
        match *self {}
    }
}

impl Http2Stream {
    pub fn set_phase(&mut self, _phase: Phase) {
        match *self {}
    }
    pub fn head(&mut self) -> Result<Option<ResponseHead>, Error> {
        match *self {}
    }
    pub fn read_vectored(&mut self, _buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        match *self {}
    }
    pub fn hold(&mut self) {
        match *self {}
    }
    pub fn write_vectored(&mut self, _buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        match *self {}
    }
    pub fn limit_unsent(&mut self) {
        match *self {}
    }
    pub fn end(&mut self) {
        match *self {}
    }
}
