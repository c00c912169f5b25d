//! Protocol violations of the server (RFC 6455): the client sends the right close code, reports one error, and
//! the connection ends.

#[path = "../common/mod.rs"]
mod common;

use std::sync::{Arc, mpsc};

use common::{Client, Seen, wait_until};
use framewire::{Code, Dispatch, ErrorKind, Phase, State, pool_stats};
use framewire_servers::Scripted;
use framewire_servers::scripted::Frame;

/// A server that sends this on an open connection and reports the client's close frame.
fn sending(bytes: Vec<u8>) -> (Scripted, mpsc::Receiver<Option<(u16, String)>>) {
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        peer.send(&bytes);
        let _ = report.send(peer.read_close());
    });
    (server, reported)
}

/// Checks that each of these gets its close code, and ends with one error of this kind.
fn assert_all_violate(cases: &[(&str, Vec<u8>, u16, ErrorKind)]) {
    let running: Vec<_> = cases
        .iter()
        .map(|(name, bytes, code, kind)| {
            let (server, reported) = sending(bytes.clone());
            let client = Client::opening(&server.url());
            (name, code, kind, client, server, reported)
        })
        .collect();
    for (name, code, kind, client, _server, reported) in running {
        let error = client.error();
        assert_eq!((error.kind, error.phase), (*kind, Phase::Open), "{name}: {error}");
        assert!(!error.retriable, "{name}: {error}");
        let (sent, reason) = reported.recv().unwrap().unwrap_or_else(|| panic!("{name}: no close frame"));
        assert_eq!(sent, *code, "{name}: {reason}");
        assert!(error.message.starts_with(&reason) && !reason.is_empty(), "{name}: {reason}");
    }
}

fn protocol(name: &'static str, bytes: &[u8]) -> (&'static str, Vec<u8>, u16, ErrorKind) {
    (name, bytes.to_vec(), 1002, ErrorKind::Protocol)
}

fn utf8(name: &'static str, bytes: &[u8]) -> (&'static str, Vec<u8>, u16, ErrorKind) {
    (name, bytes.to_vec(), 1007, ErrorKind::Utf8)
}

#[test]
fn invalid_frame_headers_close_with_1002() {
    assert_all_violate(&[
        protocol("reserved data opcode 3", b"\x83\x00"),
        protocol("reserved data opcode 7", b"\x87\x00"),
        protocol("reserved control opcode 11", b"\x8B\x00"),
        protocol("reserved control opcode 15", b"\x8F\x00"),
        protocol("RSV1 without an extension", b"\xC1\x01x"),
        protocol("RSV2", b"\xA1\x01x"),
        protocol("RSV3", b"\x91\x01x"),
        protocol("masked", b"\x81\x81\x00\x00\x00\x00x"),
        protocol("length 5 in 16 bits", b"\x82\x7E\x00\x05hello"),
        protocol("length 125 in 16 bits", b"\x82\x7E\x00\x7D"),
        protocol("length 65535 in 64 bits", b"\x82\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF"),
        protocol("length with its top bit set", b"\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00"),
    ]);
}

#[test]
fn long_or_fragmented_control_frames_close_with_1002() {
    assert_all_violate(&[
        protocol("fragmented ping", b"\x09\x01x"),
        protocol("fragmented pong", b"\x0A\x00"),
        protocol("fragmented close", b"\x08\x02\x03\xE8"),
        protocol("ping of 126 bytes", b"\x89\x7E\x00\x7E"),
        protocol("close of 126 bytes", b"\x88\x7E\x00\x7E"),
        protocol("pong of 64 bits", b"\x8A\x7F\x00\x00\x00\x00\x00\x01\x00\x00"),
    ]);
}

#[test]
fn interleaved_fragments_close_with_1002() {
    assert_all_violate(&[
        protocol("continuation without a message", b"\x80\x01x"),
        protocol("non-final continuation without a message", b"\x00\x01x"),
        protocol("text inside text", b"\x01\x01a\x81\x01b"),
        protocol("binary inside text", b"\x01\x01a\x02\x01b"),
        protocol("continuation after the end", b"\x01\x01a\x80\x01b\x80\x01c"),
        protocol("text inside text after a ping", b"\x01\x01a\x89\x00\x81\x01b"),
    ]);
}

