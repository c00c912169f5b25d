//! Tests with captures that are built packet by packet.

mod reading;
mod replaying;
mod sample;

use crate::{Message, Session, Side, read};

/// The text and binary messages of a session that are decoded.
fn messages(session: &Session) -> Vec<(Side, Vec<u8>)> {
    let message = |message: Message| (message.from, message.payload);
    session.messages().map(|result| message(result.expect("it can be decoded"))).collect()
}

/// Reads a file with one session and without warnings.
fn only_session(bytes: &[u8]) -> Session {
    let mut capture = read(bytes).expect("it is pcapng");
    assert_eq!(capture.warnings, Vec::<String>::new());
    assert_eq!(capture.sessions.len(), 1);
    capture.sessions.remove(0)
}
