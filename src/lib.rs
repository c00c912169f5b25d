//! A WebSocket client for games and game engines.
//!
//! The network runs on worker threads of the library. The game calls [`poll`] once per frame, which runs
//! its callbacks within a time budget. No call blocks, except [`wait`] and [`shutdown`], which are bounded
//! by their timeouts.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::Duration;
//!
//! use framewire::{Socket, State};
//!
//! # fn main() -> Result<(), framewire::CallError> {
//! # let server = framewire_servers::EchoServer::start();
//! # let url = server.url("/");
//! # /*
//! let url = "wss://example.org/play"; // an echo server
//! # */
//! let log = Arc::new(Mutex::new(Vec::new()));
//!
//! let socket = Socket::create(&url)?;
//! socket.on_open(Some(Arc::new(|socket| {
//!     socket.send_text("hello").expect("the socket is open");
//! })))?;
//! let messages = log.clone();
//! socket.on_text(Some(Arc::new(move |socket, text| {
//!     messages.lock().unwrap().push(text.to_owned());
//!     socket.close(1000, "done").expect("the socket is open");
//! })))?;
//! let end = log.clone();
//! socket.on_closed(Some(Arc::new(move |_, code, reason| {
//!     end.lock().unwrap().push(format!("closed: {code} {reason}"));
//! })))?;
//! let failure = log.clone();
//! socket.on_error(Some(Arc::new(move |_, error| {
//!     failure.lock().unwrap().push(format!("error: {error}"));
//! })))?;
//!
//! socket.open()?; // returns at once
//! while socket.state() != State::Closed || framewire::pending() > 0 {
//!     framewire::wait(Duration::from_millis(16)); // a game renders a frame here
//!     framewire::poll(0, 1000); // runs callbacks for about a millisecond at most
//! }
//! socket.destroy()?;
//! framewire::shutdown(Duration::from_secs(2))?;
//!
//! assert_eq!(*log.lock().unwrap(), ["hello", "closed: 1000 done"]);
//! # Ok(())
//! # }
//! ```
//!
//! # Sockets
//!
//! A [`Socket`] is a handle to one client connection. Cloning it counts a reference; [`Socket::destroy`]
//! invalidates every clone. Configure it while it is closed, then call [`Socket::open`]. Every `open` that
//! returned `Ok` ends in exactly one terminal event, closed or error, which follows every message
//! received before it. The socket can be opened again then. With [`Socket::set_reconnect`] it reconnects
//! automatically, with exponential backoff and jitter.
//!
//! # Receiving events
//!
//! Choose one way for each socket:
//!
//! - **Callbacks in [`poll`]** (the default) run on the thread that calls it, within a time budget.
//! - **Callbacks on worker threads**, with [`Socket::set_dispatch`] and [`Dispatch::Worker`]: lowest latency.
//! - **[`next_event`]** returns events one at a time, without callbacks.
//!
//! All events of one socket are delivered in order, one at a time. A text or binary callback borrows the
//! message; [`Socket::on_text_segment`] and [`Socket::on_binary_no_alloc`] get a [`Segment`], which can be
//! kept without a copy.
//!
//! # Backpressure
//!
//! A socket whose unread events reach [`Config::event_queue_bytes`] (4 MiB) stops reading from the network
//! until the game catches up. A send beyond [`Socket::set_max_buffered_amount`] (64 MiB) returns
//! [`Code::WouldBlock`] and queues nothing.
//!
//! # Threading
//!
//! Every function may be called from any thread and inside any callback; only [`shutdown`] is refused inside
//! a callback. No callback runs while the library holds a lock that another thread waits for. A panic in a
//! callback is caught and ends the connection with an error.
//!
//! # Errors
//!
//! A call that fails returns a [`CallError`] and has no effect. A connection that fails ends with an
//! [`Error`]: its [`kind`](Error::kind), the [`phase`](Error::phase) in which it failed, whether a retry may
//! help, and a message that names the address and what to do.
//!
//! # Capabilities
//!
//! [`capabilities`] returns what this build can do: without a feature below, or in a browser, some functions
//! return [`Code::NotSupported`].
//!
//! # Features
//!
//! | feature | default | enables |
//! | --- | --- | --- |
//! | `tls` | yes | `wss:` through rustls and ring |
//! | `http2` | yes | WebSocket over HTTP/2 (RFC 8441) |
//! | `capi` | yes | the exported C functions and the replaceable allocator; disable it in a Rust program |

#![cfg_attr(not(feature = "internals"), deny(missing_docs, missing_debug_implementations))]
// Only `buffer` (payload memory), `net` (operating system calls), `ffi` (pointers from C) and, in browsers,
// `engine::browser` and `clock` (calls of JavaScript) may allow it.
#![deny(unsafe_code)]
// Code that only a disabled feature or a test uses is reported as dead.
#![cfg_attr(
    not(all(feature = "capi", feature = "http2", feature = "internals", feature = "tls")),
    allow(dead_code, unused_imports)
)]

mod buffer;
mod capabilities;
mod capture;
mod client;
mod clock;
mod engine;
mod error;
mod fault;
#[cfg(feature = "capi")]
#[allow(unsafe_code)]
mod ffi;
mod handles;
mod inside;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod limits;
mod logging;
#[cfg(all(test, any(shuttle, framewire_loom)))]
mod models;
mod net;
mod on_demand;
#[cfg(test)]
mod plain_text;
#[cfg(test)]
mod random;
mod session;
mod sync;
mod wire;

pub use client::*;
pub use error::{CallError, Code, Error, ErrorKind, Phase};
