//! A gateway between HTTP/2 clients and an [`EchoServer`] over HTTP/1.1, like common reverse proxies: all
//! paths of the echo server are available over RFC 8441.
//!
//! | path | what the gateway does |
//! | --- | --- |
//! | `/forbidden` | responds 403 with a body |
//! | `/reset` | resets the stream with INTERNAL_ERROR instead of a response |
//! | `/refused-once` | resets the first such stream with REFUSED_STREAM; the next one is served |
//! | `/http1-only` | resets the stream with HTTP_1_1_REQUIRED |
//! | `/protocol-error` | resets the stream with PROTOCOL_ERROR |
//! | `/status/N` | responds with that status, which ends the stream |
//! | `/status/N/later` | the same with `Retry-After: 0` |
//! | `/status/N/slow` | the same with a body that never ends |
//! | `/length` | serves, with a `content-length` of 0 in its response |
//! | `/cut` | serves, and resets the stream with CANCEL at the client's first byte |

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::EchoServer;
use crate::echo::LOOPBACK;

type Bytes = bytes::Bytes;

/// Options of the server.
#[derive(Clone)]
pub struct Behaviour {
    /// TLS configuration with its ALPN protocols. `None`: HTTP/2 without TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Sends ENABLE_CONNECT_PROTOCOL in its SETTINGS.
    pub websockets: bool,
    pub max_streams: u32,
    /// The response to every request over HTTP/1.1, instead of serving it.
    pub http1_response: Option<&'static str>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { tls: None, websockets: true, max_streams: 100, http1_response: None }
    }
}

/// A running gateway with its echo server. Dropping it ends its connections and its thread.
pub struct Http2Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    commands: watch::Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Serve,
    GoAway,
    Stop,
}

struct Shared {
    backend: EchoServer,
    behaviour: Behaviour,
    connections: AtomicUsize,
    http1_connections: AtomicUsize,
    streams: AtomicUsize,
    open_streams: AtomicUsize,
    has_refused: AtomicBool,
}

impl Http2Server {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = std::net::TcpListener::bind((LOOPBACK, 0)).expect("the address has a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            backend: EchoServer::start(),
            behaviour,
            connections: AtomicUsize::new(0),
            http1_connections: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            open_streams: AtomicUsize::new(0),
            has_refused: AtomicBool::new(false),
        });
        let (commands, receiver) = watch::channel(Command::Serve);
        let own = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            runtime.expect("the system can create a runtime").block_on(accept(listener, own, receiver));
        });
        Self { address, shared, commands, thread: Some(thread) }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the URL of a path; for TLS with the host name `localhost`, which the certificates contain.
    pub fn url(&self, path: &str) -> String {
        match self.shared.behaviour.tls {
            Some(_) => format!("wss://localhost:{}{path}", self.port()),
            None => format!("ws://{}{path}", self.address),
        }
    }

    /// The echo server behind it.
    pub fn backend(&self) -> &EchoServer {
        &self.shared.backend
    }

    /// TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many of them used HTTP/1.1.
    pub fn http1_connections(&self) -> usize {
        self.shared.http1_connections.load(Ordering::SeqCst)
    }

    /// Requests over HTTP/2 so far.
    pub fn streams(&self) -> usize {
        self.shared.streams.load(Ordering::SeqCst)
    }

    /// How many of them are still open.
    pub fn open_streams(&self) -> usize {
        self.shared.open_streams.load(Ordering::SeqCst)
    }

    /// Sends GOAWAY on every connection: open streams continue, new ones are refused.
    pub fn go_away(&self) {
        self.commands.send_replace(Command::GoAway);
    }

    /// Serves new connections again.
    pub fn serve_again(&self) {
        self.commands.send_replace(Command::Serve);
    }
}

