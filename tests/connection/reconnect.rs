//! Reconnecting: after which errors, how often, and which events and states the application sees.

#[path = "../common/mod.rs"]
mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{Client, Seen};
use framewire::{
    Code, Compression, Dispatch, Error, ErrorKind, Extension, Phase, Piece, Reconnect, Segment, State,
};
use framewire_servers::{EchoServer, Scripted};

fn quick(max_attempts: u32) -> Reconnect {
    let (min_delay, max_delay) = (Duration::from_millis(1), Duration::from_millis(20));
    Reconnect { min_delay, max_delay, max_attempts, ..Reconnect::default() }
}

/// Delays longer than the test.
fn slow() -> Reconnect {
    let hour = Duration::from_secs(3600);
    Reconnect { min_delay: hour, max_delay: hour, ..Reconnect::default() }
}

fn retrying(url: &str, reconnect: Reconnect) -> Client {
    let client = Client::new(url);
    client.set_reconnect(Some(reconnect)).unwrap();
    client.open().unwrap();
    client
}

/// Takes the next event, which must be a reconnecting event.
fn reconnecting(client: &Client) -> (Error, u32, u32) {
    match client.next() {
        Seen::Reconnecting(error, attempt, delay_ms) => (error, attempt, delay_ms),
        other => panic!("expected a reconnecting event, not {other:?}"),
    }
}

/// A server that upgrades, and then resets the connection.
fn dropping() -> Scripted {
    Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.reset();
    })
}

#[test]
fn lost_connection_reconnects_with_one_terminal_event() {
    let server = EchoServer::start();
    let client = retrying(&server.url("/drop"), quick(0));
    for round in 1..=3u64 {
        assert_eq!(client.next(), Seen::Open);
        assert_eq!(client.stats().reconnects, round - 1);
        client.send_text("the server hangs up on this").unwrap();
        let (error, attempt, delay_ms) = reconnecting(&client);
        assert!(error.retriable, "{error}");
        assert_eq!(
            (error.phase, attempt),
            (Phase::Open, 1),
            "an open connection resets the attempt count: {error}"
        );
        assert!((1..=2).contains(&delay_ms), "{delay_ms}");
    }
    assert_eq!(client.next(), Seen::Open);
    client.abort().unwrap();
    assert!(matches!(client.until_end()[..], [Seen::Closed(1006, _)]));
    assert_eq!((server.connections(), client.stats().reconnects), (4, 3));
    assert_eq!(client.stats().messages_sent, 3, "the sum over all connections");
}

#[test]
fn sends_are_refused_while_reconnecting() {
    let server = dropping();
    let client = retrying(&server.url(), slow());
    assert_eq!(client.next(), Seen::Open);
    reconnecting(&client);
    assert_eq!((client.state(), client.buffered_amount()), (State::Connecting, 0));
    let refused = client.send_text("where to?").unwrap_err();
    assert_eq!(refused.code, Code::InvalidState);
    assert!(
        refused.message.contains("still connecting") && refused.message.contains("queue_sends"),
        "{refused}"
    );
    assert_eq!(client.open().unwrap_err().code, Code::InvalidState);
    assert_eq!(client.set_reconnect(None).unwrap_err().code, Code::InvalidState);
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1006);
    assert_eq!(server.connections(), 1);
}

#[test]
fn queue_sends_queues_messages_while_reconnecting() {
    let server = EchoServer::start();
    let client = Client::new(&server.url("/drop"));
    client.set_reconnect(Some(Reconnect { queue_sends: true, ..quick(0) })).unwrap();
    client.open().unwrap();
    // Each of these makes the server close the connection, so each attempt gets the next one.
    client.send_text("before the first connection").unwrap();
    assert!(client.buffered_amount() > 0);
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(reconnecting(&client).1, 1);
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.stats().messages_sent, 1);
    client.abort().unwrap();
    client.closed();
}

#[test]
fn messages_queued_while_connecting_are_sent_after_failed_attempts() {
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| match peer.number {
        3 => {
            peer.accept_upgrade();
            for _ in 0..3 {
                let _ = report.send(peer.read_frame().map(|frame| frame.payload));
            }
            peer.wait_for_end();
        }
        1 => peer.reset(),
        _ => peer.respond(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n"),
    });
    let client = retrying(&server.url(), Reconnect { queue_sends: true, ..quick(0) });
    client.send_text("first").unwrap();
    for attempt in 1..=3 {
        assert_eq!(reconnecting(&client).1, attempt);
        if attempt < 3 {
            client.send_text("next").unwrap();
        }
    }
    assert_eq!(client.next(), Seen::Open);
    for expected in ["first", "next", "next"] {
        assert_eq!(reported.recv().unwrap().unwrap(), expected.as_bytes());
    }
    assert_eq!(client.stats().messages_sent, 3);
    common::wait_until("an empty queue", || client.buffered_amount() == 0);
    client.abort().unwrap();
    client.closed();
}

