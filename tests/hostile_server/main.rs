//! Faults at every byte and in every phase: one matching terminal event, within the timeout, without leaks.

#[path = "../common/mod.rs"]
mod common;
mod scenarios;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Client, Seen, exclusive};
use framewire::{Error, ErrorKind, Phase, Roots, Tls, pool_stats};
use framewire_servers::{Fault, HostileRelay, Injection, Side};
use scenarios::{Scenario, http_proxy, http2, plain, refusing, socks_proxy};

/// For a busy machine; the timeouts of the sockets are far shorter.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Concurrent connections.
const CONCURRENT: usize = 24;
/// Limit for each connection: a message, and one read.
const MAX_MEMORY_EACH: usize = 1 << 20;
const MAX_MESSAGE: usize = 64 << 10;

/// Runs the client of a scenario: it sends a message, receives for a moment, then closes.
fn run_client(scenario: &Scenario, injection: Option<Injection>) -> (Vec<Seen>, usize) {
    let hostile =
        HostileRelay::start(scenario.port, injection).expect("the loopback address has a free port");
    let client = Client::new(&(scenario.url)(hostile.port()));
    // New settings, so that no session is resumed.
    if let Some(authority) = &scenario.authority {
        let tls = Tls::create().unwrap();
        tls.set_roots(Roots::None).unwrap();
        tls.add_ca_pem(authority.as_bytes()).unwrap();
        client.set_tls(Some(&tls)).unwrap();
    }
    client.set_http_version(scenario.http).unwrap();
    client.set_proxy(Some(&scenario.proxy.map_or(String::new(), |proxy| proxy(hostile.port())))).unwrap();
    client.set_max_redirects(3).unwrap();
    client.set_connect_timeout(3_000).unwrap();
    client.set_close_timeout(700).unwrap();
    client.set_max_message_size(MAX_MESSAGE).unwrap();
    client.open().unwrap();
    let start = Instant::now();
    let (mut seen, mut opened): (Vec<Seen>, Option<Instant>) = (Vec::new(), None);
    while !seen.last().is_some_and(Seen::is_terminal) {
        assert!(start.elapsed() < TIMEOUT, "no terminal event of {}, {injection:?}: {seen:?}", scenario.name);
        match client.next_event().unwrap() {
            Some(event) => {
                let event = Seen::from(event.kind);
                if event == Seen::Open {
                    opened = Some(Instant::now());
                    // May fail if the connection has ended.
                    let _ = client.send_text("hello, server");
                }
                // Only the first events of a flood are recorded.
                if seen.len() < 1_000 || event.is_terminal() {
                    seen.push(event);
                }
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
        if opened.is_some_and(|opened| opened.elapsed() > Duration::from_millis(300)) {
            let _ = client.close(1000, "enough");
            opened = None;
        }
    }
    assert!(
        client.next_event().unwrap().is_none(),
        "{}, {injection:?}: an event after the terminal one",
        scenario.name
    );
    assert!(
        seen.iter().filter(|event| **event == Seen::Open).count() <= 1,
        "{}, {injection:?}",
        scenario.name
    );
    drop(client);
    let relayed_bytes = hostile.relayed_bytes(injection.map_or(Side::Server, |injection| injection.side));
    (seen, relayed_bytes)
}

/// Whether the events are those of a run without faults.
fn is_unaffected(scenario: &Scenario, seen: &[Seen]) -> bool {
    match seen {
        [Seen::Error(error)] => scenario.refuses && error.http_status == 403,
        [Seen::Open, .., Seen::Closed(1000, _)] => !scenario.refuses,
        _ => false,
    }
}

/// Checks that the terminal event matches the fault.
fn assert_matches_fault(scenario: &Scenario, injection: Injection, seen: &[Seen]) {
    let opened = seen.contains(&Seen::Open);
    let what = format!("{}, {injection:?}: {:?}", scenario.name, seen.last());
    let Some(Seen::Error(error)) = seen.last() else {
        assert!(opened, "closed before it was open: {what}");
        return;
    };
    assert!(!error.message.is_empty(), "{what}");
    let is_valid = match error.phase {
        Phase::Open | Phase::Closing => opened,
        Phase::Proxy | Phase::Tls | Phase::Upgrade => !opened,
        // An early reset looks like a failed connect.
        Phase::Connect => !opened && injection.fault == Fault::Reset,
        _ => false,
    };
    assert!(is_valid, "{what}");
    if injection.side == Side::Server
        && let Some(phase) = scenario.phase_after(injection.at)
    {
        let (actual, expected) = (error.phase as u32, phase as u32);
        match injection.fault {
            // Nothing more was received.
            Fault::Finish | Fault::Stall => assert_eq!(actual, expected, "{what}"),
            // Received data may have been lost.
            Fault::Reset => assert!(actual <= expected, "{what}"),
            _ => assert!(actual >= expected, "{what}"),
        }
    }
    assert!(kinds(scenario, injection, error).contains(&error.kind), "{what}");
}

/// Which kinds of error the fault may cause.
fn kinds(scenario: &Scenario, injection: Injection, error: &Error) -> &'static [ErrorKind] {
    use ErrorKind::{Extension, Http, Protocol, Proxy, Reset, TimedOut, TooLarge, Utf8};
    if scenario.refuses && error.http_status == 403 {
        // The response was received, and a part of its body.
        return &[Http];
    }
    let lost: &[ErrorKind] = if error.phase == Phase::Proxy { &[Proxy] } else { &[Reset] };
    match (injection.side, injection.fault) {
        (Side::Server, Fault::Finish | Fault::Reset) => lost,
        (Side::Server, Fault::Stall | Fault::Drip) => &[TimedOut],
        // The client, or the server, received something other than was sent.
        _ => &[Extension, Http, Protocol, Proxy, Reset, TimedOut, ErrorKind::Tls, TooLarge, Utf8],
    }
}

/// Runs all jobs, several at a time, and returns the peak memory usage.
fn run_all<T: Sync>(jobs: &[T], run: impl Fn(&T) + Sync) -> usize {
    let (next, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let sampling = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..CONCURRENT {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    run(job);
                    let _sampling = sampling.lock();
                    peak.fetch_max(pool_stats().bytes_in_use as usize, Ordering::SeqCst);
                }
            });
        }
    });
    peak.into_inner()
}

