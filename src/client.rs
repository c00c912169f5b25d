//! The safe Rust API, all of which the crate exports. The C ABI is implemented on top of it.
//!
//! Independent of C.

mod android;
mod library;
mod sending;
mod settings;
mod socket;
mod state;
mod tls;

pub use android::android_init;
pub use library::{
    end_capture, init, network_changed, next_event, next_events, pending, poll, resume, set_capture,
    set_link, set_log, shutdown, suspend, wait,
};
pub use socket::EventBatch;
pub use tls::Tls;

#[cfg(feature = "capi")]
pub(crate) use self::library::take_events;
#[cfg(feature = "capi")]
pub(crate) use crate::buffer::lease;
pub use crate::buffer::{OutOfMemory, PoolStats, Segment, stats as pool_stats, trim as pool_trim};
pub use crate::capabilities::{Capabilities, Capability, capabilities};
pub use crate::capture::CaptureOptions;
#[cfg(feature = "capi")]
pub(crate) use crate::engine::shared::callbacks::{Handler as HandlerOf, Wants};
pub use crate::engine::shared::config::Config;
pub use crate::engine::shared::counters::Stats;
pub use crate::engine::shared::delivery::Event;
#[cfg(feature = "capi")]
pub(crate) use crate::engine::shared::delivery::Taken;
pub use crate::engine::shared::event::{EventKind, EventType, Frame};
pub use crate::engine::shared::message_run::Messages;
#[cfg(feature = "capi")]
pub(crate) use crate::engine::shared::message_run::TakeMessages;
pub use crate::engine::shared::request::Request;
#[cfg(feature = "capi")]
pub(crate) use crate::engine::shared::socket::Handler;
pub use crate::engine::shared::socket::{
    Callbacks, OnBytes, OnClosed, OnError, OnFrame, OnReconnecting, OnRequest, OnSegment, OnSent, OnSocket,
    OnText, Socket,
};
pub use crate::engine::shared::state::{Dispatch, HttpVersion, State};
#[cfg(feature = "capi")]
pub(crate) use crate::handles::nth as nth_handle;
pub use crate::logging::{LogFn, LogLevel};
pub use crate::net::link::{LinkConditions, LinkCut};
pub use crate::net::tls::Roots;
pub use crate::session::MessageType;
pub use crate::session::extension::{Extension, ExternalExtension, Piece};
pub use crate::session::lanes::{Lane, LaneStats, Outcome};
pub use crate::session::reconnect::Reconnect;
pub use crate::wire::deflate::DeflateConfig as Compression;
pub use sending::{Content, SendFlags, SendOptions};
#[cfg(feature = "capi")]
pub(crate) use sending::{send_binary, send_encoded_text, send_text};
