//! A minimal DER reader (X.690) for certificates: reads one element at a time, never past the end.

/// One element: its tag, its content, and what follows it.
pub struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub rest: &'a [u8],
}

/// Returns the first element in `bytes`, if there is one.
pub fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, bytes) = bytes.split_first()?;
    // A multi-byte tag; certificates do not use them.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = match first {
        0..=0x7f => (usize::from(first), bytes),
        0x81 => bytes.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
        0x82 => bytes
            .split_first_chunk()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        // Webpki does not accept certificates above 64 KiB either.
        _ => return None,
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some(Element { tag, content, rest })
}

/// Iterates over the elements in `bytes`, up to the first damaged one.
pub fn elements(mut bytes: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let next = element(bytes)?;
        bytes = next.rest;
        Some(next)
    })
}

/// Returns the value of the extension with the OID `id` of an X.509 certificate (RFC 5280 section 4.1), if
/// present.
pub fn extension<'a>(certificate: &'a [u8], id: &[u8]) -> Option<&'a [u8]> {
    /// `extensions [3] EXPLICIT`.
    const EXTENSIONS: u8 = 0xa3;
    let to_be_signed = element(element(certificate)?.content)?.content;
    let extensions = elements(to_be_signed).find(|field| field.tag == EXTENSIONS)?;
    elements(element(extensions.content)?.content)
        .find(|extension| element(extension.content).is_some_and(|oid| oid.content == id))
        .and_then(|extension| elements(extension.content).last())
        .map(|value| value.content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_element_ends_list() {
        let two = [0x04, 0x01, 7, 0x05, 0x00];
        assert_eq!(elements(&two).map(|one| one.tag).collect::<Vec<_>>(), [4, 5]);
        for end in 0..two.len() {
            assert!(elements(&two[..end]).count() <= 1);
        }
        // Longer than the input; a three-byte length; an indefinite length; a long tag.
        for damaged in
            [&[4, 2, 0][..], &[4, 0x83, 0, 0, 1, 9], &[4, 0x80, 0, 0], &[0x1f, 1, 0], &[4, 0x82, 0]]
        {
            assert!(element(damaged).is_none());
        }
        assert_eq!(element(&[4, 0x82, 0, 1, 9]).unwrap().content, [9]);
    }

    #[test]
    fn extensions_of_damaged_certificates_are_read_safely() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key);
        let der = certificate.unwrap().der().to_vec();
        // subjectAltName, 2.5.29.17.
        const SAN: &[u8] = &[0x55, 0x1d, 0x11];
        assert!(extension(&der, SAN).is_some_and(|names| names.ends_with(b"localhost")));
        assert_eq!(extension(&der, &[0x55, 0x1d, 0x25]), None);
        for end in 0..der.len() {
            assert_eq!(extension(&der[..end], SAN), None, "the outermost length covers all of it");
        }
        for position in 0..der.len() {
            for value in [0, 0x30, 0x7f, 0x80, 0x82, 0xa3, 0xff] {
                let mut damaged = der.clone();
                damaged[position] = value;
                let _ = extension(&damaged, SAN);
            }
        }
    }
}
