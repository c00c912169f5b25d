//! A server that runs a test's script, byte for byte.
//!
//! ```no_run
//! use framewire_servers::Scripted;
//!
//! let server = Scripted::start(|mut peer| {
//!     peer.accept_upgrade();
//!     peer.send(&[0x81, 0x02, b'h', b'i']);
//!     assert_eq!(peer.read_close(), Some((1000, String::new())));
//! });
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;
use tungstenite::handshake::derive_accept_key;

/// Longer than any request of the tests.
const MAX_HEAD: usize = 64 << 10;

/// A server that runs the same script for every connection, each on its own thread. Dropping it waits for the
/// scripts, and panics if an assertion in one failed.
pub struct Scripted {
    port: u16,
    stop: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

/// One connection.
pub struct Peer {
    stream: TcpStream,
    /// The number of the connection, from 0.
    pub number: usize,
}

/// A received frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub rsv: u8,
    pub opcode: u8,
    pub masked: bool,
    pub payload: Vec<u8>,
}

impl Scripted {
    pub fn start(script: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (stop, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (own_stop, own_connections, script) = (stop.clone(), connections.clone(), Arc::new(script));
        let acceptor = std::thread::spawn(move || {
            let mut scripts = Vec::new();
            for stream in listener.incoming() {
                if own_stop.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let _ = stream.set_nodelay(true);
                // A read that takes longer fails the test instead of hanging.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                let number = own_connections.fetch_add(1, Ordering::SeqCst);
                let script = script.clone();
                scripts.push(std::thread::spawn(move || script(Peer { stream, number })));
            }
            scripts
        });
        Self { port, stop, connections, acceptor: Some(acceptor) }
    }

    /// Starts a server that responds to every request with these bytes, then disconnects.
    pub fn responding(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |mut peer| {
            peer.read_head();
            peer.send(&bytes);
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let Some(acceptor) = self.acceptor.take() else { return };
        let scripts = acceptor.join().unwrap_or_default();
        for script in scripts {
            if let Err(panic) = script.join()
                && !std::thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Peer {
    /// Reads the head of the request including its empty line, up to a limit.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
            match self.stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    /// Returns the value of a header field in a head.
    pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Reads the request and accepts the upgrade, with additional header lines.
    pub fn accept_upgrade_with(&mut self, lines: &str) -> String {
        let head = self.read_head();
        self.send_upgrade_response(&head, lines);
        head
    }

    /// Accepts the upgrade for a head that was read before.
    pub fn send_upgrade_response(&mut self, head: &str, lines: &str) {
        let accept = Self::accept_key(head);
        self.send(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
            )
            .as_bytes(),
        );
    }

    /// Returns the Sec-WebSocket-Accept value for the head of a request.
    pub fn accept_key(head: &str) -> String {
        derive_accept_key(Self::field(head, "Sec-WebSocket-Key").unwrap_or_default().as_bytes())
    }

    /// Reads the request and sends this response, with `{accept}` replaced by the Sec-WebSocket-Accept value.
    pub fn respond(&mut self, template: &[u8]) {
        let head = self.read_head();
        let accept = Self::accept_key(&head);
        let marker = b"{accept}";
        let mut response = template.to_vec();
        while let Some(at) = response.windows(marker.len()).position(|window| window == marker) {
            response.splice(at..at + marker.len(), accept.bytes());
        }
        self.send(&response);
    }

    pub fn accept_upgrade(&mut self) -> String {
        self.accept_upgrade_with("")
    }

    /// Sends bytes. Does not fail if the client has disconnected.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn send_byte_by_byte(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(std::slice::from_ref(byte));
        }
    }

    /// Sends an unmasked frame, as servers do.
    pub fn send_frame(&mut self, first_byte: u8, payload: &[u8]) {
        let mut frame = vec![first_byte];
        match payload.len() {
            len @ 0..=125 => frame.push(len as u8),
            len @ 126..=0xFFFF => {
                frame.push(126);
                frame.extend((len as u16).to_be_bytes());
            }
            len => {
                frame.push(127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        self.send(&frame);
    }

    pub fn send_close(&mut self, code: u16, reason: &str) {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend(reason.as_bytes());
        self.send_frame(0x88, &payload);
    }

    /// Reads the next frame, or returns `None` at the end.
    pub fn read_frame(&mut self) -> Option<Frame> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        let len = match head[1] & 0x7F {
            126 => {
                let mut len = [0; 2];
                self.stream.read_exact(&mut len).ok()?;
                u16::from_be_bytes(len) as usize
            }
            127 => {
                let mut len = [0; 8];
                self.stream.read_exact(&mut len).ok()?;
                u64::from_be_bytes(len) as usize
            }
            len => len as usize,
        };
        let masked = head[1] & 0x80 != 0;
        let mut key = [0; 4];
        if masked {
            self.stream.read_exact(&mut key).ok()?;
        }
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).ok()?;
        for (index, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[index % 4];
        }
        Some(Frame { fin: head[0] & 0x80 != 0, rsv: head[0] >> 4 & 7, opcode: head[0] & 15, masked, payload })
    }

    /// Reads frames up to the client's close frame and returns its code (1005 for none) and reason.
    pub fn read_close(&mut self) -> Option<(u16, String)> {
        loop {
            let frame = self.read_frame()?;
            if frame.opcode == 8 {
                let Some((code, reason)) = frame.payload.split_at_checked(2) else {
                    return Some((1005, String::new()));
                };
                let code = u16::from_be_bytes([code[0], code[1]]);
                return Some((code, String::from_utf8_lossy(reason).into_owned()));
            }
        }
    }

    /// Reads until the client disconnects. Returns whether it did so in time.
    pub fn wait_for_end(&mut self) -> bool {
        self.capture().1
    }

    /// Reads every byte until the client disconnects, and returns whether it did so in time.
    pub fn capture(&mut self) -> (Vec<u8>, bool) {
        let mut captured = Vec::new();
        let ended = match self.stream.read_to_end(&mut captured) {
            Ok(_) => true,
            // A reset is an end, too.
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        (captured, ended)
    }

    /// Sends a FIN; the client can still send.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Resets the connection: data that the client has not read yet may be lost.
    pub fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    pub fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}
