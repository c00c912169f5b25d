//! `framewire`: a command line for WebSocket servers.
//!
//! Each command is a module with its options and a function `run`. What they share: `options` (settings of a
//! connection), `session` (one connection and its events), `output` (text, JSON and exit codes).

mod bench;
mod completions;
mod connect;
mod diagnose;
mod har;
mod interrupt;
mod link;
mod listen;
mod options;
mod output;
mod ping;
mod plot;
mod proxy;
mod record;
mod replay;
mod report;
mod resolve;
mod send;
mod session;
mod stats;
mod values;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Failure;

/// Connects to WebSocket servers, measures them, and finds out why a connection fails.
#[derive(Parser)]
#[command(name = "framewire", version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  connection or protocol error
  2  usage error
  3  timeout, or no answer
`framewire diagnose` has one for each stage; see its --help.";

#[derive(Subcommand)]
enum Command {
    Connect(connect::Options),
    Send(send::Options),
    Listen(listen::Options),
    Ping(ping::Options),
    Bench(bench::Options),
    Diagnose(diagnose::Options),
    Record(record::Options),
    Proxy(proxy::Options),
    Replay(replay::Options),
    Har(har::Options),
    Completions(completions::Options),
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Command::Connect(options) => connect::run(options),
            Command::Send(options) => send::run(options),
            Command::Listen(options) => listen::run(options),
            Command::Ping(options) => ping::run(options),
            Command::Bench(options) => bench::run(options),
            Command::Diagnose(options) => diagnose::run(options),
            Command::Record(options) => record::run(options),
            Command::Proxy(options) => proxy::run(options),
            Command::Replay(options) => replay::run(options),
            Command::Har(options) => har::run(options),
            Command::Completions(options) => completions::run(options),
        }
    }
}

fn main() -> ExitCode {
    let done = Cli::parse().command.run();
    // Sends the close frames of connections that an error has left open.
    let _ = framewire::shutdown(std::time::Duration::from_secs(1));
    match done {
        // A capture that could not be written, for example. It is printed already.
        Ok(()) if options::logged_error().is_some() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}
