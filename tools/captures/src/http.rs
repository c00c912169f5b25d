//! The upgrade request and its response (RFC 6455 section 4), as HTTP/1.1.

use std::ops::Range;

/// Longer heads are not read.
pub const MAX_HEAD: usize = 64 << 10;
const MAX_FIELDS: usize = 128;

/// The client's request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Path and query.
    pub target: String,
    pub fields: Vec<(String, String)>,
}

/// The server's response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub reason: String,
    pub fields: Vec<(String, String)>,
    /// The bytes of the head, with informational responses before it.
    pub head: Vec<u8>,
    /// Where `fields` has its values in `head`.
    pub(crate) values: Vec<Range<usize>>,
    /// What followed the head of a response other than 101.
    pub body: Vec<u8>,
}

/// The result of parsing the start of a stream.
pub enum Parsed<T> {
    /// The head, and its length in bytes.
    Head(T, usize),
    Incomplete,
    /// Not HTTP, or too long.
    Invalid,
}

impl Request {
    /// Returns the first field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }

    /// Returns all fields of this name as one list.
    pub fn list(&self, name: &str) -> String {
        list(&self.fields, name)
    }

    pub fn is_upgrade(&self) -> bool {
        self.field("Upgrade").is_some_and(|value| value.to_ascii_lowercase().contains("websocket"))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Parsed<Request> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let status = request.parse(&bytes[..bytes.len().min(MAX_HEAD)]);
        let result = (status, bytes.len());
        finish(result, || Request {
            target: request.path.unwrap_or_default().to_owned(),
            fields: owned(request.headers),
        })
    }
}

impl Response {
    /// Returns the first field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }

    /// Returns all fields of this name as one list.
    pub fn list(&self, name: &str) -> String {
        list(&self.fields, name)
    }

    /// Parses a response with informational responses before it. Their bytes count as a part of its head.
    pub(crate) fn parse(bytes: &[u8]) -> Parsed<Response> {
        let mut start = 0;
        loop {
            match Self::parse_one(&bytes[start..]) {
                Parsed::Head(head, length) if (100..=199).contains(&head.status) && head.status != 101 => {
                    start += length;
                }
                Parsed::Head(mut head, length) => {
                    let end = start + length;
                    head.head = bytes[..end].to_vec();
                    for range in &mut head.values {
                        *range = range.start + start..range.end + start;
                    }
                    return Parsed::Head(head, end);
                }
                other => return other,
            }
        }
    }

    fn parse_one(bytes: &[u8]) -> Parsed<Response> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let status = response.parse(&bytes[..bytes.len().min(MAX_HEAD)]);
        let at = |value: &[u8]| {
            let start = (value.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize).min(bytes.len());
            start..(start + value.len()).min(bytes.len())
        };
        finish((status, bytes.len()), || Response {
            status: response.code.unwrap_or_default(),
            reason: response.reason.unwrap_or_default().to_owned(),
            fields: owned(response.headers),
            head: Vec::new(),
            values: response.headers.iter().map(|field| at(field.value)).collect(),
            body: Vec::new(),
        })
    }
}

fn finish<T>((status, available): (httparse::Result<usize>, usize), head: impl FnOnce() -> T) -> Parsed<T> {
    match status {
        Ok(httparse::Status::Complete(length)) => Parsed::Head(head(), length),
        Ok(httparse::Status::Partial) if available < MAX_HEAD => Parsed::Incomplete,
        _ => Parsed::Invalid,
    }
}

fn owned(fields: &[httparse::Header]) -> Vec<(String, String)> {
    let pair =
        |field: &httparse::Header| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned());
    fields.iter().map(pair).collect()
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.as_str())
}

fn list(fields: &[(String, String)], name: &str) -> String {
    let found = fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
}
