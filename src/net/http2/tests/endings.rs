//! How streams and connections end, and what is said about it.

use std::io::{IoSlice, IoSliceMut};

use bytes::Bytes;
use h2::Reason;

use super::rig::{Rig, connect, pattern, read, received, write};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{HTTP2_PING_PATIENCE, KEEPALIVE_IDLE};
use crate::net::http2::{Http2Stream, Status};
use crate::net::stream::ReadOutcome;

fn reading_fails(rig: &mut Rig, stream: &mut Http2Stream) -> Error {
    rig.wait(|_| read(stream).err())
}

#[test]
fn a_refusal_comes_with_its_status_and_body() {
    let mut rig = Rig::for_websockets();
    let mut stream = rig.client.open(connect(), 1).unwrap();
    rig.until(|rig| !rig.asked.is_empty());
    let response = http::Response::builder().status(403).header("X-Why", "no").body(()).unwrap();
    let mut send = rig.asked[0].1.send_response(response, false).unwrap();
    send.send_data(Bytes::from_static(b"members only"), true).unwrap();
    let head = rig.wait(|_| stream.head().unwrap());
    assert_eq!((head.status, head.headers.get("x-why")), (403, Some("no")));
    let mut body = Vec::new();
    let mut buffer = [0; 100];
    rig.until(|_| match stream.read_vectored(&mut [IoSliceMut::new(&mut buffer)]).unwrap() {
        ReadOutcome::Data { n, .. } => {
            body.extend_from_slice(&buffer[..n]);
            false
        }
        ReadOutcome::WouldBlock => false,
        ReadOutcome::Eof { clean } => clean,
    });
    assert_eq!(body, b"members only");
}

#[test]
fn a_reset_ends_its_stream_after_what_came_before_and_no_other() {
    let mut rig = Rig::for_websockets();
    let (mut stream, mut accepted) = rig.open(1);
    let (mut other, mut other_accepted) = rig.open(2);
    stream.set_phase(Phase::Open);
    accepted.send.send_reset(Reason::INTERNAL_ERROR);
    let error = reading_fails(&mut rig, &mut stream);
    assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::Reset, Phase::Open, true));
    assert!(error.message.contains("INTERNAL_ERROR"), "{error}");
    let error = stream.write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
    assert!(error.message.contains("INTERNAL_ERROR"), "{error}");

    assert_eq!(write(&mut other, b"still here"), 10);
    let mut got = Vec::new();
    rig.until(|_| {
        got.extend(received(&mut other_accepted, true).unwrap());
        got == b"still here"
    });
}

#[test]
fn a_request_that_is_reset_says_what_to_do() {
    for (reason, kind) in
        [(Reason::REFUSED_STREAM, ErrorKind::Reset), (Reason::HTTP_1_1_REQUIRED, ErrorKind::Http)]
    {
        let mut rig = Rig::for_websockets();
        let mut stream = rig.client.open(connect(), 1).unwrap();
        rig.until(|rig| !rig.asked.is_empty());
        rig.asked[0].1.send_reset(reason);
        let error = rig.wait(|_| stream.head().err());
        assert_eq!((error.kind, error.phase), (kind, Phase::Upgrade), "{error}");
    }
}

#[test]
fn a_dropped_stream_is_reset_and_an_ended_one_ends() {
    let mut rig = Rig::for_websockets();
    let (stream, mut accepted) = rig.open(1);
    let (mut other, mut other_accepted) = rig.open(2);
    drop(stream);
    let error = rig.wait(|_| received(&mut accepted, true).err());
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    assert_eq!(rig.client.status(), Status::Ready { websockets: true });

    assert_eq!(write(&mut other, b"bye"), 3);
    other.end();
    let mut got = Vec::new();
    rig.until(|_| {
        got.extend(received(&mut other_accepted, true).unwrap());
        other_accepted.request.body().is_end_stream()
    });
    assert_eq!(got, b"bye");
}

#[test]
fn after_goaway_there_are_no_new_streams_and_the_old_ones_go_on() {
    let mut rig = Rig::for_websockets();
    let (mut stream, mut accepted) = rig.open(1);
    rig.server().graceful_shutdown();
    rig.until(|rig| rig.client.status() == Status::Draining);
    accepted.send.send_data(Bytes::from_static(b"last words"), true).unwrap();
    let mut got = Vec::new();
    rig.until(|_| {
        got.extend(read(&mut stream).unwrap());
        got == b"last words"
    });
    stream.end();
    drop((stream, accepted));
    rig.until(|rig| rig.client.status() == Status::Over);
}

