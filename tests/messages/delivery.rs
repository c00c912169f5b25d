//! Delivery of events: in order, round robin, within the budget, and in bounded memory.
//!
//! `poll`, `pending` and the buffer pool are global to the process, so the tests run one at a time.

#[path = "../common/mod.rs"]
mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use common::{Client, Seen, exclusive, wait_until};
use framewire::{
    Code, Config, Dispatch, EventBatch, EventKind, LogLevel, MessageType, Socket, State, init, next_event,
    pending, poll, pool_stats, set_log, shutdown, wait,
};
use framewire_servers::{EchoServer, Scripted};

/// Runs the library with a configuration, for one test.
struct Library;

impl Library {
    fn with_queue(event_queue_bytes: usize) -> Self {
        Self::with(Config { event_queue_bytes, worker_threads: 2, ..Config::default() })
    }

    fn with(config: Config) -> Self {
        stop();
        init(config).unwrap();
        Library
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let stopped = shutdown(Duration::from_secs(60));
        // Not checked if the test failed already; the next one starts with the default queue.
        assert!(stopped.is_ok() || std::thread::panicking());
    }
}

fn stop() {
    shutdown(Duration::from_secs(60)).unwrap();
}

/// A server that sends numbered messages as fast as possible until the client disconnects.
fn flood(size: usize) -> Scripted {
    Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let ended = AtomicBool::new(false);
        let mut reader = peer.stream().try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
                ended.store(true, Ordering::SeqCst);
            });
            let mut frame = vec![0; size];
            for number in 0u64.. {
                frame[..8].copy_from_slice(&number.to_be_bytes());
                peer.send_frame(0x82, &frame);
                if ended.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
    })
}

/// A server that sends this many numbered messages, then closes.
fn count(messages: u32, size: usize) -> Scripted {
    Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let mut bytes = Vec::new();
        let mut payload = vec![0; size];
        for number in 0..messages {
            payload[..4].copy_from_slice(&number.to_be_bytes());
            bytes.extend([0x82, 126]);
            bytes.extend((size as u16).to_be_bytes());
            bytes.extend(&payload);
            if bytes.len() > 60_000 {
                peer.send(&std::mem::take(&mut bytes));
            }
        }
        bytes.extend(b"\x88\x02\x03\xE8");
        peer.send(&bytes);
        let _ = peer.read_close();
    })
}

