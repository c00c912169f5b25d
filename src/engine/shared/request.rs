//! The upgrade request while the game can change it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::error::{CallError, Code};
use crate::handles::Handles;
use crate::sync::{Mutex, lock, statics};
use crate::wire::header::{HeaderError, check_may_change};
use crate::wire::upgrade::UpgradeRequest;

statics! {
    static REQUESTS: Handles<Weak<Inner>> = Handles::new();
}

/// The upgrade request of a connection attempt, while it can be changed.
///
/// Invalid once its callback has returned or its event was dropped; the connection then continues with it.
#[derive(Clone)]
pub struct Request(Arc<Inner>);

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("attempt", &self.attempt()).finish_non_exhaustive()
    }
}

/// The request itself, which the worker waits for.
pub struct Draft {
    request: Mutex<UpgradeRequest>,
    /// The game has finished with it.
    done: AtomicBool,
}

impl Draft {
    pub fn new(request: UpgradeRequest) -> Arc<Self> {
        Arc::new(Self { request: Mutex::new(request), done: AtomicBool::new(false) })
    }

    /// The changed request, after the game has finished with it.
    pub fn finished(&self) -> Option<UpgradeRequest> {
        self.done.load(Ordering::Acquire).then(|| lock(&self.request).clone())
    }
}

/// Whoever continues when the game has finished with the request.
pub trait Notify: Send + Sync {
    fn notify(self: Arc<Self>);
}

struct Inner {
    id: u64,
    attempt: u32,
    http_version: u32,
    draft: Arc<Draft>,
    notify: Weak<dyn Notify>,
    finished: AtomicBool,
}

impl Request {
    pub(crate) fn new(
        draft: Arc<Draft>,
        attempt: u32,
        http_version: u32,
        notify: Weak<dyn Notify>,
    ) -> Result<Self, CallError> {
        let mut made = None;
        REQUESTS
            .insert_with(|id| {
                let finished = AtomicBool::new(false);
                let inner = Arc::new(Inner { id, attempt, http_version, draft, notify, finished });
                let weak = Arc::downgrade(&inner);
                made = Some(Request(inner));
                weak
            })
            .map_err(|_| CallError::out_of_memory())?;
        made.ok_or_else(CallError::out_of_memory)
    }

    /// Returns the request with this ID, or [`InvalidHandle`](Code::InvalidHandle) if there is none.
    pub fn from_id(id: u64) -> Result<Self, CallError> {
        match REQUESTS.get(id).and_then(|weak| weak.upgrade()) {
            Some(inner) if !inner.finished.load(Ordering::Acquire) => Ok(Request(inner)),
            _ => Err(CallError::new(
                Code::InvalidHandle,
                "the request has ended: its callback has returned, or its event was released",
            )),
        }
    }

    /// Returns the ID of the request, for [`from_id`](Request::from_id).
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Returns the URL of this attempt.
    pub fn url(&self) -> String {
        lock(&self.0.draft.request).url.full()
    }

    /// Returns the HTTP version: 1 for an upgrade (RFC 6455), 2 for an extended CONNECT (RFC 8441).
    pub fn http_version(&self) -> u32 {
        self.0.http_version
    }

    /// Returns the number of the attempt, from 1 for each [`Socket::open`](crate::Socket::open).
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Sets a header field and removes all others with this name.
    pub fn set_header(&self, name: &str, value: &str) -> Result<(), CallError> {
        self.change(|request| request.headers.set(name, value))
    }

    /// Adds a header field. Header fields of the handshake itself return
    /// [`InvalidArgument`](Code::InvalidArgument), also in the other functions.
    pub fn add_header(&self, name: &str, value: &str) -> Result<(), CallError> {
        self.change(|request| request.headers.add(name, value))
    }

    /// Removes all header fields with this name. Succeeds if there is none.
    pub fn remove_header(&self, name: &str) -> Result<(), CallError> {
        self.change(|request| {
            check_may_change(name)?;
            request.headers.remove(name);
            Ok(())
        })
    }

    /// Returns the first header field with this name among those that can be changed.
    pub fn header(&self, name: &str) -> Option<String> {
        lock(&self.0.draft.request).headers.get(name).map(str::to_owned)
    }

    /// Finishes the request early: it becomes invalid and the connection continues.
    pub fn finish(&self) {
        self.0.finish();
    }

    fn change(
        &self,
        change: impl FnOnce(&mut UpgradeRequest) -> Result<(), HeaderError>,
    ) -> Result<(), CallError> {
        if self.0.finished.load(Ordering::Acquire) {
            return Err(CallError::new(Code::InvalidHandle, "the request has ended"));
        }
        change(&mut lock(&self.0.draft.request)).map_err(refused)
    }
}

fn refused(error: HeaderError) -> CallError {
    CallError::argument(error.to_string())
}

impl Inner {
    fn finish(&self) {
        if self.finished.swap(true, Ordering::AcqRel) {
            return;
        }
        REQUESTS.remove(self.id);
        self.draft.done.store(true, Ordering::Release);
        if let Some(socket) = self.notify.upgrade() {
            socket.notify();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Frees the table's memory if no request is left.
pub(crate) fn shrink() {
    REQUESTS.shrink();
}
