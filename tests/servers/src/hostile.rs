//! A relay in front of a correct server that injects a fault into one direction, from a given byte on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use crate::echo::LOOPBACK;

/// Whose bytes get the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

/// A fault, in which direction, and from which byte on.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    pub fault: Fault,
    pub side: Side,
    pub at: usize,
}

/// What happens to the bytes from the given one on.
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

    /// Whether correct TCP may do this.
    pub fn is_harmless(self) -> bool {
        matches!(self, Fault::Split | Fault::Delay)
    }
}

/// Interval for checking whether the other direction has ended.
const LOOK: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(100);
const DRIP: Duration = Duration::from_millis(120);
/// In bytes. A client that reads all of it has no limit.
const FLOOD: usize = 64 << 20;
/// Ends a flood of which nothing was read for this long.
const TAKEN: Duration = Duration::from_secs(2);
/// Faults that move bytes need this many.
const WINDOW: usize = 16;

#[derive(Default)]
struct Carried {
    server: AtomicUsize,
    client: AtomicUsize,
}

impl Carried {
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
    carried: Arc<Carried>,
    acceptor: Option<JoinHandle<()>>,
}

impl HostileRelay {
    /// `None` injects no fault.
    pub fn start(backend: u16, injection: Option<Injection>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((LOOPBACK, 0))?;
        let port = listener.local_addr()?.port();
        let (stop, carried) = (Arc::new(AtomicBool::new(false)), Arc::new(Carried::default()));
        let (own_stop, own_carried) = (stop.clone(), carried.clone());
        let acceptor = std::thread::spawn(move || {
            let mut carriers = Vec::new();
            for (number, client) in listener.incoming().enumerate() {
                if own_stop.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect((LOOPBACK, backend))) else {
                    continue;
                };
                let injection = if number == 0 { injection } else { None };
                let carried = own_carried.clone();
                carriers.push(std::thread::spawn(move || carry(client, server, injection, &carried)));
            }
            for carrier in carriers {
                let _ = carrier.join();
            }
        });
        Ok(Self { port, stop, carried, acceptor: Some(acceptor) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many bytes this side has sent so far.
    pub fn carried(&self, side: Side) -> usize {
        self.carried.of(side).load(Ordering::SeqCst)
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
fn carry(client: TcpStream, server: TcpStream, injection: Option<Injection>, carried: &Carried) {
    let (side, listener, whose, other) = match injection {
        Some(Injection { side: Side::Client, .. }) => (&client, &server, Side::Client, Side::Server),
        _ => (&server, &client, Side::Server, Side::Client),
    };
    let _ = listener.set_nodelay(true);
    let _ = listener.set_read_timeout(Some(LOOK));
    // Set to end the relay immediately.
    let cut = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An error ends the connection.
            let _ = pass_on(listener, side, carried.of(other), &cut);
            let _ = side.shutdown(Shutdown::Both);
        });
        let injection = injection.map(|injection| (injection.fault, injection.at));
        let said = send_on(side, listener, injection, carried.of(whose), &cut);
        // The server is told when the client disconnects. A stalled client must get nothing more.
        if (said.is_err() || whose == Side::Client) && !cut.load(Ordering::SeqCst) {
            let _ = listener.shutdown(Shutdown::Write);
        }
    });
}

/// Relays the other direction unchanged.
fn pass_on(
    mut from: &TcpStream,
    mut to: &TcpStream,
    carried: &AtomicUsize,
    cut: &AtomicBool,
) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while !cut.load(Ordering::SeqCst) {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                carried.fetch_add(count, Ordering::SeqCst);
                to.write_all(&buffer[..count])?;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send_on(
    mut from: &TcpStream,
    mut to: &TcpStream,
    injection: Option<(Fault, usize)>,
    carried: &AtomicUsize,
    cut: &AtomicBool,
) -> std::io::Result<()> {
    let mut next = |most: usize| -> std::io::Result<Vec<u8>> {
        let mut buffer = vec![0; most];
        let count = from.read(&mut buffer)?;
        buffer.truncate(count);
        carried.fetch_add(count, Ordering::SeqCst);
        Ok(buffer)
    };
    let Some((fault, at)) = injection else {
        loop {
            let bytes = next(4096)?;
            if bytes.is_empty() {
                return to.shutdown(Shutdown::Write);
            }
            to.write_all(&bytes)?;
        }
    };
    let mut left = at;
    while left > 0 {
        let bytes = next(left.min(4096))?;
        if bytes.is_empty() {
            return to.shutdown(Shutdown::Write);
        }
        left -= bytes.len();
        to.write_all(&bytes)?;
    }
    match fault {
        Fault::Split | Fault::Drip => {}
        Fault::Delay => std::thread::sleep(LATE),
        Fault::Finish => return to.shutdown(Shutdown::Write),
        Fault::Reset => {
            SockRef::from(to).set_linger(Some(Duration::ZERO))?;
            cut.store(true, Ordering::SeqCst);
            return Ok(());
        }
        Fault::Stall => {
            while !next(4096)?.is_empty() {}
            return Ok(());
        }
        Fault::Flip => {
            let mut byte = next(1)?;
            byte.iter_mut().for_each(|byte| *byte ^= 1 << (at % 8));
            to.write_all(&byte)?;
        }
        Fault::Drop => drop(next(1)?),
        Fault::Insert => to.write_all(&[0x5A; WINDOW])?,
        Fault::Swap | Fault::Repeat | Fault::Flood => {
            let window = next(WINDOW)?;
            let (first, second) = window.split_at(window.len() / 2);
            match fault {
                Fault::Swap => to.write_all(&[second, first].concat())?,
                Fault::Repeat => to.write_all(&[first, first, second].concat())?,
                _ if window.is_empty() => return to.shutdown(Shutdown::Write),
                _ => {
                    let many = window.repeat(256);
                    to.set_write_timeout(Some(TAKEN))?;
                    (0..FLOOD / many.len()).try_for_each(|_| to.write_all(&many))?;
                    return to.shutdown(Shutdown::Write);
                }
            }
        }
    }
    loop {
        let (most, pause) = match fault {
            Fault::Split => (1, None),
            Fault::Drip => (1, Some(DRIP)),
            _ => (4096, None),
        };
        let bytes = next(most)?;
        if bytes.is_empty() {
            return to.shutdown(Shutdown::Write);
        }
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
        to.write_all(&bytes)?;
    }
}
