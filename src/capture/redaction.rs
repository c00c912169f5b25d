//! Replaces the values of header fields that contain secrets.

const SECRET_FIELDS: [&str; 4] = ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"];
const REPLACEMENT: &[u8] = b"<redacted>";

/// Returns the head of a request or response, which may be incomplete, without the values of secret fields.
pub fn redact(head: &[u8]) -> Vec<u8> {
    let mut redacted = Vec::with_capacity(head.len());
    let mut is_secret = false;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        // A line that begins with a space continues the field before it (RFC 9112 section 5.2).
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if !is_secret {
                redacted.extend_from_slice(line);
            }
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = line[..colon].trim_ascii();
        is_secret = SECRET_FIELDS.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_bytes()));
        if is_secret && colon < line.len() {
            redacted.extend_from_slice(&line[..=colon]);
            redacted.push(b' ');
            redacted.extend_from_slice(REPLACEMENT);
            redacted.extend_from_slice(b"\r\n");
        } else {
            redacted.extend_from_slice(line);
        }
    }
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(head: &str) -> String {
        String::from_utf8(redact(head.as_bytes())).unwrap()
    }

    #[test]
    fn values_of_secret_fields_are_replaced() {
        let head = "GET /?token=kept HTTP/1.1\r\nHost: x:1\r\nauthorization:Bearer a:b\r\nCOOKIE: a=1\r\n\
                    Proxy-Authorization : Basic c\r\nX-Cookie: kept\r\n\r\n";
        let expected = "GET /?token=kept HTTP/1.1\r\nHost: x:1\r\nauthorization: <redacted>\r\n\
                        COOKIE: <redacted>\r\nProxy-Authorization : <redacted>\r\nX-Cookie: kept\r\n\r\n";
        assert_eq!(redacted(head), expected);
    }

    #[test]
    fn folded_and_incomplete_values_are_replaced() {
        let head = "HTTP/1.1 101 Go\nSet-Cookie: a\n b\n\tc\nServer: x\n y\nSet-Cookie: sec";
        let expected = "HTTP/1.1 101 Go\nSet-Cookie: <redacted>\r\nServer: x\n y\nSet-Cookie: <redacted>\r\n";
        assert_eq!(redacted(head), expected);
    }
}
