//! The results of handshakes, reads and writes on a non-blocking stream.

/// The state of the TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Read once before waiting for readiness: the handshake may have received data already.
    Done,
    WouldBlock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// `n` bytes were read; 0 with TLS if the record carried no application data. With `more`, another read
    /// may return data at once; without it, wait for the next readiness event.
    Data {
        n: usize,
        more: bool,
    },
    WouldBlock,
    /// The peer has finished sending. `clean` if no truncation is possible: close_notify, or a FIN without
    /// TLS.
    Eof {
        clean: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// `n` bytes were accepted; with TLS they may not have reached the kernel yet.
    Written { n: usize },
    /// None were accepted. Wait for the next readiness event.
    WouldBlock,
}

pub(super) const READING: &str = "reading from the network";
pub(super) const WRITING: &str = "writing to the network";
