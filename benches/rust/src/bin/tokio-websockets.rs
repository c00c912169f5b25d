//! tokio-websockets, on tokio's scheduler of one thread.
//!
//! `--variant batched` feeds messages and flushes once; otherwise each message is flushed.

use std::sync::Arc;

use framewire_bench_peers as bench;
use framewire_bench_peers::{Mode, Outgoing};
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_websockets::{ClientBuilder, Connector, MaybeTlsStream, Message, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(tls: Option<&Arc<ClientConfig>>) -> Socket {
    let stream = TcpStream::connect(bench::authority()).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket has TCP_NODELAY");
    let connector =
        tls.map_or(Connector::Plain, |config| Connector::Rustls(TlsConnector::from(config.clone())));
    let stream = connector.wrap(&bench::host(), stream).await.expect("the server is trusted");
    let builder = ClientBuilder::new().uri(&bench::url()).expect("the URL is valid");
    builder.connect_on(stream).await.expect("the server speaks WebSocket").0
}

fn message(outgoing: Outgoing) -> Message {
    match outgoing {
        Outgoing::Request(text, len) => Message::text(String::from_utf8_lossy(&text[..len]).into_owned()),
        // Copied before it is masked, as the bytes of a game would be.
        Outgoing::Payload(bytes) => Message::binary(bytes),
    }
}

async fn say(socket: &mut Socket, outgoing: Option<Outgoing>) {
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

async fn follow(mut socket: Socket) {
    say(&mut socket, bench::opened()).await;
    while !bench::done() {
        let message = socket.next().await.expect("the server continues").expect("the server is correct");
        if message.is_binary() || message.is_text() {
            say(&mut socket, bench::message(message.as_payload())).await;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    bench::parse("tokio-websockets");
    let config = bench::is_tls().then(bench::tls_config);
    bench::memory(false);
    let mut kept = Vec::new();
    if bench::mode() == Mode::Connect {
        bench::begin();
        for _ in 0..bench::count() {
            bench::timed_async(connect(config.as_ref())).await;
        }
        bench::end();
    } else {
        for _ in 0..bench::connections() {
            kept.push(connect(config.as_ref()).await);
        }
        if bench::mode() != Mode::Idle {
            let tasks = tokio::task::LocalSet::new();
            let followers: Vec<_> = kept.drain(..).map(|socket| tasks.spawn_local(follow(socket))).collect();
            tasks.run_until(futures_util::future::select_all(followers)).await.0.expect("no task panics");
        }
    }
    bench::memory(true);
    bench::report();
}
