//! Failing networks: dead addresses, dead links, slow links, packet loss.
//!
//! Each test needs its own network namespace, in which it drops packets and changes host names; `cargo xtask
//! test network` creates one. Times are printed for the README's table. Promised bounds are checked with a
//! large tolerance.

#[path = "../common/mod.rs"]
mod common;
mod namespace;
mod nat64;
mod netem;
mod uplinks;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{Client, Seen, TIMEOUT, wait_until};
use framewire::{Config, Error, ErrorKind, Phase, Reconnect, State, init, network_changed, shutdown};
use framewire_servers::{EchoServer, Scripted};
use nat64::Nat64;
use netem::{Impairments, Netem};
use uplinks::Uplinks;

/// Tolerance on top of a promised bound, for a busy machine.
const TOLERANCE: Duration = Duration::from_secs(12);
/// Bounds in the README for detecting a dead link: with data to send, and idle.
const SENDING_BOUND: Duration = Duration::from_secs(20);
const IDLE_BOUND: Duration = Duration::from_secs(30);

/// The network of this test.
struct Network;

impl Network {
    fn new() -> Self {
        let own = std::env::var_os("FRAMEWIRE_NAMESPACE").is_some();
        assert!(own, "`cargo xtask test network` runs this in its own network namespace");
        run("ip", &["link", "set", "lo", "up"], "");
        Network
    }

    /// Sets `/etc/hosts`.
    fn names(&self, lines: &str) {
        replace_file("/etc/hosts", lines);
    }

    /// Drops matching packets from now on, on the receiving side.
    fn drop_packets(&self, matching: &[&str]) {
        self.rules(matching, "drop");
    }

    fn rules(&self, matching: &[&str], verdict: &str) {
        let rules: String = matching.iter().map(|rule| format!("{rule} {verdict}\n")).collect();
        let chain = "type filter hook input priority 0; policy accept;";
        run("nft", &["-f", "-"], &format!("table inet test {{\nchain input {{\n{chain}\n{rules}\n}}\n}}\n"));
    }

    /// Drops all packets to or from this port silently.
    fn kill_link(&self, port: u16) {
        self.drop_packets(&[&format!("tcp dport {port}"), &format!("tcp sport {port}")]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        run("nft", &["flush", "ruleset"], "");
    }
}

fn run(program: &str, arguments: &[&str], input: &str) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program is installed");
    child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(input.as_bytes())
        .expect("the program reads its input");
    assert!(child.wait().expect("it was started").success(), "{program} {arguments:?}\n{input}");
}

/// Replaces a file for this test only, which has its own mount namespace.
fn replace_file(path: &str, text: &str) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let source = std::env::temp_dir().join(format!("framewire-{}-{name}", std::process::id()));
    fs::write(&source, text).expect("the temporary folder is writable");
    run("mount", &["--bind", &source.to_string_lossy(), path], "");
    let _ = fs::remove_file(source);
}

fn server_at(address: &str) -> EchoServer {
    EchoServer::start_at(address.parse::<IpAddr>().expect("an address"), 0, None)
}

/// Measures and prints the time to open.
fn time_to_open(what: &str, url: &str) -> Duration {
    let start = Instant::now();
    let client = Client::opened(url);
    let elapsed = start.elapsed();
    println!("{what}: open after {} ms", elapsed.as_millis());
    client.close(1000, "").expect("it is open");
    assert_eq!(client.closed().0, 1000);
    elapsed
}

/// Waits for the error of a connection whose link has just died. Restores the network after it, so that the
/// server can close.
fn wait_for_error(what: &str, client: &Client, bound: Duration, network: Network) -> Error {
    let start = Instant::now();
    let error = loop {
        match client.next() {
            Seen::Error(error) => break error,
            other => assert!(!other.is_terminal(), "{other:?}"),
        }
    };
    let elapsed = start.elapsed();
    println!("{what}: detected after {:.1} s: {error}", elapsed.as_secs_f32());
    drop(network);
    assert!(elapsed < bound + TOLERANCE, "{what} must be detected within {bound:?}");
    assert_eq!(client.state(), State::Closed);
    error
}

// --------------------------------------------------------------------------------- connecting