#[test]
fn queued_sends_keep_order_and_limit() {
    let server = EchoServer::start();
    let client = Client::new(&server.url("/"));
    client.set_reconnect(Some(Reconnect { queue_sends: true, ..quick(0) })).unwrap();
    client.set_max_buffered_amount(100_000).unwrap();
    client.enable_event(framewire::EventType::Request, true).unwrap();
    client.open().unwrap();
    let large = "to and fro, ".repeat(5_000);
    client.send_text("small").unwrap();
    client.send_text(&large).unwrap();
    client.send_binary_segment(framewire::Segment::copy_of(&[7; 40_000]).unwrap()).unwrap();
    assert_eq!(client.send_text("too much").unwrap_err().code, Code::WouldBlock);
    assert_eq!(client.buffered_amount(), 5 + large.len() + 40_000);
    // The connection starts when the request is released.
    common::wait_until("the request", || client.next_event().unwrap().is_some());
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.next(), Seen::Text("small".into()));
    assert_eq!(client.next(), Seen::Text(large));
    assert_eq!(client.next(), Seen::Binary(vec![7; 40_000]));
    common::wait_until("an empty queue", || client.buffered_amount() == 0);
    client.send_text("and on").unwrap();
    assert_eq!(client.next(), Seen::Text("and on".into()));
    assert_eq!(client.stats().messages_sent, 4);
}

/// Inverts every bit of every message, and sets a reserved bit.
struct Inverse;

impl Extension for Inverse {
    fn rsv(&self) -> u8 {
        2
    }
    fn offer(&self) -> Option<String> {
        Some("x-xor; key=255".to_owned())
    }
    fn accept(&self, _element: &str) -> Result<(), String> {
        Ok(())
    }
    fn mark(&self, _piece: Piece) -> Result<u8, String> {
        Ok(2)
    }
    fn encode(&self, _piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        let inverse: Vec<u8> = payload.iter().map(|byte| !byte).collect();
        Segment::copy_of(&inverse).map(Some).map_err(|_| "no memory".to_owned())
    }
    fn decode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        self.encode(piece, payload)
    }
}

#[test]
fn queued_sends_use_the_negotiated_extensions() {
    let server = framewire_servers::xor::start();
    let client = Client::new(&server.url());
    client.add_extension(Arc::new(Inverse)).unwrap();
    client.set_reconnect(Some(Reconnect { queue_sends: true, ..quick(0) })).unwrap();
    client.open().unwrap();
    client.send_text("early").unwrap();
    client.send_binary(&[1, 2, 3]).unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.next(), Seen::Text("early".into()));
    assert_eq!(client.next(), Seen::Binary(vec![1, 2, 3]));
}

#[test]
fn queued_sends_are_compressed_if_negotiated() {
    for (lines, is_compressed) in [("Sec-WebSocket-Extensions: permessage-deflate\r\n", true), ("", false)] {
        let (report, reported) = mpsc::channel();
        let server = Scripted::start(move |mut peer| {
            peer.accept_upgrade_with(lines);
            let _ = report.send(peer.read_frame());
            peer.wait_for_end();
        });
        let client = Client::new(&server.url());
        client.set_compression(Some(Compression::default())).unwrap();
        client.set_reconnect(Some(Reconnect { queue_sends: true, ..quick(0) })).unwrap();
        client.open().unwrap();
        let text = "again and again, ".repeat(100);
        client.send_text(&text).unwrap();
        let frame = reported.recv().unwrap().unwrap();
        assert_eq!((frame.opcode, frame.rsv), (1, if is_compressed { 4 } else { 0 }));
        assert_eq!(frame.payload == text.as_bytes(), !is_compressed);
        assert_eq!(frame.payload.len() < 200, is_compressed);
        client.abort().unwrap();
        client.end();
    }
}

#[test]
fn queued_sends_are_dropped_when_connecting_fails() {
    let server = Scripted::responding("HTTP/1.1 401 Who?\r\nContent-Length: 0\r\n\r\n");
    let client = Client::new(&server.url());
    client.set_reconnect(Some(Reconnect { queue_sends: true, ..slow() })).unwrap();
    client.enable_event(framewire::EventType::Request, true).unwrap();
    client.open().unwrap();
    client.send_text("dropped").unwrap();
    common::wait_until("the request", || client.next_event().unwrap().is_some());
    assert_eq!(client.error().http_status, 401);
    assert_eq!(client.buffered_amount(), 0);
    assert_eq!(client.send_text("closed").unwrap_err().code, Code::InvalidState);
}

