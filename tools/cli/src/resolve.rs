//! `--resolve`: addresses for a host that are used instead of DNS.
//!
//! The library connects through a tunnel in this process, an HTTP proxy on a loopback address that dials the
//! given addresses. So everything above TCP is as it would be with DNS: the Host field, SNI, the certificate.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use framewire::{Error, ErrorKind, Phase};

/// The head of a CONNECT request.
const MAX_HEAD: usize = 8 << 10;
/// The time between the starts of two attempts (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
const DIAL_TIMEOUT: Duration = Duration::from_secs(20);

/// The status of the tunnel's answer if it could not connect.
const REFUSAL: u16 = 502;

/// Addresses of a host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub host: String,
    pub port: u16,
    pub addresses: Vec<IpAddr>,
}

/// Parses `HOST:PORT:ADDRESS[,ADDRESS]`; an IPv6 address may be in brackets.
pub fn parse_override(text: &str) -> Result<Override, String> {
    let mut parts = text.splitn(3, ':');
    let (Some(host), Some(port), Some(addresses)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it must be HOST:PORT:ADDRESS[,ADDRESS]".to_owned());
    };
    let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
    let address = |text: &str| {
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        bare.parse().map_err(|_| format!("`{text}` is no IP address"))
    };
    let addresses = addresses.split(',').map(address).collect::<Result<_, _>>()?;
    Ok(Override { host: host.to_owned(), port, addresses })
}

/// Returns the addresses that are given for a host and port.
pub fn find(overrides: &[Override], host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    let found = overrides.iter().find(|given| given.port == port && given.host.eq_ignore_ascii_case(host))?;
    Some(found.addresses.iter().map(|address| SocketAddr::new(*address, port)).collect())
}

/// Dials addresses, each a little later than the one before, and returns the first connection.
pub fn dial(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    let (sender, connections) = mpsc::channel();
    let mut last = std::io::Error::other("the host has no address");
    let mut pending = 0;
    for address in addresses {
        let (sender, address) = (sender.clone(), *address);
        thread::spawn(move || {
            let _ = sender.send(TcpStream::connect_timeout(&address, DIAL_TIMEOUT));
        });
        pending += 1;
        match connections.recv_timeout(ATTEMPT_DELAY) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                pending -= 1;
                last = error;
            }
            Err(_) => {}
        }
    }
    while pending > 0 {
        match connections.recv() {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => break,
        }
        pending -= 1;
    }
    Err(last)
}

/// Why the tunnel could not connect, which the library only knows as an answer of a proxy.
#[derive(Clone, Debug, Default)]
pub struct DialFailure(Arc<Mutex<Option<Dial>>>);

#[derive(Debug)]
struct Dial {
    /// The host and its addresses.
    to: String,
    has_addresses: bool,
    error: std::io::Error,
}

impl DialFailure {
    /// Replaces the answer of the tunnel by what happened.
    pub fn explain(&self, error: &mut Error) {
        if error.phase != Phase::Proxy || error.http_status != REFUSAL {
            return;
        }
        // That of the last attempt, which may be a later one to the same addresses.
        let failure = self.lock();
        let Some(dial) = failure.as_ref() else { return };
        error.kind = match dial.error.kind() {
            _ if !dial.has_addresses => ErrorKind::Resolve,
            std::io::ErrorKind::ConnectionRefused => ErrorKind::Refused,
            std::io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
                ErrorKind::Unreachable
            }
            _ => ErrorKind::Io,
        };
        error.phase = if dial.has_addresses { Phase::Connect } else { Phase::Resolve };
        error.os_code = dial.error.raw_os_error().unwrap_or(0);
        error.http_status = 0;
        error.message = format!("could not connect: {} ({})", dial.to, dial.error);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Dial>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running tunnel. Dropping it accepts no further connections.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    failure: DialFailure,
}

impl Tunnel {
    pub fn start(overrides: &[Override]) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (overrides, own) = (Arc::new(overrides.to_vec()), stop.clone());
        let failure = DialFailure::default();
        let own_failure = failure.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if own.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let (overrides, failure) = (overrides.clone(), own_failure.clone());
                // A tunnel that fails ends its connection, which the library reports.
                thread::spawn(move || serve(client, &overrides, &failure));
            }
        });
        Ok(Self { address, stop, failure })
    }

    /// Returns what explains the errors of connections through this tunnel.
    pub fn failure(&self) -> DialFailure {
        self.failure.clone()
    }

    /// Returns the URL of the proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect_timeout(&self.address, ATTEMPT_DELAY);
    }
}

fn serve(mut client: TcpStream, overrides: &[Override], failure: &DialFailure) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if head.len() >= MAX_HEAD || client.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let Some((host, port)) = target.and_then(|target| target.rsplit_once(':')) else {
        return client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = match port.parse().ok().and_then(|port| find(overrides, host, port)) {
        Some(addresses) => addresses,
        None => match port.parse().map(|port: u16| std::net::ToSocketAddrs::to_socket_addrs(&(host, port))) {
            Ok(Ok(addresses)) => addresses.collect(),
            _ => Vec::new(),
        },
    };
    let server = match dial(&addresses) {
        Ok(server) => server,
        Err(error) => {
            let status = format!("HTTP/1.1 {REFUSAL} {error}\r\nContent-Length: 0\r\n\r\n");
            let shown: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
            let to = if shown.is_empty() { format!("{host}:{port}") } else { shown.join(", ") };
            *failure.lock() = Some(Dial { to, has_addresses: !shown.is_empty(), error });
            return client.write_all(status.as_bytes());
        }
    };
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || copy(from_client, to_server));
    copy(server, client);
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let copied = std::io::copy(&mut from, &mut to);
    let how = if copied.is_ok() { Shutdown::Write } else { Shutdown::Both };
    let _ = to.shutdown(how);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_name_host_port_and_addresses() {
        let parsed = parse_override("example.org:443:[2001:db8::1],192.0.2.1").unwrap();
        assert_eq!(parsed.addresses.len(), 2);
        let found = find(&[parsed], "EXAMPLE.org", 443).unwrap();
        assert_eq!(found[1].to_string(), "192.0.2.1:443");
        for bad in ["", "host", "host:443", "host:x:192.0.2.1", "host:443:", "host:443:name"] {
            assert!(parse_override(bad).is_err(), "{bad}");
        }
    }
}
