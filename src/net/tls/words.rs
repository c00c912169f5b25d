//! What other crates name by identifiers, in words: no identifier of Rust reaches a user.

use std::fmt::Debug;

/// The variant of a foreign error, `SelectedUnofferedGroup`, as `selected unoffered group`: for those
/// too many and too rare to have a sentence each.
pub fn words(value: &dyn Debug) -> String {
    const MAX_CHARS: usize = 80;
    let text = split(&format!("{value:?}")).replace(|c: char| !c.is_ascii_alphanumeric(), " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_CHARS).collect()
}

/// A text of another crate. Identifiers in it become words, the rest stays.
pub fn tidy(text: &str) -> String {
    let is_identifier = |word: &str| {
        let letters = word.as_bytes();
        letters.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
    };
    text.split(' ')
        .map(|word| if is_identifier(word) { split(word) } else { word.to_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}

/// `UnknownCA` as `unknown ca`.
fn split(identifier: &str) -> String {
    let chars: Vec<char> = identifier.chars().collect();
    let mut text = String::with_capacity(identifier.len() + 8);
    for (at, c) in chars.iter().enumerate() {
        let previous = at.checked_sub(1).and_then(|before| chars.get(before));
        let begins = c.is_ascii_uppercase()
            && previous.is_some_and(|previous| {
                let next_is_lower = chars.get(at + 1).is_some_and(char::is_ascii_lowercase);
                previous.is_ascii_lowercase()
                    || previous.is_ascii_digit()
                    || (previous.is_ascii_uppercase() && next_is_lower)
            });
        if begins {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_become_words() {
        use rustls::{AlertDescription, InvalidMessage, PeerMisbehaved};
        assert_eq!(words(&PeerMisbehaved::SelectedUnofferedKxGroup), "selected unoffered kx group");
        assert_eq!(words(&InvalidMessage::MissingData("ServerHello")), "missing data server hello");
        assert_eq!(words(&InvalidMessage::DuplicateExtension(23)), "duplicate extension 23");
        assert_eq!(words(&AlertDescription::UnknownPSKIdentity), "unknown psk identity");
        assert_eq!(words(&vec![Some(1); 100]).chars().count(), 80);
    }

    #[test]
    fn sentences_stay_as_they_are() {
        assert_eq!(
            tidy("failed to parse RSA private key: InvalidEncoding"),
            "failed to parse RSA private key: invalid encoding"
        );
        assert_eq!(tidy("No CA certificates  were loaded."), "No CA certificates  were loaded.");
    }
}
