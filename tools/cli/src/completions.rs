//! `framewire completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::Cli;
use crate::output::{Failure, write_bytes};

/// Prints a completion script for a shell
///
/// For example: framewire completions bash > ~/.local/share/bash-completion/completions/framewire
#[derive(Args)]
pub struct Options {
    /// The shell.
    shell: Shell,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "framewire", &mut script);
    write_bytes(&script);
    Ok(())
}
