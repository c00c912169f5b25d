//! Graceful shutdown: within the timeout, queued messages are sent and connections are closed.
//!
//! The library is global to the process, so the tests run one at a time.

#[path = "../common/mod.rs"]
mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use common::{Client, TIMEOUT, exclusive, wait_until};
use framewire::{Code, LogLevel, Socket, State, pending, set_log, shutdown, wait};
use framewire_servers::{EchoServer, Scripted};

const MESSAGES: usize = 50;
/// Far more than fits into the socket buffers when the server reads slowly.
const MESSAGE_BYTES: usize = 100_000;

/// Queues 50 messages of random bytes.
fn queue_messages(client: &Socket) {
    let mut state = 1u32;
    for _ in 0..MESSAGES {
        let message: Vec<u8> = (0..MESSAGE_BYTES)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        client.send_binary(&message).unwrap();
    }
}

/// Collects warnings; switches the log off when dropped.
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn collect() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let own = lines.clone();
        set_log(
            LogLevel::Warn,
            Some(Arc::new(move |_: LogLevel, _: u64, _: &str, message: &str| {
                own.lock().unwrap().push(message.to_owned());
            })),
        );
        Self(lines)
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Drop for Warnings {
    fn drop(&mut self) {
        set_log(LogLevel::Off, None);
    }
}

/// A server that reads everything and reports at the end the payload bytes and the code of the close frame.
fn counting_server(replies_to_close: bool) -> (Scripted, mpsc::Receiver<(usize, Option<u16>)>) {
    let (report, reported) = mpsc::channel();
    let report = Mutex::new(report);
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let (mut bytes, mut code) = (0, None);
        while let Some(frame) = peer.read_frame() {
            match frame.opcode {
                8 => {
                    code = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    if replies_to_close {
                        peer.send_close(code.unwrap_or(1005), "");
                        break;
                    }
                }
                _ => bytes += frame.payload.len(),
            }
        }
        report.lock().unwrap().send((bytes, code)).unwrap();
    });
    (server, reported)
}

#[test]
fn queued_messages_are_sent_before_the_close_frame() {
    let _exclusive = exclusive();
    for replies_to_close in [true, false] {
        let (server, reported) = counting_server(replies_to_close);
        let client = Client::opened(&server.url());
        queue_messages(&client);
        shutdown(TIMEOUT).unwrap();
        assert_eq!(reported.recv_timeout(TIMEOUT), Ok((MESSAGES * MESSAGE_BYTES, Some(1001))));
        assert_eq!(client.state(), State::Unknown);
    }
}

#[test]
fn destroy_when_sent_sends_queued_messages() {
    let _exclusive = exclusive();
    for shuts_down in [true, false] {
        let (server, reported) = counting_server(true);
        let client = Client::opened(&server.url());
        queue_messages(&client);
        client.destroy_when_sent(TIMEOUT).unwrap();
        assert_eq!(client.state(), State::Unknown);
        assert_eq!(client.destroy_when_sent(TIMEOUT).unwrap_err().code, Code::InvalidHandle);
        if shuts_down {
            shutdown(TIMEOUT).unwrap();
        }
        assert_eq!(reported.recv_timeout(TIMEOUT), Ok((MESSAGES * MESSAGE_BYTES, Some(1001))));
    }
    shutdown(TIMEOUT).unwrap();
}

/// Accepts connections and reads nothing until the sender is dropped.
fn stalled_server() -> (Scripted, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let _ = released.lock().unwrap().recv();
    });
    (server, release)
}

#[test]
fn destroyed_socket_that_still_sends_does_not_delay_shutdown() {
    let _exclusive = exclusive();
    let (server, _release) = stalled_server();
    let client = Client::opened(&server.url());
    queue_messages(&client);
    client.destroy_when_sent(Duration::MAX).unwrap();
    assert_eq!(shutdown(Duration::from_secs(1)), Ok(()));
}

#[test]
fn echoing_server_receives_everything_on_shutdown() {
    let _exclusive = exclusive();
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/"));
    queue_messages(&client);
    shutdown(TIMEOUT).unwrap();
    wait_until("the close frame", || !echo.closes().is_empty());
    assert_eq!((echo.echoed_bytes(), echo.closes()), (MESSAGES * MESSAGE_BYTES, vec![1001]));
}

#[test]
fn close_started_before_shutdown_keeps_its_code() {
    let _exclusive = exclusive();
    let (server, reported) = counting_server(true);
    let client = Client::opened(&server.url());
    queue_messages(&client);
    client.close(4000, "bye").unwrap();
    shutdown(TIMEOUT).unwrap();
    assert_eq!(reported.recv_timeout(TIMEOUT), Ok((MESSAGES * MESSAGE_BYTES, Some(4000))));
}

#[test]
fn shutdown_drains_all_sockets_of_all_workers() {
    let _exclusive = exclusive();
    shutdown(TIMEOUT).unwrap();
    framewire::init(framewire::Config { worker_threads: 2, ..Default::default() }).unwrap();
    let echo = EchoServer::start();
    let clients: Vec<Client> = (0..8).map(|_| Client::opened(&echo.url("/"))).collect();
    clients.iter().for_each(|client| queue_messages(client));
    shutdown(TIMEOUT).unwrap();
    wait_until("every close frame", || echo.closes().len() == clients.len());
    assert_eq!(echo.echoed_bytes(), clients.len() * MESSAGES * MESSAGE_BYTES);
    assert_eq!(echo.closes(), [1001; 8]);
}

