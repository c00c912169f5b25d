//! Two hundred connections that open, exchange messages, fail and reconnect. `cargo xtask soak` runs it, and
//! CI for two minutes.
//!
//! | checked | how |
//! | --- | --- |
//! | nothing is lost, duplicated or reordered | both sides number their messages, and compare their counts before every regular close |
//! | every connection ends once | each player checks that an event is valid in its state |
//! | every tag has one outcome | players on simulated links, which are cut at random, expect it before the terminal event |
//! | nothing grows | the last fifth has no more memory, descriptors or threads than the second quarter (resolver threads: at most 8) |
//! | nothing leaks | after the shutdown there is one thread, no additional descriptor, and no pooled block in use |

mod player;
mod watch;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use framewire::{Roots, Tls};
use framewire_servers::certs::{Authority, Demands, server_config};
use framewire_servers::unreliable;

use player::{Player, Tally};
use watch::Watch;

const PLAYERS: usize = 200;
/// The longest that the main thread waits for events.
const FRAME_TIME: Duration = Duration::from_millis(4);
/// For the last connections to end, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let result = match argument.parse() {
        _ if argument == "serve" => serve().map_err(|error| error.to_string()),
        Ok(seconds) => soak(Duration::from_secs(seconds)),
        Err(_) => Err("usage: soak SECONDS".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("soak: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The server, in its own process so that only the client is measured. Ends with its standard input.
fn serve() -> std::io::Result<()> {
    let authority = Authority::new("Soak CA");
    let config = server_config(&authority.good(), Demands::default());
    println!("ws://127.0.0.1:{}/", unreliable::start(None)?);
    println!("wss://localhost:{}/", unreliable::start(Some(config))?);
    println!("{}", authority.pem());
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

struct Server {
    process: Child,
    plain: String,
    secure: String,
    authority: String,
}

impl Server {
    fn start() -> std::io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().expect("it is piped");
        let lines: Vec<String> =
            BufReader::new(output).lines().map_while(Result::ok).take_while(|line| line != "ready").collect();
        match lines.as_slice() {
            [plain, secure, authority @ ..] => Ok(Self {
                plain: plain.clone(),
                secure: secure.clone(),
                authority: authority.join("\n"),
                process,
            }),
            _ => Err(std::io::Error::other("the server did not start")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn soak(duration: Duration) -> Outcome {
    let server = Server::start().map_err(|error| format!("the server: {error}"))?;
    let before = watch::Sample::take();
    let tls = Tls::create().map_err(|error| error.to_string())?;
    let trusted = tls.set_roots(Roots::None).and_then(|()| tls.add_ca_pem(server.authority.as_bytes()));
    trusted.map_err(|error| error.to_string())?;

    let mut players = HashMap::new();
    for number in 0..PLAYERS {
        // A quarter uses TLS, every second one reconnects automatically, and a fifth sends with lanes.
        let url = if number % 4 == 3 { &server.secure } else { &server.plain };
        let player = Player::new(number as u64, url, &tls, number % 2 == 0, number % 5 == 0)?;
        players.insert(player.id(), player);
    }
    let mut watch = Watch::new(duration);
    let until = Instant::now() + duration;
    while Instant::now() < until {
        run_frame(&mut players)?;
        watch.sample();
    }
    let end = Instant::now() + TIMEOUT;
    players.values_mut().for_each(Player::finish);
    while players.values().any(|player| !player.is_closed()) {
        run_frame(&mut players)?;
        if Instant::now() > end {
            return Err("some connections did not end".to_owned());
        }
    }
    let mut total = Tally::default();
    players.into_values().try_for_each(|player| player.destroy(&mut total))?;
    drop(tls);
    framewire::shutdown(TIMEOUT).map_err(|error| format!("the shutdown: {error}"))?;
    let after = watch::Sample::take();
    println!("{PLAYERS} players for {} s: {total}", duration.as_secs());
    println!("{watch}");
    let left = |sample: watch::Sample| (sample.threads, sample.resolver_threads, sample.descriptors);
    if left(after) != left(before) {
        return Err(format!("leaked resources: {before} before, {after} after"));
    }
    let leaked = framewire::pool_stats().bytes_in_use;
    if leaked != 0 {
        return Err(format!("{leaked} bytes of the pool are still in use"));
    }
    total.check()?;
    watch.check()
}

/// One frame of the game: handles events, then runs each player.
fn run_frame(players: &mut HashMap<u64, Player>) -> Outcome {
    framewire::wait(FRAME_TIME);
    let now = Instant::now();
    while let Some(event) = framewire::next_event() {
        let Some(player) = players.get_mut(&event.socket.id()) else {
            return Err("an event of an unknown socket".to_owned());
        };
        player.handle_event(event.kind, now)?;
    }
    players.values_mut().try_for_each(|player| player.run(now))
}
