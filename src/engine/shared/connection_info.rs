//! Information about the last connection.

use std::sync::Arc;

use crate::wire::response::{ResponseHead, ResponseHeaders};
use crate::wire::upgrade::UpgradeRequest;

/// The results of the last handshake.
#[derive(Default)]
pub struct ConnectionInfo {
    /// None before the first.
    request: Option<Arc<UpgradeRequest>>,
    /// Of the response, 0 before there is one.
    pub status: u16,
    pub headers: ResponseHeaders,
    pub body: Box<[u8]>,
    pub protocol: Box<str>,
    pub extensions: Box<str>,
    pub http_version: u32,
}

impl ConnectionInfo {
    /// Stores the head of the response, and its HTTP version.
    pub fn responded(&mut self, head: ResponseHead, version: u32) {
        (self.status, self.headers, self.http_version) = (head.status, head.headers, version);
    }

    /// Stores the response that refused the upgrade, and its HTTP version.
    pub fn refused(&mut self, head: Option<ResponseHead>, body: Vec<u8>, version: u32) {
        self.body = body.into();
        match head {
            Some(head) => self.responded(head, version),
            None => (self.status, self.headers, self.http_version) = Default::default(),
        }
    }

    /// The URL, after redirects.
    pub fn url(&self) -> String {
        self.request.as_ref().map(|request| request.url.full()).unwrap_or_default()
    }

    /// Starts over for a connection with this request.
    pub fn reset(&mut self, request: &Arc<UpgradeRequest>) {
        *self = Self { request: Some(request.clone()), ..Self::default() };
    }
}
