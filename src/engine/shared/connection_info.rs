//! Information about the last connection.

use crate::wire::response::ResponseHead;
use crate::wire::url::Url;

/// The results of the last handshake.
#[derive(Default)]
pub struct ConnectionInfo {
    pub url: Box<str>,
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

    /// Starts over for a connection to this URL.
    pub fn reset(&mut self, url: &Url) {
        self.url = url.to_string().into();
        (self.head, self.http_version) = (None, 0);
        self.body.clear();
        (self.protocol, self.extensions) = Default::default();
    }
}