#[test]
fn invalid_close_codes_close_with_1002() {
    let mut cases = vec![protocol("half a code", b"\x88\x01\x03")];
    for code in [0u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        let [high, low] = code.to_be_bytes();
        cases.push(protocol("code that must not be sent", &[0x88, 2, high, low]));
    }
    cases.push(utf8("a reason that is not UTF-8", b"\x88\x04\x03\xE8\xC3\x28"));
    assert_all_violate(&cases);
}

#[test]
fn invalid_utf8_closes_with_1007() {
    assert_all_violate(&[
        utf8("a lone continuation byte", b"\x81\x01\x80"),
        utf8("overlong", b"\x81\x02\xC0\xAF"),
        utf8("a surrogate", b"\x81\x03\xED\xA0\x80"),
        utf8("above U+10FFFF", b"\x81\x04\xF4\x90\x80\x80"),
        utf8("cut off at the end of the message", b"\x81\x02\xE2\x82"),
        utf8("cut off at the end of the last fragment", b"\x01\x01\xE2\x80\x01\x82"),
        utf8("wrong across fragments", b"\x01\x02\xE2\x82\x00\x01\x28"),
    ]);
}

#[test]
fn invalid_utf8_is_detected_in_an_incomplete_frame() {
    let large = |len: u64, before: usize| {
        let mut bytes = b"\x81\x7F".to_vec();
        bytes.extend(len.to_be_bytes());
        bytes.extend(vec![b'a'; before]);
        bytes.push(0xFF);
        bytes
    };
    assert_all_violate(&[
        utf8("in a small frame", b"\x81\x7D\xFF"),
        utf8("in a frame of 1000 bytes", b"\x81\x7E\x03\xE8abc\xF8"),
        utf8("in the first fragment", b"\x01\x7E\x03\xE8abc\xC0"),
        utf8("in a continuation", b"\x01\x02\xC3\xA4\x00\x7D\xE4\xBA\x41"),
        utf8("at the start of a megabyte", &large(1 << 20, 0)),
        utf8("in the middle of a megabyte", &large(1 << 20, 300_000)),
    ]);
}

#[test]
fn invalid_compressed_data_is_an_extension_error() {
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade_with("Sec-WebSocket-Extensions: permessage-deflate\r\n");
        // A stored block whose length does not match its complement.
        peer.send(b"\xC2\x06\x00\x01\x00\x01\x00x");
        let _ = report.send(peer.read_close());
    });
    let error = Client::opening(&server.url()).error();
    assert_eq!(
        (error.kind, error.phase, error.retriable),
        (ErrorKind::Extension, Phase::Open, false),
        "{error}"
    );
    assert_eq!(reported.recv().unwrap().map(|(code, _)| code), Some(1007));
}

#[test]
fn decompression_bomb_is_refused_early() {
    // Each fragment expands a thousandfold; the whole message would be a gigabyte.
    const FRAGMENT: usize = 1 << 20;
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    let mut compressed = Vec::with_capacity(FRAGMENT);
    deflate.compress_vec(&vec![0; FRAGMENT], &mut compressed, flate2::FlushCompress::Full).unwrap();
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade_with("Sec-WebSocket-Extensions: permessage-deflate\r\n");
        peer.send_frame(0x42, &compressed);
        (0..1_000).for_each(|_| peer.send_frame(0x00, &compressed));
        let _ = report.send(peer.read_close());
    });
    let client = Client::new(&server.url());
    client.set_max_message_size(4 << 20).unwrap();
    client.open().unwrap();
    let error = client.error();
    assert_eq!((error.kind, error.phase), (ErrorKind::TooLarge, Phase::Open), "{error}");
    assert_eq!(reported.recv().unwrap().map(|(code, _)| code), Some(1009));
    let stats = client.stats();
    assert!(stats.frames_received <= 5, "{stats:?}");
    // The other tests of this binary hold a few MiB at most.
    assert!(pool_stats().bytes_in_use < 64 << 20, "{:?}", pool_stats());
}

#[test]
fn flood_of_close_frames_gives_one_end_and_one_reply() {
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        peer.send(&b"\x88\x02\x03\xE8".repeat(200_000));
        let _ = report.send(std::iter::from_fn(|| peer.read_frame()).collect::<Vec<Frame>>());
    });
    let client = Client::opening(&server.url());
    assert_eq!(client.until_end(), [Seen::Open, Seen::Closed(1000, String::new())]);
    let replies = reported.recv().unwrap();
    assert_eq!(replies.iter().map(|frame| frame.opcode).collect::<Vec<_>>(), [8]);
    assert_eq!(client.stats().frames_received, 1);
}