fn number_of(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

/// Counts a socket's binary messages.
fn counting(socket: &Socket) -> Arc<AtomicUsize> {
    let counter = Arc::new(AtomicUsize::new(0));
    let own = counter.clone();
    socket
        .on_binary(Some(Arc::new(move |_, _| {
            own.fetch_add(1, Ordering::SeqCst);
        })))
        .unwrap();
    counter
}

#[test]
fn busy_socket_does_not_starve_others() {
    let _exclusive = exclusive();
    let (flood, echo) = (flood(200), EchoServer::start());
    for (max_events, max_microseconds) in [(0, 0), (1, 0), (20, 0), (0, 200), (20, 200)] {
        let flooded = Client::opened(&flood.url());
        let other = Client::opened(&echo.url("/"));
        let flood_count = counting(&flooded);
        let delivered = Arc::new(AtomicUsize::new(0));
        let own = delivered.clone();
        other
            .on_text(Some(Arc::new(move |_, _| {
                own.fetch_add(1, Ordering::SeqCst);
            })))
            .unwrap();
        for round in 1..=20 {
            wait_until("a flood", || pending() > 1000);
            other.send_text("I am here as well").unwrap();
            wait_until("the echo in its event queue", || other.stats().messages_received == round);
            // The flood does not stop, but the other socket's event is delivered within a few turns: after at
            // most two turns of events of each socket.
            let before = flood_count.load(Ordering::SeqCst);
            wait_until("the other socket's event", || {
                poll(max_events, max_microseconds);
                delivered.load(Ordering::SeqCst) == round as usize
            });
            if max_events == 1 {
                assert!(flood_count.load(Ordering::SeqCst) - before <= 64);
            }
        }
    }
}

#[test]
fn next_event_is_round_robin() {
    let _exclusive = exclusive();
    let (flood, echo) = (flood(200), EchoServer::start());
    let flooded = Client::opened(&flood.url());
    let other = Client::opened(&echo.url("/"));
    for round in 1..=20 {
        wait_until("a flood", || pending() > 1000);
        other.send_text("I am here as well").unwrap();
        wait_until("the echo in its event queue", || other.stats().messages_received == round);
        let mut before = 0;
        loop {
            let event = next_event().expect("the busy socket has events");
            if event.socket.id() == other.id() {
                break;
            }
            assert_eq!(event.socket.id(), flooded.id());
            before += 1;
            assert!(before <= 64, "the other socket's event is not delivered");
        }
    }
}

#[test]
fn event_budget_is_exact() {
    let _exclusive = exclusive();
    let server = count(1000, 200);
    let client = Client::opened(&server.url());
    let counter = counting(&client);
    wait_until("every message", || pending() == 1001);
    for (calls, max) in [1u32, 7, 16, 17, 100].into_iter().enumerate() {
        let (before, waiting) = (counter.load(Ordering::SeqCst), pending());
        assert_eq!(poll(max, 0), max as usize, "call {calls}");
        assert_eq!(counter.load(Ordering::SeqCst) - before, max as usize);
        assert_eq!(pending(), waiting - max as usize);
    }
    assert_eq!(client.poll(9, 0).unwrap(), 9);
    // The close has no callback and is not counted.
    assert_eq!(poll(0, 0), 1000 - 150);
    assert_eq!((poll(0, 0), pending()), (0, 0));
}

/// Sends text and binary messages of all small sizes at once, with pongs in between; each starts with its
/// number.
fn burst(messages: u32) -> Scripted {
    Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let mut bytes = Vec::new();
        for number in 0..messages {
            let payload = format!("{number:04}{}", "x".repeat(number as usize % 200));
            bytes.push(if number % 3 == 0 { 0x81 } else { 0x82 });
            match payload.len() {
                len @ 0..=125 => bytes.push(len as u8),
                len => bytes.extend([126, 0, len as u8]),
            }
            bytes.extend(payload.as_bytes());
            if number % 50 == 49 {
                bytes.extend(b"\x8A\x00");
            }
        }
        peer.send(&bytes);
        peer.wait_for_end();
    })
}

#[test]
fn batched_messages_keep_order_with_poll_and_next_event() {
    let _exclusive = exclusive();
    const MESSAGES: u32 = 1000;
    let server = burst(MESSAGES);
    let client = Client::opened(&server.url());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = |kind: &str, payload: &[u8]| {
        seen.lock().unwrap().push(format!("{kind} {}", String::from_utf8_lossy(payload)));
    };
    let texts = seen.clone();
    let text = move |_: &Socket, text: &str| texts.lock().unwrap().push(format!("text {text}"));
    client.on_text(Some(Arc::new(text))).unwrap();
    let binaries = seen.clone();
    let binary = move |_: &Socket, bytes: &[u8]| {
        binaries.lock().unwrap().push(format!("binary {}", String::from_utf8_lossy(bytes)));
    };
    client.on_binary(Some(Arc::new(binary))).unwrap();
    let pongs = MESSAGES as usize / 50;
    wait_until("every message", || pending() == MESSAGES as usize + pongs);
    let mut left = pending();
    for method in 0.. {
        let taken = match method % 5 {
            0 => next_event(),
            1 => client.next_event().unwrap(),
            other => {
                let before = pending();
                if other == 2 {
                    poll(1, 0)
                } else {
                    client.poll(other, 0).unwrap()
                };
                left -= before - pending();
                None
            }
        };
        if let Some(event) = taken {
            left -= 1;
            match event.kind {
                EventKind::Text(payload) => record("text", payload.as_slice()),
                EventKind::Binary(payload) => record("binary", payload.as_slice()),
                EventKind::Pong(_) => {}
                _ => panic!("no other event was sent"),
            }
        }
        assert_eq!(pending(), left);
        if left == 0 {
            break;
        }
    }
    assert_eq!(*seen.lock().unwrap(), in_burst(MESSAGES));
}

