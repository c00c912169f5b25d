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
//! | `/chat?name=N` | sends each text to everyone in the chat, after the name |
//! | `/token` | accepts requests with a bearer token, else responds with 401; at the text `expire`, the token becomes invalid and the connection is dropped; echoes everything else |
//!
//! Values in the query may be percent-encoded.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
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
    /// One for each connection in the chat.
    chat: Mutex<Vec<Sender<String>>>,
    expired_tokens: Mutex<HashSet<String>>,
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
                None => serve(serving, &closing, &handle),
                Some(config) => serve_tls(serving, &closing, config, &handle),
            }
            // `open` still holds a clone of the stream, so dropping this one would not close it.
            let _ = closing.shutdown(Shutdown::Both);
        });
        let mut open = shared.open.lock().expect("no thread panics while it holds the lock");
        open.retain(|(_, thread)| !thread.is_finished());
        open.push((stream, thread));
    }
}

fn serve_tls(stream: TcpStream, tcp: &TcpStream, config: Arc<ServerConfig>, shared: &Shared) {
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
    serve(secured, tcp, shared);
}

fn serve<S: Read + Write>(stream: S, tcp: &TcpStream, shared: &Shared) {
    let mut head = String::new();
    let mut path = String::new();
    let mut token = None;
    #[allow(clippy::result_large_err, reason = "tungstenite's own type")]
    let inspect = |request: &Request, mut response: Response| {
        path = request.uri().to_string();
        if request.uri().path() == "/token" {
            token = Some(bearer_token(request, shared)?);
        }
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
    let _ = match token {
        Some(token) => until_token_expires(&mut socket, token, shared),
        None if route == "/chat" => chat(&mut socket, tcp, Query::parse(query).text("name"), shared),
        None => serve_path(&mut socket, route, &Query::parse(query), &head, shared),
    };
}

/// Returns the token of a request, if it has one that is valid.
#[allow(clippy::result_large_err, reason = "tungstenite's own type")]
fn bearer_token(request: &Request, shared: &Shared) -> Result<String, ErrorResponse> {
    let value = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
    let expired = shared.expired_tokens.lock().expect("no thread panics while it holds the lock");
    match value.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) if !expired.contains(token) => Ok(token.to_owned()),
        _ => {
            let mut response = ErrorResponse::new(Some("the token is missing or has expired".into()));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            Err(response)
        }
    }
}

fn until_token_expires<S: Read + Write>(
    socket: &mut WebSocket<S>,
    token: String,
    shared: &Shared,
) -> tungstenite::Result<()> {
    loop {
        let message = socket.read()?;
        if message.is_text() && message.to_text()? == "expire" {
            shared.expired_tokens.lock().expect("no thread panics while it holds the lock").insert(token);
            return Ok(());
        }
        if message.is_text() || message.is_binary() {
            socket.send(message)?;
        }
    }
}

fn chat<S: Read + Write>(
    socket: &mut WebSocket<S>,
    tcp: &TcpStream,
    name: &str,
    shared: &Shared,
) -> tungstenite::Result<()> {
    // Reads and lines of others are waited for in turn.
    tcp.set_read_timeout(Some(Duration::from_millis(5)))?;
    let (sender, lines) = channel();
    shared.chat.lock().expect("no thread panics while it holds the lock").push(sender);
    say(shared, &format!("{name} joined"));
    let mut farewell = format!("{name} left without a code");
    let ended = loop {
        if let Some(error) = lines.try_iter().find_map(|line| socket.send(Message::text(line)).err()) {
            break error;
        }
        match socket.read() {
            Ok(Message::Text(text)) => say(shared, &format!("{name}: {text}")),
            Ok(Message::Close(Some(frame))) if frame.code == CloseCode::Normal => {
                farewell = format!("{name} left");
            }
            Ok(Message::Close(Some(frame))) => farewell = format!("{name} left with {}", frame.code),
            Ok(_) => {}
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => break error,
        }
    };
    drop(lines);
    say(shared, &farewell);
    Err(ended)
}

/// Sends a line to everyone in the chat.
fn say(shared: &Shared, line: &str) {
    let mut chat = shared.chat.lock().expect("no thread panics while it holds the lock");
    chat.retain(|connection| connection.send(line.to_owned()).is_ok());
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
