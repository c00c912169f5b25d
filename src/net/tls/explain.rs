//! TLS errors in words that help: which certificate, why, and what to do.

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::verify::PinMismatch;
use crate::error::{Error, ErrorKind, Phase};

/// The same error, for our users.
pub fn explain(error: &rustls::Error, host: &str, phase: Phase) -> Error {
    let (text, sent) = match error {
        rustls::Error::InvalidCertificate(problem) => certificate(problem, host),
        rustls::Error::AlertReceived(alert) => return alerted(*alert, host, phase),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)
        | rustls::Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)
        | rustls::Error::InvalidMessage(InvalidMessage::MessageTooLarge) => (
            format!(
                "{host} does not speak TLS on this port; perhaps the URL should begin with ws: instead of wss:"
            ),
            None,
        ),
        rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            (format!("{host} speaks neither TLS 1.2 nor 1.3"), Some(AlertDescription::ProtocolVersion))
        }
        rustls::Error::PeerIncompatible(problem) => (
            format!("{host} offers no TLS that this library supports: {problem:?}"),
            Some(AlertDescription::HandshakeFailure),
        ),
        other => (format!("TLS with {host} failed: {other}"), None),
    };
    let mut built = Error::new(ErrorKind::Tls, phase, text).with_retriable(false);
    built.tls_alert = sent.map_or(0, u8::from);
    built
}

/// The connection ended where TLS did not expect it.
pub fn ended_early(host: &str) -> Error {
    let text = format!("{host} ended the connection during the TLS handshake");
    Error::new(ErrorKind::Tls, Phase::Tls, text).with_retriable(true)
}

fn certificate(problem: &CertificateError, host: &str) -> (String, Option<AlertDescription>) {
    let whose = format!("the certificate of {host}");
    let (text, alert) = match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            format!("{whose} has expired ({problem}); it must be renewed, or this machine's clock is wrong"),
            AlertDescription::CertificateExpired,
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            format!("{whose} is not valid yet ({problem}); is this machine's clock right?"),
            AlertDescription::BadCertificate,
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (format!("{whose} is for another host ({problem})"), AlertDescription::BadCertificate)
        }
        CertificateError::UnknownIssuer => (
            format!(
                "{whose} is self-signed or comes from an authority that is not trusted; \
                 if it is yours, add its authority with fw_tls_add_ca_pem"
            ),
            AlertDescription::UnknownCA,
        ),
        CertificateError::BadSignature => {
            (format!("{whose} has a wrong signature"), AlertDescription::DecryptError)
        }
        CertificateError::Revoked => (format!("{whose} was revoked"), AlertDescription::CertificateRevoked),
        CertificateError::Other(other) if other.0.is::<PinMismatch>() => {
            (format!("the public key of {host} is none of the pinned ones"), AlertDescription::BadCertificate)
        }
        CertificateError::Other(other) if other.0.to_string().contains("CaUsedAsEndEntity") => (
            format!(
                "{whose} is self-signed: it is an authority's own certificate; \
                 add it with fw_tls_add_ca_pem and give the server one that it has signed"
            ),
            AlertDescription::BadCertificate,
        ),
        other => (format!("{whose} cannot be accepted: {other}"), AlertDescription::BadCertificate),
    };
    (text, Some(alert))
}

fn alerted(alert: AlertDescription, host: &str, phase: Phase) -> Error {
    let text = match alert {
        AlertDescription::CertificateRequired => {
            format!("{host} wants a client certificate; give it one with fw_tls_set_client_cert_pem")
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnknownCA => {
            format!("{host} did not accept our client certificate, or wants one ({alert:?})")
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            format!(
                "{host} and this library have no TLS cipher or certificate type in common, or it wants a client certificate"
            )
        }
        AlertDescription::ProtocolVersion => format!("{host} speaks neither TLS 1.2 nor 1.3"),
        AlertDescription::UnrecognisedName => format!("{host} says that it does not serve this name"),
        other => format!("{host} ended TLS with the alert {other:?}"),
    };
    let mut built = Error::new(ErrorKind::Tls, phase, text).with_retriable(false);
    built.tls_alert = alert.into();
    built
}
