//! The caller's settings, and the part that one connection uses.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
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
use crate::sync::{Mutex, lock, statics};
use crate::wire::deflate::DeflateConfig;
use crate::wire::proxy::{Environment, Found, Proxy, ProxyChoice};
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

/// What the caller has set. Read once, at `open`. Clones share the options until one of them is changed.
#[derive(Clone)]
pub struct Settings {
    pub request: Arc<UpgradeRequest>,
    options: Arc<Options>,
}

/// The settings besides the request.
#[derive(Clone)]
pub struct Options {
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

/// The settings of the socket that was opened last.
struct Opened {
    request: Weak<UpgradeRequest>,
    options: Weak<Options>,
}

statics! {
    static OPENED: Mutex<Opened> = Mutex::new(Opened { request: Weak::new(), options: Weak::new() });
}

/// Releases what [`Settings::share_equal`] refers to.
pub fn forget_opened() {
    *lock(&OPENED) = Opened { request: Weak::new(), options: Weak::new() };
}

impl Settings {
    pub fn new(request: UpgradeRequest) -> Self {
        Self { request: Arc::new(request), options: Arc::new(Options::new()) }
    }

    /// For changing. A connection keeps the request that it was opened with.
    pub fn change_request(&mut self) -> &mut UpgradeRequest {
        Arc::make_mut(&mut self.request)
    }

    /// Shares the memory of what equals the settings of the socket that was opened last, as most sockets of a
    /// program have the same.
    pub fn share_equal(&mut self) {
        lock(&OPENED).share(self);
    }
}

impl Opened {
    fn share(&mut self, settings: &mut Settings) {
        // The caller's extensions must not be dropped here.
        if !settings.extensions.is_empty() {
            return;
        }
        match self.request.upgrade() {
            Some(request) if request == settings.request => settings.request = request,
            _ => self.request = Arc::downgrade(&settings.request),
        }
        match self.options.upgrade() {
            Some(options) if options.equal(&settings.options) => settings.options = options,
            _ => self.options = Arc::downgrade(&settings.options),
        }
    }
}

impl Deref for Settings {
    type Target = Options;

    fn deref(&self) -> &Options {
        &self.options
    }
}

impl DerefMut for Settings {
    fn deref_mut(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }
}

impl Options {
    fn new() -> Self {
        Self {
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

    /// Extensions never are.
    fn equal(&self, other: &Options) -> bool {
        fn is_same<T>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
            one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
        }
        let Options {
            max_message_size,
            connect_timeout,
            close_timeout,
            pings,
            compression,
            extensions,
            tls,
            http,
            proxy,
            max_redirects,
            cookies,
            reconnect,
            link,
            capture,
            context,
        } = self;
        extensions.is_empty()
            && other.extensions.is_empty()
            && (max_message_size, connect_timeout, close_timeout, pings)
                == (&other.max_message_size, &other.connect_timeout, &other.close_timeout, &other.pings)
            && (compression, http, proxy) == (&other.compression, &other.http, &other.proxy)
            && (max_redirects, cookies, reconnect) == (&other.max_redirects, &other.cookies, &other.reconnect)
            && (link, context) == (&other.link, &other.context)
            && is_same(tls, &other.tls)
            && is_same(capture, &other.capture)
    }
}

/// What a connection was opened with.
#[derive(Clone)]
pub struct Plan {
    pub settings: Settings,
    /// The environment variables when the socket was opened. None if there are none or the settings ignore them.
    pub environment: Option<Box<Environment>>,
}

impl Plan {
    /// The proxy for a server.
    pub fn proxy_for(&self, target: &Url) -> Found {
        match &self.settings.proxy {
            ProxyChoice::Environment => {
                self.environment.as_ref().map_or_else(Found::default, |found| found.proxy_for(target))
            }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::capture::{self, CaptureOptions};
    use crate::net::tls::TlsSettings;
    use crate::session::extension::ExternalExtension;

    fn settings(url: &str) -> Settings {
        Settings::new(UpgradeRequest::new(Url::parse(url).unwrap()))
    }

    fn share(one: &mut Settings, other: &mut Settings) -> (bool, bool) {
        let mut opened = Opened { request: Weak::new(), options: Weak::new() };
        opened.share(one);
        opened.share(other);
        (Arc::ptr_eq(&one.request, &other.request), Arc::ptr_eq(&one.options, &other.options))
    }

    #[test]
    fn equal_settings_are_shared_until_one_is_changed() {
        let (mut one, mut other) = (settings("ws://h/a"), settings("ws://h/a"));
        (one.connect_timeout, other.connect_timeout) = (Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(share(&mut one, &mut other), (true, true));
        other.max_redirects = 3;
        other.change_request().protocols.push("chat".into());
        assert_eq!((one.max_redirects, one.request.protocols.len()), (0, 0));
        assert_eq!((other.max_redirects, other.request.protocols.len()), (3, 1));
        assert_eq!(share(&mut one, &mut other), (false, false));
    }

    #[test]
    fn every_difference_keeps_settings_apart() {
        let changes: [fn(&mut Settings); 15] = [
            |settings| settings.max_message_size += 1,
            |settings| settings.connect_timeout += Duration::from_millis(1),
            |settings| settings.close_timeout += Duration::from_millis(1),
            |settings| settings.pings.enabled = true,
            |settings| settings.compression = None,
            |settings| settings.http = HttpVersion::Http1,
            |settings| settings.proxy = ProxyChoice::Direct,
            |settings| settings.max_redirects = 1,
            |settings| settings.cookies = true,
            |settings| settings.reconnect = Some(Box::default()),
            |settings| settings.link = Some(Arc::default()),
            |settings| settings.context.push(("player".into(), "7".into())),
            // No thread runs that could create the file.
            |settings| {
                let file =
                    capture::open(Path::new("unwritten.pcapng"), CaptureOptions::default(), |_| Ok(()));
                settings.capture = Some(file.unwrap());
            },
            |settings| settings.tls = Some(Arc::new(TlsHandle::new(TlsSettings::new()))),
            |settings| settings.extensions.push(Arc::new(ExternalExtension::new("x-own", 4).unwrap())),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (mut one, mut other) = (settings("ws://h/a"), settings("ws://h/a"));
            change(&mut other);
            assert_eq!(share(&mut one, &mut other), (number < 14, false), "change {number}");
            let (mut one, mut other) = (settings("ws://h/a"), settings("ws://h/a"));
            change(&mut one);
            assert_eq!(share(&mut one, &mut other), (number < 14, false), "change {number}");
        }
        assert_eq!(share(&mut settings("ws://h/a"), &mut settings("ws://h/b")), (false, true));
        capture::finish();
    }
}
