//! Sending: order, limits, masking, fragmentation, pings.

#[path = "../common/mod.rs"]
mod common;

use std::collections::HashSet;
use std::io::Read;
use std::sync::{Arc, Mutex, mpsc};

use common::{Client, Seen, wait_until};
use framewire::{Code, Socket};
use framewire_servers::{EchoServer, Scripted};

/// A server that reads nothing after the upgrade until it is released; then it reports every frame.
fn paused_server() -> (Scripted, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
    let (go, released) = mpsc::channel::<()>();
    let (report, reported) = mpsc::channel();
    let released = Mutex::new(released);
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let _ = released.lock().unwrap().recv();
        while let Some(frame) = peer.read_frame() {
            if frame.opcode == 8 {
                peer.send_close(1000, "");
                return;
            }
            let _ = report.send(frame.payload);
        }
    });
    (server, go, reported)
}

/// Sends until the queue is full. Returns the number of accepted messages.
fn send_until_refused(socket: &Socket, size: usize) -> u32 {
    for number in 0u32.. {
        let mut payload = vec![0; size];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        match socket.send_binary(&payload) {
            Ok(()) => {}
            Err(refused) => {
                assert_eq!(refused.code, Code::WouldBlock, "{refused}");
                return number;
            }
        }
    }
    unreachable!("the queue is bounded")
}

#[test]
fn sends_keep_order_per_thread() {
    const THREADS: u32 = 4;
    const MESSAGES: u32 = 5_000;
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/"));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let socket: &Socket = &client;
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    socket.send_text(&format!("{thread} {number}")).unwrap();
                }
            });
        }
    });
    let mut next = [0; THREADS as usize];
    for _ in 0..THREADS * MESSAGES {
        let Seen::Text(text) = client.next() else { panic!("not a text") };
        let (thread, number) = text.split_once(' ').unwrap();
        let (thread, number): (usize, u32) = (thread.parse().unwrap(), number.parse().unwrap());
        assert_eq!(number, next[thread], "of thread {thread}");
        next[thread] += 1;
    }
    assert_eq!(next, [MESSAGES; THREADS as usize]);
}

#[test]
fn refused_sends_are_never_sent_and_others_once() {
    const LIMIT: usize = 1 << 20;
    const SIZE: usize = 10_000;
    let (server, go, reported) = paused_server();
    let client = Client::opened(&server.url());
    client.set_max_buffered_amount(LIMIT).unwrap();
    // The server does not read: the socket buffers fill, then the send queue, and then every send is refused
    // except for what the system still accepts meanwhile.
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for number in 0u32.. {
        let mut payload = vec![0; SIZE];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        match client.send_binary(&payload) {
            Ok(()) => accepted.push(number),
            Err(error) => {
                assert_eq!(error.code, Code::WouldBlock, "{error}");
                refused += 1;
            }
        }
        assert!(client.buffered_amount() < LIMIT + SIZE, "exceeded by more than one message");
        if refused == 100 {
            break;
        }
    }
    go.send(()).unwrap();
    wait_until("an empty queue", || client.buffered_amount() == 0);
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1000);
    drop(server);
    let received: Vec<Vec<u8>> = reported.try_iter().collect();
    assert!(received.iter().all(|payload| payload.len() == SIZE));
    let received: Vec<u32> =
        received.iter().map(|payload| u32::from_be_bytes(payload[..4].try_into().unwrap())).collect();
    assert_eq!(received, accepted);
}

#[test]
fn buffered_amount_counts_payload_and_returns_to_zero() {
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/"));
    assert_eq!(client.buffered_amount(), 0);
    for size in [0, 1, 100, 40_000, 1_000_000] {
        client.send_binary(&vec![1; size]).unwrap();
        assert_eq!(client.next(), Seen::Binary(vec![1; size]));
        assert_eq!(client.buffered_amount(), 0, "{size}");
    }
    assert_eq!(client.stats().messages_sent, 5);
}

