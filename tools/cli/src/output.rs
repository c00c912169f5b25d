//! What the commands print: text with colours on a terminal, JSON lines, and errors with their exit code.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::report::printable;

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const WARNING: Style = AnsiColor::Yellow.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const RECEIVED: Style = AnsiColor::Cyan.on_default();
pub const QUIET: Style = Style::new().dimmed();
pub const STRONG: Style = Style::new().bold();

/// Why a command failed, and the exit code that says so.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    /// Empty if the command has printed the reason.
    message: String,
}

impl Failure {
    /// Connection or protocol error.
    pub fn connection(message: impl fmt::Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// Wrong use of the command.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// Timeout, or no answer.
    pub fn no_answer(message: impl fmt::Display) -> Self {
        Self { code: 3, message: message.to_string() }
    }

    /// An exit code whose reason is printed already.
    pub fn printed(code: u8) -> Self {
        Self { code, message: String::new() }
    }

    pub fn print(&self) {
        if !self.message.is_empty() {
            // It may contain text of the server, such as the reason of a close.
            status(format_args!("{BAD}error:{BAD:#} {}", printable(&self.message)));
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Settings that the library refuses are usage errors.
impl From<framewire::CallError> for Failure {
    fn from(error: framewire::CallError) -> Self {
        Failure::usage(error)
    }
}

/// Whether the standard output is for people: a terminal, or colours are forced (`CLICOLOR_FORCE`).
pub fn is_for_people() -> bool {
    let choice = AutoStream::choice(&io::stdout());
    io::stdout().is_terminal() || matches!(choice, ColorChoice::Always | ColorChoice::AlwaysAnsi)
}

/// Prints a line to the standard output.
pub fn line(text: fmt::Arguments<'_>) {
    finish(writeln!(anstream::stdout().lock(), "{text}"));
}

/// Prints a line to the standard error output: what scripts do not read.
pub fn status(text: fmt::Arguments<'_>) {
    // Nobody can be told if that fails.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints a JSON value as one line.
pub fn json(value: &serde_json::Value) {
    finish(writeln!(io::stdout().lock(), "{}", escaped_json(value)));
}

/// JSON leaves U+007F to U+009F as they are (RFC 8259 section 7), and terminals take some of them as commands. They
/// can only occur in strings.
fn escaped_json(value: &serde_json::Value) -> String {
    let mut escaped = String::new();
    for c in value.to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writes a line as it is, with the escape sequences that it may contain.
pub fn write_line(text: &[u8]) {
    let mut out = io::stdout().lock();
    finish(out.write_all(text).and_then(|()| out.write_all(b"\n")));
}

/// Writes bytes as they are.
pub fn write_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    finish(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Ends the program when its output cannot be written, as at the end of a pipe (`framewire listen ... | head`).
fn finish(written: io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            status(format_args!("{BAD}error:{BAD:#} the output cannot be written: {error}"));
            std::process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_control_the_terminal_in_json() {
        let value = serde_json::json!({ "a\u{9b}": "\x1b[2J\u{7f}é\u{9f}\u{a0}" });
        let line = escaped_json(&value);
        assert!(!line.chars().any(char::is_control), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }
}
