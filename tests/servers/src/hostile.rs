//! A relay in front of a correct server that injects a fault into one direction, from a given byte on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use crate::echo::LOOPBACK;

/// The sender whose bytes are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

/// A fault, its direction, and the offset of the first byte that it affects.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    pub fault: Fault,
    pub side: Side,
    pub at: usize,
}

/// What happens to the bytes from the given offset on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They arrive one at a time.
    Split,
    /// They arrive late.
    Delay,
    /// They end with a FIN.
    Finish,
    /// They end with a RST.
    Reset,
    /// They stop; the connection stays open.
    Stall,
    /// They arrive so slowly that they never end.
    Drip,
    /// Eight of them are swapped with the next eight.
    Swap,
    /// One bit is flipped.
    Flip,
    /// One byte is missing.
    Drop,
    /// Eight of them arrive twice.
    Repeat,
    /// Sixteen other bytes are inserted.
    Insert,
    /// Sixteen of them are repeated millions of times, as fast as they are read.
    Flood,
}

impl Fault {
    pub const ALL: [Fault; 12] = [
        Fault::Split,
        Fault::Delay,
        Fault::Finish,
        Fault::Reset,
        Fault::Stall,
        Fault::Drip,
        Fault::Swap,
        Fault::Flip,
        Fault::Drop,
        Fault::Repeat,
        Fault::Insert,
        Fault::Flood,
    ];

    /// Whether a working TCP connection may do this.
    pub fn is_harmless(self) -> bool {
        matches!(self, Fault::Split | Fault::Delay)
    }
}

/// Interval for checking whether the other direction has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const DELAY: Duration = Duration::from_millis(100);
const DRIP_INTERVAL: Duration = Duration::from_millis(120);
/// In bytes. A client that reads all of it enforces no limit.
const FLOOD_BYTES: usize = 64 << 20;
/// Ends a flood of which nothing was read for this long.
const FLOOD_TIMEOUT: Duration = Duration::from_secs(2);
/// Faults that move bytes need this many.
const WINDOW: usize = 16;

#[derive(Default)]
struct Relayed {
    server: AtomicUsize,
    client: AtomicUsize,
}

impl Relayed {
    fn of(&self, side: Side) -> &AtomicUsize {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }
}

/// A relay in front of a local port. Only the first connection gets the fault.
pub struct HostileRelay {
    port: u16,
    stop: Arc<AtomicBool>,
    relayed: Arc<Relayed>,
    acceptor: Option<JoinHandle<()>>,
}

impl HostileRelay {
    /// `None` injects no fault.
    pub fn start(backend: u16, injection: Option<Injection>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((LOOPBACK, 0))?;
        let port = listener.local_addr()?.port();
        let (stop, relayed) = (Arc::new(AtomicBool::new(false)), Arc::new(Relayed::default()));
        let (acceptor_stop, acceptor_relayed) = (stop.clone(), relayed.clone());
        let acceptor = std::thread::spawn(move || {
            let mut relays = Vec::new();
            for (number, client) in listener.incoming().enumerate() {
                if acceptor_stop.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect((LOOPBACK, backend))) else {
                    continue;
                };
                let injection = if number == 0 { injection } else { None };
                let relayed = acceptor_relayed.clone();
                relays
                    .push(std::thread::spawn(move || relay_connection(client, server, injection, &relayed)));
            }
            for relay in relays {
                let _ = relay.join();
            }
        });
        Ok(Self { port, stop, relayed, acceptor: Some(acceptor) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of bytes that this side has sent.
    pub fn relayed_bytes(&self, side: Side) -> usize {
        self.relayed.of(side).load(Ordering::SeqCst)
    }
}

impl Drop for HostileRelay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((LOOPBACK, self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Relays until both sides have ended.
fn relay_connection(client: TcpStream, server: TcpStream, injection: Option<Injection>, relayed: &Relayed) {
    let (source, sink, source_side, sink_side) = match injection {
        Some(Injection { side: Side::Client, .. }) => (&client, &server, Side::Client, Side::Server),
        _ => (&server, &client, Side::Server, Side::Client),
    };
    let _ = sink.set_nodelay(true);
    let _ = sink.set_read_timeout(Some(POLL_INTERVAL));
    // Set to end the relay immediately.
    let cut = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An error ends the connection.
            let _ = relay_unchanged(sink, source, relayed.of(sink_side), &cut);
            let _ = source.shutdown(Shutdown::Both);
        });
        let injection = injection.map(|injection| (injection.fault, injection.at));
        let result = relay_with_fault(source, sink, injection, relayed.of(source_side), &cut);
        // Forwards a disconnect of the client to the server. A stalled client must not receive a FIN.
        if (result.is_err() || source_side == Side::Client) && !cut.load(Ordering::SeqCst) {
            let _ = sink.shutdown(Shutdown::Write);
        }
    });
}