#[test]
fn oversized_message_is_refused_at_its_header() {
    let bytes = |len: u64| {
        let mut bytes = b"\x82\x7F".to_vec();
        bytes.extend(len.to_be_bytes());
        bytes
    };
    let case = |name, bytes| (name, bytes, 1009, ErrorKind::TooLarge);
    assert_all_violate(&[
        case("2^40", bytes(1 << 40)),
        case("2^62", bytes(1 << 62)),
        case("one byte over the default", bytes((64 << 20) + 1)),
    ]);
}

#[test]
fn message_limit_is_exact_over_all_fragments() {
    let (server, reported) = sending(b"\x02\x06abcdef\x80\x05ghijk".to_vec());
    let client = Client::new(&server.url());
    client.set_max_message_size(10).unwrap();
    client.open().unwrap();
    assert_eq!(client.error().kind, ErrorKind::TooLarge);
    assert_eq!(reported.recv().unwrap().map(|(code, _)| code), Some(1009));

    let (server, _) = sending(b"\x02\x06abcdef\x80\x04ghij\x88\x00".to_vec());
    let client = Client::new(&server.url());
    client.set_max_message_size(10).unwrap();
    client.open().unwrap();
    let seen = client.until_end();
    assert_eq!(seen, [Seen::Open, Seen::Binary(b"abcdefghij".to_vec()), Seen::Closed(1005, String::new())]);
}

#[test]
fn announced_length_reserves_no_memory() {
    // Within the configured limit, so it is not refused; but only a small part of it is sent.
    const CONNECTIONS: usize = 8;
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send(b"\x82\x7F\x00\x00\x00\x00\x7F\xFF\xFF\xFF0123456789");
        peer.wait_for_end();
    });
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let client = Client::new(&server.url());
            client.set_max_message_size((1 << 31) - 1).unwrap();
            client.open().unwrap();
            assert_eq!(client.next(), Seen::Open);
            client
        })
        .collect();
    for client in &clients {
        wait_until("the header", || client.stats().frames_received == 1);
    }
    // Eight announced messages of 2 GiB; the other tests of this binary hold a few MiB at most.
    let stats = pool_stats();
    assert!(stats.bytes_in_use < 64 << 20, "{stats:?}");
}

#[test]
fn messages_before_a_violation_are_delivered() {
    let (_server, reported) = {
        let (server, reported) = sending(b"\x81\x03one\x82\x03two\x83\x00\x81\x05never".to_vec());
        let seen = Client::opening(&server.url()).until_end();
        assert_eq!(seen[..3], [Seen::Open, Seen::Text("one".into()), Seen::Binary(b"two".to_vec())]);
        assert_eq!(seen.len(), 4, "nothing after the violation: {seen:?}");
        (server, reported)
    };
    assert_eq!(reported.recv().unwrap().map(|(code, _)| code), Some(1002));
}

#[test]
fn connection_ends_after_a_violation_without_server_close() {
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send(b"\x83\x00");
        assert_eq!(peer.read_close().map(|(code, _)| code), Some(1002));
        assert!(peer.wait_for_end(), "the client kept the connection");
    });
    assert_eq!(Client::opening(&server.url()).error().kind, ErrorKind::Protocol);
}

/// A server that sends two messages and a violation, and reports every frame it receives.
fn sending_messages_and_a_violation() -> (Scripted, mpsc::Receiver<Vec<Frame>>) {
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        peer.send(b"\x81\x03one\x89\x04ping\x81\x03two\x83\x00\x81\x05never");
        let _ = report.send(std::iter::from_fn(|| peer.read_frame()).collect());
    });
    (server, reported)
}

/// With a close timeout long enough for slow machines.
fn with_long_close_timeout(server: &Scripted) -> Client {
    let client = Client::new(&server.url());
    client.set_close_timeout(120_000).unwrap();
    client
}

fn opened_with_long_close_timeout(server: &Scripted) -> Client {
    let client = with_long_close_timeout(server);
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    client
}

