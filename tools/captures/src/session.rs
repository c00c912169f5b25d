//! The WebSocket sessions of a capture.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::frames::{self, Assembler};
use crate::http::Parsed;
use crate::tcp::{Arrival, Connection, Connections, Stream};
use crate::{Compression, Error, Frame, Message, Request, Response, Side, pcapng};

/// Larger files are not read.
const MAX_FILE: u64 = 2 << 30;

/// What a file contains.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    /// In the order in which their connections were opened.
    pub sessions: Vec<Session>,
    /// What is missing or could not be used: a sentence each.
    pub warnings: Vec<String>,
}

/// One WebSocket connection, from its TCP handshake to its end. A reconnect is a session of its own.
#[derive(Clone, Debug)]
pub struct Session {
    pub client: SocketAddr,
    pub server: SocketAddr,
    /// Time of the first packet, since the Unix epoch.
    pub started: Duration,
    pub request: Request,
    /// Time of the request, since the start.
    pub requested: Duration,
    /// `None` if the server did not send a complete response.
    pub response: Option<Response>,
    /// Time of the response, since the start; that of the request without one.
    pub responded: Duration,
    pub compression: Option<Compression>,
    /// What both sides sent after the handshake, in the order of the capture.
    pub records: Vec<Record>,
    pub end: End,
    /// Time of the end, or of the last packet, since the start.
    pub ended: Duration,
    /// Comments of packets that carry no frame.
    pub comments: Vec<String>,
}

/// How the TCP connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The capture stopped before.
    Open,
    /// This side sent the first FIN.
    Closed(Side),
    /// This side sent a RST.
    Reset(Side),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Since the start of the session, when the last byte was captured.
    pub time: Duration,
    pub from: Side,
    pub content: Content,
    /// Comments of the packets.
    pub comments: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Frame(Frame),
    /// Bytes that are no frame: after a violation of the protocol, or the start of a frame whose end is missing.
    Bytes(Vec<u8>),
}

/// Reads a pcapng file.
pub fn read_file(path: impl AsRef<Path>) -> Result<Capture, Error> {
    let path = path.as_ref();
    let failed = |error: &dyn std::fmt::Display| Error::new(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(failed(&format!("the file is larger than {} GiB", MAX_FILE >> 30)));
    }
    read(&bytes).map_err(|error| failed(&error))
}

/// Reads the contents of a pcapng file.
pub fn read(bytes: &[u8]) -> Result<Capture, Error> {
    let mut connections = Connections::default();
    let mut warnings = pcapng::read_packets(bytes, |packet| connections.add(packet))?;
    if let Some((link_type, count)) = connections.unsupported {
        warnings.push(format!(
            "{count} packets are of an interface with link type {link_type}; raw IP, Ethernet and NULL are supported"
        ));
    }
    if connections.without_start > 0 {
        warnings.push(format!(
            "{} packets belong to connections that were open when the capture started",
            connections.without_start
        ));
    }
    let mut sessions = Vec::new();
    for connection in connections.list {
        sessions.extend(Session::of(connection, &mut warnings));
    }
    Ok(Capture { sessions, warnings })
}

