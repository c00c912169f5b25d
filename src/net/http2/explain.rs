//! What went wrong on an HTTP/2 connection or stream, in words.

use std::io::ErrorKind as Io;

use h2::Reason;

use crate::error::{Error, ErrorKind, Phase};

/// `below` is why the connection's own stream failed, if it did: it says more.
pub fn explain(error: &h2::Error, below: Option<&Error>, phase: Phase) -> Error {
    if let Some(below) = below {
        return Error { phase, ..below.clone() };
    }
    let Some(reason) = error.reason() else {
        let message = "the HTTP/2 connection ended before the WebSocket on it did";
        let lost = || Error::new(ErrorKind::Reset, phase, message);
        let Some(io) = error.get_io().filter(|io| io.kind() != Io::BrokenPipe) else { return lost() };
        let failed = Error::io(phase, message, io);
        // An end in the midst of a frame is h2's own error, without a kind or a number of the system's.
        let is_end = failed.kind == ErrorKind::Io && io.raw_os_error().is_none();
        return if is_end { lost() } else { failed };
    };
    if error.is_library() {
        return broke_rules(reason, phase);
    }
    if error.is_go_away() {
        let advice = match reason {
            Reason::NO_ERROR => ": it is going away; connect again",
            Reason::ENHANCE_YOUR_CALM => ": it found this client too busy; connect again later",
            _ => "",
        };
        let message = format!("the server ended the HTTP/2 connection ({}){advice}", name(reason));
        return Error::new(kind(reason), phase, message);
    }
    reset(reason, phase)
}

/// It was the server that broke a rule, and `reason` is our answer to it (RFC 9113 section 5.4).
pub fn broke_rules(reason: Reason, phase: Phase) -> Error {
    let message = format!("the server broke the rules of HTTP/2 ({})", name(reason));
    Error::new(ErrorKind::Protocol, phase, message)
}

/// The server reset the stream.
pub fn reset(reason: Reason, phase: Phase) -> Error {
    let advice = match reason {
        Reason::REFUSED_STREAM => ": it took no notice of the request; try again",
        Reason::HTTP_1_1_REQUIRED => ": it wants HTTP/1.1 for this; set the HTTP version to 1",
        Reason::ENHANCE_YOUR_CALM => ": it found this client too busy; try again later",
        Reason::PROTOCOL_ERROR if phase == Phase::Upgrade => {
            ": it may not know WebSockets over HTTP/2 after all; set the HTTP version to 1"
        }
        Reason::CANCEL => ": it wants no more of it",
        _ => "",
    };
    let message = format!("the server reset the WebSocket's HTTP/2 stream ({}){advice}", name(reason));
    Error::new(kind(reason), phase, message)
}

/// Silence after our own question.
pub fn silent(seconds: u64) -> Error {
    let message = format!("the server was silent for {seconds} s after an HTTP/2 ping");
    Error::new(ErrorKind::PingTimeout, Phase::Open, message)
}

pub fn stalled(seconds: u64) -> Error {
    let message = format!("the network took no data for {seconds} s: the peer is gone or does not read");
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

/// The code's name (RFC 9113 section 7), as it stands in every tool.
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
    fn a_reset_says_what_it_means_and_whether_to_try_again() {
        let refused = reset(Reason::REFUSED_STREAM, Phase::Upgrade);
        assert!(refused.retriable && refused.message.contains("REFUSED_STREAM"), "{refused}");
        let broken = reset(Reason::PROTOCOL_ERROR, Phase::Upgrade);
        assert!(!broken.retriable && broken.message.contains("set the HTTP version to 1"), "{broken}");
        assert_eq!(reset(Reason::from(0x77), Phase::Open).kind, ErrorKind::Reset);
        assert_eq!(name(Reason::HTTP_1_1_REQUIRED), "HTTP_1_1_REQUIRED");
        assert_eq!(name(Reason::from(0x77)), "code 119");
    }

    #[test]
    fn the_network_s_own_words_go_first_with_the_stream_s_phase() {
        let below = Error::new(ErrorKind::Tls, Phase::Connect, "bad record");
        let said = explain(&h2::Error::from(Reason::CANCEL), Some(&below), Phase::Open);
        assert_eq!(
            (said.kind, said.phase, said.message.as_str()),
            (ErrorKind::Tls, Phase::Open, "bad record")
        );
    }
}
