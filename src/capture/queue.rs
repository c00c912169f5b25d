//! The queue from the workers to the thread that writes, and what is in it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use super::framing::Direction;
use super::options::CaptureOptions;
use super::tap::{Ending, Note};
use crate::limits::{CAPTURE_QUEUE_BYTES, CAPTURE_QUEUE_RECORDS};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use crate::sync::{Mutex, lock};

/// What identifies a file to both sides of the queue.
pub struct FileInfo {
    pub number: u64,
    pub path: PathBuf,
    pub options: CaptureOptions,
    /// Nothing more is written to it.
    pub has_ended: AtomicBool,
}

/// A file to capture to. It is closed when the last reference is dropped.
pub struct CaptureFile {
    pub(super) info: Arc<FileInfo>,
    pub(super) queue: Arc<Queue>,
}

impl CaptureFile {
    /// Returns whether nothing more is written to it.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.info.has_ended.load(Ordering::Relaxed)
    }
}

impl Drop for CaptureFile {
    fn drop(&mut self) {
        self.queue.command(Command::Close(self.info.number));
    }
}

/// A connection that is captured.
pub struct Captured {
    pub number: u64,
    pub file: Arc<CaptureFile>,
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub description: String,
}

/// What did not fit into the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub records: u64,
    pub bytes: u64,
}

/// Something that happened to a connection.
pub struct Record {
    pub connection: Arc<Captured>,
    /// Since 1970.
    pub time: Duration,
    /// What was lost before it, in each direction.
    pub lost: [Lost; 2],
    pub content: Content,
}

pub enum Content {
    Opened,
    Bytes {
        direction: Direction,
        bytes: Vec<u8>,
        /// Where the first unit begins.
        first_unit: Option<usize>,
        notes: Vec<Note>,
    },
    Ended(Ending),
}

/// What is not bounded by the queue: it is rare.
pub enum Command {
    Open(Arc<FileInfo>),
    Close(u64),
    /// The end of a connection that did not fit into the queue.
    Late(Box<Record>),
}

/// The queue. Many threads put records, one takes them.
pub struct Queue {
    records: SyncSender<Record>,
    /// The bytes of the records in it.
    bytes: AtomicUsize,
    commands: Mutex<Vec<Command>>,
    /// The thread waits for a wake-up.
    is_asleep: AtomicBool,
    pub is_stopping: AtomicBool,
    thread: OnceLock<Thread>,
}

/// The bytes that a record uses beside its payload.
const RECORD_OVERHEAD: usize = size_of::<Record>();

impl Queue {
    pub fn new() -> (Arc<Self>, Receiver<Record>) {
        let (sender, receiver) = sync_channel(CAPTURE_QUEUE_RECORDS);
        let queue = Self {
            records: sender,
            bytes: AtomicUsize::new(0),
            commands: Mutex::new(Vec::new()),
            is_asleep: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            thread: OnceLock::new(),
        };
        (Arc::new(queue), receiver)
    }

    /// Reserves space for the payload of a record. False if the queue is full.
    pub fn reserve(&self, payload: usize) -> bool {
        let size = payload + RECORD_OVERHEAD;
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        if before + size > CAPTURE_QUEUE_BYTES {
            self.release(payload);
            return false;
        }
        true
    }

    /// Releases the space of a record.
    pub fn release(&self, payload: usize) {
        self.bytes.fetch_sub(payload + RECORD_OVERHEAD, Ordering::Relaxed);
    }

    /// Appends a record, whose space is reserved. Returns it if the queue is full.
    pub fn put(&self, record: Record) -> Result<(), Record> {
        if let Err(error) = self.records.try_send(record) {
            return Err(match error {
                std::sync::mpsc::TrySendError::Full(record)
                | std::sync::mpsc::TrySendError::Disconnected(record) => record,
            });
        }
        self.wake(self.bytes.load(Ordering::Relaxed) > CAPTURE_QUEUE_BYTES / 4);
        Ok(())
    }

    pub fn command(&self, command: Command) {
        lock(&self.commands).push(command);
        self.wake(false);
    }

    pub fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.commands))
    }

    pub fn has_commands(&self) -> bool {
        !lock(&self.commands).is_empty()
    }

    /// Ends the thread, after it has written what is queued.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.wake(true);
    }

    /// Wakes the thread if it sleeps; with `now`, also from the pause between two writes. A wake-up is a system call
    /// only then.
    fn wake(&self, now: bool) {
        fence(Ordering::SeqCst);
        if (now || self.is_asleep.load(Ordering::Relaxed) && self.is_asleep.swap(false, Ordering::Relaxed))
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    // ------------------------------------------------------------------ the thread's side

    /// Makes the current thread the one that is woken.
    pub fn serve(&self) {
        self.thread.get_or_init(std::thread::current);
    }

    /// Sleeps until something is put, unless `is_empty` returns false.
    pub fn sleep(&self, is_empty: impl FnOnce() -> bool) {
        self.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if is_empty() && !self.is_stopping.load(Ordering::Acquire) {
            std::thread::park();
        }
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}
