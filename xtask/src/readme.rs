//! The README's program in C: it compiles, plays with a server, and says why it cannot without one.

use std::fs;

use crate::c;
use crate::run::{Echo, Outcome, command, root, scratch};

/// As it stands in the program.
const URL: &str = "ws://127.0.0.1:9001/";
/// Nobody listens there.
const NO_SERVER: &str = "ws://127.0.0.1:1/";

pub fn test(echo: &Echo) -> Outcome {
    let readme = fs::read_to_string(root().join("README.md")).map_err(|error| error.to_string())?;
    let program = program(&readme).ok_or("the README has no program in C")?;
    if !program.contains(URL) {
        return Err(format!("the README's program does not connect to {URL}"));
    }
    let library = c::library(c::usual())?;
    let (said, _, code) = play(&program.replace(URL, &echo.ws), "readme", &library)?;
    if code != Some(0) || said != "hello\n" {
        return Err(format!("with a server it said {said:?} and ended with {code:?}"));
    }
    let (said, why, code) = play(&program.replace(URL, NO_SERVER), "readme_alone", &library)?;
    if code != Some(1) || !said.is_empty() || !why.contains("127.0.0.1:1") {
        return Err(format!("without a server it said {said:?} and {why:?}, and ended with {code:?}"));
    }
    println!("without a server: {}", why.trim());
    Ok(())
}

/// The first block of C.
fn program(readme: &str) -> Option<&str> {
    Some(readme.split_once("```c\n")?.1.split_once("```")?.0)
}

/// What it writes to both outputs, and how it ends.
fn play(source: &str, name: &str, library: &std::path::Path) -> Outcome<(String, String, Option<i32>)> {
    let file = scratch("readme")?.join(name).with_extension("c");
    fs::write(&file, source).map_err(|error| error.to_string())?;
    let output =
        command(c::compile(&file, library, c::usual())?).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&output.stdout), text(&output.stderr), output.status.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_the_first_block_of_c() {
        let readme = "# A\n```sh\nmake\n```\n```c\nint a;\n```\n```cpp\nint b;\n```\n```c\nint c;\n```\n";
        assert_eq!(program(readme), Some("int a;\n"));
        assert_eq!(program("# A\n"), None);
    }
}
