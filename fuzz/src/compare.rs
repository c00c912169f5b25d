//! Compares the session with `tungstenite`: the same bytes from a server give the same messages and
//! the same end, wherever they are split and truncated.

use std::io::{self, Read, Write};

use framewire::internals::session::MessageType;
use framewire::internals::wire::Violation;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use super::input::{Input, Pieces};
use super::reference::{self, CLOSE, PONG};
use super::script::{self, Driver, Event, switching};

/// The maximum input length for comparing every prefix.
const MAX_PREFIX_INPUT: usize = 256;
/// Reported for a close frame without a status code (RFC 6455 section 7.1.5).
const NO_STATUS: u16 = 1005;
/// Reported by tungstenite for a close frame with a code that it does not accept.
const REPLACED: (u16, &str) = (1002, "Protocol violation");

struct Settings {
    stream: bool,
    max_message_size: usize,
    cut: Pieces,
}

/// The result of one implementation.
#[derive(Clone, Debug, Default, PartialEq)]
struct Observed {
    messages: Vec<(MessageType, Vec<u8>)>,
    /// Payloads of the pings that were reported or answered.
    pings: Vec<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
    /// The code and the reason of the close frame; `None` if the connection failed.
    closed: Option<(u16, String)>,
    /// The code in the reply to the close frame, if there is one.
    close_reply: Option<u16>,
}

/// The input of `frames`: flags, an index of the size limit, a seed of the split positions, then the
/// server's bytes, after which the connection ends.
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
    let ends = if flags & 2 != 0 && wire.len() <= MAX_PREFIX_INPUT { 0 } else { wire.len() };
    for end in ends..=wire.len() {
        compare(&wire[..end], &settings);
    }
}

fn compare(wire: &[u8], settings: &Settings) {
    let (actual, other) = (run_session(wire, settings), run_tungstenite(wire, settings));
    let (expected, violation) = reference::read_server(wire, settings.max_message_size, false);
    let is_long = matches!(violation, Some(Violation::LengthNotMinimal | Violation::ControlTooLong));
    if is_long && actual.closed.is_none() {
        // Section 5.2: "the minimal number of bytes MUST be used", for control frames too, whose
        // length is one byte (section 5.5). tungstenite accepts longer forms.
        assert!(other.messages.starts_with(&actual.messages), "{actual:?}\n{other:?}");
        assert!(other.pongs.starts_with(&actual.pongs), "{actual:?}\n{other:?}");
        return;
    }
    assert_eq!(actual.messages, other.messages);
    assert_eq!(actual.pongs, other.pongs);
    // Only the latest ping needs a reply (section 5.5.3), and none after a violation.
    let mut pings = other.pings.iter();
    assert!(actual.pings.iter().all(|own| pings.any(|ping| ping == own)), "{actual:?}\n{other:?}");

    let code = expected.iter().find_map(|event| match event {
        reference::Received::Close(payload) => payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
        _ => None,
    });
    let replaced = other.closed.as_ref().is_some_and(|(code, reason)| (*code, reason.as_str()) == REPLACED);
    match (code, &actual.closed) {
        // Added to the IANA registry after RFC 6455; tungstenite does not accept it.
        (Some(1014), Some((1014, _))) => assert!(replaced, "{other:?}"),
        // Section 7.4: these codes must not be sent. We report a failed connection, tungstenite
        // reports 1002 as the server's code; both send the same reply.
        (Some(0..=999 | 1004..=1006 | 1015..=2999 | 5000..), None) if other.closed.is_some() => {
            assert!(replaced, "{other:?}");
        }
        _ => {
            assert_eq!(actual.closed, other.closed);
            if actual.closed.is_none() {
                // tungstenite leaves the close frame of section 7.1.7 to its caller.
                return;
            }
        }
    }
    if code != Some(1014) {
        assert_eq!(actual.close_reply, other.close_reply);
    }
}

fn run_session(wire: &[u8], settings: &Settings) -> Observed {
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
    let mut observed = Observed::default();
    let mut fragments = Vec::new();
    for event in &driver.events {
        match event.clone() {
            Event::Message(message_type, payload) => observed.messages.push((message_type, payload)),
            Event::Fragment { message_type, is_final, payload, .. } => {
                fragments.extend(payload);
                if is_final {
                    observed.messages.push((message_type, std::mem::take(&mut fragments)));
                }
            }
            Event::Pong(payload) => observed.pongs.push(payload),
            Event::Closed(code, reason) => observed.closed = Some((code, reason)),
            Event::Opened | Event::Failed(_) => {}
            Event::Refused { .. } => panic!("{event:?}"),
        }
    }
    (observed.pings, observed.close_reply) = sent_replies(&driver.wire);
    observed
}

fn run_tungstenite(wire: &[u8], settings: &Settings) -> Observed {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(settings.max_message_size))
        // This limit applies to control frames too.
        .max_frame_size(Some(settings.max_message_size.max(125)));
    let stream = Wire { incoming: wire, cut: settings.cut, outgoing: Vec::new() };
    let mut socket = WebSocket::from_raw_socket(stream, Role::Client, Some(config));
    let mut observed = Observed::default();
    while let Ok(message) = socket.read() {
        match message {
            Message::Text(text) => observed.messages.push((MessageType::Text, text.as_bytes().to_vec())),
            Message::Binary(payload) => observed.messages.push((MessageType::Binary, payload.to_vec())),
            Message::Ping(payload) => observed.pings.push(payload.to_vec()),
            Message::Pong(payload) => observed.pongs.push(payload.to_vec()),
            Message::Close(frame) => {
                observed.closed = Some(match frame {
                    Some(frame) => (frame.code.into(), frame.reason.to_string()),
                    None => (NO_STATUS, String::new()),
                });
                socket.flush().expect("writes to memory do not fail");
                break;
            }
            Message::Frame(frame) => panic!("{frame}"),
        }
    }
    observed.close_reply = sent_replies(&socket.get_ref().outgoing).1;
    observed
}

/// Returns the payloads of the sent pongs and the code of the sent close frame.
fn sent_replies(wire: &[u8]) -> (Vec<Vec<u8>>, Option<u16>) {
    let (frames, rest) = reference::read_client(wire);
    assert!(rest.is_empty(), "incomplete frame");
    let close = frames.iter().find(|frame| frame.opcode == CLOSE);
    let code = close.and_then(|frame| frame.payload.first_chunk()).map(|code| u16::from_be_bytes(*code));
    let pongs = frames.into_iter().filter(|frame| frame.opcode == PONG).map(|frame| frame.payload);
    (pongs.collect(), code)
}

/// A connection that delivers the server's bytes in pieces, then the end of stream.
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