#[test]
fn an_abrupt_goaway_ends_every_stream_with_its_reason() {
    let mut rig = Rig::for_websockets();
    let (mut one, _accepted_one) = rig.open(1);
    let (mut two, _accepted_two) = rig.open(2);
    assert!(read(&mut one).unwrap().is_empty() && read(&mut two).unwrap().is_empty());
    rig.owners.clear();
    rig.server().abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    for stream in [&mut one, &mut two] {
        let error = reading_fails(&mut rig, stream);
        assert!(error.message.contains("ENHANCE_YOUR_CALM") && error.retriable, "{error}");
    }
    assert!(rig.owners.contains(&1) && rig.owners.contains(&2), "both were told");
}

#[test]
fn the_end_of_the_connection_is_the_end_of_its_streams() {
    let mut rig = Rig::for_websockets();
    let (mut stream, accepted) = rig.open(1);
    rig.end_server();
    let error = reading_fails(&mut rig, &mut stream);
    assert_eq!(error.kind, ErrorKind::Reset, "{error}");
    assert_eq!(rig.client.status(), Status::Over);
    assert!(rig.client.open(connect(), 2).is_err());
    drop(accepted);
}

#[test]
fn nobody_left_ends_the_connection_with_goaway() {
    let mut rig = Rig::for_websockets();
    let (stream, accepted) = rig.open(1);
    rig.client.close();
    rig.client_turn();
    assert_eq!(rig.client.status(), Status::Draining, "one is still there");
    drop((stream, accepted));
    rig.until(|rig| rig.client.status() == Status::Over && rig.server_is_gone());
}

#[test]
fn silence_is_asked_about_and_then_ends_the_connection() {
    let mut rig = Rig::for_websockets();
    assert_eq!(rig.client.deadline(), None, "nobody would care");
    let (mut stream, accepted) = rig.open(1);
    // An answer to the question is enough.
    rig.now += KEEPALIVE_IDLE;
    assert_eq!(rig.client.deadline().map(|deadline| deadline <= rig.now), Some(true));
    rig.client.handle_timeout(rig.now);
    assert_eq!(rig.client.deadline(), Some(rig.now + HTTP2_PING_PATIENCE));
    let idle_again = rig.now + KEEPALIVE_IDLE;
    rig.until(|rig| rig.client.deadline() == Some(idle_again));
    // No answer is the end.
    rig.now = idle_again;
    rig.client.handle_timeout(rig.now);
    rig.client_turn();
    rig.now += HTTP2_PING_PATIENCE;
    rig.client.handle_timeout(rig.now);
    rig.client_turn();
    let error = read(&mut stream).unwrap_err();
    assert_eq!(error.kind, ErrorKind::PingTimeout, "{error}");
    assert_eq!(rig.client.status(), Status::Over);
    drop(accepted);
}

#[test]
fn a_network_that_takes_nothing_ends_the_connection() {
    let mut rig = Rig::new(|server| {
        server.enable_connect_protocol().initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
    });
    rig.until(|rig| rig.client.status() != Status::Starting);
    let (mut stream, accepted) = rig.open(1);
    // The server does not read any more.
    let block = pattern(100_000);
    while rig.client.deadline().is_none_or(|deadline| deadline > rig.now + crate::limits::WRITE_STALL_TIMEOUT)
        || write(&mut stream, &block) > 0
    {
        rig.client_turn();
    }
    rig.now += crate::limits::WRITE_STALL_TIMEOUT;
    rig.client.handle_timeout(rig.now);
    let error = read(&mut stream).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TimedOut | ErrorKind::PingTimeout), "{error}");
    drop(accepted);
}

#[test]
fn a_server_that_is_none_is_called_so() {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    listener.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let now = std::time::Instant::now();
    let stream = crate::net::stream::Stream::plain(mio::net::TcpStream::from_std(ours));
    let mut client = crate::net::http2::Connection::new(stream, now).unwrap();
    while client.status() != Status::Over {
        client.prod();
        client.drive(now, &mut Vec::new());
        std::thread::yield_now();
    }
    let failure = client.failure();
    assert!(failure.phase == Phase::Upgrade && !failure.message.is_empty(), "{failure}");
}
