//! TLS records in memory, without a socket: rustls between plaintext and ciphertext, and the little of both that has
//! to wait. Between two calls an idle connection holds neither.

use std::cell::RefCell;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, Error, InvalidMessage};

use crate::limits;

/// The largest amount of plaintext in a record (RFC 8446 section 5.1).
const RECORD: usize = 16 << 10;

/// The largest handshake message that rustls accepts has room, in full records with a header, a tag and the type of
/// the content.
const _: () = {
    const LARGEST: usize = 0xffff;
    assert!(limits::TLS_INCOMPLETE > LARGEST + LARGEST.div_ceil(RECORD) * (5 + 16 + 1));
};

/// The state of a connection: its keys, and bytes that could not be passed on yet.
pub struct Records {
    tls: UnbufferedClientConnection,
    /// The beginning of a record, or records with the beginning of a handshake message. rustls has seen it, has
    /// decrypted whole records in place, and wants to see it again with what follows.
    incoming: Vec<u8>,
    /// Plaintext that had no room in the caller's buffers.
    surplus: Rest,
    /// Records that the socket has not accepted.
    outgoing: Rest,
    peer_closed: bool,
    /// rustls must not be used any more, except for what it has to send.
    failed: Option<Box<Error>>,
}

impl Records {
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        Ok(Self {
            tls: UnbufferedClientConnection::new(config, name)?,
            incoming: Vec::new(),
            surplus: Rest::default(),
            outgoing: Rest::default(),
            peer_closed: false,
            failed: None,
        })
    }

    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Returns the version that the peer has chosen, once it has sent valid TLS.
    pub fn version(&self) -> Option<rustls::ProtocolVersion> {
        self.tls.protocol_version()
    }

    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// The peer has sent close_notify.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Adds close_notify to [`outgoing`](Self::outgoing), after a handshake.
    pub fn send_close_notify(&mut self) {
        // With room for the answer to a key update, which has to come first.
        let mut record = [0; 128];
        let sealed = self.with_traffic(|mut traffic| traffic.queue_close_notify(&mut record));
        if let Ok(Ok(n)) = sealed {
            self.outgoing.extend(&record[..n]);
        }
    }

    /// Returns whether [`outgoing`](Self::outgoing) has bytes.
    pub fn wants_write(&self) -> bool {
        !self.outgoing.is_empty() || self.tls.wants_write()
    }

    /// Returns the records that the socket has to accept before any others.
    pub fn outgoing(&mut self) -> &mut Rest {
        // While rustls has records, it looks at nothing else.
        while self.tls.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(records)) = self.tls.process_tls_records(&mut []).state
        {
            encode(records, &mut self.outgoing);
        }
        &mut self.outgoing
    }

    /// Returns where [sealed](Self::seal) records go if they have to wait: before what rustls has added after them.
    pub fn sealed(&mut self) -> &mut Rest {
        &mut self.outgoing
    }

    /// Moves plaintext that waits into `out`.
    pub fn deliver(&mut self, out: &mut Fill<'_, '_>) {
        let taken = out.put(self.surplus.bytes());
        self.surplus.advance(taken);
    }

    /// Copies the ciphertext that waits to the beginning of `buffer`; returns its length. What is received goes
    /// behind it, and both to [`open`](Self::open).
    pub fn continue_in(&self, buffer: &mut Vec<u8>) -> usize {
        let waiting = self.incoming.len();
        if buffer.len() < waiting {
            buffer.resize(waiting, 0);
        }
        buffer[..waiting].copy_from_slice(&self.incoming);
        waiting
    }

    /// Decrypts the whole records of `input` into `out` and keeps the rest. What TLS itself answers, such as an
    /// alert for an error, is added to [`outgoing`](Self::outgoing). After an error returns it again.
    pub fn open(&mut self, input: &mut [u8], out: &mut Fill<'_, '_>) -> Result<(), Error> {
        self.check()?;
        self.process(input, out).inspect_err(|error| self.failed = Some(Box::new(error.clone())))
    }

    fn process(&mut self, input: &mut [u8], out: &mut Fill<'_, '_>) -> Result<(), Error> {
        self.incoming.clear();
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut input[used..]);
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        used += record.discard;
                        let taken = out.put(record.payload);
                        self.surplus.extend(&record.payload[taken..]);
                    }
                }
                ConnectionState::EncodeTlsData(records) => encode(records, &mut self.outgoing),
                ConnectionState::TransmitTlsData(records) => records.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                // It wants more, or is closed in both directions.
                _ => {
                    used += discard;
                    break;
                }
            }
            used += discard;
        }
        // What follows close_notify is ignored (RFC 8446 section 6.1).
        let rest = if self.peer_closed { &[] } else { &input[used..] };
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else if rest.len() <= limits::TLS_INCOMPLETE {
            self.incoming.extend_from_slice(rest);
        } else {
            return Err(InvalidMessage::HandshakePayloadTooLarge.into());
        }
        Ok(())
    }

    /// Encrypts as much of `buffers` as may be under way into records at the beginning of `sealed`, which come after
    /// those that are [`outgoing`](Self::outgoing); returns the lengths of both. Fails with `EncryptError` when a cipher
    /// of TLS 1.2 must not be used for more records.
    pub fn seal(&mut self, buffers: &[IoSlice<'_>], sealed: &mut Vec<u8>) -> Result<Sealed, Error> {
        with_scratch(|copied| {
            self.with_traffic(|mut traffic| {
                let mut plaintext = Gather { buffers, offset: 0, copied };
                let mut lengths = Sealed { plaintext: 0, records: 0 };
                while let Some(record) =
                    plaintext.next(RECORD.min(limits::TLS_SEND_BUFFER - lengths.plaintext))
                {
                    lengths.records += loop {
                        match traffic.encrypt(record, &mut sealed[lengths.records..]) {
                            Ok(n) => break n,
                            Err(EncryptError::InsufficientSize(size)) => {
                                sealed.resize(lengths.records + size.required_size, 0);
                            }
                            // The next call fails.
                            Err(_) if lengths.plaintext > 0 => return Ok(lengths),
                            Err(_) => return Err(Error::EncryptError),
                        }
                    };
                    lengths.plaintext += record.len();
                }
                Ok(lengths)
            })?
        })
    }

    fn check(&self) -> Result<(), Error> {
        self.failed.as_deref().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Calls `f` with what encrypts, after a handshake.
    fn with_traffic<T>(
        &mut self,
        f: impl FnOnce(WriteTraffic<'_, ClientConnectionData>) -> T,
    ) -> Result<T, Error> {
        self.check()?;
        // What rustls has to send comes first.
        self.outgoing();
        let traffic = loop {
            match self.tls.process_tls_records(&mut self.incoming).state? {
                ConnectionState::WriteTraffic(traffic) => break traffic,
                ConnectionState::TransmitTlsData(records) => records.done(),
                _ => return Err(Error::HandshakeNotComplete),
            }
        };
        Ok(f(traffic))
    }
}

/// The amount of plaintext, and of the records that it became.
pub struct Sealed {
    pub plaintext: usize,
    pub records: usize,
}

fn encode(mut records: EncodeTlsData<'_, ClientConnectionData>, outgoing: &mut Rest) {
    if let Err(EncodeError::InsufficientSize(size)) = records.encode(&mut []) {
        let start = outgoing.bytes.len();
        outgoing.bytes.resize(start + size.required_size, 0);
        // Fails only if there is too little room, or the second time.
        let _ = records.encode(&mut outgoing.bytes[start..]);
    }
}

/// Bytes that wait, and are taken from the front.
#[derive(Default)]
pub struct Rest {
    bytes: Vec<u8>,
    taken: usize,
}

impl Rest {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes bytes away. Nothing stays allocated for no bytes.
    pub fn advance(&mut self, n: usize) {
        self.taken += n;
        if self.taken == self.bytes.len() {
            *self = Self::default();
        }
    }
}

/// Takes pieces from a list of buffers, in order.
struct Gather<'a> {
    buffers: &'a [IoSlice<'a>],
    /// What has been taken of the first buffer.
    offset: usize,
    copied: &'a mut Vec<u8>,
}

