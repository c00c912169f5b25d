//! Data over TLS: complete, in order, in bounded memory, with the correct end of stream.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::TcpStream;

use socket2::{Domain, SockRef, Socket, Type};

use super::harness::*;
use crate::error::{ErrorKind, Phase};
use crate::limits;
use crate::net::stream::{ReadOutcome, WriteOutcome};

/// Returns bytes in which shifts, losses and repetitions are detectable.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Small enough for backpressure, and large enough that delayed acknowledgements of TCP do not dominate the
/// run time.
const TINY: usize = 32 << 10;

/// Connects with tiny socket buffers.
fn through_tiny_buffers<T: Send + 'static>(server: &Server<T>) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_send_buffer_size(TINY).unwrap();
    socket.set_recv_buffer_size(TINY).unwrap();
    socket.connect(&server.address.into()).unwrap();
    socket.into()
}

#[test]
fn megabytes_pass_through_tiny_buffers_in_both_directions() {
    const LEN: usize = 2 << 20;
    let ca = authority("Test CA");
    let (blocked, is_blocked) = std::sync::mpsc::channel();
    let is_blocked = std::sync::Mutex::new(is_blocked);
    let server = Server::tls(server_config(&good(&ca)), 1, move |mut tls| {
        SockRef::from(&tls.sock).set_recv_buffer_size(TINY).unwrap();
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).unwrap();
        }
        is_blocked.lock().unwrap().recv().unwrap();
        let mut got = vec![0; LEN];
        tls.read_exact(&mut got).unwrap();
        tls.write_all(&got).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
    });
    let mut client = Client::over(through_tiny_buffers(&server), &trusting(&ca), "localhost", false);
    client.handshake().unwrap();
    let sent = pattern(LEN);
    let taken = client.write_until_blocked(&sent);
    assert!(taken < LEN, "no backpressure");
    blocked.send(()).unwrap();
    client.write_all(&sent[taken..]);
    let (got, end) = client.read_to_end(limits::READ_SIZE);
    assert!(got == sent, "the bytes differ");
    assert_eq!(end, Ok(ReadOutcome::Eof { clean: true }));
    server.results();
}

