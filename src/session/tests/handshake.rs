//! The opening handshake: accepted, refused, or invalid, each detected as early as possible.

use std::time::Duration;

use super::peer::*;
use crate::error::{Error, ErrorKind, Phase};
use crate::session::MessageType::Text;
use crate::session::Session;
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

fn refused(driver: &mut Driver) -> (Error, Option<u16>, Vec<u8>) {
    match driver.over() {
        Event::Refused { error, status, body } => (error, status, body),
        other => panic!("{other:?}"),
    }
}

#[test]
fn upgrade_is_accepted_in_any_pieces_with_interim_responses_and_frames() {
    let wire = [
        b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n".to_vec(),
        switching(),
        frame(true, TEXT, b"welcome"),
        frame(true, PING, b"already"),
        frame(false, TEXT, b"more"),
    ]
    .concat();
    for mut pieces in Pieces::all() {
        let mut driver = Driver::connecting(&settings());
        driver.feed(&wire, &mut pieces);
        assert_eq!(driver.events, [Event::Opened, Event::Message(Text, b"welcome".to_vec())], "{pieces:?}");
        driver.flush();
        assert_eq!(driver.sent()[0].payload, b"already");
    }
}

#[test]
fn large_head_is_accepted_up_to_limit() {
    for padding in [10_000, 60_000, 65_000] {
        let mut wire = switching();
        wire.truncate(wire.len() - 2);
        wire.extend_from_slice(b"X-Padding: ");
        wire.resize(wire.len() + padding, b'x');
        wire.extend_from_slice(b"\r\n\r\n");
        wire.extend(frame(true, TEXT, b"behind"));
        for mut pieces in Pieces::all() {
            let mut driver = Driver::connecting(&settings());
            driver.feed(&wire, &mut pieces);
            assert_eq!(driver.events, [Event::Opened, Event::Message(Text, b"behind".to_vec())]);
        }
    }
}

#[test]
fn endless_head_is_rejected_at_limit() {
    for mut pieces in Pieces::all() {
        let mut driver = Driver::connecting(&settings());
        driver.feed(b"HTTP/1.1 101 Switching Protocols\r\nX-Padding: ", &mut pieces);
        for _ in 0..70 {
            driver.feed(&[b'x'; 1024], &mut pieces);
            assert!(driver.session.held_bytes() <= 128 << 10);
        }
        let (error, status, _) = refused(&mut driver);
        assert_eq!((error.kind, error.phase, status), (ErrorKind::Http, Phase::Upgrade, None));
        assert!(error.message.contains("65536"), "{error}");
    }
}

#[test]
fn endless_interim_responses_are_rejected() {
    let mut driver = Driver::connecting(&settings());
    driver.feed(&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(17), &mut Pieces::Whole);
    assert_eq!(refused(&mut driver).0.kind, ErrorKind::Http);
}

#[test]
fn non_http_response_is_detected_at_once() {
    let long = [b"SSH-2.0-".to_vec(), vec![b'x'; 200]].concat();
    for garbage in [&b"\x15\x03\x01\0\x02"[..], b"SSH-2.0", &[0; 500], &long, b"HTTP/1.1 abc def\r\n"] {
        for mut pieces in Pieces::all() {
            let mut driver = Driver::connecting(&settings());
            driver.feed(garbage, &mut pieces);
            assert!(driver.session.is_done(), "{garbage:?} by {pieces:?}");
            let (error, status, body) = refused(&mut driver);
            assert_eq!((error.kind, status, body.len()), (ErrorKind::Http, None, 0));
            assert!(!error.retriable);
        }
    }
}

#[test]
fn wrong_accept_key_is_rejected_at_once() {
    let wire = String::from_utf8(switching()).unwrap().replace("Accept: ", "Accept: x");
    let mut driver = Driver::connecting(&settings());
    driver.feed(wire.as_bytes(), &mut Pieces::Single);
    let (error, status, _) = refused(&mut driver);
    assert_eq!((error.kind, error.http_status, status), (ErrorKind::Protocol, 101, Some(101)));
}

#[test]
fn refusal_has_status_and_first_kib_of_body() {
    let long = "y".repeat(5000);
    let responses = [
        ("503 Busy\r\nContent-Length: 5".to_owned(), "later", "later"),
        (
            "404 Not Found\r\nTransfer-Encoding: chunked".to_owned(),
            "3\r\nnot\r\n5\r\n here\r\n0\r\n\r\n",
            "not here",
        ),
        ("401 Unauthorized\r\nContent-Length: 0".to_owned(), "", ""),
        ("204 No Content".to_owned(), "", ""),
        (format!("200 OK\r\nContent-Length: {}", long.len()), &long, &long[..1024]),
        ("500 Oops".to_owned(), &long, &long[..1024]),
    ];
    for (head, body, expected) in responses {
        for mut pieces in Pieces::all() {
            let mut driver = Driver::connecting(&settings());
            driver.feed(format!("HTTP/1.1 {head}\r\n\r\n{body}").as_bytes(), &mut pieces);
            assert!(driver.session.is_done(), "{head}");
            let (error, status, got) = refused(&mut driver);
            assert_eq!(String::from_utf8(got).unwrap(), expected);
            assert_eq!((Some(error.http_status), error.kind), (status, ErrorKind::Http));
            assert_eq!(error.retriable, error.http_status >= 500);
            assert_eq!(driver.wire, b"", "no close frame is sent before the connection is open");
        }
    }
}

#[test]
fn refusal_body_has_timeout() {
    let slow = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf";
    let mut driver = Driver::connecting(&settings());
    driver.feed(slow, &mut Pieces::Single);
    driver.pass(Duration::from_millis(600));
    driver.feed(b" a", &mut Pieces::Single);
    driver.pass(Duration::from_millis(399));
    assert_eq!(driver.events, [], "received bytes do not extend the deadline");
    driver.pass(Duration::from_millis(1));
    let (error, status, body) = refused(&mut driver);
    assert_eq!((error.http_status, status, &body[..]), (403, Some(403), &b"half a"[..]));

    for error in [None, Some(Error::new(ErrorKind::Reset, Phase::Upgrade, "reset"))] {
        let mut driver = Driver::connecting(&settings());
        driver.feed(slow, &mut Pieces::Whole);
        driver.end(error);
        let (error, _, body) = refused(&mut driver);
        assert_eq!((error.http_status, &body[..]), (403, &b"half"[..]));
    }
}

#[test]
fn cancelled_handshake_returns_refusal() {
    let mut driver = Driver::connecting(&settings());
    assert!(matches!(driver.session.cancel_handshake(), crate::session::SessionEvent::Idle));
    driver.feed(b"HTTP/1.1 403 Forbidden\r\n\r\nno", &mut Pieces::Whole);
    let crate::session::SessionEvent::Refused { body, .. } = driver.session.cancel_handshake() else {
        panic!("the refusal was known")
    };
    assert_eq!(body, b"no");
    assert!(driver.session.is_done());
    assert_eq!(driver.session.deadline(), None);
}

#[test]
fn nothing_is_sent_before_open() {
    let mut driver = Driver::connecting(&settings());
    driver.send(Text, b"early", 100);
    driver.session.ping(b"early");
    driver.flush();
    assert_eq!(driver.wire, b"");
}

#[test]
fn http2_session_has_nothing_to_write_before_response() {
    let request = UpgradeRequest::new(Url::parse("wss://game.example/play").unwrap());
    let (session, _) = Session::over_http2(&settings(), request).unwrap();
    assert!(!session.has_to_write(), "an unwritable piece would keep the worker busy");
}
