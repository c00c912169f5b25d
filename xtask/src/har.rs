//! HAR files of captures, opened in Chromium's DevTools.

use std::process::Command;

use crate::run::{cargo, command, ensure, quietly, run, scratch};
use crate::schedule::{Problem, Tested};

/// Converts a capture of the tests and imports it into the network panel.
pub fn step() -> Tested {
    ensure("chromium", &["chromium"]).map_err(Problem::Missing)?;
    ensure("node", &["nodejs"]).map_err(Problem::Missing)?;
    // Up to version 21, Node has WebSocket only with this flag.
    let flag = "--experimental-websocket";
    quietly(Command::new("node").args([flag, "-p", "1"]))
        .map_err(|_| Problem::Missing("this version of Node has no WebSocket".to_owned()))?;
    let file = scratch("har")?.join("chat.har");
    let mut convert = cargo();
    convert.args(["run", "--quiet", "--package", "framewire-cli", "--", "har", "tests/captures/chat.pcapng"]);
    run(convert.arg("--output").arg(&file))?;
    run(command("node").args([flag, "--no-warnings", "tools/captures/devtools.mjs"]).arg(&file))?;
    Ok(())
}
