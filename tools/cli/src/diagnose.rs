//! `framewire diagnose`: checks a connection stage by stage, and says what is wrong and what to do.
//!
//! ```text
//! DNS ──► TCP ──► proxy ──► TLS ──► upgrade ──► HTTP/2, compression, round trip
//! own probes, in order to see each address and certificate │ the library, as a game uses it
//! ```

mod network;
mod proxy;
mod stage;
mod target;
pub mod tls;
mod upgrade;

use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use crate::interrupt;
use crate::options::ConnectionOptions;
use crate::output::{self, BAD, Failure, GOOD, STRONG, WARNING, line};
use crate::values::{show, timeout};
use stage::{Name, Stage, Status};
use target::Target;

/// Finds out why a connection fails, and says what to do
///
/// Checks DNS, TCP to each address, the proxy, TLS with the certificate chain, the upgrade, HTTP/2, compression and
/// the round trip. Later stages are skipped after a failure.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Options {
    /// URL of the server: ws://, wss://, http:// or https://.
    url: String,
    /// Time for each stage.
    #[arg(short, long, value_name = "TIME", value_parser = timeout, default_value = "5s")]
    timeout: Duration,
    /// Prints the result as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

const EXIT_CODES: &str = "\
Exit codes: the first stage that failed
   0  none; warnings are possible
   2  usage error
  10  DNS
  11  TCP
  12  proxy
  13  TLS
  14  upgrade
  15  HTTP/2, if --http 2 requires it
  16  round trip";

pub fn run(options: Options) -> Result<(), Failure> {
    interrupt::install();
    let mut connection = options.connection.clone();
    // Each attempt is reported.
    connection.network.reconnect = None;
    connection.network.connect_timeout = connection.network.connect_timeout.min(options.timeout * 4);
    let target = Target::parse(&options.url, &connection)?;
    let report =
        Report { url: options.url.clone(), stages: Vec::new(), is_json: options.json, bar: spinner() };
    let stages = report.fill(&target, &options, &connection)?;
    let failed = stages.iter().find(|stage| stage.status == Status::Failed);
    let code = failed.map_or(0, |stage| stage.name.exit_code());
    if options.json {
        let stages: Vec<_> = stages.iter().map(Stage::json).collect();
        output::json(&json!({ "url": options.url, "exit_code": code, "stages": stages }));
    } else {
        let warnings = stages.iter().filter(|stage| stage.status == Status::Warning).count();
        line(format_args!(""));
        match (failed, warnings) {
            (Some(stage), _) => {
                line(format_args!(
                    "{BAD}{STRONG}{} failed:{STRONG:#}{BAD:#} {}",
                    stage.name.title(),
                    stage.summary
                ));
            }
            (None, 0) => line(format_args!("{GOOD}{STRONG}no problem found{STRONG:#}{GOOD:#}")),
            (None, count) => {
                let noun = if count == 1 { "warning" } else { "warnings" };
                line(format_args!("{WARNING}{STRONG}connected, with {count} {noun}{STRONG:#}{WARNING:#}"));
            }
        }
    }
    match code {
        0 => Ok(()),
        code => Err(Failure::printed(code)),
    }
}

/// Collects the stages, and prints each as soon as it is known.
struct Report {
    url: String,
    stages: Vec<Stage>,
    is_json: bool,
    bar: ProgressBar,
}

impl Report {
    fn fill(
        mut self,
        target: &Target,
        options: &Options,
        connection: &ConnectionOptions,
    ) -> Result<Vec<Stage>, Failure> {
        if !self.is_json {
            line(format_args!("{STRONG}{}{STRONG:#}", self.url));
        }
        self.run_stages(target, options.timeout, connection)?;
        self.bar.finish_and_clear();
        for name in Name::ALL {
            if self.stages.iter().all(|stage| stage.name != name) {
                self.add(Stage::skipped(name, "not checked"));
            }
        }
        Ok(self.stages)
    }

    fn run_stages(
        &mut self,
        target: &Target,
        timeout: Duration,
        connection: &ConnectionOptions,
    ) -> Result<(), Failure> {
        self.begin(Name::Dns);
        let addresses = match network::resolve(target, &connection.network.resolve, timeout) {
            (stage, Some(addresses)) => {
                self.add(stage);
                addresses
            }
            (stage, None) => {
                self.add(stage);
                return Ok(());
            }
        };
        self.begin(Name::Tcp);
        let (stage, mut stream) = network::connect(&addresses, timeout, target.proxy.is_some());
        self.add(stage);
        if stream.is_none() {
            return Ok(());
        }
        self.begin(Name::Proxy);
        let (stage, may_continue) = proxy::check(target, &mut stream, timeout);
        self.add(stage);
        if !may_continue {
            return Ok(());
        }
        self.begin(Name::Tls);
        let (stage, facts) = match stream {
            _ if !target.server.secure => {
                (Stage::skipped(Name::Tls, "the URL is ws://, without encryption"), None)
            }
            Some(stream) => tls::check(target, stream, &connection.tls, timeout)?,
            None => (Stage::skipped(Name::Tls, "behind this kind of proxy, part of the upgrade"), None),
        };
        let has_failed = stage.status == Status::Failed;
        self.add(stage);
        if has_failed {
            return Ok(());
        }
        self.begin(Name::Upgrade);
        let (stage, mut session) = upgrade::check(target, connection)?;
        self.add(stage);
        if let Some(session) = &mut session {
            self.begin(Name::Http2);
            self.add(upgrade::http2(target, connection, facts.as_ref())?);
            self.add(upgrade::compression(session, connection));
            self.begin(Name::RoundTrip);
            self.add(upgrade::round_trip(session, timeout));
            // Its result is known; how the server closes is no stage.
            let _ = session.close(1000, "", |_| {});
        }
        Ok(())
    }

    fn begin(&self, name: Name) {
        self.bar.set_message(format!("{} ...", name.title()));
    }

    fn add(&mut self, stage: Stage) {
        if !self.is_json {
            self.bar.suspend(|| stage.print());
        }
        self.stages.push(stage);
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Formats the time that a stage took.
fn took(duration: Duration) -> String {
    show(duration)
}