impl Drop for Http2Server {
    fn drop(&mut self) {
        self.commands.send_replace(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>, commands: watch::Receiver<Command>) {
    listener.set_nonblocking(true).expect("a socket can be non-blocking");
    let listener = TcpListener::from_std(listener).expect("the runtime has IO");
    let mut stop = commands.clone();
    loop {
        let stream = tokio::select! {
            _ = stop.wait_for(|command| *command == Command::Stop) => return,
            Ok((stream, _)) = listener.accept() => stream,
        };
        let _ = stream.set_nodelay(true);
        shared.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(secure(stream, shared.clone(), commands.clone()));
    }
}

async fn secure(stream: TcpStream, shared: Arc<Shared>, commands: watch::Receiver<Command>) {
    let Some(tls) = shared.behaviour.tls.clone() else { return serve(stream, shared, commands).await };
    let Ok(mut stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return serve(stream, shared, commands).await;
    }
    shared.http1_connections.fetch_add(1, Ordering::SeqCst);
    if let Some(response) = shared.behaviour.http1_response {
        if read_head(&mut stream).await.is_ok() {
            let _ = stream.write_all(response.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        return;
    }
    if let Ok(mut backend) = TcpStream::connect((LOOPBACK, shared.backend.port())).await {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut backend).await;
    }
}

async fn serve<S>(stream: S, shared: Arc<Shared>, mut commands: watch::Receiver<Command>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(shared.behaviour.max_streams);
    if shared.behaviour.websockets {
        builder.enable_connect_protocol();
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let mut is_shutting_down = false;
    loop {
        let accepted = tokio::select! {
            _ = commands.wait_for(|command| *command != Command::Serve), if !is_shutting_down => {
                is_shutting_down = true;
                connection.graceful_shutdown();
                continue;
            }
            accepted = connection.accept() => accepted,
        };
        let Some(Ok((request, respond))) = accepted else { return };
        shared.streams.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(handle_request(request, respond, shared.clone()));
    }
}

async fn handle_request(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, shared: Arc<Shared>) {
    let protocol = request.extensions().get::<h2::ext::Protocol>();
    let is_websocket =
        request.method() == Method::CONNECT && protocol.is_some_and(|p| p.as_str() == "websocket");
    let reason = match request.uri().path() {
        _ if !is_websocket => Some(Reason::PROTOCOL_ERROR),
        "/reset" => Some(Reason::INTERNAL_ERROR),
        "/protocol-error" => Some(Reason::PROTOCOL_ERROR),
        "/http1-only" => Some(Reason::HTTP_1_1_REQUIRED),
        "/refused-once" if !shared.has_refused.swap(true, Ordering::SeqCst) => Some(Reason::REFUSED_STREAM),
        _ => None,
    };
    if let Some(reason) = reason {
        return respond.send_reset(reason);
    }
    if let Some(requested) = request.uri().path().strip_prefix("/status/") {
        let (status, variant) = requested.split_once('/').unwrap_or((requested, ""));
        let mut refusal = Response::builder().status(status);
        if variant == "later" {
            refusal = refusal.header("retry-after", "0");
        }
        let refusal = refusal.body(()).expect("the path has a status");
        if let Ok(mut body) = respond.send_response(refusal, variant != "slow")
            && variant == "slow"
        {
            let _ = body.send_data(Bytes::from_static(b"the beginning"), false);
            let _ = poll_fn(|context| body.poll_reset(context)).await;
        }
        return;
    }
    if request.uri().path() == "/forbidden" {
        let refusal = Response::builder().status(403).body(()).expect("403 is a status");
        if let Ok(mut body) = respond.send_response(refusal, false) {
            let _ = body.send_data(Bytes::from_static(b"members only"), true);
        }
        return;
    }
    shared.open_streams.fetch_add(1, Ordering::SeqCst);
    // An error ends the stream, which is reset.
    let _ = forward(request, respond, &shared).await;
    shared.open_streams.fetch_sub(1, Ordering::SeqCst);
}

/// Relays one WebSocket between the client and the echo server.
async fn forward(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut backend = TcpStream::connect((LOOPBACK, shared.backend.port())).await?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: backend\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
    }
    head.push_str("\r\n");
    backend.write_all(head.as_bytes()).await?;
    let head = read_head(&mut backend).await?;
    let mut response = Response::builder().status(200);
    for line in head.lines().skip(1) {
        // Connection headers of the backend are dropped; the accept header is forwarded, as some gateways do.
        if let Some((name, value)) = line.split_once(": ")
            && name.to_ascii_lowercase().starts_with("sec-websocket-")
        {
            response = response.header(name, value);
        }
    }
    if path == "/length" {
        response = response.header("content-length", "0");
    }
    let to_client = respond.send_response(response.body(())?, false)?;
    let is_cut = request.uri().path() == "/cut";
    let (from_backend, to_backend) = backend.into_split();
    let upload = upload(request.into_body(), to_backend, is_cut);
    let (up, down) = tokio::join!(upload, download(from_backend, to_client));
    up.and(down)
}

async fn read_head(backend: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(backend.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn upload(
    mut body: RecvStream,
    mut backend: impl AsyncWrite + Unpin,
    is_cut: bool,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        if is_cut {
            break;
        }
        backend.write_all(&chunk).await?;
        body.flow_control().release_capacity(chunk.len())?;
    }
    backend.shutdown().await?;
    Ok(())
}

async fn download(
    mut backend: impl AsyncRead + Unpin,
    mut client: SendStream<Bytes>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = tokio::select! {
            count = backend.read(&mut buffer) => count?,
            _ = poll_fn(|context| client.poll_reset(context)) => return Ok(()),
        };
        if count == 0 {
            client.send_data(Bytes::new(), true)?;
            return Ok(());
        }
        let mut rest = Bytes::copy_from_slice(&buffer[..count]);
        while !rest.is_empty() {
            client.reserve_capacity(rest.len());
            let Some(capacity) = poll_fn(|context| client.poll_capacity(context)).await else {
                return Ok(());
            };
            let chunk = rest.split_to(capacity?.min(rest.len()));
            client.send_data(chunk, false)?;
        }
    }
}
