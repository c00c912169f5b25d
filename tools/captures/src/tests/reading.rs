//! Reading: formats, reassembly, frames, and damaged files.

use std::time::Duration;

use super::sample::{
    self, COMPRESSED, Captured, ETHERNET, File, NULL, RAW, RESPONSE, Talk, compressed, compressor,
};
use super::{messages, only_session};
use crate::{Content, End, Session, Side, har, read};
use Side::{Client, Server};

/// Asks, gets an answer in two fragments with a ping between them, and closes.
fn chat() -> Talk {
    let mut talk = Talk::opened(RESPONSE);
    talk.frame(Client, 0x81, b"hello");
    talk.comment("lane 0");
    talk.frame(Server, 0x02, &[1, 2]);
    talk.frame(Server, 0x89, b"still there?");
    talk.frame(Client, 0x8A, b"still there?");
    talk.frame(Server, 0x80, &[3]);
    talk.frame(Client, 0x88, b"\x03\xe8bye");
    talk.frame(Server, 0x88, b"\x03\xe8bye");
    talk.segment(Server, "FA", b"");
    talk.comment("closed");
    talk.segment(Client, "FA", b"");
    talk
}

#[test]
fn url_is_that_of_the_comment_or_of_the_request() {
    let mut talk = chat();
    assert_eq!(only_session(&talk.file()).url(), "ws://game.example/play?room=7");
    talk.packets[0].comments.push("socket 1: wss://game.example:444/play; 192.0.2.1:5".to_owned());
    assert_eq!(only_session(&talk.file()).url(), "wss://game.example:444/play");
}

fn check_chat(session: &Session) {
    assert_eq!(session.request.target, "/play?room=7");
    assert_eq!(session.request.field("host"), Some("game.example"));
    let response = session.response.as_ref().unwrap();
    assert_eq!((response.status, response.reason.as_str()), (101, "Switching Protocols"));
    assert_eq!(response.field("sec-websocket-protocol"), Some("game.v2"));
    assert_eq!(messages(session), [(Client, b"hello".to_vec()), (Server, vec![1, 2, 3])]);
    assert_eq!(session.close(Client), Some((1000, "bye".to_owned())));
    assert_eq!(session.close(Server), Some((1000, "bye".to_owned())));
    assert_eq!(session.end, End::Closed(Server));
    assert_eq!(session.started, Duration::from_secs(1_700_000_000));
    let times: Vec<u128> = session.records.iter().map(|record| record.time.as_millis()).collect();
    assert_eq!(times, [50, 60, 70, 80, 90, 100, 110]);
    assert_eq!(session.ended.as_millis(), 120);
    assert_eq!(session.records[0].comments, ["lane 0"]);
    assert_eq!(session.comments, ["closed"]);
}

#[test]
fn session_has_handshake_frames_times_and_end() {
    let session = only_session(&chat().file());
    check_chat(&session);
    let Content::Frame(frame) = &session.records[0].content else { panic!("a frame") };
    assert_eq!((frame.mask, frame.payload.as_slice()), (Some([0x12, 0x34, 0x56, 0x78]), &b"hello"[..]));
}

#[test]
fn both_byte_orders_and_all_link_types_are_read() {
    for link_type in [RAW, ETHERNET, NULL] {
        for is_big_endian in [false, true] {
            let mut file = File::new(link_type, is_big_endian);
            file.packets(&chat().packets);
            check_chat(&only_session(&file.bytes));
        }
    }
}

#[test]
fn ipv6_is_read() {
    let mut talk = Talk::new("[2001:db8::1]:50000", "[2001:db8::2]:80");
    talk.handshake();
    talk.send(Client, sample::REQUEST.as_bytes());
    talk.send(Server, RESPONSE.as_bytes());
    talk.frame(Server, 0x81, b"six");
    let session = only_session(&talk.file());
    assert_eq!(session.server, "[2001:db8::2]:80".parse().unwrap());
    assert_eq!(messages(&session), [(Server, b"six".to_vec())]);
    assert_eq!(session.end, End::Open);
}

