//! Checks that the tests in C call every function of the header.

use crate::c;
use crate::files;
use crate::run::Outcome;

const BAD_HANDLES: &str = "tests/c/bad_handles.c";
const RANDOM_CALLS: &str = "tests/c/hostile_caller.c";

/// Fails unless a test in C calls each function, also at random, and with invalid handles and pointers if it
/// takes any.
pub fn every_function_is_tested() -> Outcome {
    let header = files::text("include/framewire.h")?;
    let bad_handles = files::text(BAD_HANDLES)?;
    let random_calls = files::text(RANDOM_CALLS)?;
    let mut all = String::new();
    for source in c::sources("tests/c")? {
        all.push_str(&files::text(source)?);
    }
    let functions = functions(&header);
    let missing: Vec<String> = functions
        .iter()
        .filter_map(|function| {
            let call = format!("{}(", function.name);
            if function.takes_handle_or_pointer && !bad_handles.contains(&call) {
                Some(format!("{} is not called with invalid handles or NULL in {BAD_HANDLES}", function.name))
            } else if !random_calls.contains(&format!("X({})", function.name)) {
                Some(format!("{} is not called at random in {RANDOM_CALLS}", function.name))
            } else if !all.contains(&call) {
                Some(format!("{} is not called in tests/c", function.name))
            } else {
                None
            }
        })
        .collect();
    println!("{} functions", functions.len());
    if functions.is_empty() {
        return Err("the header has no functions".into());
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
}

/// The names of all functions of the header.
pub fn names() -> Outcome<Vec<String>> {
    let header = files::text("include/framewire.h")?;
    Ok(functions(&header).into_iter().map(|function| function.name).collect())
}

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    takes_handle_or_pointer: bool,
}

/// Finds the declarations after `extern "C" {`.
fn functions(header: &str) -> Vec<Function> {
    let declarations = header.split_once("extern \"C\" {").map_or("", |(_, rest)| rest);
    let code: Vec<&str> = declarations.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.join(" ")
        .split(';')
        .filter_map(|declaration| {
            let (before, parameters) = declaration.split_once('(')?;
            let name = before.rsplit([' ', '*']).next()?;
            name.starts_with("fw_").then(|| Function {
                name: name.to_owned(),
                takes_handle_or_pointer: parameters.contains("struct fw_") || parameters.contains('*'),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_over_several_lines_and_pointer_results_are_found() {
        let header = "typedef void (*fw_free_fn)(void *ptr);\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\
                      /// Calls fw_not_this(1);\nuint32_t fw_sizeof(fw_struct which);\n\
                      void *fw_user_data(struct fw_socket socket);\n\
                      fw_result fw_add(fw_struct a,\n                 const char *name);\n";
        let found = functions(header);
        let found: Vec<(&str, bool)> =
            found.iter().map(|one| (one.name.as_str(), one.takes_handle_or_pointer)).collect();
        assert_eq!(found, [("fw_sizeof", false), ("fw_user_data", true), ("fw_add", true)]);
    }
}
