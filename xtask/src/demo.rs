//! `cargo xtask demo`: runs a C game against the echo server, with and without TLS.

use crate::c::{self, Build};
use crate::run::{self, DEVELOPMENT, Echo, Outcome, cargo, command, ensure, root};

pub fn run_game(echo: &Echo, build: Build) -> Outcome {
    let library = c::library(build)?;
    let program = c::compile(&root().join("examples/c/game_loop.c"), &library, build)?;
    println!("\n== {} ==", echo.ws);
    run::run(command(&program).arg(&echo.ws))?;
    println!("\n== {} ==", echo.wss);
    run::run(command(&program).arg(&echo.wss).arg(&echo.ca))
}

pub fn run() -> Outcome {
    ensure("cc", &["gcc", "libc6-dev"])?;
    println!("Building the library and the echo server …");
    run::run_in_view(cargo().args(DEVELOPMENT))?;
    run_game(&Echo::start()?, Build::Development)
}
