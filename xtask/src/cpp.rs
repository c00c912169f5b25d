//! Tests the C++ header and the installed package as a user would use them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::c::WARNINGS;
use crate::files;
use crate::install::{install, names};
use crate::run::{Echo, Outcome, command, ensure, has, quietly, root, run, scratch};

/// Installs the tools of the test, or returns what is missing.
pub fn tools() -> Outcome {
    ensure("g++", &["g++"])?;
    ensure("cmake", &["cmake"])?;
    ensure("pkg-config", &["pkg-config"])?;
    ensure("patchelf", &["patchelf"])?;
    ensure("sdl2-config", &["libsdl2-dev"])?;
    ensure("Xvfb", &["xvfb"])
}

pub fn test(echo: &Echo) -> Outcome {
    everything_is_reachable()?;
    headers_alone()?;

    // Moved after the installation: no file may contain the old path.
    let folder = scratch("cpp")?;
    let (first, prefix) = (folder.join("installed"), folder.join("moved"));
    for old in [&first, &prefix] {
        files::remove_folder(old)?;
    }
    install(&first)?;
    fs::rename(&first, &prefix).map_err(|error| format!("{}: {error}", first.display()))?;

    sonames(&prefix)?;
    with_pkg_config(echo, &prefix)?;
    consumer(echo, &prefix, "gcc", "g++", "framewire", "")?;
    consumer(echo, &prefix, "gcc", "g++", "Framewire", "-fsanitize=address,undefined")?;
    match CLANGS.iter().find(|(_, cxx)| has(cxx)) {
        Some((cc, cxx)) => {
            consumer(echo, &prefix, cc, cxx, "Framewire", "")?;
            consumer(echo, &prefix, cc, cxx, "framewire", "-fsanitize=address,undefined")?;
        }
        None => println!("clang++ is missing: the package was tested with gcc only"),
    }
    example(echo, &prefix)
}

/// The C and C++ compilers of clang, of which the first that is installed is used.
const CLANGS: &[(&str, &str)] = &[("clang", "clang++"), ("clang-19", "clang++-19")];

