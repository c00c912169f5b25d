//! One connection, on its worker: from name resolution to the terminal event.
//!
//! ```text
//!      ┌────────────── a redirect, a fallback to HTTP/1.1, or a reconnect ─────────────────────────┐
//!   Waiting       ┌────────────────────> AwaitingStream (HTTP/2) ───────────────────┐              │
//!      └> Resolving ─> Connecting ─> ProxyHandshake ─> TlsHandshake ─> RequestEvent ─> Live ───────┤
//!              └────────────┴──────────────┴──────────────┴──────────────┴───── any end ───────────┤
//!                                                                         terminal event <─────────┘
//!                                                               (lingers) ─> finished <─┘
//! ```
//!
//! `Connecting` goes through `FindingNat64` on a network without IPv4. `ProxyHandshake` only through a proxy,
//! `TlsHandshake` only for `wss:`, `RequestEvent` only if the game can change the upgrade request. A connection ends by the connect timeout, a cancel, a failure or a close.
//! After the terminal event it is detached from its socket, which may open the next one; it lingers only to
//! send its remaining bytes and to let the server end the TCP connection first (RFC 6455 section 7.1.1).
//!
//! | file | purpose |
//! | --- | --- |
//! | `timers`, `context` | what a turn uses of the worker |
//! | `outcomes` | what became of the messages of lanes |
//! | `transport`, `tunnel`, `terminal`, `counter_base` | TCP or an HTTP/2 stream, the handshake with a proxy, the terminal event, statistics |
//! | `state`, `candidate` | the connection and its stages |
//! | `connecting` | from the name to the upgrade request |
//! | `link` | the simulated link |
//! | `capture` | the capture of its traffic |
//! | `proxy` | through a proxy |
//! | `sharing` | over a shared HTTP/2 connection |
//! | `fallback` | HTTP/1.1 after HTTP/2 has failed |
//! | `restart` | redirects and reconnects |
//! | `network_change` | changes of the network, suspend and resume |
//! | `handover` | a second connection that replaces one that may be dead |
//! | `session_io` | bytes between transport and session, events to the game |
//! | `lanes` | the lanes of the socket |
//! | `ending` | how a connection ends |
//! | `turn` | turns, and commands of the worker |
//!
//! The files from `connecting` on are the methods of the connection; they use those above and not each other.

mod candidate;
mod capture;
mod connecting;
pub mod context;
mod counter_base;
mod ending;
mod fallback;
mod handover;
mod lanes;
mod link;
mod network_change;
mod outcomes;
mod proxy;
mod restart;
mod session_io;
mod sharing;
mod state;
mod terminal;
pub mod timers;
mod transport;
mod tunnel;
mod turn;

pub use handover::Replaced;
pub use state::{Connection, TurnResult};
pub use terminal::end_without_connection;
