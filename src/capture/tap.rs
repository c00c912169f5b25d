//! The worker's side of a capture: one tap for each connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use super::framing::{Direction, Framing};
use super::notes::{EndedBy, Ending, Lost, Note};
use super::queue::{CaptureFile, Captured, Command, Content, Record};
use crate::clock::unix_time;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::statics;

statics! {
    /// The number of the next connection that is captured.
    static NEXT: AtomicU64 = AtomicU64::new(0);
}

/// Copies the bytes of a connection into the queue. Dropping it records the end of the connection.
pub struct Tap {
    connection: Arc<Captured>,
    framing: [Framing; 2],
    /// Not in the queue yet.
    lost: [Lost; 2],
    ending: Ending,
}

impl Tap {
    /// Starts to capture a connection, of which the upgrade request is not sent yet. `addresses` are those of this side
    /// and of the server or proxy.
    pub fn new(
        file: Arc<CaptureFile>,
        addresses: Option<(SocketAddr, SocketAddr)>,
        description: String,
    ) -> Self {
        // Not known if the connection is lost already: addresses for documentation (RFC 5737).
        let documentation = |last| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 0));
        let (client, server) = addresses.unwrap_or((documentation(1), documentation(2)));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tap = Self {
            connection: Arc::new(Captured { number, file, client, server, description }),
            framing: [Framing::new(Direction::Sent), Framing::new(Direction::Received)],
            lost: [Lost::default(); 2],
            ending: Ending { by: EndedBy::Client, reason: String::new() },
        };
        let queue = &tap.connection.file.queue;
        if queue.reserve(0) && queue.put(tap.record(Content::Opened)).is_some() {
            // The first record that fits opens it.
            queue.release(0);
        }
        tap
    }

    pub fn file(&self) -> &Arc<CaptureFile> {
        &self.connection.file
    }

    /// Records the first `count` bytes of `parts`. The notes are in the order of their positions.
    #[cold]
    pub fn bytes<P: Deref<Target = [u8]>>(
        &mut self,
        direction: Direction,
        parts: &[P],
        count: usize,
        notes: Vec<Note>,
    ) {
        if count == 0 || self.connection.file.has_ended() {
            return;
        }
        let queue = &self.connection.file.queue;
        let mut bytes = Vec::new();
        let mut is_kept = queue.reserve(count);
        if is_kept && bytes.try_reserve_exact(count).is_err() {
            queue.release(count);
            is_kept = false;
        }
        let (mut at, mut first_unit) = (0, None);
        for part in parts {
            let part = &part[..part.len().min(count - at)];
            if let Some(first) = self.framing[direction as usize].skip(part) {
                first_unit = first_unit.or(Some(at + first));
            }
            if is_kept {
                bytes.extend_from_slice(part);
            }
            at += part.len();
        }
        if is_kept {
            let record = self.record(Content::Bytes { direction, bytes, first_unit, notes });
            is_kept = queue.put(record).is_none();
            if is_kept {
                self.lost = [Lost::default(); 2];
                return;
            }
            queue.release(count);
        }
        let lost = &mut self.lost[direction as usize];
        lost.records += 1;
        lost.bytes += count as u64;
    }

    /// Sets how the connection ends. The first reason is kept, as it explains those that follow.
    pub fn set_ending(&mut self, by: EndedBy, reason: impl FnOnce() -> String) {
        if self.ending.by == EndedBy::Client {
            self.ending.by = by;
        }
        if self.ending.reason.is_empty() {
            self.ending.reason = reason();
        }
    }

    fn record(&self, content: Content) -> Record {
        Record { connection: self.connection.clone(), time: unix_time(), lost: self.lost, content }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let ending = Ending { by: self.ending.by, reason: std::mem::take(&mut self.ending.reason) };
        let record = self.record(Content::Ended(ending));
        let queue = &self.connection.file.queue;
        let left =
            if queue.reserve(0) { queue.put(record).inspect(|_| queue.release(0)) } else { Some(record) };
        if let Some(record) = left {
            queue.command(Command::Late(Box::new(record)));
        }
    }
}
