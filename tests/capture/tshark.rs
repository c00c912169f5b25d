//! Captures decoded by tshark, which the step `captures, decoded by tshark` of `cargo xtask test` installs.

#![cfg(all(feature = "tls", feature = "http2", unix))]

#[path = "../common/mod.rs"]
mod common;
mod reader;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Client, Seen, wait_until};
use framewire::{CaptureOptions, HttpVersion, Reconnect, Roots, Tls};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::{Authority, Behaviour, Http2Server, Peer, Scripted};

/// A file in the folder for temporary files. It stays there if its test fails.
fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("framewire-tshark-{}-{name}.pcapng", std::process::id()))
}

fn capture(client: &Client, file: &Path) {
    client.set_capture(file, CaptureOptions::default()).unwrap();
}

fn tshark(file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .args(["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-r"])
        .arg(file)
        .args(arguments)
        .output()
        .expect("tshark is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The values of fields of the packets that pass a filter: one line for each packet.
fn fields(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["-Y", filter, "-T", "fields"];
    fields.iter().for_each(|field| arguments.extend(["-e", field]));
    let lines = tshark(file, &arguments);
    lines.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// What tshark complains about: malformed packets, wrong checksums, segments that are missing, and anything else in its
/// analysis of TCP.
const COMPLAINTS: &str = "_ws.malformed || _ws.expert.severity >= 6291456 || tcp.analysis.flags || \
                          ip.checksum.status == 0 || tcp.checksum.status == 0";

fn assert_no_complaints(file: &Path) {
    wait_until("the end of the file", || reader::is_complete(file));
    assert_eq!(tshark(file, &["-Y", COMPLAINTS]), "");
}

/// Accepts the connection with permessage-deflate and returns each message as it was sent, compressed: a stream of
/// messages with the same context. Answers a ping, and the text "ping" with one of its own.
fn deflating(peer: &mut Peer) {
    peer.accept_upgrade_with("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    while let Some(frame) = peer.read_frame() {
        match frame.opcode {
            8 => return peer.send_close(1000, "done"),
            9 => peer.send_frame(0x8a, &frame.payload),
            10 => {}
            _ if frame.payload == b"reset" => return,
            opcode => {
                peer.send_frame(u8::from(frame.fin) << 7 | frame.rsv << 4 | opcode, &frame.payload);
                if frame.payload == b"ping" {
                    peer.send_frame(0x89, b"are you there");
                }
            }
        }
    }
}

/// Texts that repeat what earlier ones contain, so that they can be decompressed only with the context.
fn texts() -> Vec<String> {
    (0..8)
        .map(|turn| format!("{{\"turn\":{turn},\"players\":[{}]}}", "\"Ada\",\"Grace\",".repeat(30)))
        .collect()
}

#[test]
fn tshark_inflates_messages_with_context_takeover() {
    let server = Scripted::start(|mut peer| deflating(&mut peer));
    let file = temporary("deflate");
    let client = Client::new(&server.url());
    capture(&client, &file);
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    for text in texts() {
        client.send_text(&text).unwrap();
        assert_eq!(client.next(), Seen::Text(text));
    }
    client.ping(b"ping of the client").unwrap();
    assert_eq!(client.next(), Seen::Pong(b"ping of the client".to_vec()));
    client.send_text("ping").unwrap();
    assert_eq!(client.next(), Seen::Text("ping".to_owned()));
    client.close(1000, "done").unwrap();
    assert_eq!(client.closed(), (1000, "done".to_owned()));
    client.end_capture().unwrap();
    assert_no_complaints(&file);

    let requests = fields(&file, "http", &["http.request.method", "http.upgrade", "http.response.code"]);
    assert_eq!(requests, [vec!["GET", "websocket", ""], vec!["", "websocket", "101"]]);
    let inflated: Vec<String> = texts().into_iter().chain(["ping".to_owned()]).collect();
    for (port, mask) in [("tcp.dstport == 80", "1"), ("tcp.srcport == 80", "0")] {
        let filter = format!("{port} && websocket.opcode == 1");
        let shown = fields(&file, &filter, &["websocket.payload.text", "websocket.mask", "websocket.pmc"]);
        let seen: Vec<&str> = shown.iter().map(|line| line[0].as_str()).collect();
        assert_eq!(seen, inflated, "{port}");
        assert!(shown.iter().all(|line| line[1] == mask), "{port}");
        assert_eq!(shown.iter().filter(|line| line[2] == "1").count(), 8, "{port}: compressed");
    }
    let control =
        fields(&file, "websocket.opcode >= 8", &["websocket.opcode", "websocket.payload.close.reason"]);
    let opcodes: Vec<&str> = control.iter().map(|line| line[0].as_str()).collect();
    assert_eq!(opcodes, ["9", "10", "9", "10", "8", "8"]);
    assert!(control[4..].iter().all(|line| line[1] == "done"), "{control:?}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn tshark_decodes_every_transport_without_complaint() {
    let authority = Authority::new("Test CA");
    let file = temporary("transports");
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for (is_secure, version) in
        [(true, HttpVersion::Http1), (false, HttpVersion::Http2), (true, HttpVersion::Http2)]
    {
        let alpn: &[&str] = if version == HttpVersion::Http2 { &["h2"] } else { &["http/1.1"] };
        let config =
            is_secure.then(|| server_config(&authority.good(), Demands { alpn, ..Demands::default() }));
        let server = Http2Server::start(Behaviour { tls: config, ..Behaviour::default() });
        let client = Client::new(&server.url("/play?room=7"));
        if is_secure {
            let tls = Tls::create().unwrap();
            tls.set_roots(Roots::None).unwrap();
            tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
            client.set_tls(Some(&tls)).unwrap();
        }
        client.set_http_version(version).unwrap();
        client.set_bearer_auth("s3cr3t").unwrap();
        capture(&client, &file);
        client.open().unwrap();
        clients.push(client);
        servers.push(server);
    }
    // Fragments, and frames of several segments.
    let long = "long ".repeat(100_000);
    for client in &clients {
        assert_eq!(client.next(), Seen::Open);
        client.set_max_fragment_size(200_000).unwrap();
        for text in ["short", long.as_str()] {
            client.send_text(text).unwrap();
            assert_eq!(client.next(), Seen::Text(text.to_owned()));
        }
    }
    for client in &clients {
        client.close(1000, "done").unwrap();
        assert_eq!(client.closed().0, 1000);
        client.end_capture().unwrap();
    }
    assert_no_complaints(&file);
    let requests = fields(&file, "http.request", &["tcp.stream", "http.request.uri", "http.authorization"]);
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|line| line[1..] == ["/play?room=7", "<redacted>"]), "{requests:?}");
    for stream in ["0", "1", "2"] {
        let all = |direction: &str, field: &str| -> Vec<String> {
            let filter = format!("tcp.stream == {stream} && {direction} == 80 && websocket");
            let lines = fields(&file, &filter, &[field]);
            lines
                .into_iter()
                .flatten()
                .flat_map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>())
                .collect()
        };
        for direction in ["tcp.dstport", "tcp.srcport"] {
            let opcodes = all(direction, "websocket.opcode");
            assert_eq!((opcodes[0].as_str(), opcodes[1].as_str()), ("1", "1"), "{opcodes:?}");
            assert_eq!(opcodes.last().unwrap(), "8");
            let sizes: usize = fields(
                &file,
                &format!("tcp.stream == {stream} && {direction} == 80 && websocket.opcode < 2"),
                &["websocket.payload_length_ext_16", "websocket.payload_length_ext_64"],
            )
            .into_iter()
            .flatten()
            .filter_map(|size| size.parse::<usize>().ok())
            .sum();
            assert_eq!(sizes, long.len(), "{direction}");
        }
    }
    std::fs::remove_file(file).unwrap();
}

/// The session in `docs/capture.md`: `FRAMEWIRE_LISTING` names the file to write the listing to.
#[test]
fn tshark_lists_reset_and_reconnect() {
    let server = Scripted::start(|mut peer| deflating(&mut peer));
    let file = temporary("listing");
    let client = Client::new(&server.url());
    client.set_lanes(&[framewire::Lane::default()]).unwrap();
    let min_delay = Duration::from_millis(1);
    client.set_reconnect(Some(Reconnect { min_delay, ..Reconnect::default() })).unwrap();
    capture(&client, &file);
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    for text in texts().iter().take(2) {
        client.send_text(text).unwrap();
        assert_eq!(client.next(), Seen::Text(text.clone()));
    }
    client.ping(b"!").unwrap();
    assert!(matches!(client.next(), Seen::Pong(_)));
    client.send_text("reset").unwrap();
    assert!(matches!(client.next(), Seen::Reconnecting(..)));
    assert_eq!(client.next(), Seen::Open);
    client.close(1000, "done").unwrap();
    assert_eq!(client.closed().0, 1000);
    client.end_capture().unwrap();
    assert_no_complaints_but_resets(&file);
    assert_eq!(fields(&file, "tcp.flags.syn == 1 && tcp.flags.ack == 0", &["tcp.stream"]).len(), 2);
    let comments = fields(&file, "frame.comment", &["frame.comment"]);
    assert!(comments.iter().any(|line| line[0].contains("lane 0, queued for ")), "{comments:?}");
    assert!(comments.iter().any(|line| line[0].starts_with("error reset: ")), "{comments:?}");
    if let Some(to) = std::env::var_os("FRAMEWIRE_LISTING") {
        let columns = "gui.column.format:\"No.\",\"%m\",\"Time\",\"%t\",\"From\",\"%S\",\"To\",\"%D\",\"Protocol\",\"%p\",\"Info\",\"%i\"";
        std::fs::write(to, tshark(&file, &["-o", columns])).unwrap();
    }
    std::fs::remove_file(file).unwrap();
}

/// A reset is what tshark is expected to point out.
fn assert_no_complaints_but_resets(file: &Path) {
    wait_until("the end of the file", || reader::is_complete(file));
    let filter = format!("({COMPLAINTS}) && tcp.flags.reset == 0 && tcp.flags.fin == 0");
    assert_eq!(tshark(file, &["-Y", &filter]), "");
}
