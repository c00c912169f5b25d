//! What the fuzz targets do with their input, and what must hold whatever it is.
//!
//! ```text
//!   frames, utf8, deflate     what an open connection reads
//!   response, proxy           what is answered before it is open
//!   url                       what the caller gives, and what it becomes on the wire
//!   session                   all of it together, driven by a script of bytes and calls
//!   compare                   the same bytes read by the session and by tungstenite
//! ```
//!
//! The functions know nothing of libFuzzer, so that a plain test can run them over the corpora too.

pub mod compare;
pub mod corpus;
pub mod deflate;
pub mod frames;
pub mod input;
/// RFC 1951, a bit at a time: what the library's own tests hold its compression against.
#[path = "../../src/wire/deflate/tests/oracle.rs"]
pub mod oracle;
pub mod plain;
pub mod proxy;
pub mod response;
pub mod script;
pub mod session;
pub mod url;
pub mod utf8;

pub type Target = fn(&[u8]);

/// Every target, with the text of its corpus.
pub const TARGETS: [(&str, Target, &str); 8] = [
    ("frames", frames::run, include_str!("../corpus/frames.txt")),
    ("utf8", utf8::run, include_str!("../corpus/utf8.txt")),
    ("deflate", deflate::run, include_str!("../corpus/deflate.txt")),
    ("response", response::run, include_str!("../corpus/response.txt")),
    ("url", url::run, include_str!("../corpus/url.txt")),
    ("proxy", proxy::run, include_str!("../corpus/proxy.txt")),
    ("session", session::run, include_str!("../corpus/session.txt")),
    ("compare", compare::run, include_str!("../corpus/compare.txt")),
];
