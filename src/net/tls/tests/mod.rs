//! TLS against a real server on loopback.

mod certificates;
mod direct;
mod explanations;
mod peers;
mod settings;
mod transfer;
mod variants;
