//! Reads WebSocket sessions from captures, replays the server's side of them, and converts them to HAR.
//!
//! ```text
//!   pcapng   blocks and packets of the file
//!   tcp      connections: segments in order, retransmissions removed, gaps found
//!   http     the upgrade request and its response
//!   frames   frames and messages: masks removed, permessage-deflate inflated
//!   session  one WebSocket connection of a capture
//!   replay   a server that sends what the recorded server sent
//!   har      HTTP archive, for the network panel of a browser
//! ```
//!
//! The reader accepts any pcapng file with plaintext WebSockets: those that Framewire writes, and those of
//! Wireshark and tcpdump. It reads untrusted files: it does not panic, and its memory grows with the size
//! of the file, not with the lengths in it.

mod error;
mod frames;
mod har;
mod http;
mod pcapng;
mod replay;
mod session;
mod tcp;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use frames::{Compression, Frame, MAX_MESSAGE, Message};
pub use har::har;
pub use http::{Request, Response};
pub use replay::{Notice, Options, Played, Replay};
pub use session::{Capture, Content, End, Messages, Record, Session, read, read_file};
pub use tcp::Side;
