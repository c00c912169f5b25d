//! A corpus as one text file: an input a line, escaped as in a byte string of Rust.

/// The text of a corpus, in an order that does not depend on that of the inputs.
pub fn write(mut inputs: Vec<Vec<u8>>) -> String {
    inputs.sort();
    inputs.dedup();
    inputs.iter().map(|input| format!("{}\n", input.escape_ascii())).collect()
}

/// The inputs, in the order of their lines. The error says which line is none.
pub fn read(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let input = |(at, line): (usize, &str)| unescape(line).ok_or(format!("line {} is not escaped", at + 1));
    text.lines().enumerate().map(input).collect()
}

/// What `<[u8]>::escape_ascii` writes.
fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut bytes = line.bytes();
    let mut input = Vec::new();
    while let Some(byte) = bytes.next() {
        input.push(match byte {
            b'\\' => match bytes.next()? {
                b't' => b'\t',
                b'r' => b'\r',
                b'n' => b'\n',
                own @ (b'\\' | b'\'' | b'"') => own,
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
    fn inputs_are_read_as_they_were_written() {
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