#[test]
fn ipv6_zone_reaches_link_local_address_and_is_not_sent() {
    let _network = Network::new();
    run("ip", &["addr", "add", "fe80::1/64", "dev", "lo", "nodad"], "");
    let listener = TcpListener::bind("[::]:0").expect("the namespace is empty");
    let port = listener.local_addr().expect("it is bound").port();
    let index = fs::read_to_string("/sys/class/net/lo/ifindex").expect("there is a loopback interface");
    for zone in ["lo", index.trim()] {
        let client = Client::opening(&format!("ws://[fe80::1%25{zone}]:{port}/"));
        let (mut stream, _) = listener.accept().expect("it listens");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the client sends a request");
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").expect("it listens");
        assert_eq!(client.error().http_status, 403);
        let head = String::from_utf8(head).expect("the request is ASCII");
        assert!(head.contains(&format!("\r\nHost: [fe80::1]:{port}\r\n")) && !head.contains('%'), "{head}");
    }
}

#[test]
fn black_hole_address_family_delays_briefly() {
    let network = Network::new();
    run("ip", &["address", "add", "fd00::1/128", "dev", "lo", "nodad"], "");
    network.names("fd00::1 both.test\n127.0.0.2 both.test\n127.0.0.2 four.test\nfd00::1 six.test\n");
    for (dead, alive, dead_packets, single) in
        [("IPv6", "127.0.0.2", "ip6 daddr fd00::1", "four"), ("IPv4", "fd00::1", "ip daddr 127.0.0.2", "six")]
    {
        let server = server_at(alive);
        let url = |name: &str| format!("ws://{name}.test:{}/", server.port());
        let usual = time_to_open(&format!("without {dead}"), &url(single));
        network.drop_packets(&[dead_packets]);
        let raced = time_to_open(&format!("{dead} is a black hole"), &url("both"));
        run("nft", &["flush", "ruleset"], "");
        // RFC 8305 section 5 starts the next attempt 250 ms after the one before. The system alone
        // would try the dead address for minutes.
        assert!(raced < usual + TOLERANCE);
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn live_address_after_ten_dead_ones_is_found() {
    let network = Network::new();
    let dead: String = (10..20).map(|n| format!("127.0.0.{n} many.test\n")).collect();
    network.names(&format!("{dead}127.0.0.20 many.test\n"));
    let server = server_at("127.0.0.20");
    network.drop_packets(&["ip daddr 127.0.0.10-127.0.0.19"]);
    time_to_open("ten dead addresses before the live one", &format!("ws://many.test:{}/", server.port()));
}

#[test]
fn silent_name_server_does_not_delay_other_sockets() {
    let network = Network::new();
    network.names("127.0.0.2 known.test\n");
    replace_file("/etc/resolv.conf", "nameserver 127.0.0.99\noptions timeout:30 attempts:1\n");
    replace_file("/etc/nsswitch.conf", "hosts: files dns\n");
    network.drop_packets(&["ip daddr 127.0.0.99"]);

    let client = Client::new("ws://unknown.test/");
    client.set_connect_timeout(700).unwrap();
    client.open().unwrap();
    let start = Instant::now();
    let error = client.error();
    println!("a silent name server: an error after {} ms: {error}", start.elapsed().as_millis());
    assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::TimedOut, Phase::Resolve, true));

    // Cancelled immediately, although the system still waits for the name server.
    let client = Client::opening("ws://unknown.test/");
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1006);

    // Other names are resolved meanwhile.
    let server = server_at("127.0.0.2");
    time_to_open("while another name is being resolved", &format!("ws://known.test:{}/", server.port()));

    // The blocked resolver thread is reported, and waited for no longer than the timeout.
    let start = Instant::now();
    let stopped = shutdown(Duration::from_millis(500));
    println!("shutting down meanwhile: {} ms, {stopped:?}", start.elapsed().as_millis());
    assert!(start.elapsed() < Duration::from_millis(500) + TOLERANCE);
}