/// Checks that the C++ header uses every function and constant of the C header.
fn everything_is_reachable() -> Outcome {
    let (c, cpp) = (files::text("include/framewire.h")?, files::text("bindings/cpp/include/framewire.hpp")?);
    let declared = declarations(&c);
    if declared.len() < 100 {
        return Err(format!("only {} names were found in framewire.h", declared.len()));
    }
    let offered: Vec<&str> = words(&cpp).collect();
    let missing: Vec<&str> = declared.into_iter().filter(|name| !offered.contains(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("framewire.hpp does not use {}", missing.join(", ")))
}

/// Finds the functions and enum constants of the C header.
fn declarations(header: &str) -> Vec<&str> {
    let code = header.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.filter_map(|line| {
        let function = || line.split_once('(').and_then(|(before, _)| words(before).last());
        let constant = || line.strip_prefix("    FW_").and_then(|_| words(line).next());
        match line.chars().next() {
            Some('F') => function().filter(|name| name.starts_with("fw_")),
            _ => constant(),
        }
    })
    .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

/// Compiles each C++ header alone, in each standard, with and without exceptions and RTTI.
fn headers_alone() -> Outcome {
    let folder = scratch("cpp")?;
    let base = folder.join("alone.cpp");
    let text =
        "#include \"framewire.hpp\"\nint main() { return framewire::library_matches_header() ? 0 : 1; }\n";
    files::write(&base, text)?;
    let coroutines = folder.join("coroutines_alone.cpp");
    let text =
        "#include \"framewire_coroutines.hpp\"\nint main() { return framewire::Task<>().done() ? 0 : 1; }\n";
    files::write(&coroutines, text)?;
    for compiler in ["g++", "clang++", "clang++-19"] {
        if !has(compiler) {
            continue;
        }
        for standard in ["-std=c++17", "-std=c++20", "-std=c++2b"] {
            compiles(compiler, standard, &base)?;
        }
        if !has_coroutines(compiler)? {
            println!("{compiler} does not support coroutines");
            continue;
        }
        for standard in ["-std=c++20", "-std=c++2b"] {
            compiles(compiler, standard, &coroutines)?;
        }
    }
    Ok(())
}

fn compiles(compiler: &str, standard: &str, source: &Path) -> Outcome {
    for options in [&[][..], &["-fno-exceptions", "-fno-rtti"]] {
        let mut check = command(compiler);
        check.arg(standard).args(WARNINGS).args(["-Wshadow", "-Wconversion"]).args(options);
        check.args(["-fsyntax-only", "-Iinclude", "-Ibindings/cpp/include"]).arg(source);
        quietly(&mut check)?;
    }
    Ok(())
}

/// Returns whether the compiler supports coroutines: gcc since 11, clang since 15.
fn has_coroutines(compiler: &str) -> Outcome<bool> {
    let source = scratch("cpp")?.join("has_coroutines.cpp");
    files::write(
        &source,
        "#include <version>\n#if !defined(__cpp_impl_coroutine) || !defined(__cpp_lib_coroutine)\n#error\n#endif\n",
    )?;
    Ok(quietly(command(compiler).args(["-std=c++20", "-fsyntax-only"]).arg(&source)).is_ok())
}

/// Checks the SONAMEs: with a version for programs, none in the plugin for engines.
fn sonames(prefix: &Path) -> Outcome {
    let names = names()?;
    for (file, soname) in [
        (format!("lib/{}", names.shared), Some(names.soname.as_str())),
        ("lib/framewire/plugin/libframewire.so".to_owned(), None),
    ] {
        let dynamic = quietly(command("readelf").arg("-d").arg(prefix.join(&file)))?;
        let found = dynamic
            .lines()
            .filter(|line| line.contains("(SONAME)"))
            .find_map(|line| line.split_once('[')?.1.strip_suffix(']'));
        if found != soname {
            return Err(format!("{file}: SONAME is {found:?}, not {soname:?}"));
        }
    }
    Ok(())
}

/// Builds a C program with the flags of pkg-config, with the shared and the static library.
fn with_pkg_config(echo: &Echo, prefix: &Path) -> Outcome {
    let ask = |options: &[&str]| {
        let mut ask = command("pkg-config");
        ask.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).arg("--define-prefix").args(options);
        quietly(ask.arg("framewire"))
    };
    let version = ask(&["--modversion"])?;
    if !names()?.shared.ends_with(version.trim()) {
        return Err(format!("pkg-config reports version {version}"));
    }
    for (name, options) in
        [("shared", &["--cflags", "--libs"][..]), ("static", &["--static", "--cflags", "--libs"])]
    {
        let flags = ask(options)?;
        let program = scratch("cpp")?.join(format!("pkg_config_{name}"));
        let mut cc = command("cc");
        cc.arg("-o").arg(&program).arg(root().join("bindings/cpp/tests/consumer/echo.c"));
        // The linker would prefer the shared library in the same folder.
        let flags = flags.split_whitespace();
        cc.args(
            flags.map(
                |flag| if name == "static" && flag == "-lframewire" { "-l:libframewire.a" } else { flag },
            ),
        );
        quietly(&mut cc)?;
        let mut program = command(program);
        if name == "shared" {
            program.env("LD_LIBRARY_PATH", prefix.join("lib"));
        }
        run(program.arg(&echo.ws))?;
    }
    Ok(())
}

/// Builds the CMake project that uses each target of the package.
fn consumer(echo: &Echo, prefix: &Path, cc: &str, cxx: &str, name: &str, flags: &str) -> Outcome {
    println!("consumer: {cxx}, find_package({name}) {flags}");
    let variant = if flags.is_empty() { "" } else { "-sanitized" };
    let build = scratch("cpp")?.join(format!("consumer-{cxx}{variant}"));
    let mut configure = command("cmake");
    configure.arg("-S").arg(root().join("bindings/cpp/tests/consumer")).arg("-B").arg(&build);
    configure.arg("--fresh");
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    configure.arg(format!("-DCMAKE_C_COMPILER={cc}")).arg(format!("-DCMAKE_CXX_COMPILER={cxx}"));
    configure.arg("-DCMAKE_BUILD_TYPE=RelWithDebInfo").arg(format!("-DPACKAGE_NAME={name}"));
    configure.arg(format!("-DCMAKE_C_FLAGS={flags}")).arg(format!("-DCMAKE_CXX_FLAGS={flags}"));
    configure.arg(format!("-DECHO_URL={}", echo.ws)).arg(format!("-DXOR_URL={}", echo.xor));
    quietly(&mut configure)?;
    quietly(command("cmake").arg("--build").arg(&build).args(["--parallel", "2"]))?;
    run(command("ctest").arg("--test-dir").arg(&build).args(["--output-on-failure"]))
}

/// Runs the example on a virtual screen, and checks that its screenshot shows the graph.
fn example(echo: &Echo, prefix: &Path) -> Outcome {
    let build = scratch("cpp")?.join("examples");
    let mut configure = command("cmake");
    configure.arg("-S").arg(root().join("examples/cpp")).arg("-B").arg(&build);
    configure.arg("-DCMAKE_BUILD_TYPE=Release").arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    quietly(&mut configure)?;
    quietly(command("cmake").arg("--build").arg(&build))?;

    let mut screen = command("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("Xvfb: {error}"))?;
    let number = screen.stdout.take().and_then(|output| BufReader::new(output).lines().next());
    let picture = build.join("latency.bmp");
    let drawn = match number {
        Some(Ok(number)) => run(command(build.join("latency_graph"))
            .env("DISPLAY", format!(":{number}"))
            .args([&echo.ws, "--seconds", "8", "--screenshot"])
            .arg(&picture)),
        _ => Err("Xvfb did not start".into()),
    };
    let _ = screen.kill();
    let _ = screen.wait();
    drawn?;
    let bytes = files::bytes(&picture)?;
    // Bytes 10 to 13 of a bitmap file are the offset of the pixels, here four bytes each.
    let start = bytes.get(10..14).and_then(|start| start.try_into().ok()).map_or(0, u32::from_le_bytes);
    let dots = bytes.get(start as usize..).unwrap_or_default();
    let dots = dots.chunks_exact(4).filter(|dot| dot[..3] == GRAPH_LINE).count();
    if dots < 500 {
        return Err(format!("{} has {dots} pixels in the colour of the graph", picture.display()));
    }
    Ok(())
}

/// The colour `tip` of examples/cpp/graph.hpp, in the order of a bitmap file: blue, green, red.
const GRAPH_LINE: [u8; 3] = [196, 232, 64];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_and_constants_are_declarations() {
        let header = "/// See fw_gone(x).\nFW_API fw_result fw_a(fw_b c,\n               fw_d e);\nFW_API const char *fw_f(void);\n\
            typedef void (*fw_g_fn)(void *x);\nenum fw_h {\n    FW_H_ONE = 1,\n};\n";
        assert_eq!(declarations(header), ["fw_a", "fw_f", "FW_H_ONE"]);
    }
}
