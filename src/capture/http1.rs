//! The upgrade over HTTP/2 (RFC 8441) as the one of HTTP/1.1 (RFC 6455) that viewers decode.

use crate::wire::response::ResponseHead;
use crate::wire::upgrade::{ExtendedConnect, accept_for, key_from};

/// Over HTTP/2 there is none.
const NONCE: [u8; 16] = [0; 16];

/// Returns the request with the fields that HTTP/1.1 has in addition.
pub fn request(connect: &ExtendedConnect) -> Vec<u8> {
    let key = key_from(NONCE);
    let mut head = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n",
        connect.path, connect.authority
    );
    connect.fields.iter().for_each(|(name, value)| push(&mut head, name, value));
    head.push_str("\r\n");
    head.into_bytes()
}

/// Returns the response with the status and the fields of HTTP/1.1.
pub fn response(response: &ResponseHead) -> Vec<u8> {
    let is_accepted = (200..300).contains(&response.status);
    let mut head = if is_accepted {
        let accept = accept_for(&key_from(NONCE));
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n"
        )
    } else {
        format!("HTTP/1.1 {} {}\r\n", response.status, response.reason)
    };
    for (name, value) in response.headers.iter() {
        // Some gateways forward what only HTTP/1.1 has.
        let is_replaced = ["Upgrade", "Connection", "Sec-WebSocket-Accept", "Content-Length"];
        if !is_accepted || !is_replaced.iter().any(|replaced| replaced.eq_ignore_ascii_case(name)) {
            push(&mut head, name, value);
        }
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn push(head: &mut String, name: &str, value: &str) {
    head.extend([name, ": ", value, "\r\n"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{Head, ResponseHeaders, parse_response};

    #[test]
    fn extended_connect_becomes_upgrade_request() {
        let connect = ExtendedConnect {
            secure: true,
            authority: "example.org".to_owned(),
            path: "/play?a=b".to_owned(),
            fields: vec![("sec-websocket-version".to_owned(), "13".to_owned())],
        };
        let expected = "GET /play?a=b HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n";
        assert_eq!(String::from_utf8(request(&connect)).unwrap(), expected);
    }

    #[test]
    fn response_becomes_switching_protocols_or_stays_refusal() {
        for (status, expected) in [(200, 101), (403, 403)] {
            let mut headers = ResponseHeaders::default();
            headers.push("sec-websocket-protocol", "chat");
            headers.push("content-length", "0");
            let head = ResponseHead { status, reason: String::new(), version: 1, headers };
            let Ok(Head::Final { head, .. }) = parse_response(&response(&head)) else { panic!("{status}") };
            assert_eq!(head.status, expected);
            assert_eq!(head.headers.get("Sec-WebSocket-Protocol"), Some("chat"));
            assert_eq!(head.headers.get("Content-Length").is_some(), status == 403);
            assert_eq!(head.headers.get("Sec-WebSocket-Accept").is_some(), status == 200);
        }
    }
}