#[test]
fn time_resolution_and_offset_are_applied() {
    for is_big_endian in [false, true] {
        // Units of 2^-10 seconds.
        let mut file = File::new(RAW, is_big_endian);
        file.bytes.clear();
        let offset = if is_big_endian { 5i64.to_be_bytes() } else { 5i64.to_le_bytes() };
        file.section();
        file.interface(&[(9, vec![0x8A]), (14, offset.to_vec())]);
        let mut packets = chat().packets;
        for (at, packet) in packets.iter_mut().enumerate() {
            packet.time_ms = 2048 + 512 * at as u64;
        }
        file.packets(&packets);
        let session = only_session(&file.bytes);
        assert_eq!(session.started, Duration::from_secs(7));
        assert_eq!(session.records[0].time, Duration::from_millis(2500));
    }
}

#[test]
fn sections_have_their_own_interfaces_and_byte_order() {
    let mut file = File::new(RAW, false);
    file.packets(&chat().packets);
    let mut second = File::new(ETHERNET, true);
    let mut talk = Talk::new("192.0.2.9:50001", "192.0.2.2:80");
    talk.handshake();
    talk.send(Client, sample::REQUEST.as_bytes());
    talk.send(Server, RESPONSE.as_bytes());
    second.packets(&talk.packets);
    let capture = read(&[file.bytes, second.bytes].concat()).unwrap();
    assert_eq!(capture.warnings, Vec::<String>::new());
    assert_eq!(capture.sessions.len(), 2);
    check_chat(&capture.sessions[0]);
    assert_eq!(capture.sessions[1].client, "192.0.2.9:50001".parse().unwrap());
}

/// A frame for each byte value, so that lost, repeated and reordered bytes show.
fn numbered() -> Talk {
    let mut talk = Talk::opened(RESPONSE);
    for number in 0..=255 {
        talk.frame(Server, 0x82, &[number; 10]);
    }
    talk
}

fn assert_numbered(bytes: &[u8]) {
    let expected: Vec<_> = (0..=255).map(|number| (Server, vec![number; 10])).collect();
    assert_eq!(messages(&only_session(bytes)), expected);
}

#[test]
fn retransmitted_and_reordered_segments_are_put_in_order() {
    let talk = numbered();
    let first = talk.packets.len() - 256;
    let shuffled = |order: &dyn Fn(&[Captured]) -> Vec<Captured>| {
        let mut file = File::new(RAW, false);
        file.packets(&talk.packets[..first]);
        file.packets(&order(&talk.packets[first..]));
        file.bytes
    };
    assert_numbered(&shuffled(&|packets| packets.to_vec()));
    assert_numbered(&shuffled(&|packets| packets.iter().rev().cloned().collect()));
    assert_numbered(&shuffled(&|packets| [packets, packets].concat()));
    assert_numbered(&shuffled(&|packets| {
        packets.chunks(2).flat_map(|pair| [&pair[1], &pair[0], &pair[1]]).cloned().collect()
    }));
}

#[test]
fn frames_may_be_split_and_joined_by_segments() {
    let frames: Vec<u8> = (0..=255).flat_map(|number| sample::frame(Server, 0x82, &[number; 10])).collect();
    for size in [1, 3, 7, 1000, 65_000] {
        let mut talk = Talk::opened(RESPONSE);
        for part in frames.chunks(size) {
            talk.send(Server, part);
        }
        assert_numbered(&talk.file());
    }
}

#[test]
fn message_of_several_segments_is_complete() {
    let mut talk = Talk::opened(RESPONSE);
    let large: Vec<u8> = (0..200_000u32).map(|at| (at / 7) as u8).collect();
    for part in sample::frame(Server, 0x82, &large).chunks(65_000) {
        talk.send(Server, part);
    }
    let session = only_session(&talk.file());
    assert!(messages(&session) == [(Server, large)]);
    // When its last segment arrived.
    assert_eq!(session.records[0].time.as_millis(), 80);
}

