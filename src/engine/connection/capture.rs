//! The capture of a connection: its tap, from the upgrade request to its end.

use std::sync::Arc;

use super::context::Context;
use super::state::{Connection, Stage};
use super::terminal::Terminal;
use super::transport::Transport;
use crate::capture::framing::Direction;
use crate::capture::notes::{EndedBy, Note, NoteText};
use crate::capture::{CaptureFile, Tap};
use crate::engine::shared::socket::Socket;
use crate::error::Error;
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::ExtendedConnect;

const OVER_HTTP2: &str = "over HTTP/2 (RFC 8441); written as the upgrade of HTTP/1.1";

impl Connection {
    /// Changes the file. A connection that is open is captured no more; the next one is captured to the new file.
    pub fn set_capture(&mut self, file: Option<Arc<CaptureFile>>) {
        let is_same = |tap: &mut Box<Tap>| file.as_ref().is_some_and(|file| Arc::ptr_eq(file, tap.file()));
        if let Some(mut tap) = self.capture.take_if(|tap| !is_same(tap)) {
            tap.set_ending(EndedBy::Nothing, String::new);
        }
        self.plan.settings.capture = file;
    }

    /// Starts to capture the connection, if the socket is captured, before the upgrade request is sent. `connect` is the
    /// request over HTTP/2.
    pub(super) fn start_capture(&mut self, connect: Option<&ExtendedConnect>, context: &mut Context) {
        let Some(file) = self.plan.settings.capture.as_ref().filter(|file| !file.has_ended()) else { return };
        let (Stage::Live { stream, .. }, Some(Socket(socket))) = (&self.stage, &self.socket) else { return };
        let addresses = match stream {
            Transport::Own(stream) => stream.addresses(),
            Transport::Shared(_) => context.pool.addresses(self.key),
        };
        let proxy = self.route.as_ref().map_or(String::new(), |route| {
            format!(" through the proxy {}:{}", route.proxy.host, route.proxy.port)
        });
        let description = format!("socket {}: {}{proxy}", socket.id, self.request.url.full());
        let mut tap = Box::new(Tap::new(file.clone(), addresses, description));
        if let Some(connect) = connect {
            head(&mut tap, Direction::Sent, crate::capture::http1::request(connect));
        }
        self.capture = Some(tap);
    }

    /// Records the head of the response over HTTP/2.
    pub(super) fn capture_head(&mut self, response: &ResponseHead) {
        if let Some(tap) = &mut self.capture {
            head(tap, Direction::Received, crate::capture::http1::response(response));
        }
    }

    /// Records why the connection ends.
    pub(super) fn capture_end(&mut self, terminal: &Terminal) {
        if let Some(tap) = &mut self.capture {
            tap.set_ending(EndedBy::Client, || match terminal {
                Terminal::Closed { code, reason } => format!("closed: {code} {reason}").trim_end().to_owned(),
                Terminal::Failed(error) | Terminal::Refused { error, .. } => describe(error),
            });
        }
    }

    /// Records that the transport has failed.
    pub(super) fn capture_failure(&mut self, error: &Error) {
        if let Some(tap) = &mut self.capture {
            tap.set_ending(EndedBy::Reset, || describe(error));
        }
    }

    /// Records that the server has ended the connection.
    pub(super) fn capture_eof(&mut self) {
        if let Some(tap) = &mut self.capture {
            tap.set_ending(EndedBy::Server, String::new);
        }
    }
}

fn head(tap: &mut Tap, direction: Direction, head: Vec<u8>) {
    let notes = vec![Note { end: head.len(), text: NoteText::Text(OVER_HTTP2.to_owned()) }];
    tap.bytes(direction, &[head.as_slice()], head.len(), notes);
}

fn describe(error: &Error) -> String {
    format!("error {}: {error}", error.kind.name())
}
