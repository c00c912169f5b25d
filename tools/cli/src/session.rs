//! One connection and its events.

use std::time::{Duration, Instant};

use framewire::{EventKind, Socket};

use crate::interrupt;
use crate::output::Failure;
use crate::resolve::{DialFailure, Tunnel};

/// How often Ctrl-C is looked for.
const TICK: Duration = Duration::from_millis(50);

/// Functions of the C API that messages name, and the options of this program for the same.
const NAMES: [(&str, &str); 3] = [
    ("fw_tls_add_ca_pem", "--cacert"),
    ("fw_tls_add_pin_sha256", "--pin"),
    ("fw_tls_set_client_cert_pem", "--cert and --key"),
];

pub struct Session {
    pub socket: Socket,
    pub started: Instant,
    is_closing: bool,
    /// Lives as long as the connection.
    tunnel: Option<Tunnel>,
}

pub enum Next {
    Event(EventKind),
    /// Nothing until the deadline.
    TimedOut,
}

fn name_options(message: &mut String) {
    for (function, option) in NAMES {
        if message.contains(function) {
            *message = message.replace(function, option);
        }
    }
}

impl Session {
    pub fn new(socket: Socket, tunnel: Option<Tunnel>) -> Self {
        Self { socket, started: Instant::now(), is_closing: false, tunnel }
    }

    /// Returns what explains the errors of this connection.
    pub fn dial_failure(&self) -> DialFailure {
        self.tunnel.as_ref().map(Tunnel::failure).unwrap_or_default()
    }

    /// Starts connecting. From now on, Ctrl-C closes the connection.
    pub fn open(&mut self) -> Result<(), Failure> {
        interrupt::install();
        self.started = Instant::now();
        Ok(self.socket.open()?)
    }

    /// Waits for the next event, until the deadline if there is one.
    ///
    /// After Ctrl-C the connection is closed, and its terminal event comes within the close timeout.
    pub fn next(&mut self, deadline: Option<Instant>) -> Next {
        loop {
            // An error means that the socket was destroyed, which this program does at the end only.
            if let Ok(Some(event)) = self.socket.next_event() {
                let mut event = event.kind;
                if let EventKind::Error(error) | EventKind::Reconnecting { error, .. } = &mut event {
                    self.dial_failure().explain(error);
                    name_options(&mut error.message);
                }
                return Next::Event(event);
            }
            if interrupt::is_requested() && !self.is_closing {
                self.is_closing = true;
                // Fails if the connection has ended, which an event reports.
                let _ = self.socket.close(1000, "");
            }
            let now = Instant::now();
            let left = match deadline {
                Some(deadline) if deadline <= now => return Next::TimedOut,
                Some(deadline) => deadline - now,
                None => TICK,
            };
            framewire::wait(left.min(TICK));
        }
    }

    /// Closes the connection, and calls `each` with the events until it has ended.
    pub fn close(
        &mut self,
        code: u16,
        reason: &str,
        mut each: impl FnMut(&EventKind),
    ) -> Result<(), Failure> {
        // Fails if the connection has ended, which an event reports.
        let _ = self.socket.close(code, reason);
        self.is_closing = true;
        loop {
            if let Next::Event(event) = self.next(None) {
                each(&event);
                if let Some(ended) = end(&event) {
                    return ended;
                }
            }
        }
    }
}

/// Returns how the connection has ended if the event is terminal.
pub fn end(event: &EventKind) -> Option<Result<(), Failure>> {
    match event {
        EventKind::Closed { code, reason } => Some(match code {
            1000 | 1001 | 1005 => Ok(()),
            _ if interrupt::is_requested() => Ok(()),
            _ => {
                let reason = if reason.is_empty() { String::new() } else { format!(" {reason}") };
                Err(Failure::connection(format_args!("the connection was closed with code {code}{reason}")))
            }
        }),
        EventKind::Error(error) => Some(Err(Failure::connection(error))),
        _ => None,
    }
}
