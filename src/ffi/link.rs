//! A simulated network link.

use std::mem::MaybeUninit;
use std::time::Duration;

use super::args::{Enumeration, number, pointer};
use super::guard::guard;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use crate::client::{self, LinkConditions, LinkCut};
use crate::error::CallError;

/// How a simulated link fails, for fw_link.
///
/// Errors have the kind that the real failure causes. New values may be added.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_link_cut {
    /// The link works.
    FW_LINK_CUT_NONE = 0,
    /// Nothing moves in either direction, until the conditions change; the TCP connection stays. New
    /// connections are not established meanwhile.
    FW_LINK_CUT_STALL = 1,
    /// What is written is lost, and nothing is received, as if the network path had disappeared. The
    /// timeouts of the library end the connection, or the simulated timeout of the operating system after
    /// 20 to 30 seconds. An open connection stays half-open, whatever the conditions change to. New
    /// connections are not established meanwhile.
    FW_LINK_CUT_HALF_OPEN = 2,
    /// Open connections are reset, and so is each new one as soon as it is established:
    /// FW_ERROR_KIND_RESET.
    FW_LINK_CUT_RESET = 3,
    /// Open connections end without a closing handshake, and so does each new one as soon as it is
    /// established: FW_ERROR_KIND_RESET.
    FW_LINK_CUT_END = 4,
    /// New connections are refused: FW_ERROR_KIND_REFUSED. Open ones are not affected.
    FW_LINK_CUT_REFUSE = 5,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_link_cut {}

/// The conditions of a simulated network link, for fw_socket_set_link.
///
/// Initialize it with fw_link_init. "Out" is from this side to the server, "in" from the server to this
/// side. 0 is the default everywhere: no delay, no limit.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_link {
    /// sizeof(fw_link), set by fw_link_init.
    pub struct_size: u32,
    /// Any number. Links with equal seeds and conditions delay bytes equally at equal times after the
    /// connection was established.
    pub seed: u32,
    /// The one-way delay in milliseconds, at most 60000.
    pub out_delay_ms: u32,
    /// The one-way delay in milliseconds, at most 60000.
    pub in_delay_ms: u32,
    /// The mean of a random additional delay in milliseconds, at most 60000: exponentially distributed,
    /// chosen anew every 20 ms. Bytes keep their order, so those behind a delayed byte wait for it.
    pub out_jitter_ms: u32,
    /// The same for the other direction.
    pub in_jitter_ms: u32,
    /// The longest additional delay in milliseconds, at most 60000; 0 for ten times the mean.
    pub jitter_max_ms: u32,
    /// The data rate in bytes per second (a token bucket).
    pub out_bytes_per_s: u32,
    /// The data rate in bytes per second (a token bucket).
    pub in_bytes_per_s: u32,
    /// The size of the token bucket in bytes: how much may exceed the rate at once, after a pause. 0 for
    /// the bytes of 10 ms at the rate.
    pub burst_bytes: u32,
    /// The interval between stalls in milliseconds, at most 3600000: at each multiple of it after the
    /// connection was established, nothing moves for stall_ms.
    pub stall_every_ms: u32,
    /// The length of a stall in milliseconds, less than stall_every_ms; 0 for no stalls.
    pub stall_ms: u32,
    /// FW_LINK_CUT_NONE (the default), or how the link fails.
    pub cut: MaybeUninit<fw_link_cut>,
}

sized!(
    fw_link {
        struct_size,
        seed,
        out_delay_ms,
        in_delay_ms,
        out_jitter_ms,
        in_jitter_ms,
        jitter_max_ms,
        out_bytes_per_s,
        in_bytes_per_s,
        burst_bytes,
        stall_every_ms,
        stall_ms,
        cut,
    },
    fw_link {
        struct_size: size_of::<fw_link>() as u32,
        seed: 0,
        out_delay_ms: 0,
        in_delay_ms: 0,
        out_jitter_ms: 0,
        in_jitter_ms: 0,
        jitter_max_ms: 0,
        out_bytes_per_s: 0,
        in_bytes_per_s: 0,
        burst_bytes: 0,
        stall_every_ms: 0,
        stall_ms: 0,
        cut: MaybeUninit::new(fw_link_cut::FW_LINK_CUT_NONE),
    }
);

/// Initializes the conditions of a link with the defaults: a perfect link.
///
/// \param link Written to; NULL does nothing.
/// \param struct_size sizeof(fw_link).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_link_init(link: *mut fw_link, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(link, struct_size) }
}

/// Simulates a bad network: delay, jitter, a limited data rate, stalls and failures.
///
/// The link is between TCP and TLS, so it delays dialling and handshakes too. It keeps the order of the
/// bytes, holds at most 4 MiB in each direction, and then stops reading or accepting. Takes effect at any
/// time; bytes in flight keep their time of arrival. A socket without a link has no overhead.
///
/// Over HTTP/2 a socket with a link has a connection of its own. If it shares one already, the link
/// applies to its next connection.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_LINK).
///
/// \param socket The socket, in any state; the zero handle for every socket, those that exist and those
///   that are created until fw_shutdown.
/// \param link Initialized with fw_link_init, copied; NULL disables the link (the default).
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a value out of range); NOT_SUPPORTED (in
///   browsers, or a field is set that only a newer library knows).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_link(socket: fw_socket, link: *const fw_link) -> fw_result {
    guard(|| {
        let socket = match socket.id {
            0 => None,
            _ => Some(socket.get()?),
        };
        let conditions = if link.is_null() {
            None
        } else {
            let link = pointer(link.cast_mut(), "link")?;
            // SAFETY: the caller promises a struct of its struct_size.
            Some(conditions(&unsafe { sized::read(link) }?)?)
        };
        match socket {
            Some(socket) => socket.set_link(conditions),
            None => client::set_link(conditions),
        }
    })
}

fn conditions(link: &fw_link) -> Result<LinkConditions, CallError> {
    let milliseconds = |count: u32| Duration::from_millis(count.into());
    let cut = match number(link.cut) {
        0 => LinkCut::None,
        1 => LinkCut::Stall,
        2 => LinkCut::HalfOpen,
        3 => LinkCut::Reset,
        4 => LinkCut::End,
        5 => LinkCut::Refuse,
        other => return Err(CallError::argument(format!("{other} is not a value of fw_link_cut"))),
    };
    Ok(LinkConditions {
        seed: link.seed,
        out_delay: milliseconds(link.out_delay_ms),
        in_delay: milliseconds(link.in_delay_ms),
        out_jitter: milliseconds(link.out_jitter_ms),
        in_jitter: milliseconds(link.in_jitter_ms),
        jitter_max: milliseconds(link.jitter_max_ms),
        out_bytes_per_second: link.out_bytes_per_s,
        in_bytes_per_second: link.in_bytes_per_s,
        burst_bytes: link.burst_bytes,
        stall_every: milliseconds(link.stall_every_ms),
        stall: milliseconds(link.stall_ms),
        cut,
    })
}
