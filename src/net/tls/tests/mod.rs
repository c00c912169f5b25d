//! TLS against a real server on loopback.

mod certificates;
mod direct;
mod peers;
mod settings;
mod transfer;
