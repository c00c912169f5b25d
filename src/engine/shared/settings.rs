//! The caller's settings, and the part that one connection uses.

use std::sync::Arc;
use std::time::Duration;

use super::origins;
use super::state::HttpVersion;
use super::tls::TlsHandle;
use crate::capture::CaptureFile;
use crate::limits;
use crate::net::link::LinkConditions;
use crate::session::extension::Extension;
use crate::session::keepalive::PingSettings;
use crate::session::reconnect::Reconnect;
use crate::wire::deflate::DeflateConfig;
use crate::wire::proxy::{Environment, Found, Proxy, ProxyChoice};
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

/// What the caller has set. Read once, at `open`.
#[derive(Clone)]
pub struct Settings {
    pub request: Arc<UpgradeRequest>,
    pub max_message_size: usize,
    pub connect_timeout: Duration,
    pub close_timeout: Duration,
    pub pings: PingSettings,
    pub compression: Option<DeflateConfig>,
    pub extensions: Vec<Arc<dyn Extension>>,
    pub tls: Option<Arc<TlsHandle>>,
    pub http: HttpVersion,
    pub proxy: ProxyChoice,
    pub max_redirects: u32,
    pub cookies: bool,
    /// None: a lost connection is not reconnected.
    pub reconnect: Option<Box<Reconnect>>,
    /// None: no simulated link. Can change while the socket is open.
    pub link: Option<Arc<LinkConditions>>,
    /// None: not captured. Can change while the socket is open.
    pub capture: Option<Arc<CaptureFile>>,
    pub context: Vec<(String, String)>,
}

impl Settings {
    /// For changing. A connection keeps the request that it was opened with.
    pub fn change_request(&mut self) -> &mut UpgradeRequest {
        Arc::make_mut(&mut self.request)
    }

    pub fn new(request: UpgradeRequest) -> Self {
        Self {
            request: Arc::new(request),
            max_message_size: limits::MAX_MESSAGE_SIZE,
            connect_timeout: limits::CONNECT_TIMEOUT,
            close_timeout: limits::CLOSE_TIMEOUT,
            pings: PingSettings {
                enabled: false,
                frequency: limits::PING_FREQUENCY,
                timeout: limits::CLOSE_AFTER_NO_MESSAGE,
            },
            compression: Some(DeflateConfig::default()),
            extensions: Vec::new(),
            tls: None,
            http: HttpVersion::Auto,
            proxy: ProxyChoice::default(),
            max_redirects: 0,
            cookies: false,
            reconnect: None,
            link: None,
            capture: None,
            context: Vec::new(),
        }
    }
}

/// What a connection was opened with.
#[derive(Clone)]
pub struct Plan {
    pub settings: Arc<Settings>,
    /// The environment variables when the socket was opened; empty unless the settings use them.
    pub environment: Environment,
}

impl Plan {
    /// The proxy for a server.
    pub fn proxy_for(&self, target: &Url) -> Found {
        match &self.settings.proxy {
            ProxyChoice::Environment => self.environment.proxy_for(target),
            ProxyChoice::Direct => Found::default(),
            ProxyChoice::Through(proxy) => Found { proxy: Some(Proxy::clone(proxy)), ..Found::default() },
        }
    }

    /// The version to start with, from the settings and the cached facts about the server.
    pub fn http_for(&self, target: &Url) -> HttpVersion {
        match self.settings.http {
            // Without TLS the version cannot be negotiated (RFC 9113 section 3.3).
            HttpVersion::Auto if !cfg!(feature = "http2") || !target.secure => HttpVersion::Http1,
            HttpVersion::Auto if origins::is_http1(&origins::Name::of(target)) => HttpVersion::Http1,
            version => version,
        }
    }

    /// The server, if the socket may share an HTTP/2 connection to it.
    pub fn shared_by(&self) -> Option<origins::Name> {
        let url = &self.settings.request.url;
        (self.http_for(url) != HttpVersion::Http1).then(|| origins::Name::of(url))
    }
}
