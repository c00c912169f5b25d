//! TLS settings, from properties or from Godot's `TLSOptions`.

use data_encoding::BASE64;
use framewire::{CallError, Code, Roots, Tls};

use crate::gdextension::{TlsOptions, TlsOptionsArgument};

/// Which server certificates are accepted.
#[derive(Default, PartialEq, Eq)]
pub struct Trust {
    pub ca_pem: String,
    pub roots: Roots,
    pub insecure: bool,
}

/// All TLS settings of a connection.
#[derive(Default, PartialEq, Eq)]
pub struct TlsConfig {
    pub trust: Trust,
    pub pins: Vec<[u8; 32]>,
    pub client_cert_pem: String,
    pub client_key_pem: String,
    pub key_log: bool,
}

/// The TLS settings used last, kept so that the next connection can resume the TLS session.
#[derive(Default)]
pub struct TlsCache(Option<(TlsConfig, Tls)>);

/// Reads an argument of type `TLSOptions`. Returns `None` if there is none.
pub fn trust(options: &TlsOptionsArgument) -> Result<Option<Trust>, CallError> {
    let Some(object) = &options.object else { return Ok(None) };
    let options = TlsOptions::new(object).ok_or_else(|| {
        CallError::argument(format!("tls_client_options is a {}, not a TLSOptions", object.class_name()))
    })?;
    if options.is_server() {
        return Err(CallError::argument("these TLSOptions are for a server"));
    }
    if !options.common_name_override().is_empty() {
        return Err(CallError::new(
            Code::NotSupported,
            "a common name override is not supported: connect by the name in the certificate",
        ));
    }
    let chain = options.trusted_ca_chain();
    if chain.as_ref().is_some_and(String::is_empty) {
        return Err(CallError::argument("the certificate of the TLSOptions is empty: was it loaded?"));
    }
    let ca_pem = chain.unwrap_or_default();
    // An unsafe client with certificates still verifies against them: the stricter interpretation.
    let insecure = options.is_unsafe_client() && ca_pem.is_empty();
    let roots = if ca_pem.is_empty() { Roots::Webpki } else { Roots::None };
    Ok(Some(Trust { ca_pem, roots, insecure }))
}

impl TlsCache {
    /// Returns the TLS settings for a configuration; `None` for the default, which all sockets share.
    pub fn settings(&mut self, config: TlsConfig) -> Result<Option<&Tls>, CallError> {
        if config == TlsConfig::default() {
            return Ok(None);
        }
        if self.0.as_ref().is_none_or(|(cached, _)| *cached != config) {
            let tls = create(&config)?;
            self.0 = Some((config, tls));
        }
        Ok(self.0.as_ref().map(|(_, tls)| tls))
    }
}

fn create(config: &TlsConfig) -> Result<Tls, CallError> {
    let tls = Tls::create()?;
    // Destroys only the handle, which nothing uses: this clone keeps the settings.
    tls.destroy()?;
    tls.set_roots(config.trust.roots)?;
    if !config.trust.ca_pem.is_empty() {
        tls.add_ca_pem(config.trust.ca_pem.as_bytes())?;
    }
    if !config.client_cert_pem.is_empty() {
        tls.set_client_cert_pem(config.client_cert_pem.as_bytes(), config.client_key_pem.as_bytes())?;
    }
    for pin in &config.pins {
        tls.add_pin_sha256(*pin)?;
    }
    tls.set_insecure(config.trust.insecure)?;
    tls.set_key_log(config.key_log)?;
    Ok(tls)
}

/// Decodes a pin in Base64, with or without the prefix of `curl --pinnedpubkey sha256//...`.
pub fn decode_pin(text: &String) -> Result<[u8; 32], CallError> {
    let base64 = text.strip_prefix("sha256//").unwrap_or(text);
    let decoded = BASE64.decode(base64.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or_else(|| CallError::argument(format!("the pin \"{text}\" is not a SHA-256 hash in Base64")))
}