#[test]
fn first_connection_is_retried_and_attempts_are_counted() {
    let server = Scripted::start(|mut peer| match peer.number {
        2 => {
            peer.accept_upgrade();
            peer.reset();
        }
        4 => {
            peer.accept_upgrade();
            peer.wait_for_end();
        }
        _ => peer.respond(b"HTTP/1.1 503 Full\r\nContent-Length: 4\r\n\r\nfull"),
    });
    let client = Client::new(&server.url());
    client.enable_event(framewire::EventType::Request, true).unwrap();
    client.set_reconnect(Some(quick(0))).unwrap();
    client.open().unwrap();
    for (request, expected) in [(1, Some(1)), (2, Some(2)), (3, None), (4, Some(2)), (5, None)] {
        let mut event = None;
        common::wait_until("the request", || {
            event = client.next_event().unwrap();
            event.is_some()
        });
        match event.map(|event| event.kind) {
            Some(framewire::EventKind::Request(shown)) => assert_eq!(shown.attempt(), request),
            _ => panic!("no request"),
        }
        match expected {
            Some(expected) => {
                let (error, attempt, _) = reconnecting(&client);
                assert_eq!((error.http_status, attempt), (503, expected));
            }
            None => {
                assert_eq!(client.next(), Seen::Open);
                if request == 3 {
                    let (error, attempt, _) = reconnecting(&client);
                    assert_eq!((error.kind, attempt), (ErrorKind::Reset, 1));
                }
            }
        }
    }
    assert_eq!(client.stats().reconnects, 2);
}

#[test]
fn response_is_readable_until_the_next_attempt() {
    let server = Scripted::responding("HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n");
    let client = retrying(&server.url(), slow());
    assert_eq!(reconnecting(&client).0.http_status, 502);
    assert_eq!(client.response_status(), 502);
}

#[test]
fn last_attempt_ends_with_its_error() {
    let server = Scripted::responding("HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n");
    let client = retrying(&server.url(), quick(2));
    assert_eq!(reconnecting(&client).1, 1);
    assert_eq!(reconnecting(&client).1, 2);
    assert_eq!(client.error().http_status, 502);
    assert_eq!(server.connections(), 3);
    // The next open restarts the count.
    client.open().unwrap();
    assert_eq!(reconnecting(&client).1, 1);
    assert_eq!(reconnecting(&client).1, 2);
    assert_eq!(client.error().http_status, 502);
}

#[test]
fn permanent_errors_are_not_retried() {
    for response in ["401 x", "403 x", "404 x", "501 x", "200 x", "101 x\r\nUpgrade: websocket"] {
        let server = Scripted::responding(format!("HTTP/1.1 {response}\r\nContent-Length: 0\r\n\r\n"));
        let client = retrying(&server.url(), quick(0));
        assert!(!client.error().retriable, "{response}");
        assert_eq!(server.connections(), 1, "{response}");
    }
    // Closed by the server, with any code.
    for code in [1000, 1001, 1012, 1013, 4000] {
        let server = Scripted::start(move |mut peer| {
            peer.accept_upgrade();
            peer.send_close(code, "bye");
            peer.wait_for_end();
        });
        let client = retrying(&server.url(), quick(0));
        assert_eq!(client.until_end(), [Seen::Open, Seen::Closed(code, "bye".into())]);
    }
    // A violation.
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send(&[0xFF, 0x00]);
        peer.wait_for_end();
    });
    let client = retrying(&server.url(), quick(0));
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.error().kind, ErrorKind::Protocol);
}

#[test]
fn connection_lost_while_closing_is_closed() {
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        assert!(peer.read_close().is_some());
        peer.reset();
    });
    let client = retrying(&server.url(), quick(0));
    assert_eq!(client.next(), Seen::Open);
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1006);
    assert_eq!(server.connections(), 1);
}

#[test]
fn retry_after_is_honoured() {
    for (value, at_least, at_most) in [
        ("2", 2000, 2020),
        ("99999999", 600_000, 600_020),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 1, 20),
        ("Tue, 31 Dec 2999 23:59:59 GMT", 600_000, 600_020),
        ("soon", 1, 20),
    ] {
        for status in [503, 429] {
            let server = Scripted::responding(format!(
                "HTTP/1.1 {status} x\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
            ));
            let client = retrying(&server.url(), quick(0));
            let (error, attempt, delay_ms) = reconnecting(&client);
            assert_eq!((error.http_status, attempt), (status, 1));
            assert!((at_least..=at_most).contains(&delay_ms), "{value}: {delay_ms}");
            client.abort().unwrap();
            common::wait_until("the end", || client.state() == State::Closed);
        }
    }
}

