//! HTTP archive (HAR 1.2) with the fields that the network panel of Chromium's DevTools writes and reads.

use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::frames::{self, Assembler};
use crate::{Content, End, Frame, Message, Response, Session, Side};

/// Messages beyond this many bytes, inflated, are left out: a panel could not show them.
const MAX_BYTES: usize = 512 << 20;

/// Converts sessions to a HAR, each to an entry with `_webSocketMessages`. Text is as it was, binary is
/// Base64; pings, pongs and close frames are included.
pub fn har(sessions: &[Session]) -> Value {
    let mut left = MAX_BYTES;
    let entries: Vec<Value> = sessions.iter().map(|session| entry(session, &mut left)).collect();
    json!({
        "log": {
            "version": "1.2",
            "creator": { "name": "framewire", "version": env!("CARGO_PKG_VERSION") },
            "pages": [],
            "entries": entries,
        }
    })
}

fn entry(session: &Session, left: &mut usize) -> Value {
    let request = &session.request;
    let (messages, problems) = messages(session, left);
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let wait = session.responded.saturating_sub(session.requested);
    let mut entry = json!({
        "_initiator": { "type": "other" },
        "_priority": "High",
        "_resourceType": "websocket",
        "_webSocketMessages": messages,
        "cache": {},
        "connection": session.client.port().to_string(),
        "request": {
            "method": "GET",
            "url": session.url(),
            "httpVersion": "HTTP/1.1",
            "headers": headers(&request.fields),
            "queryString": pairs(query, '&'),
            "cookies": pairs(request.field("Cookie").unwrap_or_default(), ';'),
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": response(session),
        "serverIPAddress": session.server.ip().to_string(),
        "startedDateTime": date(session.started),
        "time": milliseconds(session.ended),
        "timings": {
            "blocked": -1,
            "dns": -1,
            "ssl": -1,
            "connect": milliseconds(session.requested),
            "send": 0,
            "wait": milliseconds(wait),
            "receive": milliseconds(session.ended.saturating_sub(session.requested + wait)),
            "_blocked_queueing": -1,
        },
    });
    if !problems.is_empty() {
        entry["comment"] = problems.join("; ").into();
    }
    entry
}

/// Returns the messages and control frames, and what cannot be shown.
fn messages(session: &Session, left: &mut usize) -> (Vec<Value>, Vec<String>) {
    let (mut messages, mut problems) = (Vec::new(), Vec::new());
    let mut client = Assembler::new(Side::Client, session.compression);
    let mut server = Assembler::new(Side::Server, session.compression);
    for record in &session.records {
        let frame = match &record.content {
            Content::Frame(frame) => frame,
            Content::Bytes(bytes) => {
                problems.push(format!("{} bytes of the {} are no frame", bytes.len(), record.from.name()));
                continue;
            }
        };
        let (opcode, data) = if frame.opcode >= frames::CLOSE {
            (frame.opcode, control_data(frame))
        } else {
            let assembler = if record.from == Side::Client { &mut client } else { &mut server };
            match assembler.add(frame, record.time) {
                None => continue,
                Some(Err(problem)) => {
                    problems.push(problem);
                    continue;
                }
                Some(Ok(message)) => message_data(message),
            }
        };
        let Some(rest) = left.checked_sub(data.len()) else {
            problems.push(format!("messages after the first {} MiB are left out", MAX_BYTES >> 20));
            break;
        };
        *left = rest;
        messages.push(json!({
            "type": if record.from == Side::Client { "send" } else { "receive" },
            "time": (session.started + record.time).as_secs_f64(),
            "opcode": opcode,
            "data": data,
        }));
    }
    (messages, problems)
}

fn message_data(message: Message) -> (u8, String) {
    if message.is_text {
        let text = String::from_utf8(message.payload);
        let text = text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        (frames::TEXT, text)
    } else {
        (frames::BINARY, BASE64.encode(&message.payload))
    }
}

/// Close frames are shown as code and reason, pings and pongs as text or Base64.
fn control_data(frame: &Frame) -> String {
    match frame.close() {
        Some((code, reason)) if reason.is_empty() => code.to_string(),
        Some((code, reason)) => format!("{code} {reason}"),
        None => {
            std::str::from_utf8(&frame.payload).map_or_else(|_| BASE64.encode(&frame.payload), str::to_owned)
        }
    }
}

fn response(session: &Session) -> Value {
    let none = Response::default();
    let response = session.response.as_ref().unwrap_or(&none);
    let mut content = json!({
        "size": response.body.len(),
        "mimeType": response.field("Content-Type").unwrap_or("x-unknown"),
    });
    match std::str::from_utf8(&response.body) {
        Ok("") => {}
        Ok(text) => content["text"] = text.into(),
        Err(_) => {
            content["text"] = BASE64.encode(&response.body).into();
            content["encoding"] = "base64".into();
        }
    }
    let mut cookies = Vec::new();
    for (_, value) in response.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie")) {
        cookies.extend(pairs(value.split(';').next().unwrap_or_default(), ';'));
    }
    let mut response = json!({
        "status": response.status,
        "statusText": response.reason,
        "httpVersion": "HTTP/1.1",
        "headers": headers(&response.fields),
        "cookies": cookies,
        "content": content,
        "redirectURL": response.field("Location").unwrap_or_default(),
        "headersSize": response.head.len(),
        "bodySize": response.body.len(),
        "_transferSize": response.head.len() + response.body.len(),
    });
    let error = match session.end {
        End::Reset(by) => Some(format!("connection reset by the {}", by.name())),
        _ if session.response.is_none() => Some("no response".to_owned()),
        End::Open | End::Closed(_) => None,
    };
    response["_error"] = error.into();
    response
}

fn headers(fields: &[(String, String)]) -> Vec<Value> {
    fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// Splits a query or a cookie field.
fn pairs(text: &str, separator: char) -> Vec<Value> {
    let pairs = text.split(separator).map(str::trim).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Formats a time since the Unix epoch, in milliseconds as JavaScript does. Times out of range are the epoch.
fn date(time: Duration) -> String {
    let date = i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH).replace_millisecond(time.subsec_millis() as u16);
    date.ok().and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}
