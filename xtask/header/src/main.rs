//! Prints the C header that cbindgen generates from the source: `framewire-header ROOT`.
//!
//! In a separate package, so that other commands do not have to build cbindgen.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(root) = std::env::args().nth(1) else {
        eprintln!("usage: framewire-header ROOT");
        return ExitCode::from(2);
    };
    let generated = cbindgen::Builder::new()
        .with_config(cbindgen::Config::from_root_or_default(&root))
        .with_crate(&root)
        .generate();
    match generated {
        Ok(bindings) => {
            let mut header = Vec::new();
            bindings.write(&mut header);
            match std::io::stdout().write_all(&header) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("framewire-header: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(error) => {
            eprintln!("cbindgen: {error}");
            ExitCode::FAILURE
        }
    }
}
