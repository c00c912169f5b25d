//! Events as lines: text for people, or JSON for programs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use framewire::{Error, EventKind, Socket};
use serde_json::{Value, json};

use crate::output::{self, BAD, GOOD, QUIET, RECEIVED, WARNING, line, status};
use crate::values::show;

/// Bytes of a binary message that are shown.
const PREVIEW: usize = 32;

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Messages as they are, one per line; everything else on the standard error output.
    Plain,
    /// With marks and colours.
    People,
    /// A JSON object per line.
    Json,
}

impl Format {
    pub fn choose(json: bool) -> Self {
        match json {
            true => Format::Json,
            false if output::is_for_people() => Format::People,
            false => Format::Plain,
        }
    }

    /// Prints an event. `elapsed` is the time since the connection attempt or, for a pong, since its ping.
    pub fn print(self, socket: &Socket, event: &EventKind, elapsed: Option<Duration>) {
        match self {
            Format::Json => output::json(&as_json(socket, event, elapsed)),
            Format::People => {
                if let Some(text) = for_people(socket, event, elapsed) {
                    line(format_args!("{text}"));
                }
            }
            Format::Plain => match event {
                EventKind::Text(text) => output::write_line(text.as_slice()),
                EventKind::Binary(bytes) => line(format_args!("{}", preview(bytes.as_slice()))),
                // The exit code and its message report the end.
                EventKind::Closed { .. } | EventKind::Error(_) => {}
                _ => {
                    if let Some(text) = for_people(socket, event, elapsed) {
                        status(format_args!("{text}"));
                    }
                }
            },
        }
    }
}

/// Returns the line of an event.
pub fn for_people(socket: &Socket, event: &EventKind, elapsed: Option<Duration>) -> Option<String> {
    let took = elapsed.map(|elapsed| format!(" in {}", show(elapsed))).unwrap_or_default();
    Some(match event {
        EventKind::Open => {
            let mut facts = vec![format!("HTTP/{}", if socket.http_version() == 2 { "2" } else { "1.1" })];
            if !socket.protocol().is_empty() {
                facts.push(format!("subprotocol {}", printable(&socket.protocol())));
            }
            if !socket.extensions().is_empty() {
                facts.push(printable(&socket.extensions()));
            }
            let url = printable(&socket.url());
            format!("{GOOD}connected{GOOD:#} to {url}{took} {QUIET}({}){QUIET:#}", facts.join(", "))
        }
        EventKind::Text(text) => {
            let text = printable(&String::from_utf8_lossy(text.as_slice()));
            format!("{RECEIVED}<{RECEIVED:#} {text}")
        }
        EventKind::Binary(bytes) => format!("{RECEIVED}<{RECEIVED:#} {}", preview(bytes.as_slice())),
        EventKind::Pong(payload) => match elapsed {
            Some(elapsed) => format!("{RECEIVED}<{RECEIVED:#} pong after {}", show(elapsed)),
            None => format!("{RECEIVED}<{RECEIVED:#} pong, {} bytes", payload.as_slice().len()),
        },
        EventKind::Reconnecting { error, attempt, delay_ms } => {
            let delay = show(Duration::from_millis((*delay_ms).into()));
            format!(
                "{WARNING}reconnecting{WARNING:#} in {delay} (attempt {attempt}): {}",
                printable(&error.to_string())
            )
        }
        EventKind::Closed { code, reason } => {
            let reason = if reason.is_empty() { String::new() } else { format!(" {}", printable(reason)) };
            format!("{GOOD}closed{GOOD:#} {code}{reason}")
        }
        EventKind::Error(error) => format!("{BAD}failed{BAD:#} {}", printable(&error.to_string())),
        _ => return None,
    })
}

/// Returns the event as a JSON object.
pub fn as_json(socket: &Socket, event: &EventKind, elapsed: Option<Duration>) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let elapsed_ms = elapsed.map(|elapsed| elapsed.as_nanos() as f64 / 1e6);
    match event {
        EventKind::Open => json!({
            "event": "open", "time": now, "url": socket.url(), "http_version": socket.http_version(),
            "subprotocol": socket.protocol(), "extensions": socket.extensions(), "connect_ms": elapsed_ms,
        }),
        EventKind::Text(text) => {
            json!({ "event": "text", "time": now, "data": String::from_utf8_lossy(text.as_slice()) })
        }
        EventKind::Binary(bytes) => {
            let bytes = bytes.as_slice();
            json!({ "event": "binary", "time": now, "size": bytes.len(), "base64": BASE64.encode(bytes) })
        }
        EventKind::Pong(payload) => json!({
            "event": "pong", "time": now, "base64": BASE64.encode(payload.as_slice()), "round_trip_ms": elapsed_ms,
        }),
        EventKind::Reconnecting { error, attempt, delay_ms } => json!({
            "event": "reconnecting", "time": now, "attempt": attempt, "delay_ms": delay_ms, "error": error_json(error),
        }),
        EventKind::Closed { code, reason } => {
            json!({ "event": "closed", "time": now, "code": code, "reason": reason })
        }
        EventKind::Error(error) => json!({ "event": "error", "time": now, "error": error_json(error) }),
        _ => json!({ "event": "other", "time": now }),
    }
}

pub fn error_json(error: &Error) -> Value {
    json!({
        "kind": error.kind.name(), "phase": error.phase.name(), "message": error.message, "os_code": error.os_code,
        "http_status": error.http_status, "tls_alert": error.tls_alert, "retriable": error.retriable,
    })
}

/// Shows the start of binary data.
pub fn preview(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(PREVIEW).map(|byte| format!("{byte:02x}")).collect();
    let rest = if bytes.len() > PREVIEW { " ..." } else { "" };
    let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
    format!("[binary, {} {unit}] {}{rest}", bytes.len(), shown.join(" "))
}

/// Escapes control characters, so that a server cannot control the terminal.
pub fn printable(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_control_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\u{9b}c\td"), "a\\u{1b}[2Jb\\u{9b}c\td");
    }

    #[test]
    fn long_binary_messages_are_cut() {
        assert_eq!(preview(&[1]), "[binary, 1 byte] 01");
        assert!(preview(&[0; 33]).ends_with("00 ..."));
    }
}
