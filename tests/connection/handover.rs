//! Make before break: a connection that does not respond after a network change is replaced by a new one.
//!
//! `network_changed` affects every socket of the process, so the tests run one at a time.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "http2")]
use std::io::Read as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Client, Seen, TIMEOUT, exclusive, wait_until};
use framewire::{
    Dispatch, Error, ErrorKind, Reconnect, Socket, State, network_changed, resume, suspend, wait,
};
#[cfg(feature = "http2")]
use framewire_servers::{Behaviour, Http2Server};
use framewire_servers::{EchoServer, Scripted};

/// Longer than the delay before the new connection is opened.
const DELAY: Duration = Duration::from_millis(700);

fn reconnecting(url: &str) -> Client {
    let client = Client::new(url);
    let delay = Duration::from_millis(100);
    client
        .set_reconnect(Some(Reconnect { min_delay: delay, max_delay: delay, ..Reconnect::default() }))
        .unwrap();
    client
}

fn opened(url: &str) -> Client {
    let client = reconnecting(url);
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    client
}

/// A switch for the scripts of a server.
fn signal() -> (Sender<()>, impl Fn() + Send + Sync) {
    let (send, receive) = channel();
    let receive: Mutex<Receiver<()>> = Mutex::new(receive);
    (send, move || {
        let _ = receive.lock().unwrap().recv_timeout(TIMEOUT);
    })
}

/// A socket whose callback stops the worker, which is one by default, so that it finds at once what happens meanwhile.
struct Brake {
    stream: TcpStream,
    entered: Receiver<()>,
    release: Sender<()>,
    _client: Client,
    _server: Scripted,
}

impl Brake {
    fn new() -> Self {
        let (open, opened) = channel();
        let server = Scripted::start(move |mut peer| {
            peer.accept_upgrade();
            open.send(peer.stream().try_clone().unwrap()).unwrap();
            // It is probed as the others.
            while let Some(frame) = peer.read_frame().filter(|frame| frame.opcode == 9) {
                peer.send_frame(0x8A, &frame.payload);
            }
        });
        let ((enter, entered), (release, wait)) = (channel(), signal());
        let client = Client::new(&server.url());
        client.set_dispatch(Dispatch::Worker).unwrap();
        let stop = move |_: &Socket, _: &str| {
            enter.send(()).unwrap();
            wait();
        };
        client.on_text(Some(Arc::new(stop))).unwrap();
        client.open().unwrap();
        let stream = opened.recv_timeout(TIMEOUT).unwrap();
        Self { stream, entered, release, _client: client, _server: server }
    }

    /// Sends the message whose callback stops the worker, and waits until it has arrived.
    fn push(&self) {
        (&self.stream).write_all(&[0x81, 1, b'x']).unwrap();
        wait_for_arrival(&self.stream);
    }

    /// Waits until the worker has stopped.
    fn wait(&self) {
        self.entered.recv_timeout(TIMEOUT).unwrap();
    }

    fn release(&self) {
        self.release.send(()).unwrap();
    }
}

/// Waits until the peer's system has received what was written.
fn wait_for_arrival(stream: &TcpStream) {
    if cfg!(target_os = "linux") {
        let port = |address: SocketAddr| format!(":{:04X}", address.port());
        let (local, remote) = (port(stream.local_addr().unwrap()), port(stream.peer_addr().unwrap()));
        wait_until("the acknowledgement", || {
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            table.lines().any(|line| {
                let fields: Vec<&str> = line.split_whitespace().take(5).collect();
                let [_, from, to, _, queues] = fields[..] else { return false };
                from.ends_with(&local) && to.ends_with(&remote) && queues.starts_with("00000000:")
            })
        });
    }
}

