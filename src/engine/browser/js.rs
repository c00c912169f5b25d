//! The functions of `framewire.jslib`, which is linked with the program.
//!
//! All numbers have 32 bits, and no function calls back, so that one file does for every version of emscripten,
//! with and without BigInt.

use crate::buffer::Writer;
use crate::limits::{BROWSER_QUEUE_EVENTS, BROWSER_QUEUE_FACTOR};

unsafe extern "C" {
    fn fwjs_open(
        id: u32,
        url: *const u8,
        url_len: usize,
        protocols: *const u8,
        protocols_len: usize,
        limits: *const Limits,
    ) -> u32;
    fn fwjs_exception(to: *mut u8, cap: usize) -> usize;
    fn fwjs_send(id: u32, data: *const u8, len: usize, is_text: u32) -> u32;
    fn fwjs_close(id: u32, code: u32, reason: *const u8, len: usize) -> u32;
    fn fwjs_drop(id: u32);
    fn fwjs_buffered(id: u32) -> u32;
    fn fwjs_ready() -> u32;
    fn fwjs_peek(id: u32, out: *mut Head) -> u32;
    fn fwjs_take(id: u32, to: *mut u8);
}

/// What may wait in JavaScript, as it cannot make the server wait.
#[repr(C)]
pub struct Limits {
    message_bytes: u32,
    queue_bytes: u32,
    queue_records: u32,
}

impl Limits {
    pub fn new(max_message_size: usize, event_queue_bytes: usize) -> Self {
        Self {
            message_bytes: saturated(max_message_size),
            queue_bytes: saturated(event_queue_bytes.saturating_mul(BROWSER_QUEUE_FACTOR)),
            queue_records: BROWSER_QUEUE_EVENTS,
        }
    }
}

fn saturated(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What JavaScript writes about the oldest record of a WebSocket.
#[repr(C)]
#[derive(Default)]
struct Head {
    kind: u32,
    code: u32,
    len: u32,
    /// Payload bytes of all its records.
    unread: u32,
}

/// The oldest record of a WebSocket; its payload is read with [`take`].
pub struct Record {
    pub kind: Kind,
    /// The close code, or the size of a message that is too large.
    pub code: u32,
    pub len: usize,
    /// Payload bytes of all records of the WebSocket, this one included.
    pub unread: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The payload is the subprotocol, a line feed, and the extensions.
    Open,
    Text,
    Binary,
    /// After a closing handshake. The payload is the reason.
    Closed,
    /// Without one.
    Lost,
    TooLarge,
    QueueFull,
}

/// Creates a WebSocket, and drops an earlier one with the same number. The error is the text of the browser's
/// exception.
pub fn open(id: u32, url: &str, protocols: &str, limits: &Limits) -> Result<(), String> {
    // SAFETY: the pointers and lengths are those of strings and of a struct that live until the call returns.
    let refused =
        unsafe { fwjs_open(id, url.as_ptr(), url.len(), protocols.as_ptr(), protocols.len(), limits) };
    if refused == 0 { Ok(()) } else { Err(exception()) }
}

/// Sends a message.
pub fn send(id: u32, payload: &[u8], is_text: bool) -> Result<(), String> {
    // SAFETY: the pointer and the length are those of a slice, which is read until the call returns.
    let refused = unsafe { fwjs_send(id, payload.as_ptr(), payload.len(), is_text.into()) };
    if refused == 0 { Ok(()) } else { Err(exception()) }
}

/// Starts the closing handshake, after what was sent.
pub fn close(id: u32, code: u16, reason: &str) -> Result<(), String> {
    // SAFETY: the pointer and the length are those of a string, which is read until the call returns.
    let refused = unsafe { fwjs_close(id, code.into(), reason.as_ptr(), reason.len()) };
    if refused == 0 { Ok(()) } else { Err(exception()) }
}

/// Closes a WebSocket and forgets it, with its records.
pub fn leave(id: u32) {
    // SAFETY: a number alone, and any is allowed.
    unsafe { fwjs_drop(id) }
}

/// Returns how many payload bytes of a WebSocket the browser has not sent.
pub fn buffered(id: u32) -> usize {
    // SAFETY: a number alone, and any is allowed.
    unsafe { fwjs_buffered(id) as usize }
}

/// Returns a WebSocket with new records, each once until it has others.
pub fn ready() -> Option<u32> {
    // SAFETY: takes nothing.
    Some(unsafe { fwjs_ready() }).filter(|id| *id != 0)
}

/// Returns the oldest record of a WebSocket.
pub fn peek(id: u32) -> Option<Record> {
    let mut head = Head::default();
    // SAFETY: the pointer is that of a struct of four numbers, which JavaScript writes until the call returns.
    if unsafe { fwjs_peek(id, &mut head) } == 0 {
        return None;
    }
    let kind = match head.kind {
        1 => Kind::Open,
        2 => Kind::Text,
        3 => Kind::Binary,
        4 => Kind::Closed,
        5 => Kind::Lost,
        6 => Kind::TooLarge,
        _ => Kind::QueueFull,
    };
    Some(Record { kind, code: head.code, len: head.len as usize, unread: head.unread as usize })
}

/// Removes the record that [`peek`] has returned, and appends its payload to a block with room for it.
pub fn take(id: u32, record: &Record, into: &mut Writer) {
    let to = &mut into.spare()[..record.len];
    // SAFETY: JavaScript writes as many bytes as `peek` has said, and the slice has as many. No record can come
    // before the others in between.
    unsafe { fwjs_take(id, to.as_mut_ptr()) };
    into.fill(record.len);
}

/// The text of the last exception.
fn exception() -> String {
    let mut text = [0; 300];
    // SAFETY: the pointer and the length are those of a buffer, of which JavaScript writes at most all.
    let len = unsafe { fwjs_exception(text.as_mut_ptr(), text.len()) };
    String::from_utf8_lossy(&text[..len.min(text.len())]).into_owned()
}