/// Every buffer size receives all data, with reads driven only by events and `more`: data held by rustls must
/// not be lost.
#[test]
fn no_buffer_size_loses_an_event() {
    let ca = authority("Test CA");
    let sent = pattern(200_000);
    for size in [1, 7, 4095, 4096, 16_384, 16_385, 65_536] {
        let bytes = sent[..if size < 100 { 20_000 } else { sent.len() }].to_vec();
        let expected = bytes.clone();
        let server = Server::tls(server_config(&good(&ca)), 1, move |mut tls| {
            // Records of many sizes, including the largest.
            let mut rest = &bytes[..];
            for len in [1, 16_384, 3, 5000, 100].into_iter().cycle() {
                let (record, after) = rest.split_at(rest.len().min(len));
                tls.write_all(record).unwrap();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        });
        let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
        client.handshake().unwrap();
        let (got, end) = client.read_to_end(size);
        assert!(got == expected, "buffers of {size}");
        assert_eq!(end, Ok(ReadOutcome::Eof { clean: true }), "buffers of {size}");
        server.results();
    }
}

#[test]
fn several_buffers_are_filled_in_order() {
    let ca = authority("Test CA");
    let server = Server::tls(server_config(&good(&ca)), 1, |mut tls| {
        tls.write_all(b"abcdefghij").unwrap();
        tls.read(&mut [0]).unwrap()
    });
    let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
    client.handshake().unwrap();
    let (mut one, mut none, mut two, mut three) = ([0; 2], [0; 0], [0; 5], [0; 9]);
    let mut buffers = [&mut one[..], &mut none, &mut two, &mut three].map(IoSliceMut::new);
    let outcome = client.read(&mut buffers);
    assert!(matches!(outcome, Ok(ReadOutcome::Data { n: 10, .. })), "{outcome:?}");
    assert_eq!((&one, &two, &three), (b"ab", b"cdefg", b"hij\0\0\0\0\0\0"));
    client.stream.send_close_notify();
    client.flush();
    assert_eq!(server.results(), [0], "close_notify is a clean end for the server");
}

#[test]
fn stalled_network_accepts_bounded_amount() {
    let ca = authority("Test CA");
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let server = Server::tls(server_config(&good(&ca)), 1, move |mut tls| {
        tls.conn.complete_io(&mut tls.sock).unwrap();
        wait.recv().unwrap();
        let mut all = Vec::new();
        tls.read_to_end(&mut all).map(|_| all).unwrap()
    });
    let mut client = Client::over(through_tiny_buffers(&server), &trusting(&ca), "localhost", false);
    client.handshake().unwrap();
    let block = pattern(limits::WRITE_BLOCK_SIZE);
    let mut taken = Vec::new();
    while let WriteOutcome::Written { n } = client.stream.write_vectored(&[IoSlice::new(&block)]).unwrap() {
        assert_eq!(n, block.len(), "blocks are accepted whole");
        taken.extend_from_slice(&block);
    }
    assert!(client.stream.wants_write());
    for _ in 0..3 {
        let again = client.stream.write_vectored(&[IoSlice::new(&block)]);
        assert_eq!(again, Ok(WriteOutcome::WouldBlock));
    }
    go.send(()).unwrap();
    client.flush();
    assert!(!client.stream.wants_write());
    client.stream.send_close_notify();
    client.flush();
    assert!(server.results()[0] == taken, "the bytes differ");
}

#[test]
fn end_without_close_notify_is_not_clean() {
    let ca = authority("Test CA");
    for clean in [true, false] {
        let server = Server::tls(server_config(&good(&ca)), 1, move |mut tls| {
            tls.write_all(b"bye").unwrap();
            if clean {
                tls.conn.send_close_notify();
            }
            tls.flush().unwrap();
            tls.sock.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = tls.sock.read_to_end(&mut Vec::new());
        });
        let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
        client.handshake().unwrap();
        assert_eq!(client.read_to_end(100), (b"bye".to_vec(), Ok(ReadOutcome::Eof { clean })));
        let mut buffer = [0; 8];
        let again = client.stream.read_vectored(&mut [IoSliceMut::new(&mut buffer)]);
        assert_eq!(again, Ok(ReadOutcome::Eof { clean }), "the end of stream is reported again");
        drop(client);
        server.results();
    }
}

#[test]
fn damaged_record_fails_after_earlier_data() {
    let ca = authority("Test CA");
    let server = Server::tls(server_config(&good(&ca)), 1, |mut tls| {
        tls.write_all(b"before").unwrap();
        tls.flush().unwrap();
        // Unencrypted application data (23).
        tls.sock.write_all(&[&[23, 3, 3, 0, 40][..], &[0x55; 40]].concat()).unwrap();
        let alert = tls.read(&mut [0]).map_err(|error| error.to_string());
        alert.unwrap_err()
    });
    let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
    client.handshake().unwrap();
    client.stream.set_phase(Phase::Open);
    let (got, end) = client.read_to_end(1 << 16);
    assert_eq!(got, b"before");
    let error = end.unwrap_err();
    assert_eq!((error.kind, error.phase), (ErrorKind::Tls, Phase::Open));
    assert!(error.message.contains("a record was modified in transit"), "{error}");
    assert_eq!(client.read_to_end(1 << 16).1, Err(error), "the error is reported again");
    let server_saw = server.results().remove(0);
    assert!(server_saw.contains("BadRecordMac"), "{server_saw}");
}

#[test]
fn key_update_is_answered() {
    let ca = authority("Test CA");
    let server = Server::tls(server_config(&good(&ca)), 1, |mut tls| {
        tls.write_all(b"one").unwrap();
        tls.conn.refresh_traffic_keys().unwrap();
        tls.write_all(b"two").unwrap();
        let mut got = [0; 5];
        tls.read_exact(&mut got).unwrap();
        tls.write_all(&got).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
    });
    let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
    client.handshake().unwrap();
    client.write_all(b"three");
    assert_eq!(client.read_to_end(100).0, b"onetwothree");
    server.results();
}
