//! Establishing a connection: the upgrade request and its response, redirects and cookies, proxies, TLS.
//!
//! Each test uses its own sockets only, so all of them run in parallel in one process.

#[path = "../common/mod.rs"]
mod common;
mod proxy;
mod redirects;
mod requests;
mod responses;
#[cfg(feature = "tls")]
mod tls;