impl Session {
    /// Returns the messages of both sides, inflated one at a time. An error is a sentence about a message
    /// that cannot be decoded.
    pub fn messages(&self) -> Messages<'_> {
        Messages {
            records: self.records.iter(),
            client: Assembler::new(Side::Client, self.compression),
            server: Assembler::new(Side::Server, self.compression),
        }
    }

    /// Returns the code, 1005 for none, and the reason of the close frame that this side sent.
    pub fn close(&self, from: Side) -> Option<(u16, String)> {
        let mut frames = self.records.iter().filter(|record| record.from == from);
        frames.find_map(|record| match &record.content {
            Content::Frame(frame) => frame.close(),
            Content::Bytes(_) => None,
        })
    }

    /// Returns the URL of the request: from a comment, as Framewire writes it, else that of a request without
    /// TLS.
    pub fn url(&self) -> String {
        let mut words = self.comments.iter().flat_map(|comment| comment.split_whitespace());
        let is_url = |word: &&str| word.starts_with("ws://") || word.starts_with("wss://");
        if let Some(url) = words.find(is_url) {
            // Other facts follow it.
            return url.trim_end_matches(';').to_owned();
        }
        let host = self.request.field("Host").map_or_else(|| self.server.to_string(), str::to_owned);
        format!("ws://{host}{}", self.request.target)
    }

    /// `None` if the connection is not a WebSocket.
    fn of(connection: Connection, warnings: &mut Vec<String>) -> Option<Self> {
        let (from_client, from_server) = (&connection.from_client, &connection.from_server);
        let (request, request_end) = match Request::parse(&from_client.data) {
            Parsed::Head(request, end) if request.is_upgrade() => (request, end),
            _ => return None,
        };
        let mut name = |text: String| warnings.push(format!("connection from {}: {text}", connection.client));
        let since = |arrival: Option<Arrival>| {
            arrival.map_or(Duration::ZERO, |arrival| arrival.time.saturating_sub(connection.started))
        };
        let (mut response, response_end) = match Response::parse(&from_server.data) {
            Parsed::Head(response, end) => (Some(response), end),
            Parsed::Incomplete | Parsed::Invalid => (None, 0),
        };
        let is_open = response.as_ref().is_some_and(|response| response.status == 101);
        let compression = response.as_ref().filter(|_| is_open);
        let compression = compression
            .and_then(|response| Compression::negotiated(&response.list("Sec-WebSocket-Extensions")));

        let (mut found_client, mut found_server) = (Vec::new(), Vec::new());
        if is_open {
            for (from, stream, start, found) in [
                (Side::Client, from_client, request_end, &mut found_client),
                (Side::Server, from_server, response_end, &mut found_server),
            ] {
                if let Some(problem) = frames(stream, start, from, found) {
                    name(format!("the {} sent no valid frame: {problem}", from.name()));
                }
            }
        } else if let Some(response) = &mut response {
            response.body = from_server.data[response_end..].to_vec();
        } else {
            // What is no response is kept, to be replayed.
            bytes(from_server, 0, Side::Server, &mut found_server);
        }
        for (side, stream) in [("client", from_client), ("server", from_server)] {
            if let Some(missing) = stream.gap() {
                name(format!(
                    "{missing} bytes that the {side} sent after its first {} were not captured; what follows them \
                     is not decoded",
                    stream.data.len()
                ));
            }
        }
        let mut comments = Vec::new();
        for comment in connection.comments {
            let found = if comment.side == Side::Client { &mut found_client } else { &mut found_server };
            let at = found.partition_point(|found| found.bytes.end <= comment.position);
            match found.get_mut(at).filter(|found| found.bytes.contains(&comment.position)) {
                Some(found) => found.record.comments.push(comment.text),
                None => comments.push(comment.text),
            }
        }
        let mut found = found_client;
        found.append(&mut found_server);
        found.sort_by_key(|found| found.arrival.packet);

        let last = [from_client, from_server].map(|stream| since(stream.arrivals.last().copied()));
        let (end, ended) = match connection.end {
            Some(ending) => {
                let end = if ending.is_reset { End::Reset(ending.by) } else { End::Closed(ending.by) };
                (end, ending.time.saturating_sub(connection.started))
            }
            None => (End::Open, last[0].max(last[1])),
        };
        let requested = since(from_client.arrival(request_end));
        let responded = if response.is_some() { since(from_server.arrival(response_end)) } else { requested };
        let mut session = Self {
            client: connection.client,
            server: connection.server,
            started: connection.started,
            request,
            requested,
            response,
            responded,
            compression,
            records: Vec::new(),
            end,
            ended,
            comments,
        };
        for mut found in found {
            found.record.time = since(Some(found.arrival));
            session.records.push(found.record);
        }
        Some(session)
    }
}

/// A record with its place in the stream.
struct Found {
    record: Record,
    arrival: Arrival,
    bytes: std::ops::Range<usize>,
}

/// Finds the frames of a stream. Returns why the rest is none.
fn frames(stream: &Stream, mut start: usize, from: Side, found: &mut Vec<Found>) -> Option<String> {
    loop {
        let (frame, length) = match Frame::parse(&stream.data[start..]) {
            frames::Parsed::Frame(frame, length) => (frame, length),
            rest => {
                bytes(stream, start, from, found);
                return if let frames::Parsed::Invalid(problem) = rest { Some(problem) } else { None };
            }
        };
        let end = start + length;
        found.extend(Found::new(stream, start..end, from, Content::Frame(frame)));
        start = end;
    }
}

/// Keeps the rest of a stream as bytes, by packet.
fn bytes(stream: &Stream, mut start: usize, from: Side, found: &mut Vec<Found>) {
    let first = stream.arrivals.partition_point(|arrival| arrival.position <= start);
    let ends = stream.arrivals[first..].iter().map(|arrival| arrival.position).chain([stream.data.len()]);
    for end in ends {
        if start < end {
            let content = Content::Bytes(stream.data[start..end].to_vec());
            found.extend(Found::new(stream, start..end, from, content));
        }
        start = end;
    }
}

impl Found {
    fn new(stream: &Stream, bytes: std::ops::Range<usize>, from: Side, content: Content) -> Option<Self> {
        let arrival = stream.arrival(bytes.end)?;
        let record = Record { time: Duration::ZERO, from, content, comments: Vec::new() };
        Some(Self { record, arrival, bytes })
    }
}

/// See [`Session::messages`].
pub struct Messages<'a> {
    records: std::slice::Iter<'a, Record>,
    client: Assembler,
    server: Assembler,
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.find_map(|record| {
            let Content::Frame(frame) = &record.content else { return None };
            let assembler = match record.from {
                Side::Client => &mut self.client,
                Side::Server => &mut self.server,
            };
            assembler.add(frame, record.time)
        })
    }
}
