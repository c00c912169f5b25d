//! Make before break: a connection that does not respond after a network change is replaced by a new one.
//!
//! `network_changed` affects every socket of the process, so the tests run one at a time.

#[path = "../common/mod.rs"]
mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Client, Seen, TIMEOUT, exclusive, wait_until};
use framewire::{ErrorKind, Reconnect, State, network_changed, resume, suspend};
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

/// The game sends all the time, also while the worker reads the response to the new attempt.
#[test]
fn dropped_attempt_takes_no_messages() {
    let _exclusive = exclusive();
    let mut dropped = 0;
    for _ in 0..8 {
        let (probe, probed) = channel();
        let probed = Mutex::new(probed);
        let (report, received) = channel();
        let server = Scripted::start(move |mut peer| {
            if peer.number == 0 {
                peer.accept_upgrade();
            } else {
                let head = peer.read_head();
                let (mut old, payload): (TcpStream, Vec<u8>) =
                    probed.lock().unwrap().recv_timeout(TIMEOUT).unwrap();
                peer.send_upgrade_response(&head, "");
                // The late response drops the attempt. The worker reads both at once.
                old.write_all(&[&[0x8A, payload.len() as u8], &payload[..]].concat()).unwrap();
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
        let (stop, socket) = (Arc::new(AtomicBool::new(false)), client.clone());
        let is_stopped = stop.clone();
        let sending = std::thread::spawn(move || {
            let mut sent = 0_u32;
            while !is_stopped.load(Ordering::SeqCst) {
                if socket.buffered_amount() < 10_000 {
                    socket.send_binary(&sent.to_be_bytes()).unwrap();
                    sent += 1;
                }
            }
            sent
        });
        network_changed();
        wait_until("the pong", || client.stats().pongs_received > 0 || client.stats().reconnects > 0);
        stop.store(true, Ordering::SeqCst);
        let sent = sending.join().unwrap();
        let reconnects = client.stats().reconnects;
        client.close(1000, "").unwrap();
        let mut ends = [received.recv_timeout(TIMEOUT).unwrap(), received.recv_timeout(TIMEOUT).unwrap()];
        ends.sort_by_key(|(number, _)| *number);
        let [(_, old), (_, new)] = ends;
        if reconnects == 0 {
            dropped += 1;
            assert_eq!(new, [], "the attempt has taken messages");
            assert!(old.iter().copied().eq(0..sent), "{} of {sent} messages in order", old.len());
        }
    }
    println!("{dropped} of 8 attempts were dropped");
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