#[test]
fn gap_is_reported_and_nothing_after_it_decoded() {
    let mut talk = Talk::opened(RESPONSE);
    talk.frame(Server, 0x81, b"before");
    talk.lose(Server, 77);
    talk.frame(Server, 0x81, b"after");
    talk.frame(Client, 0x81, b"other side");
    let capture = read(&talk.file()).unwrap();
    let expected = [(Server, b"before".to_vec()), (Client, b"other side".to_vec())];
    assert_eq!(messages(&capture.sessions[0]), expected);
    let sent = RESPONSE.len() + 8;
    let warning = format!(
        "connection from 192.0.2.1:50000: 77 bytes that the server sent after its first {sent} were not captured; \
         what follows them is not decoded"
    );
    assert_eq!(capture.warnings, [warning]);
}

#[test]
fn gap_before_the_end_is_reported() {
    let mut talk = Talk::opened(RESPONSE);
    talk.lose(Client, 5);
    talk.segment(Client, "FA", b"");
    let capture = read(&talk.file()).unwrap();
    assert_eq!(capture.sessions[0].end, End::Closed(Client));
    assert!(capture.warnings[0].contains("5 bytes that the client sent"), "{:?}", capture.warnings);
}

#[test]
fn compressed_messages_are_inflated_with_context_takeover() {
    let mut talk = Talk::opened(COMPRESSED);
    let (mut client, mut server) = (compressor(), compressor());
    let mut expected = Vec::new();
    for number in 0..20 {
        let text = format!("the same text with another number, which is {number}").into_bytes();
        // client_no_context_takeover
        client.reset();
        talk.frame(Client, 0xC1, &compressed(&mut client, &text));
        talk.frame(Server, 0xC1, &compressed(&mut server, &text));
        expected.extend([(Client, text.clone()), (Server, text)]);
    }
    talk.frame(Server, 0x81, b"not compressed");
    expected.push((Server, b"not compressed".to_vec()));
    talk.frame(Server, 0xC1, &[]);
    expected.push((Server, Vec::new()));
    let session = only_session(&talk.file());
    assert_eq!(messages(&session), expected);
    let compression = session.compression.unwrap();
    assert!(compression.client_no_context_takeover && !compression.server_no_context_takeover);
}

#[test]
fn damaged_compressed_message_is_reported_once_for_each() {
    let mut talk = Talk::opened(COMPRESSED);
    talk.frame(Server, 0xC1, &[0xFF, 0xFF, 0xFF]);
    talk.frame(Server, 0xC1, &compressed(&mut compressor(), b"later"));
    talk.frame(Server, 0x81, b"plain");
    talk.frame(Client, 0x80, b"no start");
    let session = only_session(&talk.file());
    let results: Vec<_> = session.messages().collect();
    assert!(results[0].as_ref().unwrap_err().starts_with("a compressed message is damaged"), "{results:?}");
    assert_eq!(results[1].as_ref().unwrap_err(), "a compressed message that cannot be inflated");
    assert_eq!(results[2].as_ref().unwrap().payload, b"plain");
    assert_eq!(results[3].as_ref().unwrap_err(), "a continuation frame without a message");
}

#[test]
fn small_file_cannot_inflate_to_more_than_the_limit() {
    let mut state = flate2::Compress::new(flate2::Compression::fast(), false);
    let mut bomb = Vec::new();
    for _ in 0..65 {
        bomb.extend(compressed(&mut state, &vec![0; 1 << 20]));
        bomb.extend([0, 0, 0xFF, 0xFF]);
    }
    let mut talk = Talk::opened(COMPRESSED);
    for part in sample::frame(Server, 0xC2, &bomb).chunks(60_000) {
        talk.send(Server, part);
    }
    let session = only_session(&talk.file());
    let results: Vec<_> = session.messages().collect();
    assert_eq!(results, [Err("a message of more than 64 MiB is skipped".to_owned())]);
}