#[test]
fn unresponsive_connection_is_replaced() {
    let _exclusive = exclusive();
    let (report, closed) = channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        if peer.number == 0 {
            report.send(peer.read_close()).unwrap();
        } else {
            let hello = peer.read_frame().unwrap();
            peer.send_frame(0x81, &hello.payload);
        }
        peer.wait_for_end();
    });
    let client = opened(&server.url());
    let start = Instant::now();
    network_changed();
    let Seen::Reconnecting(error, 1, 0) = client.next() else { panic!("it reconnects") };
    assert_eq!((error.kind, error.retriable), (ErrorKind::PingTimeout, true), "{error}");
    assert_eq!(client.state(), State::Open);
    assert_eq!(client.next(), Seen::Open);
    let took = start.elapsed();
    println!("replaced after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(3), "before the probe ends");
    client.send_text("hello").unwrap();
    assert_eq!(client.next(), Seen::Text("hello".into()));
    assert_eq!((client.stats().reconnects, server.connections()), (1, 2));
    assert_eq!(closed.recv_timeout(TIMEOUT).unwrap(), Some((1001, String::new())));
    let stats = client.stats();
    assert_eq!((stats.messages_sent, stats.messages_received, stats.pings_sent), (1, 1, 1));
}

#[test]
fn responsive_connection_is_kept() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    let client = opened(&server.url("/"));
    network_changed();
    assert!(matches!(client.next(), Seen::Pong(_)));
    // Time must pass for a new attempt to start.
    std::thread::sleep(DELAY);
    client.send_text("there").unwrap();
    assert_eq!(client.next(), Seen::Text("there".into()));
    assert_eq!((server.connections(), client.stats().reconnects), (1, 0));
}

#[test]
fn late_response_of_the_old_connection_drops_the_new_attempt() {
    let _exclusive = exclusive();
    let (connected, wait_for_second) = signal();
    let (report, ended) = channel();
    let server = Scripted::start(move |mut peer| {
        if peer.number > 0 {
            peer.read_head();
            connected.send(()).unwrap();
            return report.send(peer.wait_for_end()).unwrap();
        }
        peer.accept_upgrade();
        let ping = peer.read_frame().unwrap();
        wait_for_second();
        peer.send_frame(0x8A, &ping.payload);
        let message = peer.read_frame().unwrap();
        peer.send_frame(0x81, &message.payload);
        peer.wait_for_end();
    });
    let client = opened(&server.url());
    let durations = |client: &Client| {
        let stats = client.stats();
        (stats.resolve_us, stats.connect_us, stats.tls_us, stats.upgrade_us)
    };
    let of_the_connection = durations(&client);
    network_changed();
    assert!(matches!(client.next(), Seen::Pong(_)));
    assert_eq!(durations(&client), of_the_connection, "the attempt is not the socket's connection");
    client.send_text("kept").unwrap();
    assert_eq!(client.next(), Seen::Text("kept".into()));
    assert!(ended.recv_timeout(TIMEOUT).unwrap(), "the new attempt is dropped");
    let stats = client.stats();
    assert_eq!((stats.reconnects, stats.pings_sent, server.connections()), (0, 1, 2));
    assert_eq!(client.state(), State::Open);
}

#[test]
fn attempt_continues_as_the_reconnect_of_a_lost_connection() {
    let _exclusive = exclusive();
    let (connected, wait_for_second) = signal();
    let (lost, wait_for_loss) = signal();
    let server = Scripted::start(move |mut peer| {
        if peer.number == 0 {
            peer.accept_upgrade();
            return wait_for_second();
        }
        let head = peer.read_head();
        connected.send(()).unwrap();
        wait_for_loss();
        peer.send_upgrade_response(&head, "");
        peer.wait_for_end();
    });
    let client = opened(&server.url());
    network_changed();
    assert!(matches!(client.next(), Seen::Reconnecting(error, 1, 0) if error.kind == ErrorKind::Reset));
    assert_eq!(client.state(), State::Connecting);
    lost.send(()).unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!((server.connections(), client.stats().reconnects), (2, 1));
}

#[test]
fn loss_of_both_connections_is_an_ordinary_reconnect() {
    let _exclusive = exclusive();
    let (lose_second, wait) = signal();
    let server = Scripted::start(move |mut peer| match peer.number {
        0 => {
            peer.accept_upgrade();
            peer.wait_for_end();
        }
        1 => {
            peer.read_head();
            wait();
        }
        _ => {
            peer.accept_upgrade();
            peer.wait_for_end();
        }
    });
    let client = opened(&server.url());
    network_changed();
    assert!(matches!(client.next(), Seen::Reconnecting(error, 1, 0) if error.kind == ErrorKind::PingTimeout));
    lose_second.send(()).unwrap();
    assert!(matches!(client.next(), Seen::Reconnecting(error, 2, 100) if error.kind == ErrorKind::Reset));
    assert_eq!(client.next(), Seen::Open);
    assert_eq!((server.connections(), client.stats().reconnects), (3, 1));
}

