use super::*;

fn handshake(proxy: &str, host: &str, port: u16) -> ProxyHandshake {
    ProxyHandshake::new(Proxy::parse(proxy).unwrap(), host, port, None, "Game/1").unwrap()
}

/// Runs the handshake with a proxy that sends `responses`, one per client message, byte by byte. Returns the
/// client's messages and what was received through the tunnel with the last response.
fn run_handshake(
    handshake: &mut ProxyHandshake,
    responses: &[&[u8]],
) -> Result<(Vec<Vec<u8>>, Vec<u8>), ProxyError> {
    let mut sent = vec![handshake.start()];
    for (at, response) in responses.iter().enumerate() {
        let mut pending = Vec::new();
        for (place, byte) in response.iter().enumerate() {
            pending.push(*byte);
            match handshake.feed(&pending)? {
                ProxyStep::NeedMore { consumed } => drop(pending.drain(..consumed)),
                ProxyStep::Send { consumed, bytes } => {
                    assert_eq!(
                        (consumed, place + 1),
                        (pending.len(), response.len()),
                        "sent before its turn"
                    );
                    sent.push(bytes);
                }
                ProxyStep::Done { consumed } => {
                    assert_eq!(at + 1, responses.len());
                    assert_eq!(consumed, pending.len());
                    // The rest belongs to the tunnel.
                    assert_eq!(handshake.feed(b"more"), Ok(ProxyStep::Done { consumed: 0 }));
                    return Ok((sent, response[place + 1..].to_vec()));
                }
            }
        }
    }
    panic!("the handshake did not end");
}

fn refusal(handshake: &mut ProxyHandshake, responses: &[&[u8]]) -> ProxyError {
    run_handshake(handshake, responses).unwrap_err()
}

#[test]
fn connect_request_has_target_and_credentials() {
    let plain = handshake("http://p", "example.com", 443);
    assert_eq!(
        plain.start(),
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent: Game/1\r\n\r\n"
    );
    let proxy = Proxy::parse("p").unwrap();
    let silent = ProxyHandshake::new(proxy, "h", 80, None, "").unwrap();
    assert_eq!(silent.start(), b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n");
    let login = handshake("http://Aladdin:open%20sesame@p", "::1", 80);
    assert_eq!(
        String::from_utf8(login.start()).unwrap(),
        "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: Game/1\r\n\
         Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
    );
}

#[test]
fn any_success_opens_tunnel_and_later_bytes_belong_to_it() {
    for response in [
        "HTTP/1.0 200 Connection established\r\n\r\n",
        "HTTP/1.1 200\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 299 x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Policy: a;\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\nX-Policy: a;\n\tb\n\n",
    ] {
        let both = [response.as_bytes(), b"\x16\x03"].concat();
        let (sent, through) = run_handshake(&mut handshake("p", "h", 443), &[&both]).unwrap();
        assert_eq!((sent.len(), through.as_slice()), (1, &b"\x16\x03"[..]), "{response}");
    }
    let mut at_once = handshake("p", "h", 443);
    assert_eq!(at_once.feed(b"HTTP/1.1 200 x\r\n\r\nmore"), Ok(ProxyStep::Done { consumed: 18 }));
}

#[test]
fn http_proxy_refusal_has_advice() {
    for (proxy, line, retriable, words) in [
        ("http://p", "HTTP/1.1 407 x", false, "requires credentials"),
        ("http://p", "HTTP/1.1 401 x", false, "requires credentials"),
        ("http://u:w@p", "HTTP/1.1 407 x", false, "does not accept the user name and password"),
        ("http://u:w@p", "HTTP/1.0 401 x", false, "does not accept the user name and password"),
        ("http://p", "HTTP/1.1 403 x", false, "does not allow"),
        ("http://p", "HTTP/1.1 503 x", true, "could not reach"),
        ("http://p", "HTTP/1.1 302 x", false, "redirects"),
        ("http://p", "HTTP/1.1 101 x", false, "no tunnel"),
    ] {
        let response = format!("{line}\r\nServer: x\r\n\r\n");
        let error = refusal(&mut handshake(proxy, "h", 443), &[response.as_bytes()]);
        assert_eq!((error.status.to_string().as_str(), error.retriable), (&line[9..12], retriable));
        assert!(error.message.starts_with("the proxy p:80 (target h:443) answered "), "{error}");
        assert!(error.message.contains(words), "{line}: {error}");
    }
}

#[test]
fn misbehaving_http_proxy_is_rejected() {
    let mut garbage = handshake("p", "h", 443);
    assert!(garbage.feed(b"\x05").unwrap_err().message.contains("does not speak HTTP/1"));
    let endless = [b"HTTP/1.1 200 ".to_vec(), vec![b'x'; limits::MAX_RESPONSE_HEAD]].concat();
    assert!(handshake("p", "h", 443).feed(&endless).unwrap_err().message.contains("exceeds the limits"));
    let interims = b"HTTP/1.1 100 x\r\n\r\n".repeat(limits::MAX_INTERIM_RESPONSES + 1);
    assert!(refusal(&mut handshake("p", "h", 443), &[&interims]).message.contains("interim"));
}

#[test]
fn head_received_byte_by_byte_is_parsed_at_its_end() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(60_000));
    let (_, through) = run_handshake(&mut handshake("p", "h", 80), &[long.as_bytes()]).unwrap();
    assert_eq!(through, b"");

    // Parsing at every byte would detect the line without a colon at once.
    let mut proxy = handshake("p", "h", 80);
    let start = format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(100));
    let responses = [start.clone(), start.clone() + "no colon\r\n", start + "no colon\r\n\r\n"];
    let waits = Ok(ProxyStep::NeedMore { consumed: 0 });
    assert_eq!(proxy.feed(responses[0].as_bytes()), waits);
    assert_eq!(proxy.feed(responses[1].as_bytes()), waits);
    assert!(proxy.feed(responses[2].as_bytes()).is_err());
}

