//! `framewire har`.

use std::path::PathBuf;

use clap::Args;

use crate::output::{Failure, write_bytes};
use crate::replay::sessions;

/// Converts a capture to a HAR file, for the network panel of a browser
#[derive(Args)]
pub struct Options {
    /// Capture to convert: a pcapng file of Framewire, Wireshark or tcpdump.
    file: PathBuf,
    /// Writes to this file instead of the standard output.
    #[arg(short, long, value_name = "FILE.har")]
    output: Option<PathBuf>,
    /// Converts only the Nth connection of the capture.
    #[arg(long, value_name = "N")]
    session: Option<usize>,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let sessions = sessions(&options.file, options.session)?;
    let text = format!("{:#}\n", framewire_captures::har(&sessions));
    match &options.output {
        None => write_bytes(text.as_bytes()),
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::connection(format_args!("{}: {error}", path.display())))?,
    }
    Ok(())
}
