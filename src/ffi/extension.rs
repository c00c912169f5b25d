//! Custom extensions, implemented by C callbacks.

use std::ffi::{c_char, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use super::args::{UserData, pointer};
use super::buffers::fw_segment;
use super::guard::guard;
use super::message::fw_opcode;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use super::text::string;
use crate::client::{Extension, ExternalExtension, Piece, Segment, lease};
use crate::error::CallError;

/// A message that an extension processes, or a fragment of one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fw_extension_frame {
    /// The type of the message.
    pub opcode: fw_opcode,
    /// 1 for a complete message or the first fragment of one, else 0.
    pub is_first: u32,
    /// 1 for a complete message or the last fragment of one, else 0.
    pub is_final: u32,
    /// Reserved bits of the message's first frame: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub rsv: u32,
    /// Reserved for later versions; 0.
    pub reserved: [u64; 2],
}

/// Writes the extension's offer for Sec-WebSocket-Extensions, such as "x-xor; key=7".
///
/// Called before each upgrade request.
///
/// \param buf Receives the offer, no NUL needed; never NULL.
/// \param cap Size of buf in bytes: 512.
/// \param user_data The user_data of fw_extension.
/// \returns The number of bytes written; 0 to not offer the extension.
pub type fw_add_negotiation_fn =
    Option<unsafe extern "C" fn(buf: *mut c_char, cap: usize, user_data: *mut c_void) -> usize>;

/// Reads the server's response after it has accepted the extension.
///
/// \param element The accepted extension, such as "x-xor; key=7", not NUL-terminated; valid until
///   the callback returns.
/// \param len Length of element in bytes.
/// \param user_data The user_data of fw_extension.
/// \returns 1 to use the extension; 0 to reject the parameters: connecting fails with
///   FW_ERROR_KIND_EXTENSION.
pub type fw_parse_negotiation_fn =
    Option<unsafe extern "C" fn(element: *const c_char, len: usize, user_data: *mut c_void) -> u32>;

/// Chooses the reserved bits of an outgoing message.
///
/// \param frame The message; rsv contains the bits set by extensions before this one. Valid until
///   the callback returns.
/// \param user_data The user_data of fw_extension.
/// \returns Bits out of the extension's rsv; 0 to send the message without calling encode, unless
///   rsv is 0. Any other bit ends the connection with an error.
pub type fw_frame_header_fn =
    Option<unsafe extern "C" fn(frame: *const fw_extension_frame, user_data: *mut c_void) -> u32>;

/// Encodes an outgoing message, or decodes a received one.
///
/// encode gets complete messages, before they are fragmented. decode gets complete messages, or
/// fragments while they are delivered one by one (fw_socket_on_incomplete_frame).
///
/// \param frame The message or fragment; valid until the callback returns.
/// \param data The payload, read-only, never NULL; valid until the callback returns.
/// \param len Length of the payload in bytes; may be 0.
/// \param out Zero. To replace the payload, write a segment from fw_buffer_get here: its reference
///   is consumed. Otherwise the payload is not changed.
/// \param user_data The user_data of fw_extension.
/// \returns 1 on success; 0 to reject the payload, which ends the connection with an error.
pub type fw_transform_fn = Option<
    unsafe extern "C" fn(
        frame: *const fw_extension_frame,
        data: *const u8,
        len: usize,
        out: *mut fw_segment,
        user_data: *mut c_void,
    ) -> u32,
>;

