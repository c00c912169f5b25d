//! What is connected to: the server, and the proxy before it. Both are read and chosen by the library's own code.

use framewire::internals::wire::proxy::{Environment, Found, Proxy};
use framewire::internals::wire::url::Url;

use crate::options::ConnectionOptions;
use crate::output::Failure;

pub struct Target {
    /// As it was given.
    pub url: String,
    pub server: Url,
    pub proxy: Option<Proxy>,
    /// The option or the environment variable that names the proxy.
    pub source: &'static str,
    /// Environment variables that are ignored, and why.
    pub ignored: Vec<String>,
}

impl Target {
    pub fn parse(url: &str, options: &ConnectionOptions) -> Result<Self, Failure> {
        let server = Url::parse(url).map_err(|error| Failure::usage(format_args!("{url}: {error}")))?;
        let found = match &options.network.proxy {
            Some(url) => {
                let proxy = Proxy::parse(url).map_err(Failure::usage)?;
                Found { proxy: Some(proxy), variable: Some("--proxy"), ignored: Vec::new() }
            }
            None if options.network.no_proxy || !options.network.resolve.is_empty() => Found::default(),
            None => {
                let variable = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
                Environment::read(variable).proxy_for(&server)
            }
        };
        let source = found.variable.unwrap_or_default();
        Ok(Self { url: url.to_owned(), server, proxy: found.proxy, source, ignored: found.ignored })
    }

    /// The host and port that TCP connects to. An address can have a zone.
    pub fn first_hop(&self) -> (String, u16) {
        let (host, zone, port) = match &self.proxy {
            Some(proxy) => (&proxy.host, &proxy.zone, proxy.port),
            None => (&self.server.host, &self.server.zone, self.server.port),
        };
        match zone {
            Some(zone) => (format!("{host}%{zone}"), port),
            None => (host.clone(), port),
        }
    }
}
