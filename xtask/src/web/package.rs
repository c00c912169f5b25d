//! The package for emscripten, used as a game would: CMake and pkg-config find it, and its programs run.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Arguments, in_chromium, in_node, lay_out};
use crate::files;
use crate::run::{Outcome, command, ensure, quietly, root, scratch};

/// Programs of `tests/web/consumer`.
const PROGRAMS: [&str; 3] = ["game_loop", "echo", "echo_static"];

/// Builds the consumer with CMake and with pkg-config, and runs it in Node and Chromium.
pub fn check(built: &Path, node: Option<&[&str]>) -> Outcome {
    for program in ["cmake", "pkg-config"] {
        if let Err(problem) = ensure(program, &[program]) {
            println!("the package is not tested: {problem}");
            return Ok(());
        }
    }
    let prefix = stage(built)?;
    only_emscripten_finds_it(&prefix)?;
    let mut runs = 0;
    for (name, folder) in [("CMake", with_cmake(&prefix)?), ("pkg-config", with_pkg_config(&prefix)?)] {
        for program in PROGRAMS {
            if !folder.join(program).with_extension("js").exists() {
                continue;
            }
            let arguments: Arguments = &|server| vec![server.echo.clone()];
            let failed = |problem| format!("{program}, found by {name}: {problem}");
            if let Some(flags) = node {
                in_node(&folder, program, flags, arguments).map_err(failed)?;
                runs += 1;
            }
            open_with(&folder, program)?;
            in_chromium(&folder, arguments).map_err(failed)?;
            runs += 1;
        }
    }
    println!("the package, found by CMake and pkg-config: {runs} programs passed, 0 failed");
    Ok(())
}

/// Lays out the package, and moves it to a path with a space: no file may contain the old path.
pub fn stage(built: &Path) -> Outcome<PathBuf> {
    let (first, prefix) = (scratch("web")?.join("staged"), scratch("web")?.join("the package"));
    for old in [&first, &prefix] {
        files::remove_folder(old)?;
    }
    lay_out(built, &first)?;
    fs::rename(&first, &prefix).map_err(|error| format!("{}: {error}", first.display()))?;
    Ok(prefix)
}

/// Writes the page of a program.
fn open_with(folder: &Path, program: &str) -> Outcome {
    let page =
        files::text("tests/web/page.html")?.replace("src=\"page.js\"", &format!("src=\"{program}.js\""));
    files::write(folder.join("page.html"), page)
}

fn consumer() -> PathBuf {
    root().join("tests/web/consumer")
}

fn with_cmake(prefix: &Path) -> Outcome<PathBuf> {
    let build = scratch("web/consumer")?;
    cmake(&consumer(), &build, prefix, &[])?;
    Ok(build)
}

/// Configures and builds a project for browsers.
fn cmake(source: &Path, build: &Path, prefix: &Path, options: &[String]) -> Outcome {
    let mut configure = command("emcmake");
    configure.args(["cmake", "--fresh", "-DCMAKE_BUILD_TYPE=Release", "-S"]).arg(source).arg("-B").arg(build);
    configure.arg(package_folder(prefix)).args(options);
    quietly(configure.env("NODE_PATH", super::NODE_MODULES))?;
    quietly(command("cmake").arg("--build").arg(build).env("NODE_PATH", super::NODE_MODULES)).map(drop)
}

fn package_folder(prefix: &Path) -> String {
    format!("-Dframewire_DIR={}", prefix.join("lib/cmake/framewire").display())
}

/// Builds the SDL2 example of C++, with the SDL2 of the environment variable or that of emscripten, which needs the
/// internet once.
pub fn latency_graph(prefix: &Path, folder: &Path) -> Outcome {
    let build = scratch("web/latency_graph")?;
    let sdl = std::env::var("SDL2_DIR").map(|folder| vec![format!("-DSDL2_DIR={folder}")]);
    cmake(&root().join("examples/cpp"), &build, prefix, &sdl.unwrap_or_default())?;
    for kind in ["js", "wasm"] {
        let file = Path::new("latency_graph").with_extension(kind);
        files::copy(build.join(&file), folder.join(&file))?;
    }
    Ok(())
}

/// Builds the game loop with pkg-config.
pub fn game_loop(prefix: &Path, folder: &Path) -> Outcome {
    let source = root().join("examples/c/game_loop.c");
    compile(&source, "emcc", "-std=gnu11", prefix, folder)
}

/// Checks that a program for another platform does not get this library.
fn only_emscripten_finds_it(prefix: &Path) -> Outcome {
    let mut configure = command("cmake");
    configure.args(["--fresh", "-S"]).arg(consumer()).arg("-B").arg(scratch("web/native")?);
    configure.arg(package_folder(prefix));
    match quietly(&mut configure) {
        Err(problem) if problem.contains("4 bytes a pointer") || problem.contains("is for browsers") => {
            Ok(())
        }
        Err(problem) => Err(problem),
        Ok(_) => Err("CMake found the package for browsers in a native build".into()),
    }
}

fn with_pkg_config(prefix: &Path) -> Outcome<PathBuf> {
    let folder = scratch("web/pkg-config")?;
    game_loop(prefix, &folder)?;
    let echo = consumer().join("echo.cpp");
    compile(&echo, "em++", "-std=c++17 -fno-exceptions", prefix, &folder)?;
    Ok(folder)
}

/// Compiles with the flags of pkg-config, in a shell, which reads its quotes.
fn compile(source: &Path, compiler: &str, options: &str, prefix: &Path, folder: &Path) -> Outcome {
    let line = format!(
        "flags=$(pkg-config --define-prefix --cflags --libs framewire) && \
         eval \"{compiler} -O2 {options} -Wall -Wextra -Werror \\\"\\$1\\\" $flags -o \\\"\\$2\\\"\""
    );
    let program = folder.join(source.file_stem().unwrap_or_default()).with_extension("js");
    let mut shell = command("sh");
    shell.args(["-c", &line, "sh"]).arg(source).arg(program);
    shell.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    quietly(shell.env("NODE_PATH", super::NODE_MODULES)).map(drop)
}