#[test]
fn unsent_queue_is_dropped_with_the_connection() {
    let (server, go, _reported) = paused_server();
    let client = Client::opened(&server.url());
    client.set_max_buffered_amount(1 << 20).unwrap();
    send_until_refused(&client, 10_000);
    client.abort().unwrap();
    assert_eq!(client.closed().0, 1006);
    assert_eq!(client.buffered_amount(), 0);
    go.send(()).unwrap();
}

#[test]
fn control_frames_are_sent_between_fragments() {
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let mut frames = Vec::new();
        let mut pinged = false;
        while let Some(frame) = peer.read_frame() {
            let done = frame.fin && frame.opcode < 8;
            if !pinged {
                // In the middle of the message: the pong must not wait for its end.
                peer.send(b"\x89\x03hey");
                pinged = true;
            }
            frames.push(frame);
            if done {
                break;
            }
        }
        let _ = report.send(frames);
        peer.wait_for_end();
    });
    let client = Client::opened(&server.url());
    client.set_max_fragment_size(1000).unwrap();
    let message: Vec<u8> = (0..20_000_001).map(|n| (n % 251) as u8).collect();
    client.send_binary(&message).unwrap();
    let frames = reported.recv().unwrap();
    let (control, data): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| frame.opcode >= 8);
    assert_eq!(data.len(), 20_001);
    assert_eq!(data[0].opcode, 2);
    assert!(data[1..].iter().all(|frame| frame.opcode == 0));
    assert!(data.iter().all(|frame| frame.payload.len() <= 1000 && frame.rsv == 0));
    assert_eq!(data.iter().filter(|frame| frame.fin).count(), 1);
    let assembled: Vec<u8> = data.iter().flat_map(|frame| frame.payload.iter().copied()).collect();
    assert!(assembled == message, "the fragments form a different message");
    assert_eq!(control.len(), 1, "the pong is sent between the fragments");
    assert_eq!((control[0].opcode, &control[0].payload[..]), (10, &b"hey"[..]));
}

#[test]
fn every_frame_has_its_own_mask_key() {
    const FRAMES: usize = 500;
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let mut keys = Vec::new();
        let mut stream = peer.stream();
        for _ in 0..FRAMES {
            // A masked frame of four zero bytes shows its key as its payload.
            let mut frame = [0; 10];
            stream.read_exact(&mut frame).unwrap();
            assert_eq!(frame[..2], [0x82, 0x84]);
            assert_eq!(frame[2..6], frame[6..10]);
            keys.push(<[u8; 4]>::try_from(&frame[2..6]).unwrap());
        }
        let _ = report.send(keys);
        peer.wait_for_end();
    });
    let client = Client::opened(&server.url());
    for number in 0..FRAMES {
        if number % 2 == 0 {
            client.send_binary(&[0; 4]).unwrap();
        } else {
            client.send_binary_segment(framewire::Segment::copy_of(&[0; 4]).unwrap()).unwrap();
        }
    }
    let keys = reported.recv().unwrap();
    let different: HashSet<_> = keys.iter().collect();
    // Two of 500 random keys are equal in one of 34,000 runs; two pairs practically never.
    assert!(different.len() >= FRAMES - 1, "{} of {FRAMES}", different.len());
}

#[test]
fn pings_are_answered_with_pongs() {
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/"));
    client.ping(b"are you there").unwrap();
    assert_eq!(client.next(), Seen::Pong(b"are you there".to_vec()));
    client.ping(b"").unwrap();
    assert_eq!(client.next(), Seen::Pong(Vec::new()));
    assert_eq!(client.ping(&[0; 126]).unwrap_err().code, Code::TooLarge);
    assert_eq!((client.stats().pings_sent, client.stats().pongs_received), (2, 2));
}

#[test]
fn server_pings_are_answered_with_their_payload() {
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/ping?data=echo-this"));
    assert_eq!(client.next(), Seen::Text("echo-this".into()));
}

