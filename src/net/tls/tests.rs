//! TLS against a real server on loopback.

mod certificates;
mod direct_trust;
mod error_messages;
mod error_variants;
pub mod harness;
mod records;
mod settings;
mod transfer;
