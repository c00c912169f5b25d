//! The replay server, with a client that sends and reads frames.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::only_session;
use super::sample::{self, COMPRESSED, RESPONSE, Talk, compressed, compressor};
use crate::frames::{self, Frame};
use crate::{Options, Played, Replay, Session, Side};
use Side::{Client as FromClient, Server as FromServer};

const FAST: Options = Options { speed: 0.0, by_clock: false };

/// A client that sends frames one by one.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    head: String,
}

impl Client {
    fn connect(replay: &Replay) -> Self {
        Self::requesting(replay, sample::REQUEST)
    }

    fn requesting(replay: &Replay, request: &str) -> Self {
        let mut stream = TcpStream::connect(replay.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut client = Self { stream, received: Vec::new(), head: String::new() };
        let end = loop {
            if let Some(start) = client.received.windows(4).position(|end| end == b"\r\n\r\n") {
                break start + 4;
            }
            if !client.read() {
                return client;
            }
        };
        client.head = String::from_utf8(client.received.drain(..end).collect()).unwrap();
        client
    }

    /// Returns false at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "a read took too long");
                false
            }
        }
    }

    fn send(&mut self, first_byte: u8, payload: &[u8]) {
        self.stream.write_all(&sample::frame(FromClient, first_byte, payload)).unwrap();
    }

    /// Reads the next frame, or the end.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let frames::Parsed::Frame(frame, length) = Frame::parse(&self.received) {
                self.received.drain(..length);
                return Some((frame.opcode, frame.payload));
            }
            if !self.read() {
                return None;
            }
        }
    }
}

fn replay(talk: &Talk, options: Options) -> Replay {
    Replay::start(vec![only_session(&talk.file())], options).unwrap()
}

fn played(replay: Replay) -> Played {
    let mut played = replay.finish();
    assert_eq!(played.len(), 1);
    played.remove(0)
}

/// Greets, answers two messages, and completes a close.
fn chat() -> Talk {
    let mut talk = Talk::opened(RESPONSE);
    talk.frame(FromServer, 0x81, b"welcome");
    for number in [b"1", b"2"] {
        talk.frame(FromClient, 0x82, number);
        talk.frame(FromServer, 0x82, number);
    }
    talk.frame(FromClient, 0x88, b"\x03\xe8bye");
    talk.frame(FromServer, 0x88, b"\x03\xe8bye");
    talk.segment(FromServer, "FA", b"");
    talk
}

#[test]
fn same_client_sees_the_recorded_session() {
    let replay = replay(&chat(), FAST);
    assert_eq!(replay.url(), format!("ws://{}/play?room=7", replay.address()));
    let mut client = Client::connect(&replay);
    assert!(client.head.contains("Sec-WebSocket-Protocol: game.v2"), "{}", client.head);
    assert!(
        client.head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{}",
        client.head
    );
    assert_eq!(client.next(), Some((1, b"welcome".to_vec())));
    for number in [b"1", b"2"] {
        client.send(0x82, number);
        assert_eq!(client.next(), Some((2, number.to_vec())));
    }
    client.send(0x88, b"\x03\xe8bye");
    assert_eq!(client.next(), Some((8, b"\x03\xe8bye".to_vec())));
    assert_eq!(client.next(), None);
    drop(client);
    assert!(replay.wait(Some(Duration::from_secs(20))));
    assert_eq!(played(replay), Played { sent: 4, received: 2, ..Played::default() });
}

#[test]
fn accept_value_is_that_of_the_new_key() {
    let replay = replay(&chat(), FAST);
    let request = sample::REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA==");
    let client = Client::requesting(&replay, &request);
    assert!(
        client.head.contains("Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n"),
        "{}",
        client.head
    );
}

#[test]
fn server_waits_for_the_message_that_it_answered() {
    let replay = replay(&chat(), FAST);
    let mut client = Client::connect(&replay);
    assert_eq!(client.next(), Some((1, b"welcome".to_vec())));
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(client.stream.read(&mut [0; 1]).is_err());
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.send(0x82, b"1");
    assert_eq!(client.next(), Some((2, b"1".to_vec())));
}

