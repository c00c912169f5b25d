//! `framewire bench`.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use framewire::{Config, Dispatch, Socket};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::interrupt;
use crate::options::ConnectionOptions;
use crate::output::{self, Failure, STRONG, line, status};
use crate::plot::{self, thousands};
use crate::session::Session;
use crate::stats::Latencies;
use crate::values::{message_size, show, timeout};

/// Measures messages per second and latency with an echo server
///
/// Without --rate, each connection keeps --in-flight messages under way and sends the next one as soon as an echo
/// arrives. With --rate, messages are sent at fixed times, and the latency counts from the time at which a message
/// was due, so a server that falls behind is seen.
#[derive(Args)]
pub struct Options {
    /// URL of an echo server: ws://, wss://, http:// or https://.
    url: String,
    /// Bytes of each message.
    #[arg(long, value_name = "BYTES", value_parser = message_size, default_value = "64")]
    size: usize,
    /// Number of connections.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Messages per second over all connections.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Messages of each connection that are under way at once.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    in_flight: u32,
    /// How long messages are sent.
    #[arg(short, long, value_name = "TIME", value_parser = timeout, default_value = "5s")]
    duration: Duration,
    /// Sends text messages, for servers that echo text only.
    #[arg(long)]
    text: bool,
    /// Draws the throughput over time and the latency percentiles.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Prints the result as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

/// How often the throughput is sampled.
const SAMPLE: Duration = Duration::from_millis(100);

/// What the callbacks of one connection and the sender share.
struct Track {
    state: Mutex<State>,
    payload: Arc<[u8]>,
    is_text: bool,
}

struct State {
    /// When each message without an echo was sent, or was due.
    waiting: VecDeque<Instant>,
    latencies: Latencies,
    received: u64,
    failure: Option<String>,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(options.connections as usize);
    framewire::init(Config { worker_threads: workers, ..Config::default() })?;
    let payload = payload(options.size, options.text);
    let is_sending = Arc::new(AtomicBool::new(true));
    let mut connections = Vec::new();
    let bar = progress(&options);
    for number in 1..=options.connections {
        bar.set_message(format!("connection {number} of {}", options.connections));
        let mut session = options.connection.session(&options.url)?;
        let track = Arc::new(Track::new(payload.clone(), options.text));
        let opened = track.watch(&session, options.rate.is_none().then(|| is_sending.clone()))?;
        session.open()?;
        // Until the connection is open or has failed.
        while let Err(RecvTimeoutError::Timeout) = opened.recv_timeout(SAMPLE) {
            if interrupt::is_requested() {
                return Ok(());
            }
        }
        if let Some(failure) = track.lock().failure.take() {
            return Err(Failure::connection(failure));
        }
        connections.push((session, track));
    }
    let begin = Instant::now();
    if options.rate.is_none() {
        for (session, track) in &connections {
            for _ in 0..options.in_flight {
                track.send(&session.socket, Instant::now());
            }
        }
    }
    let rates = measure(&options, &connections, begin, &bar);
    is_sending.store(false, Ordering::SeqCst);
    let elapsed = begin.elapsed();
    bar.finish_and_clear();
    let result = Outcome::of(&connections, elapsed);
    for (session, _) in &connections {
        // Fails if the connection has ended.
        let _ = session.socket.close(1000, "");
    }
    if let Some(failure) = result.failure {
        return Err(Failure::connection(failure));
    }
    if result.received == 0 && interrupt::is_requested() {
        status(format_args!("interrupted before an echo arrived"));
        return Ok(());
    }
    if result.received == 0 {
        let time = show(options.duration);
        return Err(Failure::no_answer(format_args!("no echo within {time}; bench needs an echo server")));
    }
    result.print(&options);
    let Some(file) = &options.plot else { return Ok(()) };
    let noun = if options.connections == 1 { "connection" } else { "connections" };
    let (messages, size, count) = (thousands(result.received), options.size, options.connections);
    let title = format!("{messages} messages of {size} bytes over {count} {noun} to {}", options.url);
    plot::write(file, &plot::bench(&title, &rates, &result.latencies))
}

/// Sends what is due and samples the throughput, until the time is over.
fn measure(
    options: &Options,
    connections: &[(Session, Arc<Track>)],
    begin: Instant,
    bar: &ProgressBar,
) -> Vec<(f64, f64)> {
    let mut rates = Vec::new();
    let (mut sampled_at, mut sampled) = (begin, 0);
    let mut sent = 0u64;
    loop {
        let now = Instant::now();
        let elapsed = now - begin;
        if elapsed >= options.duration || interrupt::is_requested() {
            return rates;
        }
        let mut next = sampled_at + SAMPLE;
        if let Some(rate) = options.rate {
            let due = |number: u64| begin + Duration::from_secs_f64(number as f64 / f64::from(rate));
            while due(sent) <= now {
                let (session, track) = &connections[(sent % connections.len() as u64) as usize];
                track.send(&session.socket, due(sent));
                sent += 1;
            }
            next = next.min(due(sent));
        }
        if now >= sampled_at + SAMPLE {
            let received: u64 = connections.iter().map(|(_, track)| track.lock().received).sum();
            let rate = (received - sampled) as f64 / (now - sampled_at).as_secs_f64();
            rates.push((elapsed.as_secs_f64(), rate));
            (sampled_at, sampled) = (now, received);
            bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            bar.set_message(format!("{} messages/s", thousands(rate as u64)));
            if connections.iter().any(|(_, track)| track.lock().failure.is_some()) {
                return rates;
            }
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

impl Track {
    fn new(payload: Arc<[u8]>, is_text: bool) -> Self {
        let state =
            State { waiting: VecDeque::new(), latencies: Latencies::new(), received: 0, failure: None };
        Self { state: Mutex::new(state), payload, is_text }
    }

    /// Counts echoes. With `is_sending`, each echo sends the next message. Returns what receives something when the
    /// connection is open or has failed.
    fn watch(
        self: &Arc<Self>,
        session: &Session,
        is_sending: Option<Arc<AtomicBool>>,
    ) -> Result<mpsc::Receiver<()>, Failure> {
        let (socket, dial_failure) = (&session.socket, session.dial_failure());
        let (sender, opened) = mpsc::channel();
        socket.set_dispatch(Dispatch::Worker)?;
        // Sending fails when the connection was reported as open already.
        let own = sender.clone();
        socket.on_open(Some(Arc::new(move |_| {
            let _ = own.send(());
        })))?;
        let echo = |track: &Track, socket: &Socket, len: usize, is_sending: &Option<Arc<AtomicBool>>| {
            let now = Instant::now();
            let mut state = track.lock();
            if len != track.payload.len() {
                state.failure = Some(format!(
                    "the server does not echo: {len} bytes came back for {}; bench needs an echo server",
                    track.payload.len()
                ));
                return;
            }
            if let Some(sent) = state.waiting.pop_front() {
                state.latencies.record(now.saturating_duration_since(sent));
                state.received += 1;
            }
            drop(state);
            if is_sending.as_ref().is_some_and(|is_sending| is_sending.load(Ordering::Relaxed)) {
                track.send(socket, now);
            }
        };
        let (track, sending) = (self.clone(), is_sending.clone());
        socket.on_binary(Some(Arc::new(move |socket, bytes| echo(&track, socket, bytes.len(), &sending))))?;
        let (track, sending) = (self.clone(), is_sending);
        socket.on_text(Some(Arc::new(move |socket, text| echo(&track, socket, text.len(), &sending))))?;
        let track = self.clone();
        let own = sender.clone();
        socket.on_closed(Some(Arc::new(move |_, code, reason| {
            track.lock().failure = Some(format!("the server closed the connection: {code} {reason}"));
            let _ = own.send(());
        })))?;
        let track = self.clone();
        socket.on_error(Some(Arc::new(move |_, error| {
            let mut error = error.clone();
            dial_failure.explain(&mut error);
            track.lock().failure = Some(error.to_string());
            let _ = sender.send(());
        })))?;
        Ok(opened)
    }

    /// Sends a message that counts from `at`.
    fn send(&self, socket: &Socket, at: Instant) {
        // Held while sending, so that the order is that of the messages.
        let mut state = self.lock();
        let sent = match self.is_text {
            true => socket.send_text(&String::from_utf8_lossy(&self.payload)),
            false => socket.send_binary(&self.payload),
        };
        match sent {
            Ok(()) => state.waiting.push_back(at),
            // The connection has ended, which its event reports.
            Err(error) if error.code == framewire::Code::InvalidState => {}
            Err(error) => state.failure = Some(error.to_string()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Outcome {
    received: u64,
    elapsed: Duration,
    latencies: Latencies,
    failure: Option<String>,
}

impl Outcome {
    fn of(connections: &[(Session, Arc<Track>)], elapsed: Duration) -> Self {
        let mut all = Self { received: 0, elapsed, latencies: Latencies::new(), failure: None };
        for (_, track) in connections {
            let state = track.lock();
            all.received += state.received;
            all.latencies.add(&state.latencies);
            all.failure = all.failure.or_else(|| state.failure.clone());
        }
        all
    }

    fn print(&self, options: &Options) {
        let seconds = self.elapsed.as_secs_f64();
        let per_second = self.received as f64 / seconds;
        let megabytes = per_second * options.size as f64 / 1e6;
        if options.json {
            output::json(&json!({
                "url": options.url, "connections": options.connections, "size": options.size,
                "rate": options.rate, "in_flight": options.rate.is_none().then_some(options.in_flight),
                "seconds": seconds, "messages": self.received, "messages_per_second": per_second,
                "megabytes_per_second": megabytes, "latency_ms": self.latencies.json(),
            }));
            return;
        }
        let (messages, rate) = (thousands(self.received), thousands(per_second.round() as u64));
        line(format_args!(
            "messages  {STRONG}{rate}{STRONG:#} per second, {messages} in {}",
            show(self.elapsed)
        ));
        line(format_args!(
            "data      {megabytes:.2} MB/s in each direction, {} bytes per message",
            options.size
        ));
        self.latencies.print_percentiles();
        self.latencies.print_histogram();
    }
}

fn progress(options: &Options) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(options.duration.as_millis()).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40.cyan/dim} {msg}").expect("the template is valid");
    bar.with_style(style)
}

/// Returns data that does not compress: SplitMix64, as digits for text.
fn payload(size: usize, is_text: bool) -> Arc<[u8]> {
    let mut counter = 0u64;
    let bytes = std::iter::from_fn(|| {
        counter = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (counter ^ (counter >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let byte = (mixed >> 56) as u8;
        Some(if is_text { b'!' + byte % 90 } else { byte })
    });
    bytes.take(size).collect()
}