#[test]
fn bytes_that_are_no_frame_are_kept() {
    for invalid in [
        &b"\x83\x01x"[..],
        b"\x81\x7e\x00\x01x",
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
        b"\x09\x00",
    ] {
        let mut talk = Talk::opened(RESPONSE);
        talk.frame(Server, 0x81, b"valid");
        talk.send(Server, invalid);
        talk.send(Server, b"more");
        let capture = read(&talk.file()).unwrap();
        let contents: Vec<_> =
            capture.sessions[0].records.iter().skip(1).map(|record| &record.content).collect();
        assert_eq!(contents, [&Content::Bytes(invalid.to_vec()), &Content::Bytes(b"more".to_vec())]);
        assert_eq!(capture.warnings.len(), 1);
        let problem = "connection from 192.0.2.1:50000: the server sent no valid frame: ";
        assert!(capture.warnings[0].starts_with(problem), "{:?}", capture.warnings);
    }
}

#[test]
fn connection_cut_within_a_frame_keeps_its_start() {
    let mut talk = Talk::opened(RESPONSE);
    talk.send(Server, b"\x81\x05hel");
    talk.segment(Server, "RA", b"");
    let session = only_session(&talk.file());
    assert_eq!(session.records[0].content, Content::Bytes(b"\x81\x05hel".to_vec()));
    assert_eq!(session.end, End::Reset(Server));
}

#[test]
fn refused_upgrade_has_its_status_and_body() {
    let mut talk = Talk::opened(
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nbanned",
    );
    talk.segment(Server, "FA", b"");
    let session = only_session(&talk.file());
    let response = session.response.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (403, &b"banned"[..]));
    assert!(response.head.starts_with(b"HTTP/1.1 103"));
    assert_eq!(session.records, []);
}

#[test]
fn session_without_a_response_keeps_what_was_sent() {
    for bytes in [&b"SSH-2.0-OpenSSH\r\n"[..], b"HTTP/1.1 101 Swi"] {
        let session = only_session(&Talk::opened(std::str::from_utf8(bytes).unwrap()).file());
        assert_eq!(session.response, None);
        assert_eq!(session.records[0].content, Content::Bytes(bytes.to_vec()));
    }
}

#[test]
fn port_that_is_used_again_is_another_session() {
    let mut first = chat();
    let mut second = Talk::opened(RESPONSE);
    for packet in &mut second.packets {
        packet.time_ms += 1000;
    }
    first.packets.extend(second.packets);
    // The same sequence numbers would be a retransmission.
    let capture = read(&first.file()).unwrap();
    assert_eq!(capture.sessions.len(), 1);

    let mut third = Talk::new("192.0.2.1:50000", "192.0.2.2:80");
    third.lose(Client, 123_456);
    third.handshake();
    third.send(Client, sample::REQUEST.as_bytes());
    third.send(Server, RESPONSE.as_bytes());
    let mut packets = chat().packets;
    packets.extend(third.packets);
    let mut file = File::new(RAW, false);
    file.packets(&packets);
    assert_eq!(read(&file.bytes).unwrap().sessions.len(), 2);
}

#[test]
fn capture_may_start_with_the_request_but_not_later() {
    let mut file = File::new(RAW, false);
    file.packets(&chat().packets[3..]);
    let session = only_session(&file.bytes);
    assert_eq!(messages(&session).len(), 2);

    let mut file = File::new(RAW, false);
    file.packets(&chat().packets[4..]);
    let capture = read(&file.bytes).unwrap();
    assert_eq!(capture.sessions.len(), 0);
    assert_eq!(capture.warnings, ["8 packets belong to connections that were open when the capture started"]);
}

#[test]
fn other_traffic_is_ignored() {
    let mut file = File::new(RAW, false);
    file.packet(0, b"not IP", &[]);
    file.packet(0, &[], &[]);
    file.packet(0, &[0x45; 20], &[]);
    let mut web = Talk::new("192.0.2.1:50009", "192.0.2.2:80");
    web.handshake();
    web.send(Client, b"GET / HTTP/1.1\r\nHost: game.example\r\n\r\n");
    web.send(Server, b"HTTP/1.1 200 OK\r\n\r\n");
    file.packets(&web.packets);
    file.block(0x0BAD, b"customer");
    file.packets(&chat().packets);
    file.block(4, &[0; 4]);
    check_chat(&only_session(&file.bytes));
}

