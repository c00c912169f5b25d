//! The project's commands: `cargo xtask <command>`.

mod abi;
mod autobahn;
mod c;
mod c_tests;
mod demo;
mod header;
mod real;
mod run;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  demo               builds the library and the C game, starts an echo server, and plays
  test               everything: what can be installed is, what cannot run is named
  test WORD...       only the steps whose names contain one of the words
  header [--check]   writes include/framewire.h from the source, or compares it
  autobahn [--full]  the Autobahn testsuite against the C ABI
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run(),
        ["test", only @ ..] => test::run_and_report(only),
        ["header"] => header::write(),
        ["header", "--check"] => header::check(),
        ["autobahn"] => autobahn::run(false),
        ["autobahn", "--full"] => autobahn::run(true),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
