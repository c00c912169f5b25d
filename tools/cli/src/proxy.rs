//! `framewire proxy`: a local TCP proxy that degrades connections.
//!
//! ```text
//! client ──► read ──► rate ──► delay and jitter ──► stalls ──► write ──► target     out
//!        ◄──                   the same per direction                 ◄──           in
//! ```

mod connection;
mod model;
mod target;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use framewire::{LinkConditions, LinkCut};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::interrupt;
use crate::link::LinkOptions;
use crate::options::{RootChoice, TlsOptions};
use crate::output::{self, Failure, GOOD, QUIET, STRONG, line};
use crate::values::duration;
use target::Target;

const TICK: Duration = Duration::from_millis(50);

/// Forwards TCP connections over a simulated bad network
///
/// Works with any client and server. With a ws:// or wss:// target, the Host field of the request is replaced, so
/// that a game without TLS can be tested with a server that requires it.
#[derive(Args)]
pub struct Options {
    /// Address to listen on: PORT (loopback only) or ADDRESS:PORT; port 0 selects a free one.
    #[arg(value_parser = listen_address)]
    listen: SocketAddr,
    /// Where connections go: HOST:PORT, ws://HOST[:PORT] or wss://HOST[:PORT].
    #[arg(value_parser = target::parse)]
    target: Target,
    /// Applies --cut at this time after a connection was established; `refuse` counts from the start of the proxy.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "cut")]
    cut_after: Option<Duration>,
    /// Trusts the certificates in this PEM file too, for a wss:// target.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Accepts any certificate of a wss:// target. For development only.
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Prints a JSON object for each connection.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    link: LinkOptions,
}

/// What every connection uses.
pub struct Shared {
    target: Target,
    conditions: LinkConditions,
    cut_after: Duration,
    tls: TlsOptions,
    is_json: bool,
}

pub fn run(options: Options) -> Result<(), Failure> {
    interrupt::install();
    let conditions = options.link.conditions().unwrap_or_default();
    check(&conditions)?;
    let tls = TlsOptions {
        insecure: options.insecure,
        cacert: options.cacert,
        cert: None,
        key: None,
        roots: RootChoice::Mozilla,
        pin: Vec::new(),
        key_log: false,
    };
    let cut_after = options.cut_after.unwrap_or_default();
    let shared = Shared { target: options.target, conditions, cut_after, tls, is_json: options.json };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::connection(format_args!("the proxy cannot start: {error}")))?;
    let done = runtime.block_on(serve(options.listen, Arc::new(shared)));
    // A dial that is under way needs no answer.
    runtime.shutdown_background();
    done
}

/// Accepts connections until Ctrl-C.
async fn serve(address: SocketAddr, shared: Arc<Shared>) -> Result<(), Failure> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::connection(format_args!("{address} cannot be listened on: {error}")))?;
    let address = listener.local_addr().unwrap_or(address);
    let text =
        format!("{GOOD}listening{GOOD:#} on {STRONG}{address}{STRONG:#}, target {}", shared.target.name);
    let event = json!({ "event": "listening", "address": address, "target": shared.target.name });
    shared.report(&text, event);
    let started = Instant::now();
    let mut listener = Some(listener);
    let mut connections = tokio::task::JoinSet::new();
    let mut number = 0u64;
    while !interrupt::is_requested() {
        if shared.conditions.cut == LinkCut::Refuse && started.elapsed() >= shared.cut_after {
            // The system refuses connections to a port on which nothing listens.
            listener = None;
        }
        tokio::select! {
            accepted = accept(listener.as_ref()) => {
                match accepted {
                    Ok((client, from)) => {
                        number += 1;
                        connections.spawn(connection::run(client, from, number, shared.clone()));
                    }
                    // The connection ended before it was accepted, or the process has too many files open, which the
                    // next call would report at once.
                    Err(_) => tokio::time::sleep(TICK).await,
                }
            }
            Some(_) = connections.join_next() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
    Ok(())
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

impl Shared {
    fn report(&self, text: &str, event: Value) {
        match self.is_json {
            true => output::json(&event),
            false => line(format_args!("{text}")),
        }
    }

    fn report_connection(&self, number: u64, what: &str, event: Value) {
        self.report(&format!("{QUIET}[{number}]{QUIET:#} {what}"), event);
    }
}

/// Applies the limits of the library, so that the same options work for every command.
fn check(conditions: &LinkConditions) -> Result<(), Failure> {
    let socket = framewire::Socket::create("ws://127.0.0.1/")?;
    let checked = socket.set_link(Some(*conditions));
    socket.destroy()?;
    Ok(checked?)
}

pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| "it must be PORT or ADDRESS:PORT, such as 9000 or 0.0.0.0:9000".to_owned())
}