/// Returns the type and contents of each message that [`burst`] sends.
fn in_burst(messages: u32) -> Vec<String> {
    let of = |number| {
        let kind = if number % 3 == 0 { "text" } else { "binary" };
        format!("{kind} {number:04}{}", "x".repeat(number as usize % 200))
    };
    (0..messages).map(of).collect()
}

#[test]
fn event_batches_contain_each_message_once_and_in_order() {
    let _exclusive = exclusive();
    const MESSAGES: u32 = 1000;
    let server = burst(MESSAGES);
    for limits in [&[usize::MAX][..], &[1], &[7, 1, 64, 300]] {
        let client = Client::opened(&server.url());
        let all = MESSAGES as usize * 51 / 50;
        wait_until("every message", || pending() == all);
        let (mut seen, mut pongs, mut left) = (Vec::new(), 0, all);
        let mut record = |message_type, payload: &[u8]| {
            let kind = if message_type == MessageType::Text { "text" } else { "binary" };
            seen.push(format!("{kind} {}", String::from_utf8_lossy(payload)));
        };
        for call in 0.. {
            let at_most = limits[call % limits.len()];
            let mut passed = 0;
            let taken = client.next_event_batches(at_most, |batch| {
                match batch {
                    EventBatch::Event(EventKind::Pong(_)) => (pongs, passed) = (pongs + 1, passed + 1),
                    EventBatch::Messages(mut messages) => {
                        passed += messages.count();
                        // The rest of the batch stays readable after a part was split off.
                        let mut part = messages.split_to(call % 5, 100);
                        for messages in [&mut part, &mut messages] {
                            let (mut count, mut bytes) = (messages.count(), messages.payload_len());
                            while let Some((message_type, payload)) = messages.next() {
                                (count, bytes) = (count - 1, bytes - payload.len());
                                record(message_type, payload);
                                assert_eq!((messages.count(), messages.payload_len()), (count, bytes));
                            }
                            assert_eq!((count, bytes), (0, 0));
                        }
                    }
                    // Messages that were received in two parts.
                    EventBatch::Event(EventKind::Text(payload)) => {
                        passed += 1;
                        record(MessageType::Text, payload.as_slice());
                    }
                    EventBatch::Event(EventKind::Binary(payload)) => {
                        passed += 1;
                        record(MessageType::Binary, payload.as_slice());
                    }
                    _ => panic!("no other event was sent"),
                }
                // Each third call takes one batch.
                call % 3 != 2
            });
            assert!(passed <= at_most, "{passed} of {at_most}");
            assert_eq!(taken, Ok(passed));
            left -= passed;
            assert_eq!(pending(), left);
            if left == 0 {
                break;
            }
        }
        assert_eq!((seen, pongs), (in_burst(MESSAGES), MESSAGES / 50));
        assert_eq!(client.next_event_batches(9, |_| panic!("none is left")), Ok(0));
    }
}

#[test]
fn event_batch_outlives_its_socket() {
    let _exclusive = exclusive();
    let server = burst(40);
    let client = Client::opened(&server.url());
    wait_until("every message", || pending() == 40);
    let mut taken = None;
    client
        .next_event_batches(30, |batch| {
            taken = Some(batch);
            client.destroy().unwrap();
            true
        })
        .unwrap();
    assert_eq!(pending(), 0, "the others are dropped");
    let refused = client.next_event_batches(1, |_| panic!("it is destroyed"));
    assert_eq!(refused.unwrap_err().code, Code::InvalidHandle);
    let Some(EventBatch::Messages(mut messages)) = taken else { panic!("no messages") };
    assert_eq!(messages.count(), 30);
    let mut seen = Vec::new();
    while let Some((_, payload)) = messages.next() {
        seen.push(String::from_utf8(payload.to_vec()).unwrap());
    }
    let sent = in_burst(30);
    assert!(seen.iter().zip(&sent).all(|(seen, sent)| sent.ends_with(seen.as_str())), "{seen:?}");
}

