//! TLS: what was chosen, from properties or from Godot's `TLSOptions`.

use data_encoding::BASE64;
use framewire::{CallError, Code, Roots, Tls};
use godot::classes::RefCounted;
use godot::meta::conv::ByValue;
use godot::meta::error::ConvertError;
use godot::meta::shape::GodotShape;
use godot::meta::{FromGodot, GodotConvert, GodotImmutable, ToGodot};
use godot::prelude::*;

use crate::socket::FramewireSocket;

/// An argument that takes a `TLSOptions`, and null when it is left out.
#[derive(Clone, Debug, Default)]
pub struct OptionalTlsOptions(Option<Gd<RefCounted>>);

impl GodotConvert for OptionalTlsOptions {
    type Via = Option<Gd<RefCounted>>;

    fn godot_shape() -> GodotShape {
        Self::Via::godot_shape()
    }
}

impl FromGodot for OptionalTlsOptions {
    fn try_from_godot(options: Self::Via) -> Result<Self, ConvertError> {
        Ok(Self(options))
    }
}

impl ToGodot for OptionalTlsOptions {
    type Pass = ByValue;

    fn to_godot(&self) -> Self::Via {
        self.0.clone()
    }
}

// SAFETY: the trait wants a shared default that no call can change, and whose clones are made on any
// thread. The only default of this type is null, which has no state at all.
unsafe impl GodotImmutable for OptionalTlsOptions {}

/// Everything that TLS can be told.
#[derive(Default, PartialEq, Eq)]
pub struct TlsChoice {
    ca_pem: String,
    roots: i64,
    pins: Vec<[u8; 32]>,
    client_cert_pem: String,
    client_key_pem: String,
    insecure: bool,
}

/// The settings made last, kept so that the next connection can resume the TLS session.
#[derive(Default)]
pub struct TlsCache(Option<(TlsChoice, Tls)>);

impl TlsChoice {
    /// The options go before the properties.
    pub fn new(options: &OptionalTlsOptions, socket: &FramewireSocket) -> Result<Self, CallError> {
        match &options.0 {
            Some(options) => Self::from_properties(socket)?.with_options(options.clone()),
            None => Self::from_properties(socket),
        }
    }

    fn from_properties(socket: &FramewireSocket) -> Result<Self, CallError> {
        if socket.tls_client_cert_pem.is_empty() && !socket.tls_client_key_pem.is_empty() {
            return Err(CallError::argument(
                "tls_client_key_pem needs the certificate in tls_client_cert_pem",
            ));
        }
        Ok(Self {
            ca_pem: socket.tls_ca_pem.to_string(),
            roots: socket.tls_roots,
            pins: socket.tls_pins.as_slice().iter().map(pin).collect::<Result<_, _>>()?,
            client_cert_pem: socket.tls_client_cert_pem.to_string(),
            client_key_pem: socket.tls_client_key_pem.to_string(),
            insecure: socket.tls_insecure,
        })
    }

    /// Reads a `TLSOptions` by name: its class is not among those that the binding is built with.
    /// They say whom to trust; pins and the client's certificate, which they do not know, stay those of
    /// the properties.
    fn with_options(self, mut options: Gd<RefCounted>) -> Result<Self, CallError> {
        if !options.is_class("TLSOptions") {
            return Err(CallError::argument(format!(
                "tls_client_options is a {}, not a TLSOptions",
                options.get_class()
            )));
        }
        if options.call("is_server", &[]).booleanize() {
            return Err(CallError::argument("these TLSOptions are for a server"));
        }
        let name = options.call("get_common_name_override", &[]);
        if !name.stringify().is_empty() {
            return Err(CallError::new(
                Code::NotSupported,
                "a common name override is not supported: connect by the name in the certificate",
            ));
        }
        let chain = options.call("get_trusted_ca_chain", &[]).try_to::<Option<Gd<RefCounted>>>();
        let chain = chain.map_err(|_| CallError::argument("the TLSOptions have no readable certificates"))?;
        let has_chain = chain.is_some();
        let ca_pem = match chain {
            Some(mut chain) => chain.call("save_to_string", &[]).stringify().to_string(),
            None => String::new(),
        };
        if has_chain && ca_pem.is_empty() {
            return Err(CallError::argument("the certificate of the TLSOptions is empty: was it loaded?"));
        }
        // An unsafe client that was given certificates is held to them: the stricter reading.
        let insecure = options.call("is_unsafe_client", &[]).booleanize() && ca_pem.is_empty();
        let roots = if ca_pem.is_empty() {
            FramewireSocket::TLS_ROOTS_WEBPKI
        } else {
            FramewireSocket::TLS_ROOTS_NONE
        };
        Ok(Self { ca_pem, roots, insecure, ..self })
    }
}

impl TlsCache {
    /// `None` for the default, which all sockets share.
    pub fn settings(&mut self, choice: TlsChoice) -> Result<Option<&Tls>, CallError> {
        if choice == TlsChoice::default() {
            return Ok(None);
        }
        if self.0.as_ref().is_none_or(|(known, _)| *known != choice) {
            let tls = make(&choice)?;
            self.0 = Some((choice, tls));
        }
        Ok(self.0.as_ref().map(|(_, tls)| tls))
    }
}

fn make(choice: &TlsChoice) -> Result<Tls, CallError> {
    let roots = match choice.roots {
        FramewireSocket::TLS_ROOTS_WEBPKI => Roots::Webpki,
        FramewireSocket::TLS_ROOTS_PLATFORM => Roots::Platform,
        FramewireSocket::TLS_ROOTS_NONE => Roots::None,
        other => return Err(CallError::argument(format!("tls_roots is {other}, no TLS_ROOTS_* constant"))),
    };
    let tls = Tls::create()?;
    // The clone that is kept holds the settings; nobody asks for them by handle.
    tls.destroy()?;
    tls.set_roots(roots)?;
    if !choice.ca_pem.is_empty() {
        tls.add_ca_pem(choice.ca_pem.as_bytes())?;
    }
    if !choice.client_cert_pem.is_empty() {
        tls.set_client_cert_pem(choice.client_cert_pem.as_bytes(), choice.client_key_pem.as_bytes())?;
    }
    for pin in &choice.pins {
        tls.add_pin_sha256(*pin)?;
    }
    tls.set_insecure(choice.insecure)?;
    Ok(tls)
}

/// In Base64, as `curl --pinnedpubkey sha256//...` and `openssl` recipes give it.
fn pin(text: &GString) -> Result<[u8; 32], CallError> {
    let text = text.to_string();
    let base64 = text.strip_prefix("sha256//").unwrap_or(&text);
    let decoded = BASE64.decode(base64.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or_else(|| CallError::argument(format!("the pin \"{text}\" is no SHA-256 in Base64")))
}
