//! The upgrade and what follows, through the library.

use std::time::{Duration, Instant};

use framewire::{Error, ErrorKind, EventKind, Phase, Socket};
use serde_json::json;

use super::stage::{Name, Stage, Status};
use super::target::Target;
use super::tls::Facts;
use crate::options::{ConnectionOptions, Http};
use crate::output::Failure;
use crate::report::error_json;
use crate::session::{Next, Session};
use crate::values::show;

const PINGS: u32 = 5;
/// The part of a response body that is shown.
const BODY: usize = 200;

/// Opens a connection over HTTP/1.1, or with --http 2 over HTTP/2. Returns it if it is open.
pub fn check(target: &Target, options: &ConnectionOptions) -> Result<(Stage, Option<Session>), Failure> {
    let mut options = options.clone();
    if options.request.http == Http::Auto {
        options.request.http = Http::One;
    }
    let mut session = options.session(&target.url)?;
    session.open()?;
    let error = loop {
        match session.next(None) {
            Next::Event(EventKind::Open) => {
                let stage = opened(&session.socket).took(session.started.elapsed());
                return Ok((stage, Some(session)));
            }
            Next::Event(EventKind::Error(error)) => break error,
            Next::Event(EventKind::Closed { code, reason }) => {
                let summary = format!("the connection was closed: {code} {reason}");
                return Ok((Stage::new(Name::Upgrade, Status::Failed, summary), None));
            }
            _ => {}
        }
    };
    let stage = failed(target, &options, &session.socket, &error).took(session.started.elapsed());
    Ok((stage.fact("error", error_json(&error)), None))
}

/// Checks whether WebSockets over HTTP/2 work too.
pub fn http2(target: &Target, options: &ConnectionOptions, tls: Option<&Facts>) -> Result<Stage, Failure> {
    if options.request.http == Http::Two {
        return Ok(Stage::new(Name::Http2, Status::Ok, "used, as --http 2 requires"));
    }
    if !target.server.secure {
        return Ok(Stage::skipped(Name::Http2, "negotiated over TLS only"));
    }
    match tls.and_then(|facts| facts.protocol.as_deref()) {
        Some("h2") => {}
        _ if tls.is_none() => {
            return Ok(Stage::skipped(Name::Http2, "behind this kind of proxy, not checked"));
        }
        _ => {
            let summary = "not offered by the server (ALPN); HTTP/1.1 is used";
            return Ok(Stage::new(Name::Http2, Status::Ok, summary).fact("websockets", false));
        }
    }
    let mut options = options.clone();
    options.request.http = Http::Two;
    let mut session = options.session(&target.url)?;
    session.open()?;
    let stage = loop {
        match session.next(None) {
            Next::Event(EventKind::Open) => {
                let took = session.started.elapsed();
                let _ = session.close(1000, "", |_| {});
                let summary = "WebSockets over HTTP/2 work (RFC 8441)";
                break Stage::new(Name::Http2, Status::Ok, summary).took(took).fact("websockets", true);
            }
            Next::Event(EventKind::Error(error)) => {
                let summary = "the server speaks HTTP/2, without WebSockets; HTTP/1.1 is used";
                break Stage::new(Name::Http2, Status::Ok, summary)
                    .detail(error.message.clone())
                    .fact("websockets", false);
            }
            Next::Event(EventKind::Closed { .. }) => break Stage::skipped(Name::Http2, "interrupted"),
            _ => {}
        }
    };
    Ok(stage)
}

/// Reports the negotiated compression.
pub fn compression(session: &Session, options: &ConnectionOptions) -> Stage {
    let extensions = session.socket.extensions();
    if options.request.no_compression {
        return Stage::skipped(Name::Compression, "not offered because of --no-compression");
    }
    let stage = match extensions.is_empty() {
        true => Stage::new(
            Name::Compression,
            Status::Ok,
            "not supported by the server; messages are sent as they are",
        ),
        false => Stage::new(Name::Compression, Status::Ok, extensions.clone()),
    };
    stage.fact("extensions", extensions)
}

/// Measures pings.
pub fn round_trip(session: &mut Session, timeout: Duration) -> Stage {
    let mut times = Vec::new();
    for number in 0..PINGS {
        let sent = Instant::now();
        if let Err(error) = session.socket.ping(&number.to_be_bytes()) {
            return Stage::new(Name::RoundTrip, Status::Failed, format!("a ping cannot be sent: {error}"));
        }
        loop {
            match session.next(Some(sent + timeout)) {
                Next::Event(EventKind::Pong(payload)) if payload.as_slice() == number.to_be_bytes() => {
                    times.push(sent.elapsed());
                    break;
                }
                Next::Event(EventKind::Error(error)) => {
                    return Stage::new(Name::RoundTrip, Status::Failed, error.to_string())
                        .advise("Look for the reason in the log of the server.");
                }
                Next::Event(EventKind::Closed { code, reason }) => {
                    let summary = format!("the server closed the connection: {code} {reason}");
                    return Stage::new(Name::RoundTrip, Status::Failed, summary)
                        .advise("Look for the reason in the log of the server.");
                }
                Next::Event(_) => {}
                Next::TimedOut => {
                    let summary = format!("no pong within {}", show(timeout));
                    return Stage::new(Name::RoundTrip, Status::Failed, summary)
                        .advise("A server must answer pings (RFC 6455 section 5.5.3). If it does, a proxy between \
                                 here and there holds frames back.")
                        .took(timeout);
                }
            }
        }
    }
    times.sort_unstable();
    let (best, median, worst) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    let summary = format!("{} median of {PINGS} pings, {} to {}", show(median), show(best), show(worst));
    Stage::new(Name::RoundTrip, Status::Ok, summary).fact("median_ms", median.as_nanos() as f64 / 1e6)
}

