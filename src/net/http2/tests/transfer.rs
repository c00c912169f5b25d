//! Asking, reading, writing; windows in both directions.

use bytes::Bytes;

use super::rig::{Rig, connect, pattern, read, received, write};
use crate::limits::{HTTP2_SEND_BUFFER, HTTP2_STREAM_WINDOW, HTTP2_STREAMS};
use crate::net::http2::Status;

#[test]
fn nothing_is_known_of_the_server_before_its_settings() {
    for websockets in [true, false] {
        let mut rig = Rig::new(|server| {
            if websockets {
                server.enable_connect_protocol();
            }
        });
        for _ in 0..3 {
            rig.client_turn();
        }
        assert_eq!(rig.client.status(), Status::Starting);
        rig.until(|rig| rig.client.status() != Status::Starting);
        assert_eq!(rig.client.status(), Status::Ready { websockets });
    }
}

#[test]
fn the_request_is_an_extended_connect_and_bytes_go_both_ways() {
    let mut rig = Rig::for_websockets();
    let (mut stream, mut accepted) = rig.open(7);
    let request = &accepted.request;
    assert_eq!(request.method(), http::Method::CONNECT);
    assert_eq!(request.uri().to_string(), "http://game.example:81/lobby?x=1");
    assert_eq!(request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
    assert_eq!(request.headers().len(), 1);
    assert_eq!(request.headers()["sec-websocket-version"], "13");

    assert_eq!(write(&mut stream, b"hello"), 5);
    let mut got = Vec::new();
    rig.until(|_| {
        got.extend(received(&mut accepted, true).unwrap());
        got.len() == 5
    });
    assert_eq!(got, b"hello");
    assert_eq!(read(&mut stream).unwrap(), b"", "whoever has read all there is will be named");
    rig.owners.clear();
    accepted.send.send_data(Bytes::from_static(b"and back"), false).unwrap();
    rig.until(|rig| rig.owners.contains(&7));
    assert_eq!(read(&mut stream).unwrap(), b"and back");
}

#[test]
fn the_server_is_asked_for_more_only_as_fast_as_its_data_is_read() {
    let mut rig = Rig::for_websockets();
    let (mut stream, mut accepted) = rig.open(1);
    let (mut other, mut other_accepted) = rig.open(2);
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
    // Held back, and taken out of h2 meanwhile, as a paused socket does.
    rig.until(|_| {
        push(&mut offset);
        stream.hold();
        offset == HTTP2_STREAM_WINDOW as usize
    });
    other_accepted.send.send_data(Bytes::from_static(b"not held up"), false).unwrap();
    let mut heard = Vec::new();
    rig.until(|_| {
        push(&mut offset);
        stream.hold();
        heard.extend(read(&mut other).unwrap());
        heard == b"not held up"
    });
    assert_eq!(offset, HTTP2_STREAM_WINDOW as usize, "nothing was read, so nothing more may come");
    let mut got = Vec::new();
    rig.until(|_| {
        push(&mut offset);
        got.extend(read(&mut stream).unwrap());
        got.len() == sent.len()
    });
    assert!(got == sent, "in order and whole");
}

#[test]
fn no_more_is_taken_than_the_server_and_the_buffer_have_room_for() {
    let mut rig = Rig::for_websockets();
    let (mut stream, mut accepted) = rig.open(3);
    let sent = pattern(400_000);
    // The window of RFC 9113 section 6.9.2, and then nothing until the server gives more.
    let mut offset = write(&mut stream, &sent);
    assert_eq!(offset, 65_535);
    let mut got = Vec::new();
    rig.until(|_| {
        got.extend(received(&mut accepted, false).unwrap());
        got.len() == 65_535
    });
    assert_eq!(write(&mut stream, &sent[offset..]), 0);
    rig.owners.clear();
    accepted.request.body_mut().flow_control().release_capacity(65_535).unwrap();
    rig.until(|rig| rig.owners.contains(&3));
    rig.until(|_| {
        offset += write(&mut stream, &sent[offset..]);
        got.extend(received(&mut accepted, true).unwrap());
        got.len() == sent.len()
    });
    assert!(got == sent, "in order and whole");
}

#[test]
fn a_large_window_does_not_empty_the_callers_queue_into_memory() {
    let mut rig = Rig::new(|server| {
        server.enable_connect_protocol().initial_window_size(8 << 20).initial_connection_window_size(8 << 20);
    });
    rig.until(|rig| rig.client.status() != Status::Starting);
    let (mut stream, _accepted) = rig.open(3);
    assert_eq!(write(&mut stream, &pattern(1 << 20)), HTTP2_SEND_BUFFER);
}

#[test]
fn no_more_streams_than_the_server_allows() {
    let mut rig = Rig::new(|server| _ = server.enable_connect_protocol().max_concurrent_streams(2));
    rig.until(|rig| rig.client.status() != Status::Starting);
    assert_eq!(rig.client.room(), 2);
    let one = rig.client.open(connect(), 1).unwrap();
    let two = rig.client.open(connect(), 2).unwrap();
    assert_eq!((rig.client.room(), rig.client.streams()), (0, 2));
    drop(one);
    assert_eq!((rig.client.room(), rig.client.streams()), (1, 1));
    drop(two);
    assert_eq!(Rig::for_websockets().client.room(), HTTP2_STREAMS);
}

#[test]
fn a_length_in_the_answer_to_connect_is_ignored() {
    for lengths in [&["0"][..], &["5", "5"], &["5", "7"], &["-1"], &["0, 0"]] {
        let mut rig = Rig::for_websockets();
        let mut stream = rig.client.open(connect(), 1).unwrap();
        rig.until(|rig| !rig.asked.is_empty());
        let (_, mut respond) = rig.asked.remove(0);
        let mut answer = http::Response::builder();
        for length in lengths {
            answer = answer.header("content-length", *length);
        }
        let mut send = respond.send_response(answer.body(()).unwrap(), false).unwrap();
        send.send_data(Bytes::from_static(b"much more"), false).unwrap();
        let head = rig.wait(|_| stream.head().unwrap());
        assert!(head.headers.get_all("Content-Length").eq(lengths.iter().copied()), "{head:?}");
        let mut got = Vec::new();
        rig.until(|_| {
            got.extend(read(&mut stream).unwrap());
            got == b"much more"
        });
    }
}