#[test]
fn firewall_rejections_are_distinguished() {
    let network = Network::new();
    let server = server_at("127.0.0.2");
    let to_server = format!("tcp dport {}", server.port());
    for (verdict, kind) in [
        ("reject with tcp reset", ErrorKind::Refused),
        ("reject with icmpx type admin-prohibited", ErrorKind::Unreachable),
        ("reject with icmpx type host-unreachable", ErrorKind::Unreachable),
        ("drop", ErrorKind::TimedOut),
    ] {
        network.rules(&[&to_server], verdict);
        let client = Client::new(&server.url("/"));
        client.set_connect_timeout(1500).unwrap();
        client.open().unwrap();
        let start = Instant::now();
        let error = client.error();
        println!("{verdict}: {} ms: {error}", start.elapsed().as_millis());
        assert_eq!((error.kind, error.phase, error.retriable), (kind, Phase::Connect, true), "{verdict}");
        assert!(error.message.contains("127.0.0.2"), "{error}");
        run("nft", &["flush", "ruleset"], "");
    }
    // A network without a route.
    let error = Client::opening("ws://203.0.113.1/").error();
    assert_eq!((error.kind, error.phase), (ErrorKind::Unreachable, Phase::Connect), "{error}");
}

// ---------------------------------------------------------------------------------- dead links

#[test]
fn dead_link_is_detected_while_sending() {
    let network = Network::new();
    let server = server_at("127.0.0.2");
    let client = Client::opened(&server.url("/silent"));
    network.kill_link(server.port());
    client.send_text("probe").unwrap();
    let error = wait_for_error("a dead link, sending", &client, SENDING_BOUND, network);
    assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::TimedOut, Phase::Open, true));
    assert!(error.message.contains("stopped responding"), "{error}");
}

#[test]
fn dead_link_is_detected_while_idle() {
    let network = Network::new();
    let server = server_at("127.0.0.2");
    let client = Client::opened(&server.url("/"));
    network.kill_link(server.port());
    let error = wait_for_error("a dead link, idle", &client, IDLE_BOUND, network);
    assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::TimedOut, Phase::Open, true));
}

#[test]
fn dead_link_is_detected_within_a_large_message() {
    let network = Network::new();
    let (half_sent, is_half_sent) = mpsc::channel();
    let (end, wait_for_end) = mpsc::channel::<()>();
    let wait_for_end = std::sync::Mutex::new(wait_for_end);
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let mut frame = vec![0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0];
        frame.resize(300_000, 7);
        peer.send(&frame);
        half_sent.send(()).expect("the test waits");
        let _ = wait_for_end.lock().expect("one connection").recv_timeout(TIMEOUT * 2);
    });
    let client = Client::opened(&server.url());
    is_half_sent.recv_timeout(TIMEOUT).unwrap();
    wait_until("half of the message", || client.stats().bytes_received > 299_000);
    network.kill_link(server.port());
    let error = wait_for_error("a dead link, within a large message", &client, IDLE_BOUND, network);
    assert_eq!((error.kind, error.phase), (ErrorKind::TimedOut, Phase::Open));
    drop(end);
}

#[test]
fn dead_link_is_detected_by_keepalive_pings() {
    let network = Network::new();
    let server = server_at("127.0.0.2");
    let client = Client::new(&server.url("/"));
    client.set_ping_frequency(500).unwrap();
    client.set_close_after_no_message(1000).unwrap();
    client.set_start_ping_thread(true).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    wait_until("a pong", || client.stats().pongs_received > 0);
    network.kill_link(server.port());
    let error =
        wait_for_error("a dead link, pings every 500 ms", &client, Duration::from_millis(1500), network);
    assert_eq!((error.kind, error.phase), (ErrorKind::PingTimeout, Phase::Open));
}

#[test]
fn reset_is_an_immediate_error() {
    let network = Network::new();
    let server = server_at("127.0.0.2");
    let client = Client::opened(&server.url("/"));
    network.rules(&[&format!("tcp dport {}", server.port())], "reject with tcp reset");
    client.send_text("hello").unwrap();
    let error = wait_for_error("a reset", &client, Duration::ZERO, network);
    assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::Reset, Phase::Open, true));
}

// ------------------------------------------------------------------------------------ slow links