/// Counts binary messages, and runs a function at the tenth.
fn at_the_tenth(client: &Client, act: fn(&Socket)) -> Arc<AtomicUsize> {
    let counter = Arc::new(AtomicUsize::new(0));
    let own = counter.clone();
    let binary = move |socket: &Socket, _: &[u8]| {
        if own.fetch_add(1, Ordering::SeqCst) == 9 {
            act(socket);
        }
    };
    client.on_binary(Some(Arc::new(binary))).unwrap();
    counter
}

#[test]
fn destroy_within_a_batch_stops_delivery() {
    let _exclusive = exclusive();
    let server = burst(200);
    let client = Client::opened(&server.url());
    let delivered = at_the_tenth(&client, |socket| socket.destroy().unwrap());
    wait_until("every message", || pending() == 204);
    poll(0, 0);
    assert_eq!((delivered.load(Ordering::SeqCst), pending()), (10, 0));
    assert_eq!(poll(0, 0), 0);
}

#[test]
fn panic_within_a_batch_loses_no_message() {
    let _exclusive = exclusive();
    let server = burst(150);
    let client = Client::opened(&server.url());
    let delivered = at_the_tenth(&client, |_| panic!("on purpose"));
    wait_until("every message", || pending() == 153);
    poll(0, 0);
    assert_eq!(delivered.load(Ordering::SeqCst), 100);
    wait_until("the end", || client.state() == State::Closed);
}

#[test]
fn pending_in_a_callback_is_nearly_exact() {
    let _exclusive = exclusive();
    const MESSAGES: usize = 1000;
    let server = count(MESSAGES as u32, 200);
    let client = Client::opened(&server.url());
    // Includes the callback's own event, and the close after the messages.
    let left = AtomicUsize::new(MESSAGES + 1);
    let max_extra = Arc::new(AtomicUsize::new(0));
    let own = max_extra.clone();
    client
        .on_binary(Some(Arc::new(move |_, _| {
            let queued_after = left.fetch_sub(1, Ordering::SeqCst) - 1;
            own.fetch_max(pending() - queued_after, Ordering::SeqCst);
        })))
        .unwrap();
    wait_until("every message", || pending() == MESSAGES + 1);
    assert_eq!(poll(0, 0), MESSAGES);
    let max_extra = max_extra.load(Ordering::SeqCst);
    assert!(max_extra <= 16, "{max_extra}, including its own");
    assert_eq!(pending(), 0);
}

#[test]
fn time_budget_stops_slow_callbacks() {
    let _exclusive = exclusive();
    let server = count(50, 200);
    let client = Client::opened(&server.url());
    let ran = Arc::new(AtomicUsize::new(0));
    let own = ran.clone();
    client
        .on_binary(Some(Arc::new(move |_, _| {
            std::thread::sleep(Duration::from_millis(2));
            own.fetch_add(1, Ordering::SeqCst);
        })))
        .unwrap();
    wait_until("every message", || pending() == 51);
    // Each callback takes longer than the whole budget.
    for expected in 1..=5 {
        assert_eq!(poll(0, 1000), 1);
        assert_eq!(ran.load(Ordering::SeqCst), expected);
    }
    assert_eq!(client.poll(0, 1000).unwrap(), 1);
}

#[test]
fn time_budget_applies_to_finalizers() {
    let _exclusive = exclusive();
    const SOCKETS: usize = 10;
    let finalized = Arc::new(AtomicUsize::new(0));
    for _ in 0..SOCKETS {
        let socket = Socket::create("ws://127.0.0.1:1/").unwrap();
        let own = finalized.clone();
        let slow = move || {
            own.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
        };
        socket.set_finalizer(Some(Box::new(slow))).unwrap();
        socket.destroy().unwrap();
    }
    let mut calls = 0;
    wait_until("every finalizer", || {
        let before = finalized.load(Ordering::SeqCst);
        poll(0, 1000);
        let ran = finalized.load(Ordering::SeqCst) - before;
        assert!(ran <= 1, "{ran} in one call, each takes longer than its budget");
        calls += ran;
        calls == SOCKETS
    });
}