#[test]
fn socks5_request_has_name_or_address() {
    let ok = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let (sent, through) = run_handshake(
        &mut handshake("socks5h://p", "example.com", 443),
        &[&[5, 0], &[&ok[..], b"x"].concat()],
    )
    .unwrap();
    assert_eq!(sent, [vec![5, 1, 0], b"\x05\x01\x00\x03\x0Bexample.com\x01\xBB".to_vec()]);
    assert_eq!(through, b"x");

    let (sent, _) = run_handshake(&mut handshake("socks5h://p", "::1", 80), &[&[5, 0], &ok]).unwrap();
    assert_eq!(sent[1][..4], [5, 1, 0, 4]);
    assert_eq!(sent[1][4..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]);

    let proxy = Proxy::parse("socks5://p").unwrap();
    let resolved = Some("10.1.2.3".parse().unwrap());
    let mut by_address = ProxyHandshake::new(proxy, "example.com", 80, resolved, "").unwrap();
    let (sent, _) = run_handshake(&mut by_address, &[&[5, 0], &ok]).unwrap();
    assert_eq!(sent[1], [5, 1, 0, 1, 10, 1, 2, 3, 0, 80]);
}

#[test]
fn socks5_authenticates_if_required() {
    let reply = b"\x05\x00\x00\x03\x04name\x12\x34";
    let mut login = handshake("socks5h://bob:secret@p", "h", 1);
    let (sent, _) = run_handshake(&mut login, &[&[5, 2], &[1, 0], reply]).unwrap();
    assert_eq!(sent[..2], [vec![5, 2, 0, 2], b"\x01\x03bob\x06secret".to_vec()]);
    assert_eq!(sent[2], b"\x05\x01\x00\x03\x01h\x00\x01");

    let six = [&[5, 0, 0, 4][..], &[0; 18]].concat();
    let mut without_login = handshake("socks5h://bob:secret@p", "h", 1);
    assert_eq!(run_handshake(&mut without_login, &[&[5, 0], &six]).unwrap().0.len(), 2);
}

#[test]
fn socks5_proxy_refusal_has_advice() {
    for (proxy, responses, retriable, words) in [
        ("socks5://p", &[&[5, 0xFF][..]][..], false, "requires credentials"),
        ("socks5://u:w@p", &[&[5, 0xFF]], false, "neither"),
        ("socks5://p", &[&[5, 2]], false, "not offered"),
        ("socks5://u:w@p", &[&[5, 1]], false, "not offered"),
        ("socks5://p", &[b"H"], false, "does not speak SOCKS5"),
        ("socks5://u:w@p", &[&[5, 2], &[1, 1]], false, "does not accept"),
        ("socks5://u:w@p", &[&[5, 2], &[9]], false, "invalid authentication response"),
        ("socks5://p", &[&[5, 0], &[5, 1]], true, "general"),
        ("socks5://p", &[&[5, 0], &[5, 2]], false, "not allow"),
        ("socks5://p", &[&[5, 0], &[5, 4]], true, "host is unreachable"),
        ("socks5://p", &[&[5, 0], &[5, 5]], true, "refused"),
        ("socks5://p", &[&[5, 0], &[5, 99]], false, "does not define"),
        ("socks5://p", &[&[5, 0], &[4]], false, "does not speak SOCKS5"),
        ("socks5://p", &[&[5, 0], &[5, 0, 0, 2]], false, "address type"),
    ] {
        let error = refusal(&mut handshake(proxy, "h", 443), responses);
        assert_eq!((error.status, error.retriable), (0, retriable), "{responses:?}");
        assert!(error.message.starts_with("the proxy p:1080 (target h:443) "), "{error}");
        assert!(error.message.contains(words), "{responses:?}: {error}");
    }
    let proxy = Proxy::parse("socks5h://p").unwrap();
    assert!(ProxyHandshake::new(proxy, &"h".repeat(256), 1, None, "").is_err());
}