#[test]
fn slow_link_is_not_a_dead_link() {
    let _network = Network::new();
    // Packets larger than the bucket would never pass.
    run("ip", &["link", "set", "lo", "mtu", "1500"], "");
    run(
        "tc",
        &["qdisc", "add", "dev", "lo", "root", "tbf", "rate", "400kbit", "burst", "3000", "limit", "60000"],
        "",
    );
    let server = server_at("127.0.0.2");
    let client = Client::opened(&server.url("/"));
    let message: Vec<u8> = (0..300_000u64).map(|n| (n * n >> 7) as u8).collect();
    let start = Instant::now();
    client.send_binary(&message).unwrap();
    client.send_text("and more").unwrap();
    assert!(client.next() == Seen::Binary(message));
    assert_eq!(client.next(), Seen::Text("and more".into()));
    println!("300,000 bytes echoed at 400 kbit/s: {:.1} s", start.elapsed().as_secs_f32());
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1000);
}

// ---------------------------------------------------------------------------------- packet loss

/// A client whose packets in both directions pass the emulated network.
fn connect_through(impairments: Impairments) -> (Network, Netem, EchoServer, Client) {
    let network = Network::new();
    let netem = Netem::begin(impairments).expect("the kernel has TUN devices");
    let server = server_at(netem::OWN);
    let url = server.url("/").replace(netem::OWN, netem::PEER);
    let client = Client::opened(&url);
    (network, netem, server, client)
}

/// Sends this many messages of various sizes and checks that they are echoed in order.
fn echo_messages(client: &Client, count: u32) {
    let message = |number: u32| {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.resize(4 + (number as usize * 37) % 3_000, number as u8);
        bytes
    };
    for number in 0..count {
        client.send_binary(&message(number)).expect("the queue is not full");
    }
    for number in 0..count {
        assert_eq!(client.next(), Seen::Binary(message(number)));
    }
}

#[test]
fn packet_loss_delay_and_reordering_lose_no_data() {
    let (delay, jitter) = (Duration::from_millis(15), Duration::from_millis(20));
    let (_network, netem, _server, client) = connect_through(Impairments { lost: 30, delay, jitter });
    let start = Instant::now();
    echo_messages(&client, 1500);
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1000);
    let (delivered, lost, reordered) = netem.counts();
    let elapsed = start.elapsed().as_secs_f32();
    println!(
        "packet loss: 1500 messages in {elapsed:.1} s, {delivered} packets, {lost} lost, {reordered} reordered"
    );
    assert!(lost > 0 && reordered > 0);
}

#[test]
fn short_outage_is_survived() {
    let delay = Duration::from_millis(5);
    let (_network, netem, _server, client) = connect_through(Impairments { delay, ..Impairments::default() });
    echo_messages(&client, 20);
    netem.change(Impairments { lost: 1000, ..Impairments::default() });
    client.send_text("into the void").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    netem.change(Impairments { delay, ..Impairments::default() });
    let start = Instant::now();
    assert_eq!(client.next(), Seen::Text("into the void".into()));
    println!("an outage of 3 s: the message arrived {:.1} s after it", start.elapsed().as_secs_f32());
    echo_messages(&client, 20);
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1000);
}

// -------------------------------------------------------------------------------------- uplinks

fn reconnecting(url: &str) -> Client {
    let client = Client::new(url);
    client.set_reconnect(Some(Reconnect::default())).expect("it is closed");
    client.open().expect("it is closed");
    assert_eq!(client.next(), Seen::Open);
    client
}

