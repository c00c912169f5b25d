//! Compression: permessage-deflate (RFC 7692).

use super::args::pointer;
use super::guard::guard;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use crate::client::Compression;
use crate::error::CallError;

/// Compression settings: permessage-deflate (RFC 7692).
///
/// Initialize it with fw_compression_init; fw_socket_set_compression copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_compression {
    /// sizeof(fw_compression), set by fw_compression_init.
    pub struct_size: u32,
    /// 0 (stored) to 9 (smallest and slowest); default 6.
    pub level: u32,
    /// 1 to compress each message separately, which saves memory and compresses less; default 0.
    pub client_no_context_takeover: u32,
    /// 1 to request the same from the server; default 0.
    pub server_no_context_takeover: u32,
    /// Window for sending, 8 to 15 (2^n bytes); default 15.
    pub client_max_window_bits: u32,
    /// Window requested of the server; default 15.
    pub server_max_window_bits: u32,
    /// Minimum message size in bytes; default 256.
    pub min_size_to_compress: usize,
}

/// Initializes compression settings with the defaults.
///
/// \param compression Written to; NULL does nothing.
/// \param struct_size sizeof(fw_compression).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_compression_init(compression: *mut fw_compression, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(compression, struct_size) }
}

/// Sets how messages are compressed.
///
/// On by default with the values of fw_compression_init. Used if the server accepts it, see
/// fw_socket_extensions. The maximum message size applies during decompression.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_COMPRESSION_SETTINGS).
///
/// \param socket The socket, closed.
/// \param compression Initialized with fw_compression_init, copied; NULL disables compression.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a value out of range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed).
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
        let settings = pointer(compression.cast_mut(), "compression")?;
        // SAFETY: the caller promises a struct of its struct_size.
        let settings = unsafe { sized::read(settings) }?;
        let bits = |bits: u32| {
            u8::try_from(bits)
                .map_err(|_| CallError::argument("window bits must be 8 to 15 (RFC 7692 section 7.1.2)"))
        };
        socket.set_compression(Some(Compression {
            level: settings.level,
            client_no_context_takeover: settings.client_no_context_takeover != 0,
            server_no_context_takeover: settings.server_no_context_takeover != 0,
            client_max_window_bits: bits(settings.client_max_window_bits)?,
            server_max_window_bits: bits(settings.server_max_window_bits)?,
            min_size_to_compress: settings.min_size_to_compress,
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
