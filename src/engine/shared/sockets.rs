//! The table of sockets by handle.

use super::commands::ToWorker;
use super::queues::Queues;
use super::settings::Settings;
use super::socket::{Inbox, ReadyList, Shared, Socket};
use crate::error::CallError;
use crate::handles::Handles;
use crate::sync::statics;
use std::sync::Arc;

statics! {
    static SOCKETS: Handles<Socket> = Handles::new();
    static QUEUES: Queues<Shared> = Queues::new();
}

/// Creates a socket.
pub fn insert(
    ready_list: Arc<ReadyList>,
    worker: Arc<Inbox>,
    settings: Settings,
) -> Result<Socket, CallError> {
    let mut made = None;
    let queue = QUEUES.claim();
    SOCKETS
        .insert_with(|id| {
            let socket = Socket(Arc::new(Shared::new(id, ready_list, worker, settings, queue)));
            // Before another thread can remove the handle, and withdraw the socket.
            QUEUES.publish(&socket.0, &socket.0.to_worker);
            made = Some(socket.clone());
            socket
        })
        .map_err(|_| CallError::out_of_memory())?;
    made.ok_or_else(CallError::out_of_memory)
}

/// The socket of a handle.
#[inline]
pub fn find(id: u64) -> Option<Socket> {
    SOCKETS.get(id)
}

/// Runs `access` with the socket of a handle and its locked queue, if it can be found without the lock of the table
/// and without waiting. `access` must be short.
#[inline]
pub fn with_queue<R>(id: u64, access: impl FnOnce(&Arc<Shared>, &mut ToWorker) -> R) -> Option<R> {
    QUEUES.with(id, access)
}

/// All sockets.
pub fn all() -> Vec<Socket> {
    SOCKETS.all()
}

/// Invalidates a handle.
pub fn remove(id: u64) -> Option<Socket> {
    let socket = SOCKETS.remove(id);
    socket.iter().for_each(|socket| socket.0.to_worker.withdraw());
    socket
}

/// Invalidates all handles.
pub fn remove_all() -> Vec<Socket> {
    let sockets = SOCKETS.remove_all();
    sockets.iter().for_each(|socket| socket.0.to_worker.withdraw());
    sockets
}

/// Frees the table's memory if no socket is left.
pub fn shrink() {
    SOCKETS.shrink();
}
