//! tungstenite, with blocking sockets; mode game uses mio.
//!
//! `--variant batched` sends with `write` and one `flush`, else with `send`.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;

use framewire_bench_peers as bench;
use framewire_bench_peers::{Mode, Outgoing};
use rustls::ClientConfig;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Connector, Error, Message, WebSocket, client_tls_with_config};

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

fn connect(tls: Option<&Arc<ClientConfig>>) -> Socket {
    let stream = TcpStream::connect(bench::authority()).expect("the server listens");
    stream.set_nodelay(true).expect("a socket has TCP_NODELAY");
    let connector = tls.map_or(Connector::Plain, |config| Connector::Rustls(config.clone()));
    let (socket, _) = client_tls_with_config(bench::url(), stream, None, Some(connector))
        .expect("the server speaks WebSocket");
    socket
}

fn message(outgoing: Outgoing) -> Message {
    match outgoing {
        Outgoing::Request(text, len) => Message::text(String::from_utf8_lossy(&text[..len]).into_owned()),
        // Without a copy of the payload, as a game that owns the bytes.
        Outgoing::Payload(bytes) => Message::binary(bytes::Bytes::from_static(bytes)),
    }
}

/// Sends the message and what the mode allows.
fn send_outgoing(socket: &mut Socket, outgoing: Option<Outgoing>) {
    if let Some(outgoing) = outgoing {
        socket.send(message(outgoing)).expect("the server reads");
    }
    let allowed = bench::take_allowance();
    let batched = bench::is_variant("batched");
    for _ in 0..allowed {
        let message = message(Outgoing::Payload(bench::payload()));
        let sent = if batched { socket.write(message) } else { socket.send(message) };
        sent.expect("the server reads");
    }
    if allowed > 0 {
        socket.flush().expect("the server reads");
    }
}

fn run(socket: &mut Socket) {
    send_outgoing(socket, bench::opened());
    while !bench::done() {
        let outgoing = match socket.read().expect("the server sends messages") {
            Message::Binary(bytes) => bench::message(&bytes),
            Message::Text(text) => bench::message(text.as_bytes()),
            _ => continue,
        };
        send_outgoing(socket, outgoing);
    }
}

fn play(mut sockets: Vec<Socket>) {
    let mut poll = mio::Poll::new().expect("the system has epoll");
    for (index, socket) in sockets.iter_mut().enumerate() {
        send_outgoing(socket, bench::opened());
        let stream = match socket.get_ref() {
            MaybeTlsStream::Plain(stream) => stream,
            MaybeTlsStream::Rustls(stream) => &stream.sock,
            _ => unreachable!("no other kind is built"),
        };
        stream.set_nonblocking(true).expect("a socket can be");
        let mut source = mio::unix::SourceFd(&std::os::fd::AsRawFd::as_raw_fd(stream));
        poll.registry()
            .register(&mut source, mio::Token(index), mio::Interest::READABLE)
            .expect("it is registered once");
    }
    let mut events = mio::Events::with_capacity(64);
    while !bench::done() {
        poll.poll(&mut events, None).expect("the system has epoll");
        for event in &events {
            let socket = &mut sockets[event.token().0];
            loop {
                match socket.read() {
                    Ok(Message::Binary(bytes)) => send_outgoing(socket, bench::message(&bytes)),
                    Ok(_) => {}
                    Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

fn main() {
    bench::parse("tungstenite");
    let config = bench::is_tls().then(bench::tls_config);
    let connect = || connect(config.as_ref());
    bench::memory(false);
    let mut kept = Vec::new();
    match bench::mode() {
        Mode::Connect => {
            bench::begin();
            for _ in 0..bench::count() {
                bench::timed(connect);
            }
            bench::end();
        }
        Mode::Idle => kept = (0..bench::connections()).map(|_| connect()).collect(),
        Mode::Game => play((0..bench::connections()).map(|_| connect()).collect()),
        _ => run(&mut connect()),
    }
    bench::memory(true);
    drop(kept);
    bench::report();
}