/// Checks for the pong and both replies, then the close frame.
fn assert_replies_precede_close(frames: &[Frame]) {
    let (close, replies) = frames.split_last().expect("frames were received");
    assert_eq!((close.opcode, &close.payload[..2]), (8, &1002u16.to_be_bytes()[..]));
    // A pong is sent before queued messages.
    let of =
        |opcode| replies.iter().filter(move |frame| frame.opcode == opcode).map(|frame| &frame.payload[..]);
    assert!(of(10).eq([b"ping"]));
    assert!(of(1).eq([b"one", b"two"]));
    assert_eq!(replies.len(), 3);
}

#[test]
fn worker_callback_replies_precede_the_close_after_a_violation() {
    for dispatch in [Dispatch::Worker, Dispatch::Poll] {
        let (server, reported) = sending_messages_and_a_violation();
        let client = with_long_close_timeout(&server);
        let (failed, seen) = mpsc::channel();
        client.set_dispatch(dispatch).unwrap();
        client.on_text(Some(Arc::new(|socket, text| socket.send_text(text).unwrap()))).unwrap();
        let on_error = move |socket: &framewire::Socket, error: &framewire::Error| {
            let _ = failed.send((error.kind, socket.state()));
        };
        client.on_error(Some(Arc::new(on_error))).unwrap();
        client.open().unwrap();
        let mut end = None;
        wait_until("the error", || {
            client.poll(0, 0).unwrap();
            end = seen.try_recv().ok();
            end.is_some()
        });
        assert_eq!(end, Some((ErrorKind::Protocol, State::Closed)), "{dispatch:?}");
        assert_replies_precede_close(&reported.recv().unwrap());
    }
}

#[test]
fn polled_replies_precede_the_close_after_a_violation() {
    let (server, reported) = sending_messages_and_a_violation();
    let client = opened_with_long_close_timeout(&server);
    wait_until("everything", || client.stats().frames_received == 3);
    for expected in ["one", "two"] {
        assert_eq!(client.next(), Seen::Text(expected.to_owned()));
        assert_eq!(client.state(), State::Open);
        client.send_text(expected).unwrap();
    }
    assert_eq!(client.error().kind, ErrorKind::Protocol);
    assert_eq!(client.send_text("late").map_err(|error| error.code), Err(Code::InvalidState));
    assert_replies_precede_close(&reported.recv().unwrap());
}

#[test]
fn close_after_a_violation_waits_at_most_the_close_timeout() {
    let (server, reported) = sending_messages_and_a_violation();
    let client = Client::new(&server.url());
    client.set_close_timeout(50).unwrap();
    client.open().unwrap();
    // No event is taken before this.
    let frames = reported.recv().unwrap();
    assert_eq!(frames.iter().map(|frame| frame.opcode).collect::<Vec<_>>(), [10, 8]);
    assert_eq!(client.state(), State::Closed);
    let seen = client.until_end();
    assert_eq!(seen[..3], [Seen::Open, Seen::Text("one".into()), Seen::Text("two".into())]);
    assert!(matches!(&seen[3..], [Seen::Error(_)]), "{seen:?}");
    // Remaining events of the first connection do not affect the next one.
    client.open().unwrap();
    assert_eq!(client.until_end().len(), 4);
}

#[test]
fn socket_can_be_closed_before_its_violation_is_delivered() {
    let act: [fn(&Client); 3] = [
        |client| client.close(1000, "enough").unwrap(),
        |client| client.abort().unwrap(),
        |client| client.destroy().unwrap(),
    ];
    for (number, act) in act.into_iter().enumerate() {
        let (server, reported) = sending_messages_and_a_violation();
        let client = opened_with_long_close_timeout(&server);
        wait_until("everything", || client.stats().frames_received == 3);
        act(&client);
        if number < 2 {
            let seen = client.until_end();
            assert_eq!(seen[..2], [Seen::Text("one".into()), Seen::Text("two".into())]);
            assert_eq!(seen.len(), 3, "{seen:?}");
        }
        let frames = reported.recv().unwrap();
        let closes = frames.iter().filter(|frame| frame.opcode == 8).count();
        // Abort sends nothing more.
        assert_eq!(closes, usize::from(number != 1), "{number}");
    }
}

#[test]
fn connection_can_be_lost_before_its_violation_is_delivered() {
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send(b"\x81\x03one\x83\x00");
        peer.read_frame();
        peer.reset();
    });
    let client = opened_with_long_close_timeout(&server);
    assert_eq!(client.next(), Seen::Text("one".into()));
    wait_until("the loss", || client.send_text("reply").is_err());
    assert_eq!(client.error().kind, ErrorKind::Protocol, "the violation came first");
}