#[test]
fn abort_close_and_destroy_cancel_reconnecting() {
    let server = dropping();
    let start_reconnecting = || {
        let client = retrying(&server.url(), slow());
        assert_eq!(client.next(), Seen::Open);
        reconnecting(&client);
        client
    };
    let client = start_reconnecting();
    client.abort().unwrap();
    assert_eq!(client.closed().0, 1006);
    let client = start_reconnecting();
    client.close(4000, "").unwrap();
    assert_eq!(client.closed().0, 1006);
    // It can be opened again.
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    let client = start_reconnecting();
    let finalized = Arc::new(AtomicUsize::new(0));
    let own = finalized.clone();
    client.set_finalizer(Some(Box::new(move || _ = own.fetch_add(1, Ordering::SeqCst)))).unwrap();
    client.destroy().unwrap();
    common::wait_until("the finalizer", || {
        framewire::poll(0, 0);
        finalized.load(Ordering::SeqCst) == 1
    });
    assert_eq!(client.state(), State::Unknown);
}

#[test]
fn worker_callback_can_cancel_reconnecting() {
    let server = dropping();
    for close in [true, false] {
        let client = Client::new(&server.url());
        client.set_dispatch(Dispatch::Worker).unwrap();
        client.set_reconnect(Some(quick(0))).unwrap();
        let ends = Arc::new(AtomicUsize::new(0));
        let own = ends.clone();
        client
            .on_closed(Some(Arc::new(move |_, code, _| {
                assert_eq!(code, 1006);
                own.fetch_add(1, Ordering::SeqCst);
            })))
            .unwrap();
        client
            .on_reconnecting(Some(Arc::new(move |socket, error, attempt, _| {
                assert_eq!((error.kind, attempt), (ErrorKind::Reset, 1));
                let ended = if close { socket.close(1000, "") } else { socket.abort() };
                ended.unwrap();
            })))
            .unwrap();
        client.open().unwrap();
        common::wait_until("the end", || client.state() == State::Closed && ends.load(Ordering::SeqCst) == 1);
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn silent_server_triggers_a_reconnect() {
    let server = EchoServer::start();
    let client = Client::new(&server.url("/silent"));
    client.set_start_ping_thread(true).unwrap();
    client.set_ping_frequency(20).unwrap();
    client.set_close_after_no_message(50).unwrap();
    client.set_reconnect(Some(quick(1))).unwrap();
    client.open().unwrap();
    for _ in 0..2 {
        assert_eq!(client.next(), Seen::Open);
        let (error, attempt, _) = reconnecting(&client);
        assert_eq!((error.kind, attempt), (ErrorKind::PingTimeout, 1));
    }
    client.abort().unwrap();
    assert_eq!(client.closed().0, 1006);
}

#[test]
fn each_attempt_has_its_own_timeout_and_request() {
    // The server never responds, and the application never releases the first request.
    let server = Scripted::start(|mut peer| drop(peer.capture()));
    let client = Client::new(&server.url());
    client.set_connect_timeout(500).unwrap();
    client.set_reconnect(Some(quick(0))).unwrap();
    client.enable_event(framewire::EventType::Request, true).unwrap();
    client.open().unwrap();
    let mut kept = Vec::new();
    for number in 1..=3 {
        let mut event = None;
        common::wait_until("the request", || {
            event = client.next_event().unwrap();
            event.is_some()
        });
        let Some(event) = event else { panic!("no event") };
        match &event.kind {
            framewire::EventKind::Request(request) => assert_eq!(request.attempt(), number),
            _ => panic!("no request"),
        }
        // Releasing the previous request must not release this one.
        kept.push(event);
        if kept.len() > 1 {
            kept.remove(0);
        }
        let (error, attempt, _) = reconnecting(&client);
        assert_eq!((error.kind, attempt), (ErrorKind::TimedOut, number), "{error}");
        assert!(error.message.contains("did not release"), "{error}");
    }
}

#[test]
fn invalid_delays_are_refused() {
    let client = Client::new("ws://127.0.0.1:1/");
    let of = |min, max| Reconnect {
        min_delay: Duration::from_millis(min),
        max_delay: Duration::from_millis(max),
        ..Reconnect::default()
    };
    for bad in [of(0, 10), of(11, 10), of(1, u64::from(u32::MAX) + 1)] {
        assert_eq!(client.set_reconnect(Some(bad)).unwrap_err().code, Code::InvalidArgument, "{bad:?}");
    }
    client.set_reconnect(Some(of(1, u32::MAX.into()))).unwrap();
    client.set_reconnect(None).unwrap();
}
