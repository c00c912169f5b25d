//! Error messages for HTTP/2 connections and streams.

use std::io::ErrorKind as Io;

use h2::Reason;

use crate::error::{Error, ErrorKind, Phase};

/// Converts an error of `h2`. `below`, the error of the underlying stream, takes precedence: it is more
/// specific.
pub fn from_h2(error: &h2::Error, below: Option<&Error>, phase: Phase) -> Error {
    if let Some(below) = below {
        return Error { phase, ..below.clone() };
    }
    let Some(reason) = error.reason() else {
        let message = "the HTTP/2 connection ended before the WebSocket on it";
        let lost = || Error::new(ErrorKind::Reset, phase, message);
        let Some(io) = error.get_io().filter(|io| io.kind() != Io::BrokenPipe) else { return lost() };
        let failed = Error::io(phase, message, io);
        // An end of stream inside a frame is an error of `h2`, without a kind or OS error code.
        let is_end = failed.kind == ErrorKind::Io && io.raw_os_error().is_none();
        return if is_end { lost() } else { failed };
    };
    if error.is_library() {
        return violation(reason, phase);
    }
    if error.is_go_away() {
        let advice = match reason {
            Reason::NO_ERROR => ": it is shutting down; connect again",
            Reason::ENHANCE_YOUR_CALM => ": it is limiting this client; connect again later",
            _ => "",
        };
        let message = format!("the server ended the HTTP/2 connection ({}){advice}", name(reason));
        return Error::new(kind(reason), phase, message);
    }
    reset(reason, phase)
}

/// Returns the error for a protocol violation by the server; `reason` is our error code (RFC 9113 section
/// 5.4).
pub fn violation(reason: Reason, phase: Phase) -> Error {
    let message = format!("the server violated the HTTP/2 protocol ({})", name(reason));
    Error::new(ErrorKind::Protocol, phase, message)
}

/// Returns the error for a stream reset by the server.
pub fn reset(reason: Reason, phase: Phase) -> Error {
    let advice = match reason {
        Reason::REFUSED_STREAM => ": it did not process the request; try again",
        Reason::HTTP_1_1_REQUIRED => ": it requires HTTP/1.1 for this; set the HTTP version to 1",
        Reason::ENHANCE_YOUR_CALM => ": it is limiting this client; try again later",
        Reason::PROTOCOL_ERROR if phase == Phase::Upgrade => {
            ": it may not support WebSockets over HTTP/2; set the HTTP version to 1"
        }
        Reason::CANCEL => ": it cancelled the stream",
        _ => "",
    };
    let message = format!("the server reset the WebSocket's HTTP/2 stream ({}){advice}", name(reason));
    Error::new(kind(reason), phase, message)
}

/// Returns the error for a server that does not respond to a ping.
pub fn silent(seconds: u64) -> Error {
    let message = format!("the server was silent for {seconds} s after an HTTP/2 ping");
    Error::new(ErrorKind::PingTimeout, Phase::Open, message)
}

/// Returns the error for a stalled write.
pub fn stalled(seconds: u64) -> Error {
    let message = format!("the write stalled for {seconds} s: the peer is unreachable or does not read");
    Error::new(ErrorKind::TimedOut, Phase::Open, message)
}

fn kind(reason: Reason) -> ErrorKind {
    match reason {
        Reason::PROTOCOL_ERROR
        | Reason::FLOW_CONTROL_ERROR
        | Reason::FRAME_SIZE_ERROR
        | Reason::COMPRESSION_ERROR
        | Reason::STREAM_CLOSED
        | Reason::SETTINGS_TIMEOUT => ErrorKind::Protocol,
        Reason::HTTP_1_1_REQUIRED | Reason::INADEQUATE_SECURITY | Reason::CONNECT_ERROR => ErrorKind::Http,
        _ => ErrorKind::Reset,
    }
}

/// Returns the name of an error code (RFC 9113 section 7).
fn name(reason: Reason) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let code = u32::from(reason);
    match NAMES.get(code as usize) {
        Some(name) => (*name).to_owned(),
        None => format!("code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_has_meaning_and_retriable() {
        let refused = reset(Reason::REFUSED_STREAM, Phase::Upgrade);
        assert!(refused.retriable && refused.message.contains("REFUSED_STREAM"), "{refused}");
        let broken = reset(Reason::PROTOCOL_ERROR, Phase::Upgrade);
        assert!(!broken.retriable && broken.message.contains("set the HTTP version to 1"), "{broken}");
        assert_eq!(reset(Reason::from(0x77), Phase::Open).kind, ErrorKind::Reset);
        assert_eq!(name(Reason::HTTP_1_1_REQUIRED), "HTTP_1_1_REQUIRED");
        assert_eq!(name(Reason::from(0x77)), "code 119");
    }

    #[test]
    fn network_error_takes_precedence_with_phase_of_stream() {
        let below = Error::new(ErrorKind::Tls, Phase::Connect, "bad record");
        let error = from_h2(&h2::Error::from(Reason::CANCEL), Some(&below), Phase::Open);
        assert_eq!(
            (error.kind, error.phase, error.message.as_str()),
            (ErrorKind::Tls, Phase::Open, "bad record")
        );
    }
}