/// Relays the other direction unchanged.
fn relay_unchanged(
    mut from: &TcpStream,
    mut to: &TcpStream,
    relayed: &AtomicUsize,
    cut: &AtomicBool,
) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while !cut.load(Ordering::SeqCst) {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                relayed.fetch_add(count, Ordering::SeqCst);
                to.write_all(&buffer[..count])?;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Relays one direction and injects the fault, if any.
fn relay_with_fault(
    mut from: &TcpStream,
    mut to: &TcpStream,
    injection: Option<(Fault, usize)>,
    relayed: &AtomicUsize,
    cut: &AtomicBool,
) -> std::io::Result<()> {
    let mut read = |max: usize| -> std::io::Result<Vec<u8>> {
        let mut buffer = vec![0; max];
        let count = from.read(&mut buffer)?;
        buffer.truncate(count);
        relayed.fetch_add(count, Ordering::SeqCst);
        Ok(buffer)
    };
    let Some((fault, at)) = injection else {
        loop {
            let bytes = read(4096)?;
            if bytes.is_empty() {
                return to.shutdown(Shutdown::Write);
            }
            to.write_all(&bytes)?;
        }
    };
    let mut left = at;
    while left > 0 {
        let bytes = read(left.min(4096))?;
        if bytes.is_empty() {
            return to.shutdown(Shutdown::Write);
        }
        left -= bytes.len();
        to.write_all(&bytes)?;
    }
    match fault {
        Fault::Split | Fault::Drip => {}
        Fault::Delay => std::thread::sleep(DELAY),
        Fault::Finish => return to.shutdown(Shutdown::Write),
        Fault::Reset => {
            SockRef::from(to).set_linger(Some(Duration::ZERO))?;
            cut.store(true, Ordering::SeqCst);
            return Ok(());
        }
        Fault::Stall => {
            while !read(4096)?.is_empty() {}
            return Ok(());
        }
        Fault::Flip => {
            let mut byte = read(1)?;
            byte.iter_mut().for_each(|byte| *byte ^= 1 << (at % 8));
            to.write_all(&byte)?;
        }
        Fault::Drop => drop(read(1)?),
        Fault::Insert => to.write_all(&[0x5A; WINDOW])?,
        Fault::Swap | Fault::Repeat | Fault::Flood => {
            let window = read(WINDOW)?;
            let (first, second) = window.split_at(window.len() / 2);
            match fault {
                Fault::Swap => to.write_all(&[second, first].concat())?,
                Fault::Repeat => to.write_all(&[first, first, second].concat())?,
                _ if window.is_empty() => return to.shutdown(Shutdown::Write),
                _ => {
                    let chunk = window.repeat(256);
                    to.set_write_timeout(Some(FLOOD_TIMEOUT))?;
                    (0..FLOOD_BYTES / chunk.len()).try_for_each(|_| to.write_all(&chunk))?;
                    return to.shutdown(Shutdown::Write);
                }
            }
        }
    }
    loop {
        let (max, pause) = match fault {
            Fault::Split => (1, None),
            Fault::Drip => (1, Some(DRIP_INTERVAL)),
            _ => (4096, None),
        };
        let bytes = read(max)?;
        if bytes.is_empty() {
            return to.shutdown(Shutdown::Write);
        }
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
        to.write_all(&bytes)?;
    }
}
