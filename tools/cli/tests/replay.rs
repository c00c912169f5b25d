//! `replay` and `har` with the captures of the library's tests.

mod common;

use common::{Running, TempFile, run};
use serde_json::Value;

const CHAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/captures/chat.pcapng");
const RECONNECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/captures/reconnect.pcapng");

/// Starts a replay and returns it with its URL.
fn replay(arguments: &[&str]) -> (Running, String) {
    let mut running = Running::start(&[&["replay", "--json", "--speed", "0"], arguments].concat());
    let event: Value = serde_json::from_str(&running.line()).unwrap();
    assert_eq!(event["event"], "listening");
    let url = event["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("ws://127.0.0.1:"), "{url}");
    (running, url)
}

/// The remaining events, and the exit code.
fn finish(mut running: Running) -> (Vec<Value>, i32) {
    let mut events = Vec::new();
    loop {
        let line = running.line();
        if line.is_empty() {
            let code = running.child.wait().unwrap().code().unwrap();
            return (events, code);
        }
        events.push(serde_json::from_str(&line).unwrap());
    }
}

#[test]
fn replay_plays_each_connection_once_and_ends() {
    let (running, url) = replay(&[RECONNECT]);
    // The first recorded connection ends without a close frame after its message.
    let lost = run(&["send", &url, "hello", "-n", "2"]);
    assert_eq!((lost.code, lost.stdout.as_str()), (1, "first\n"));
    let closed = run(&["send", &url, "hello again", "-n", "1"]);
    assert_eq!((closed.code, closed.stdout.as_str()), (0, "second\n"));
    let (events, code) = finish(running);
    assert_eq!(code, 0);
    let played: Vec<_> = events.iter().filter(|event| event["event"] == "played").collect();
    assert_eq!(played.len(), 2);
    assert_eq!((&played[0]["session"], &played[0]["sent"]), (&1.into(), &1.into()));
}

#[test]
fn strict_replay_fails_if_the_client_differs() {
    for (option, expected) in [(None, 0), (Some("--strict"), 1)] {
        let arguments: Vec<_> = ["--session", "2", RECONNECT].into_iter().chain(option).collect();
        let (running, url) = replay(&arguments);
        run(&["send", &url, "something else", "-n", "1"]);
        let (events, code) = finish(running);
        assert_eq!(code, expected);
        let differs = |event: &&Value| event["event"] == "difference" && event["session"] == 2;
        let texts: Vec<_> =
            events.iter().filter(differs).map(|event| event["text"].as_str().unwrap()).collect();
        let expected = "message 1 of the client is text of 14 bytes (\"something else\"), recorded was text of 11 \
                        bytes (\"hello again\")";
        assert_eq!(texts[0], expected);
    }
}

#[test]
fn files_and_options_that_cannot_be_used_are_usage_errors() {
    let text = TempFile::new("replay.txt", b"no capture");
    for (arguments, part) in [
        (&["replay", text.path()][..], "not a pcapng file"),
        (&["har", text.path()], "not a pcapng file"),
        (&["replay", "/nonexistent.pcapng"], "/nonexistent.pcapng"),
        (&["replay", CHAT, "--session", "2"], "there are connections 1 to 1"),
        (&["replay", CHAT, "--speed", "-1"], "a speed is 0 or more"),
        (&["replay", CHAT, "--listen", "nowhere"], "nowhere"),
    ] {
        let done = run(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
}

#[test]
fn cut_capture_is_played_with_a_warning() {
    let bytes = std::fs::read(RECONNECT).unwrap();
    let cut = TempFile::new("cut.pcapng", &bytes[..bytes.len() - 100]);
    let done = run(&["har", cut.path()]);
    assert_eq!(done.code, 0);
    assert!(done.stderr.contains("warning: the file is cut off"), "{}", done.stderr);
}

#[test]
fn har_contains_the_messages() {
    let file = TempFile::new("chat.har", b"");
    assert_eq!(run(&["har", CHAT, "--output", file.path()]).code, 0);
    let har: Value = serde_json::from_slice(&std::fs::read(&file.0).unwrap()).unwrap();
    let printed: Value = serde_json::from_str(&run(&["har", CHAT]).stdout).unwrap();
    assert_eq!(har, printed);
    let entry = &har["log"]["entries"][0];
    assert_eq!(entry["_resourceType"], "websocket");
    let messages = entry["_webSocketMessages"].as_array().unwrap();
    assert_eq!(messages[0]["type"], "receive");
    assert_eq!(messages[0]["data"], "welcome to the room; the same words again and again");
}

#[cfg(unix)]
#[test]
fn interrupt_ends_a_replay() {
    let (mut running, _) = replay(&[CHAT]);
    assert_eq!(running.interrupt(), 0);
}