/// Frees what an extension uses. Called once, when no socket and no connection uses it any longer.
///
/// \param user_data The user_data of fw_extension.
pub type fw_extension_destroy_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A custom WebSocket extension (RFC 6455 section 9).
///
/// Initialize it with fw_extension_init; fw_socket_add_extension copies it. Its functions are
/// called on the socket's worker thread, one at a time, and must be short; destroy may be called on
/// any thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_extension {
    /// Size of this struct in bytes, set by fw_extension_init.
    pub struct_size: u32,
    /// Reserved bits that mark the messages it has encoded: RSV1 is 4, RSV2 is 2, RSV3 is 1. With 0
    /// it processes every message. permessage-deflate uses RSV1: to use it, disable compression.
    pub rsv: u32,
    /// Not NULL.
    pub add_negotiation: fw_add_negotiation_fn,
    /// NULL accepts any parameters.
    pub parse_negotiation: fw_parse_negotiation_fn,
    /// NULL sets all bits of rsv in every message.
    pub frame_header: fw_frame_header_fn,
    /// NULL sends messages unchanged.
    pub encode: fw_transform_fn,
    /// NULL delivers messages unchanged.
    pub decode: fw_transform_fn,
    /// NULL if there is nothing to free.
    pub destroy: fw_extension_destroy_fn,
    /// Passed to each function. What it points to must stay valid until destroy.
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

/// Initializes an extension: all zero and NULL.
///
/// \param extension Written to; NULL does nothing.
/// \param struct_size sizeof(fw_extension).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_extension_init(extension: *mut fw_extension, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(extension, struct_size) }
}

/// Adds a custom extension to a socket.
///
/// Extensions are offered, and encode messages, in the order in which they were added, before
/// permessage-deflate; received messages are decoded in the reverse order. If the server accepts
/// two that use the same reserved bit, connecting fails with FW_ERROR_KIND_EXTENSION.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_EXTENSIONS).
///
/// \param socket The socket, closed.
/// \param extension Initialized with fw_extension_init, not NULL; copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size, rsv over 7, no
///   add_negotiation); NOT_SUPPORTED (a field is set that only a newer library knows);
///   INVALID_STATE (not closed); TOO_LARGE (more than 8). On failure, destroy is not called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_add_extension(
    socket: fw_socket,
    extension: *const fw_extension,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let extension = pointer(extension.cast_mut(), "extension")?;
        // SAFETY: the caller promises a struct of its struct_size.
        let functions = unsafe { sized::read(extension) }?;
        if functions.add_negotiation.is_none() {
            return Err(CallError::argument("add_negotiation is NULL: the extension cannot be offered"));
        }
        let extension = Arc::new(CExtension {
            user_data: UserData::new(functions.user_data),
            functions,
            owned: true.into(),
        });
        let added = socket.add_extension(extension.clone());
        if added.is_err() {
            // The caller still owns user_data.
            extension.owned.store(false, std::sync::atomic::Ordering::Relaxed);
        }
        added
    })
}

/// Offers an extension whose messages the program encodes and decodes itself, on its own thread.
///
/// For programs that take events with fw_next_event, and for languages whose code cannot run on worker
/// threads; otherwise see fw_socket_add_extension. If the server has accepted the offer,
/// fw_socket_extensions contains its element after FW_EVENT_OPEN. Then encode messages and send them
/// with fw_socket_send_text_with, fw_socket_send_binary_with or fw_socket_send and the reserved bits
/// in flags. Received messages that have one of the bits are delivered as FW_EVENT_ENCODED, always
/// complete; they have no callback and are discarded by fw_poll and by a socket that runs callbacks
/// on its worker thread.
///
/// The order is that of fw_socket_add_extension: those added before do not see these messages, those
/// added later, and permessage-deflate, process them after encode and before decode. If the server has
/// not accepted the offer, a message with its bits ends the connection with FW_ERROR_KIND_EXTENSION.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_EXTENSIONS).
///
/// \param socket The socket, closed.
/// \param offer The element for Sec-WebSocket-Extensions, such as "x-xor; key=7", NUL-terminated,
///   not NULL; copied. Sent with every upgrade request.
/// \param rsv Reserved bits that mark its messages: RSV1 is 4, RSV2 is 2, RSV3 is 1; at least one.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, an invalid element, rsv); INVALID_STATE (not
///   closed); TOO_LARGE (more than 8 extensions).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_offer_extension(
    socket: fw_socket,
    offer: *const c_char,
    rsv: u32,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated string.
        let offer = unsafe { string(offer, "offer") }?;
        let rsv = u8::try_from(rsv).unwrap_or(u8::MAX);
        socket.add_extension(Arc::new(ExternalExtension::new(offer, rsv)?))
    })
}

