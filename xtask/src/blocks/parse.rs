//! Languages that are parsed, and shell commands that are run.

use std::path::Path;
use std::time::Duration;

use super::Block;
use crate::files;
use crate::run::{INSTALL, command, ensure, has, quietly, run_within, scratch};
use crate::schedule::{Problem, Tested};

/// For one block that is run.
const LIMIT: Duration = Duration::from_secs(10 * 60);

pub fn shell(blocks: &[&Block]) -> Tested {
    ensure("bash", &["bash"]).map_err(Problem::Missing)?;
    each(blocks, "sh", |block, file| {
        quietly(command("bash").arg("-n").arg(file))?;
        if block.mode == "run" {
            println!("{}: running", block.place());
            let mut bash = command("bash");
            run_within(LIMIT, bash.args(["-eu", "-o", "pipefail"]).arg(file).env(INSTALL, "0"))?;
        }
        Ok(())
    })
}

/// Commands with their output.
pub fn console(blocks: &[&Block]) -> Tested {
    ensure("bash", &["bash"]).map_err(Problem::Missing)?;
    each(blocks, "console", |block, file| {
        let commands: String =
            block.code.lines().filter_map(|line| Some(format!("{}\n", line.strip_prefix("$ ")?))).collect();
        files::write(file, commands)?;
        quietly(command("bash").arg("-n").arg(file)).map(drop)
    })
}

pub fn json(blocks: &[&Block]) -> Tested {
    each(blocks, "json", |block, _| {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&block.code);
        parsed.map(drop).map_err(|error| error.to_string())
    })
}

pub fn toml(blocks: &[&Block]) -> Tested {
    let parse = "import sys, tomllib; tomllib.load(open(sys.argv[1], 'rb'))";
    if quietly(command("python3").args(["-c", "import tomllib"])).is_err() {
        return Err(Problem::Missing("Python 3.11 is missing".into()));
    }
    each(blocks, "toml", |_, file| quietly(command("python3").args(["-c", parse]).arg(file)).map(drop))
}

/// CMake parses a whole file before it runs it.
pub fn cmake(blocks: &[&Block]) -> Tested {
    ensure("cmake", &["cmake"]).map_err(Problem::Missing)?;
    each(blocks, "cmake", |block, file| {
        files::write(file, format!("return()\n{}", block.code))?;
        quietly(command("cmake").arg("-P").arg(file)).map(drop)
    })
}

pub fn javascript(blocks: &[&Block]) -> Tested {
    if !has("node") {
        return Err(Problem::Missing("node is missing".into()));
    }
    // A module, in which a page's code may await.
    each(blocks, "mjs", |_, file| quietly(command("node").arg("--check").arg(file)).map(drop))
}

/// Writes each block to a file, and names its place if `check` fails.
fn each(blocks: &[&Block], extension: &str, check: impl Fn(&Block, &Path) -> Result<(), String>) -> Tested {
    let file = scratch("blocks")?.join(format!("{}-block.{extension}", std::process::id()));
    let mut faults = Vec::new();
    for block in blocks {
        files::write(&file, &block.code)?;
        faults.extend(check(block, &file).err().map(|problem| format!("{}: {problem}", block.place())));
    }
    files::remove(&file)?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}
