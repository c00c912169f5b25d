//! `cargo xtask demo`: a C game plays against the echo server, plain and over TLS.

use crate::c::{self, Build};
use crate::run::{self, Echo, Outcome, command, ensure, root};

pub fn run_with(echo: &Echo) -> Outcome {
    let library = c::library(Build::Release)?;
    let program = c::compile(&root().join("examples/c/game_loop.c"), &library, Build::Release)?;
    println!("\n== {} ==", echo.ws);
    run::run(command(&program).arg(&echo.ws))?;
    println!("\n== {} ==", echo.wss);
    run::run(command(&program).arg(&echo.wss).arg(&echo.ca))
}

pub fn run() -> Outcome {
    ensure("cc", &["gcc", "libc6-dev"])?;
    println!("Building the library and the echo server (about a minute on a new machine) …");
    run_with(&Echo::start()?)
}