/// An extension implemented by C callbacks.
struct CExtension {
    functions: fw_extension,
    user_data: UserData,
    /// Whether the library calls `destroy`.
    owned: std::sync::atomic::AtomicBool,
}

// SAFETY: function pointers are `Send`, and the caller of `fw_socket_add_extension` promises that the
// functions can be called with user_data on the library's threads.
unsafe impl Send for CExtension {}
// SAFETY: as above.
unsafe impl Sync for CExtension {}

impl Extension for CExtension {
    fn rsv(&self) -> u8 {
        u8::try_from(self.functions.rsv).unwrap_or(u8::MAX)
    }

    fn offer(&self) -> Option<String> {
        let mut buffer = [0u8; 512];
        let add = self.functions.add_negotiation?;
        // SAFETY: the buffer holds 512 bytes; the caller of fw_socket_add_extension promises the rest.
        let written = unsafe { add(buffer.as_mut_ptr().cast(), buffer.len(), self.user_data.get()) };
        if written == 0 {
            return None;
        }
        // An offer that is too long or no valid header field is left out by the handshake, which logs
        // it; NUL is such an offer.
        Some(String::from_utf8_lossy(buffer.get(..written).unwrap_or(b"\0")).into_owned())
    }

    fn accept(&self, element: &str) -> Result<(), String> {
        let Some(parse) = self.functions.parse_negotiation else { return Ok(()) };
        // SAFETY: the text is valid for the call; the caller of fw_socket_add_extension promises the rest.
        match unsafe { parse(element.as_ptr().cast(), element.len(), self.user_data.get()) } {
            0 => Err(format!("the extension rejected the parameters \"{element}\"")),
            _ => Ok(()),
        }
    }

    fn mark(&self, piece: Piece) -> Result<u8, String> {
        let Some(header) = self.functions.frame_header else { return Ok(self.rsv()) };
        // SAFETY: the frame is valid for the call; the caller of fw_socket_add_extension promises the rest.
        let bits = unsafe { header(&frame(piece), self.user_data.get()) };
        u8::try_from(bits).map_err(|_| "it set invalid reserved bits".to_owned())
    }

    fn encode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        self.transform(self.functions.encode, piece, payload)
    }

    fn decode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        self.transform(self.functions.decode, piece, payload)
    }
}

impl CExtension {
    fn transform(
        &self,
        function: fw_transform_fn,
        piece: Piece,
        payload: &[u8],
    ) -> Result<Option<Segment>, String> {
        let Some(function) = function else { return Ok(None) };
        let mut out = fw_segment::NONE;
        let data =
            if payload.is_empty() { NonNull::dangling().as_ptr() } else { payload.as_ptr().cast_mut() };
        // SAFETY: frame, payload and out are valid for the call; the caller of fw_socket_add_extension
        // promises the rest.
        let done = unsafe { function(&frame(piece), data, payload.len(), &mut out, self.user_data.get()) };
        let taken = (out.buffer.id != 0).then(|| lease::take(out.buffer.id, out.data, out.offset, out.count));
        match (done, taken) {
            (0, _) => Err("it rejected the payload".to_owned()),
            (_, None) => Ok(None),
            (_, Some(Ok(segment))) => Ok(Some(segment)),
            (_, Some(Err(error))) => Err(format!("it returned an invalid segment: {error}")),
        }
    }
}

impl Drop for CExtension {
    fn drop(&mut self) {
        if let Some(destroy) = self.functions.destroy
            && *self.owned.get_mut()
        {
            // SAFETY: the last use; the caller of fw_socket_add_extension promises that it may be called.
            unsafe { destroy(self.user_data.get()) };
        }
    }
}

fn frame(piece: Piece) -> fw_extension_frame {
    fw_extension_frame {
        opcode: piece.message_type.into(),
        is_first: piece.is_first.into(),
        is_final: piece.is_final.into(),
        rsv: piece.rsv.into(),
        reserved: [0; 2],
    }
}
