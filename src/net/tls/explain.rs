//! TLS failures in words: what is wrong, with whom, and what to do.

use rustls::{AlertDescription, InconsistentKeys, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use super::algorithms::OFFERED;
use super::reasons;
use super::verify::Refused;
use super::words::{tidy, words};
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::{self, LogLevel};

/// What is known besides rustls' error.
pub struct Context<'a> {
    pub host: &'a str,
    pub phase: Phase,
    /// The server has said anything at all in TLS.
    pub spoke_tls: bool,
    /// The certificate, where it is what was refused.
    pub refused: Option<Refused>,
}

/// The error as the caller sees it.
pub fn explain(error: &rustls::Error, context: &Context) -> Error {
    use rustls::Error as Tls;
    let (alert, why) = match error {
        Tls::InvalidCertificate(why) => {
            (Some(why.clone().into()), reasons::certificate(why, context.host, context.refused.as_ref()))
        }
        Tls::AlertReceived(alert) => (Some(*alert), received(*alert)),
        Tls::InvalidMessage(why) if !context.spoke_tls => (Some(AlertDescription::from(*why)), not_tls(why)),
        Tls::InvalidMessage(why) => (
            Some(AlertDescription::from(*why)),
            format!("the server sent what is not valid TLS ({})", words(why)),
        ),
        Tls::PeerIncompatible(why) => incompatible(why),
        Tls::PeerMisbehaved(why) => (Some(AlertDescription::IllegalParameter), misbehaved(why)),
        Tls::InappropriateMessage { got_type, .. } => {
            (Some(AlertDescription::UnexpectedMessage), out_of_turn(&words(got_type)))
        }
        Tls::InappropriateHandshakeMessage { got_type, .. } => {
            (Some(AlertDescription::UnexpectedMessage), out_of_turn(&words(got_type)))
        }
        Tls::DecryptError => (
            Some(AlertDescription::BadRecordMac),
            "a record was changed on its way, or does not belong to this connection".to_owned(),
        ),
        Tls::PeerSentOversizedRecord => {
            (Some(AlertDescription::RecordOverflow), "the server sent a record that is too long".to_owned())
        }
        Tls::NoCertificatesPresented => {
            (Some(AlertDescription::DecodeError), "the server sent no certificate".to_owned())
        }
        other => (None, in_words(other)),
    };
    let message = format!("TLS with \"{}\": {why}", context.host);
    let mut built = Error::new(ErrorKind::Tls, context.phase, message);
    built.tls_alert = alert.map_or(0, u8::from);
    // The one alert that speaks of a passing state of the server.
    built.retriable = *error == Tls::AlertReceived(AlertDescription::InternalError);
    built
}

/// An error that is about no connection, such as one of a certificate that the caller gave.
pub fn in_words(error: &rustls::Error) -> String {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(why) => reasons::certificate(why, "", None),
        Tls::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate".to_owned()
        }
        Tls::General(text) => tidy(text),
        Tls::Other(other) => format!("TLS failed: {}", tidy(&other.to_string())),
        Tls::FailedToGetCurrentTime => "the clock of this device cannot be read".to_owned(),
        Tls::FailedToGetRandomBytes => "the system gives no random numbers".to_owned(),
        other => format!("TLS failed: {}", words(other)),
    }
}

/// The server closed the connection while the handshake was under way.
pub fn end_in_handshake(host: &str, phase: Phase) -> Error {
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
            "the server wants a client certificate: set one with fw_tls_set_client_cert_pem"
        }
        // TLS 1.2 has no alert of its own for a missing client certificate.
        Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            return format!(
                "the server found nothing in common with this client ({}): {OFFERED}; enable one of each on \
                 the server. Some servers say so too when they want a client certificate: set one with \
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
                "the server does not accept the client certificate, or misses one ({}); see \
                 fw_tls_set_client_cert_pem",
                named(alert)
            );
        }
        Alert::ProtocolVersion => TOO_OLD,
        Alert::UnrecognisedName => "the server does not know this host name; check the URL",
        Alert::NoApplicationProtocol => {
            "the server offers neither HTTP/1.1 nor what else was asked for on this port; let its ALPN \
             (RFC 7301) include http/1.1"
        }
        Alert::InternalError => "the server had an internal error",
        _ => return format!("the server ended the connection ({}); its log may say why", named(alert)),
    };
    meaning.to_owned()
}

const TOO_OLD: &str = "the server speaks neither TLS 1.2 nor TLS 1.3, and older versions are not secure; enable one of them on the server";

fn not_tls(error: &InvalidMessage) -> String {
    logging::note(LogLevel::Debug, format_args!("the first bytes are not TLS: {}", words(error)));
    "the server does not speak TLS on this port; is it ws: rather than wss:?".to_owned()
}

fn incompatible(error: &PeerIncompatible) -> (Option<AlertDescription>, String) {
    use PeerIncompatible as Why;
    match error {
        Why::ServerTlsVersionIsDisabledByOurConfig | Why::ServerDoesNotSupportTls12Or13 => {
            (Some(AlertDescription::ProtocolVersion), TOO_OLD.to_owned())
        }
        other => (
            Some(AlertDescription::HandshakeFailure),
            format!("the server has no algorithms in common with this client ({}): {OFFERED}", words(other)),
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
            format!("the server chose an algorithm that was not offered ({}): {OFFERED}", words(error))
        }
        Why::SelectedUnofferedApplicationProtocol => {
            "the server chose an application protocol that was not offered (ALPN, RFC 7301); let its ALPN \
             include http/1.1"
                .to_owned()
        }
        Why::AttemptedDowngradeToTls12WhenTls13IsSupported => {
            "the server knows TLS 1.3, and still TLS 1.2 was chosen: something on the way changes the handshake"
                .to_owned()
        }
        _ => format!("the server broke the rules of TLS ({})", words(error)),
    }
}

fn out_of_turn(message: &str) -> String {
    format!("the server broke the rules of TLS (a message out of turn: {message})")
}

/// `alert 40, handshake_failure`, with the name as in RFC 8446 section 6.
fn named(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(number) => format!("alert {number}"),
        known => format!("alert {}, {}", u8::from(known), words(&known).replace(' ', "_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: rustls::Error) -> Error {
        let context = Context { host: "game.test", phase: Phase::Open, spoke_tls: true, refused: None };
        explain(&error, &context)
    }

    #[test]
    fn alerts_carry_number_phase_and_meaning() {
        use AlertDescription as Alert;
        for (alert, number, part) in [
            (Alert::HandshakeFailure, 40, "alert 40, handshake_failure"),
            (
                Alert::UnknownCA,
                48,
                "does not accept the client certificate, or misses one (alert 48, unknown_ca)",
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
