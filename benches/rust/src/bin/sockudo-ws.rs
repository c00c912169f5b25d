//! sockudo-ws, on tokio's scheduler of one thread.
//!
//! `--variant batched` feeds messages and flushes once; otherwise each message is flushed.

use framewire_bench_peers as bench;
use framewire_bench_peers::{Mode, Outgoing};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use sockudo_ws::client::WebSocketClient;
use sockudo_ws::{Config, Http1, Message, WebSocketStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

async fn connect_tcp() -> TcpStream {
    let stream = TcpStream::connect(bench::authority()).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket has TCP_NODELAY");
    stream
}

/// Without the type erasure of `connect`, which costs a virtual call for each read and write.
async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketStream<S> {
    let client = WebSocketClient::<Http1>::new(Config::default());
    let upgraded = client.connect_raw(stream, &bench::authority(), &bench::path(), None).await;
    upgraded.expect("the server speaks WebSocket").0
}

fn message(outgoing: Outgoing) -> Message {
    match outgoing {
        Outgoing::Request(text, len) => Message::text(String::from_utf8_lossy(&text[..len])),
        Outgoing::Payload(bytes) => Message::binary(bytes),
    }
}

async fn say<S>(socket: &mut WebSocketStream<S>, outgoing: Option<Outgoing>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(outgoing) = outgoing {
        socket.send(message(outgoing)).await.expect("the server reads");
    }
    let allowed = bench::take_allowance();
    let batched = bench::is_variant("batched");
    for _ in 0..allowed {
        let message = message(Outgoing::Payload(bench::payload()));
        let sent = if batched { socket.feed(message).await } else { socket.send(message).await };
        sent.expect("the server reads");
    }
    if allowed > 0 {
        socket.flush().await.expect("the server reads");
    }
}

async fn follow<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    say(&mut socket, bench::opened()).await;
    while !bench::done() {
        let outgoing =
            match socket.next().await.expect("the server continues").expect("the server is correct") {
                Message::Binary(bytes) | Message::Text(bytes) => bench::message(&bytes),
                _ => continue,
            };
        say(&mut socket, outgoing).await;
    }
}

async fn run<S>(connect: impl AsyncFn() -> WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut kept = Vec::new();
    if bench::mode() == Mode::Connect {
        bench::begin();
        for _ in 0..bench::count() {
            bench::timed_async(connect()).await;
        }
        bench::end();
    } else {
        for _ in 0..bench::connections() {
            kept.push(connect().await);
        }
        if bench::mode() != Mode::Idle {
            let tasks = tokio::task::LocalSet::new();
            let followers: Vec<_> = kept.drain(..).map(|socket| tasks.spawn_local(follow(socket))).collect();
            tasks.run_until(futures_util::future::select_all(followers)).await.0.expect("no task panics");
        }
    }
    bench::memory(true);
}

fn main() {
    bench::parse("sockudo-ws");
    let config = bench::is_tls().then(bench::tls_config);
    // Calibrates the library's clock, which may take 200 ms.
    sockudo_ws::init_clock();
    bench::memory(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system has epoll").block_on(async {
        match config {
            None => run(async || upgrade(connect_tcp().await).await).await,
            Some(config) => {
                let connector = TlsConnector::from(config);
                let name = ServerName::try_from(bench::host()).expect("the host has a name");
                let connect = async || {
                    let stream = connector.connect(name.clone(), connect_tcp().await).await;
                    upgrade(stream.expect("the server is trusted")).await
                };
                run(connect).await;
            }
        }
    });
    bench::report();
}
