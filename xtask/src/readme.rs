//! Compiles the programs in the READMEs, and runs them with a server and without one.

use std::path::Path;

use crate::c;
use crate::files;
use crate::run::{Echo, Outcome, command, has, quietly, root, scratch};

/// READMEs, and the language of the first block that is tested.
const PROGRAMS: &[(&str, &str)] = &[("README.md", "c"), ("bindings/cpp/README.md", "cpp")];
/// The URL in the programs.
const URL: &str = "ws://127.0.0.1:9001/";
/// Connection refused.
const NO_SERVER: &str = "ws://127.0.0.1:1/";

pub fn test(echo: &Echo) -> Outcome {
    let library = c::library(c::usual())?;
    for (readme, language) in PROGRAMS {
        if *language == "cpp" && !has("g++") {
            println!("{readme}: skipped: g++ is missing");
            continue;
        }
        one(readme, language, &library, echo).map_err(|problem| format!("{readme}: {problem}"))?;
    }
    Ok(())
}

fn one(readme: &str, language: &str, library: &Path, echo: &Echo) -> Outcome {
    let text = files::text(readme)?;
    let program = program(&text, language).ok_or_else(|| format!("it has no program in {language}"))?;
    if !program.contains(URL) {
        return Err(format!("its program does not connect to {URL}"));
    }
    let (printed, _, code) = run(&program.replace(URL, &echo.ws), language, library)?;
    if code != Some(0) || printed != "hello\n" {
        return Err(format!("with a server it printed {printed:?} and exited with {code:?}"));
    }
    let (printed, error, code) = run(&program.replace(URL, NO_SERVER), language, library)?;
    if code != Some(1) || !printed.is_empty() || !error.contains("127.0.0.1:1") {
        return Err(format!(
            "without a server it printed {printed:?} and {error:?}, and exited with {code:?}"
        ));
    }
    println!("{readme}: without a server: {}", error.trim());
    Ok(())
}

fn program<'a>(readme: &'a str, language: &str) -> Option<&'a str> {
    Some(readme.split_once(&format!("```{language}\n"))?.1.split_once("```")?.0)
}

/// Compiles and runs a program; returns its output, its errors and its exit code.
fn run(source: &str, language: &str, library: &Path) -> Outcome<(String, String, Option<i32>)> {
    let file = scratch("readme")?.join("readme").with_extension(language);
    files::write(&file, source)?;
    let program = match language {
        "c" => c::compile(&file, library, c::usual())?,
        _ => {
            let program = file.with_extension("");
            compile_cpp(&file, &program, library)?;
            program
        }
    };
    let output = command(program).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&output.stdout), text(&output.stderr), output.status.code()))
}

/// Compiles a C++17 program with the shared library of this folder.
pub fn compile_cpp(source: &Path, program: &Path, library: &Path) -> Outcome {
    let mut cxx = command("g++");
    cxx.arg("-std=c++17").args(c::WARNINGS);
    for folder in ["include", "bindings/cpp/include"] {
        cxx.arg("-I").arg(root().join(folder));
    }
    cxx.arg(source).arg("-o").arg(program).arg("-L").arg(library).arg("-lframewire");
    quietly(cxx.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library.display()))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_the_first_block_of_its_language() {
        let readme = "# A\n```sh\nmake\n```\n```c\nint a;\n```\n```cpp\nint b;\n```\n```c\nint c;\n```\n";
        assert_eq!(program(readme, "c"), Some("int a;\n"));
        assert_eq!(program(readme, "cpp"), Some("int b;\n"));
        assert_eq!(program("# A\n", "c"), None);
    }
}
