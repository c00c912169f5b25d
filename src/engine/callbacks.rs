//! What a socket calls, and the mark that a callback is running.

use std::cell::Cell;
use std::sync::Arc;

use super::event::Frame;
use super::request::Request;
use super::socket::Socket;
use crate::buffer::Segment;
use crate::error::Error;

pub type OnSocket = dyn Fn(&Socket) + Send + Sync;
pub type OnText = dyn Fn(&Socket, &str) + Send + Sync;
pub type OnBytes = dyn Fn(&Socket, &[u8]) + Send + Sync;
pub type OnSegment = dyn Fn(&Socket, &Segment) + Send + Sync;
pub type OnFrame = dyn Fn(&Socket, &Frame) + Send + Sync;
pub type OnRequest = dyn Fn(&Socket, &Request) + Send + Sync;
/// The error, the number of the try from 1, and the milliseconds before it.
pub type OnReconnecting = dyn Fn(&Socket, &Error, u32, u32) + Send + Sync;
pub type OnClosed = dyn Fn(&Socket, u16, &str) + Send + Sync;
pub type OnError = dyn Fn(&Socket, &Error) + Send + Sync;

/// One socket's callbacks. Replaced as a whole when one changes, so that a batch of events can be
/// delivered from one look at them.
#[derive(Clone, Default)]
pub struct Callbacks {
    pub open: Option<Arc<OnSocket>>,
    pub text: Option<Arc<OnText>>,
    pub text_segment: Option<Arc<OnSegment>>,
    pub binary: Option<Arc<OnBytes>>,
    pub binary_no_alloc: Option<Arc<OnSegment>>,
    pub incomplete_frame: Option<Arc<OnFrame>>,
    pub request: Option<Arc<OnRequest>>,
    pub pong: Option<Arc<OnBytes>>,
    pub reconnecting: Option<Arc<OnReconnecting>>,
    pub closed: Option<Arc<OnClosed>>,
    pub error: Option<Arc<OnError>>,
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside a callback.
pub fn inside() -> bool {
    DEPTH.get() > 0
}

/// Marks this thread as being inside a callback, until dropped.
pub struct Inside(());

impl Inside {
    pub fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Inside(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
