//! The end of streams and connections, and their errors.

use std::io::{IoSlice, IoSliceMut};

use bytes::Bytes;
use h2::Reason;

use super::harness::{Harness, connect, pattern, read, received, write};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{HTTP2_PING_TIMEOUT, KEEPALIVE_IDLE};
use crate::net::http2::{Http2Stream, Status};
use crate::net::stream::ReadOutcome;

fn reading_fails(harness: &mut Harness, stream: &mut Http2Stream) -> Error {
    harness.wait(|_| read(stream).err())
}

#[test]
fn refusal_has_status_and_body() {
    let mut harness = Harness::for_websockets();
    let mut stream = harness.client.open(connect(), 1).unwrap();
    harness.until(|harness| !harness.requests.is_empty());
    let response = http::Response::builder().status(403).header("X-Why", "no").body(()).unwrap();
    let mut send = harness.requests[0].1.send_response(response, false).unwrap();
    send.send_data(Bytes::from_static(b"members only"), true).unwrap();
    let head = harness.wait(|_| stream.head().unwrap());
    assert_eq!((head.status, head.headers.get("x-why")), (403, Some("no")));
    let mut body = Vec::new();
    let mut buffer = [0; 100];
    harness.until(|_| match stream.read_vectored(&mut [IoSliceMut::new(&mut buffer)]).unwrap() {
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
fn reset_ends_only_its_stream() {
    let mut harness = Harness::for_websockets();
    let (mut stream, mut accepted) = harness.open(1);
    let (mut other, mut other_accepted) = harness.open(2);
    stream.set_phase(Phase::Open);
    accepted.send.send_reset(Reason::INTERNAL_ERROR);
    let error = reading_fails(&mut harness, &mut stream);
    assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::Reset, Phase::Open, true));
    assert!(error.message.contains("INTERNAL_ERROR"), "{error}");
    let error = stream.write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
    assert!(error.message.contains("INTERNAL_ERROR"), "{error}");

    assert_eq!(write(&mut other, b"still here"), 10);
    let mut got = Vec::new();
    harness.until(|_| {
        got.extend(received(&mut other_accepted, true).unwrap());
        got == b"still here"
    });
}

#[test]
fn reset_request_has_advice() {
    for (reason, kind) in
        [(Reason::REFUSED_STREAM, ErrorKind::Reset), (Reason::HTTP_1_1_REQUIRED, ErrorKind::Http)]
    {
        let mut harness = Harness::for_websockets();
        let mut stream = harness.client.open(connect(), 1).unwrap();
        harness.until(|harness| !harness.requests.is_empty());
        harness.requests[0].1.send_reset(reason);
        let error = harness.wait(|_| stream.head().err());
        assert_eq!((error.kind, error.phase), (kind, Phase::Upgrade), "{error}");
    }
}

#[test]
fn dropped_stream_is_reset_and_ended_stream_ends() {
    let mut harness = Harness::for_websockets();
    let (stream, mut accepted) = harness.open(1);
    let (mut other, mut other_accepted) = harness.open(2);
    drop(stream);
    let error = harness.wait(|_| received(&mut accepted, true).err());
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    assert_eq!(harness.client.status(), Status::Ready { websockets: true });

    assert_eq!(write(&mut other, b"bye"), 3);
    other.end();
    let mut got = Vec::new();
    harness.until(|_| {
        got.extend(received(&mut other_accepted, true).unwrap());
        other_accepted.request.body().is_end_stream()
    });
    assert_eq!(got, b"bye");
}

#[test]
fn goaway_blocks_new_streams_and_old_ones_continue() {
    let mut harness = Harness::for_websockets();
    let (mut stream, mut accepted) = harness.open(1);
    harness.server().graceful_shutdown();
    harness.until(|harness| harness.client.status() == Status::Draining);
    accepted.send.send_data(Bytes::from_static(b"last data"), true).unwrap();
    let mut got = Vec::new();
    harness.until(|_| {
        got.extend(read(&mut stream).unwrap());
        got == b"last data"
    });
    stream.end();
    drop((stream, accepted));
    harness.until(|harness| harness.client.status() == Status::Over);
}

#[test]
fn abrupt_goaway_ends_every_stream_with_reason() {
    let mut harness = Harness::for_websockets();
    let (mut one, _accepted_one) = harness.open(1);
    let (mut two, _accepted_two) = harness.open(2);
    assert!(read(&mut one).unwrap().is_empty() && read(&mut two).unwrap().is_empty());
    harness.owners.clear();
    harness.server().abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    for stream in [&mut one, &mut two] {
        let error = reading_fails(&mut harness, stream);
        assert!(error.message.contains("ENHANCE_YOUR_CALM") && error.retriable, "{error}");
    }
    assert!(harness.owners.contains(&1) && harness.owners.contains(&2), "both were notified");
}

#[test]
fn end_of_connection_ends_its_streams() {
    let mut harness = Harness::for_websockets();
    let (mut stream, accepted) = harness.open(1);
    harness.end_server();
    let error = reading_fails(&mut harness, &mut stream);
    assert_eq!(error.kind, ErrorKind::Reset, "{error}");
    assert_eq!(harness.client.status(), Status::Over);
    assert!(harness.client.open(connect(), 2).is_err());
    drop(accepted);
}

#[test]
fn connection_without_streams_ends_with_goaway() {
    let mut harness = Harness::for_websockets();
    let (stream, accepted) = harness.open(1);
    harness.client.close();
    harness.client_turn();
    assert_eq!(harness.client.status(), Status::Draining, "a stream is still open");
    drop((stream, accepted));
    harness.until(|harness| harness.client.status() == Status::Over && harness.server_has_ended());
}

#[test]
fn silent_connection_is_pinged_and_then_closed() {
    let mut harness = Harness::for_websockets();
    assert_eq!(harness.client.deadline(), None, "no streams");
    let (mut stream, accepted) = harness.open(1);
    // A response to the ping restarts the idle timer.
    harness.now += KEEPALIVE_IDLE;
    assert_eq!(harness.client.deadline().map(|deadline| deadline <= harness.now), Some(true));
    harness.client.handle_timeout(harness.now);
    assert_eq!(harness.client.deadline(), Some(harness.now + HTTP2_PING_TIMEOUT));
    let idle_again = harness.now + KEEPALIVE_IDLE;
    harness.until(|harness| harness.client.deadline() == Some(idle_again));
    // No response closes the connection.
    harness.now = idle_again;
    harness.client.handle_timeout(harness.now);
    harness.client_turn();
    harness.now += HTTP2_PING_TIMEOUT;
    harness.client.handle_timeout(harness.now);
    harness.client_turn();
    let error = read(&mut stream).unwrap_err();
    assert_eq!(error.kind, ErrorKind::PingTimeout, "{error}");
    assert_eq!(harness.client.status(), Status::Over);
    drop(accepted);
}

#[test]
fn stalled_write_ends_connection() {
    let mut harness = Harness::new(|server| {
        server.enable_connect_protocol().initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
    });
    harness.until(|harness| harness.client.status() != Status::Starting);
    let (mut stream, accepted) = harness.open(1);
    // The server stops reading.
    let block = pattern(100_000);
    while harness
        .client
        .deadline()
        .is_none_or(|deadline| deadline > harness.now + crate::limits::WRITE_STALL_TIMEOUT)
        || write(&mut stream, &block) > 0
    {
        harness.client_turn();
    }
    harness.now += crate::limits::WRITE_STALL_TIMEOUT;
    harness.client.handle_timeout(harness.now);
    let error = read(&mut stream).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TimedOut | ErrorKind::PingTimeout), "{error}");
    drop(accepted);
}

#[test]
fn non_http2_server_is_reported() {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    listener.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let now = crate::clock::Instant::now();
    let stream = crate::net::stream::Stream::plain(mio::net::TcpStream::from_std(ours));
    let mut client = crate::net::http2::Connection::new(stream, now).unwrap();
    while client.status() != Status::Over {
        client.simulate_readiness();
        client.drive(now, &mut Vec::new());
        std::thread::yield_now();
    }
    let failure = client.failure();
    assert!(failure.phase == Phase::Upgrade && !failure.message.is_empty(), "{failure}");
}
