//! TLS failures in words: what is wrong, with whom, and what to do.

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::names::{Names, printable};
use super::verify::Refused;
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
        Tls::InvalidCertificate(why) => (Some(why.clone().into()), certificate(why, context)),
        Tls::AlertReceived(alert) => (Some(*alert), received(*alert)),
        Tls::InvalidMessage(why) if !context.spoke_tls => (Some(AlertDescription::from(*why)), not_tls(why)),
        Tls::InvalidMessage(why) => {
            (Some(AlertDescription::from(*why)), format!("the server sent what is not valid TLS ({why:?})"))
        }
        Tls::PeerIncompatible(why) => incompatible(why),
        Tls::PeerMisbehaved(why) => {
            (Some(AlertDescription::IllegalParameter), format!("the server broke the protocol ({why:?})"))
        }
        Tls::InappropriateMessage { .. } | Tls::InappropriateHandshakeMessage { .. } => {
            (Some(AlertDescription::UnexpectedMessage), format!("the server broke the protocol ({error})"))
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
        other => (None, other.to_string()),
    };
    let message = format!("TLS with \"{}\": {why}", context.host);
    let mut built = Error::new(ErrorKind::Tls, context.phase, message);
    built.tls_alert = alert.map_or(0, u8::from);
    // The one alert that speaks of a passing state of the server.
    built.retriable = *error == Tls::AlertReceived(AlertDescription::InternalError);
    built
}

/// The server closed the connection while the handshake was under way.
pub fn end_in_handshake(host: &str, phase: Phase) -> Error {
    let message = format!(
        "TLS with \"{host}\": the server closed the connection during the handshake; \
         does it speak TLS on this port?"
    );
    Error::new(ErrorKind::Reset, phase, message)
}

fn certificate(error: &CertificateError, context: &Context) -> String {
    use CertificateError as Bad;
    let host = context.host;
    let names = context.refused.as_ref().and_then(|refused| refused.names.as_ref());
    if let Some(key) = context.refused.as_ref().and_then(|refused| refused.unpinned) {
        return format!(
            "the server's key is none of the pinned ones; its SHA-256 is {} (pins are compared with the \
             key of the server's own certificate, not with that of an issuer)",
            hex(&key)
        );
    }
    match error {
        Bad::Expired => "the certificate has expired".to_owned(),
        Bad::ExpiredContext { time, not_after } => format!(
            "the certificate expired on {}; by the clock of this device it is {}",
            date(not_after),
            date(time)
        ),
        Bad::NotValidYet => "the certificate is not valid yet".to_owned(),
        Bad::NotValidYetContext { time, not_before } => format!(
            "the certificate is not valid before {}; by the clock of this device it is {}, is that right?",
            date(not_before),
            date(time)
        ),
        Bad::NotValidForName => format!("the certificate is not for \"{host}\""),
        Bad::NotValidForNameContext { expected, presented } => {
            format!(
                "the certificate is not for \"{}\" but for {}",
                expected_name(expected),
                listed(presented)
            )
        }
        Bad::UnknownIssuer => unknown_issuer(names),
        Bad::Revoked => "the certificate was revoked by its issuer".to_owned(),
        Bad::BadSignature => {
            "a signature is wrong: the server's key does not belong to its certificate, or the \
             certificate does not come from the issuer that it names"
                .to_owned()
        }
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            "the certificate is not meant for servers (extended key usage)".to_owned()
        }
        // rustls has no variant of its own for this one.
        Bad::Other(other) if other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) => format!(
            "the server shows a CA's own certificate{} (basicConstraints CA:TRUE); if it is yours, add \
             this very certificate with fw_tls_add_ca_pem, or give the server one that the CA issued",
            names.map(|names| format!(" \"{}\"", names.subject)).unwrap_or_default(),
        ),
        other => format!("the certificate was refused: {other}"),
    }
}

fn unknown_issuer(names: Option<&Names>) -> String {
    match names {
        Some(names) if names.is_self_signed => format!(
            "the certificate of \"{}\" is self-signed; if it is yours, add it with fw_tls_add_ca_pem",
            names.subject
        ),
        Some(names) => format!(
            "the certificate was issued by \"{}\", which is not trusted; if that CA is yours, add it with \
             fw_tls_add_ca_pem, and if it is a public one, the server may not send its intermediate \
             certificates",
            names.issuer
        ),
        None => "the certificate comes from an issuer that is not trusted".to_owned(),
    }
}

