//! A socket's life, from its URL to its finalizer.

use std::ffi::{c_char, c_void};
use std::ptr;

use super::args::{UserData, pointer};
use super::guard::{guard, guard_or};
use super::result::fw_result;
use super::text::string;
use crate::client::Socket;
use crate::error::{CallError, Code};

/// A WebSocket: one connection at a time, opened again as often as needed.
///
/// ```text
///   create --> CLOSED --open--> CONNECTING --> OPEN --close, or the server--> CLOSING
///                ^                   |            |                              |
///                '------------ one terminal event: closed or error --------------'
/// ```
///
/// A handle: copy it freely. Ends with fw_socket_destroy, at the latest with fw_shutdown; used after
/// that, or zero, or made up, it is refused and never does harm.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct fw_socket {
    /// 0 is no socket.
    pub id: u64,
}

impl fw_socket {
    pub(super) fn get(self) -> Result<Socket, CallError> {
        Socket::from_id(self.id)
    }
}

impl From<&Socket> for fw_socket {
    fn from(socket: &Socket) -> Self {
        Self { id: socket.id() }
    }
}

/// The last that is ever called for a socket: the place to free what its callbacks use.
///
/// user_data: what was given to fw_socket_set_finalizer.
pub type fw_finalizer_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Makes a socket.
///
/// Checks the URL and touches no network. Starts the library with defaults if fw_init was not
/// called. User and password in the URL are sent as basic authentication.
///
/// url: NUL-terminated UTF-8, ws: or wss: (http: and https: mean the same), at most 8 KiB; copied.
///   Spaces and control characters are refused, not removed. The zone of a link-local IPv6 address (RFC
///   6874), an interface by its name or number, stands behind %25, as in ws://[fe80::1%25eth0]:9001/; it is
///   never sent.
/// out: receives the handle; not NULL.
/// Returns: OK; INVALID_ARGUMENT (NULL); INVALID_URL; NOT_SUPPORTED (wss: in a build without TLS);
///   SHUT_DOWN (a shutdown is on its way); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_create(url: *const c_char, out: *mut fw_socket) -> fw_result {
    guard(|| {
        let out = pointer(out, "out")?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let text = unsafe { string(url, "url") };
        let url = text.map_err(|error| {
            let code = if url.is_null() { Code::InvalidArgument } else { Code::InvalidUrl };
            CallError::new(code, error.message)
        })?;
        let socket = Socket::create(url)?;
        // SAFETY: not NULL and aligned; the caller's to write.
        unsafe { out.write(fw_socket::from(&socket)) };
        Ok(())
    })
}

/// Starts connecting.
///
/// The settings made so far are used. Ends in exactly one terminal event, closed or error, after
/// every message received before it. Legal again after that event, also inside its callback.
///
/// socket: the socket.
/// Returns: OK; INVALID_HANDLE; INVALID_STATE (connecting, open or closing).
/// Threads: any.
/// Callbacks: none during the call; events follow.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_open(socket: fw_socket) -> fw_result {
    guard(|| socket.get()?.open())
}

/// Starts the closing handshake.
///
/// What is queued goes out first. The event closed follows when the server answers, with code 1006
/// when it does not within the close timeout. While connecting it cancels, with closed at once.
///
/// socket: the socket.
/// code: 1000 to 1003, 1007 to 1014, 3000 to 4999 (RFC 6455 section 7.4); 0 means 1000.
/// reason: NUL-terminated UTF-8 of at most 123 bytes, copied; may be NULL for none.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (a code that may not be sent, a reason that is not
///   UTF-8); TOO_LARGE (the reason); INVALID_STATE (closing or closed already); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none during the call.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_close(socket: fw_socket, code: u16, reason: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let reason = if reason.is_null() { "" } else { unsafe { string(reason, "reason") }? };
        socket.close(code, reason)
    })
}

/// Drops the connection now, without a closing handshake.
///
/// What is queued is lost. The event closed follows.
///
/// socket: the socket.
/// Returns: OK; INVALID_HANDLE; INVALID_STATE (closed already).
/// Threads: any.
/// Callbacks: none during the call.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_abort(socket: fw_socket) -> fw_result {
    guard(|| socket.get()?.abort())
}

/// Ends the socket's life.
///
/// The handle is dead at once, and nothing comes after this but the finalizer: the terminal event is
/// waived, unread events are dropped. In poll mode no callback of the socket begins after it
/// returns; in worker mode one that is already running on another thread may finish. An open
/// connection is closed in the background as well as it goes. Legal inside the socket's callbacks.
///
/// socket: the socket.
/// Returns: OK; INVALID_HANDLE (destroyed already).
/// Threads: any.
/// Callbacks: none during the call; the finalizer follows.
/// Blocks: no; takes microseconds.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_destroy(socket: fw_socket) -> fw_result {
    guard(|| socket.get()?.destroy())
}

/// Sets what is called when nothing will be called for the socket any more.
///
/// It runs exactly once after fw_socket_destroy or fw_shutdown, after the last callback has
/// returned, and at the latest before fw_shutdown returns. Replaces the finalizer set before, which
/// is then never called.
///
/// socket: the socket.
/// finalizer: NULL removes.
/// user_data: passed to finalizer; must stay valid until it has run, or was replaced.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode finalizer runs inside fw_poll, fw_next_event or
///   fw_shutdown, on their caller's thread; in worker mode also on a thread of the library.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_finalizer(
    socket: fw_socket,
    finalizer: fw_finalizer_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| {
        let user_data = UserData::new(user_data);
        socket.get()?.set_finalizer(finalizer.map(|finalizer| {
            // SAFETY: the caller promises that its function can be called with its user data, on
            // the threads that the comment above names.
            Box::new(move || unsafe { finalizer(user_data.get()) }) as Box<dyn FnOnce() + Send>
        }))
    })
}

/// Stores a pointer with the socket.
///
/// It comes back in fw_event and from fw_socket_user_data; the library never looks behind it.
/// Callbacks have a user_data of their own.
///
/// socket: the socket.
/// user_data: anything, may be NULL.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_user_data(socket: fw_socket, user_data: *mut c_void) -> fw_result {
    guard(|| socket.get()?.set_user_data(user_data.expose_provenance()))
}

/// The pointer stored with fw_socket_set_user_data.
///
/// socket: the socket.
/// Returns: the pointer; NULL before one was stored, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_user_data(socket: fw_socket) -> *mut c_void {
    guard_or(ptr::null_mut(), || Ok(ptr::with_exposed_provenance_mut(socket.get()?.user_data())))
}
