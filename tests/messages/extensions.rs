//! External extensions: the program encodes and decodes, and the library carries the reserved bits.

#[path = "../common/mod.rs"]
mod common;

use std::sync::{Arc, mpsc};

use common::{Client, Seen};
use framewire::{
    Code, Compression, Content, ErrorKind, Extension, ExternalExtension, MessageType, Piece, Reconnect,
    Segment, SendFlags, SendOptions,
};
use framewire_servers::scripted::Frame;
use framewire_servers::{Scripted, xor};

const RSV3: u8 = 1;
const RSV2: u8 = 2;
const RSV1: u8 = 4;

fn external(offer: &str, rsv: u8) -> Arc<ExternalExtension> {
    Arc::new(ExternalExtension::new(offer, rsv).unwrap())
}

fn marked(rsv: u8) -> SendFlags {
    SendFlags { rsv, ..SendFlags::default() }
}

/// Accepts these extensions and returns every message as it came, unmasked. Reports each frame.
fn returning(extensions: &str) -> (Scripted, mpsc::Receiver<Frame>) {
    let (report, reported) = mpsc::channel();
    let lines = if extensions.is_empty() {
        String::new()
    } else {
        format!("Sec-WebSocket-Extensions: {extensions}\r\n")
    };
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade_with(&lines);
        while let Some(frame) = peer.read_frame() {
            if frame.opcode == 8 {
                peer.send_close(1000, "");
                return;
            }
            peer.send_frame(0x80 | frame.rsv << 4 | frame.opcode, &frame.payload);
            let _ = report.send(frame);
        }
    });
    (server, reported)
}

/// Encodes every message inside the library, marked with RSV2.
struct Inverse;

impl Extension for Inverse {
    fn rsv(&self) -> u8 {
        RSV2
    }
    fn offer(&self) -> Option<String> {
        Some("x-inverse".to_owned())
    }
    fn accept(&self, _element: &str) -> Result<(), String> {
        Ok(())
    }
    fn mark(&self, _piece: Piece) -> Result<u8, String> {
        Ok(RSV2)
    }
    fn encode(&self, _piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        let inverse: Vec<u8> = payload.iter().map(|byte| !byte).collect();
        Segment::copy_of(&inverse).map(Some).map_err(|_| "no memory".to_owned())
    }
    fn decode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        self.encode(piece, payload)
    }
}

#[test]
fn encoded_messages_are_carried_both_ways_and_not_validated() {
    let server = xor::start();
    let client = Client::new(&server.url());
    client.set_compression(None).unwrap();
    client.add_extension(external("x-xor; key=255", RSV2)).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.extensions(), "x-xor; key=255");
    let encoded: Vec<u8> = "text".bytes().map(|byte| byte ^ 255).collect();
    client.send_binary_with(&encoded, marked(RSV2)).unwrap();
    assert_eq!(client.next(), Seen::Encoded(MessageType::Binary, RSV2, encoded.clone()));
    assert!(std::str::from_utf8(&encoded).is_err());
    let options = SendOptions { flags: marked(RSV2), tag: 5, ..SendOptions::default() };
    client.send_message(MessageType::Text, Content::Bytes(&encoded), options).unwrap();
    assert!(matches!(client.next(), Seen::Sent(5, _)));
    assert_eq!(client.next(), Seen::Encoded(MessageType::Text, RSV2, encoded));
}

#[test]
fn encoded_messages_are_compressed_on_the_way() {
    let (server, reported) = returning("x-own, permessage-deflate");
    let client = Client::new(&server.url());
    client.set_compression(Some(Compression::default())).unwrap();
    client.add_extension(external("x-own", RSV2)).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    let encoded = vec![0xFF; 10_000];
    client.send_binary_with(&encoded, marked(RSV2)).unwrap();
    let frame = reported.recv().unwrap();
    assert_eq!(frame.rsv, RSV1 | RSV2);
    assert!(frame.payload.len() < 200, "{} bytes", frame.payload.len());
    assert_eq!(client.next(), Seen::Encoded(MessageType::Binary, RSV2, encoded.clone()));
    client.send_binary_with(&encoded, SendFlags { uncompressed: true, rsv: RSV2 }).unwrap();
    let frame = reported.recv().unwrap();
    assert_eq!((frame.rsv, frame.payload), (RSV2, encoded.clone()));
    assert_eq!(client.next(), Seen::Encoded(MessageType::Binary, RSV2, encoded));
}

