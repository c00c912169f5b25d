//! TLS: the handshake, the certificate chain, and why it is rejected.

use std::fmt;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    RootCertStore, SignatureScheme,
};
use serde_json::json;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::stage::{Name, Stage, Status};
use super::target::Target;
use crate::options::{RootChoice, TlsOptions, read};
use crate::output::Failure;

const DAY: i64 = 24 * 3600;
/// A certificate that expires sooner is a warning.
const SOON: i64 = 14 * DAY;
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the later stages use.
pub struct Facts {
    /// The protocol that the server has selected by ALPN.
    pub protocol: Option<String>,
}

/// Performs a handshake and verifies the certificate.
pub fn check(
    target: &Target,
    mut stream: TcpStream,
    options: &TlsOptions,
    timeout: Duration,
) -> Result<(Stage, Option<Facts>), Failure> {
    let recorder = Arc::new(Recorder::new(options)?);
    let config = config(options, recorder.clone())?;
    let name = ServerName::try_from(target.server.host.clone())
        .map_err(|_| Failure::usage(format_args!("`{}` is no name for a certificate", target.server.host)))?;
    let mut connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| Failure::connection(format_args!("TLS cannot be set up: {error}")))?;
    // A socket that does not accept timeouts still works.
    let _ = (stream.set_read_timeout(Some(timeout)), stream.set_write_timeout(Some(timeout)));
    let began = Instant::now();
    let mut result = Ok(());
    while connection.is_handshaking() && result.is_ok() {
        result = connection.complete_io(&mut stream).map(drop);
    }
    let took = began.elapsed();
    let seen = recorder.seen();
    if let Err(error) = result {
        return Ok((failed_handshake(&error, target, &seen).took(took), None));
    }
    let protocol = connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let version =
        connection.protocol_version().map(|version| format!("{version:?}").replace("TLSv1_", "TLS 1."));
    let version = version.unwrap_or_default();
    let cipher = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    let cipher = cipher.unwrap_or_default();
    let (status, summary, advice) = verdict(&seen, &target.server.host, options, &version);
    let mut stage = Stage::new(Name::Tls, status, summary).took(took);
    stage = stage.detail(format!("{version}, {cipher}"));
    let mut chain = Vec::new();
    for (i, der) in seen.chain.iter().enumerate() {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            stage = stage.detail(format!("certificate {}: not readable", i + 1));
            continue;
        };
        let (subject, issuer) = (common_name(certificate.subject()), common_name(certificate.issuer()));
        let (from, until) = (date(certificate.validity().not_before), date(certificate.validity().not_after));
        stage = stage.detail(format!("certificate {}: {subject}, by {issuer}, {from} to {until}", i + 1));
        let names = names(&certificate);
        if i == 0 && !names.is_empty() {
            stage = stage.detail(format!("  for {}", names.join(", ")));
        }
        chain.push(json!({
            "subject": certificate.subject().to_string(), "issuer": certificate.issuer().to_string(),
            "not_before": from, "not_after": until, "names": names,
        }));
    }
    stage.advice = advice;
    let stage = stage.fact("version", version).fact("cipher_suite", cipher).fact("alpn", protocol.clone());
    Ok((stage.fact("chain", chain), Some(Facts { protocol })))
}

/// Connects with TLS for HTTP/1.1, and returns the reason if the certificate is rejected.
pub async fn connect(
    host: &str,
    stream: tokio::net::TcpStream,
    options: &TlsOptions,
) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, String> {
    let text = |failure: Failure| failure.to_string();
    let recorder = Arc::new(Recorder::new(options).map_err(text)?);
    let mut config = config(options, recorder.clone()).map_err(text)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("`{host}` is no name for a certificate"))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|error| format!("TLS failed: {error}"))?;
    match verdict(&recorder.seen(), host, options, "") {
        (Status::Failed, why, _) => Err(why),
        _ => Ok(stream),
    }
}

/// Verifies like the library, but lets the handshake continue, so that everything can be shown.
struct Recorder {
    /// None if no authority is trusted.
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    /// Certificates of --cacert, each of which may also be the server's own.
    own: Vec<CertificateDer<'static>>,
    seen: Mutex<Seen>,
}

