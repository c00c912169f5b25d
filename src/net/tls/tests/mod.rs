//! TLS against a real server on loopback.

mod certificates;
mod peers;
mod settings;
mod transfer;
