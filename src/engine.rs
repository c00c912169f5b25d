//! Worker threads: commands in, events out.
//!
//! ```text
//!  game threads                         one of a few workers
//!  ────────────                         ───────────────────────────────────────────
//!  open, send, close ─> to_worker ─┐    ┌─> connection: connect ─> TLS ─> session
//!                        (notify)  └──> │      │ a turn: read, process, write
//!                                  inbox│      v
//!  poll, next_event <── event queue <───┴── events, a batch per turn
//!         ^── ready list: the sockets with events
//! ```
//!
//! | module | purpose |
//! | --- | --- |
//! | `shared` | what game threads and workers share: socket state, event queue, inbox, callbacks, delivery |
//! | `http2` | the HTTP/2 connections that sockets share |
//! | `connection` | one connection, from name resolution to the terminal event, and what it uses of its worker |
//! | `worker` | the loop: readiness, commands, timers, turns |
//! | `workers` | the worker threads |
//! | `browser` | in a web page, instead of the four above it: the browser's WebSocket, without threads |
//! | `library` | start and stop |
//!
//! Each module uses only those above it in this table. User code is never called with a lock held that
//! another thread waits for. Does not know the C ABI.

// The functions of JavaScript are not part of the C header.
/// cbindgen:ignore
#[cfg(target_family = "wasm")]
pub mod browser;
#[cfg(not(target_family = "wasm"))]
pub mod connection;
#[cfg(not(target_family = "wasm"))]
pub mod http2;
pub mod library;
pub mod shared;
#[cfg(not(target_family = "wasm"))]
pub mod worker;
#[cfg(not(target_family = "wasm"))]
pub mod workers;
