//! A connection against the server side of `h2`, both driven by hand over one TCP connection.

mod closing;
mod harness;
mod transfer;
