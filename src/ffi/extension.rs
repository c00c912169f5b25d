//! Extensions of the caller's own.

use std::ffi::{c_char, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use super::args::{UserData, pointer};
use super::buffers::{fw_buffer, fw_segment};
use super::guard::guard;
use super::message::fw_opcode;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use crate::client::{Extension, MessageType, Piece, Segment, lease};
use crate::error::CallError;

/// A message, or a piece of one, that an extension is shown.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fw_extension_frame {
    /// What the message is.
    pub opcode: fw_opcode,
    /// 1 for a whole message, and for the first fragment where fragments come one by one.
    pub is_first: u32,
    /// 1 for a whole message, and for the last fragment where fragments come one by one.
    pub is_final: u32,
    /// The reserved bits of the message's first frame: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub rsv: u32,
    /// For later versions; 0.
    pub reserved: [u64; 2],
}

/// Writes the extension's element for Sec-WebSocket-Extensions, such as "x-xor; key=7", for an attempt.
///
/// Called before each upgrade request.
///
/// buf: where to write, at most cap bytes, no NUL needed; never NULL.
/// cap: bytes, 512.
/// user_data: that of fw_extension.
/// Returns: how many bytes were written; 0 offers nothing this time.
pub type fw_add_negotiation_fn =
    Option<unsafe extern "C" fn(buf: *mut c_char, cap: usize, user_data: *mut c_void) -> usize>;

/// Reads the server's element: it has accepted the extension.
///
/// element: such as "x-xor; key=7", not NUL-terminated, borrowed for the call.
/// len: bytes.
/// user_data: that of fw_extension.
/// Returns: 1 to use the extension; 0 when the parameters cannot be used, which ends the attempt in
///   an error.
pub type fw_parse_negotiation_fn =
    Option<unsafe extern "C" fn(element: *const c_char, len: usize, user_data: *mut c_void) -> u32>;

/// Chooses the reserved bits for a message that is to be sent.
///
/// frame: the message, rsv holding the bits of extensions before this one; borrowed for the call.
/// user_data: that of fw_extension.
/// Returns: bits of the extension's own rsv; 0 sends the message unchanged (unless the extension
///   owns no bits). Any other bit ends the connection in an error.
pub type fw_frame_header_fn =
    Option<unsafe extern "C" fn(frame: *const fw_extension_frame, user_data: *mut c_void) -> u32>;

/// Encodes a message that is to be sent, or decodes what was received.
///
/// encode gets whole messages, before they are fragmented; decode whole messages too, or fragments
/// where incomplete_frame takes them one by one.
///
/// frame: what it is; borrowed for the call.
/// data: the payload, read-only; borrowed for the call; never NULL.
/// len: bytes, may be 0.
/// out: zero; a segment from fw_buffer_get with the new payload is handed over by writing it here; left
///   alone the payload stays as it is.
/// user_data: that of fw_extension.
/// Returns: 1 when done; 0 when the payload cannot be used, which ends the connection in an error.
pub type fw_transform_fn = Option<
    unsafe extern "C" fn(
        frame: *const fw_extension_frame,
        data: *const u8,
        len: usize,
        out: *mut fw_segment,
        user_data: *mut c_void,
    ) -> u32,
>;

/// Frees what the extension uses. Called once, when no socket and no connection uses it any more.
///
/// user_data: that of fw_extension.
pub type fw_extension_destroy_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// An extension of the caller's own (RFC 6455 section 9).
///
/// Prepare it with fw_extension_init. Copied by fw_socket_add_extension. Its functions are called on
/// the socket's worker thread, one at a time, and must be quick; destroy may be called on any thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_extension {
    /// The size of this struct in bytes, set by fw_extension_init.
    pub struct_size: u32,
    /// The reserved bits that it owns and marks its messages with: RSV1 is 4, RSV2 is 2, RSV3 is 1;
    /// 0 means that it changes every message. permessage-deflate owns RSV1: turn compression off to use that.
    pub rsv: u32,
    /// Not NULL.
    pub add_negotiation: fw_add_negotiation_fn,
    /// NULL: any answer is fine.
    pub parse_negotiation: fw_parse_negotiation_fn,
    /// NULL: every message is marked with all of rsv.
    pub frame_header: fw_frame_header_fn,
    /// NULL: messages are sent as they are.
    pub encode: fw_transform_fn,
    /// NULL: messages are received as they are.
    pub decode: fw_transform_fn,
    /// NULL: there is nothing to free.
    pub destroy: fw_extension_destroy_fn,
    /// Handed to each of the functions; what it points to must live until destroy.
    pub user_data: *mut c_void,
}

const DEFAULTS: fw_extension = fw_extension {
    struct_size: size_of::<fw_extension>() as u32,
    rsv: 0,
    add_negotiation: None,
    parse_negotiation: None,
    frame_header: None,
    encode: None,
    decode: None,
    destroy: None,
    user_data: std::ptr::null_mut(),
};

sized!(
    fw_extension {
        struct_size,
        rsv,
        add_negotiation,
        parse_negotiation,
        frame_header,
        encode,
        decode,
        destroy,
        user_data,
    },
    DEFAULTS
);

/// Fills a extension with the defaults.
///
/// Call it first, as fw_extension_init(&extension, sizeof extension), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// extension: written; NULL does nothing.
/// struct_size: sizeof(fw_extension), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_extension_init(extension: *mut fw_extension, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(extension, struct_size) }
}