#[test]
fn sends_before_open_and_after_close_are_refused() {
    let echo = EchoServer::start();
    let client = Client::new(&echo.url("/"));
    let refused = |client: &Client| {
        assert_eq!(client.send_text("x").unwrap_err().code, Code::InvalidState);
        assert_eq!(client.send_binary(b"x").unwrap_err().code, Code::InvalidState);
        let segment = framewire::Segment::copy_of(b"x").unwrap();
        assert_eq!(client.send_binary_segment(segment).unwrap_err().code, Code::InvalidState);
        assert_eq!(client.ping(b"").unwrap_err().code, Code::InvalidState);
    };
    let reason = |client: &Client| client.send_text("x").unwrap_err().message;
    refused(&client);
    assert!(reason(&client).ends_with("it is closed; open it, and send after the event open"));
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    client.send_text("once").unwrap();
    client.close(1000, "").unwrap();
    refused(&client);
    assert!(reason(&client).contains("opened again"));
    assert_eq!(client.until_end(), [Seen::Text("once".into()), Seen::Closed(1000, String::new())]);
    refused(&client);
}

#[test]
fn invalid_calls_send_nothing() {
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/"));
    let bad = framewire::Segment::copy_of(b"\xFF").unwrap();
    assert_eq!(client.send_text_segment(bad).unwrap_err().code, Code::InvalidUtf8);
    for code in [1, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        assert_eq!(client.close(code, "").unwrap_err().code, Code::InvalidArgument, "{code}");
    }
    assert_eq!(client.close(1000, &"x".repeat(124)).unwrap_err().code, Code::TooLarge);
    assert!(client.is_open());
    client.close(4999, &"x".repeat(123)).unwrap();
    assert_eq!(client.closed(), (4999, "x".repeat(123)));
}

#[test]
fn shared_segments_arrive_intact() {
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/"));
    let bytes: Vec<u8> = (0..100_000).map(|n| (n % 241) as u8).collect();
    let segment = framewire::Segment::copy_of(&bytes).unwrap();
    for _ in 0..3 {
        client.send_binary_segment(segment.clone()).unwrap();
        assert_eq!(client.next(), Seen::Binary(bytes.clone()));
        assert!(segment.as_slice() == bytes, "masked while another reference exists");
    }
    client.send_binary_segment(segment).unwrap();
    assert_eq!(client.next(), Seen::Binary(bytes));
    client.send_text_segment(framewire::Segment::copy_of("grüße".as_bytes()).unwrap()).unwrap();
    assert_eq!(client.next(), Seen::Text("grüße".into()));
}

#[test]
fn stalled_server_does_not_affect_other_sockets() {
    let (server, go, _reported) = paused_server();
    let echo = EchoServer::start();
    let (stalled, other) = (Client::opened(&server.url()), Client::opened(&echo.url("/")));
    stalled.set_max_buffered_amount(1 << 20).unwrap();
    send_until_refused(&stalled, 10_000);
    for number in 0..100 {
        other.send_text(&number.to_string()).unwrap();
        assert_eq!(other.next(), Seen::Text(number.to_string()));
    }
    assert!(stalled.is_open());
    go.send(()).unwrap();
    wait_until("the stalled queue", || stalled.buffered_amount() == 0);
}

#[test]
fn sends_in_worker_callbacks_keep_order() {
    let echo = EchoServer::start();
    let client = Client::new(&echo.url("/"));
    client.set_dispatch(framewire::Dispatch::Worker).unwrap();
    let (report, reported) = mpsc::channel();
    client
        .on_open(Some(Arc::new(|socket| {
            for number in 0..100 {
                socket.send_text(&number.to_string()).unwrap();
            }
        })))
        .unwrap();
    client.on_text(Some(Arc::new(move |_, text| drop(report.send(text.to_owned()))))).unwrap();
    client.open().unwrap();
    let received: Vec<String> = reported.into_iter().take(100).collect();
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(received, expected);
}
