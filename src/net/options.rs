//! Socket options, and what differs in them from platform to platform.

use std::io;

use mio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

use crate::limits;

/// On Linux a read that brings less than was asked for has emptied the socket, and readiness will
/// be reported anew (epoll(7), on edge triggering). Elsewhere readiness is only armed again by a
/// read that would block.
pub const SHORT_READ_MEANS_DRAINED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// What every connection gets. All options are tried; the first failure is returned.
pub fn apply(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    // Games send small messages and want them out now.
    let nodelay = socket.set_tcp_nodelay(true);
    // A peer that vanished while nothing is sent is noticed by the system's own questions…
    let keepalive =
        TcpKeepalive::new().with_time(limits::KEEPALIVE_IDLE).with_interval(limits::KEEPALIVE_INTERVAL);
    #[cfg(not(target_os = "openbsd"))]
    let keepalive = keepalive.with_retries(limits::KEEPALIVE_PROBES);
    let keepalive = socket.set_tcp_keepalive(&keepalive);
    // …and one that vanished while something is sent by what it leaves unanswered.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let unanswered = socket.set_tcp_user_timeout(Some(limits::WRITE_STALL_TIMEOUT));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let unanswered = Ok(());
    nodelay.and(keepalive).and(unanswered)
}
