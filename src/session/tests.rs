//! The session against a scripted peer and a clock that only the tests move.
//!
//! Every promise is tried with the peer's bytes whole, in random pieces and one by one, and
//! compared with what a plain reading of the RFC expects.

mod closing;
mod compressed;
mod handshake;
mod lanes;
mod memory;
mod peer;
mod receiving;
mod sending;
