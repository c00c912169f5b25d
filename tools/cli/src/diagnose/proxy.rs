//! The proxy: which one is used and why, and its answer to CONNECT.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use framewire::internals::wire::proxy::Proxy;

use super::stage::{Name, Stage, Status};
use super::target::Target;

/// The response head of a proxy.
const MAX_HEAD: usize = 16 << 10;

/// Sends CONNECT through an HTTP proxy. Afterwards the stream is the tunnel, or `None` if the proxy is of a kind that
/// only the library speaks. Returns whether the next stages can be checked.
pub fn check(target: &Target, stream: &mut Option<TcpStream>, timeout: Duration) -> (Stage, bool) {
    let (mut stage, may_continue) = through(target, stream, timeout);
    for why in &target.ignored {
        stage = stage.detail(why);
    }
    (stage, may_continue)
}

fn through(target: &Target, stream: &mut Option<TcpStream>, timeout: Duration) -> (Stage, bool) {
    let Some(proxy) = &target.proxy else {
        return (Stage::new(Name::Proxy, Status::Ok, "none").fact("proxy", serde_json::Value::Null), true);
    };
    let name = format!("{}://{}", proxy.scheme(), proxy.authority());
    let from = format!("{name}, from {}", target.source);
    let used = |stage: Stage| stage.fact("proxy", name.clone()).fact("source", target.source);
    if proxy.scheme() != "http" {
        *stream = None;
        let stage =
            Stage::new(Name::Proxy, Status::Ok, from).detail("its handshake is checked by the upgrade");
        return (used(stage), true);
    }
    let Some(open) = stream.as_mut() else {
        return (used(Stage::skipped(Name::Proxy, "not connected")), false);
    };
    let began = Instant::now();
    let answer = connect(open, target, proxy, timeout);
    let took = began.elapsed();
    let (stage, is_open) = match answer {
        Ok(Answer { status: 200..=299, .. }) => {
            (Stage::new(Name::Proxy, Status::Ok, format!("{from}, opens a tunnel")), true)
        }
        Ok(answer) => (refused(&name, proxy, target, &answer), false),
        Err(error) => {
            let stage =
                Stage::new(Name::Proxy, Status::Failed, format!("{name} does not answer CONNECT: {error}"))
                    .detail(format!("from {}", target.source))
                    .advise(
                        "Check that this is an HTTP proxy, and its scheme (http, https, socks5) and port.",
                    );
            (stage, false)
        }
    };
    (used(stage).took(took), is_open)
}

struct Answer {
    status: u16,
    reason: String,
    authenticate: Option<String>,
}

fn refused(name: &str, proxy: &Proxy, target: &Target, answer: &Answer) -> Stage {
    let status = answer.status;
    let summary = match status {
        407 if proxy.credentials.is_some() => format!("{name} rejects the user name or password (407)"),
        407 => format!("{name} requires a login (407)"),
        _ => format!("{name} refuses the tunnel: {status} {}", answer.reason),
    };
    let mut stage = Stage::new(Name::Proxy, Status::Failed, summary)
        .detail(format!("from {}", target.source))
        .fact("http_status", status);
    if let Some(schemes) = &answer.authenticate {
        stage = stage.detail(format!("Proxy-Authenticate: {schemes}"));
    }
    match status {
        407 if proxy.credentials.is_some() => stage.advise("Check the user name and the password in the proxy URL."),
        407 => stage.advise(format!(
            "Give the login in the proxy URL: --proxy http://USER:PASSWORD@{}, or fw_socket_set_proxy in a game.",
            proxy.authority()
        )),
        403 => stage.advise(format!(
            "Ask the administrator of the proxy to allow CONNECT to {}; many allow port 443 only.",
            target.server.authority()
        )),
        502..=504 => stage.advise(format!("The proxy cannot reach {}. Check that name and port.", target.server.authority())),
        _ => stage.advise("Ask the administrator of the proxy, or use --no-proxy if the server is reachable directly."),
    }
}

fn connect(
    stream: &mut TcpStream,
    target: &Target,
    proxy: &Proxy,
    timeout: Duration,
) -> std::io::Result<Answer> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let authority = target.server.authority();
    let login = proxy.credentials.as_ref().map_or_else(String::new, |(user, password)| {
        format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(format!("{user}:{password}").as_bytes()))
    });
    write!(stream, "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{login}\r\n")?;
    let mut head = Vec::new();
    // Byte by byte, as what follows belongs to the tunnel.
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "it closed the connection"));
        }
        head.push(byte[0]);
        if head.len() > MAX_HEAD {
            return Err(Error::new(ErrorKind::InvalidData, "its response is too long"));
        }
    }
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let invalid = |error: String| Error::new(ErrorKind::InvalidData, error);
    response.parse(&head).map_err(|error| invalid(format!("its response is not HTTP: {error}")))?;
    let authenticate = response
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("Proxy-Authenticate"))
        .map(|field| String::from_utf8_lossy(field.value).into_owned());
    Ok(Answer {
        status: response.code.unwrap_or(0),
        reason: response.reason.unwrap_or_default().to_owned(),
        authenticate,
    })
}