#[test]
fn poll_without_budget_returns_under_load() {
    let _exclusive = exclusive();
    let flood = flood(100);
    let client = Client::opened(&flood.url());
    let counter = counting(&client);
    for _ in 0..100 {
        wait_until("some messages", || pending() > 100);
        // More arrive while these run; if they were delivered too, the call would not return.
        poll(0, 0);
    }
    assert!(counter.load(Ordering::SeqCst) > 10_000);
}

#[test]
fn hundred_thousand_messages_arrive_in_order() {
    let _exclusive = exclusive();
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        let server = count(100_000, 130);
        let client = Client::new(&server.url());
        client.set_dispatch(dispatch).unwrap();
        let next = Arc::new(Mutex::new(0));
        let own = next.clone();
        client
            .on_binary(Some(Arc::new(move |_, payload| {
                let mut next = own.lock().unwrap();
                assert_eq!((number_of(payload), payload.len()), (*next, 130));
                *next += 1;
            })))
            .unwrap();
        let closed = Arc::new(AtomicUsize::new(0));
        let (own, own_next) = (closed.clone(), next.clone());
        client
            .on_closed(Some(Arc::new(move |_, code, _| {
                assert_eq!((code, *own_next.lock().unwrap()), (1000, 100_000));
                own.fetch_add(1, Ordering::SeqCst);
            })))
            .unwrap();
        client.open().unwrap();
        wait_until("the end", || {
            poll(0, 500);
            closed.load(Ordering::SeqCst) == 1
        });
        assert_eq!(pending(), 0);
    }
}

#[test]
fn full_event_queue_applies_backpressure_without_loss() {
    let _exclusive = exclusive();
    const QUEUE: usize = 64 << 10;
    const MESSAGES: u32 = 60_000;
    let _library = Library::with_queue(QUEUE);
    let before = pool_stats().bytes_in_use;
    let sent = Arc::new(AtomicUsize::new(0));
    let own = sent.clone();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let mut payload = [0; 1000];
        for number in 0..MESSAGES {
            payload[..4].copy_from_slice(&number.to_be_bytes());
            peer.send_frame(0x82, &payload);
            own.fetch_add(1, Ordering::SeqCst);
        }
        peer.send_close(1000, "");
        let _ = peer.read_close();
    });
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    set_log(
        LogLevel::Info,
        Some(Arc::new(move |_, _, _, message| log.lock().unwrap().push(message.to_owned()))),
    );
    let client = Client::opened(&server.url());
    // A message counts for slightly more than its 1,000 bytes.
    wait_until("a full queue", || pending() >= QUEUE / 1100);
    // The server stalls: the number of messages it has sent stays the same long enough to be sure.
    let mut unchanged = (0, 0);
    wait_until("the server to stall", || {
        std::thread::sleep(Duration::from_millis(10));
        let now = sent.load(Ordering::SeqCst);
        unchanged = if now == unchanged.0 { (now, unchanged.1 + 1) } else { (now, 0) };
        unchanged.1 == 30
    });
    assert!(unchanged.0 < MESSAGES as usize, "backpressure did not stop the server");
    // The unread events and one read, no more.
    let held = pool_stats().bytes_in_use - before;
    assert!(held <= 8 * QUEUE as u64, "{held} bytes for a queue of {QUEUE}");
    let received = client.stats().bytes_received;
    assert!(received <= 4 * QUEUE as u64, "{received} bytes were read for a queue of {QUEUE}");

    let seen = client.until_end();
    assert_eq!(seen.len(), MESSAGES as usize + 1);
    for (number, event) in (0..MESSAGES).zip(&seen) {
        let Seen::Binary(payload) = event else { panic!("{number}: {event:?}") };
        assert_eq!(number_of(payload), number);
    }
    assert_eq!(seen[MESSAGES as usize], Seen::Closed(1000, String::new()));
    set_log(LogLevel::Off, None);
    let lines = lines.lock().unwrap();
    assert_eq!(lines.iter().filter(|line| line.contains("bytes of events wait")).count(), 1, "{lines:?}");
}