#[test]
fn shutdown_timeout_drops_and_logs_the_rest() {
    let _exclusive = exclusive();
    let (server, _release) = stalled_server();
    let client = Client::opened(&server.url());
    client.set_max_buffered_amount(1 << 30).unwrap();
    for _ in 0..4 {
        queue_messages(&client);
    }
    let warnings = Warnings::collect();
    assert_eq!(shutdown(Duration::from_millis(400)), Ok(()), "every thread and callback ends in time");
    let lines = warnings.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("shutdown dropped ") && lines[0].contains(&server.url()), "{lines:?}");
}

#[test]
fn shutdown_timeout_zero_drops_everything() {
    let _exclusive = exclusive();
    let (server, _release) = stalled_server();
    let client = Client::opened(&server.url());
    queue_messages(&client);
    assert_eq!(shutdown(Duration::ZERO), Ok(()));
    assert_eq!(client.send_text("late").unwrap_err().code, Code::InvalidHandle);
}

#[test]
fn shutdown_cancels_connecting_sockets() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| {
        peer.read_head();
        peer.wait_for_end();
    });
    let client = Client::opening(&server.url());
    wait_until("the connection", || server.connections() == 1);
    shutdown(TIMEOUT).unwrap();
    assert_eq!(client.state(), State::Unknown);
}

#[cfg(all(feature = "tls", feature = "http2"))]
mod secure {
    use framewire::{HttpVersion, Roots, Tls};
    use framewire_servers::certs::{Demands, server_config};
    use framewire_servers::{Authority, Behaviour, Http2Server};

    use super::*;

    fn trusting(authority: &Authority) -> Tls {
        let tls = Tls::create().unwrap();
        tls.set_roots(Roots::None).unwrap();
        tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
        tls
    }

    fn assert_drained(url: &str, tls: &Tls, version: HttpVersion, echo: &EchoServer) {
        let client = Client::new(url);
        client.set_tls(Some(tls)).unwrap();
        client.set_http_version(version).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), common::Seen::Open);
        queue_messages(&client);
        shutdown(TIMEOUT).unwrap();
        wait_until("the close frame", || !echo.closes().is_empty());
        assert_eq!((echo.echoed_bytes(), echo.closes()), (MESSAGES * MESSAGE_BYTES, vec![1001]));
        tls.destroy().unwrap();
    }

    #[test]
    fn queued_messages_are_sent_over_tls() {
        let _exclusive = exclusive();
        let authority = Authority::new("Test CA");
        let echo = EchoServer::start_tls(server_config(&authority.good(), Demands::default()));
        assert_drained(&echo.url("/"), &trusting(&authority), HttpVersion::Http1, &echo);
    }

    #[test]
    fn queued_messages_are_sent_over_http2() {
        let _exclusive = exclusive();
        let authority = Authority::new("Test CA");
        let demands = Demands { alpn: &["h2"], ..Demands::default() };
        let config = server_config(&authority.good(), demands);
        let server = Http2Server::start(Behaviour { tls: Some(config), ..Behaviour::default() });
        assert_drained(&server.url("/"), &trusting(&authority), HttpVersion::Http2, server.backend());
    }
}

#[test]
fn wait_times_out_while_the_library_is_stopped() {
    let _exclusive = exclusive();
    shutdown(TIMEOUT).unwrap();
    let start = std::time::Instant::now();
    assert!(!wait(Duration::from_millis(50)));
    assert!(start.elapsed() >= Duration::from_millis(50), "wait returned early");
}

#[test]
fn wait_wakes_for_a_socket_created_meanwhile() {
    let _exclusive = exclusive();
    shutdown(TIMEOUT).unwrap();
    let echo = EchoServer::start();
    let woken = std::thread::spawn(|| wait(Duration::from_secs(3600)));
    let client = Client::opening(&echo.url("/"));
    assert!(woken.join().unwrap());
    assert!(pending() > 0);
    drop(client);
}

#[test]
fn shutdown_ends_running_waits() {
    let _exclusive = exclusive();
    let socket = Socket::create("ws://127.0.0.1:1/").unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    let waits: Vec<_> = (0..3)
        .map(|_| {
            let ended = ended.clone();
            std::thread::spawn(move || {
                let woken = wait(Duration::from_secs(3600));
                ended.fetch_add(1, Ordering::SeqCst);
                woken
            })
        })
        .collect();
    // A wait that starts after the shutdown would sleep, so this repeats until all have returned.
    wait_until("the end of every wait", || {
        shutdown(TIMEOUT).unwrap();
        let _ = Socket::create("ws://127.0.0.1:1/").unwrap();
        ended.load(Ordering::SeqCst) == 3
    });
    assert!(waits.into_iter().all(|wait| !wait.join().unwrap()));
    shutdown(TIMEOUT).unwrap();
    assert_eq!(socket.state(), State::Unknown);
}
