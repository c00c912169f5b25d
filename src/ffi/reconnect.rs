//! Reconnect policy.

use std::time::Duration;

use super::args::pointer;
use super::guard::guard;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use crate::client::Reconnect;

/// Reconnect policy: exponential backoff with jitter.
///
/// Initialize it with fw_reconnect_init; fw_socket_set_reconnect copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_reconnect {
    /// sizeof(fw_reconnect), set by fw_reconnect_init.
    pub struct_size: u32,
    /// 1 (the default of fw_reconnect_init) to reconnect, 0 not to.
    pub enabled: u32,
    /// Minimum delay before a retry, at least 1; default 250.
    pub min_delay_ms: u32,
    /// Maximum delay, at least min_delay_ms; default 30000.
    pub max_delay_ms: u32,
    /// Maximum number of consecutive retries; 0 (the default) for no limit.
    pub max_attempts: u32,
    /// 1 to queue messages sent while the socket is connecting or reconnecting; 0 (the default) to
    /// refuse them with INVALID_STATE.
    pub queue_sends: u32,
}

/// Initializes a reconnect policy with the defaults, enabled.
///
/// \param reconnect Written to; NULL does nothing.
/// \param struct_size sizeof(fw_reconnect).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_reconnect_init(reconnect: *mut fw_reconnect, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(reconnect, struct_size) }
}

/// Sets the reconnect policy: whether and when to retry after a failed or lost connection.
///
/// Retries after retriable errors; never after a closing handshake, fw_socket_close or
/// fw_socket_abort. The event reconnecting replaces error and contains the number of the retry,
/// from 1, and its delay: random between min_delay_ms and min_delay_ms times 2 to the power of that
/// number, at most max_delay_ms, counted after the time that Retry-After asks for (at most 10
/// minutes). When the retries are used up or an error is not retriable, error or closed follows.
///
/// Until the next event open the state is FW_STATE_CONNECTING, and sends return INVALID_STATE or,
/// with queue_sends, are queued up to fw_socket_set_max_buffered_amount, also over failed attempts,
/// redirects and the fallback to HTTP/1.1. Messages that were accepted while open and not sent before
/// the loss are lost. Messages sent once the new connection is open
/// are sent over it, even before the event open is delivered. Each retry uses the socket's own URL
/// and settings, calls internal_request_created and has its own connect timeout.
///
/// After a network change, a new connection may replace the old one without a pause: see
/// fw_network_changed.
///
/// \param socket The socket, closed.
/// \param reconnect Initialized with fw_reconnect_init, copied; NULL disables reconnecting (the
///   default).
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a delay out of range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_reconnect(
    socket: fw_socket,
    reconnect: *const fw_reconnect,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        if reconnect.is_null() {
            return socket.set_reconnect(None);
        }
        let policy = pointer(reconnect.cast_mut(), "reconnect")?;
        // SAFETY: the caller promises a struct of its struct_size.
        let policy = unsafe { sized::read(policy) }?;
        let milliseconds = |milliseconds: u32| Duration::from_millis(milliseconds.into());
        let reconnect = Reconnect {
            min_delay: milliseconds(policy.min_delay_ms),
            max_delay: milliseconds(policy.max_delay_ms),
            max_attempts: policy.max_attempts,
            queue_sends: policy.queue_sends != 0,
        };
        reconnect.check()?;
        socket.set_reconnect((policy.enabled != 0).then_some(reconnect))
    })
}

sized!(
    fw_reconnect { struct_size, enabled, min_delay_ms, max_delay_ms, max_attempts, queue_sends },
    defaults()
);

fn defaults() -> fw_reconnect {
    let defaults = Reconnect::default();
    fw_reconnect {
        struct_size: size_of::<fw_reconnect>() as u32,
        enabled: 1,
        min_delay_ms: defaults.min_delay.as_millis() as u32,
        max_delay_ms: defaults.max_delay.as_millis() as u32,
        max_attempts: defaults.max_attempts,
        queue_sends: 0,
    }
}
