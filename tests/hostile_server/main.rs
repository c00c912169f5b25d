//! Faults at every byte and in every phase: one fitting terminal event, in time, without leaks.

#[path = "../common/mod.rs"]
mod common;
mod scenarios;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Client, Seen, alone};
use framewire::{Error, ErrorKind, Phase, Roots, Tls, pool_stats};
use framewire_servers::{Fault, HostileRelay, Injection, Side};
use scenarios::{Scenario, http_proxy, http2, plain, refusing, socks_proxy};

/// For a busy machine; the timeouts of the sockets are far shorter.
const PATIENCE: Duration = Duration::from_secs(40);
/// Connections at a time.
const AT_ONCE: usize = 24;
/// At most for each connection: a message, and what is read ahead of it.
const MEMORY_EACH: usize = 1 << 20;
const LARGEST_MESSAGE: usize = 64 << 10;

/// Runs the client of a scenario: it sends a message, receives for a moment, then closes.
fn visit(scenario: &Scenario, injection: Option<Injection>) -> (Vec<Seen>, usize) {
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
    client.set_max_message_size(LARGEST_MESSAGE).unwrap();
    client.open().unwrap();
    let begun = Instant::now();
    let (mut seen, mut opened): (Vec<Seen>, Option<Instant>) = (Vec::new(), None);
    while !seen.last().is_some_and(Seen::is_terminal) {
        assert!(begun.elapsed() < PATIENCE, "no end of {}, {injection:?}: {seen:?}", scenario.name);
        match client.next_event().unwrap() {
            Some(event) => {
                let event = Seen::from(event.kind);
                if event == Seen::Open {
                    opened = Some(Instant::now());
                    // May fail if the connection has ended.
                    let _ = client.send_text("hello, server");
                }
                // A flood is not kept.
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
    let carried = hostile.carried(injection.map_or(Side::Server, |injection| injection.side));
    (seen, carried)
}

/// Whether the events are those of a run without faults.
fn is_well(scenario: &Scenario, seen: &[Seen]) -> bool {
    match seen {
        [Seen::Error(error)] => scenario.refuses && error.http_status == 403,
        [Seen::Open, .., Seen::Closed(1000, _)] => !scenario.refuses,
        _ => false,
    }
}

/// Checks that the terminal event fits the fault.
fn assert_fits(scenario: &Scenario, injection: Injection, seen: &[Seen]) {
    let opened = seen.contains(&Seen::Open);
    let what = format!("{}, {injection:?}: {:?}", scenario.name, seen.last());
    let Some(Seen::Error(error)) = seen.last() else {
        assert!(opened, "closed before it was open: {what}");
        return;
    };
    assert!(!error.message.is_empty(), "{what}");
    let fits = match error.phase {
        Phase::Open | Phase::Closing => opened,
        Phase::Proxy | Phase::Tls | Phase::Upgrade => !opened,
        // So early that it looks like a failed connection.
        Phase::Connect => !opened && injection.fault == Fault::Reset,
        Phase::Resolve => false,
    };
    assert!(fits, "{what}");
    if injection.side == Side::Server
        && let Some(phase) = scenario.phase_after(injection.at)
    {
        let (came, may_come) = (error.phase as u32, phase as u32);
        match injection.fault {
            // Nothing more was received.
            Fault::Finish | Fault::Stall => assert_eq!(came, may_come, "{what}"),
            // Received data may have been lost.
            Fault::Reset => assert!(came <= may_come, "{what}"),
            _ => assert!(came >= may_come, "{what}"),
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

/// Runs all jobs, several at a time, and returns the most memory in use meanwhile.
fn all_of<T: Sync>(jobs: &[T], run: impl Fn(&T) + Sync) -> usize {
    let (next, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let running = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    run(job);
                    let _one_looks = running.lock();
                    most.fetch_max(pool_stats().bytes_in_use as usize, Ordering::SeqCst);
                }
            });
        }
    });
    most.into_inner()
}

#[test]
fn every_fault_in_every_phase_ends_once_without_leaks() {
    let _alone = alone();
    let all = scenarios::all();
    let mut pairs = Vec::new();
    for scenario in &all {
        let (seen, _) = visit(scenario, None);
        assert!(is_well(scenario, &seen), "{} without a fault: {seen:?}", scenario.name);
        for place in &scenario.places {
            pairs.extend(Fault::ALL.map(|fault| (scenario, place, fault)));
        }
    }
    let well = AtomicUsize::new(0);
    let most = all_of(&pairs, |(scenario, place, fault)| {
        let injection = Injection { fault: *fault, side: place.side, at: place.at };
        let (seen, carried) = visit(scenario, Some(injection));
        assert!(carried >= place.at, "{}, {}: {carried} bytes were sent", scenario.name, place.name);
        assert_fits(scenario, injection, &seen);
        let is_well = is_well(scenario, &seen);
        // A server may refuse a request that arrives byte by byte.
        let is_harmless = fault.is_harmless() && !(injection.side == Side::Client && *fault == Fault::Split);
        assert!(is_well || !is_harmless, "{}, {}, {fault:?}: {seen:?}", scenario.name, place.name);
        well.fetch_add(is_well.into(), Ordering::SeqCst);
    });
    println!("{} pairs of phase and fault, {} ended well", pairs.len(), well.into_inner());
    assert!(most <= AT_ONCE * MEMORY_EACH, "{most} bytes");
    drop(all);
    // Each worker keeps a block to read into until it ends.
    framewire::shutdown(PATIENCE).unwrap();
    assert_eq!(pool_stats().bytes_in_use, 0);
}

#[test]
fn connection_cut_at_every_byte_ends_once() {
    let _alone = alone();
    let all = [plain(), http_proxy(), socks_proxy(), refusing(), http2()];
    let mut cuts = Vec::new();
    for scenario in &all {
        let (_, said) = visit(scenario, None);
        for fault in [Fault::Finish, Fault::Reset] {
            cuts.extend((0..said).map(|at| (scenario, Injection { fault, side: Side::Server, at })));
        }
    }
    all_of(&cuts, |(scenario, injection)| {
        let (seen, _) = visit(scenario, Some(*injection));
        assert_fits(scenario, *injection, &seen);
        // An error, unless the client was closing or had received the close frame.
        if let Some(Seen::Closed(code, reason)) = seen.last() {
            let was_closing = [1000, 1006].contains(code);
            assert!(was_closing, "{}, {injection:?}: {code} {reason}", scenario.name);
        }
    });
    println!("{} connections cut, at each byte", cuts.len());
}