#[test]
fn by_the_clock_nothing_waits_for_the_client() {
    let mut talk = chat();
    talk.packets.pop();
    let replay = replay(&talk, Options { speed: 1.0, by_clock: true });
    let before = Instant::now();
    let mut client = Client::connect(&replay);
    for expected in [(1, &b"welcome"[..]), (2, b"1"), (2, b"2"), (8, b"\x03\xe8bye")] {
        assert_eq!(client.next(), Some((expected.0, expected.1.to_vec())));
    }
    // The recorded server sent it 70 ms after the response.
    assert!(before.elapsed() >= Duration::from_millis(70));
    client.send(0x88, b"\x03\xe8");
    assert_eq!(client.next(), None);
    drop(client);
    assert_eq!(
        played(replay).differences,
        [
            "the client closed with 1000 \"\", recorded was 1000 \"bye\"",
            "the client sent 0 of 2 recorded messages",
        ]
    );
}

#[test]
fn speed_scales_the_recorded_delays() {
    let mut talk = Talk::opened(RESPONSE);
    talk.time_ms += 10_000;
    talk.frame(FromServer, 0x81, b"late");
    let replay = replay(&talk, Options { speed: 50.0, by_clock: false });
    let before = Instant::now();
    let mut client = Client::connect(&replay);
    assert_eq!(client.next(), Some((1, b"late".to_vec())));
    assert!(before.elapsed() >= Duration::from_millis(200));
    assert!(before.elapsed() < Duration::from_secs(9));
}

#[test]
fn compressed_frames_are_sent_as_they_were() {
    let mut talk = Talk::opened(COMPRESSED);
    let mut state = compressor();
    let payloads = [compressed(&mut state, b"some text"), compressed(&mut state, b"some text")];
    for payload in &payloads {
        talk.frame(FromServer, 0xC1, payload);
    }
    talk.frame(FromClient, 0xC1, &compressed(&mut compressor(), b"reply"));
    let replay = replay(&talk, FAST);
    let mut client = Client::connect(&replay);
    assert!(client.head.contains("permessage-deflate; client_no_context_takeover"), "{}", client.head);
    for payload in payloads {
        assert_eq!(client.next(), Some((1, payload)));
    }
    client.send(0xC1, &compressed(&mut compressor(), b"reply"));
    drop(client);
    assert_eq!(played(replay).differences, Vec::<String>::new());
}

#[test]
fn each_ping_has_the_recorded_pong_or_none() {
    let mut talk = Talk::opened(RESPONSE);
    talk.frame(FromClient, 0x89, b"recorded 1");
    talk.frame(FromServer, 0x8A, b"recorded 1");
    talk.frame(FromClient, 0x89, b"recorded 2");
    // An unsolicited one.
    talk.frame(FromServer, 0x8A, b"heartbeat");
    talk.frame(FromServer, 0x81, b"end");
    let replay = replay(&talk, FAST);
    let mut client = Client::connect(&replay);
    assert_eq!(client.next(), Some((10, b"heartbeat".to_vec())));
    assert_eq!(client.next(), Some((1, b"end".to_vec())));
    client.send(0x89, b"one");
    assert_eq!(client.next(), Some((10, b"one".to_vec())));
    client.send(0x89, b"two");
    client.send(0x89, b"three");
    client.send(0x88, b"");
    assert_eq!(client.next(), Some((8, Vec::new())));
}

#[test]
fn reset_is_a_reset() {
    let mut talk = Talk::opened(RESPONSE);
    talk.frame(FromClient, 0x81, b"a");
    talk.frame(FromServer, 0x81, b"b");
    talk.send(FromServer, b"\x82\x7e");
    talk.segment(FromServer, "RA", b"");
    let replay = replay(&talk, FAST);
    let mut client = Client::connect(&replay);
    client.send(0x81, b"a");
    assert_eq!(client.next(), Some((1, b"b".to_vec())));
    let mut rest = Vec::new();
    let error = client.stream.read_to_end(&mut rest).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(played(replay), Played { sent: 2, received: 1, ..Played::default() });
}