impl<'a> Gather<'a> {
    /// Returns the next bytes, up to `most`, if there are any. Copies them only from several buffers.
    fn next(&mut self, most: usize) -> Option<&[u8]> {
        let first = self.skip_taken().filter(|_| most > 0)?;
        let left = &first[self.offset..];
        if left.len() >= most || self.buffers.len() == 1 {
            let n = left.len().min(most);
            self.offset += n;
            return Some(&left[..n]);
        }
        if self.copied.len() < most {
            self.copied.resize(most, 0);
        }
        let mut copied = 0;
        while copied < most
            && let Some(first) = self.skip_taken()
        {
            let left = &first[self.offset..];
            let n = left.len().min(most - copied);
            self.copied[copied..copied + n].copy_from_slice(&left[..n]);
            self.offset += n;
            copied += n;
        }
        Some(&self.copied[..copied])
    }

    /// Returns the first buffer of which something is left.
    fn skip_taken(&mut self) -> Option<&'a [u8]> {
        while let [first, others @ ..] = self.buffers {
            if self.offset < first.len() {
                return Some(first);
            }
            (self.buffers, self.offset) = (others, 0);
        }
        None
    }
}

/// Calls `f` with a buffer of this thread: one serves all connections of a worker, and another the TLS within TLS
/// to a proxy.
pub fn with_scratch<T>(f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }
    // Taken rather than borrowed: code that runs meanwhile may call the host's log function.
    let mut scratch = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = f(&mut scratch);
    SCRATCH.with_borrow_mut(|unused| unused.push(scratch));
    result
}

/// Fills a list of buffers in order.
pub struct Fill<'a, 'b> {
    buffers: &'a mut [IoSliceMut<'b>],
    /// The position of the first free byte: buffer and offset.
    current: usize,
    offset: usize,
    filled: usize,
    size: usize,
}

impl<'a, 'b> Fill<'a, 'b> {
    pub fn new(buffers: &'a mut [IoSliceMut<'b>]) -> Self {
        let size = buffers.iter().map(|buffer| buffer.len()).sum();
        Self { buffers, current: 0, offset: 0, filled: 0, size }
    }

    pub fn filled(&self) -> usize {
        self.filled
    }

    pub fn room(&self) -> usize {
        self.size - self.filled
    }

    /// Copies what has room; returns its length.
    fn put(&mut self, mut bytes: &[u8]) -> usize {
        let before = self.filled;
        while !bytes.is_empty()
            && let Some(buffer) = self.buffers.get_mut(self.current)
        {
            let free = &mut buffer[self.offset..];
            let n = free.len().min(bytes.len());
            free[..n].copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            self.offset += n;
            self.filled += n;
            if n == free.len() {
                self.current += 1;
                self.offset = 0;
            }
        }
        self.filled - before
    }
}
