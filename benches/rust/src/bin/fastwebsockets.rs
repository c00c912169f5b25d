//! fastwebsockets, on tokio's scheduler of one thread, with its handshake by hyper.

use std::future::Future;
use std::sync::Arc;

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload};
use framewire_bench_peers as bench;
use framewire_bench_peers::{Mode, Outgoing};
use http_body_util::Empty;
use hyper::Request;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

type Socket = FragmentCollector<TokioIo<Upgraded>>;

struct OnTasks;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for OnTasks {
    fn execute(&self, future: F) {
        tokio::task::spawn(future);
    }
}

async fn connect(tls: Option<&Arc<ClientConfig>>) -> Socket {
    let stream = TcpStream::connect(bench::authority()).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket has TCP_NODELAY");
    let request = Request::get(bench::path())
        .header("Host", bench::authority())
        .header("Upgrade", "websocket")
        .header("Connection", "upgrade")
        .header("Sec-WebSocket-Key", fastwebsockets::handshake::generate_key())
        .header("Sec-WebSocket-Version", "13")
        .body(Empty::<bytes::Bytes>::new())
        .expect("the request is whole");
    let upgraded = match tls {
        None => fastwebsockets::handshake::client(&OnTasks, request, stream).await,
        Some(config) => {
            let name = ServerName::try_from(bench::host()).expect("the host has a name");
            let connector = tokio_rustls::TlsConnector::from(config.clone());
            let stream = connector.connect(name, stream).await.expect("the server is trusted");
            fastwebsockets::handshake::client(&OnTasks, request, stream).await
        }
    };
    FragmentCollector::new(upgraded.expect("the server speaks WebSocket").0)
}

async fn send_outgoing(socket: &mut Socket, outgoing: Option<Outgoing>) {
    let first = outgoing.map(|outgoing| match outgoing {
        Outgoing::Request(text, len) => Frame::text(Payload::Owned(text[..len].to_vec())),
        Outgoing::Payload(bytes) => Frame::binary(Payload::Borrowed(bytes)),
    });
    if let Some(frame) = first {
        socket.write_frame(frame).await.expect("the server reads");
    }
    for _ in 0..bench::take_allowance() {
        let frame = Frame::binary(Payload::Borrowed(bench::payload()));
        socket.write_frame(frame).await.expect("the server reads");
    }
}

async fn follow(mut socket: Socket) {
    send_outgoing(&mut socket, bench::opened()).await;
    while !bench::done() {
        let outgoing = {
            let frame = socket.read_frame().await.expect("the server sends messages");
            match frame.opcode {
                OpCode::Text | OpCode::Binary => bench::message(&frame.payload),
                _ => continue,
            }
        };
        send_outgoing(&mut socket, outgoing).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    bench::parse("fastwebsockets");
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