#[test]
fn message_larger_than_queue_is_delivered() {
    let _exclusive = exclusive();
    let _library = Library::with_queue(16 << 10);
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/"));
    for _ in 0..3 {
        let message = vec![9; 1_000_000];
        client.send_binary(&message).unwrap();
        assert!(client.next() == Seen::Binary(message));
    }
}

#[test]
fn worker_callbacks_of_a_socket_never_overlap() {
    let _exclusive = exclusive();
    let _library = Library::with_queue(0);
    const SOCKETS: usize = 8;
    let server = count(2000, 200);
    let clients: Vec<_> = (0..SOCKETS)
        .map(|_| {
            let client = Client::new(&server.url());
            client.set_dispatch(Dispatch::Worker).unwrap();
            let (inside, next) = (AtomicBool::new(false), Mutex::new(0));
            let done = Arc::new(AtomicBool::new(false));
            client
                .on_binary(Some(Arc::new(move |_, payload| {
                    assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
                    let mut next = next.lock().unwrap();
                    assert_eq!(number_of(payload), *next);
                    *next += 1;
                    assert!(inside.swap(false, Ordering::SeqCst));
                })))
                .unwrap();
            let own = done.clone();
            client.on_closed(Some(Arc::new(move |_, _, _| own.store(true, Ordering::SeqCst)))).unwrap();
            client.open().unwrap();
            (client, done)
        })
        .collect();
    for (client, done) in &clients {
        wait_until("the end", || done.load(Ordering::SeqCst));
        assert_eq!(client.stats().messages_received, 2000);
    }
    assert_eq!(pending(), 0, "worker mode queues nothing");
}

#[test]
fn pending_is_exact() {
    let _exclusive = exclusive();
    assert_eq!(pending(), 0);
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send(b"\x81\x01a\x82\x01b\x8A\x00");
        peer.wait_for_end();
    });
    let (one, two) = (Client::opening(&server.url()), Client::opening(&server.url()));
    // Open, text, binary and pong of each socket.
    wait_until("both", || pending() == 8);
    assert_eq!(one.next(), Seen::Open);
    assert_eq!(pending(), 7);
    two.destroy().unwrap();
    assert_eq!(pending(), 3);
    assert_eq!(poll(0, 0), 0, "nothing is registered");
    assert_eq!(pending(), 0);
    one.abort().unwrap();
    wait_until("the end", || pending() == 1);
    assert!(wait(Duration::ZERO));
}

#[test]
fn pending_never_overcounts() {
    let _exclusive = exclusive();
    let flood = flood(64);
    let client = Client::opened(&flood.url());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Taken immediately, while another thread reads the count.
        scope.spawn(|| {
            for _ in 0..200_000 {
                let _ = client.next_event();
            }
            stop.store(true, Ordering::SeqCst);
        });
        while !stop.load(Ordering::SeqCst) {
            let waiting = pending();
            assert!(waiting < 1 << 20, "{waiting} events in a queue of 4 MiB");
        }
    });
}

#[test]
fn concurrent_polls_keep_order_per_socket() {
    let _exclusive = exclusive();
    const MESSAGES: u32 = 20_000;
    let server = count(MESSAGES, 150);
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let client = Client::new(&server.url());
            let (inside, next) = (AtomicBool::new(false), Mutex::new(0));
            client
                .on_binary(Some(Arc::new(move |_, payload| {
                    assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
                    let mut next = next.lock().unwrap();
                    assert_eq!(number_of(payload), *next);
                    *next += 1;
                    assert!(inside.swap(false, Ordering::SeqCst));
                })))
                .unwrap();
            let closed = Arc::new(AtomicUsize::new(0));
            let own = closed.clone();
            client
                .on_closed(Some(Arc::new(move |_, _, _| {
                    own.fetch_add(1, Ordering::SeqCst);
                })))
                .unwrap();
            client.open().unwrap();
            (client, closed)
        })
        .collect();
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                start.wait();
                wait_until("every end", || {
                    poll(50, 0);
                    clients.iter().all(|(_, closed)| closed.load(Ordering::SeqCst) == 1)
                });
            });
        }
    });
    for (client, _) in &clients {
        assert_eq!(client.stats().messages_received, u64::from(MESSAGES));
    }
    assert_eq!(pending(), 0);
}

