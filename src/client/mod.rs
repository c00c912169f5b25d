//! The safe façade: what a Rust game uses, and what the C ABI is a skin over.
//!
//! ```no_run
//! use std::sync::Arc;
//! use framewire::{Socket, poll};
//!
//! let socket = Socket::create("wss://example.org/play")?;
//! socket.on_open(Some(Arc::new(|socket| drop(socket.send_text("hello")))))?;
//! socket.on_text(Some(Arc::new(|_, text| println!("{text}"))))?;
//! socket.open()?;
//! loop {
//!     poll(0, 1000); // once a frame: whatever waits, within a millisecond
//! #   break;
//! }
//! # Ok::<(), framewire::CallError>(())
//! ```
//!
//! Everything may be called from any thread and inside any callback, and nothing waits, except
//! [`wait`] and [`shutdown`], which wait no longer than they are told. Knows nothing of C.

mod library;
mod sending;
mod settings;
mod socket;
mod state;
mod tls;

pub use library::{
    init, network_changed, next_event, next_events, pending, poll, resume, set_log, shutdown, suspend, wait,
};
pub use tls::Tls;

#[cfg(feature = "capi")]
pub(crate) use crate::buffer::lease;
pub use crate::buffer::{OutOfMemory, PoolStats, Segment, stats as pool_stats, trim as pool_trim};
pub use crate::engine::library::Config;
pub use crate::engine::shared::counters::Stats;
pub use crate::engine::shared::delivery::Event;
pub use crate::engine::shared::event::{EventKind, EventType, Frame};
pub use crate::engine::shared::request::Request;
pub use crate::engine::shared::socket::{
    Callbacks, OnBytes, OnClosed, OnError, OnFrame, OnReconnecting, OnRequest, OnSegment, OnSocket, OnText,
    Socket,
};
pub use crate::engine::shared::state::{Dispatch, HttpVersion, State};
pub use crate::logging::{LogFn, LogLevel};
pub use crate::net::tls::Roots;
pub use crate::session::MessageType;
pub use crate::session::extension::{Extension, Piece};
pub use crate::session::reconnect::Reconnect;
pub use crate::wire::deflate::DeflateConfig as Compression;
pub use sending::SendFlags;
