//! A server that counts messages, and whose connections fail on purpose in various ways.
//!
//! Binary messages contain their number, from 0, and that of their round, in 8 bytes each, and are echoed; a
//! number out of order closes the connection with code 4000. The response to the text `count N`, where N is
//! the round, has the numbers of messages received and echoed. A round starts with message 0, and messages of
//! other rounds are ignored: a client that has not noticed a reconnect yet still sends messages of the last
//! one. The fault of a connection depends only on its number, so that runs are reproducible.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

use crate::echo::LOOPBACK;

/// The close code for a message out of order.
const OUT_OF_ORDER: u16 = 4000;
/// A stalled connection is reset after this time.
const STALL: Duration = Duration::from_secs(4);
/// A slow connection transfers this many bytes at a time.
const SLOW_CHUNK: usize = 7;

/// The fault of a connection, after some bytes in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// A RST.
    Reset,
    /// A FIN without a close frame.
    Finish,
    /// No more data is transferred.
    Stall,
    /// Data is transferred a few bytes at a time, from the start.
    Slow,
    /// The response to the upgrade is 503.
    Refuse,
}

/// Accepts connections until the process ends. Returns the port.
pub fn start(tls: Option<Arc<ServerConfig>>) -> io::Result<u16> {
    let listener = TcpListener::bind((LOOPBACK, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let tls = tls.clone();
            std::thread::spawn(move || serve(stream, number as u64, tls));
        }
    });
    Ok(port)
}

fn serve(tcp: TcpStream, number: u64, tls: Option<Arc<ServerConfig>>) {
    let _ = tcp.set_nodelay(true);
    let random = scramble(number);
    let fault = match random % 20 {
        0..=2 => Fault::Reset,
        3..=4 => Fault::Finish,
        5 => Fault::Stall,
        6 => Fault::Slow,
        7 => Fault::Refuse,
        _ => Fault::Nothing,
    };
    // Every second fault is during the handshakes, or shortly after.
    let range = if random & 1 << 32 == 0 { 2_000 } else { 200_000 };
    let stream = Faulty { tcp, fault, left: (random >> 40) as usize % range };
    // Errors are expected.
    let _ = match tls {
        None => serve_messages(stream, fault),
        Some(config) => match ServerConnection::new(config) {
            Ok(session) => serve_messages(StreamOwned::new(session, stream), fault),
            Err(_) => return,
        },
    };
}

/// SplitMix64: similar inputs give unrelated results.
fn scramble(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

fn serve_messages<S: Read + Write>(stream: S, fault: Fault) -> tungstenite::Result<()> {
    #[allow(clippy::result_large_err, reason = "tungstenite's own type")]
    let respond = |_: &Request, response: Response| match fault {
        Fault::Refuse => {
            let mut refusal = ErrorResponse::new(Some("overloaded".to_owned()));
            *refusal.status_mut() = tungstenite::http::StatusCode::SERVICE_UNAVAILABLE;
            Err(refusal)
        }
        _ => Ok(response),
    };
    let Ok(mut socket) = tungstenite::accept_hdr(stream, respond) else { return Ok(()) };
    let (mut received, mut echoed, mut current) = (0u64, 0u64, None);
    loop {
        match socket.read()? {
            Message::Binary(data) => {
                let Some((number, round)) = heading(&data) else { return reject(&mut socket, received) };
                if current != Some(round) {
                    if number != 0 {
                        continue;
                    }
                    (received, echoed, current) = (0, 0, Some(round));
                }
                if number != received {
                    return reject(&mut socket, received);
                }
                received += 1;
                socket.send(Message::Binary(data))?;
                echoed += 1;
            }
            Message::Text(text) if current.is_some_and(|round| text.as_str() == format!("count {round}")) => {
                socket.send(Message::text(format!("{received} {echoed}")))?;
            }
            Message::Close(_) => {
                // Sends the close frame and waits until the client disconnects.
                while socket.read().is_ok() {}
                return Ok(());
            }
            _ => {}
        }
    }
}

/// Returns the number of a message, and that of its round.
pub fn heading(message: &[u8]) -> Option<(u64, u64)> {
    let (number, rest) = message.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), u64::from_be_bytes(*rest.first_chunk()?)))
}

fn reject<S: Read + Write>(socket: &mut WebSocket<S>, expected: u64) -> tungstenite::Result<()> {
    let reason = format!("expected message {expected}").into();
    socket.close(Some(CloseFrame { code: OUT_OF_ORDER.into(), reason }))?;
    while socket.read().is_ok() {}
    Ok(())
}

/// A connection with a fault that starts after `left` bytes.
struct Faulty {
    tcp: TcpStream,
    fault: Fault,
    left: usize,
}

impl Faulty {
    /// How many of the requested bytes may be transferred now.
    fn allowed(&mut self, wanted: usize) -> io::Result<usize> {
        match self.fault {
            Fault::Nothing | Fault::Refuse => return Ok(wanted),
            Fault::Slow => return Ok(wanted.min(SLOW_CHUNK)),
            _ if self.left > 0 => return Ok(wanted.min(self.left)),
            Fault::Stall => std::thread::sleep(STALL),
            Fault::Finish => {
                self.tcp.shutdown(Shutdown::Both)?;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Fault::Reset => {}
        }
        SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO))?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl Read for Faulty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowed(buffer.len())?;
        let count = self.tcp.read(&mut buffer[..allowed])?;
        self.left = self.left.saturating_sub(count);
        Ok(count)
    }
}

impl Write for Faulty {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let allowed = self.allowed(buffer.len())?;
        let count = self.tcp.write(&buffer[..allowed])?;
        self.left = self.left.saturating_sub(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}
