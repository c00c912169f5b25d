//! Information about the last connection.

use std::sync::Arc;

use crate::wire::response::ResponseHead;
use crate::wire::upgrade::UpgradeRequest;

/// The results of the last handshake.
#[derive(Default)]
pub struct ConnectionInfo {
    /// None before the first.
    request: Option<Arc<UpgradeRequest>>,
    pub head: Option<ResponseHead>,
    pub body: Vec<u8>,
    pub protocol: Box<str>,
    pub extensions: Box<str>,
    pub http_version: u32,
}

impl ConnectionInfo {
    /// Stores the response that refused the upgrade, and its HTTP version.
    pub fn refused(&mut self, head: Option<ResponseHead>, body: Vec<u8>, version: u32) {
        self.http_version = head.as_ref().map_or(0, |_| version);
        (self.head, self.body) = (head, body);
    }

    /// The URL, after redirects.
    pub fn url(&self) -> String {
        self.request.as_ref().map(|request| request.url.to_string()).unwrap_or_default()
    }

    /// Starts over for a connection with this request.
    pub fn reset(&mut self, request: &Arc<UpgradeRequest>) {
        self.request = Some(request.clone());
        (self.head, self.http_version) = (None, 0);
        self.body.clear();
        (self.protocol, self.extensions) = Default::default();
    }
}
