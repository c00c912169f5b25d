//! `cargo xtask demo`: runs a C game against the echo server, with and without TLS. `cargo xtask demo web` serves
//! examples to a browser.

use std::io::BufRead;

use crate::c::{self, Build};
use crate::files;
use crate::run::{self, DEVELOPMENT, Echo, Outcome, cargo, command, ensure, root, scratch};
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
