//! `framewire ping`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::Args;
use framewire::{Code, Dispatch, EventKind, Socket};
use serde_json::json;

use crate::interrupt;
use crate::options::ConnectionOptions;
use crate::output::{self, Failure, QUIET, STRONG, WARNING, line};
use crate::plot::{self, PingSample};
use crate::report::printable;
use crate::session::{Session, end};
use crate::stats::Latencies;
use crate::values::{show, timeout};

/// Measures the round-trip time of WebSocket pings
///
/// Prints each round trip, then percentiles and a histogram. The exit code is 3 if no pong arrived.
#[derive(Args)]
pub struct Options {
    /// URL of the server: ws://, wss://, http:// or https://.
    url: String,
    /// Number of pings.
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Time between two pings.
    #[arg(short, long, value_name = "TIME", value_parser = timeout, default_value = "200ms")]
    interval: Duration,
    /// Time after which a ping counts as lost.
    #[arg(short, long, value_name = "TIME", value_parser = timeout, default_value = "5s")]
    timeout: Duration,
    /// Prints only the summary.
    #[arg(short, long)]
    quiet: bool,
    /// Draws the round trips and their histogram.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Prints a JSON object for each pong, and one for the summary.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

/// What the callbacks report.
enum Signal {
    Open,
    Pong(u64, Instant),
    Ended(Result<(), Failure>),
}

pub fn run(options: Options) -> Result<(), Failure> {
    let mut session = options.connection.session(&options.url)?;
    let signals = signals(&session)?;
    session.open()?;
    let mut run =
        Run { options: &options, waiting: BTreeMap::new(), samples: Vec::new(), latencies: Latencies::new() };
    let ended = run.until_done(&session.socket, session.started, &signals);
    let _ = session.socket.close(1000, "");
    run.lose(|_| true);
    run.print(&session.socket)?;
    ended?;
    if run.latencies.count() == 0 && !interrupt::is_requested() {
        return Err(Failure::no_answer(format_args!("no pong within {}", show(options.timeout))));
    }
    Ok(())
}

fn signals(session: &Session) -> Result<mpsc::Receiver<Signal>, Failure> {
    let (socket, dial_failure) = (&session.socket, session.dial_failure());
    let (sender, signals) = mpsc::channel();
    socket.set_dispatch(Dispatch::Worker)?;
    // Sending fails when the command has ended.
    let own = sender.clone();
    socket.on_open(Some(Arc::new(move |_| {
        let _ = own.send(Signal::Open);
    })))?;
    let own = sender.clone();
    socket.on_pong(Some(Arc::new(move |_, payload| {
        let arrived = Instant::now();
        if let Ok(number) = payload.try_into() {
            let _ = own.send(Signal::Pong(u64::from_be_bytes(number), arrived));
        }
    })))?;
    let own = sender.clone();
    socket.on_closed(Some(Arc::new(move |_, code, reason| {
        let event = EventKind::Closed { code, reason: reason.into() };
        let _ = own.send(Signal::Ended(end(&event).unwrap_or(Ok(()))));
    })))?;
    socket.on_error(Some(Arc::new(move |_, error| {
        let mut error = error.clone();
        dial_failure.explain(&mut error);
        let _ = sender.send(Signal::Ended(Err(Failure::connection(error))));
    })))?;
    Ok(signals)
}

struct Run<'a> {
    options: &'a Options,
    /// When each ping without a pong was sent.
    waiting: BTreeMap<u64, (f64, Instant)>,
    samples: Vec<PingSample>,
    latencies: Latencies,
}