/// Sends numbered messages until a new connection is open, and returns how long that took since `start`.
/// Checks that what is echoed is in order and not repeated, before and after.
fn send_until_replaced(client: &Client, start: Instant) -> Duration {
    let (mut number, mut echoed, mut reconnecting, mut opened) = (0u32, Vec::new(), None, None);
    while opened.is_none_or(|at: Duration| start.elapsed() < at + Duration::from_millis(300)) {
        assert!(start.elapsed() < TIMEOUT, "it reconnects");
        // Refused while an ordinary reconnect connects.
        if client.send_text(&number.to_string()).is_ok() {
            number += 1;
        }
        while let Some(event) = client.next_event().expect("the socket exists") {
            match event.kind.into() {
                Seen::Reconnecting(error, 1, _) => {
                    println!("  reconnecting after {} ms: {error}", start.elapsed().as_millis());
                    reconnecting = Some(start.elapsed());
                }
                Seen::Open => opened = Some(start.elapsed()),
                Seen::Text(text) => echoed.push(text.parse::<u32>().expect("a number")),
                Seen::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(reconnecting <= opened);
    assert!(echoed.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice: {echoed:?}");
    assert_eq!(
        echoed.last().map(|last| last + 2 > number.saturating_sub(20)),
        Some(true),
        "they arrive again"
    );
    println!("  {number} messages accepted, {} lost", number as usize - echoed.len());
    opened.expect("the loop waits for it")
}

#[test]
fn second_uplink_takes_over_when_the_first_is_removed() {
    let _network = Network::new();
    let uplinks = Uplinks::new();
    let server = uplinks.server();
    let client = reconnecting(&server.url("/"));
    let start = Instant::now();
    run("ip", &["addr", "del", "10.1.0.2/24", "dev", "wifi"], "");
    network_changed();
    let took = send_until_replaced(&client, start);
    println!("the first of two uplinks is removed, and reported: open after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(3), "before the probe of the old connection ends");
    assert_eq!(client.stats().reconnects, 1);
}

#[test]
fn second_uplink_takes_over_when_the_route_moves() {
    let _network = Network::new();
    let uplinks = Uplinks::new();
    let server = uplinks.server();
    let client = reconnecting(&server.url("/"));
    // Wi-Fi loses its packets but keeps its address, until the system prefers mobile data.
    uplinks.drop_at_server("ip saddr 10.1.0.2");
    let start = Instant::now();
    run("ip", &["route", "del", "default", "via", "10.1.0.1"], "");
    network_changed();
    let took = send_until_replaced(&client, start);
    println!("the default route moves to the second uplink: open after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(3), "before the probe of the old connection ends");
}

#[test]
fn connection_whose_mapping_is_lost_is_replaced() {
    let _network = Network::new();
    let uplinks = Uplinks::new();
    let server = uplinks.server();
    let first = reconnecting(&server.url("/"));
    // As a NAT that has forgotten its connections: only new ones pass.
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel has it");
    let port_of = |line: &str| {
        let local = line.split_whitespace().nth(1)?;
        u16::from_str_radix(local.split_once(':')?.1, 16).ok()
    };
    let port = table.lines().skip(1).find_map(port_of).expect("one connection");
    uplinks.drop_at_server(&format!("tcp sport {port}"));
    let start = Instant::now();
    network_changed();
    let took = send_until_replaced(&first, start);
    println!("a mapping of the same uplink is lost: open after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(3), "before the probe of the old connection ends");
}

#[test]
fn live_connection_over_the_old_uplink_is_kept() {
    let _network = Network::new();
    let uplinks = Uplinks::new();
    let server = uplinks.server();
    let client = reconnecting(&server.url("/"));
    run("ip", &["route", "del", "default", "via", "10.1.0.1"], "");
    network_changed();
    assert!(matches!(client.next(), Seen::Pong(_)));
    // Time must pass for a new attempt to complete.
    std::thread::sleep(Duration::from_secs(1));
    client.send_text("still here").expect("it is open");
    loop {
        match client.next() {
            Seen::Pong(_) => {}
            event => break assert_eq!(event, Seen::Text("still here".into())),
        }
    }
    assert_eq!(client.stats().reconnects, 0);
}

/// Waits until the socket has sent this many pings, all of them probes.
fn wait_for_probes(client: &Client, count: u64) {
    wait_until("a probe", || client.stats().pings_sent >= count);
    wait_until("its pong", || client.stats().pongs_received >= count);
    assert_eq!(client.stats().pings_sent, count);
}

#[test]
fn changed_addresses_and_routes_are_noticed_without_a_call() {
    let _network = Network::new();
    let uplinks = Uplinks::new();
    let server = uplinks.server();
    let client = Client::opened(&server.url("/"));
    let change = |arguments: &[&str], probes| {
        let start = Instant::now();
        run("ip", arguments, "");
        wait_for_probes(&client, probes);
        println!("ip {}: probed within {} ms", arguments.join(" "), start.elapsed().as_millis());
        // Longer than the interval between two reports.
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(client.stats().pings_sent, probes, "one probe for each change");
    };
    change(&["addr", "add", "10.3.0.1/24", "dev", "wifi"], 1);
    change(&["addr", "add", "fd00::3/64", "dev", "wifi", "nodad"], 2);
    change(&["addr", "del", "10.3.0.1/24", "dev", "wifi"], 3);
    change(&["route", "add", "default", "via", "10.2.0.1", "metric", "50"], 4);
    change(&["route", "del", "default", "via", "10.2.0.1", "metric", "50"], 5);
    // Neither a renewed lifetime nor a route to one network nor a link-local address is a change.
    for arguments in [
        &["addr", "change", "fd00::3/64", "dev", "wifi", "valid_lft", "600", "preferred_lft", "600"][..],
        &["route", "add", "10.7.0.0/24", "via", "10.2.0.1"],
        &["addr", "add", "fe80::99/64", "dev", "wifi", "nodad"],
    ] {
        run("ip", arguments, "");
    }
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(client.stats().pings_sent, 5);
    // Several at once are two reports: one immediately, one after the interval.
    for last in 1..40 {
        run("ip", &["addr", "add", &format!("10.4.0.{last}/24"), "dev", "lte"], "");
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!((7..9).contains(&client.stats().pings_sent), "{}", client.stats().pings_sent);
}

#[test]
fn removed_uplink_is_noticed_without_a_call() {
    let _network = Network::new();
    let uplinks = Uplinks::new();
    let server = uplinks.server();
    let client = reconnecting(&server.url("/"));
    let start = Instant::now();
    run("ip", &["addr", "del", "10.1.0.2/24", "dev", "wifi"], "");
    let took = send_until_replaced(&client, start);
    println!("the first of two uplinks is removed, and noticed: open after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(3), "before the probe of the old connection ends");
}

#[test]
fn ignored_network_changes_lead_to_no_probe() {
    let _network = Network::new();
    init(Config { ignore_network_changes: true, ..Config::default() }).expect("it is not running");
    let uplinks = Uplinks::new();
    let server = uplinks.server();
    let client = Client::opened(&server.url("/"));
    run("ip", &["addr", "add", "10.3.0.1/24", "dev", "wifi"], "");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(client.stats().pings_sent, 0);
    network_changed();
    wait_for_probes(&client, 1);
}

// ------------------------------------------------------------------------------- IPv6 and NAT64

#[test]
fn ipv4_address_is_reached_through_a_translator() {
    let network = Network::new();
    let nat64 = Nat64::new();
    network.names(nat64::NAMES);
    let url = format!("ws://{}:{}/", nat64::SERVER, nat64.port);
    time_to_open("an IPv4 address in an IPv6-only network, through tayga", &url);
    let client = Client::opened(&url);
    client.send_binary(&[7; 100_000]).expect("it is open");
    assert_eq!(client.next(), Seen::Binary(vec![7; 100_000]));
}

#[test]
fn address_literal_is_reached_through_nat64() {
    let network = Network::new();
    // The addresses that a NAT64 would translate are local, so that no translator is needed.
    run("ip", &["-6", "route", "add", "local", "64:ff9b::/96", "dev", "lo"], "");
    run("ip", &["addr", "add", "64:ff9b::cb00:7101/128", "dev", "lo", "nodad"], "");
    let server = server_at("64:ff9b::cb00:7101");
    let url = format!("ws://203.0.113.1:{}/", server.port());
    let start = Instant::now();
    let error = Client::opening(&url).error();
    println!("without DNS64: {} ms: {error}", start.elapsed().as_millis());
    assert_eq!((error.kind, error.phase), (ErrorKind::Unreachable, Phase::Connect), "{error}");
    assert!(error.message.contains("203.0.113.1"), "{error}");
    network.names("64:ff9b::c000:aa ipv4only.arpa\n64:ff9b::c000:ab ipv4only.arpa\n");
    time_to_open("an IPv4 address, through NAT64", &url);
    // A proxy that is an IPv4 address, too.
    let client = Client::new("ws://game.example/");
    client.set_proxy(Some("http://203.0.113.1:9")).expect("it is closed");
    client.open().expect("it is closed");
    let error = client.error();
    assert_eq!((error.kind, error.phase), (ErrorKind::Proxy, Phase::Proxy), "{error}");
    assert!(error.message.contains("[64:ff9b::cb00:7101]:9"), "{error}");
}
