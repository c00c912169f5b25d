//! The table of sockets by handle.

use super::settings::Settings;
use super::socket::{Inbox, ReadyList, Shared, Socket};
use crate::error::CallError;
use crate::handles::Handles;
use crate::sync::statics;
use std::sync::Arc;

statics! {
    static SOCKETS: Handles<Socket> = Handles::new();
}

/// Creates a socket.
pub fn insert(
    ready_list: Arc<ReadyList>,
    worker: Arc<Inbox>,
    settings: Settings,
) -> Result<Socket, CallError> {
    let mut made = None;
    SOCKETS
        .insert_with(|id| {
            let socket = Socket(Arc::new(Shared::new(id, ready_list, worker, settings)));
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

/// Runs `access` with the socket of a handle, without a new reference to it. The table is locked meanwhile, so
/// `access` must be short and must not wait.
#[inline]
pub fn with<R>(id: u64, access: impl FnOnce(&Socket) -> R) -> Option<R> {
    SOCKETS.with(id, |socket| access(socket))
}

/// All sockets.
pub fn all() -> Vec<Socket> {
    SOCKETS.all()
}

/// Invalidates a handle.
pub fn remove(id: u64) -> Option<Socket> {
    SOCKETS.remove(id)
}

/// Invalidates all handles.
pub fn remove_all() -> Vec<Socket> {
    SOCKETS.remove_all()
}

/// Frees the table's memory if no socket is left.
pub fn shrink() {
    SOCKETS.shrink();
}
