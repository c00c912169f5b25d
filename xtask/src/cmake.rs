//! Tests the CMake project of the repository: `add_subdirectory`, and the package that it installs.

use std::path::Path;

use crate::files;
use crate::run::{Echo, Outcome, command, ensure, quietly, root, run, scratch};

/// Uses the installed package, as the C++ and as the static library.
const INSTALLED: &str = "cmake_minimum_required(VERSION 3.16)
project(installed C CXX)
find_package(framewire 0.2 REQUIRED)
add_executable(shared hello.cpp)
target_link_libraries(shared PRIVATE framewire::cpp)
add_executable(static hello.c)
target_link_libraries(static PRIVATE framewire::static)
";

/// Installs the tools of the test, or returns what is missing.
pub fn tools() -> Outcome {
    ensure("g++", &["g++"])?;
    ensure("cmake", &["cmake"])
}

pub fn test(echo: &Echo) -> Outcome {
    let folder = scratch("cmake")?;
    // The cheaper profile: what is tested is the project, not the library.
    let options = [
        "-DFRAMEWIRE_CARGO_PROFILE=dev".to_owned(),
        format!("-DFRAMEWIRE_CARGO_TARGET_DIR={}", folder.join("cargo").display()),
    ];

    println!("add_subdirectory");
    let game = folder.join("game");
    build(&root().join("examples/cmake"), &game, &options)?;
    run(command(game.join("game")).env_remove("LD_LIBRARY_PATH").arg(&echo.ws))?;

    println!("install, find_package");
    let (package, prefix) = (folder.join("package"), folder.join("prefix"));
    build(&root(), &package, &options)?;
    files::remove_folder(&prefix)?;
    quietly(command("cmake").arg("--install").arg(&package).arg("--prefix").arg(&prefix))?;
    let source = folder.join("source");
    files::create_folder(&source)?;
    files::write(source.join("CMakeLists.txt"), INSTALLED)?;
    for example in ["examples/c/hello.c", "examples/cpp/hello.cpp"] {
        files::copy(example, source.join(files::name(Path::new(example))))?;
    }
    let installed = folder.join("installed");
    build(&source, &installed, &[format!("-DCMAKE_PREFIX_PATH={}", prefix.display())])?;
    for program in ["shared", "static"] {
        run(command(installed.join(program)).env_remove("LD_LIBRARY_PATH").arg(&echo.ws))?;
    }
    Ok(())
}

fn build(source: &Path, folder: &Path, options: &[String]) -> Outcome {
    quietly(command("cmake").arg("--fresh").arg("-S").arg(source).arg("-B").arg(folder).args(options))?;
    quietly(command("cmake").arg("--build").arg(folder)).map(drop)
}
