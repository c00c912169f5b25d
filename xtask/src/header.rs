//! `include/framewire.h` comes from the source.

use crate::files;
use crate::run::{Outcome, cargo, quietly, root};

/// As `xtask/header` generates it, a package of its own because cbindgen takes long to build.
fn generate() -> Outcome<String> {
    let mut header = cargo();
    let header = quietly(header.args(["run", "--quiet", "--package", "framewire-header", "--"]).arg(root()))?;
    Ok(within_guard(&marked(&header)))
}

/// Marks functions for a DLL and callbacks with the calling convention that the library was compiled
/// with, whatever the program's default is. cbindgen can do the former, but breaks lines for it, and not
/// the latter.
fn marked(header: &str) -> String {
    const CALLBACK: (&str, &str) = ("(*fw_", "(FW_CALL *fw_");
    const FUNCTION: &str = "FW_API ";
    let mut whole = String::new();
    let mut are_functions = false;
    // Parameters on lines of their own stay below the first.
    let mut shift = 0;
    for line in header.lines() {
        if line.starts_with("typedef ") && line.contains(CALLBACK.0) {
            whole += &line.replacen(CALLBACK.0, CALLBACK.1, 1);
            shift = CALLBACK.1.len() - CALLBACK.0.len();
        } else if are_functions && shift == 0 && line.starts_with(|first: char| first.is_ascii_lowercase()) {
            whole += FUNCTION;
            whole += line;
            shift = FUNCTION.len();
        } else {
            whole += &format!("{:shift$}{line}", "");
        }
        if line.ends_with(");") {
            shift = 0;
        }
        are_functions = match line {
            "extern \"C\" {" => true,
            _ => are_functions && !line.starts_with('}'),
        };
        whole.push('\n');
    }
    whole
}

/// cbindgen puts its trailer behind the include guard, where it would be seen twice.
fn within_guard(header: &str) -> String {
    const END: &str = "\n#endif  /* FRAMEWIRE_H */\n";
    header.replacen(END, "", 1) + END
}

pub fn write() -> Outcome {
    let path = root().join("include/framewire.h");
    files::write(&path, generate()?)
}

pub fn check() -> Outcome {
    let path = root().join("include/framewire.h");
    let committed = files::text(&path)?;
    let generated = generate()?;
    if committed == generated {
        return Ok(());
    }
    let line = committed.lines().zip(generated.lines()).take_while(|(old, new)| old == new).count() + 1;
    Err(format!("include/framewire.h is stale from line {line} on: run `cargo xtask header`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_types_of_callbacks_are_marked_and_nothing_else() {
        let header = "typedef void (*fw_a_fn)(int a,\n                        int b);\n\
                      typedef struct fw_b {\n    fw_a_fn a;\n} fw_b;\n\n\
                      extern \"C\" {\n#endif\n\n/// Not (*fw_this).\nvoid fw_c(void);\nvoid *fw_d(int a,\n           int b);\n\
                      void fw_e(void);\n}\ninline int fw_f(void) {\n";
        let expected = header
            .replace("(*fw_a_fn)", "(FW_CALL *fw_a_fn)")
            .replace("                        int b", "                                int b")
            .replace("\nvoid", "\nFW_API void")
            .replace("\n           int b", "\n                  int b");
        assert_eq!(marked(header), expected);
    }

    #[test]
    fn nothing_stands_behind_the_include_guard() {
        let header = "#ifndef FRAMEWIRE_H\nint a;\n\n#endif  /* FRAMEWIRE_H */\n\nint b;\n";
        let expected = "#ifndef FRAMEWIRE_H\nint a;\n\nint b;\n\n#endif  /* FRAMEWIRE_H */\n";
        assert_eq!(within_guard(header), expected);
    }
}
