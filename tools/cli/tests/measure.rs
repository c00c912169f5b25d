//! `ping`, `bench`, `proxy` and `completions`.

mod common;

use std::io::Write;
use std::time::{Duration, Instant};

use common::{Running, TempFile, run};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::{Authority, EchoServer, Scripted};

#[test]
fn ping_prints_percentiles() {
    let server = EchoServer::start();
    let plot = TempFile::new("ping.svg", b"");
    let done = run(&["ping", &server.url("/"), "-c", "5", "-i", "5ms", "--json", "--plot", plot.path()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let events = done.json();
    assert_eq!(events.len(), 6);
    let summary = &events[5];
    assert_eq!((&summary["sent"], &summary["received"]), (&5.into(), &5.into()));
    let latency = |name: &str| summary["latency_ms"][name].as_f64().unwrap();
    assert!(latency("min") > 0.0 && latency("min") <= latency("p50") && latency("p50") <= latency("max"));
    let svg = std::fs::read_to_string(&plot.0).unwrap();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
    let text = run(&["ping", &server.url("/"), "-c", "3", "-i", "5ms"]);
    assert!(text.stdout.contains("p99") && text.stdout.contains('█'), "{}", text.stdout);
}

#[test]
fn ping_without_pongs_exits_with_3() {
    let server = EchoServer::start();
    let done = run(&["ping", &server.url("/silent"), "-c", "2", "-i", "5ms", "-t", "100ms"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stdout.contains("lost"), "{}", done.stdout);
}

#[test]
fn ping_continues_after_a_reconnect() {
    // The first two connections are lost after a ping; then pings are answered.
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        while let Some(frame) = peer.read_frame() {
            match frame.opcode {
                9 if peer.number < 2 => return peer.reset(),
                9 => peer.send_frame(0x8A, &frame.payload),
                _ => return peer.send_close(1000, ""),
            }
        }
    });
    let reconnect = ["--reconnect", "--reconnect-min-delay", "300ms", "--reconnect-max-delay", "300ms"];
    let arguments = ["ping", &server.url(), "-c", "20", "-i", "50ms", "--timeout", "500ms", "--json"];
    let done = run(&[&arguments[..], &reconnect].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let summary = done.json().pop().unwrap();
    assert_eq!(summary["sent"], 20, "{summary}");
    assert!((1..=18).contains(&summary["received"].as_u64().unwrap()), "{summary}");
    assert_eq!(server.connections(), 3);
}

#[test]
fn ping_reports_how_the_connection_was_closed() {
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(4001, "kicked");
        peer.wait_for_end();
    });
    let done = run(&["ping", &server.url(), "-i", "1ms"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("4001 kicked"), "{}", done.stderr);
}

#[test]
fn bench_counts_echoes() {
    let server = EchoServer::start();
    let plot = TempFile::new("bench.svg", b"");
    let url = server.url("/");
    let done =
        run(&["bench", &url, "-d", "300ms", "-c", "3", "--in-flight", "4", "--json", "--plot", plot.path()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let result = &done.json()[0];
    assert!(result["messages"].as_u64().unwrap() > 10, "{result}");
    assert!(std::fs::read_to_string(&plot.0).unwrap().ends_with("</svg>\n"));
}

#[test]
fn bench_keeps_a_rate() {
    let server = EchoServer::start();
    let done =
        run(&["bench", &server.url("/"), "-d", "500ms", "--rate", "200", "--text", "--size", "10", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let messages = done.json()[0]["messages"].as_u64().unwrap();
    assert!((50..=101).contains(&messages), "{messages}");
}

#[test]
fn bench_needs_an_echo_server() {
    let server = EchoServer::start();
    assert_eq!(run(&["bench", &server.url("/silent"), "-d", "200ms"]).code, 3);
    let pushed = run(&["bench", &server.url("/push?hz=100&size=7"), "-d", "500ms"]);
    assert_eq!(pushed.code, 1);
    assert!(pushed.stderr.contains("does not echo"), "{}", pushed.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupted_bench_is_no_timeout() {
    let server = EchoServer::start();
    let mut bench = Running::start(&["bench", &server.url("/silent"), "-d", "1h"]);
    while server.connections() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(bench.interrupt(), 0);
}

#[test]
fn a_simulated_link_delays_pings() {
    let server = EchoServer::start();
    let done = run(&["ping", &server.url("/"), "-c", "2", "-i", "5ms", "--json", "--delay", "40ms"]);
    let summary = done.json().pop().unwrap();
    assert!(summary["latency_ms"]["min"].as_f64().unwrap() >= 80.0, "{summary}");
}

#[test]
fn the_proxy_delays_both_directions() {
    let server = EchoServer::start();
    let target = format!("127.0.0.1:{}", server.port());
    let mut proxy = Running::start(&["proxy", "0", &target, "--json", "--delay", "40ms"]);
    let url = format!("ws://{}/", proxy.address());
    let done = run(&["ping", &url, "-c", "3", "-i", "5ms", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let summary = done.json().pop().unwrap();
    assert!(summary["latency_ms"]["min"].as_f64().unwrap() >= 80.0, "{summary}");
}

#[test]
fn the_proxy_limits_the_rate() {
    let server = EchoServer::start();
    let target = format!("127.0.0.1:{}", server.port());
    let mut proxy = Running::start(&["proxy", "0", &target, "--json", "--in-bytes-per-second", "100k"]);
    let url = format!("ws://{}/count?n=50&size=1024", proxy.address());
    let began = Instant::now();
    let done = run(&["listen", &url, "--no-compression"]);
    assert_eq!((done.code, done.stdout.lines().count()), (0, 50), "{}", done.stderr);
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[test]
fn the_proxy_adds_tls_and_replaces_the_host() {
    let authority = Authority::new("cli");
    let server = EchoServer::start_tls(server_config(&authority.good(), Demands::default()));
    let pem = TempFile::new("proxy-ca.pem", authority.pem().as_bytes());
    let target = format!("wss://localhost:{}", server.port());
    let mut proxy = Running::start(&["proxy", "0", &target, "--json", "--cacert", pem.path()]);
    let url = format!("ws://{}/headers", proxy.address());
    let done = run(&["send", &url, "x", "-n", "1"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains(&format!("localhost:{}", server.port())), "{}", done.stdout);

    let mut untrusting = Running::start(&["proxy", "0", &target, "--json"]);
    let url = format!("ws://{}/", untrusting.address());
    assert_eq!(run(&["send", &url, "x", "-n", "1"]).code, 1);
    let ended = untrusting.line();
    assert!(ended.contains("unknown authority"), "{ended}");
}

#[test]
fn the_proxy_cuts_connections() {
    let server = EchoServer::start();
    let target = format!("127.0.0.1:{}", server.port());
    for (cut, expected) in [("reset", "reset"), ("end", "without a closing handshake")] {
        let mut proxy = Running::start(&["proxy", "0", &target, "--json", "--cut", cut, "--cut-after", "1s"]);
        let url = format!("ws://{}/push?hz=50&size=10", proxy.address());
        let done = run(&["listen", &url]);
        assert_eq!(done.code, 1, "{cut}: {}", done.stderr);
        assert!(done.stderr.contains(expected), "{cut}: {}", done.stderr);
        assert!(done.stdout.lines().count() > 0, "{cut}");
    }
    for cut in ["stall", "half-open"] {
        let mut proxy = Running::start(&["proxy", "0", &target, "--json", "--cut", cut, "--cut-after", "1s"]);
        let url = format!("ws://{}/push?hz=50&size=10", proxy.address());
        let done = run(&["listen", &url, "--timeout", "500ms"]);
        assert_eq!(done.code, 3, "{cut}: {}", done.stderr);
    }
    let mut proxy = Running::start(&["proxy", "0", &target, "--json", "--cut", "refuse"]);
    let address = proxy.address();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(run(&["send", &format!("ws://{address}/"), "x"]).code, 1);
}

#[test]
fn the_proxy_ends_a_cut_connection_when_the_client_leaves() {
    let server = EchoServer::start();
    let target = format!("127.0.0.1:{}", server.port());
    for cut in ["stall", "half-open"] {
        let mut proxy = Running::start(&["proxy", "0", &target, "--json", "--cut", cut]);
        let address = proxy.address();
        for payload in [&b""[..], &[7; 1000]] {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            assert!(proxy.line().contains("\"connected\""));
            client.write_all(payload).unwrap();
            drop(client);
            let ended = proxy.line();
            assert!(ended.contains(&format!("cut: {cut}")), "{ended}");
        }
    }
}

#[cfg(unix)]
#[test]
fn the_proxy_ends_with_an_interrupt() {
    let server = EchoServer::start();
    let mut proxy = Running::start(&["proxy", "0", &format!("127.0.0.1:{}", server.port()), "--json"]);
    proxy.address();
    assert_eq!(proxy.interrupt(), 0);
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = run(&["completions", shell]);
        assert_eq!(done.code, 0, "{shell}");
        for command in ["connect", "send", "listen", "ping", "bench", "diagnose", "record", "proxy"] {
            assert!(done.stdout.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn help_documents_exit_codes() {
    let done = run(&["--help"]);
    assert_eq!(done.code, 0);
    assert!(done.stdout.contains("timeout, or no answer"), "{}", done.stdout);
    assert!(run(&["diagnose", "--help"]).stdout.contains("10  DNS"));
}