#[test]
fn poll_in_a_callback_serves_other_sockets_only() {
    let _exclusive = exclusive();
    let server = count(100, 150);
    let (one, two) = (Client::opening(&server.url()), Client::opening(&server.url()));
    wait_until("both", || pending() == 2 * 102);
    let (inside, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen_of_two = counting(&two);
    let own = seen_of_two.clone();
    one.on_binary(Some(Arc::new(move |socket, payload| {
        assert!(!inside.swap(true, Ordering::SeqCst), "re-entered");
        assert_eq!(number_of(payload) as usize, next.fetch_add(1, Ordering::SeqCst));
        let before = own.load(Ordering::SeqCst);
        poll(1, 0);
        assert!(own.load(Ordering::SeqCst) <= before + 1);
        assert_eq!(socket.poll(0, 0).unwrap(), 0);
        assert!(socket.next_event().unwrap().is_none());
        assert!(inside.swap(false, Ordering::SeqCst));
    })))
    .unwrap();
    wait_until("both ends", || {
        poll(0, 0);
        pending() == 0
    });
    assert_eq!(seen_of_two.load(Ordering::SeqCst), 100);
    assert_eq!((one.state(), two.state()), (State::Closed, State::Closed));
}

/// A server, and a function that makes it send a message and returns when it has.
fn on_demand() -> (Scripted, impl Fn()) {
    let ((go, may_send), (sent, is_sent)) = (mpsc::channel::<()>(), mpsc::channel());
    let may_send = Mutex::new(may_send);
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        while may_send.lock().unwrap().recv().is_ok() {
            peer.send(b"\x81\x01a");
            sent.send(()).unwrap();
        }
    });
    let send = move || {
        go.send(()).unwrap();
        is_sent.recv_timeout(common::TIMEOUT).unwrap();
    };
    (server, send)
}

#[test]
fn wait_wakes_on_the_next_event() {
    let _exclusive = exclusive();
    let (server, send) = on_demand();
    let client = Client::opened(&server.url());
    assert!(!wait(Duration::from_millis(20)), "no event is queued");
    let (ended, has_ended) = mpsc::channel();
    for _ in 0..50 {
        let ended = ended.clone();
        // Longer than the test waits: a thread that is not woken fails it.
        let waiting = std::thread::spawn(move || ended.send(wait(Duration::MAX)));
        send();
        assert_eq!(has_ended.recv_timeout(common::TIMEOUT), Ok(true));
        waiting.join().unwrap().unwrap();
        assert_eq!(client.next(), Seen::Text("a".into()));
    }
    drop(send);
    assert!(wait(common::TIMEOUT), "the end is an event");
}

/// Opens a socket whose callback for text runs on the worker.
fn on_worker(server: &Scripted, callback: impl Fn() + Send + Sync + 'static) -> Client {
    let client = Client::new(&server.url());
    client.set_dispatch(Dispatch::Worker).unwrap();
    client.on_text(Some(Arc::new(move |_, _| callback()))).unwrap();
    client.open().unwrap();
    wait_until("open", || client.state() == State::Open);
    client
}

/// Occupies the only worker in a callback, until something is sent to the channel.
fn occupy_worker() -> (Client, mpsc::Sender<()>) {
    let (server, call) = on_demand();
    let ((entered, has_entered), (leave, may_leave)) = (mpsc::channel(), mpsc::channel::<()>());
    let may_leave = Mutex::new(may_leave);
    let client = on_worker(&server, move || {
        entered.send(()).unwrap();
        may_leave.lock().unwrap().recv_timeout(common::TIMEOUT).unwrap();
    });
    call();
    has_entered.recv_timeout(common::TIMEOUT).unwrap();
    (client, leave)
}