#[test]
fn unsupported_link_type_and_dropped_packets_are_reported() {
    let mut file = File::new(113, false);
    file.packet(0, b"whatever", &[]);
    let counts = file.options(&[(5, 3u64.to_le_bytes().to_vec()), (7, 4u64.to_le_bytes().to_vec())]);
    file.block(5, &[&[0; 12], counts.as_slice()].concat());
    let capture = read(&file.bytes).unwrap();
    assert_eq!(
        capture.warnings,
        [
            "7 packets were dropped while the file was written",
            "1 packets are of an interface with link type 113; raw IP, Ethernet and NULL are supported"
        ]
    );
}

#[test]
fn files_of_other_formats_are_named() {
    let error = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(error(b""), "the file is empty");
    assert!(error(&[0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0]).contains("pcap file, not pcapng"));
    assert!(error(&[0xA1, 0xB2, 0x3C, 0x4D]).contains("editcap -F pcapng"));
    assert!(error(&[0x1F, 0x8B, 8]).contains("gzip"));
    assert!(error(b"{\"log\":{}}").contains("not a pcapng file"));
    assert!(
        crate::read_file("/nonexistent/x.pcapng").unwrap_err().to_string().contains("/nonexistent/x.pcapng")
    );
}

#[test]
fn file_cut_at_any_byte_is_read_up_to_there() {
    let bytes = chat().file();
    let (mut most, mut cut) = (0, 0);
    for end in 4..bytes.len() {
        let capture = read(&bytes[..end]).unwrap();
        cut += usize::from(capture.warnings.iter().any(|warning| warning.starts_with("the file is cut off")));
        let count = capture.sessions.first().map_or(0, |session| session.records.len());
        assert!(count >= most);
        most = count;
    }
    // All but those between two blocks.
    assert_eq!((most, cut), (7, bytes.len() - 4 - 15));
}

#[test]
fn impossible_lengths_are_errors() {
    let error = |file: &File| read(&file.bytes).unwrap_err().to_string();
    let at = File::new(RAW, false).bytes.len();
    for length in [0u32, 4, 8, 11, 13, 0x7FFF_FFFE] {
        let mut file = File::new(RAW, false);
        file.bytes.extend([&6u32.to_le_bytes()[..], &length.to_le_bytes(), &[0; 40]].concat());
        assert_eq!(error(&file), format!("the block at byte {at} has the invalid length {length}"));
    }
    // Longer than the file: cut off.
    let mut file = File::new(RAW, false);
    file.bytes.extend([&6u32.to_le_bytes()[..], &0xFFFF_FFFCu32.to_le_bytes(), &[0; 40]].concat());
    assert!(read(&file.bytes).unwrap().warnings[0].contains("has 4294967292 bytes, of which 48 are there"));
    // A packet longer than its block.
    let mut file = File::new(RAW, false);
    let body = [[0; 12], [0xFF; 12]].concat();
    file.block(6, &body);
    assert_eq!(error(&file), format!("the block at byte {at} is damaged"));
    // The length at the end differs.
    let mut file = File::new(RAW, false);
    file.packet(0, b"abcd", &[]);
    let end = file.bytes.len();
    file.bytes[end - 4] ^= 4;
    assert_eq!(error(&file), format!("the block at byte {at} is damaged"));
    // An interface that does not exist.
    let mut file = File::new(RAW, false);
    file.block(6, &[7u32.to_le_bytes(), [0; 4], [0; 4], [0; 4], [0; 4]].concat());
    assert_eq!(error(&file), format!("packet 1 at byte {at} is of interface 7, which is not described"));
    // A time resolution beyond all numbers.
    let mut file = File::new(RAW, false);
    file.interface(&[(9, vec![0x7F])]);
    assert_eq!(error(&file), format!("the interface at byte {at} has the invalid time resolution 0x7f"));
}

