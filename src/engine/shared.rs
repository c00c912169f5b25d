//! What game threads and workers share.
//!
//! | file | content |
//! | --- | --- |
//! | `config`, `state`, `key`, `counters`, `buffered_amount`, `random` | the configuration, states and choices, the identifier of a connection, statistics, the size of the send queue, random numbers |
//! | `origins`, `tls`, `settings`, `connection_info` | cached facts about servers, TLS settings, the caller's settings, the last handshake |
//! | `request`, `event`, `callbacks` | the upgrade request, the events, the callbacks |
//! | `message_run`, `event_queue`, `ready_list` | bursts of small messages, a socket's queue of events, the sockets with events |
//! | `commands`, `queues`, `inbox` | commands to a worker, where they are, and its wakeup |
//! | `socket`, `sockets` | the state of a socket, the table of handles |
//! | `dispatch`, `budget`, `delivery` | running callbacks, and taking events from the queues |
//!
//! Each file uses only those above it in this table.

pub mod budget;
pub mod buffered_amount;
pub mod callbacks;
pub mod commands;
pub mod config;
pub mod connection_info;
pub mod counters;
pub mod delivery;
pub mod dispatch;
pub mod event;
pub mod event_queue;
pub mod inbox;
pub mod key;
pub mod message_run;
pub mod origins;
pub mod queues;
pub mod random;
pub mod ready_list;
pub mod request;
pub mod settings;
pub mod socket;
pub mod sockets;
pub mod state;
pub mod tls;
