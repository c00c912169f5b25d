//! Requests, reads and writes; flow control in both directions.

use bytes::Bytes;

use super::harness::{Harness, connect, pattern, read, received, write};
use crate::limits::{HTTP2_SEND_BUFFER, HTTP2_STREAM_WINDOW, HTTP2_STREAMS};
use crate::net::http2::Status;

#[test]
fn status_is_starting_until_settings_are_received() {
    for websockets in [true, false] {
        let mut harness = Harness::new(|server| {
            if websockets {
                server.enable_connect_protocol();
            }
        });
        for _ in 0..3 {
            harness.client_turn();
        }
        assert_eq!(harness.client.status(), Status::Starting);
        harness.until(|harness| harness.client.status() != Status::Starting);
        assert_eq!(harness.client.status(), Status::Ready { websockets });
    }
}

#[test]
fn request_is_extended_connect_and_data_flows_both_ways() {
    let mut harness = Harness::for_websockets();
    let (mut stream, mut accepted) = harness.open(7);
    let request = &accepted.request;
    assert_eq!(request.method(), http::Method::CONNECT);
    assert_eq!(request.uri().to_string(), "http://game.example:81/lobby?x=1");
    assert_eq!(request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
    assert_eq!(request.headers().len(), 1);
    assert_eq!(request.headers()["sec-websocket-version"], "13");

    assert_eq!(write(&mut stream, b"hello"), 5);
    let mut got = Vec::new();
    harness.until(|_| {
        got.extend(received(&mut accepted, true).unwrap());
        got.len() == 5
    });
    assert_eq!(got, b"hello");
    assert_eq!(read(&mut stream).unwrap(), b"", "a drained stream registers its waker");
    harness.owners.clear();
    accepted.send.send_data(Bytes::from_static(b"and back"), false).unwrap();
    harness.until(|harness| harness.owners.contains(&7));
    assert_eq!(read(&mut stream).unwrap(), b"and back");
}

#[test]
fn window_grows_only_as_data_is_read() {
    let mut harness = Harness::for_websockets();
    let (mut stream, mut accepted) = harness.open(1);
    let (mut other, mut other_accepted) = harness.open(2);
    let sent = pattern(3 * HTTP2_STREAM_WINDOW as usize);
    accepted.send.reserve_capacity(sent.len());
    let mut offset = 0;
    let mut push = |offset: &mut usize| {
        let room = accepted.send.capacity().min(sent.len() - *offset);
        if room > 0 {
            let bytes = Bytes::copy_from_slice(&sent[*offset..*offset + room]);
            accepted.send.send_data(bytes, false).unwrap();
            *offset += room;
        }
    };
    // Not read, and moved out of h2 meanwhile, like for a paused socket.
    harness.until(|_| {
        push(&mut offset);
        stream.hold();
        offset == HTTP2_STREAM_WINDOW as usize
    });
    other_accepted.send.send_data(Bytes::from_static(b"not blocked"), false).unwrap();
    let mut other_received = Vec::new();
    harness.until(|_| {
        push(&mut offset);
        stream.hold();
        other_received.extend(read(&mut other).unwrap());
        other_received == b"not blocked"
    });
    assert_eq!(offset, HTTP2_STREAM_WINDOW as usize, "nothing was read, so the window is closed");
    let mut got = Vec::new();
    harness.until(|_| {
        push(&mut offset);
        got.extend(read(&mut stream).unwrap());
        got.len() == sent.len()
    });
    assert!(got == sent, "data is incomplete or out of order");
}

#[test]
fn writes_are_limited_by_server_window_and_buffer() {
    let mut harness = Harness::for_websockets();
    let (mut stream, mut accepted) = harness.open(3);
    let sent = pattern(400_000);
    // The initial window of RFC 9113 section 6.9.2, then nothing until the server extends it.
    let mut offset = write(&mut stream, &sent);
    assert_eq!(offset, HTTP2_SEND_BUFFER);
    let mut got = Vec::new();
    harness.until(|_| {
        offset += write(&mut stream, &sent[offset..]);
        got.extend(received(&mut accepted, false).unwrap());
        got.len() == 65_535
    });
    assert_eq!(offset, 65_535);
    assert_eq!(write(&mut stream, &sent[offset..]), 0);
    harness.owners.clear();
    accepted.request.body_mut().flow_control().release_capacity(65_535).unwrap();
    harness.until(|harness| harness.owners.contains(&3));
    harness.until(|_| {
        offset += write(&mut stream, &sent[offset..]);
        got.extend(received(&mut accepted, true).unwrap());
        got.len() == sent.len()
    });
    assert!(got == sent, "data is incomplete or out of order");
}

#[test]
fn large_window_is_limited_by_send_buffer() {
    let mut harness = Harness::new(|server| {
        server.enable_connect_protocol().initial_window_size(8 << 20).initial_connection_window_size(8 << 20);
    });
    harness.until(|harness| harness.client.status() != Status::Starting);
    let (mut stream, _accepted) = harness.open(3);
    assert_eq!(write(&mut stream, &pattern(1 << 20)), HTTP2_SEND_BUFFER);
}

#[test]
fn stream_count_is_limited_by_server() {
    let mut harness = Harness::new(|server| _ = server.enable_connect_protocol().max_concurrent_streams(2));
    harness.until(|harness| harness.client.status() != Status::Starting);
    assert_eq!(harness.client.room(), 2);
    let one = harness.client.open(connect(), 1).unwrap();
    let two = harness.client.open(connect(), 2).unwrap();
    assert_eq!((harness.client.room(), harness.client.streams()), (0, 2));
    drop(one);
    assert_eq!((harness.client.room(), harness.client.streams()), (1, 1));
    drop(two);
    assert_eq!(Harness::for_websockets().client.room(), HTTP2_STREAMS);
}

#[test]
fn content_length_in_connect_response_is_ignored() {
    for lengths in [&["0"][..], &["5", "5"], &["5", "7"], &["-1"], &["0, 0"]] {
        let mut harness = Harness::for_websockets();
        let mut stream = harness.client.open(connect(), 1).unwrap();
        harness.until(|harness| !harness.requests.is_empty());
        let (_, mut respond) = harness.requests.remove(0);
        let mut response = http::Response::builder();
        for length in lengths {
            response = response.header("content-length", *length);
        }
        let mut send = respond.send_response(response.body(()).unwrap(), false).unwrap();
        send.send_data(Bytes::from_static(b"much more"), false).unwrap();
        let head = harness.wait(|_| stream.head().unwrap());
        assert!(head.headers.get_all("Content-Length").eq(lengths.iter().copied()), "{head:?}");
        let mut got = Vec::new();
        harness.until(|_| {
            got.extend(read(&mut stream).unwrap());
            got == b"much more"
        });
    }
}
