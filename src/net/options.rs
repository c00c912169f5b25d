//! Socket options and calls, including everything that differs between platforms.

use std::io::{self, IoSlice, IoSliceMut, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

use crate::limits;
use crate::logging::{self, LogLevel};

/// Whether a short read means that the socket is drained. With epoll it does: new data causes a new event
/// (epoll(7), question 9), but the end of stream may be part of the same event. Other systems guarantee a new
/// event only after a read that would block.
pub const SHORT_READ_MEANS_DRAINED: bool = NEW_DATA_MAKES_EVENT;

/// Whether new data causes a new event even if earlier data was not read.
pub const NEW_DATA_MAKES_EVENT: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Sets the options of a connection; [`without_delay`] is called earlier. Logs and ignores failures, as a
/// connection works without them.
pub fn apply(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    tolerate("SO_KEEPALIVE", socket.set_tcp_keepalive(&keepalive()));
    // Elsewhere keepalive and the engine's write-stall timeout serve the same purpose.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    tolerate("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(Some(limits::WRITE_STALL_TIMEOUT)));
}

/// Returns the number of the device's user that the app belongs to: 0 is the owner. AID_USER_OFFSET of Android:
/// each user has 100,000 user IDs of the kernel.
#[cfg(target_os = "android")]
pub fn android_user() -> u32 {
    // SAFETY: it has no preconditions and cannot fail.
    unsafe { libc::getuid() / 100_000 }
}

/// Disables Nagle's algorithm, also for the upgrade request.
pub fn without_delay(stream: &TcpStream) {
    tolerate("TCP_NODELAY", stream.set_nodelay(true));
}

/// Lets the kernel accept only as much as keeps less than [`LANE_AHEAD`](limits::LANE_AHEAD) bytes unsent
/// (`TCP_NOTSENT_LOWAT`). Linux limits what `send` accepts; Apple's systems only when they report the socket as
/// writable. Other systems have no such option: they keep up to the size of their send buffer.
pub fn limit_unsent(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    tolerate("TCP_NOTSENT_LOWAT", SockRef::from(stream).set_tcp_notsent_lowat(limits::LANE_AHEAD as u32));
    #[cfg(target_vendor = "apple")]
    tolerate("TCP_NOTSENT_LOWAT", apple::set_notsent_lowat(stream, limits::LANE_AHEAD));
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    tolerate("SO_SNDBUF", SockRef::from(stream).set_send_buffer_size(limits::LANE_AHEAD));
}

/// Writes once from several buffers, without raising SIGPIPE. `writev`, which the standard library uses,
/// raises it, and the host of a C library may not ignore that signal.
pub fn send_vectored(stream: &TcpStream, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    // Linux rejects more than 1024 in one call (UIO_MAXIOV); more than 64 bring no gain.
    const MAX_BUFFERS: usize = 64;
    #[cfg(all(unix, not(target_vendor = "apple")))]
    const FLAGS: i32 = libc::MSG_NOSIGNAL;
    // Apple has SO_NOSIGPIPE, which mio sets on every socket. Windows has no such signal.
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    const FLAGS: i32 = 0;
    let buffers = &buffers[..buffers.len().min(MAX_BUFFERS)];
    // `try_io` lets mio rearm the socket after a write that would block.
    uninterrupted(|| stream.try_io(|| SockRef::from(stream).send_vectored_with_flags(buffers, FLAGS)))
}

pub fn receive_vectored(mut stream: &TcpStream, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    uninterrupted(|| stream.read_vectored(buffers))
}

pub fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| stream.read(buffer))
}

/// Returns the local address that a new connection to `peer` would have. An error means that there is no route
/// to it. Sends nothing.
pub fn source_address(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = UdpSocket::bind((any, 0))?;
    probe.connect(peer)?;
    Ok(probe.local_addr()?.ip())
}

/// Makes the system reset the connection when the socket is closed.
pub fn reset_on_close(stream: &TcpStream) {
    tolerate("SO_LINGER", SockRef::from(stream).set_linger(Some(Duration::ZERO)));
}

/// Returns the error of the system for a connection that was refused.
pub fn refused() -> io::Error {
    #[cfg(unix)]
    let code = libc::ECONNREFUSED;
    #[cfg(windows)]
    let code = 10_061; // WSAECONNREFUSED
    io::Error::from_raw_os_error(code)
}

/// Returns the error of the system for a connection that was reset.
pub fn reset() -> io::Error {
    #[cfg(unix)]
    let code = libc::ECONNRESET;
    #[cfg(windows)]
    let code = 10_054; // WSAECONNRESET
    io::Error::from_raw_os_error(code)
}

/// Returns the error of the system for a connection whose peer does not respond.
pub fn timed_out() -> io::Error {
    #[cfg(unix)]
    let code = libc::ETIMEDOUT;
    #[cfg(windows)]
    let code = 10_060; // WSAETIMEDOUT
    io::Error::from_raw_os_error(code)
}

/// Returns whether `error`, from `peer_addr`, means that the connection is not established yet.
pub fn is_connecting(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::NotConnected
}

/// Returns whether the process, or the system, has no file descriptor left.
pub fn lacks_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    let codes = [libc::EMFILE, libc::ENFILE];
    #[cfg(windows)]
    let codes = [10_024]; // WSAEMFILE
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
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

#[cfg(target_vendor = "apple")]
#[allow(unsafe_code)]
mod apple {
    use std::io;
    use std::os::fd::AsRawFd;

    use mio::net::TcpStream;

    /// From `netinet/tcp.h`; libc does not name it.
    const TCP_NOTSENT_LOWAT: libc::c_int = 0x201;

    pub fn set_notsent_lowat(stream: &TcpStream, bytes: usize) -> io::Result<()> {
        let bytes = bytes as libc::c_int;
        // SAFETY: the value is an int, and its size is that of one.
        let result = unsafe {
            libc::setsockopt(
                stream.as_raw_fd(),
                libc::IPPROTO_TCP,
                TCP_NOTSENT_LOWAT,
                (&raw const bytes).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn tolerate(option: &str, result: io::Result<()>) {
    if let Err(error) = result {
        logging::note(LogLevel::Debug, format_args!("cannot set {option}: {error}"));
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
    fn keepalive_options_are_set() {
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
    fn too_many_buffers_cause_short_write() {
        let (stream, _peer) = pair();
        let buffers = vec![IoSlice::new(b"x"); 5000];
        let written = send_vectored(&stream, &buffers).unwrap();
        assert!((1..5000).contains(&written));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn write_to_closed_connection_raises_no_signal() {
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
        // Cross-check: the standard library raises the signal.
        let raised = std::panic::catch_unwind(|| {
            with_sigpipe_blocked(|| io::Write::write_vectored(&mut &stream, &[IoSlice::new(b"x")]))
        });
        assert!(raised.is_err(), "the check detects SIGPIPE");
    }

    /// Runs `body` and panics if it raised SIGPIPE on this thread.
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