#[derive(Clone, Default)]
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    error: Option<Error>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    fn new(options: &TlsOptions) -> Result<Self, Failure> {
        let mut own = Vec::new();
        if let Some(file) = &options.cacert {
            let pem = read(file)?;
            own = certificates(&pem)
                .map_err(|error| Failure::usage(format_args!("{}: {error}", file.display())))?;
        }
        let problem =
            |error: &dyn fmt::Display| Failure::connection(format_args!("TLS cannot be set up: {error}"));
        let provider = provider();
        let verifier: Arc<dyn ServerCertVerifier> = if options.roots == RootChoice::Platform {
            let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(own.clone(), provider);
            Arc::new(verifier.map_err(|error| problem(&error))?)
        } else {
            let mut roots = RootCertStore::empty();
            if options.roots == RootChoice::Mozilla {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            // What is no authority may still be the server's own certificate.
            roots.add_parsable_certificates(own.iter().cloned());
            if roots.is_empty() {
                return Ok(Self { verifier: None, own, seen: Mutex::default() });
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| problem(&error))?
        };
        Ok(Self { verifier: Some(verifier), own, seen: Mutex::default() })
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = match &self.verifier {
            Some(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let is_own = self.own.iter().any(|own| own == end_entity);
        let chain = std::iter::once(end_entity).chain(intermediates);
        let seen = Seen {
            chain: chain.map(|certificate| certificate.clone().into_owned()).collect(),
            error: result.err().filter(|error| !is_own || !is_about_issuer(error)),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn config(options: &TlsOptions, recorder: Arc<Recorder>) -> Result<ClientConfig, Failure> {
    let problem = |error: &dyn fmt::Display| Failure::usage(format_args!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| problem(&error))?
        .dangerous()
        .with_custom_certificate_verifier(recorder);
    let mut config = match (&options.cert, &options.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(&read(certificate)?).map_err(|error| problem(&error))?;
            let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| problem(&error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| problem(&error))?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn is_about_issuer(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
}

/// Returns status, summary and advice.
fn verdict(seen: &Seen, host: &str, options: &TlsOptions, version: &str) -> (Status, String, Vec<String>) {
    let leaf = seen.chain.first().and_then(|der| X509Certificate::from_der(der).ok()).map(|(_, leaf)| leaf);
    let Some(error) = &seen.error else {
        let left = leaf.map(|leaf| leaf.validity().not_after.timestamp() - now());
        return match left {
            Some(left) if left < SOON => (
                Status::Warning,
                format!("the certificate expires in {} days", left / DAY),
                vec!["Renew the certificate, and check that its automatic renewal works.".to_owned()],
            ),
            Some(left) => {
                (Status::Ok, format!("{version}, certificate valid for {} more days", left / DAY), Vec::new())
            }
            None => (Status::Ok, version.to_owned(), Vec::new()),
        };
    };
    let (summary, advice) = rejected(error, seen, leaf.as_ref(), host);
    if options.insecure {
        let summary = format!("accepted because of --insecure: {summary}");
        return (Status::Warning, summary, advice);
    }
    // Pins alone are another rule of trust, which the library checks in the upgrade.
    if options.roots == RootChoice::None && !options.pin.is_empty() && is_about_issuer(error) {
        return (
            Status::Ok,
            "the issuer is not verified; --pin is checked by the upgrade".to_owned(),
            Vec::new(),
        );
    }
    (Status::Failed, summary, advice)
}

fn rejected(
    error: &Error,
    seen: &Seen,
    leaf: Option<&X509Certificate<'_>>,
    host: &str,
) -> (String, Vec<String>) {
    let Error::InvalidCertificate(problem) = error else {
        return (error.to_string(), vec!["Check the TLS configuration of the server.".to_owned()]);
    };
    let clock = "If the date is right, check the clock of this machine.".to_owned();
    match (problem, leaf) {
        (CertificateError::Expired | CertificateError::ExpiredContext { .. }, Some(leaf)) => {
            let until = leaf.validity().not_after;
            let days = (now() - until.timestamp()) / DAY;
            let ago = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            let renew =
                "Renew the certificate on the server (for example `certbot renew`) and reload it.".to_owned();
            match days {
                // Another certificate of the chain.
                ..0 => ("a certificate of the chain has expired".to_owned(), vec![renew, clock]),
                _ => (format!("the certificate expired {ago} ago, on {}", date(until)), vec![renew, clock]),
            }
        }
        (CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }, Some(leaf)) => (
            format!("the certificate is not valid before {}", date(leaf.validity().not_before)),
            vec!["Check the clocks of this machine and of the one that issued the certificate.".to_owned()],
        ),
        (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }, Some(leaf)) => {
            let names = names(leaf);
            let valid_for = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            let mut advice = Vec::new();
            if let Some(name) = names.first() {
                advice.push(format!("Use a name of the certificate in the URL, such as {name},"));
                advice.push(format!(
                    "or issue a certificate that contains {} as subject alternative name.",
                    host
                ));
            } else {
                advice.push(format!("Issue a certificate with {} as subject alternative name.", host));
            }
            (format!("the certificate is not for {}, but for {valid_for}", host), advice)
        }
        (CertificateError::UnknownIssuer, Some(leaf)) => unknown_issuer(seen, leaf),
        (CertificateError::Other(_), Some(leaf)) if leaf.subject() == leaf.issuer() => {
            unknown_issuer(seen, leaf)
        }
        (CertificateError::Revoked, _) => (
            "the certificate was revoked by its issuer".to_owned(),
            vec!["Issue a new certificate with a new key.".to_owned()],
        ),
        _ => (error.to_string(), vec!["Issue a certificate that is meant for TLS servers.".to_owned()]),
    }
}

fn unknown_issuer(seen: &Seen, leaf: &X509Certificate<'_>) -> (String, Vec<String>) {
    let trust = "or trust it: --cacert FILE here, fw_tls_add_ca_pem in a game.".to_owned();
    if leaf.subject() == leaf.issuer() {
        let use_public =
            "Use a certificate of a public authority (Let's Encrypt issues them for free),".to_owned();
        return ("the certificate is self-signed".to_owned(), vec![use_public, trust]);
    }
    let last = seen.chain.last().and_then(|der| X509Certificate::from_der(der).ok()).map(|(_, last)| last);
    let issuer = common_name(last.as_ref().unwrap_or(leaf).issuer());
    let mut advice = Vec::new();
    if seen.chain.len() == 1 {
        advice.push(
            "If the authority is a public one, the server sends no intermediate certificate:".to_owned(),
        );
        advice.push("configure the full chain (fullchain.pem).".to_owned());
    }
    advice.push(
        "If it is your own authority, trust it: --cacert FILE here, fw_tls_add_ca_pem in a game.".to_owned(),
    );
    (format!("unknown authority: the certificate was issued by {issuer}, which is not trusted"), advice)
}

fn failed_handshake(error: &std::io::Error, target: &Target, seen: &Seen) -> Stage {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let stage = |summary: String| Stage::new(Name::Tls, Status::Failed, summary);
    match tls {
        Some(Error::InvalidMessage(_)) => stage(format!("{} does not speak TLS", target.server.authority()))
            .advise(format!("Use {} if the server has no TLS,", target.url.replacen("wss:", "ws:", 1)))
            .advise("or check the port: TLS is usually on another one."),
        Some(Error::AlertReceived(alert)) => {
            let stage = stage(format!("the server ended the handshake: {alert:?}"));
            match alert {
                AlertDescription::UnrecognisedName => stage.advise(format!(
                    "The server has no certificate for {}: check the host name.",
                    target.server.host
                )),
                AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
                    stage.advise("Enable TLS 1.2 or 1.3 with modern cipher suites on the server.")
                }
                _ => stage.advise("Look for the reason in the log of the server."),
            }
        }
        Some(error) => stage(error.to_string()).advise("Check the TLS configuration of the server."),
        None if seen.chain.is_empty() => stage(format!("the handshake failed: {error}"))
            .advise("Check that the port speaks TLS, and that no firewall inspects or blocks it."),
        None => stage(format!("the connection was lost in the handshake: {error}"))
            .advise("If the server requires a client certificate, give --cert and --key."),
    }
}

/// Returns the common name, or the whole name if it has none.
fn common_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|attribute| attribute.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
    }
}

fn date(time: ASN1Time) -> String {
    time.to_datetime().date().to_string()
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
