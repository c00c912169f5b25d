//! The result of one stage.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::took;
use crate::output::{BAD, GOOD, QUIET, STRONG, WARNING, line};
use crate::report::printable;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Dns,
    Tcp,
    Proxy,
    Tls,
    Upgrade,
    Http2,
    Compression,
    RoundTrip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    /// It works, but something is wrong.
    Warning,
    Failed,
    Skipped,
}

pub struct Stage {
    pub name: Name,
    pub status: Status,
    /// What was found, in one line.
    pub summary: String,
    pub details: Vec<String>,
    /// What to do.
    pub advice: Vec<String>,
    pub took: Option<Duration>,
    /// The same for programs.
    pub facts: Map<String, Value>,
}

impl Name {
    pub const ALL: [Name; 8] = [
        Name::Dns,
        Name::Tcp,
        Name::Proxy,
        Name::Tls,
        Name::Upgrade,
        Name::Http2,
        Name::Compression,
        Name::RoundTrip,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Name::Dns => "DNS",
            Name::Tcp => "TCP",
            Name::Proxy => "Proxy",
            Name::Tls => "TLS",
            Name::Upgrade => "Upgrade",
            Name::Http2 => "HTTP/2",
            Name::Compression => "Compression",
            Name::RoundTrip => "Round trip",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Name::Dns => "dns",
            Name::Tcp => "tcp",
            Name::Proxy => "proxy",
            Name::Tls => "tls",
            Name::Upgrade => "upgrade",
            Name::Http2 => "http2",
            Name::Compression => "compression",
            Name::RoundTrip => "round_trip",
        }
    }

    /// The exit code when this is the first stage that failed.
    pub fn exit_code(self) -> u8 {
        match self {
            Name::Dns => 10,
            Name::Tcp => 11,
            Name::Proxy => 12,
            Name::Tls => 13,
            Name::Upgrade => 14,
            Name::Http2 => 15,
            Name::RoundTrip => 16,
            // It never fails.
            Name::Compression => 1,
        }
    }
}

impl Status {
    fn key(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
        }
    }
}

impl Stage {
    pub fn new(name: Name, status: Status, summary: impl Into<String>) -> Self {
        let (details, advice, facts) = Default::default();
        Self { name, status, summary: summary.into(), details, advice, took: None, facts }
    }

    pub fn skipped(name: Name, why: &str) -> Self {
        Self::new(name, Status::Skipped, why)
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }

    pub fn took(mut self, duration: Duration) -> Self {
        self.took = Some(duration);
        self
    }

    pub fn fact(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(key.to_owned(), value.into());
        self
    }

    pub fn json(&self) -> Value {
        let mut object = json!({
            "stage": self.name.key(), "status": self.status.key(), "summary": self.summary, "details": self.details,
            "advice": self.advice, "ms": self.took.map(|took| took.as_nanos() as f64 / 1e6),
        });
        if let Value::Object(object) = &mut object {
            object.extend(self.facts.clone());
        }
        object
    }

    pub fn print(&self) {
        let (style, mark) = match self.status {
            Status::Ok => (GOOD, "✓"),
            Status::Warning => (WARNING, "!"),
            Status::Failed => (BAD, "✗"),
            Status::Skipped => (QUIET, "–"),
        };
        let time = self.took.map(|time| format!(" {QUIET}{}{QUIET:#}", took(time))).unwrap_or_default();
        // Names and reasons come from the network.
        let summary = printable(&self.summary);
        let summary = match self.status {
            Status::Skipped => format!("{QUIET}{summary}{QUIET:#}"),
            _ => summary,
        };
        line(format_args!("{style}{mark} {:<12}{style:#} {summary}{time}", self.name.title()));
        for detail in &self.details {
            line(format_args!("               {QUIET}{}{QUIET:#}", printable(detail)));
        }
        for advice in &self.advice {
            line(format_args!("               {STRONG}→ {}{STRONG:#}", printable(advice)));
        }
    }
}
