//! Error messages for TLS failures: what is wrong, with which host, and how to fix it.

use rustls::{AlertDescription, InconsistentKeys, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use super::algorithms::OFFERED;
use super::certificate_error;
use super::humanize::{humanize, humanize_text};
use super::verify::Refused;
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::{self, LogLevel};

/// Context that the error of rustls does not contain.
pub struct Context<'a> {
    pub host: &'a str,
    pub phase: Phase,
    /// The server has sent valid TLS before.
    pub spoke_tls: bool,
    /// Details of the certificate, if it was rejected.
    pub refused: Option<Refused>,
}

/// Converts an error of rustls to the error for the caller.
pub fn from_rustls(error: &rustls::Error, context: &Context) -> Error {
    use rustls::Error as Tls;
    let (alert, why) = match error {
        Tls::InvalidCertificate(why) => (
            Some(why.clone().into()),
            certificate_error::describe(why, context.host, context.refused.as_ref()),
        ),
        Tls::AlertReceived(alert) => (Some(*alert), received(*alert)),
        Tls::InvalidMessage(why) if !context.spoke_tls => (Some(AlertDescription::from(*why)), not_tls(why)),
        Tls::InvalidMessage(why) => (
            Some(AlertDescription::from(*why)),
            format!("the server sent invalid TLS data ({})", humanize(why)),
        ),
        Tls::PeerIncompatible(why) => incompatible(why),
        Tls::PeerMisbehaved(why) => (Some(AlertDescription::IllegalParameter), misbehaved(why)),
        Tls::InappropriateMessage { got_type, .. } => {
            (Some(AlertDescription::UnexpectedMessage), unexpected_message(&humanize(got_type)))
        }
        Tls::InappropriateHandshakeMessage { got_type, .. } => {
            (Some(AlertDescription::UnexpectedMessage), unexpected_message(&humanize(got_type)))
        }
        Tls::DecryptError => (
            Some(AlertDescription::BadRecordMac),
            "a record was modified in transit, or belongs to another connection".to_owned(),
        ),
        Tls::PeerSentOversizedRecord => {
            (Some(AlertDescription::RecordOverflow), "the server sent a record that is too long".to_owned())
        }
        Tls::NoCertificatesPresented => {
            (Some(AlertDescription::DecodeError), "the server sent no certificate".to_owned())
        }
        Tls::EncryptError => (None, "the keys of this connection must not be used any longer".to_owned()),
        other => (None, describe(other)),
    };
    let message = format!("TLS with \"{}\": {why}", context.host);
    let mut built = Error::new(ErrorKind::Tls, context.phase, message);
    built.tls_alert = alert.map_or(0, u8::from);
    // The only alert for a temporary failure of the server; a new connection has new keys.
    let temporary = [Tls::AlertReceived(AlertDescription::InternalError), Tls::EncryptError];
    built.retriable = temporary.contains(error);
    built
}

/// Describes an error outside of a connection, such as an invalid certificate from the caller.
pub fn describe(error: &rustls::Error) -> String {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(why) => certificate_error::describe(why, "", None),
        Tls::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate".to_owned()
        }
        Tls::General(text) => humanize_text(text),
        Tls::Other(other) => format!("TLS failed: {}", humanize_text(&other.to_string())),
        Tls::FailedToGetCurrentTime => "the clock of this device cannot be read".to_owned(),
        Tls::FailedToGetRandomBytes => "the system provides no random numbers".to_owned(),
        other => format!("TLS failed: {}", humanize(other)),
    }
}

/// Returns the error for a connection closed by the server during the handshake.
pub fn closed_in_handshake(host: &str, phase: Phase) -> Error {
    let message = format!(
        "TLS with \"{host}\": the server closed the connection during the handshake; \
         does it speak TLS on this port?"
    );
    Error::new(ErrorKind::Reset, phase, message)
}

fn received(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let meaning = match alert {
        Alert::CertificateRequired => {
            "the server requires a client certificate: set one with fw_tls_set_client_cert_pem"
        }
        // TLS 1.2 has no alert for a missing client certificate.
        Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            return format!(
                "the server has no algorithms in common with this client ({}): {OFFERED}; enable one of each on \
                 the server. Some servers also send this if a client certificate is required: set one with \
                 fw_tls_set_client_cert_pem",
                named(alert)
            );
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            return format!(
                "the server does not accept the client certificate, or requires one ({}); see \
                 fw_tls_set_client_cert_pem",
                named(alert)
            );
        }
        Alert::ProtocolVersion => TOO_OLD,
        Alert::UnrecognisedName => "the server does not know this host name; check the URL",
        Alert::NoApplicationProtocol => {
            "the server supports none of the offered protocols on this port; add http/1.1 to its ALPN protocols \
             (RFC 7301)"
        }
        Alert::InternalError => "the server had an internal error",
        _ => return format!("the server ended the connection ({}); see its log", named(alert)),
    };
    meaning.to_owned()
}

