//! The echo server, based on tungstenite, with a thread for each connection.
//!
//! | path | what it does |
//! | --- | --- |
//! | any other | echoes text and binary, completes the closing handshake |
//! | `/count?n=N&size=S` | sends N binary messages, numbered in their first 8 bytes, then closes 1000 `done` |
//! | `/text?n=N&size=S` | the same with text |
//! | `/close?code=C&reason=R` | closes immediately |
//! | `/drop` | drops TCP, without a close frame, after the first message |
//! | `/silent` | sends nothing after the upgrade, not even pongs |
//! | `/headers` | sends the head of the request back as text |
//! | `/fragments?n=N&size=S` | one binary message in N fragments of S bytes |
//! | `/ping?data=X` | pings, and sends the payload of the pong back as text |
//! | `/push?hz=H&size=S` | pushes H binary messages a second |
//!
//! Values in the query may be percent-encoded.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::{Message, WebSocket};

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running server. Dropping it ends its connections and threads.
pub struct EchoServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    open: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
    connections: AtomicUsize,
    resumed: AtomicUsize,
    echoed_bytes: AtomicUsize,
    closes: Mutex<Vec<u16>>,
}

impl EchoServer {
    pub fn start() -> Self {
        Self::start_at(LOOPBACK, 0, None)
    }

    pub fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::start_at(LOOPBACK, 0, Some(config))
    }

    /// Starts on this port of a local address, 0 for any.
    pub fn start_at(address: IpAddr, port: u16, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((address, port)).expect("the address has a free port");
        let address = listener.local_addr().expect("it is bound");
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let acceptor = std::thread::spawn(move || accept(&listener, tls.as_ref(), &own));
        Self { address, scheme, shared, acceptor: Some(acceptor) }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the URL of a path; for TLS with the host name `localhost`, which the certificates contain.
    pub fn url(&self, path: &str) -> String {
        match self.scheme {
            "wss" => format!("wss://localhost:{}{path}", self.port()),
            scheme => format!("{scheme}://{}{path}", self.address),
        }
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// TLS handshakes that resumed a session.
    pub fn resumed(&self) -> usize {
        self.shared.resumed.load(Ordering::SeqCst)
    }

    /// Payload bytes of messages received for echoing.
    pub fn echoed_bytes(&self) -> usize {
        self.shared.echoed_bytes.load(Ordering::SeqCst)
    }

    /// The codes of the close frames that clients have sent first; 1005 for none.
    pub fn closes(&self) -> Vec<u16> {
        self.shared.closes.lock().expect("no thread panics while it holds the lock").clone()
    }

    /// Drops all connections without a closing handshake.
    pub fn cut_all(&self) {
        for (stream, _) in self.shared.open.lock().expect("no thread panics while it holds the lock").iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let open =
            std::mem::take(&mut *self.shared.open.lock().expect("no thread panics while it holds the lock"));
        for (stream, thread) in open {
            let _ = stream.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let (Ok(serving), Ok(closing)) = (stream.try_clone(), stream.try_clone()) else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, handle) = (tls.cloned(), shared.clone());
        let thread = std::thread::spawn(move || {
            match tls {
                None => serve(serving, &handle),
                Some(config) => serve_tls(serving, config, &handle),
            }
            // `open` still holds a clone of the stream, so dropping this one would not close it.
            let _ = closing.shutdown(Shutdown::Both);
        });
        let mut open = shared.open.lock().expect("no thread panics while it holds the lock");
        open.retain(|(_, thread)| !thread.is_finished());
        open.push((stream, thread));
    }
}

fn serve_tls(stream: TcpStream, config: Arc<ServerConfig>, shared: &Shared) {
    let Ok(connection) = ServerConnection::new(config) else { return };
    let mut secured = StreamOwned::new(connection, stream);
    while secured.conn.is_handshaking() {
        if secured.conn.complete_io(&mut secured.sock).is_err() {
            return;
        }
    }
    if secured.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed) {
        shared.resumed.fetch_add(1, Ordering::SeqCst);
    }
    serve(secured, shared);
}

