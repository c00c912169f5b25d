//! permessage-deflate.

use super::given::{growing, pointer};
use super::guard::{guard, guard_or};
use super::result::fw_result;
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
/// Call it before anything else is set in it.
///
/// compression: not NULL; written.
/// Returns: nothing; NULL is ignored.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_compression_init(compression: *mut fw_compression) {
    guard_or((), || {
        let compression = pointer(compression, "compression")?;
        // SAFETY: not NULL and aligned; the caller's to write.
        unsafe { compression.write(defaults()) };
        Ok(())
    });
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
///   INVALID_STATE (not closed).
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
        // SAFETY: the caller promises a struct of its struct_size; all fields are numbers.
        let given = unsafe { growing(given, defaults(), "fw_compression") }?;
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
