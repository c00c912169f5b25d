//! Compares the incremental UTF-8 validator with the standard library.

use framewire::internals::wire::utf8::{Utf8Stream, valid};

use super::input::Pieces;

/// Input: a byte that seeds the split positions, then the text.
pub fn run(data: &[u8]) {
    let Some((&seed, text)) = data.split_first() else { return };
    let is_text = std::str::from_utf8(text).is_ok();
    assert_eq!(valid(text), is_text);
    for mut pieces in [Pieces::Whole, Pieces::Single, Pieces::random(seed)] {
        let mut stream = Utf8Stream::default();
        let mut fed = 0;
        for piece in pieces.cut(text) {
            fed += piece.len();
            let good = stream.feed(piece).is_ok();
            assert_eq!(good, may_become_valid(&text[..fed]), "in {pieces:?}, at {fed}");
            if !good {
                break;
            }
            assert_eq!(stream.is_clean(), std::str::from_utf8(&text[..fed]).is_ok());
        }
        if fed == text.len() && may_become_valid(text) {
            assert_eq!(stream.finish().is_ok(), is_text);
        }
    }
}

/// Returns whether the text is valid or ends in an incomplete sequence that can still become valid.
pub fn may_become_valid(text: &[u8]) -> bool {
    std::str::from_utf8(text).map_or_else(|error| error.error_len().is_none(), |_| true)
}