#[test]
fn only_extensions_added_later_process_encoded_messages() {
    for (own_is_first, rsv_sent, payload_sent) in
        [(true, RSV3 | RSV2, vec![0xFE, 0xFD]), (false, RSV3, vec![0x01, 0x02])]
    {
        let (server, reported) =
            returning(if own_is_first { "x-own, x-inverse" } else { "x-inverse, x-own" });
        let client = Client::new(&server.url());
        client.set_compression(None).unwrap();
        let own = external("x-own", RSV3);
        if own_is_first {
            client.add_extension(own).unwrap();
            client.add_extension(Arc::new(Inverse)).unwrap();
        } else {
            client.add_extension(Arc::new(Inverse)).unwrap();
            client.add_extension(own).unwrap();
        }
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        client.send_binary_with(&[1, 2], marked(RSV3)).unwrap();
        let frame = reported.recv().unwrap();
        assert_eq!((frame.rsv, frame.payload), (rsv_sent, payload_sent), "own is first: {own_is_first}");
        assert_eq!(client.next(), Seen::Encoded(MessageType::Binary, RSV3, vec![1, 2]));
        // Others pass the extension in the library, and are delivered as usual.
        client.send_binary(&[1, 2]).unwrap();
        let frame = reported.recv().unwrap();
        assert_eq!((frame.rsv, frame.payload), (RSV2, vec![0xFE, 0xFD]));
        assert_eq!(client.next(), Seen::Binary(vec![1, 2]));
    }
}

#[test]
fn fragmented_encoded_messages_are_delivered_complete() {
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade_with("Sec-WebSocket-Extensions: x-own\r\n");
        peer.send_frame(RSV3 << 4 | 1, &[0xFF, 1]);
        peer.send_frame(0, &[2]);
        peer.send_frame(0x80, &[3]);
        peer.send_frame(2, &[4]);
        peer.send_frame(0x80, &[5]);
        // Not encoded: validated.
        peer.send_frame(0x81, &[0xFF]);
        peer.wait_for_end();
    });
    let client = Client::new(&server.url());
    client.set_compression(None).unwrap();
    client.add_extension(external("x-own", RSV3)).unwrap();
    client.enable_event(framewire::EventType::IncompleteFrame, true).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.next(), Seen::Encoded(MessageType::Text, RSV3, vec![0xFF, 1, 2, 3]));
    assert_eq!(client.next(), Seen::Frame { is_first: true, is_final: false, payload: vec![4] });
    assert_eq!(client.next(), Seen::Frame { is_first: false, is_final: true, payload: vec![5] });
    assert_eq!(client.error().kind, ErrorKind::Utf8);
}

#[test]
fn messages_queued_before_the_handshake_keep_their_reserved_bits() {
    let (server, reported) = returning("x-own");
    let client = Client::new(&server.url());
    client.set_compression(None).unwrap();
    client.add_extension(external("x-own", RSV3)).unwrap();
    client.set_reconnect(Some(Reconnect { queue_sends: true, ..Reconnect::default() })).unwrap();
    client.open().unwrap();
    client.send_binary_with(&[1], marked(RSV3)).unwrap();
    client.send_binary(&[2]).unwrap();
    for (rsv, payload) in [(RSV3, vec![1]), (0, vec![2])] {
        let frame = reported.recv().unwrap();
        assert_eq!((frame.rsv, frame.payload), (rsv, payload));
    }
}

#[test]
fn encoded_message_ends_a_connection_without_the_extension() {
    let (server, _reported) = returning("");
    let client = Client::new(&server.url());
    client.add_extension(external("x-own", RSV3)).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.extensions(), "");
    client.send_binary_with(&[1], marked(RSV3)).unwrap();
    let error = client.error();
    assert_eq!(error.kind, ErrorKind::Extension, "{}", error.message);
    assert!(error.message.contains("has not accepted"), "{}", error.message);
}

#[test]
fn reserved_bits_must_be_offered() {
    let (server, reported) = returning("x-own");
    let client = Client::new(&server.url());
    client.set_compression(None).unwrap();
    client.add_extension(external("x-own", RSV3)).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    for rsv in [RSV2, RSV2 | RSV3, RSV1, 8] {
        let refused = client.send_binary_with(&[1], marked(rsv)).unwrap_err();
        assert_eq!(refused.code, Code::InvalidArgument, "{rsv}: {refused}");
    }
    client.send_binary(&[9]).unwrap();
    assert_eq!(reported.recv().unwrap().payload, [9]);
    assert_eq!(client.add_extension(external("x-late", RSV2)).unwrap_err().code, Code::InvalidState);
}

#[test]
fn invalid_offers_are_refused() {
    for (offer, rsv) in [("", 1), ("x own", 1), ("x-own\r\n", 1), ("x-a, x-b", 1), ("x-own", 0), ("x-own", 8)]
    {
        assert_eq!(
            ExternalExtension::new(offer, rsv).unwrap_err().code,
            Code::InvalidArgument,
            "{offer:?} {rsv}"
        );
    }
}
