//! Converts identifiers of other crates to words: user messages contain no Rust identifiers.

use std::fmt::Debug;

/// Converts an enum variant, `SelectedUnofferedGroup`, to `selected unoffered group`: for rare errors without
/// a message of their own.
pub fn humanize(value: &dyn Debug) -> String {
    const MAX_CHARS: usize = 80;
    let text = split(&format!("{value:?}")).replace(|c: char| !c.is_ascii_alphanumeric(), " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_CHARS).collect()
}

/// Converts the identifiers in a text of another crate to words.
pub fn humanize_text(text: &str) -> String {
    let is_identifier = |word: &str| {
        let letters = word.as_bytes();
        letters.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
    };
    text.split(' ')
        .map(|word| if is_identifier(word) { split(word) } else { word.to_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Splits `UnknownCA` into `unknown ca`.
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
        assert_eq!(humanize(&PeerMisbehaved::SelectedUnofferedKxGroup), "selected unoffered kx group");
        assert_eq!(humanize(&InvalidMessage::MissingData("ServerHello")), "missing data server hello");
        assert_eq!(humanize(&InvalidMessage::DuplicateExtension(23)), "duplicate extension 23");
        assert_eq!(humanize(&AlertDescription::UnknownPSKIdentity), "unknown psk identity");
        assert_eq!(humanize(&vec![Some(1); 100]).chars().count(), 80);
    }

    #[test]
    fn sentences_are_unchanged() {
        assert_eq!(
            humanize_text("failed to parse RSA private key: InvalidEncoding"),
            "failed to parse RSA private key: invalid encoding"
        );
        assert_eq!(humanize_text("No CA certificates  were loaded."), "No CA certificates  were loaded.");
    }
}
