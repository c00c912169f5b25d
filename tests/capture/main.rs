//! Captures: what is in the file over every transport, and what happens if it cannot be written.

#![cfg(all(feature = "tls", feature = "http2", unix))]

#[path = "../common/mod.rs"]
mod common;
mod reader;

use std::ffi::CString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::time::Duration;

use common::{Client, Seen, wait_until};
use framewire::{
    CaptureOptions, Code, Content, ErrorKind, HttpVersion, LogLevel, MessageType, Reconnect, Roots,
    SendOptions, Tls,
};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::{Authority, Behaviour, EchoServer, Http2Server, Scripted};
use reader::{Connection, FIN, RST, SYN};

/// Held by tests that capture sockets of their own, and exclusively by those that capture all.
static CAPTURES: RwLock<()> = RwLock::new(());

fn own_captures() -> RwLockReadGuard<'static, ()> {
    CAPTURES.read().unwrap_or_else(PoisonError::into_inner)
}

fn all_captures() -> RwLockWriteGuard<'static, ()> {
    CAPTURES.write().unwrap_or_else(PoisonError::into_inner)
}

/// A path in the folder for temporary files, which is removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("framewire-capture-{}-{number}.pcapng", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// Waits for the end of the capture.
    fn read(&self) -> reader::File {
        wait_until("the end of the file", || reader::is_complete(&self.0));
        reader::read(&self.0)
    }

    /// The only connection.
    fn connection(&self) -> Connection {
        let mut connections = self.read().connections;
        assert_eq!(connections.len(), 1);
        connections.remove(0)
    }
}