#[test]
fn har_has_what_devtools_reads() {
    let mut talk = chat();
    let mut refused = Talk::new("192.0.2.1:50001", "192.0.2.2:80");
    refused.handshake();
    refused.send(Client, sample::REQUEST.as_bytes());
    refused.send(
        Server,
        b"HTTP/1.1 302 Found\r\nLocation: wss://other.example/\r\nSet-Cookie: c=3; Secure\r\n\r\n\xFF",
    );
    talk.packets.extend(refused.packets);
    let har = har(&read(&talk.file()).unwrap().sessions);
    let entry = &har["log"]["entries"][0];
    assert_eq!(entry["_resourceType"], "websocket");
    assert_eq!(entry["startedDateTime"], "2023-11-14T22:13:20Z");
    assert_eq!(entry["request"]["url"], "ws://game.example/play?room=7");
    assert_eq!(entry["request"]["queryString"][0]["value"], "7");
    assert_eq!(entry["request"]["cookies"][1]["name"], "b");
    let shown = |message: &serde_json::Value| {
        let (kind, data) = (message["type"].as_str().unwrap(), message["data"].as_str().unwrap());
        format!("{kind} {} {data}", message["opcode"])
    };
    let messages = entry["_webSocketMessages"].as_array().unwrap();
    assert_eq!(
        messages.iter().map(shown).collect::<Vec<_>>(),
        [
            "send 1 hello",
            "receive 9 still there?",
            "send 10 still there?",
            "receive 2 AQID",
            "send 8 1000 bye",
            "receive 8 1000 bye",
        ]
    );
    assert_eq!(messages[0]["time"], 1_700_000_000.05);
    let response = &har["log"]["entries"][1]["response"];
    assert_eq!(
        (&response["status"], &response["redirectURL"]),
        (&302.into(), &"wss://other.example/".into())
    );
    assert_eq!(
        (&response["content"]["text"], &response["content"]["encoding"]),
        (&"/w==".into(), &"base64".into())
    );
    assert_eq!(response["cookies"][0]["value"], "3");
    check_importer_rules(&har);
}

/// What Chromium's DevTools requires: other types stop the import (its `HARFormat`).
fn check_importer_rules(har: &serde_json::Value) {
    let number = |value: &serde_json::Value| assert!(value.is_number(), "{value}");
    let text = |value: &serde_json::Value| assert!(value.is_string(), "{value}");
    let named = |value: &serde_json::Value| {
        for pair in value.as_array().unwrap() {
            text(&pair["name"]);
            text(&pair["value"]);
        }
    };
    text(&har["log"]["version"]);
    text(&har["log"]["creator"]["name"]);
    text(&har["log"]["creator"]["version"]);
    for entry in har["log"]["entries"].as_array().unwrap() {
        assert!(entry["_initiator"].is_object());
        text(&entry["startedDateTime"]);
        number(&entry["time"]);
        for name in ["send", "wait", "receive", "connect", "blocked", "dns", "ssl"] {
            number(&entry["timings"][name]);
        }
        let (request, response) = (&entry["request"], &entry["response"]);
        for name in ["method", "url", "httpVersion"] {
            text(&request[name]);
        }
        for name in ["statusText", "httpVersion", "redirectURL"] {
            text(&response[name]);
        }
        for value in
            [&request["headersSize"], &request["bodySize"], &response["headersSize"], &response["bodySize"]]
        {
            number(value);
        }
        number(&response["status"]);
        number(&response["content"]["size"]);
        text(&response["content"]["mimeType"]);
        for value in [&request["headers"], &request["cookies"], &request["queryString"], &response["headers"]]
        {
            named(value);
        }
        for message in entry["_webSocketMessages"].as_array().unwrap() {
            assert!(["send", "receive"].contains(&message["type"].as_str().unwrap()));
            number(&message["time"]);
            number(&message["opcode"]);
            text(&message["data"]);
        }
    }
}