const TOO_OLD: &str = "the server supports neither TLS 1.2 nor TLS 1.3, and older versions are not secure; enable one of them on the server";

fn not_tls(error: &InvalidMessage) -> String {
    logging::note(LogLevel::Debug, format_args!("the first bytes are not TLS: {}", humanize(error)));
    "the server does not speak TLS on this port; use ws: instead of wss:, or check the port".to_owned()
}

fn incompatible(error: &PeerIncompatible) -> (Option<AlertDescription>, String) {
    use PeerIncompatible as Why;
    match error {
        Why::ServerTlsVersionIsDisabledByOurConfig | Why::ServerDoesNotSupportTls12Or13 => {
            (Some(AlertDescription::ProtocolVersion), TOO_OLD.to_owned())
        }
        other => (
            Some(AlertDescription::HandshakeFailure),
            format!(
                "the server has no algorithms in common with this client ({}): {OFFERED}",
                humanize(other)
            ),
        ),
    }
}

fn misbehaved(error: &PeerMisbehaved) -> String {
    use PeerMisbehaved as Why;
    match error {
        Why::SelectedUnofferedCipherSuite
        | Why::SelectedUnofferedKxGroup
        | Why::SelectedUnusableCipherSuiteForVersion
        | Why::IllegalHelloRetryRequestWithUnofferedCipherSuite
        | Why::IllegalHelloRetryRequestWithUnofferedNamedGroup
        | Why::SignedHandshakeWithUnadvertisedSigScheme
        | Why::SignedKxWithWrongAlgorithm => {
            format!("the server chose an algorithm that was not offered ({}): {OFFERED}", humanize(error))
        }
        Why::SelectedUnofferedApplicationProtocol => {
            "the server chose an application protocol that was not offered (RFC 7301); add http/1.1 to its ALPN \
             protocols"
                .to_owned()
        }
        Why::AttemptedDowngradeToTls12WhenTls13IsSupported => {
            "the server supports TLS 1.3, but TLS 1.2 was chosen: a device on the network path modifies the handshake"
                .to_owned()
        }
        _ => format!("the server violated the TLS protocol ({})", humanize(error)),
    }
}

fn unexpected_message(message: &str) -> String {
    format!("the server violated the TLS protocol (unexpected message: {message})")
}

/// Formats an alert as `alert 40, handshake_failure`, with the name of RFC 8446 section 6.
fn named(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(number) => format!("alert {number}"),
        known => format!("alert {}, {}", u8::from(known), humanize(&known).replace(' ', "_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: rustls::Error) -> Error {
        let context = Context { host: "game.test", phase: Phase::Open, spoke_tls: true, refused: None };
        from_rustls(&error, &context)
    }

    #[test]
    fn alerts_have_number_phase_and_meaning() {
        use AlertDescription as Alert;
        for (alert, number, part) in [
            (Alert::HandshakeFailure, 40, "alert 40, handshake_failure"),
            (
                Alert::UnknownCA,
                48,
                "does not accept the client certificate, or requires one (alert 48, unknown_ca)",
            ),
            (Alert::ProtocolVersion, 70, "neither TLS 1.2 nor TLS 1.3"),
            (Alert::UnrecognisedName, 112, "does not know this host name"),
            (Alert::CertificateRequired, 116, "fw_tls_set_client_cert_pem"),
            (Alert::DecodeError, 50, "(alert 50, decode_error)"),
            (Alert::Unknown(200), 200, "(alert 200)"),
        ] {
            let error = of(rustls::Error::AlertReceived(alert));
            assert_eq!((error.kind, error.phase, error.tls_alert), (ErrorKind::Tls, Phase::Open, number));
            assert!(!error.retriable);
            assert!(error.message.contains(part), "{}", error.message);
            assert!(error.message.starts_with("TLS with \"game.test\": "));
        }
        assert!(of(rustls::Error::AlertReceived(Alert::InternalError)).retriable);
    }
}
