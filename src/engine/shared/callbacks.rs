//! A socket's callbacks.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::event::Frame;
use super::request::Request;
use crate::buffer::Segment;
use crate::error::Error;
use crate::session::lanes::Outcome;

/// A callback without data.
pub type OnSocket<S> = dyn Fn(&S) + Send + Sync;
/// A callback with a text message.
pub type OnText<S> = dyn Fn(&S, &str) + Send + Sync;
/// A callback with bytes.
pub type OnBytes<S> = dyn Fn(&S, &[u8]) + Send + Sync;
/// A callback with a message that can be kept without a copy.
pub type OnSegment<S> = dyn Fn(&S, &Segment) + Send + Sync;
/// A callback with a fragment.
pub type OnFrame<S> = dyn Fn(&S, &Frame) + Send + Sync;
/// A callback with the upgrade request.
pub type OnRequest<S> = dyn Fn(&S, &Request) + Send + Sync;
/// A callback with the error, the number of the reconnect attempt from 1, and the delay before it in
/// milliseconds.
pub type OnReconnecting<S> = dyn Fn(&S, &Error, u32, u32) + Send + Sync;
/// A callback with the close code and reason.
pub type OnClosed<S> = dyn Fn(&S, u16, &str) + Send + Sync;
/// A callback with the error.
pub type OnError<S> = dyn Fn(&S, &Error) + Send + Sync;
/// A callback with the tag of a message, and what became of it.
pub type OnSent<S> = dyn Fn(&S, u64, Outcome) + Send + Sync;

/// Runs the caller's callbacks for the events of one socket; `S` is its handle. Replaced as a whole when a callback
/// changes, so that one snapshot serves a batch of events. A function that returns a `bool` returns whether there is such
/// a callback; [`wants`](Self::wants) says it for the others, which run for every message.
pub trait Handler<S>: Any + Send + Sync {
    fn open(&self, socket: &S) -> bool;
    /// The payload is valid UTF-8.
    fn text(&self, socket: &S, payload: &[u8]);
    fn text_segment(&self, socket: &S, payload: &Segment);
    fn binary(&self, socket: &S, payload: &[u8]);
    fn binary_segment(&self, socket: &S, payload: &Segment);
    fn incomplete_frame(&self, socket: &S, frame: &Frame) -> bool;
    fn request(&self, socket: &S, request: &Request) -> bool;
    fn pong(&self, socket: &S, payload: &[u8]) -> bool;
    fn reconnecting(&self, socket: &S, error: &Error, attempt: u32, delay_ms: u32) -> bool;
    fn closed(&self, socket: &S, code: u16, reason: &str) -> bool;
    fn error(&self, socket: &S, error: &Error) -> bool;
    fn sent(&self, socket: &S, tag: u64, outcome: Outcome) -> bool;
    fn wants(&self) -> Wants;
}

/// A set of callbacks.
#[derive(Clone, Copy, Default)]
pub struct Wants(u8);

impl Wants {
    pub const TEXT: Self = Self(1);
    pub const TEXT_SEGMENT: Self = Self(2);
    pub const BINARY: Self = Self(4);
    pub const BINARY_SEGMENT: Self = Self(8);
    pub const FRAMES: Self = Self(16);
    pub const REQUEST: Self = Self(32);
    pub const PONG: Self = Self(64);

    /// Returns the union of those that exist.
    pub fn of(callbacks: [(Self, bool); 7]) -> Self {
        let wanted = callbacks.into_iter().filter(|(_, exists)| *exists);
        Self(wanted.fold(0, |all, (Self(one), _)| all | one))
    }

    #[inline]
    pub fn has(self, Self(one): Self) -> bool {
        self.0 & one != 0
    }
}

/// The callbacks of one socket, as closures.
pub struct Callbacks<S> {
    /// See [`Socket::on_open`](crate::Socket::on_open).
    pub open: Option<Arc<OnSocket<S>>>,
    /// See [`Socket::on_text`](crate::Socket::on_text).
    pub text: Option<Arc<OnText<S>>>,
    /// See [`Socket::on_text_segment`](crate::Socket::on_text_segment).
    pub text_segment: Option<Arc<OnSegment<S>>>,
    /// See [`Socket::on_binary`](crate::Socket::on_binary).
    pub binary: Option<Arc<OnBytes<S>>>,
    /// See [`Socket::on_binary_no_alloc`](crate::Socket::on_binary_no_alloc).
    pub binary_no_alloc: Option<Arc<OnSegment<S>>>,
    /// See [`Socket::on_incomplete_frame`](crate::Socket::on_incomplete_frame).
    pub incomplete_frame: Option<Arc<OnFrame<S>>>,
    /// See [`Socket::on_internal_request_created`](crate::Socket::on_internal_request_created).
    pub request: Option<Arc<OnRequest<S>>>,
    /// See [`Socket::on_pong`](crate::Socket::on_pong).
    pub pong: Option<Arc<OnBytes<S>>>,
    /// See [`Socket::on_reconnecting`](crate::Socket::on_reconnecting).
    pub reconnecting: Option<Arc<OnReconnecting<S>>>,
    /// See [`Socket::on_closed`](crate::Socket::on_closed).
    pub closed: Option<Arc<OnClosed<S>>>,
    /// See [`Socket::on_error`](crate::Socket::on_error).
    pub error: Option<Arc<OnError<S>>>,
    /// See [`Socket::on_sent`](crate::Socket::on_sent).
    pub sent: Option<Arc<OnSent<S>>>,
}

