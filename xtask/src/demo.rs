//! `cargo xtask demo`: runs a C game against the echo server, with and without TLS. `cargo xtask demo --link` draws the
//! effect of lanes. `cargo xtask demo web` serves examples to a browser.

use std::io::BufRead;

use crate::c::{self, Build};
use crate::files;
use crate::run::{self, DEVELOPMENT, Echo, Outcome, cargo, command, ensure, root, scratch};
use crate::state_sync::{self, StateSync};
use crate::web;

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

/// `cargo xtask demo --link`: plays the state synchronization over a simulated link with and without lanes, and draws
/// both in `docs/images/lanes.svg`.
pub fn run_over_link() -> Outcome {
    ensure("cc", &["gcc", "libc6-dev"])?;
    let (program, echo) = (StateSync::build(Build::Development)?, Echo::start()?);
    let play = |name: &str, options: &[&str]| {
        println!("{name}: 20 s at {}", echo.ws);
        program.run(&[&["--link", "--seconds", "20"], options].concat(), &echo.ws, None)
    };
    let without = play("without lanes", &["--no-lanes"])?;
    let with = play("with lanes", &[])?;
    let title =
        "Round trip of a game's state beside a bulk transfer: 120 ms link with jitter and stalls, 1 MB/s";
    let curves = [("one queue", "#5b8def", &without), ("lanes, keys and times to live", "#d6409f", &with)];
    for (name, _, run) in &curves {
        println!("{name}: p50 {:.0} ms, p99 {:.0} ms", run.percentile(0.5), run.percentile(0.99));
    }
    let file = root().join("docs/images/lanes.svg");
    files::write(&file, state_sync::svg(title, &curves))?;
    println!("{}", file.display());
    Ok(())
}

/// `cargo xtask demo web`: builds the game loop and the latency graph for browsers, and serves them until Ctrl+C.
pub fn run_web() -> Outcome {
    for (program, package) in [("emcc", "emscripten"), ("cmake", "cmake")] {
        ensure(program, &[package])?;
    }
    println!("Building the library, the servers and the pages …");
    run::run_in_view(cargo().args(DEVELOPMENT))?;
    let package = web::package::stage(&web::build()?)?;
    let folder = scratch("web/demo")?;
    let mut programs = vec!["game_loop"];
    web::package::game_loop(&package, &folder)?;
    match web::package::latency_graph(&package, &folder) {
        Ok(()) => programs.push("latency_graph"),
        Err(problem) => {
            println!("{problem}\nThe latency graph is not built: it needs SDL2, see docs/browser.md")
        }
    }
    files::copy("examples/web/index.html", folder.join("index.html"))?;
    let mut server = web::Server::start(&folder)?;
    println!("Echo server: {}", server.echo);
    for program in programs {
        println!("{}index.html?{program}&{}", server.page, server.echo);
    }
    println!("Open a URL in a browser; Ctrl+C ends the servers. The pages print:");
    for line in server.output.take().ok_or("the server has no output")?.lines() {
        println!("{}", line.map_err(|error| error.to_string())?);
    }
    Ok(())
}