impl AsRef<Path> for Temporary {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Log lines while it exists. One test at a time.
struct Log(Arc<Mutex<Vec<(LogLevel, String)>>>, #[allow(dead_code)] MutexGuard<'static, ()>);

impl Log {
    fn new() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let own = lines.clone();
        let log = move |level, _, _: &str, line: &str| own.lock().unwrap().push((level, line.to_owned()));
        framewire::set_log(LogLevel::Debug, Some(Arc::new(log)));
        Self(lines, one)
    }

    fn wait_for(&self, level: LogLevel, parts: &[&str]) {
        wait_until("the log line", || {
            let lines = self.0.lock().unwrap();
            lines.iter().any(|(own, line)| *own == level && parts.iter().all(|part| line.contains(part)))
        });
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        framewire::set_log(LogLevel::Off, None);
    }
}

const DEFAULT: CaptureOptions = CaptureOptions { max_file_bytes: 0, include_secrets: false };

fn echo(client: &Client, text: &str) {
    client.send_text(text).unwrap();
    assert_eq!(client.next(), Seen::Text(text.to_owned()));
}

fn close(client: &Client) {
    client.close(1000, "done").unwrap();
    assert_eq!(client.closed(), (1000, "done".to_owned()));
}

#[test]
fn file_has_upgrade_frames_and_close_over_every_transport() {
    let _own = own_captures();
    let authority = Authority::new("Test CA");
    let long = "x".repeat(100_000);
    for (is_secure, version) in [
        (false, HttpVersion::Http1),
        (true, HttpVersion::Http1),
        (false, HttpVersion::Http2),
        (true, HttpVersion::Http2),
    ] {
        let alpn: &[&str] = if version == HttpVersion::Http2 { &["h2"] } else { &["http/1.1"] };
        let tls = is_secure.then(|| server_config(&authority.good(), Demands { alpn, ..Demands::default() }));
        let plain = EchoServer::start();
        let server = Http2Server::start(Behaviour { tls, ..Behaviour::default() });
        let is_plain = !is_secure && version == HttpVersion::Http1;
        let url = if is_plain { plain.url("/game") } else { server.url("/game") };
        let client = Client::new(&url);
        if is_secure {
            let tls = Tls::create().unwrap();
            tls.set_roots(Roots::None).unwrap();
            tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
            client.set_tls(Some(&tls)).unwrap();
        }
        client.set_http_version(version).unwrap();
        let file = Temporary::new();
        client.set_capture(&file, DEFAULT).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        echo(&client, "hello");
        echo(&client, &long);
        close(&client);
        client.end_capture().unwrap();

        let connection = file.connection();
        assert_eq!(connection.server.port(), 80);
        assert_eq!(connection.flags()[..3], [SYN, SYN | 16, 16]);
        let ends = connection.packets.iter().filter(|packet| packet.flags & FIN != 0);
        assert_eq!(ends.count(), 2, "{version:?}");
        let (request, sent) = connection.frames(false);
        assert!(request.starts_with("GET /game HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("Upgrade: websocket\r\n"), "{request}");
        let (response, received) = connection.frames(true);
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        assert!(response.to_ascii_lowercase().contains("\r\nsec-websocket-accept: "), "{response}");
        assert!(sent.iter().all(|frame| frame.is_masked) && received.iter().all(|frame| !frame.is_masked));
        for frames in [sent, received] {
            assert_eq!((frames[0].first_byte, &frames[0].payload[..]), (0x81, &b"hello"[..]));
            let end = frames.len() - 1;
            let message: Vec<u8> = frames[1..end].iter().flat_map(|frame| frame.payload.clone()).collect();
            assert!(message == long.as_bytes(), "{version:?}");
            assert_eq!(frames[end].payload, b"\x03\xe8done");
        }
        let opening = &connection.packets[0].comments[0];
        assert!(opening.contains(&url), "{opening}");
        assert!(connection.packets.windows(2).all(|two| two[0].nanoseconds <= two[1].nanoseconds));
        let over_http2 = connection
            .packets
            .iter()
            .filter(|packet| packet.comments.iter().any(|comment| comment.contains("over HTTP/2")));
        assert_eq!(over_http2.count(), if version == HttpVersion::Http2 { 2 } else { 0 });
    }
}

#[test]
fn each_small_frame_is_one_segment() {
    let _own = own_captures();
    let server = EchoServer::start();
    let file = Temporary::new();
    let client = Client::new(&server.url("/"));
    client.set_capture(&file, DEFAULT).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    for number in 0..1000 {
        client.send_text(&number.to_string()).unwrap();
    }
    for number in 0..1000 {
        assert_eq!(client.next(), Seen::Text(number.to_string()));
    }
    close(&client);
    client.end_capture().unwrap();
    let connection = file.connection();
    for is_inbound in [false, true] {
        let data: Vec<&Vec<u8>> = connection
            .packets
            .iter()
            .filter(|packet| packet.is_inbound == is_inbound && !packet.payload.is_empty())
            .map(|packet| &packet.payload)
            .collect();
        assert_eq!(data.len(), 1002, "a head, the messages, and a close frame");
        assert!(data[1..].iter().all(|payload| reader::frames(payload).len() == 1));
    }
}

#[test]
fn sockets_with_the_same_path_share_a_file() {
    let _own = own_captures();
    let server = EchoServer::start();
    let file = Temporary::new();
    let clients: Vec<Client> = (0..5).map(|_| Client::new(&server.url("/"))).collect();
    for client in &clients {
        client.set_capture(&file, DEFAULT).unwrap();
        client.open().unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(client.next(), Seen::Open);
        echo(client, &number.to_string());
    }
    drop(clients);
    let connections = file.read().connections;
    let mut texts: Vec<Vec<u8>> =
        connections.iter().map(|connection| connection.frames(true).1[0].payload.clone()).collect();
    texts.sort();
    assert_eq!(texts, [b"0", b"1", b"2", b"3", b"4"]);
}

#[test]
fn each_reconnect_is_a_connection_with_the_error_of_the_one_before() {
    let _own = own_captures();
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_frame(0x81, format!("connection {}", peer.number).as_bytes());
        let frame = peer.read_frame();
        match frame.map(|frame| frame.payload) {
            Some(payload) if payload == b"reset" => peer.reset(),
            _ => peer.send_close(1000, "done"),
        }
    });
    let file = Temporary::new();
    let client = Client::new(&server.url());
    client.set_capture(&file, DEFAULT).unwrap();
    let min_delay = Duration::from_millis(1);
    client.set_reconnect(Some(Reconnect { min_delay, ..Reconnect::default() })).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert!(matches!(client.next(), Seen::Text(_)));
    client.send_text("reset").unwrap();
    assert!(matches!(client.next(), Seen::Reconnecting(error, ..) if error.kind == ErrorKind::Reset));
    assert_eq!(client.next(), Seen::Open);
    assert!(matches!(client.next(), Seen::Text(_)));
    close(&client);
    client.end_capture().unwrap();

    let connections = file.read().connections;
    assert_eq!(connections.len(), 2);
    assert_ne!(connections[0].client, connections[1].client);
    let last = connections[0].packets.last().unwrap();
    assert!(last.flags & RST != 0 && last.is_inbound);
    assert!(last.comments[0].starts_with("error reset: "), "{last:?}");
    assert_eq!(connections[0].frames(true).1[0].payload, b"connection 0");
    assert_eq!(connections[1].frames(true).1[0].payload, b"connection 1");
    let closed = connections[1].packets.iter().find(|packet| packet.flags & FIN != 0).unwrap();
    assert_eq!(closed.comments, ["closed: 1000 done"]);
}

#[test]
fn connections_that_share_one_have_ports_of_their_own() {
    let _own = own_captures();
    let server = Http2Server::start(Behaviour::default());
    let file = Temporary::new();
    let clients: Vec<Client> = (0..3).map(|_| Client::new(&server.url("/"))).collect();
    for client in &clients {
        client.set_http_version(HttpVersion::Http2).unwrap();
        client.set_capture(&file, DEFAULT).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        echo(client, "x");
    }
    assert_eq!(server.connections(), 1);
    drop(clients);
    let file = file.read();
    assert_eq!(file.connections.len(), 3);
    assert_eq!(file.all_comments().matches("the client's port is replaced").count(), 2);
}

#[test]
fn secrets_are_replaced_unless_they_are_asked_for() {
    let _own = own_captures();
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade_with("Set-Cookie: session=s3cr3t; Path=/\r\nX-Game: chess\r\n");
        peer.wait_for_end();
    });
    for include_secrets in [false, true] {
        let file = Temporary::new();
        let client = Client::new(&server.url());
        client.set_bearer_auth("s3cr3t").unwrap();
        client.add_header("Cookie", "a=s3cr3t").unwrap();
        client.add_header("Proxy-Authorization", "Basic s3cr3t").unwrap();
        client.add_header("X-Version", "7").unwrap();
        client.set_capture(&file, CaptureOptions { include_secrets, ..DEFAULT }).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        drop(client);
        let connection = file.connection();
        let ((request, _), (response, _)) = (connection.frames(false), connection.frames(true));
        assert!(request.contains("X-Version: 7\r\n") && response.contains("X-Game: chess\r\n"));
        assert_eq!(request.matches("s3cr3t").count(), if include_secrets { 3 } else { 0 }, "{request}");
        assert_eq!(response.matches("s3cr3t").count(), usize::from(include_secrets), "{response}");
        let replaced = request.matches(": <redacted>\r\n").count();
        assert_eq!(replaced, if include_secrets { 0 } else { 3 });
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(bytes.windows(6).any(|six| six == b"s3cr3t"), include_secrets);
    }
}