// Not derived: that would require `Default` of the handle.
impl<S> Default for Callbacks<S> {
    fn default() -> Self {
        Self {
            open: None,
            text: None,
            text_segment: None,
            binary: None,
            binary_no_alloc: None,
            incomplete_frame: None,
            request: None,
            pong: None,
            reconnecting: None,
            closed: None,
            error: None,
            sent: None,
        }
    }
}

impl<S> fmt::Debug for Callbacks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}

impl<S> Clone for Callbacks<S> {
    fn clone(&self) -> Self {
        Self {
            open: self.open.clone(),
            text: self.text.clone(),
            text_segment: self.text_segment.clone(),
            binary: self.binary.clone(),
            binary_no_alloc: self.binary_no_alloc.clone(),
            incomplete_frame: self.incomplete_frame.clone(),
            request: self.request.clone(),
            pong: self.pong.clone(),
            reconnecting: self.reconnecting.clone(),
            closed: self.closed.clone(),
            error: self.error.clone(),
            sent: self.sent.clone(),
        }
    }
}

impl<S: 'static> Handler<S> for Callbacks<S> {
    fn open(&self, socket: &S) -> bool {
        self.open.as_ref().map(|f| f(socket)).is_some()
    }

    fn text(&self, socket: &S, payload: &[u8]) {
        if let Some(f) = &self.text {
            // The session has validated it. A failure would be a bug here, and an empty text is safe.
            f(socket, simdutf8::basic::from_utf8(payload).unwrap_or_default());
        }
    }

    fn text_segment(&self, socket: &S, payload: &Segment) {
        if let Some(f) = &self.text_segment {
            f(socket, payload);
        }
    }

    fn binary(&self, socket: &S, payload: &[u8]) {
        if let Some(f) = &self.binary {
            f(socket, payload);
        }
    }

    fn binary_segment(&self, socket: &S, payload: &Segment) {
        if let Some(f) = &self.binary_no_alloc {
            f(socket, payload);
        }
    }

    fn incomplete_frame(&self, socket: &S, frame: &Frame) -> bool {
        self.incomplete_frame.as_ref().map(|f| f(socket, frame)).is_some()
    }

    fn request(&self, socket: &S, request: &Request) -> bool {
        self.request.as_ref().map(|f| f(socket, request)).is_some()
    }

    fn pong(&self, socket: &S, payload: &[u8]) -> bool {
        self.pong.as_ref().map(|f| f(socket, payload)).is_some()
    }

    fn reconnecting(&self, socket: &S, error: &Error, attempt: u32, delay_ms: u32) -> bool {
        self.reconnecting.as_ref().map(|f| f(socket, error, attempt, delay_ms)).is_some()
    }

    fn closed(&self, socket: &S, code: u16, reason: &str) -> bool {
        self.closed.as_ref().map(|f| f(socket, code, reason)).is_some()
    }

    fn error(&self, socket: &S, error: &Error) -> bool {
        self.error.as_ref().map(|f| f(socket, error)).is_some()
    }

    fn sent(&self, socket: &S, tag: u64, outcome: Outcome) -> bool {
        self.sent.as_ref().map(|f| f(socket, tag, outcome)).is_some()
    }

    fn wants(&self) -> Wants {
        Wants::of([
            (Wants::TEXT, self.text.is_some()),
            (Wants::TEXT_SEGMENT, self.text_segment.is_some()),
            (Wants::BINARY, self.binary.is_some()),
            (Wants::BINARY_SEGMENT, self.binary_no_alloc.is_some()),
            (Wants::FRAMES, self.incomplete_frame.is_some()),
            (Wants::REQUEST, self.request.is_some()),
            (Wants::PONG, self.pong.is_some()),
        ])
    }
}