fn serve<S: Read + Write>(stream: S, shared: &Shared) {
    let mut head = String::new();
    let mut path = String::new();
    #[allow(clippy::result_large_err, reason = "tungstenite's own type")]
    let inspect = |request: &Request, mut response: Response| {
        path = request.uri().to_string();
        head = format!("{} {} {:?}\r\n", request.method(), request.uri(), request.version());
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
        }
        if let Some(offered) = request.headers().get("Sec-WebSocket-Protocol") {
            let first = offered.to_str().unwrap_or_default().split(',').next().unwrap_or_default().trim();
            if let Ok(value) = first.parse() {
                response.headers_mut().append("Sec-WebSocket-Protocol", value);
            }
        }
        Ok(response)
    };
    // Tests send up to 64 MiB at once.
    let config = WebSocketConfig::default().max_message_size(Some(256 << 20)).max_frame_size(Some(256 << 20));
    let Ok(mut socket) = tungstenite::accept_hdr_with_config(stream, inspect, Some(config)) else { return };
    let (route, query) = path.split_once('?').unwrap_or((&path, ""));
    // An error only ends this connection.
    let _ = serve_path(&mut socket, route, &Query::parse(query), &head, shared);
}

fn serve_path<S: Read + Write>(
    socket: &mut WebSocket<S>,
    route: &str,
    query: &Query,
    head: &str,
    shared: &Shared,
) -> tungstenite::Result<()> {
    match route {
        "/count" | "/text" => {
            let (n, size) = (query.number("n", 10), query.number("size", 16));
            for number in 0..n as u64 {
                if route == "/text" {
                    let mut text = number.to_string();
                    text.extend(std::iter::repeat_n('x', size.saturating_sub(text.len())));
                    socket.write(Message::text(text))?;
                } else {
                    let mut bytes = vec![0; size.max(8)];
                    bytes[..8].copy_from_slice(&number.to_le_bytes());
                    socket.write(Message::binary(bytes))?;
                }
            }
            close(socket, 1000, "done")
        }
        "/close" => close(socket, query.number("code", 1000) as u16, query.text("reason")),
        "/drop" => {
            socket.read()?;
            Ok(())
        }
        "/silent" => {
            let mut buffer = [0; 4096];
            while socket.get_mut().read(&mut buffer)? > 0 {}
            Ok(())
        }
        "/headers" => {
            socket.send(Message::text(head))?;
            echo(socket, shared)
        }
        "/fragments" => {
            let (n, size) = (query.number("n", 3).max(1), query.number("size", 1000));
            for fragment in 0..n {
                let opcode = if fragment == 0 { Data::Binary } else { Data::Continue };
                let payload = vec![fragment as u8; size];
                socket.write(Message::Frame(Frame::message(
                    payload,
                    OpCode::Data(opcode),
                    fragment + 1 == n,
                )))?;
            }
            socket.flush()?;
            echo(socket, shared)
        }
        "/ping" => {
            socket.send(Message::Ping(query.text("data").to_owned().into()))?;
            loop {
                if let Message::Pong(payload) = socket.read()? {
                    socket.send(Message::text(String::from_utf8_lossy(&payload).into_owned()))?;
                    return echo(socket, shared);
                }
            }
        }
        "/push" => {
            let (hz, size) = (query.number("hz", 60).max(1), query.number("size", 64));
            while !shared.stop.load(Ordering::SeqCst) {
                socket.send(Message::binary(vec![0; size]))?;
                std::thread::sleep(Duration::from_micros(1_000_000 / hz as u64));
            }
            Ok(())
        }
        _ => echo(socket, shared),
    }
}

fn echo<S: Read + Write>(socket: &mut WebSocket<S>, shared: &Shared) -> tungstenite::Result<()> {
    loop {
        let message = socket.read()?;
        if message.is_text() || message.is_binary() {
            shared.echoed_bytes.fetch_add(message.len(), Ordering::SeqCst);
            socket.send(message)?;
        } else if let Message::Close(frame) = message {
            let code = frame.map_or(1005, |frame| frame.code.into());
            shared.closes.lock().expect("no thread panics while it holds the lock").push(code);
        }
    }
}

/// Starts the closing handshake.
fn close<S: Read + Write>(socket: &mut WebSocket<S>, code: u16, reason: &str) -> tungstenite::Result<()> {
    // tungstenite sends no reserved codes; 1005 means a close frame without one.
    let frame =
        (code != 1005).then(|| CloseFrame { code: CloseCode::from(code), reason: reason.to_owned().into() });
    socket.close(frame)?;
    loop {
        socket.read()?;
    }
}

struct Query(HashMap<String, String>);

impl Query {
    fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(key, value)| (key.to_owned(), decode(value))).collect())
    }

    fn number(&self, key: &str, default: usize) -> usize {
        self.0.get(key).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }
}

/// Decodes a percent-encoded value.
fn decode(value: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = value.as_bytes();
    while let [byte, after @ ..] = rest {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (digit(*high) << 4 | digit(*low), after)
            }
            (b'+', after) => (b' ', after),
            (byte, after) => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn digit(hex: u8) -> u8 {
    (hex as char).to_digit(16).map_or(0, |digit| digit as u8)
}
