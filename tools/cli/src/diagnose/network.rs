//! DNS, and TCP to each address.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::stage::{Name, Stage, Status};
use super::target::Target;
use crate::resolve::{self, Override};
use crate::values::show;

/// Resolves the host that TCP connects to.
pub fn resolve(
    target: &Target,
    overrides: &[Override],
    timeout: Duration,
) -> (Stage, Option<Vec<SocketAddr>>) {
    let (host, port) = target.first_hop();
    let of = if target.proxy.is_some() { " of the proxy" } else { "" };
    if let Ok(address) = host.parse::<IpAddr>() {
        let stage =
            Stage::new(Name::Dns, Status::Ok, format!("{address} is an address{of}, no lookup needed"));
        return (stage.fact("addresses", json!([address])), Some(vec![SocketAddr::new(address, port)]));
    }
    if let Some(addresses) = resolve::find(overrides, &host, port) {
        let stage =
            Stage::new(Name::Dns, Status::Ok, format!("{}, given by --resolve", count(addresses.len())));
        return (with_addresses(stage, &addresses), Some(addresses));
    }
    let began = Instant::now();
    let (sender, resolved) = mpsc::channel();
    let name = host.clone();
    thread::spawn(move || {
        let addresses =
            (name.as_str(), port).to_socket_addrs().map(|addresses| addresses.collect::<Vec<_>>());
        // Fails after the timeout.
        let _ = sender.send(addresses);
    });
    let result = resolved.recv_timeout(timeout);
    let took = began.elapsed();
    match result {
        Ok(Ok(addresses)) if !addresses.is_empty() => {
            let stage =
                Stage::new(Name::Dns, Status::Ok, format!("{host}{of} has {}", count(addresses.len())));
            (with_addresses(stage, &addresses).took(took), Some(addresses))
        }
        Ok(other) => {
            let why = match other {
                Err(error) => error.to_string(),
                Ok(_) => "it has no address".to_owned(),
            };
            let stage = Stage::new(Name::Dns, Status::Failed, format!("{host}{of} cannot be resolved: {why}"))
                .advise("Check the spelling of the host name.")
                .advise("If it is right, add an A or AAAA record in its DNS zone, or use --resolve HOST:PORT:ADDRESS.");
            (stage.took(took), None)
        }
        Err(_) => {
            let why = format!("no answer from DNS within {} for {host}{of}", show(timeout));
            let stage = Stage::new(Name::Dns, Status::Failed, why)
                .advise("Check the network connection and the DNS servers of this machine.");
            (stage.took(took), None)
        }
    }
}

/// Connects to every address at once. Returns the connection that was established first in the given order.
pub fn connect(addresses: &[SocketAddr], timeout: Duration, is_proxy: bool) -> (Stage, Option<TcpStream>) {
    let began = Instant::now();
    let attempts: Vec<_> = addresses
        .iter()
        .map(|address| {
            let address = *address;
            thread::spawn(move || {
                let began = Instant::now();
                (TcpStream::connect_timeout(&address, timeout), began.elapsed())
            })
        })
        .collect();
    let results = attempts.into_iter().map(|attempt| {
        attempt.join().unwrap_or_else(|_| (Err(Error::other("internal error")), Duration::ZERO))
    });
    let results: Vec<_> = addresses.iter().zip(results).collect();
    let open = results.iter().filter(|(_, (result, _))| result.is_ok()).count();
    let status = match open {
        0 => Status::Failed,
        open if open < results.len() => Status::Warning,
        _ => Status::Ok,
    };
    let what = if is_proxy { "the proxy" } else { "the server" };
    let summary = match open {
        0 if results.len() == 1 => {
            let (address, (result, _)) = &results[0];
            format!("{address}: {}", result.as_ref().map_or_else(describe, |_| String::new()))
        }
        0 => format!("none of {} accepts connections", count(results.len())),
        open if open < results.len() => {
            format!(
                "{open} of {} accepts connections; clients may try the others first",
                count(results.len())
            )
        }
        _ => format!("{what} accepts connections"),
    };
    let mut stage = Stage::new(Name::Tcp, status, summary).took(began.elapsed());
    let mut facts = Vec::new();
    let mut first = None;
    for (address, (result, took)) in results {
        let outcome = match &result {
            Ok(_) => "connected".to_owned(),
            Err(error) => describe(error),
        };
        stage = stage.detail(format!("{address}  {outcome}  {}", show(took)));
        facts.push(json!({
            "address": address, "connected": result.is_ok(), "result": outcome, "ms": took.as_nanos() as f64 / 1e6,
        }));
        match result {
            Ok(stream) => first = first.or(Some(stream)),
            Err(error) => stage = advise_once(stage, advice(&error, *address, what, open > 0)),
        }
    }
    (stage.fact("attempts", facts), first)
}

fn with_addresses(mut stage: Stage, addresses: &[SocketAddr]) -> Stage {
    for address in addresses {
        stage = stage.detail(address.ip().to_string());
    }
    let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    stage.fact("addresses", addresses)
}

fn advise_once(stage: Stage, advice: String) -> Stage {
    if stage.advice.contains(&advice) { stage } else { stage.advise(advice) }
}

fn describe(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer".to_owned(),
        ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        _ => error.to_string(),
    }
}

fn advice(error: &Error, address: SocketAddr, what: &str, others_work: bool) -> String {
    let record = if address.is_ipv6() { "AAAA" } else { "A" };
    let port = address.port();
    match error.kind() {
        ErrorKind::ConnectionRefused if others_work => format!(
            "Make {what} listen on {} too (port {port}), or remove this {record} record from DNS.",
            address.ip()
        ),
        ErrorKind::ConnectionRefused => {
            format!("Start {what}, check that it listens on port {port}, and check the port in the URL.")
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => format!(
            "Open port {port} in the firewalls between here and {}, or remove this {record} record if it is outdated.",
            address.ip()
        ),
        _ if address.is_ipv6() => {
            "This machine or its network has no route for IPv6; clients like it depend on an A record."
                .to_owned()
        }
        _ => "Check the network connection, routes and VPN of this machine.".to_owned(),
    }
}

fn count(addresses: usize) -> String {
    if addresses == 1 { "1 address".to_owned() } else { format!("{addresses} addresses") }
}
