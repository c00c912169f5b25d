//! permessage-deflate.

use super::args::pointer;
use super::guard::guard;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use crate::client::Compression;
use crate::error::CallError;

/// How messages are compressed, where the server agrees (RFC 7692).
///
/// Prepare it with fw_compression_init, so that a program built with an older header keeps working.
/// The caller's; copied by fw_socket_set_compression.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_compression {
    /// The size of this struct in bytes, set by fw_compression_init.
    pub struct_size: u32,
    /// 0 (stored, not compressed) to 9 (smallest, slowest); 6 by default.
    pub level: u32,
    /// 1: this side forgets each message before the next, which saves memory and compresses less;
    /// 0 by default.
    pub client_no_context_takeover: u32,
    /// 1: the server is asked to do so; 0 by default.
    pub server_no_context_takeover: u32,
    /// 8 to 15: the window of what this side sends, as a power of two in bytes; 15 by default.
    pub client_max_window_bits: u32,
    /// 8 to 15: the window that the server is asked to stay within; 15 by default.
    pub server_max_window_bits: u32,
    /// Messages of fewer bytes are sent as they are; 256 by default.
    pub min_size_to_compress: usize,
}

/// Fills a compression with the defaults.
///
/// Call it first, as fw_compression_init(&compression, sizeof compression), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// compression: written; NULL does nothing.
/// struct_size: sizeof(fw_compression), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_compression_init(compression: *mut fw_compression, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(compression, struct_size) }
}

/// Sets how messages are compressed.
///
/// Compression is on by default, with the values of fw_compression_init. It takes effect when the server
/// agrees; fw_socket_extensions says whether it did. Decompressed messages are held to the maximum
/// message size while they are decompressed.
///
/// socket: the socket, closed.
/// compression: prepared with fw_compression_init, copied; NULL turns compression off.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a value out of its range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_compression(
    socket: fw_socket,
    compression: *const fw_compression,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        if compression.is_null() {
            return socket.set_compression(None);
        }
        let given = pointer(compression.cast_mut(), "compression")?;
        // SAFETY: the caller promises a struct of its struct_size.
        let given = unsafe { sized::read(given) }?;
        let bits = |bits: u32| {
            u8::try_from(bits)
                .map_err(|_| CallError::argument("window bits go from 8 to 15 (RFC 7692 section 7.1.2)"))
        };
        socket.set_compression(Some(Compression {
            level: given.level,
            client_no_context_takeover: given.client_no_context_takeover != 0,
            server_no_context_takeover: given.server_no_context_takeover != 0,
            client_max_window_bits: bits(given.client_max_window_bits)?,
            server_max_window_bits: bits(given.server_max_window_bits)?,
            min_size_to_compress: given.min_size_to_compress,
        }))
    })
}

sized!(
    fw_compression {
        struct_size,
        level,
        client_no_context_takeover,
        server_no_context_takeover,
        client_max_window_bits,
        server_max_window_bits,
        min_size_to_compress,
    },
    defaults()
);

fn defaults() -> fw_compression {
    let defaults = Compression::default();
    fw_compression {
        struct_size: size_of::<fw_compression>() as u32,
        level: defaults.level,
        client_no_context_takeover: defaults.client_no_context_takeover.into(),
        server_no_context_takeover: defaults.server_no_context_takeover.into(),
        client_max_window_bits: defaults.client_max_window_bits.into(),
        server_max_window_bits: defaults.server_max_window_bits.into(),
        min_size_to_compress: defaults.min_size_to_compress,
    }
}
