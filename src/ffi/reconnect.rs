//! Trying again after a loss.

use std::time::Duration;

use super::args::pointer;
use super::guard::guard;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use crate::client::Reconnect;

/// Whether and when a lost connection is tried again.
///
/// Prepare it with fw_reconnect_init, so that a program built with an older header keeps working. The
/// caller's; copied by fw_socket_set_reconnect.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_reconnect {
    /// The size of this struct in bytes, set by fw_reconnect_init.
    pub struct_size: u32,
    /// 1, the default of fw_reconnect_init: tries again; 0: the first loss is the end.
    pub enabled: u32,
    /// The shortest delay before a try, at least 1; 250 by default.
    pub min_delay_ms: u32,
    /// The longest, at least min_delay_ms; 30000 by default.
    pub max_delay_ms: u32,
    /// Tries in a row, the first attempt not counted; 0, the default, for without end.
    pub max_attempts: u32,
    /// 1: sends while the socket connects, for the first time or again, wait for the connection; 0, the
    /// default: they give INVALID_STATE.
    pub queue_sends: u32,
}

/// Fills a reconnect policy with the defaults, switched on.
///
/// Call it first, as fw_reconnect_init(&reconnect, sizeof reconnect), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// reconnect: written; NULL does nothing.
/// struct_size: sizeof(fw_reconnect), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_reconnect_init(reconnect: *mut fw_reconnect, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(reconnect, struct_size) }
}

/// Sets whether a connection that is lost, or not made, is tried again.
///
/// It is after errors that are retriable, and never after a close, an fw_socket_close or an
/// fw_socket_abort. The event reconnecting comes instead of error, with the number of the try, from 1, and
/// its delay: a random time from min_delay_ms to min_delay_ms times 2 to the power of that number, at most
/// max_delay_ms; behind the time that a Retry-After header field asks for, at most 10 minutes of it. Until
/// the next event open the state is FW_STATE_CONNECTING, and sends give INVALID_STATE or, where queue_sends
/// says so, wait for the connection, up to what fw_socket_set_max_buffered_amount allows. What was accepted
/// before the loss and not yet sent is lost with the connection. What is sent when the next one is open
/// goes there, also while the events that tell of it still wait to be polled. Each try begins
/// with the socket's own URL and settings, asks internal_request_created again and has the connect timeout
/// to itself. When the tries are used up, or an error is not retriable, error or closed comes as ever.
///
/// socket: the socket, closed.
/// reconnect: prepared with fw_reconnect_init, copied; NULL disables reconnecting, as by default.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a delay out of its range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
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
        let given = pointer(reconnect.cast_mut(), "reconnect")?;
        // SAFETY: the caller promises a struct of its struct_size.
        let given = unsafe { sized::read(given) }?;
        let milliseconds = |milliseconds: u32| Duration::from_millis(milliseconds.into());
        let reconnect = Reconnect {
            min_delay: milliseconds(given.min_delay_ms),
            max_delay: milliseconds(given.max_delay_ms),
            max_attempts: given.max_attempts,
            queue_sends: given.queue_sends != 0,
        };
        reconnect.check()?;
        socket.set_reconnect((given.enabled != 0).then_some(reconnect))
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
