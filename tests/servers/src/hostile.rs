//! A relay in front of an honest server that does something to what one of the two says, from a byte on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use crate::echo::LOOPBACK;

/// Whose bytes are harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    Server,
    Client,
}

/// What is done, to whose bytes, and from which one on.
#[derive(Clone, Copy, Debug)]
pub struct Harm {
    pub fault: Fault,
    pub speaker: Speaker,
    pub at: usize,
}

/// What befalls the bytes from the one at the chosen place on.
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
    /// Sixteen of them come again and again, as fast as they are taken, millions of times.
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
/// In bytes. Who takes all that has no bound.
const FLOOD: usize = 64 << 20;
/// A flood of which nothing is taken for so long is over.
const TAKEN: Duration = Duration::from_secs(2);
/// Faults that shuffle bytes need as many as this.
const WINDOW: usize = 16;

#[derive(Default)]
struct Carried {
    server: AtomicUsize,
    client: AtomicUsize,
}

impl Carried {
    fn of(&self, speaker: Speaker) -> &AtomicUsize {
        match speaker {
            Speaker::Server => &self.server,
            Speaker::Client => &self.client,
        }
    }
}

/// Stands in front of a port of this machine. Only the first connection is harmed.
pub struct HostileRelay {
    port: u16,
    stop: Arc<AtomicBool>,
    carried: Arc<Carried>,
    acceptor: Option<JoinHandle<()>>,
}

impl HostileRelay {
    /// None harms nothing.
    pub fn start(backend: u16, harm: Option<Harm>) -> std::io::Result<Self> {
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

    /// How many bytes one of the two has said so far.
    pub fn carried(&self, speaker: Speaker) -> usize {
        self.carried.of(speaker).load(Ordering::SeqCst)
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

/// Until both have ended.
fn carry(client: TcpStream, server: TcpStream, harm: Option<Harm>, carried: &Carried) {
    let (speaker, listener, whose, other) = match harm {
        Some(Harm { speaker: Speaker::Client, .. }) => (&client, &server, Speaker::Client, Speaker::Server),
        _ => (&server, &client, Speaker::Server, Speaker::Client),
    };
    let _ = listener.set_nodelay(true);
    let _ = listener.set_read_timeout(Some(LOOK));
    // Who listens is to be let go at once.
    let cut = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An error is an end.
            let _ = pass_on(listener, speaker, carried.of(other), &cut);
            let _ = speaker.shutdown(Shutdown::Both);
        });
        let harm = harm.map(|harm| (harm.fault, harm.at));
        let said = send_on(speaker, listener, harm, carried.of(whose), &cut);
        // A server hears when the client is gone. A client that is kept waiting is not to hear more.
        if (said.is_err() || whose == Speaker::Client) && !cut.load(Ordering::SeqCst) {
            let _ = listener.shutdown(Shutdown::Write);
        }
    });
}

/// What is said to the one that is harmed, as it is.
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
    harm: Option<(Fault, usize)>,
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