#[test]
fn failed_attempts_are_repeated_with_backoff_and_without_events() {
    let _exclusive = exclusive();
    let server = Scripted::start(move |mut peer| match peer.number {
        1..4 => {
            peer.read_head();
            peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
        _ => {
            peer.accept_upgrade();
            peer.wait_for_end();
        }
    });
    let client = opened(&server.url());
    network_changed();
    assert!(matches!(client.next(), Seen::Reconnecting(error, 1, 0) if error.kind == ErrorKind::PingTimeout));
    assert_eq!(client.next(), Seen::Open);
    assert_eq!((server.connections(), client.stats().reconnects), (5, 1));
}

#[test]
fn connections_lost_while_suspended_come_back_after_resume() {
    let _exclusive = exclusive();
    for is_reset in [false, true] {
        let (lose, wait) = signal();
        let server = Scripted::start(move |mut peer| {
            peer.accept_upgrade();
            if peer.number > 0 {
                peer.wait_for_end();
            } else if is_reset {
                wait();
                peer.reset();
            } else {
                peer.wait_for_end();
            }
        });
        let client = opened(&server.url());
        suspend();
        lose.send(()).unwrap_or_default();
        if is_reset {
            assert!(
                matches!(client.next(), Seen::Reconnecting(error, 1, _) if error.kind == ErrorKind::Reset)
            );
        }
        // Time must pass while suspended.
        std::thread::sleep(DELAY);
        assert_eq!(server.connections(), 1, "nothing connects while suspended");
        let start = Instant::now();
        resume();
        if !is_reset {
            let event = client.next();
            assert!(
                matches!(&event, Seen::Reconnecting(error, 1, 0) if error.kind == ErrorKind::PingTimeout),
                "{event:?}"
            );
        }
        assert_eq!(client.next(), Seen::Open);
        let (took, how) = (start.elapsed(), if is_reset { "reset" } else { "silent" });
        println!("{how} while suspended: open {} ms after resume", took.as_millis());
        assert!(took < Duration::from_secs(3), "within the bound of the probe");
    }
}

/// The code and reason of a close frame, if there was one.
type Close = Option<(u16, String)>;

/// A socket whose first connection is silent, and whose second is being upgraded.
fn during_handover() -> (Scripted, Client, Receiver<bool>, Receiver<Close>) {
    let (connected, wait_for_second) = signal();
    let (report, second_ended) = channel();
    let (report_close, first_closed) = channel();
    let server = Scripted::start(move |mut peer| {
        if peer.number == 0 {
            peer.accept_upgrade();
            let close = peer.read_close();
            if let Some((code, _)) = &close {
                peer.send_close(*code, "");
            }
            return report_close.send(close).unwrap();
        }
        peer.read_head();
        connected.send(()).unwrap();
        report.send(peer.wait_for_end()).unwrap();
    });
    let client = opened(&server.url());
    network_changed();
    wait_for_second();
    (server, client, second_ended, first_closed)
}

#[test]
fn close_during_the_handover_closes_the_old_connection() {
    let _exclusive = exclusive();
    let (server, client, second_ended, _first_closed) = during_handover();
    client.close(1000, "bye").unwrap();
    assert_eq!(client.closed(), (1000, String::new()));
    assert!(second_ended.recv_timeout(TIMEOUT).unwrap());
    assert_eq!(server.connections(), 2);
}

#[test]
fn abort_during_the_handover_ends_both() {
    let _exclusive = exclusive();
    let (_server, client, second_ended, first_closed) = during_handover();
    client.abort().unwrap();
    assert_eq!(client.closed().0, 1006);
    assert!(second_ended.recv_timeout(TIMEOUT).unwrap());
    assert_eq!(first_closed.recv_timeout(TIMEOUT).unwrap(), None);
}

#[test]
fn destroy_during_the_handover_ends_both() {
    let _exclusive = exclusive();
    let (_server, client, second_ended, first_closed) = during_handover();
    drop(client);
    assert!(second_ended.recv_timeout(TIMEOUT).unwrap());
    assert_eq!(first_closed.recv_timeout(TIMEOUT).unwrap(), Some((1001, String::new())));
}

#[test]
fn shutdown_during_the_handover_leaves_nothing() {
    let _exclusive = exclusive();
    let (server, client, second_ended, _first_closed) = during_handover();
    framewire::shutdown(Duration::from_secs(20)).unwrap();
    assert!(second_ended.recv_timeout(TIMEOUT).unwrap());
    drop(client);
    assert_eq!(server.connections(), 2);
}

#[test]
fn second_network_change_restarts_the_attempt() {
    let _exclusive = exclusive();
    let (connected, wait_for_second) = signal();
    let server = Scripted::start(move |mut peer| {
        if peer.number == 1 {
            peer.read_head();
            connected.send(()).unwrap();
        } else {
            peer.accept_upgrade();
        }
        peer.wait_for_end();
    });
    let client = opened(&server.url());
    network_changed();
    wait_for_second();
    network_changed();
    assert!(matches!(client.next(), Seen::Reconnecting(error, 1, 0) if error.kind == ErrorKind::PingTimeout));
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(server.connections(), 3);
}

/// The pong of the old connection arrives with the response to the new attempt, and is read after it. In between, the
/// game sends.
#[test]
fn dropped_attempt_takes_no_messages() {
    let _exclusive = exclusive();
    let (first, second) = (Brake::new(), Brake::new());
    let (probe, probed) = channel::<(TcpStream, Vec<u8>)>();
    let probed = Mutex::new(probed);
    let (connected, wait_for_second) = signal();
    let (respond, wait_to_respond) = signal();
    let (responded, wait_for_response) = signal();
    let (report, received) = channel();
    let server = Scripted::start(move |mut peer| {
        if peer.number == 0 {
            peer.accept_upgrade();
        } else {
            let head = peer.read_head();
            let (mut old, payload) = probed.lock().unwrap().recv_timeout(TIMEOUT).unwrap();
            connected.send(()).unwrap();
            wait_to_respond();
            peer.send_upgrade_response(&head, "");
            wait_for_arrival(peer.stream());
            old.write_all(&[&[0x8A, payload.len() as u8], &payload[..]].concat()).unwrap();
            wait_for_arrival(&old);
            responded.send(()).unwrap();
        }
        let mut numbers = Vec::new();
        while let Some(frame) = peer.read_frame() {
            match frame.opcode {
                2 => numbers.push(u32::from_be_bytes(frame.payload[..].try_into().unwrap())),
                9 => probe.send((peer.stream().try_clone().unwrap(), frame.payload)).unwrap(),
                _ => break,
            }
        }
        report.send((peer.number, numbers)).unwrap();
    });
    let client = opened(&server.url());
    network_changed();
    wait_for_second();
    first.push();
    first.wait();
    // What the worker finds at once, in this order: the message that stops it again, the response, and the pong.
    second.push();
    respond.send(()).unwrap();
    wait_for_response();
    first.release();
    second.wait();
    (0..100_u32).for_each(|number| client.send_binary(&number.to_be_bytes()).unwrap());
    second.release();
    assert!(matches!(client.next(), Seen::Pong(_)), "the attempt is dropped");
    client.close(1000, "").unwrap();
    let mut ends = [received.recv_timeout(TIMEOUT).unwrap(), received.recv_timeout(TIMEOUT).unwrap()];
    ends.sort_by_key(|(number, _)| *number);
    let [(_, old), (_, new)] = ends;
    assert_eq!(new, [], "the attempt has taken messages");
    assert!(old.iter().copied().eq(0..100), "{old:?}");
    assert_eq!((client.stats().reconnects, server.connections()), (0, 2));
}

/// A callback of the second one waits for the thread that takes the events of the first one.
#[test]
fn waiting_threads_are_woken_before_the_next_handover() {
    let _exclusive = exclusive();
    let brake = Brake::new();
    let silent_then = || {
        let (connected, wait_for_second) = signal();
        let (respond, wait_to_respond) = signal();
        let (responded, wait_for_response) = signal();
        let server = Scripted::start(move |mut peer| {
            if peer.number == 0 {
                peer.accept_upgrade();
            } else {
                let head = peer.read_head();
                connected.send(()).unwrap();
                wait_to_respond();
                peer.send_upgrade_response(&head, "");
                wait_for_arrival(peer.stream());
                responded.send(()).unwrap();
            }
            peer.wait_for_end();
        });
        let respond = move || {
            respond.send(()).unwrap();
            wait_for_response();
        };
        (server, wait_for_second, respond)
    };
    let (server, wait_for_second, respond) = silent_then();
    let (other_server, wait_for_second_of_other, respond_to_other) = silent_then();
    let client = opened(&server.url());
    let (open, wait_until_open) = signal();
    let (taken, wait_until_taken) = channel::<()>();
    let wait_until_taken = Mutex::new(wait_until_taken);
    let (report, was_taken) = channel();
    let other = reconnecting(&other_server.url());
    other.set_dispatch(Dispatch::Worker).unwrap();
    other.on_open(Some(Arc::new(move |_| open.send(()).unwrap()))).unwrap();
    let wait_in_callback = move |_: &Socket, _: &Error, _: u32, _: u32| {
        report.send(wait_until_taken.lock().unwrap().recv_timeout(TIMEOUT)).unwrap();
    };
    other.on_reconnecting(Some(Arc::new(wait_in_callback))).unwrap();
    other.open().unwrap();
    wait_until_open();
    network_changed();
    wait_for_second();
    wait_for_second_of_other();
    brake.push();
    brake.wait();
    respond();
    respond_to_other();
    let game = std::thread::spawn(move || {
        // Longer than the callback waits.
        assert!(wait(2 * TIMEOUT));
        assert!(matches!(client.next(), Seen::Reconnecting(_, 1, 0)));
        let _ = taken.send(());
        client
    });
    // Time must pass until the thread waits.
    std::thread::sleep(Duration::from_millis(100));
    brake.release();
    assert_eq!(was_taken.recv(), Ok(Ok(())), "the events of the first handover were taken in time");
    let client = game.join().unwrap();
    assert_eq!(client.next(), Seen::Open);
    wait_until_open();
}

#[test]
fn new_ping_settings_apply_to_the_new_attempt() {
    let _exclusive = exclusive();
    let (connected, wait_for_second) = signal();
    let (lost, wait_for_loss) = signal();
    let (report, pinged) = channel();
    let server = Scripted::start(move |mut peer| {
        if peer.number == 0 {
            peer.accept_upgrade();
            // It is sent after the settings have changed.
            while peer.read_frame().unwrap().opcode != 1 {}
            return;
        }
        let head = peer.read_head();
        connected.send(()).unwrap();
        wait_for_loss();
        peer.send_upgrade_response(&head, "");
        report.send(peer.read_frame().map(|frame| frame.opcode)).unwrap();
        peer.wait_for_end();
    });
    let client = opened(&server.url());
    network_changed();
    wait_for_second();
    client.set_ping_frequency(10).unwrap();
    client.set_close_after_no_message(TIMEOUT.as_millis() as u32).unwrap();
    client.set_start_ping_thread(true).unwrap();
    client.send_text("hang up").unwrap();
    assert!(matches!(client.next(), Seen::Reconnecting(error, 1, 0) if error.kind == ErrorKind::Reset));
    lost.send(()).unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(pinged.recv_timeout(TIMEOUT), Ok(Some(9)));
    assert_eq!((client.state(), server.connections()), (State::Open, 2));
}

#[test]
fn each_queued_message_is_sent_at_most_once_and_in_order() {
    let _exclusive = exclusive();
    const SIZE: usize = 100_000;
    let (report, received) = channel();
    let (connected, wait_for_second) = signal();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        if peer.number > 0 {
            connected.send(()).unwrap();
        } else {
            // Does not read until the other is open: the network accepts no more.
            wait_for_second();
        }
        let mut numbers = Vec::new();
        while let Some(frame) = peer.read_frame() {
            if frame.opcode == 2 {
                numbers.push((u32::from_be_bytes(frame.payload[..4].try_into().unwrap()), 0));
            }
            if matches!(frame.opcode, 0 | 2) {
                numbers.last_mut().unwrap().1 += frame.payload.len();
            }
            if numbers.last().is_some_and(|(number, len)| *number == u32::MAX && *len == SIZE) {
                break;
            }
        }
        numbers.retain(|(_, len)| *len == SIZE);
        report.send((peer.number, numbers)).unwrap();
        peer.wait_for_end();
    });
    let client = reconnecting(&server.url());
    client.set_compression(None).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    let message = |number: u32| {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.resize(SIZE, 0);
        bytes
    };
    let mut count = 0;
    // Until the network has accepted nothing for a while.
    loop {
        while client.buffered_amount() < 3_000_000 {
            client.send_binary(&message(count)).unwrap();
            count += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
        if client.buffered_amount() >= 3_000_000 {
            break;
        }
    }
    network_changed();
    assert!(matches!(client.next(), Seen::Reconnecting(_, 1, 0)));
    assert_eq!(client.next(), Seen::Open);
    client.send_binary(&message(u32::MAX)).unwrap();
    wait_until("everything is sent", || client.buffered_amount() == 0);
    let mut both = [received.recv_timeout(TIMEOUT).unwrap(), received.recv_timeout(TIMEOUT).unwrap()];
    both.sort();
    let numbers = both.map(|(_, numbers)| numbers.into_iter().map(|(number, _)| number).collect::<Vec<_>>());
    let all: Vec<u32> = numbers.concat();
    println!(
        "{count} messages: {} over the old connection, {} over the new one",
        numbers[0].len(),
        numbers[1].len()
    );
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice: {all:?}");
    assert!(numbers[1].len() > 2, "queued messages are sent over the new connection");
    assert_eq!(all.last(), Some(&u32::MAX));
}