impl Run<'_> {
    fn until_done(
        &mut self,
        socket: &Socket,
        started: Instant,
        signals: &mpsc::Receiver<Signal>,
    ) -> Result<(), Failure> {
        // When the connection was open first, and whether it is as far as is known.
        let (mut begin, mut is_open) = (None::<Instant>, false);
        let (mut sent, mut due) = (0, started);
        loop {
            if interrupt::is_requested() {
                return Ok(());
            }
            let now = Instant::now();
            if let Some(begin) = begin {
                self.lose(|sent| now - sent >= self.options.timeout);
                if is_open && sent < self.options.count && now >= due {
                    match socket.ping(&sent.to_be_bytes()) {
                        Ok(()) => {
                            self.waiting.insert(sent, ((now - begin).as_secs_f64(), now));
                            sent += 1;
                            due += self.options.interval;
                        }
                        // The connection was lost. A signal says how it ended, or that it is open again.
                        Err(error) if error.code == Code::InvalidState => is_open = false,
                        Err(error) => return Err(Failure::connection(error)),
                    }
                }
                if sent == self.options.count && self.waiting.is_empty() {
                    return Ok(());
                }
            }
            let tick = Duration::from_millis(50);
            let wait = match is_open && sent < self.options.count {
                true => due.saturating_duration_since(Instant::now()).min(tick),
                false => tick,
            };
            match signals.recv_timeout(wait) {
                Ok(Signal::Open) => {
                    let now = Instant::now();
                    // The pings that were due meanwhile are not sent all at once.
                    (is_open, due) = (true, due.max(now));
                    if !self.options.json && !self.options.quiet {
                        let what = if begin.is_none() { "connected" } else { "connected again" };
                        let url = printable(&socket.url());
                        line(format_args!("{what} to {url} in {}", show(started.elapsed())));
                    }
                    begin.get_or_insert(now);
                }
                Ok(Signal::Pong(number, arrived)) => self.pong(number, arrived),
                Ok(Signal::Ended(Ok(()))) if interrupt::is_requested() => return Ok(()),
                Ok(Signal::Ended(ended)) => {
                    ended?;
                    return Err(Failure::connection("the server has closed the connection"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn pong(&mut self, number: u64, arrived: Instant) {
        let Some((at, sent)) = self.waiting.remove(&number) else { return };
        let latency = arrived.saturating_duration_since(sent);
        self.latencies.record(latency);
        self.samples.push((at, Some(latency)));
        if self.options.json {
            let ms = latency.as_nanos() as f64 / 1e6;
            output::json(&json!({ "event": "pong", "number": number + 1, "round_trip_ms": ms }));
        } else if !self.options.quiet {
            line(format_args!("pong {QUIET}{}{QUIET:#}  {}", number + 1, show(latency)));
        }
    }

    /// Takes pings that were sent at such a time for lost.
    fn lose(&mut self, is_lost: impl Fn(Instant) -> bool) {
        let lost: Vec<u64> =
            self.waiting.iter().filter(|(_, (_, sent))| is_lost(*sent)).map(|(number, _)| *number).collect();
        for number in lost {
            let Some((at, _)) = self.waiting.remove(&number) else { continue };
            self.samples.push((at, None));
            if self.options.json {
                output::json(&json!({ "event": "lost", "number": number + 1 }));
            } else if !self.options.quiet {
                line(format_args!("pong {QUIET}{}{QUIET:#}  {WARNING}lost{WARNING:#}", number + 1));
            }
        }
    }

    fn print(&self, socket: &Socket) -> Result<(), Failure> {
        let (sent, received) = (self.samples.len(), self.latencies.count());
        if self.options.json {
            output::json(&json!({
                "event": "summary", "url": socket.url(), "sent": sent, "received": received,
                "latency_ms": if received == 0 { json!(null) } else { self.latencies.json() },
            }));
        } else if sent > 0 {
            line(format_args!(""));
            line(format_args!("pings     {STRONG}{sent}{STRONG:#} sent, {received} answered"));
            if received > 0 {
                self.latencies.print_percentiles();
                self.latencies.print_histogram();
            }
        }
        let Some(file) = self.options.plot.as_ref().filter(|_| sent > 0) else { return Ok(()) };
        let title = format!("Round trips of {sent} pings to {}", socket.url());
        plot::write(file, &plot::pings(&title, &self.samples, &self.latencies))
    }
}