#[test]
fn refusal_is_sent_with_its_body() {
    let mut talk = Talk::opened("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nbanned");
    talk.segment(FromServer, "FA", b"");
    let replay = replay(&talk, FAST);
    let mut client = Client::connect(&replay);
    assert!(client.head.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    while client.read() {}
    assert_eq!(client.received, b"banned");
}

#[test]
fn redirect_leads_to_the_replay() {
    let talk = Talk::opened(
        "HTTP/1.1 302 Found\r\nLocation: wss://other.example/there?x\r\nContent-Length: 0\r\n\r\n",
    );
    let replay = replay(&talk, FAST);
    let client = Client::connect(&replay);
    assert_eq!(
        client.head,
        format!(
            "HTTP/1.1 302 Found\r\nLocation: ws://{}/there?x\r\nContent-Length: 0\r\n\r\n",
            replay.address()
        )
    );
}

#[test]
fn replay_on_all_addresses_can_be_dropped() {
    let sessions = vec![only_session(&chat().file())];
    let replay = Replay::listen("0.0.0.0:0", sessions, FAST, Box::new(|_| {})).unwrap();
    assert!(!replay.wait(Some(Duration::from_millis(10))));
    drop(replay);
}

#[test]
fn response_that_is_none_is_sent() {
    let replay = replay(&Talk::opened("SSH-2.0-OpenSSH\r\n\r\n"), FAST);
    assert_eq!(Client::connect(&replay).head, "SSH-2.0-OpenSSH\r\n\r\n");
}

#[test]
fn differences_name_both_sides() {
    let notices = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let own = notices.clone();
    let sessions = vec![only_session(&chat().file())];
    let on_notice = Box::new(move |notice: &crate::Notice| own.lock().unwrap().push(notice.clone()));
    let replay = Replay::listen("127.0.0.1:0", sessions, FAST, on_notice).unwrap();
    let mut client = Client::requesting(&replay, &sample::REQUEST.replace("chat, game.v2", "game.v2"));
    client.send(0x81, b"not 1");
    client.send(0x82, b"2");
    client.send(0x82, b"3");
    for _ in 0..3 {
        client.next().unwrap();
    }
    drop(client);
    let expected = [
        "Sec-WebSocket-Protocol of the request is \"game.v2\", recorded was \"chat, game.v2\"",
        "message 1 of the client is text of 5 bytes (\"not 1\"), recorded was binary of 1 bytes (31)",
        "message 3 of the client, binary of 1 bytes (33), is not recorded",
        "the client did not close, recorded was 1000 \"bye\"",
        "the client ended before 1 frames were sent",
    ];
    assert_eq!(played(replay).differences, expected);
    let notices = notices.lock().unwrap();
    let differences = notices.iter().filter(|notice| notice.is_difference).map(|notice| notice.text.as_str());
    assert!(differences.eq(expected));
    assert!(notices[0].text.ends_with(" connected to /play?room=7"), "{notices:?}");
    assert_eq!(notices.last().unwrap().text, "ended: 3 frames sent, 3 messages received");
}

#[test]
fn early_close_is_completed() {
    let mut talk = Talk::opened(RESPONSE);
    talk.frame(FromClient, 0x81, b"a");
    talk.frame(FromServer, 0x81, b"b");
    let replay = replay(&talk, FAST);
    let mut client = Client::connect(&replay);
    client.send(0x88, b"\x03\xe9");
    assert_eq!(client.next(), Some((8, b"\x03\xe9".to_vec())));
    assert_eq!(client.next(), None);
    drop(client);
    let played = played(replay);
    assert_eq!((played.sent, played.left_out), (1, 1));
    assert_eq!(played.differences[0], "the client closed with 1001 \"\", which is not recorded");
}

#[test]
fn connections_play_the_session_of_their_path() {
    let session = |path: &str, text: &[u8]| -> Session {
        let mut talk = Talk::opened(RESPONSE);
        talk.frame(FromServer, 0x81, text);
        let mut session = only_session(&talk.file());
        session.request.target = path.to_owned();
        session
    };
    let sessions = vec![session("/a", b"a1"), session("/b", b"b"), session("/a", b"a2")];
    let numbers = std::sync::Arc::new(std::sync::Mutex::new([0; 3]));
    let own = numbers.clone();
    let on_notice = Box::new(move |notice: &crate::Notice| own.lock().unwrap()[notice.session] += 1);
    let replay = Replay::listen("127.0.0.1:0", sessions, FAST, on_notice).unwrap();
    let texts = ["/b", "/a", "/other"].map(|path| {
        let request = sample::REQUEST.replace("/play?room=7", path);
        Client::requesting(&replay, &request).next().unwrap().1
    });
    assert_eq!(texts, [b"b".to_vec(), b"a1".to_vec(), b"a2".to_vec()]);
    // All are played: further connections end without a response.
    assert_eq!(Client::connect(&replay).head, "");
    assert!(replay.wait(Some(Duration::from_secs(20))));
    assert_eq!(replay.finish().len(), 3);
    // Connected and ended; the third also has another path.
    assert_eq!(*numbers.lock().unwrap(), [2, 2, 3]);
}