#[test]
fn refused_upgrade_is_in_the_file() {
    let _own = own_captures();
    let server = Scripted::responding("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nno way!");
    let file = Temporary::new();
    let client = Client::new(&server.url());
    client.set_capture(&file, DEFAULT).unwrap();
    client.open().unwrap();
    assert_eq!(client.error().http_status, 403);
    client.end_capture().unwrap();
    let connection = file.connection();
    let (bytes, _) = connection.bytes(true);
    assert!(String::from_utf8(bytes).unwrap().ends_with("\r\n\r\nno way!"));
    let comments = connection.packets.iter().flat_map(|packet| packet.comments.clone());
    assert!(comments.into_iter().any(|comment| comment.starts_with("error http: ")));
}

#[test]
fn lane_tag_and_queue_time_are_comments_of_the_last_frame() {
    let _own = own_captures();
    let server = EchoServer::start();
    let file = Temporary::new();
    let client = Client::new(&server.url("/"));
    client.set_lanes(&[framewire::Lane::default(), framewire::Lane::default()]).unwrap();
    client.set_capture(&file, DEFAULT).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    for (lane, tag, size) in [(1, 77, 10), (0, 0, 70_000)] {
        let payload = vec![b'x'; size];
        let options = SendOptions { lane, tag, ..SendOptions::default() };
        client.send_message(MessageType::Text, Content::Bytes(&payload), options).unwrap();
    }
    let seen = [client.next(), client.next(), client.next()];
    assert!(seen.iter().any(|seen| matches!(seen, Seen::Sent(77, _))));
    close(&client);
    client.end_capture().unwrap();
    let connection = file.connection();
    let noted: Vec<_> = connection
        .packets
        .iter()
        .filter(|packet| !packet.is_inbound && !packet.payload.is_empty() && !packet.comments.is_empty())
        .collect();
    assert_eq!(noted.len(), 2, "{noted:?}");
    for packet in noted {
        let comment = &packet.comments[0];
        if packet.payload[0] == 0x81 {
            assert!(
                comment.starts_with("lane 1, queued for ") && comment.ends_with(" µs, tag 77"),
                "{comment}"
            );
        } else {
            assert!(comment.starts_with("lane 0, queued for ") && comment.ends_with(" µs"), "{comment}");
            assert_eq!(packet.payload[0], 0x80, "the last fragment");
        }
    }
}

