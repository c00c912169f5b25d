//! Rust: all blocks are modules of one crate, which is type-checked against the library.

use super::{Block, Generated, frame};
use crate::files;
use crate::run::{DEVELOPMENT, build_unless_built, cargo, command, quietly, root, run, scratch};
use crate::schedule::{Problem, Tested};

pub fn check(blocks: &[&Block]) -> Tested {
    build_unless_built(cargo().args(DEVELOPMENT).arg("--quiet"))?;
    let mut generated = Generated::default();
    generated.frame("#![allow(dead_code, unused, redundant_semicolons)]");
    for (index, block) in blocks.iter().enumerate() {
        // Lines that rustdoc and mdBook hide.
        let code: String =
            block.code.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line))).collect();
        generated.frame(&format!("mod block_{index} {{"));
        if code.contains("fn main()") {
            generated.code(block, 0, &code, "");
        } else {
            // Items and `use` may be among the statements.
            generated.frame(&frame("frame.rs")?);
            generated.code(block, 0, &code, "");
            generated.frame(";\nOk(())\n}");
        }
        generated.frame("}");
    }
    // One name for each process: steps and tests may run at the same time.
    let name = format!("blocks_{}.rs", std::process::id());
    let folder = scratch("blocks")?;
    files::write(folder.join(&name), &generated.text)?;
    let library = root().join("target/debug/libframewire.rlib");
    let captures = root().join("target/debug/libframewire_captures.rlib");
    let mut rustc = command("rustc");
    rustc.args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata"]);
    rustc.arg("--extern").arg(format!("framewire={}", library.display()));
    if generated.text.contains("framewire_captures") {
        run(cargo().args(["build", "--quiet", "--package", "framewire-captures"]))?;
        rustc.arg("--extern").arg(format!("framewire_captures={}", captures.display()));
    }
    rustc.arg("-L").arg(format!("dependency={}", root().join("target/debug/deps").display()));
    rustc.arg("--out-dir").arg(&folder).arg(folder.join(&name));
    let checked = quietly(&mut rustc);
    files::remove(folder.join(&name))?;
    files::remove(folder.join(format!("lib{}.rmeta", name.trim_end_matches(".rs"))))?;
    let path = folder.join(&name).display().to_string();
    checked.map(drop).map_err(|problem| Problem::Failed(generated.translate(&problem, &path)))
}
