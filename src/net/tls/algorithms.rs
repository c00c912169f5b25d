//! Names of the TLS algorithms, for error messages.

use super::der::{element, elements};

/// What this client offers; a server must support one of each.
pub const OFFERED: &str = "this client offers TLS 1.2 and 1.3, the cipher suites with AES-GCM and \
     ChaCha20-Poly1305 (no CBC), key exchange by X25519, P-256 and P-384, and certificates with keys of \
     RSA (2048 to 8192 bits), ECDSA on P-256 or P-384, or Ed25519, signed with SHA-256, SHA-384 or SHA-512";

/// The accepted signature algorithms of certificates.
pub const ACCEPTED_SIGNATURES: &str = "accepted are RSA (2048 to 8192 bits) with SHA-256, SHA-384 or SHA-512, \
     ECDSA on P-256 or P-384 with SHA-256 or SHA-384, and Ed25519";

/// The RSA key sizes that ring accepts.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Returns the name of an AlgorithmIdentifier (the content of its sequence: OID, then parameters).
pub fn name(algorithm: &[u8]) -> String {
    const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";
    let mut oids = elements(algorithm).map(|part| dotted(part.content));
    let Some(first) = oids.next() else { return "an unknown algorithm".to_owned() };
    let oid = if first == EC_PUBLIC_KEY { oids.next().unwrap_or(first) } else { first };
    let known = KNOWN.iter().find(|(known, _)| *known == oid);
    known.map_or_else(|| format!("the algorithm {oid}"), |(_, name)| (*name).to_owned())
}

const KNOWN: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512 (usual for keys on P-521)"),
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10040.4.3", "DSA with SHA-1"),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

/// Formats an OID (X.690 section 8.19): seven bits per byte; the first number encodes two.
fn dotted(oid: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in oid {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first);
                number -= 40 * first;
            }
            numbers.push(number);
            number = 0;
        }
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// Returns the key size of a SubjectPublicKeyInfo, if it is RSA (RFC 3279 section 2.3.1).
pub fn rsa_bits(public_key_info: &[u8]) -> Option<usize> {
    /// rsaEncryption, 1.2.840.113549.1.1.1.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let algorithm = element(element(public_key_info)?.content)?;
    if element(algorithm.content)?.content != RSA {
        return None;
    }
    // BIT STRING (its first byte counts unused bits) of SEQUENCE { modulus, exponent }.
    let key = element(algorithm.rest)?.content.get(1..)?;
    let modulus = element(element(key)?.content)?.content;
    let leading = modulus.iter().position(|byte| *byte != 0)?;
    let zeros = usize::try_from(modulus[leading].leading_zeros()).ok()?;
    Some((modulus.len() - leading) * 8 - zeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::provider::provider;

    #[test]
    fn oids_are_named() {
        assert_eq!(name(&[6, 3, 0x2b, 0x65, 0x70]), "Ed25519");
        // ecPublicKey, secp521r1.
        let p521 = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x23];
        assert_eq!(name(&p521), "P-521");
        assert_eq!(name(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0]), "RSA with SHA-1");
        assert_eq!(name(&[6, 2, 0x2a, 0x03]), "the algorithm 1.2.3");
        assert_eq!(name(&[]), "an unknown algorithm");
        for end in 0..p521.len() {
            assert!(!name(&p521[..end]).is_empty());
        }
        assert!(!name(&[&[6, 30][..], &[0xff; 30]].concat()).is_empty());
    }

    #[test]
    fn offered_text_matches_provider() {
        let provider = provider();
        for suite in &provider.cipher_suites {
            let name = format!("{:?}", suite.suite());
            assert!(name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_"), "{name}");
        }
        let groups: Vec<String> =
            provider.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
        assert_eq!(groups, ["X25519", "secp256r1", "secp384r1"]);
        for scheme in provider.signature_verification_algorithms.supported_schemes() {
            let name = format!("{scheme:?}");
            let known = [
                ("RSA_PSS_", &["SHA256", "SHA384", "SHA512"][..]),
                ("RSA_PKCS1_", &["SHA256", "SHA384", "SHA512"]),
                ("ECDSA_NISTP256_", &["SHA256"]),
                ("ECDSA_NISTP384_", &["SHA384"]),
                ("ED25519", &[""]),
            ];
            let offered = known
                .iter()
                .any(|(key, hashes)| name.strip_prefix(key).is_some_and(|hash| hashes.contains(&hash)));
            assert!(offered, "{name}");
        }
    }
}