#[test]
fn full_queue_is_counted_and_never_delays_the_socket() {
    // One thread writes all files.
    let _all = all_captures();
    const MESSAGES: usize = 3000;
    let server = EchoServer::start();
    let file = Temporary::new();
    // Creating it blocks until it is read, and so does writing.
    let path = CString::new(file.0.as_os_str().as_bytes()).unwrap();
    // SAFETY: a NUL-terminated string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let client = Client::new(&server.url("/"));
    client.set_capture(&file, DEFAULT).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    let payload = vec![7; 10_000];
    for _ in 0..MESSAGES / 100 {
        for _ in 0..100 {
            client.send_binary(&payload).unwrap();
        }
        for _ in 0..100 {
            assert_eq!(client.next(), Seen::Binary(payload.clone()));
        }
    }
    let (path, count, (bytes, received)) = (file.0.clone(), Arc::new(AtomicUsize::new(0)), mpsc::channel());
    let counted = count.clone();
    std::thread::spawn(move || {
        let (mut file, mut all, mut part) = (std::fs::File::open(path).unwrap(), Vec::new(), vec![0; 65536]);
        while let Ok(len @ 1..) = file.read(&mut part) {
            all.extend_from_slice(&part[..len]);
            counted.fetch_add(len, Ordering::Relaxed);
        }
        let _ = bytes.send(all);
    });
    // The full queue holds 8 MiB, and nothing else is added: what follows fits again.
    wait_until("room in the queue", || count.load(Ordering::Relaxed) >= 4 << 20);
    echo(&client, "later");
    echo(&client, "last");
    close(&client);
    client.end_capture().unwrap();
    let file = reader::parse(&received.recv_timeout(common::TIMEOUT).unwrap());
    let (packets, dropped) = file.statistics.unwrap();
    assert!(dropped > 0 && packets > dropped, "{packets} {dropped}");
    let connection = &file.connections[0];
    for is_inbound in [false, true] {
        let (bytes, missing) = connection.bytes(is_inbound);
        assert!(missing > 0);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        // No frame is cut.
        let frames = reader::frames(&bytes[end..]);
        let (close, data) = frames.split_last().unwrap();
        assert_eq!(close.first_byte, 0x88);
        assert_eq!(data.last().unwrap().payload, b"last");
        let whole = data.iter().filter(|frame| frame.payload == payload).count();
        assert!(whole > 0 && whole < MESSAGES);
        assert!(data.iter().all(|frame| frame.payload.len() == 10_000 || frame.first_byte == 0x81));
        let all: u64 = (MESSAGES * (10_000 + if is_inbound { 4 } else { 8 })) as u64;
        assert!(bytes.len() as u64 + missing > all, "nothing is counted twice or not at all");
    }
    let gaps = file.all_comments().matches(" were not captured").count();
    assert!(gaps >= 2);
}

