//! Messages for rejected certificates: the reason, and how to fix it.

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, ExtendedKeyPurpose};

use super::algorithms::{self, ACCEPTED_SIGNATURES, RSA_BITS};
use super::humanize::{humanize, humanize_text};
use super::names::{Names, printable};
use super::verify::Refused;

/// Returns the message. `refused` has details that the error does not contain.
pub fn describe(error: &CertificateError, host: &str, refused: Option<&Refused>) -> String {
    use CertificateError as Bad;
    let names = refused.and_then(|refused| refused.names.as_ref());
    if let Some(key) = refused.and_then(|refused| refused.unpinned) {
        return format!(
            "the server's key is not pinned; its SHA-256 is {} (pins are compared with the key of the server's \
             certificate, not with that of an issuer)",
            hex(&key)
        );
    }
    match error {
        Bad::BadEncoding => "the certificate is damaged: it is not X.509 in DER".to_owned(),
        Bad::Expired => "the certificate has expired, or its dates contradict each other".to_owned(),
        Bad::ExpiredContext { time, not_after } => format!(
            "the certificate expired on {}; by the clock of this device it is {}",
            date(not_after),
            date(time)
        ),
        Bad::NotValidYet => "the certificate is not valid yet".to_owned(),
        Bad::NotValidYetContext { time, not_before } => format!(
            "the certificate is not valid before {}; by the clock of this device it is {}; check the clock",
            date(not_before),
            date(time)
        ),
        Bad::NotValidForName => format!("the certificate is not for \"{host}\""),
        Bad::NotValidForNameContext { expected, presented } => wrong_name(expected, presented),
        Bad::UnknownIssuer => unknown_issuer(names),
        Bad::Revoked => "the certificate was revoked by its issuer".to_owned(),
        Bad::UnhandledCriticalExtension => UNKNOWN_EXTENSION.to_owned(),
        Bad::BadSignature => bad_signature(names),
        Bad::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            unsupported_signature(&algorithms::name(signature_algorithm_id))
        }
        Bad::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
        } => unsupported_signature(&format!(
            "{} by a key of {}",
            algorithms::name(signature_algorithm_id),
            algorithms::name(public_key_algorithm_id)
        )),
        #[allow(deprecated)]
        Bad::UnsupportedSignatureAlgorithm => unsupported_signature("an unknown algorithm"),
        Bad::InvalidPurpose => wrong_purpose(""),
        Bad::InvalidPurposeContext { presented, .. } => {
            let allowed: Vec<String> = presented.iter().take(4).map(purpose).collect();
            wrong_purpose(&format!(", but for {}", allowed.join(", ")))
        }
        Bad::UnknownRevocationStatus
        | Bad::ExpiredRevocationList
        | Bad::ExpiredRevocationListContext { .. } => {
            "the revocation status of the certificate could not be determined".to_owned()
        }
        Bad::InvalidOcspResponse => "the server's OCSP response is not valid".to_owned(),
        Bad::ApplicationVerificationFailure => "the certificate could not be verified".to_owned(),
        Bad::Other(other) => match other.0.downcast_ref() {
            Some(error) => by_webpki(error, names),
            // The verifier of the operating system has its own messages.
            None => format!("the certificate was refused: {}", printable(&humanize_text(&other.to_string()))),
        },
        other => format!("the certificate was refused ({})", humanize(other)),
    }
}

const UNKNOWN_EXTENSION: &str = "the certificate, or one in its chain, has an extension marked critical that \
     this client does not know; issue one without it";

/// Returns the message for errors that rustls passes on from webpki.
fn by_webpki(error: &webpki::Error, names: Option<&Names>) -> String {
    use webpki::Error as Bad;
    let reason = match error {
        Bad::CaUsedAsEndEntity => {
            return format!(
                "the server uses a CA certificate{} (basicConstraints CA:TRUE), as self-signed ones often are; \
                 if it is yours, add this certificate with fw_tls_add_ca_pem, or use one on the server that the CA issued",
                names.map(|names| format!(" \"{}\"", names.subject)).unwrap_or_default(),
            );
        }
        Bad::EndEntityUsedAsCa => {
            "the certificate was issued by one that is not a CA (basicConstraints is missing or CA:FALSE); use a \
             CA certificate with CA:TRUE, or add the server's certificate with fw_tls_add_ca_pem"
        }
        Bad::UnsupportedCertVersion => {
            "the certificate, or one in its chain, is not X.509 version 3, which is required for host names: \
             reissue it with a subjectAltName (openssl x509 -req needs -extfile for that, openssl \
             req -x509 takes -addext)"
        }
        Bad::UnsupportedCriticalExtension => UNKNOWN_EXTENSION,
        Bad::NameConstraintViolation => {
            "a CA in the chain may not issue certificates for the names in this one (nameConstraints)"
        }
        Bad::PathLenConstraintViolated | Bad::MaximumPathDepthExceeded => {
            "the chain of the certificate is longer than is allowed (pathLenConstraint, or more than 6 CAs)"
        }
        Bad::MaximumSignatureChecksExceeded
        | Bad::MaximumPathBuildCallsExceeded
        | Bad::MaximumNameConstraintComparisonsExceeded => {
            "the chain of the certificate is too expensive to verify; configure the server to send only its \
             certificate and the CAs above it"
        }
        Bad::CertDistrusted => "a key in the chain of the certificate is known to be compromised",
        Bad::SignatureAlgorithmMismatch => "the certificate names two different signature algorithms",
        Bad::EmptyEkuExtension => return wrong_purpose(", but for no purpose"),
        Bad::UnsupportedNameType => "the certificate cannot be checked for this kind of host name",
        other => return format!("the certificate, or one in its chain, is damaged ({})", humanize(other)),
    };
    reason.to_owned()
}

fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let host = printable(&expected.to_str());
    if presented.is_empty() {
        let kind = if matches!(expected, ServerName::IpAddress(_)) { "IP" } else { "DNS" };
        return format!(
            "the certificate is not for \"{host}\" but for no name: it has no subjectAltName, and its common name \
             does not count; issue it with one (openssl req -x509 -addext \
             subjectAltName={kind}:{host})"
        );
    }
    format!(
        "the certificate is not for \"{host}\" but for {}; connect with a name that it has, or add this one to its \
         subjectAltName",
        listed(presented)
    )
}

/// Formats the names in a certificate, which rustls presents as `DnsName("a.b")`, `IpAddress(1.2.3.4)`.
fn listed(presented: &[String]) -> String {
    const SHOWN: usize = 4;
    let bare = |name: &String| match name.split_once('(') {
        Some(("DnsName" | "IpAddress" | "UniformResourceIdentifier", rest)) => {
            printable(rest.strip_suffix(')').unwrap_or(rest).trim_matches('"'))
        }
        // A directory name, or a type that is not checked.
        _ => "a name of another type".to_owned(),
    };
    let mut list = presented.iter().take(SHOWN).map(bare).collect::<Vec<_>>().join(", ");
    if presented.len() > SHOWN {
        list.push_str(&format!(" and {} more", presented.len() - SHOWN));
    }
    list
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

fn bad_signature(names: Option<&Names>) -> String {
    if let Some(bits) = names.and_then(|names| names.rsa_bits).filter(|bits| !RSA_BITS.contains(bits)) {
        return format!(
            "the server's RSA key has {bits} bits; accepted are {} to {}: use another key",
            RSA_BITS.start(),
            RSA_BITS.end()
        );
    }
    "a signature is invalid: the server's key does not belong to its certificate, or the certificate does not \
     come from the issuer that it names, or an issuer has an RSA key of less than 2048 bits"
        .to_owned()
}

fn unsupported_signature(algorithm: &str) -> String {
    format!(
        "the certificate, or one in its chain, is signed by {algorithm}, which is not accepted; sign \
         it with another: {ACCEPTED_SIGNATURES}"
    )
}

fn wrong_purpose(allowed: &str) -> String {
    format!(
        "the certificate is not meant for servers (extended key usage){allowed}; issue one with serverAuth, or \
         without extended key usage"
    )
}

fn purpose(purpose: &ExtendedKeyPurpose) -> String {
    match purpose {
        ExtendedKeyPurpose::ClientAuth => "clients".to_owned(),
        ExtendedKeyPurpose::ServerAuth => "servers".to_owned(),
        ExtendedKeyPurpose::Other(oid) => {
            printable(&oid.iter().map(usize::to_string).collect::<Vec<_>>().join("."))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Formats the day in UTC, `2026-01-31` (proleptic Gregorian calendar, counted from 1 March 0000).
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

    #[test]
    fn dates_match_calendar() {
        let at = |seconds| date(&UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(0), "1970-01-01");
        assert_eq!(at(951_782_400), "2000-02-29");
        assert_eq!(at(1_609_459_199), "2020-12-31");
        assert_eq!(at(4_107_542_400), "2100-03-01");
    }

    #[test]
    fn long_name_lists_are_cut() {
        let names: Vec<String> = (0..9).map(|n| format!("DnsName(\"host{n}.test\")")).collect();
        assert_eq!(listed(&names), "host0.test, host1.test, host2.test, host3.test and 5 more");
        assert_eq!(listed(&names[..1]), "host0.test");
    }

    #[test]
    fn certificate_without_names_error_lists_required_names() {
        for (host, needed) in [("game.test", "DNS:game.test"), ("10.0.0.1", "IP:10.0.0.1")] {
            let text = wrong_name(&ServerName::try_from(host).unwrap(), &[]);
            assert!(text.contains("common name does not count") && text.contains(needed), "{text}");
        }
    }
}
