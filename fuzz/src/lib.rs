//! Implements the fuzz targets: each runs one input and asserts invariants.
//!
//! ```text
//!   frames, utf8, deflate     data received on an open connection
//!   response, proxy           responses received before it is open
//!   url                       URLs and headers from the caller, and the encoded request
//!   session                   a whole session, driven by a script of received bytes and calls
//!   compare                   the session and tungstenite reading the same bytes
//!   capture_file              pcapng files for replays
//! ```
//!
//! Independent of libFuzzer, so that a normal test can run the corpora too.

pub mod capture_file;
pub mod compare;
pub mod corpus;
pub mod deflate;
pub mod frames;
pub mod input;
/// Reference implementation of RFC 1951, shared with the library's unit tests.
#[path = "../../src/wire/deflate/tests/oracle.rs"]
pub mod oracle;
pub mod proxy;
pub mod reference;
pub mod response;
pub mod script;
pub mod session;
pub mod url;
pub mod utf8;

pub type Target = fn(&[u8]);

/// All targets: name, function and text of the corpus.
pub const TARGETS: [(&str, Target, &str); 9] = [
    ("frames", frames::run, include_str!("../corpus/frames.txt")),
    ("utf8", utf8::run, include_str!("../corpus/utf8.txt")),
    ("deflate", deflate::run, include_str!("../corpus/deflate.txt")),
    ("response", response::run, include_str!("../corpus/response.txt")),
    ("url", url::run, include_str!("../corpus/url.txt")),
    ("proxy", proxy::run, include_str!("../corpus/proxy.txt")),
    ("session", session::run, include_str!("../corpus/session.txt")),
    ("compare", compare::run, include_str!("../corpus/compare.txt")),
    ("capture_file", capture_file::run, include_str!("../corpus/capture_file.txt")),
];