fn opened(socket: &Socket) -> Stage {
    let version = if socket.http_version() == 2 { "HTTP/2" } else { "HTTP/1.1" };
    let mut stage =
        Stage::new(Name::Upgrade, Status::Ok, format!("{} over {version}", socket.response_status()));
    if let Some(server) = socket.response_header("Server") {
        stage = stage.detail(format!("Server: {server}"));
    }
    if !socket.protocol().is_empty() {
        stage = stage.detail(format!("subprotocol: {}", socket.protocol()));
    }
    with_response(stage, socket).fact("subprotocol", socket.protocol())
}

/// Adds the status and the header fields of the response, named as in HAR files.
fn with_response(stage: Stage, socket: &Socket) -> Stage {
    let fields = socket.response_headers();
    let fields: Vec<_> = fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    stage.fact("http_status", socket.response_status()).fact("headers", fields)
}

fn failed(target: &Target, options: &ConnectionOptions, socket: &Socket, error: &Error) -> Stage {
    // The library has its own DNS, TCP, proxy and TLS; if one of them fails here, that stage has failed.
    let name = match error.phase {
        Phase::Resolve => Name::Dns,
        Phase::Connect => Name::Tcp,
        Phase::Proxy => Name::Proxy,
        Phase::Tls => Name::Tls,
        _ if options.request.http == Http::Two => Name::Http2,
        _ => Name::Upgrade,
    };
    let mut stage = Stage::new(name, Status::Failed, error.message.clone());
    if error.http_status == 0 {
        return advise_protocol(stage, target, error);
    }
    for field in ["Location", "WWW-Authenticate", "Retry-After", "Server"] {
        if let Some(value) = socket.response_header(field) {
            stage = stage.detail(format!("{field}: {value}"));
        }
    }
    let body = socket.response_body();
    let body = String::from_utf8_lossy(&body[..body.len().min(BODY)]);
    if let Some(text) = body.lines().find(|text| !text.trim().is_empty()) {
        stage = stage.detail(format!("body: {}", text.trim()));
    }
    let stage = with_response(stage, socket);
    match error.http_status {
        407 => stage.advise("Give the login of the proxy: --proxy http://USER:PASSWORD@HOST:PORT."),
        200..=299 => stage
            .advise("Check the path: it answers plain HTTP requests.")
            .advise("Behind a reverse proxy, make it forward the Upgrade and Connection header fields."),
        300..=399 => stage.advise("Use the URL in Location, or --max-redirects 1 to follow it."),
        400 => stage.advise("Check the path, the subprotocol (--subprotocol) and the Origin (--origin)."),
        401 => stage.advise("Log in: --user USER:PASSWORD or --bearer TOKEN."),
        403 => stage
            .advise("Check the path, the login (--user, --bearer) and the Origin (--origin) that the server allows,")
            .advise("and the WebSocket and bot settings of a CDN or firewall before the server."),
        404 => stage.advise("Check the path of the URL."),
        405 | 426 => stage.advise("Check the path: it is no WebSocket endpoint, or needs another version of HTTP."),
        429 => stage.advise("The server limits connections from this address; wait for the time in Retry-After."),
        500..=599 => stage.advise("Check the server behind the proxy or CDN that has answered, and its log."),
        _ => stage.advise("Look for the reason in the log of the server."),
    }
}

fn advise_protocol(stage: Stage, target: &Target, error: &Error) -> Stage {
    match (error.phase, error.kind) {
        (Phase::Upgrade, _) if !target.server.secure => stage
            .advise("Check that this port speaks HTTP.")
            .advise(format!("If it is a TLS port, use {}.", target.url.replacen("ws:", "wss:", 1))),
        (Phase::Upgrade, ErrorKind::TimedOut) => stage.advise(
            "The server accepts connections but does not answer: check that its process is not stuck.",
        ),
        (Phase::Proxy, _) => {
            stage.advise("Check the proxy, or use --no-proxy if the server is reachable directly.")
        }
        (Phase::Tls, _) => stage.advise("Check the certificate settings: --cacert, --cert and --key, --pin."),
        _ => stage.advise("Look for the reason in the log of the server."),
    }
}