/// Starts a thread that waits for an event and then answers. Returns a function that waits for the answer, and tells the
/// second receiver whether it came.
fn answer_to_event() -> (impl Fn() + Send + Sync + 'static, mpsc::Receiver<bool>) {
    let ((answer, answered), (result, results)) = (mpsc::channel::<()>(), mpsc::channel());
    let answered = Mutex::new(answered);
    std::thread::spawn(move || {
        assert!(wait(Duration::MAX));
        let _ = answer.send(());
    });
    // A thread that does not wait yet needs no wake-up, and the test shows nothing.
    std::thread::sleep(Duration::from_millis(50));
    let wait_for_answer = move || {
        let came = answered.lock().unwrap().recv_timeout(common::TIMEOUT).is_ok();
        let _ = result.send(came);
    };
    (wait_for_answer, results)
}

#[test]
fn callback_on_the_worker_can_wait_for_a_thread_that_waits_for_events() {
    let _exclusive = exclusive();
    let _library = Library::with(Config { worker_threads: 1, ..Config::default() });
    let [(of_polling, send_event), (of_waiting, call)] = [(); 2].map(|()| on_demand());
    let polling = Client::opened(&of_polling.url());
    let (wait_for_answer, answers) = answer_to_event();
    let _waiting = on_worker(&of_waiting, wait_for_answer);
    let (_occupied, leave) = occupy_worker();
    send_event();
    call();
    leave.send(()).unwrap();
    assert_eq!(answers.recv_timeout(2 * common::TIMEOUT), Ok(true), "the thread was not woken");
    assert_eq!(polling.next(), Seen::Text("a".into()));
}

#[test]
fn finalizer_on_the_worker_can_wait_for_a_thread_that_waits_for_events() {
    let _exclusive = exclusive();
    let _library = Library::with(Config { worker_threads: 1, ..Config::default() });
    // Accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connecting = Client::opening(&format!("ws://{}", silent.local_addr().unwrap()));
    let (wait_for_answer, answers) = answer_to_event();
    let destroyed = Socket::create("ws://127.0.0.1:9").unwrap();
    destroyed.set_dispatch(Dispatch::Worker).unwrap();
    destroyed.set_finalizer(Some(Box::new(wait_for_answer))).unwrap();
    let (_occupied, leave) = occupy_worker();
    // The worker takes both at once: the first publishes the closed event, the second runs the finalizer.
    connecting.close(1000, "").unwrap();
    destroyed.destroy().unwrap();
    leave.send(()).unwrap();
    assert_eq!(answers.recv_timeout(2 * common::TIMEOUT), Ok(true), "the thread was not woken");
    assert!(matches!(connecting.next(), Seen::Closed(..)));
}

#[test]
fn full_event_queue_applies_backpressure_to_fragments() {
    let _exclusive = exclusive();
    const QUEUE: usize = 64 << 10;
    let _library = Library::with_queue(QUEUE);
    let before = pool_stats().bytes_in_use;
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        for number in 0..20_000u32 {
            let mut payload = [0; 1000];
            payload[..4].copy_from_slice(&number.to_be_bytes());
            peer.send_frame(if number == 0 { 2 } else { 0 }, &payload);
        }
        peer.send_frame(0x80, b"");
        peer.send_close(1000, "");
        let _ = peer.read_close();
    });
    let client = Client::new(&server.url());
    client.enable_event(framewire::EventType::IncompleteFrame, true).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    // A message counts for slightly more than its 1,000 bytes.
    wait_until("a full queue", || pending() >= QUEUE / 1100);
    let held = pool_stats().bytes_in_use - before;
    assert!(held <= 8 * QUEUE as u64, "{held} bytes for a queue of {QUEUE}");
    let seen = client.until_end();
    assert_eq!(seen.len(), 20_002);
    for (number, event) in (0..20_000u32).zip(&seen) {
        let Seen::Frame { is_first, is_final: false, payload } = event else { panic!("{event:?}") };
        assert_eq!((*is_first, number_of(payload)), (number == 0, number));
    }
    assert_eq!(seen[20_000], Seen::Frame { is_first: false, is_final: true, payload: Vec::new() });
}