/// Forwards bytes until it is frozen, then neither forwards nor disconnects.
#[cfg(feature = "http2")]
fn forward(mut from: TcpStream, mut to: TcpStream, frozen: Arc<AtomicBool>) {
    let mut buffer = [0; 4096];
    from.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    while !frozen.load(Ordering::SeqCst) {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) if !frozen.load(Ordering::SeqCst) => drop(to.write_all(&buffer[..len])),
            _ => {}
        }
    }
    while frozen.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
#[cfg(feature = "http2")]
fn sockets_of_a_shared_connection_move_to_one_new_connection() {
    let _exclusive = exclusive();
    let server = Http2Server::start(Behaviour::default());
    let frozen = Arc::new(AtomicBool::new(false));
    let (own, port) = (frozen.clone(), server.port());
    let proxy = Scripted::start(move |mut peer| {
        peer.read_head();
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n");
        let upstream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        if peer.number > 0 {
            return framewire_servers::relay::relay(peer.stream(), &upstream);
        }
        let (back, stream, own_back) =
            (upstream.try_clone().unwrap(), peer.stream().try_clone().unwrap(), own.clone());
        let reverse = {
            let stream = stream.try_clone().unwrap();
            std::thread::spawn(move || forward(back, stream, own_back))
        };
        forward(stream, upstream, own.clone());
        reverse.join().unwrap();
    });
    let clients: Vec<Client> = (0..3)
        .map(|_| {
            let client = reconnecting(&server.url("/"));
            client.set_http_version(framewire::HttpVersion::Http2).unwrap();
            client.set_proxy(Some(&format!("127.0.0.1:{}", proxy.port()))).unwrap();
            client.open().unwrap();
            assert_eq!(client.next(), Seen::Open);
            client
        })
        .collect();
    assert_eq!(server.connections(), 1);
    frozen.store(true, Ordering::SeqCst);
    network_changed();
    for client in &clients {
        let event = client.next();
        assert!(matches!(event, Seen::Reconnecting(_, 1, 0)), "{event:?}");
        assert_eq!(client.next(), Seen::Open);
        client.send_text("moved").unwrap();
        assert_eq!(client.next(), Seen::Text("moved".into()));
    }
    assert_eq!((proxy.connections(), server.connections()), (2, 2));
    frozen.store(false, Ordering::SeqCst);
    clients.iter().for_each(|client| client.abort().unwrap());
}