fn received(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let meaning = match alert {
        Alert::CertificateRequired => {
            "the server wants a client certificate: set one with fw_tls_set_client_cert_pem"
        }
        // TLS 1.2 has no alert of its own for a missing one.
        Alert::HandshakeFailure => {
            "the server found no way to agree with us (handshake_failure); some servers say so when they \
             want a client certificate"
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            return format!("the server does not accept our client certificate (alert {})", number(alert));
        }
        Alert::ProtocolVersion => "the server speaks neither TLS 1.2 nor TLS 1.3",
        Alert::UnrecognisedName => "the server does not know this host name; check the URL",
        Alert::NoApplicationProtocol => {
            "the server offers neither HTTP/1.1 nor what else we asked for on this port"
        }
        Alert::InternalError => "the server had an internal error",
        _ => return format!("the server ended it with the alert {}", number(alert)),
    };
    meaning.to_owned()
}

fn not_tls(error: &InvalidMessage) -> String {
    logging::note(LogLevel::Debug, format_args!("the first bytes are no TLS: {error:?}"));
    "the server does not speak TLS on this port; is it ws: rather than wss:?".to_owned()
}

fn incompatible(error: &PeerIncompatible) -> (Option<AlertDescription>, String) {
    use PeerIncompatible as Why;
    match error {
        Why::ServerTlsVersionIsDisabledByOurConfig | Why::ServerDoesNotSupportTls12Or13 => (
            Some(AlertDescription::ProtocolVersion),
            "the server speaks neither TLS 1.2 nor TLS 1.3".to_owned(),
        ),
        other => (
            Some(AlertDescription::HandshakeFailure),
            format!("the server has no algorithms in common with us ({other:?})"),
        ),
    }
}

fn number(alert: AlertDescription) -> String {
    format!("{} {alert:?}", u8::from(alert))
}

fn expected_name(name: &ServerName<'_>) -> String {
    printable(&name.to_str())
}

/// The names in a certificate, as rustls presents them: `DnsName("a.b")`, `IpAddress(1.2.3.4)`.
fn listed(presented: &[String]) -> String {
    const SHOWN: usize = 4;
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        printable(inner.trim_matches('"'))
    };
    if presented.is_empty() {
        return "no name at all (it has no subjectAltName)".to_owned();
    }
    let mut list = presented.iter().take(SHOWN).map(bare).collect::<Vec<_>>().join(", ");
    if presented.len() > SHOWN {
        list.push_str(&format!(" and {} more", presented.len() - SHOWN));
    }
    list
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The day in UTC, `2026-01-31`, by the proleptic Gregorian calendar counted from 1 March 0000.
fn date(time: &UnixTime) -> String {
    let days = time.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let (month, carry) = if march_month < 10 { (march_month + 3, 0) } else { (march_month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year_of_era + carry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(error: rustls::Error) -> Error {
        let context = Context { host: "game.test", phase: Phase::Open, spoke_tls: true, refused: None };
        explain(&error, &context)
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| date(&UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(0), "1970-01-01");
        assert_eq!(at(951_782_400), "2000-02-29");
        assert_eq!(at(1_609_459_199), "2020-12-31");
        assert_eq!(at(4_107_542_400), "2100-03-01");
    }

    #[test]
    fn alerts_carry_number_phase_and_meaning() {
        use AlertDescription as Alert;
        for (alert, number, part) in [
            (Alert::HandshakeFailure, 40, "handshake_failure"),
            (Alert::UnknownCA, 48, "does not accept our client certificate"),
            (Alert::ProtocolVersion, 70, "neither TLS 1.2 nor TLS 1.3"),
            (Alert::UnrecognisedName, 112, "does not know this host name"),
            (Alert::CertificateRequired, 116, "fw_tls_set_client_cert_pem"),
            (Alert::DecodeError, 50, "50 DecodeError"),
        ] {
            let error = of(rustls::Error::AlertReceived(alert));
            assert_eq!((error.kind, error.phase, error.tls_alert), (ErrorKind::Tls, Phase::Open, number));
            assert!(!error.retriable);
            assert!(error.message.contains(part), "{}", error.message);
            assert!(error.message.starts_with("TLS with \"game.test\": "));
        }
        assert!(of(rustls::Error::AlertReceived(Alert::InternalError)).retriable);
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        let names: Vec<String> = (0..9).map(|n| format!("DnsName(\"host{n}.test\")")).collect();
        assert_eq!(listed(&names), "host0.test, host1.test, host2.test, host3.test and 5 more");
        assert_eq!(listed(&names[..1]), "host0.test");
        assert!(listed(&[]).contains("subjectAltName"));
    }
}