#[test]
fn every_fault_in_every_phase_ends_once_without_leaks() {
    let _exclusive = exclusive();
    let all = scenarios::all();
    let mut pairs = Vec::new();
    for scenario in &all {
        let (seen, _) = run_client(scenario, None);
        assert!(is_unaffected(scenario, &seen), "{} without a fault: {seen:?}", scenario.name);
        for place in &scenario.places {
            pairs.extend(Fault::ALL.map(|fault| (scenario, place, fault)));
        }
    }
    let unaffected = AtomicUsize::new(0);
    let peak = run_all(&pairs, |(scenario, place, fault)| {
        let injection = Injection { fault: *fault, side: place.side, at: place.at };
        let (seen, relayed) = run_client(scenario, Some(injection));
        assert!(relayed >= place.at, "{}, {}: {relayed} bytes were sent", scenario.name, place.name);
        assert_matches_fault(scenario, injection, &seen);
        let is_unaffected = is_unaffected(scenario, &seen);
        // A server may refuse a request that arrives byte by byte.
        let is_harmless = fault.is_harmless() && !(injection.side == Side::Client && *fault == Fault::Split);
        assert!(is_unaffected || !is_harmless, "{}, {}, {fault:?}: {seen:?}", scenario.name, place.name);
        unaffected.fetch_add(is_unaffected.into(), Ordering::SeqCst);
    });
    println!("{} pairs of phase and fault, {} without effect", pairs.len(), unaffected.into_inner());
    assert!(peak <= CONCURRENT * MAX_MEMORY_EACH, "{peak} bytes");
    drop(all);
    // Each worker keeps a block to read into until it ends.
    framewire::shutdown(TIMEOUT).unwrap();
    assert_eq!(pool_stats().bytes_in_use, 0);
}

#[test]
fn connection_cut_at_every_byte_ends_once() {
    let _exclusive = exclusive();
    let all = [plain(), http_proxy(), socks_proxy(), refusing(), http2()];
    let mut cuts = Vec::new();
    for scenario in &all {
        let (_, length) = run_client(scenario, None);
        for fault in [Fault::Finish, Fault::Reset] {
            cuts.extend((0..length).map(|at| (scenario, Injection { fault, side: Side::Server, at })));
        }
    }
    run_all(&cuts, |(scenario, injection)| {
        let (seen, _) = run_client(scenario, Some(*injection));
        assert_matches_fault(scenario, *injection, &seen);
        // An error, unless the client was closing or had received the close frame.
        if let Some(Seen::Closed(code, reason)) = seen.last() {
            let was_closing = [1000, 1006].contains(code);
            assert!(was_closing, "{}, {injection:?}: {code} {reason}", scenario.name);
        }
    });
    println!("{} connections cut, at each byte", cuts.len());
}
