//! Subject and issuer of a certificate, for error messages only: never used for trust decisions.

use rustls::pki_types::CertificateDer;

use super::algorithms::rsa_bits;
use super::der::{element, elements};

/// Readable names out of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    pub subject: String,
    pub issuer: String,
    /// Subject and issuer are equal.
    pub is_self_signed: bool,
    /// The size of the key, if it is RSA.
    pub rsa_bits: Option<usize>,
}

/// Returns the names in `certificate`; `None` if it cannot be parsed.
pub fn of(certificate: &CertificateDer<'_>) -> Option<Names> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    let (subject, issuer) = (parsed.subject(), parsed.issuer());
    Some(Names {
        subject: readable(subject),
        issuer: readable(issuer),
        is_self_signed: subject == issuer,
        rsa_bits: rsa_bits(&parsed.subject_public_key_info()),
    })
}

/// Sanitises text from a peer for log lines: replaces control characters and limits the length.
pub fn printable(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut clean: String =
        text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        clean.push('…');
    }
    clean
}

/// Returns the common name, or else the organisation.
fn readable(name: &[u8]) -> String {
    // X.520 attribute types 2.5.4.3 and 2.5.4.10 (RFC 5280 appendix A.1).
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
    let value = attribute(name, COMMON_NAME).or_else(|| attribute(name, ORGANIZATION));
    match value {
        Some(value) if !value.is_empty() => printable(&String::from_utf8_lossy(value)),
        _ => "no name".to_owned(),
    }
}

/// Returns an attribute of a name: a sequence of sets of (type, value), RFC 5280 section 4.1.2.4.
fn attribute<'a>(name: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    elements(name).flat_map(|set| elements(set.content)).find_map(|pair| {
        let kind = element(pair.content)?;
        (kind.content == wanted).then(|| element(kind.rest)).flatten().map(|text| text.content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_names_are_not_read() {
        // SET { SEQUENCE { OID 2.5.4.3, UTF8String "ab" } }
        let whole = [0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x02, b'a', b'b'];
        assert_eq!(readable(&whole), "ab");
        for end in 0..whole.len() {
            assert_eq!(readable(&whole[..end]), "no name");
        }
        for position in 0..whole.len() {
            for value in [0, 0x7f, 0x80, 0x82, 0xff] {
                let mut damaged = whole;
                damaged[position] = value;
                assert!(readable(&damaged).chars().count() <= 81);
            }
        }
        assert_eq!(of(&CertificateDer::from(&whole[..])), None);
    }

    #[test]
    fn peer_text_cannot_forge_log_lines() {
        assert_eq!(printable("a\r\nb\x1b"), "a??b?");
        assert_eq!(printable(&"x".repeat(200)).chars().count(), 81);
    }
}