/// Adds an extension to a socket.
///
/// Extensions are offered, and change messages, in the order in which they were added, all before
/// permessage-deflate; received messages go the other way. Two that own the same reserved bit cannot be
/// agreed on together: that ends the attempt in an error of kind EXTENSION.
///
/// socket: the socket, closed.
/// extension: prepared with fw_extension_init; not NULL; copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size, rsv over 7, no add_negotiation);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed);
///   TOO_LARGE (more than 8). When it is not OK destroy is not called.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_add_extension(
    socket: fw_socket,
    extension: *const fw_extension,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let given = pointer(extension.cast_mut(), "extension")?;
        // SAFETY: the caller promises a struct of its struct_size.
        let given = unsafe { sized::read(given) }?;
        if given.add_negotiation.is_none() {
            return Err(CallError::argument("add_negotiation is NULL: the extension could never be offered"));
        }
        let foreign = Arc::new(Foreign {
            functions: given,
            user_data: UserData::new(given.user_data),
            owned: true.into(),
        });
        let added = socket.add_extension(foreign.clone());
        if added.is_err() {
            // It stays the caller's.
            foreign.owned.store(false, std::sync::atomic::Ordering::Relaxed);
        }
        added
    })
}

/// An extension whose code is the caller's.
struct Foreign {
    functions: fw_extension,
    user_data: UserData,
    /// Whether `destroy` is ours to call.
    owned: std::sync::atomic::AtomicBool,
}

// SAFETY: the functions are plain code, and the caller of `fw_socket_add_extension` promises that
// they can be called with the user data on the library's threads.
unsafe impl Send for Foreign {}
// SAFETY: as above.
unsafe impl Sync for Foreign {}

impl Extension for Foreign {
    fn rsv(&self) -> u8 {
        u8::try_from(self.functions.rsv).unwrap_or(u8::MAX)
    }

    fn offer(&self) -> Option<String> {
        let mut buffer = [0u8; 512];
        let add = self.functions.add_negotiation?;
        // SAFETY: the buffer holds 512 bytes; the rest is the promise of whoever added it.
        let written = unsafe { add(buffer.as_mut_ptr().cast(), buffer.len(), self.user_data.get()) };
        if written == 0 {
            return None;
        }
        // More than fits there, like anything else that cannot stand in a header field, is left out and said
        // in the log, where the offer is made.
        Some(String::from_utf8_lossy(buffer.get(..written).unwrap_or(b"\0")).into_owned())
    }

    fn accept(&self, element: &str) -> Result<(), String> {
        let Some(parse) = self.functions.parse_negotiation else { return Ok(()) };
        // SAFETY: the text lives for the call; the rest is the promise of whoever added it.
        match unsafe { parse(element.as_ptr().cast(), element.len(), self.user_data.get()) } {
            0 => Err(format!("it does not take the server's answer \"{element}\"")),
            _ => Ok(()),
        }
    }

    fn mark(&self, piece: Piece) -> Result<u8, String> {
        let Some(header) = self.functions.frame_header else { return Ok(self.rsv()) };
        // SAFETY: the frame lives for the call; the rest is the promise of whoever added it.
        let bits = unsafe { header(&frame(piece), self.user_data.get()) };
        u8::try_from(bits).map_err(|_| "it set bits that do not exist".to_owned())
    }

    fn encode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        self.transform(self.functions.encode, piece, payload)
    }

    fn decode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        self.transform(self.functions.decode, piece, payload)
    }
}

impl Foreign {
    fn transform(
        &self,
        function: fw_transform_fn,
        piece: Piece,
        payload: &[u8],
    ) -> Result<Option<Segment>, String> {
        let Some(function) = function else { return Ok(None) };
        let mut out =
            fw_segment { data: std::ptr::null_mut(), offset: 0, count: 0, buffer: fw_buffer { id: 0 } };
        let data =
            if payload.is_empty() { NonNull::dangling().as_ptr() } else { payload.as_ptr().cast_mut() };
        // SAFETY: frame, payload and out live for the call; the rest is the promise of whoever
        // added the extension.
        let done = unsafe { function(&frame(piece), data, payload.len(), &mut out, self.user_data.get()) };
        let taken = (out.buffer.id != 0).then(|| lease::take(out.buffer.id, out.data, out.offset, out.count));
        match (done, taken) {
            (0, _) => Err("it does not take the payload".to_owned()),
            (_, None) => Ok(None),
            (_, Some(Ok(segment))) => Ok(Some(segment)),
            (_, Some(Err(error))) => Err(format!("it handed over a segment that is none: {error}")),
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(destroy) = self.functions.destroy
            && *self.owned.get_mut()
        {
            // SAFETY: the last use; whoever added the extension promised that it may be called.
            unsafe { destroy(self.user_data.get()) };
        }
    }
}

fn frame(piece: Piece) -> fw_extension_frame {
    fw_extension_frame {
        opcode: match piece.message_type {
            MessageType::Text => fw_opcode::FW_OPCODE_TEXT,
            MessageType::Binary => fw_opcode::FW_OPCODE_BINARY,
        },
        is_first: piece.is_first.into(),
        is_final: piece.is_final.into(),
        rsv: piece.rsv.into(),
        reserved: [0; 2],
    }
}
