//! Creating, opening, closing and destroying sockets.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::Duration;

use super::args::{UserData, pointer};
use super::guard::{guard, guard_or};
use super::result::fw_result;
use super::text::string;
use crate::client::Socket;
use crate::error::{CallError, Code};

/// A WebSocket: one connection at a time, which can be opened repeatedly.
///
/// ```text
///   create --> CLOSED --open--> CONNECTING --> OPEN --close, or the server--> CLOSING
///                ^                   |            |                              |
///                '------------ one terminal event: closed or error --------------'
/// ```
///
/// A handle, valid until fw_socket_destroy or fw_shutdown. Using a stale handle is safe.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct fw_socket {
    /// 0 is never valid.
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

/// Always the last callback for a socket: frees what its callbacks use.
///
/// \param user_data The pointer given to fw_socket_set_finalizer.
pub type fw_finalizer_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Creates a socket.
///
/// Checks the URL and does not access the network. Starts the library with the defaults if fw_init
/// was not called. User and password in the URL are sent as basic authentication.
///
/// In browsers, a URL with a user name is NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
///
/// \param url NUL-terminated, ws: or wss: (http: and https: are aliases), at most 8 KiB of ASCII: a
///   host in other letters as punycode (xn--), the rest percent-encoded; copied. Spaces, control
///   characters, backslashes and fragments (#) are refused. The zone of a link-local IPv6 address (RFC
///   6874), the name or number of an interface, follows `%25`, as in `ws://[fe80::1%25eth0]:9001/`;
///   it is never sent.
/// \param out Receives the handle; not NULL.
/// \returns OK; INVALID_ARGUMENT (NULL); INVALID_URL; NOT_SUPPORTED (wss: in a build without TLS);
///   SHUT_DOWN (a shutdown is in progress); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_create(url: *const c_char, out: *mut fw_socket) -> fw_result {
    guard(|| {
        let out = pointer(out, "out")?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
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

/// Starts connecting with the current settings.
///
/// Results in exactly one terminal event, closed or error, after all messages received before it.
/// The socket can be opened again after that event, also inside its callback.
///
/// \returns OK; INVALID_HANDLE; INVALID_STATE (connecting, open or closing).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_open(socket: fw_socket) -> fw_result {
    guard(|| socket.get()?.open())
}

/// Disconnects gracefully: starts the closing handshake after everything queued is sent.
///
/// The event closed follows when the server replies, or with code 1006 when it does not within the
/// close timeout. While connecting, cancels the connection; closed follows at once.
///
/// In browsers, codes other than 1000 and 3000 to 4999 are NOT_SUPPORTED
/// (FW_CAPABILITY_CLOSE_CODES).
///
/// \param socket The socket.
/// \param code 1000 to 1003, 1007 to 1014, 3000 to 4999 (RFC 6455 section 7.4); 0 means 1000.
/// \param reason NUL-terminated UTF-8 of at most 123 bytes, copied; NULL for none.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (a code that may not be sent, a reason that is not
///   UTF-8); TOO_LARGE (the reason); INVALID_STATE (closing or closed); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_close(socket: fw_socket, code: u16, reason: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let reason = if reason.is_null() { "" } else { unsafe { string(reason, "reason") }? };
        socket.close(code, reason)
    })
}

/// Drops the connection at once, without a closing handshake.
///
/// Discards queued messages. The event closed follows.
///
/// \returns OK; INVALID_HANDLE; INVALID_STATE (closed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_abort(socket: fw_socket) -> fw_result {
    guard(|| socket.get()?.abort())
}

/// Destroys the socket.
///
/// The handle is invalid at once. Unread events and the terminal event are dropped; only the
/// finalizer follows. In poll mode no callback of the socket starts after this returns; in worker
/// mode one that is already running on another thread may finish. An open connection is closed in
/// the background (best effort). May be called inside the socket's own callbacks.
///
/// \returns OK; INVALID_HANDLE (already destroyed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_destroy(socket: fw_socket) -> fw_result {
    guard(|| socket.get()?.destroy())
}

/// Destroys the socket after sending what is queued.
///
/// Like fw_socket_destroy for the caller: the handle is invalid at once, and only the finalizer
/// follows. In the background the library sends the queued messages and a close frame (1001) and
/// waits for the server's close frame. Messages that are not sent within the timeout are dropped.
/// fw_shutdown continues this within its own timeout. If the socket is not open, the same as
/// fw_socket_destroy.
///
/// In browsers, the browser sends what is queued and closes with code 1000, without a timeout.
///
/// \param socket The socket, in any state.
/// \param timeout_ms Maximum time for sending and closing in milliseconds; 0 drops what cannot be
///   sent at once.
/// \returns OK; INVALID_HANDLE (already destroyed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_destroy_when_sent(socket: fw_socket, timeout_ms: u32) -> fw_result {
    guard(|| socket.get()?.destroy_when_sent(Duration::from_millis(timeout_ms.into())))
}

/// Sets the function that is called once no other callback will run for the socket.
///
/// Runs exactly once after fw_socket_destroy or fw_shutdown, after the last callback has returned,
/// and at the latest before fw_shutdown returns. In poll mode it runs inside fw_poll,
/// fw_next_event, fw_next_events or fw_shutdown, not in the functions for one socket, on the calling
/// thread; in worker mode it may also run on a thread of the
/// library. Replaces the previous finalizer, which is never called.
///
/// \param socket The socket.
/// \param finalizer The function; NULL removes it.
/// \param user_data Passed to finalizer; must stay valid until it has run or was replaced.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_finalizer(
    socket: fw_socket,
    finalizer: fw_finalizer_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| {
        let user_data = UserData::new(user_data);
        socket.get()?.set_finalizer(finalizer.map(|finalizer| {
            // SAFETY: the caller promises that the function can be called with its user_data on
            // the threads that the comment above names.
            Box::new(move || unsafe { finalizer(user_data.get()) }) as Box<dyn FnOnce() + Send>
        }))
    })
}

/// Stores a pointer with the socket.
///
/// fw_event and fw_socket_user_data return it; the library does not use it. Callbacks have their
/// own user_data.
///
/// \param socket The socket.
/// \param user_data Any value, may be NULL.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_user_data(socket: fw_socket, user_data: *mut c_void) -> fw_result {
    guard(|| socket.get()?.set_user_data(user_data.expose_provenance()))
}

/// Returns the pointer stored with fw_socket_set_user_data.
///
/// \returns The pointer; NULL if none was stored, and for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_user_data(socket: fw_socket) -> *mut c_void {
    guard_or(ptr::null_mut(), || Ok(ptr::with_exposed_provenance_mut(socket.get()?.user_data())))
}
