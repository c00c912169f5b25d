//! What is recorded beside the bytes of a connection.

use std::fmt;

/// A comment on the unit that ends at this position of the bytes.
pub struct Note {
    pub end: usize,
    pub text: NoteText,
}

pub enum NoteText {
    Text(String),
    /// The end of a message that has waited in a lane.
    Message {
        lane: usize,
        tag: u64,
        waited_us: u64,
    },
}

/// How a captured connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub by: EndedBy,
    /// The close code or the error.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    Client,
    Server,
    /// It failed.
    Reset,
    /// It continues, but is captured no more.
    Nothing,
}

/// What did not fit into the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub records: u64,
    pub bytes: u64,
}

impl fmt::Display for NoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoteText::Text(text) => f.write_str(text),
            NoteText::Message { lane, tag, waited_us } => {
                write!(f, "lane {lane}, queued for {waited_us} µs")?;
                if *tag != 0 {
                    write!(f, ", tag {tag}")?;
                }
                Ok(())
            }
        }
    }
}
