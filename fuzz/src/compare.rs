//! The session against `tungstenite`: the same bytes from a server give the same messages and the
//! same end, however they are cut and wherever they end.

use std::io::{self, Read, Write};

use framewire::internals::session::MessageType;
use framewire::internals::wire::Violation;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use super::input::{Input, Pieces};
use super::plain::{self, CLOSE, PONG};
use super::script::{self, Driver, Told, switching};

/// The most bytes of which every prefix is compared too.
const MOST_PREFIXES: usize = 256;
/// What the peer of a close frame without a status code is told (RFC 6455 section 7.1.5).
const NO_STATUS: u16 = 1005;
/// What tungstenite tells of a close frame with a code that it does not accept.
const REPLACED: (u16, &str) = (1002, "Protocol violation");

struct Settings {
    stream: bool,
    max_message_size: usize,
    cut: Pieces,
}

/// What one side made of the bytes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Heard {
    messages: Vec<(MessageType, Vec<u8>)>,
    /// Payloads of the pings that it was told of, or answered.
    pings: Vec<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
    /// The code and the reason of the close frame; `None` if the connection failed.
    closed: Option<(u16, String)>,
    /// The code in the answer to the close frame, if there is one.
    answer: Option<u16>,
}

/// The input of `frames`: a byte of flags, one for the limit, one that seeds the cuts, then what
/// the server sends before it ends the connection.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let max_message_size = input.one_of([1 << 20, 70_000, 1000, 125, 1, 0]);
    let cut = match input.byte() {
        0 => Pieces::Whole,
        1 => Pieces::Single,
        seed => Pieces::random(seed),
    };
    let settings = Settings { stream: flags & 1 != 0, max_message_size, cut };
    let wire = input.rest();
    let ends = if flags & 2 != 0 && wire.len() <= MOST_PREFIXES { 0 } else { wire.len() };
    for end in ends..=wire.len() {
        compare(&wire[..end], &settings);
    }
}

fn compare(wire: &[u8], settings: &Settings) {
    let (ours, theirs) = (ours(wire, settings), theirs(wire, settings));
    let (expected, violation) = plain::read_server(wire, settings.max_message_size, false);
    let is_long = matches!(violation, Some(Violation::LengthNotMinimal | Violation::ControlTooLong));
    if is_long && ours.closed.is_none() {
        // Section 5.2: "the minimal number of bytes MUST be used", for control frames too, whose
        // length is one byte (section 5.5). Theirs reads on.
        assert!(theirs.messages.starts_with(&ours.messages), "{ours:?}\n{theirs:?}");
        assert!(theirs.pongs.starts_with(&ours.pongs), "{ours:?}\n{theirs:?}");
        return;
    }
    assert_eq!(ours.messages, theirs.messages);
    assert_eq!(ours.pongs, theirs.pongs);
    // Only the latest ping needs an answer (section 5.5.3), and none needs it behind a violation.
    let mut pings = theirs.pings.iter();
    assert!(ours.pings.iter().all(|own| pings.any(|ping| ping == own)), "{ours:?}\n{theirs:?}");

    let code = expected.iter().find_map(|told| match told {
        plain::Told::Close(payload) => payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
        _ => None,
    });
    let replaced = theirs.closed.as_ref().is_some_and(|(code, reason)| (*code, reason.as_str()) == REPLACED);
    match (code, &ours.closed) {
        // In the registry of codes since RFC 6455 was written; theirs does not know it.
        (Some(1014), Some((1014, _))) => assert!(replaced, "{theirs:?}"),
        // Section 7.4: these MUST NOT be set by an endpoint, or are not to be used. Ours reports
        // a failed connection, theirs a close frame that the server did not send; the server
        // gets the same answer.
        (Some(0..=999 | 1004..=1006 | 1015..=2999 | 5000..), None) if theirs.closed.is_some() => {
            assert!(replaced, "{theirs:?}");
        }
        _ => {
            assert_eq!(ours.closed, theirs.closed);
            if ours.closed.is_none() {
                // Theirs leaves the close frame of section 7.1.7 to its caller.
                return;
            }
        }
    }
    if code != Some(1014) {
        assert_eq!(ours.answer, theirs.answer);
    }
}

fn ours(wire: &[u8], settings: &Settings) -> Heard {
    let session = framewire::internals::session::Settings {
        max_message_size: settings.max_message_size,
        ..script::settings()
    };
    let mut driver = Driver::new(&session);
    driver.feed(&switching(""), Pieces::Whole);
    driver.stream = settings.stream;
    driver.feed(wire, settings.cut);
    driver.flush(Pieces::Whole);
    if !driver.is_over() {
        driver.end();
    }
    let mut heard = Heard::default();
    let mut begun = Vec::new();
    for told in &driver.told {
        match told.clone() {
            Told::Message(message_type, payload) => heard.messages.push((message_type, payload)),
            Told::Fragment { message_type, is_final, payload, .. } => {
                begun.extend(payload);
                if is_final {
                    heard.messages.push((message_type, std::mem::take(&mut begun)));
                }
            }
            Told::Pong(payload) => heard.pongs.push(payload),
            Told::Closed(code, reason) => heard.closed = Some((code, reason)),
            Told::Opened | Told::Failed(_) => {}
            Told::Refused { .. } => panic!("{told:?}"),
        }
    }
    (heard.pings, heard.answer) = answers(&driver.wire);
    heard
}

fn theirs(wire: &[u8], settings: &Settings) -> Heard {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(settings.max_message_size))
        // This limit holds for control frames too.
        .max_frame_size(Some(settings.max_message_size.max(125)));
    let stream = Wire { incoming: wire, cut: settings.cut, outgoing: Vec::new() };
    let mut socket = WebSocket::from_raw_socket(stream, Role::Client, Some(config));
    let mut heard = Heard::default();
    while let Ok(message) = socket.read() {
        match message {
            Message::Text(text) => heard.messages.push((MessageType::Text, text.as_bytes().to_vec())),
            Message::Binary(payload) => heard.messages.push((MessageType::Binary, payload.to_vec())),
            Message::Ping(payload) => heard.pings.push(payload.to_vec()),
            Message::Pong(payload) => heard.pongs.push(payload.to_vec()),
            Message::Close(frame) => {
                heard.closed = Some(match frame {
                    Some(frame) => (frame.code.into(), frame.reason.to_string()),
                    None => (NO_STATUS, String::new()),
                });
                socket.flush().expect("the network takes everything");
                break;
            }
            Message::Frame(frame) => panic!("{frame}"),
        }
    }
    heard.answer = answers(&socket.get_ref().outgoing).1;
    heard
}

/// The payloads of the pongs that were sent, and the code of the close frame.
fn answers(wire: &[u8]) -> (Vec<Vec<u8>>, Option<u16>) {
    let (frames, rest) = plain::read_client(wire);
    assert!(rest.is_empty(), "half a frame");
    let close = frames.iter().find(|frame| frame.opcode == CLOSE);
    let code = close.and_then(|frame| frame.payload.first_chunk()).map(|code| u16::from_be_bytes(*code));
    let pongs = frames.into_iter().filter(|frame| frame.opcode == PONG).map(|frame| frame.payload);
    (pongs.collect(), code)
}

/// A connection on which the server's bytes come in pieces and then end.
struct Wire<'a> {
    incoming: &'a [u8],
    cut: Pieces,
    outgoing: Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Ok(0);
        }
        let count = self.cut.next(self.incoming.len()).min(into.len());
        self.incoming.read(&mut into[..count])
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