#[test]
fn capture_ends_at_its_size_limit_and_the_socket_continues() {
    let _own = own_captures();
    let log = Log::new();
    let server = EchoServer::start();
    let file = Temporary::new();
    let client = Client::new(&server.url("/"));
    client.set_capture(&file, CaptureOptions { max_file_bytes: 20_000, ..DEFAULT }).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    for number in 0..1000 {
        echo(&client, &number.to_string());
    }
    file.read();
    let size = std::fs::metadata(&file).unwrap().len();
    assert!((15_000..=20_000).contains(&size), "{size}");
    log.wait_for(LogLevel::Warn, &[&file.0.display().to_string(), "limit of 20000 bytes"]);
    echo(&client, "continues");
    close(&client);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), size);
}

#[test]
fn full_disk_ends_the_capture_and_the_socket_continues() {
    let _own = own_captures();
    let log = Log::new();
    let server = EchoServer::start();
    let missing = Temporary::new();
    for (path, parts) in [
        (PathBuf::from("/dev/full"), ["/dev/full", "No space left on device"]),
        (missing.0.join("x.pcapng"), ["cannot be created", "No such file or directory"]),
        (std::env::temp_dir(), ["cannot be created", "Is a directory"]),
    ] {
        let client = Client::new(&server.url("/"));
        client.set_capture(&path, DEFAULT).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        echo(&client, "hello");
        log.wait_for(LogLevel::Error, &parts);
        echo(&client, "continues");
        close(&client);
    }
}

#[test]
fn capture_can_change_and_end_at_any_time() {
    let _own = own_captures();
    let server = EchoServer::start();
    let client = Client::new(&server.url("/"));
    let files = [Temporary::new(), Temporary::new()];
    for file in &files {
        client.set_capture(file, DEFAULT).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        echo(&client, "captured");
        // The open connection is captured no more, and not by another file.
        client.set_capture(&files[1], DEFAULT).unwrap();
        if file.0 == files[0].0 {
            file.read();
            echo(&client, "left out");
        }
        close(&client);
    }
    client.end_capture().unwrap();
    for file in &files {
        let connection = file.connection();
        assert_eq!(connection.frames(true).1[0].payload, b"captured");
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(8).any(|part| part == b"left out"));
    }
    let mode = std::fs::metadata(&files[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn all_sockets_are_captured_until_shutdown() {
    let _all = all_captures();
    let server = EchoServer::start();
    let existing = Client::new(&server.url("/existing"));
    let file = Temporary::new();
    framewire::set_capture(&file, DEFAULT).unwrap();
    let later = Client::new(&server.url("/later"));
    for client in [&existing, &later] {
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        echo(client, "x");
    }
    drop((existing, later));
    // The file stays open without a socket.
    let another = Client::opened(&server.url("/another"));
    echo(&another, "y");
    framewire::shutdown(Duration::from_secs(30)).unwrap();
    assert!(reader::is_complete(&file.0), "the shutdown completes it");
    let requests: Vec<String> =
        reader::read(&file.0).connections.iter().map(|connection| connection.frames(false).0).collect();
    assert_eq!(requests.len(), 3);
    for path in ["/existing", "/later", "/another"] {
        assert_eq!(requests.iter().filter(|request| request.contains(path)).count(), 1, "{path}");
    }
    // A shutdown ends it for later sockets too.
    let size = std::fs::metadata(&file).unwrap().len();
    let client = Client::opened(&server.url("/"));
    close(&client);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), size);
    // Before the library is started again.
    framewire::shutdown(Duration::from_secs(30)).unwrap();
    let file = Temporary::new();
    framewire::set_capture(&file, DEFAULT).unwrap();
    let client = Client::opened(&server.url("/"));
    echo(&client, "z");
    framewire::end_capture();
    assert_eq!(file.connection().frames(true).1[0].payload, b"z");
    echo(&client, "not captured");
}

#[test]
fn invalid_arguments_are_refused() {
    let _own = own_captures();
    let client = Client::new("ws://127.0.0.1:1/");
    assert_eq!(client.set_capture("", DEFAULT).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(framewire::set_capture("", DEFAULT).unwrap_err().code, Code::InvalidArgument);
    client.destroy().unwrap();
    assert_eq!(client.set_capture("x", DEFAULT).unwrap_err().code, Code::InvalidHandle);
    assert_eq!(client.end_capture().unwrap_err().code, Code::InvalidHandle);
}
