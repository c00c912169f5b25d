//! Runs the examples with the servers of the tests. Each checks its result and exits with 0 if it is right.

use std::path::{Path, PathBuf};

use crate::c;
use crate::files;
use crate::readme;
use crate::run::{Echo, Outcome, build_unless_built, cargo, command, ensure, root, run, scratch};
use crate::schedule::{Problem, Tested};

/// The examples in Rust, which are programs of the package.
const RUST: &[&str] = &["hello", "chat", "state_sync", "token_refresh", "large_file", "session_test"];
/// Uses SDL2, so the step of the installed package builds and runs it.
const WITH_WINDOW: &str = "latency_graph";

/// Returns the arguments with which an example of this name runs, in every language.
pub fn arguments(name: &str, echo: &Echo) -> Vec<String> {
    match name {
        "chat" => [&*format!("{}chat?name=ana", echo.ws), "hello", "bye"].map(str::to_owned).into(),
        "token_refresh" => vec![format!("{}token", echo.ws)],
        "session_test" => vec![echo.replay.clone()],
        "xor_extension" => vec![echo.xor.clone()],
        _ => vec![echo.ws.clone()],
    }
}

/// Runs the examples in C and Rust.
pub fn test(echo: &Echo) -> Outcome {
    let build = c::usual();
    let library = c::library(build)?;
    for source in c::sources("examples/c")? {
        one(&c::compile(&source, &library, build)?, echo)?;
    }
    build_unless_built(cargo().args(["build", "--quiet", "--package", "framewire", "--examples"]))?;
    for name in RUST {
        one(&root().join("target/debug/examples").join(name), echo)?;
    }
    Ok(())
}

/// Runs the examples in C++.
pub fn test_cpp(echo: &Echo) -> Tested {
    ensure("g++", &["g++"]).map_err(Problem::Missing)?;
    let library = c::library(c::usual())?;
    let folder = scratch("examples-cpp")?;
    for source in files::list("examples/cpp")? {
        let name = source.file_stem().unwrap_or_default();
        if source.extension().is_some_and(|extension| extension == "cpp") && name != WITH_WINDOW {
            let program = folder.join(name);
            readme::compile_cpp(&source, &program, &library)?;
            one(&program, echo)?;
        }
    }
    Ok(())
}

fn one(program: &Path, echo: &Echo) -> Outcome {
    let name = files::name(program);
    println!("{name}");
    let mut program = command(program);
    program.args(arguments(&name, echo));
    if name == "large_file" {
        program.arg(large_file()?);
    }
    run(&mut program)
}

/// Writes a file that is larger than all queues together.
fn large_file() -> Outcome<PathBuf> {
    let file = scratch("examples-data")?.join("large.bin");
    let bytes: Vec<u8> = (0..24_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    files::write(&file, bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_in_rust_is_run() {
        let sources = files::list("examples/rust").unwrap();
        let names: Vec<String> =
            sources.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names.len(), RUST.len());
        assert!(names.iter().all(|name| RUST.contains(&&**name)), "{names:?}");
    }

    #[test]
    fn first_example_has_at_most_30_lines() {
        for file in ["c/hello.c", "cpp/hello.cpp", "rust/hello.rs"] {
            let text = files::text(format!("examples/{file}")).unwrap();
            assert!(text.lines().count() <= 30, "{file}");
        }
    }
}
