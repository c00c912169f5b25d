//! A relay in front of an honest server that does something to what the server says, from a byte on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use crate::echo::LOOPBACK;

/// What befalls the server's bytes from the one at the chosen place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They come one at a time, all of them.
    Split,
    /// They come late.
    Delay,
    /// They end, by TCP's FIN.
    Finish,
    /// They end, by TCP's RST.
    Reset,
    /// They stop, and the connection stays.
    Stall,
    /// From there on they come so slowly that they never end.
    Drip,
    /// Eight of them change places with the eight behind them.
    Swap,
    /// A bit of one is wrong.
    Flip,
    /// One is missing.
    Drop,
    /// Eight of them come twice.
    Repeat,
    /// Sixteen others come in between.
    Insert,
    /// Sixteen of them come again and again, as fast as they are taken.
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

    /// TCP may do that to anybody.
    pub fn is_harmless(self) -> bool {
        matches!(self, Fault::Split | Fault::Delay)
    }
}

/// How often it is looked whether the other direction has ended.
const LOOK: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(100);
const DRIP: Duration = Duration::from_millis(120);
/// Faults that shuffle bytes need as many as this.
const WINDOW: usize = 16;

/// Stands in front of a port of this machine. Only the first connection is harmed.
pub struct HostileRelay {
    port: u16,
    stop: Arc<AtomicBool>,
    carried: Arc<AtomicUsize>,
    acceptor: Option<JoinHandle<()>>,
}

impl HostileRelay {
    /// `at` counts the server's bytes; None harms nothing.
    pub fn start(backend: u16, harm: Option<(Fault, usize)>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((LOOPBACK, 0))?;
        let port = listener.local_addr()?.port();
        let (stop, carried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
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
                let harm = if number == 0 { harm } else { None };
                let carried = own_carried.clone();
                carriers.push(std::thread::spawn(move || carry(client, server, harm, &carried)));
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

    /// The server's bytes so far.
    pub fn carried(&self) -> usize {
        self.carried.load(Ordering::SeqCst)
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

/// What the two directions of a connection know of each other.
#[derive(Default)]
struct Between {
    /// The client has ended.
    gone: AtomicBool,
    /// The client is to be let go at once.
    cut: AtomicBool,
}

/// Until both have ended.
fn carry(client: TcpStream, server: TcpStream, harm: Option<(Fault, usize)>, carried: &AtomicUsize) {
    let _ = client.set_nodelay(true);
    let _ = client.set_read_timeout(Some(LOOK));
    let between = Between::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An error is an end.
            let _ = pass_on(&client, &server, &between.cut);
            between.gone.store(true, Ordering::SeqCst);
            let _ = server.shutdown(Shutdown::Both);
        });
        let _ = send_on(&server, &client, harm, carried, &between);
    });
}

/// What the client says, as it is.
fn pass_on(mut from: &TcpStream, mut to: &TcpStream, cut: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while !cut.load(Ordering::SeqCst) {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send_on(
    mut from: &TcpStream,
    mut to: &TcpStream,
    harm: Option<(Fault, usize)>,
    carried: &AtomicUsize,
    between: &Between,
) -> std::io::Result<()> {
    let mut next = |most: usize| -> std::io::Result<Vec<u8>> {
        let mut buffer = vec![0; most];
        let count = from.read(&mut buffer)?;
        buffer.truncate(count);
        carried.fetch_add(count, Ordering::SeqCst);
        Ok(buffer)
    };
    let Some((fault, at)) = harm else {
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
            between.cut.store(true, Ordering::SeqCst);
            return Ok(());
        }
        Fault::Stall => {
            while !between.gone.load(Ordering::SeqCst) {
                std::thread::sleep(LOOK);
            }
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
                    loop {
                        to.write_all(&many)?;
                    }
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
