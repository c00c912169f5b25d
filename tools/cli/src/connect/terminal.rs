//! The terminal: line editing with history, and output above the line that is being edited.

use std::io;
use std::thread;

use anstream::{AutoStream, ColorChoice};
use rustyline::{DefaultEditor, ExternalPrinter};

use super::input::Input;
use crate::interrupt;
use crate::output::{BAD, Failure, QUIET, line, write_bytes};

const PROMPT: &str = "> ";

/// A terminal with a thread that reads lines. Dropping it restores the modes of the terminal.
pub struct Terminal {
    printer: Box<dyn ExternalPrinter + Send>,
    #[cfg(unix)]
    modes: Option<nix::sys::termios::Termios>,
}

impl Terminal {
    /// Starts reading lines.
    pub fn start(input: Input) -> Result<Self, Failure> {
        let problem = |error| Failure::connection(format_args!("the terminal cannot be used: {error}"));
        #[cfg(unix)]
        let modes = nix::sys::termios::tcgetattr(io::stdin()).ok();
        let mut editor = DefaultEditor::new().map_err(problem)?;
        let printer = Box::new(editor.create_external_printer().map_err(problem)?);
        let mut own = editor.create_external_printer().map_err(problem)?;
        input.start();
        line(format_args!("{QUIET}/help lists commands, Ctrl-D closes the connection{QUIET:#}"));
        thread::spawn(move || {
            // Ctrl-C, Ctrl-D, or a terminal that has disappeared.
            while let Ok(text) = editor.readline(PROMPT) {
                if text.is_empty() {
                    continue;
                }
                // Only for the next lines: without it, editing works too.
                let _ = editor.add_history_entry(&text);
                let print = match input.act(&text) {
                    Ok(None) => continue,
                    Ok(Some(text)) => text,
                    Err(problem) => format!("{BAD}error:{BAD:#} {problem}"),
                };
                let _ = own.print(with_allowed_colours(&print) + "\n");
            }
            interrupt::request();
        });
        Ok(Self {
            printer,
            #[cfg(unix)]
            modes,
        })
    }

    /// Prints a line above the one that is being edited.
    pub fn print(&mut self, text: String) {
        let text = with_allowed_colours(&text);
        if self.printer.print(text.clone() + "\n").is_err() {
            line(format_args!("{text}"));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The thread is still inside the editor, which has changed the modes.
        #[cfg(unix)]
        if let Some(modes) = &self.modes {
            use nix::sys::termios::{SetArg, tcsetattr};
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, modes);
        }
        // Removes the prompt, and disables bracketed paste.
        write_bytes(b"\r\x1b[K\x1b[?2004l");
    }
}

fn with_allowed_colours(text: &str) -> String {
    match AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}
