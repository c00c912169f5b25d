//! Captures as fixtures: the library against a server that replays a recorded one.
//!
//! The files in `tests/captures` were recorded with the clients and servers of `recorded.rs`. To record them again, copy
//! the files that `recording_again_equals_the_committed_captures` writes to `target/tmp/captures`.

#[path = "../common/mod.rs"]
mod common;
mod recorded;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Seen;
use framewire::{Compression, ErrorKind, Phase};
use framewire_captures::{Capture, End, Message, Options, Played, Replay, Session, Side, read_file};

use recorded::{RECORDINGS, bad_session, chat, reconnecting, record};

const FAST: Options = Options { speed: 0.0, by_clock: false };

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures")).join(name)
}

fn capture(name: &str) -> Capture {
    let capture = read_file(path(name)).expect("the file is committed");
    assert_eq!(capture.warnings, Vec::<String>::new());
    capture
}

fn replay(capture: &Capture) -> Replay {
    Replay::start(capture.sessions.clone(), FAST).expect("the loopback address has a free port")
}

/// Checks that the client did what the recorded one did.
fn check_played(replay: Replay) -> Vec<Played> {
    assert!(replay.wait(Some(common::TIMEOUT)), "not every session was played");
    let mut played = replay.finish();
    played.sort_by_key(|played| played.session);
    for played in &played {
        assert_eq!((played.left_out, played.differences.as_slice()), (0, &[][..]));
    }
    played
}

/// The messages of one side.
fn messages(session: &Session, from: Side) -> Vec<Message> {
    let messages = session.messages().map(|message| message.expect("it can be decoded"));
    messages.filter(|message| message.from == from).collect()
}

/// What the application received in a recorded session.
fn received(session: &Session) -> Vec<Seen> {
    let seen = |message: Message| match String::from_utf8(message.payload) {
        Ok(text) if message.is_text => Seen::Text(text),
        Ok(bytes) => Seen::Binary(bytes.into()),
        Err(error) => Seen::Binary(error.into_bytes()),
    };
    let opened = session.response.iter().map(|_| Seen::Open);
    opened.chain(messages(session, Side::Server).into_iter().map(seen)).collect()
}

#[test]
fn replayed_session_equals_the_recorded_one() {
    let capture = capture("chat.pcapng");
    let [session] = capture.sessions.as_slice() else { panic!("one session") };
    assert!(session.compression.is_some());
    let server = messages(session, Side::Server);
    assert!(server.len() >= 5 && server.iter().any(|message| message.is_compressed));
    let mut expected = received(session);
    let (code, reason) = session.close(Side::Server).unwrap();
    expected.push(Seen::Closed(code, reason));

    let replay = replay(&capture);
    assert_eq!(chat(&replay.url(), None), expected);
    let played = check_played(replay);
    assert_eq!(played[0].received, messages(session, Side::Client).len());
}

#[test]
fn replay_at_the_recorded_speed_takes_as_long() {
    let capture = capture("chat.pcapng");
    let session = &capture.sessions[0];
    let last = session.records.last().unwrap().time;
    let replay = Replay::start(capture.sessions.clone(), Options::default()).unwrap();
    let before = std::time::Instant::now();
    let seen = chat(&replay.url(), None);
    // The server's delays alone: those of the client are its own.
    assert!(before.elapsed() >= Duration::from_millis(200), "{:?} of {last:?}", before.elapsed());
    assert_eq!(seen.len(), received(session).len() + 1);
    check_played(replay);
}

#[test]
fn bad_session_fails_in_the_same_way() {
    let capture = capture("reset.pcapng");
    let [session] = capture.sessions.as_slice() else { panic!("one session") };
    assert_eq!(session.end, End::Reset(Side::Server));
    let expected = received(session);
    for _ in 0..3 {
        let replay = replay(&capture);
        let mut seen = bad_session(&replay.url(), None);
        let Some(Seen::Error(error)) = seen.pop() else { panic!("the connection was lost") };
        assert_eq!((error.kind, error.phase), (ErrorKind::Reset, Phase::Open), "{error}");
        assert_eq!(seen, expected);
        check_played(replay);
    }
}

#[test]
fn reconnect_gets_the_second_recorded_connection() {
    let capture = capture("reconnect.pcapng");
    let [first, second] = capture.sessions.as_slice() else { panic!("two sessions") };
    let mut expected = received(first);
    let lost = expected.len();
    expected.extend(received(second));
    let (code, reason) = second.close(Side::Server).unwrap();
    expected.push(Seen::Closed(code, reason));

    let replay = replay(&capture);
    let mut seen = reconnecting(&replay.url(), None);
    let Seen::Reconnecting(error, attempt, _) = seen.remove(lost) else { panic!("{seen:?}") };
    assert_eq!((error.kind, attempt), (ErrorKind::Reset, 1), "{error}");
    assert_eq!(seen, expected);
    check_played(replay);
}

#[test]
fn client_that_differs_from_the_recorded_one_is_reported() {
    let capture = capture("chat.pcapng");
    let replay = replay(&capture);
    let client = common::Client::new(&replay.url());
    client.add_protocol("chat.v1").unwrap();
    client.set_compression(Some(Compression::default())).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    client.send_text("other").unwrap();
    client.close(1001, "").unwrap();
    client.end();
    let differences = replay.finish().remove(0).differences.join("\n");
    for part in
        ["message 1 of the client is text of 5 bytes", "closed with 1001", "sent 1 of 5 recorded messages"]
    {
        assert!(differences.contains(part), "{differences}");
    }
}

/// Waits until a file contains this many sessions, all to their end.
fn complete(file: &Path, sessions: usize) -> Capture {
    let mut complete = None;
    common::wait_until("the complete capture", || {
        complete = read_file(file).ok().filter(|capture| {
            let ended = capture.sessions.iter().filter(|session| session.end != End::Open).count();
            capture.warnings.is_empty() && ended == sessions
        });
        complete.is_some()
    });
    complete.expect("it was waited for")
}

fn assert_same(again: &Session, recorded: &Session) {
    for from in [Side::Client, Side::Server] {
        let contents = |session: &Session| -> Vec<(bool, Vec<u8>)> {
            messages(session, from).into_iter().map(|message| (message.is_text, message.payload)).collect()
        };
        assert_eq!(contents(again), contents(recorded));
        assert_eq!(again.close(from), recorded.close(from));
    }
    assert_eq!(again.compression, recorded.compression);
    assert_eq!(again.request.target, recorded.request.target);
}

#[test]
fn capture_of_a_replay_equals_the_capture() {
    let recorded = capture("chat.pcapng");
    let folder = std::env::temp_dir().join(format!("framewire-replay-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("again.pcapng");
    let replay = replay(&recorded);
    chat(&replay.url(), Some(&file));
    check_played(replay);
    let again = complete(&file, 1);
    let _ = std::fs::remove_dir_all(&folder);
    assert_same(&again.sessions[0], &recorded.sessions[0]);
}

#[test]
fn recording_again_equals_the_committed_captures() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("captures");
    std::fs::create_dir_all(&folder).unwrap();
    for recording in RECORDINGS {
        let (name, ..) = recording;
        let recorded = capture(name);
        let file = folder.join(name);
        let _ = std::fs::remove_file(&file);
        record(recording, &file);
        let again = complete(&file, recorded.sessions.len());
        for (again, recorded) in again.sessions.iter().zip(&recorded.sessions) {
            assert_same(again, recorded);
            assert_eq!(again.end, recorded.end, "{name}");
        }
    }
}
