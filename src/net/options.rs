//! Socket options and calls, and everything about sockets that differs from platform to platform.

use std::io::{self, IoSlice, IoSliceMut, Read as _};

use mio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

use crate::limits;
use crate::logging::{self, LogLevel};

/// Where readiness comes from epoll, a read that returns less than was asked for has emptied the
/// socket: new bytes cause a new edge (epoll(7), question 9). That holds for bytes only: an end
/// that came together with them was announced by the same edge. The others promise a new edge only
/// after a read that would block.
pub const SHORT_READ_MEANS_DRAINED: bool = EDGES_COME_UNASKED;

/// Whether new bytes cause a new edge where nothing was read before.
pub const EDGES_COME_UNASKED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Sets what every connection gets; [`without_delay`] was set as it began. An option that the system
/// refuses is logged and left alone: a connection without it still works.
pub fn apply(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    tolerate("SO_KEEPALIVE", socket.set_tcp_keepalive(&keepalive()));
    // Elsewhere the keep-alive and the engine's own write-stall deadline do the same work.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    tolerate("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(Some(limits::WRITE_STALL_TIMEOUT)));
}

/// Small messages leave at once, the upgrade request too.
pub fn without_delay(stream: &TcpStream) {
    tolerate("TCP_NODELAY", stream.set_nodelay(true));
}

/// One vectored write that never raises SIGPIPE. The standard library's does (it is `writev`), and
/// the host of a C library need not ignore that signal, which would end the game.
pub fn send_vectored(stream: &TcpStream, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    // Linux refuses more than 1024 in one call (UIO_MAXIOV); beyond 64 nothing is gained.
    const MAX_BUFFERS: usize = 64;
    #[cfg(all(unix, not(target_vendor = "apple")))]
    const FLAGS: i32 = libc::MSG_NOSIGNAL;
    // Apple has SO_NOSIGPIPE, which mio sets on every socket. Windows has no such signal.
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    const FLAGS: i32 = 0;
    let buffers = &buffers[..buffers.len().min(MAX_BUFFERS)];
    // Through `try_io`, because mio must hear of a write that would block where it has to rearm.
    uninterrupted(|| stream.try_io(|| SockRef::from(stream).send_vectored_with_flags(buffers, FLAGS)))
}

pub fn receive_vectored(mut stream: &TcpStream, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    uninterrupted(|| stream.read_vectored(buffers))
}

pub fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| stream.read(buffer))
}

/// Whether `error`, from asking for the peer's address, only says that there is none yet.
pub fn is_connecting(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::NotConnected
}

fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result,
        }
    }
}

fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(limits::KEEPALIVE_IDLE);
    #[cfg(not(target_os = "openbsd"))]
    let keepalive =
        keepalive.with_interval(limits::KEEPALIVE_INTERVAL).with_retries(limits::KEEPALIVE_PROBES);
    keepalive
}

fn tolerate(option: &str, result: io::Result<()>) {
    if let Err(error) = result {
        logging::note(LogLevel::Debug, format_args!("the system refuses {option}: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        (TcpStream::from_std(ours), listener.accept().unwrap().0)
    }

    #[test]
    fn a_dead_peer_is_noticed_without_pings() {
        let (stream, _peer) = pair();
        without_delay(&stream);
        apply(&stream);
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), limits::KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), limits::KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), limits::KEEPALIVE_PROBES);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limits::WRITE_STALL_TIMEOUT));
    }

    #[test]
    fn more_buffers_than_the_system_takes_are_a_short_write() {
        let (stream, _peer) = pair();
        let buffers = vec![IoSlice::new(b"x"); 5000];
        let written = send_vectored(&stream, &buffers).unwrap();
        assert!((1..5000).contains(&written));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_write_to_a_closed_connection_raises_no_signal() {
        let (stream, peer) = pair();
        drop(peer);
        let error = loop {
            if let Err(error) = with_sigpipe_blocked(|| send_vectored(&stream, &[IoSlice::new(b"x")])) {
                break error;
            }
        };
        assert!(
            matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset),
            "{error}"
        );
        // The control: what the standard library does instead is seen by the same check.
        let raised = std::panic::catch_unwind(|| {
            with_sigpipe_blocked(|| io::Write::write_vectored(&mut &stream, &[IoSlice::new(b"x")]))
        });
        assert!(raised.is_err(), "the check is able to see a SIGPIPE");
    }

    /// Runs `body` and panics when it raised SIGPIPE on this thread.
    #[cfg(target_os = "linux")]
    fn with_sigpipe_blocked<T>(body: impl FnOnce() -> T) -> T {
        // SAFETY: all zero is a valid value of `sigset_t` and `timespec`; the calls get pointers to
        // live locals, and change the mask of this thread only, which ends with the test.
        let (result, raised) = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGPIPE);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            let result = body();
            let at_once: libc::timespec = std::mem::zeroed();
            (result, libc::sigtimedwait(&set, std::ptr::null_mut(), &at_once) == libc::SIGPIPE)
        };
        assert!(!raised, "SIGPIPE was raised");
        result
    }
}
