//! Reads and writes a corpus as one text file: one input per line, escaped like a Rust byte string.

/// Returns the text of a corpus, sorted and without duplicates.
pub fn write(mut inputs: Vec<Vec<u8>>) -> String {
    inputs.sort();
    inputs.dedup();
    inputs.iter().map(|input| format!("{}\n", input.escape_ascii())).collect()
}

/// Parses the inputs in line order. The error contains the number of the first invalid line.
pub fn read(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let input =
        |(index, line): (usize, &str)| unescape(line).ok_or(format!("line {} is not escaped", index + 1));
    text.lines().enumerate().map(input).collect()
}

/// Reverses `<[u8]>::escape_ascii`.
fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut bytes = line.bytes();
    let mut input = Vec::new();
    while let Some(byte) = bytes.next() {
        input.push(match byte {
            b'\\' => match bytes.next()? {
                b't' => b'\t',
                b'r' => b'\r',
                b'n' => b'\n',
                literal @ (b'\\' | b'\'' | b'"') => literal,
                b'x' => {
                    let mut digit = || char::from(bytes.next()?).to_digit(16);
                    (digit()? << 4 | digit()?) as u8
                }
                _ => return None,
            },
            b' '..=b'~' => byte,
            _ => return None,
        });
    }
    Some(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_inputs_are_read_back() {
        let inputs = vec![Vec::new(), (0..=255).collect(), b"a \\ \" ' \r\n\t\0".to_vec()];
        let text = write([&inputs[..], &inputs].concat());
        assert!(text.is_ascii());
        assert_eq!(text.lines().count(), 3);
        assert_eq!(read(&text), Ok(inputs.clone()));
        assert_eq!(read(&text.replace('\n', "\r\n")), Ok(inputs));
        for broken in ["\\", "\\x", "\\x4", "\\xg0", "\\x\u{e9}0", "\\q", "\u{e9}", "\u{1}"] {
            assert_eq!(
                read(&format!("good\n{broken}\n")),
                Err("line 2 is not escaped".to_owned()),
                "{broken:?}"
            );
        }
    }
}
