use super::*;

fn parse(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn url_is_split_into_parts() {
    for (text, secure, host, port, path) in [
        ("ws://example.com", false, "example.com", 80, "/"),
        ("wss://example.com", true, "example.com", 443, "/"),
        ("WSS://Example.COM:8443/Chat?Room=1", true, "example.com", 8443, "/Chat?Room=1"),
        ("http://localhost:3000/", false, "localhost", 3000, "/"),
        ("https://a_b.example.", true, "a_b.example.", 443, "/"),
        ("ws://example.com?x=/@:", false, "example.com", 80, "/?x=/@:"),
        ("ws://example.com:/a", false, "example.com", 80, "/a"),
        ("ws://example.com:0080/a", false, "example.com", 80, "/a"),
        ("ws://127.0.0.1:9001/a//b/../c", false, "127.0.0.1", 9001, "/a//b/../c"),
        ("ws://[::1]:9001/", false, "::1", 9001, "/"),
        ("wss://[2001:DB8:0:0::7]", true, "2001:db8::7", 443, "/"),
        ("ws://xn--bcher-kva.example/%C3%BC", false, "xn--bcher-kva.example", 80, "/%C3%BC"),
        ("ws://h/{a}|\"b\"?[c]^`<>", false, "h", 80, "/%7Ba%7D%7C%22b%22?[c]%5E%60%3C%3E"),
        ("ws://0x7f.example/", false, "0x7f.example", 80, "/"),
        ("ws://1.2.3.4.example/", false, "1.2.3.4.example", 80, "/"),
    ] {
        let expected =
            Url { secure, host: host.into(), zone: None, port, path: path.into(), credentials: None };
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn invalid_urls_are_rejected_with_reason() {
    use UrlError::*;
    for (text, expected) in [
        ("", Empty),
        ("example.com", NoScheme),
        ("ws:example.com", NoScheme),
        ("://example.com", NoScheme),
        ("1ws://example.com", NoScheme),
        ("ftp://example.com", UnknownScheme("ftp".into())),
        ("ws://", EmptyHost),
        ("ws:///path", EmptyHost),
        ("ws://:80/", EmptyHost),
        ("ws://user@/", EmptyHost),
        ("ws://exa mple.com/", ForbiddenByte { byte: b' ', at: 8 }),
        (" ws://example.com/", ForbiddenByte { byte: b' ', at: 0 }),
        ("ws://example.com/\n", ForbiddenByte { byte: b'\n', at: 17 }),
        ("ws://example.com/a\r\nX: y", ForbiddenByte { byte: b'\r', at: 18 }),
        ("ws://example.com/\t", ForbiddenByte { byte: b'\t', at: 17 }),
        ("ws://example.com/\0", ForbiddenByte { byte: 0, at: 17 }),
        ("ws://example.com/\x7F", ForbiddenByte { byte: 0x7F, at: 17 }),
        ("ws://example.com\\path", ForbiddenByte { byte: b'\\', at: 16 }),
        ("ws://bücher.example/", NonAscii { at: 6 }),
        ("ws://example.com/ü", NonAscii { at: 17 }),
        ("ws://example.com/#top", Fragment),
        ("ws://example.com#", Fragment),
        ("ws://example.com/%", PercentEscape { at: 17 }),
        ("ws://example.com/%4", PercentEscape { at: 17 }),
        ("ws://example.com/%zz", PercentEscape { at: 17 }),
        ("ws://u%:p@example.com/", PercentEscape { at: 6 }),
        ("ws://example.com:0/", Port("0".into())),
        ("ws://example.com:65536/", Port("65536".into())),
        ("ws://example.com:+80/", Port("+80".into())),
        ("ws://example.com:80a/", Port("80a".into())),
        ("ws://example.com:80:81/", Port("80:81".into())),
        ("ws://::1/", Port(":1".into())),
        ("ws://[::1/", Ipv6("[::1".into())),
        ("ws://::1]/", Port(":1]".into())),
        ("ws://[::1]80/", Ipv6("[::1]80".into())),
        ("ws://[]/", Ipv6("[]".into())),
        ("ws://[fe80::1%25]/", Ipv6("[fe80::1%25]".into())),
        ("ws://[fe80::1%25a%20b]/", Ipv6("[fe80::1%25a%20b]".into())),
        ("ws://[fe80::1%25%00]/", Ipv6("[fe80::1%25%00]".into())),
        ("ws://[fe80::1%25%C3%BC]/", Ipv6("[fe80::1%25%C3%BC]".into())),
        ("ws://[%25lo]/", Ipv6("[%25lo]".into())),
        ("ws://[fe80::1%eth0]/", PercentEscape { at: 13 }),
        ("ws://[fe80::1%1]/", PercentEscape { at: 13 }),
        ("ws://[fe80::1%de0]/", Ipv6("[fe80::1%de0]".into())),
        ("ws://[::1%25lo]/", Zone("[::1%25lo]".into())),
        ("ws://[2001:db8::1%251]/", Zone("[2001:db8::1%251]".into())),
        ("ws://[fec0::1%251]/", Zone("[fec0::1%251]".into())),
        ("ws://[ff02::1%251]/", Zone("[ff02::1%251]".into())),
        ("ws://[::ffff:169.254.0.1%251]/", Zone("[::ffff:169.254.0.1%251]".into())),
        ("ws://127.0.0.1%25lo/", Host("127.0.0.1%25lo".into())),
        ("ws://localhost%25lo/", Host("localhost%25lo".into())),
        ("ws://[127.0.0.1]/", Ipv6("[127.0.0.1]".into())),
        ("ws://127.1/", Ipv4("127.1".into())),
        ("ws://0x7f.1/", Ipv4("0x7f.1".into())),
        ("ws://2130706433/", Ipv4("2130706433".into())),
        ("ws://0x7f000001/", Ipv4("0x7f000001".into())),
        ("ws://127.0.0.01/", Ipv4("127.0.0.01".into())),
        ("ws://256.0.0.1/", Ipv4("256.0.0.1".into())),
        ("ws://1.2.3.4.5/", Ipv4("1.2.3.4.5".into())),
        ("ws://127.0.0.1./", Ipv4("127.0.0.1.".into())),
        ("ws://a..b/", Host("a..b".into())),
        ("ws://.a/", Host(".a".into())),
        ("ws://./", Host(".".into())),
        ("ws://a%2Eb/", Host("a%2Eb".into())),
        ("ws://a,b/", Host("a,b".into())),
        ("ws://a|b/", Host("a|b".into())),
    ] {
        assert_eq!(Url::parse(text), Err(expected), "{text:?}");
    }
    assert_eq!(Url::parse(&format!("ws://h/{}", "x".repeat(limits::MAX_URL))), Err(TooLong));
    assert!(Url::parse(&format!("ws://h/{}", "x".repeat(limits::MAX_URL - 7))).is_ok());
    let label = "x".repeat(64);
    assert_eq!(Url::parse(&format!("ws://{label}/")), Err(Host(label)));
}

#[test]
fn messages_say_what_to_write() {
    for (text, parts) in [
        ("", ["is empty", "wss://host:port/path"]),
        ("localhost:9001", ["no scheme", "ws:// without TLS"]),
        ("ws://h/a b", ["a space at byte 8", "%20"]),
        ("ws://h/\n", ["0x0a at byte 7", "line breaks"]),
    ] {
        let message = Url::parse(text).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
    }
}

#[test]
fn bytes_that_could_break_request_head_are_rejected() {
    for byte in 0..=255u8 {
        let Ok(text) = String::from_utf8(b"ws://h/a".iter().copied().chain([byte]).collect()) else {
            continue;
        };
        if let Ok(url) = Url::parse(&text) {
            assert!(url.path.bytes().all(|b| b.is_ascii_graphic()), "{byte:02x}");
            assert!((0x21..0x7F).contains(&byte) && byte != b'#' && byte != b'\\');
        }
    }
}

#[test]
fn user_info_becomes_credentials_and_is_never_displayed() {
    for (text, user, password) in [
        ("ws://bob:secret@h/", "bob", "secret"),
        ("ws://bob@h/", "bob", ""),
        ("ws://bob:@h/", "bob", ""),
        ("ws://b%40b:s%3Ae:c%C3%BC@h/", "b@b", "s:e:cü"),
    ] {
        let url = parse(text);
        assert_eq!(url.credentials.as_deref(), Some(&(user.into(), password.into())));
        assert_eq!(url.full(), "ws://h/");
    }
    assert_eq!(parse("ws://@h/").credentials, None);
    for text in ["ws://a@b@h/", "ws://a%3Ab:c@h/", "ws://a%0D%0A:c@h/", "ws://a:%00@h/", "ws://a:%FF@h/"] {
        assert!(matches!(Url::parse(text), Err(UrlError::Credentials(_))), "{text}");
    }
}

#[test]
fn host_header_omits_default_port() {
    for (text, host_header, authority) in [
        ("ws://h/", "h", "h:80"),
        ("ws://h:443/", "h:443", "h:443"),
        ("wss://h:443/", "h", "h:443"),
        ("wss://[::1]/", "[::1]", "[::1]:443"),
        ("wss://[::1]:8443/", "[::1]:8443", "[::1]:8443"),
    ] {
        assert_eq!(parse(text).host_header(), host_header);
        assert_eq!(parse(text).authority(), authority);
    }
    let url = parse("https://[::1]:8443/x?y");
    assert_eq!(
        (url.full().as_str(), url.to_string().as_str()),
        ("wss://[::1]:8443/x?y", "wss://[::1]:8443/x?…")
    );
    assert!(parse("ws://H/a").same_origin(&parse("http://h:80/b")));
    assert!(!parse("ws://h/").same_origin(&parse("wss://h/")));
    assert!(!parse("ws://h/").same_origin(&parse("ws://h:81/")));
}

#[test]
fn zone_is_displayed_but_never_sent() {
    for (text, zone, shown) in [
        ("ws://[fe80::1%25lo]:9/", "lo", "ws://[fe80::1%25lo]:9/"),
        ("wss://[FE80:0::1%25eth0.100]/a?b", "eth0.100", "wss://[fe80::1%25eth0.100]/a?b"),
        ("ws://[fe80::1%252]", "2", "ws://[fe80::1%252]/"),
        ("ws://[fe80::1%25%6C%6f]/", "lo", "ws://[fe80::1%25lo]/"),
        ("ws://[fe80::1%25a%3Ab%5D]:80/", "a:b]", "ws://[fe80::1%25a%3Ab%5D]/"),
        ("ws://[febf::1%25En0]/", "En0", "ws://[febf::1%25En0]/"),
    ] {
        let url = parse(text);
        assert_eq!((url.zone.as_deref(), url.full().as_str()), (Some(zone), shown));
        assert_eq!(parse(shown), url);
        for sent in [url.host_header(), url.authority()] {
            assert!(sent.contains(&format!("[{}]", url.host)) && !sent.contains('%'), "{sent}");
        }
    }
    assert_eq!(parse("ws://[fe80::1]/").zone, None);
    assert!(!parse("ws://[fe80::1%251]/").same_origin(&parse("ws://[fe80::1%252]/")));
    assert!(!parse("ws://[fe80::1%251]/").same_origin(&parse("ws://[fe80::1]/")));
    let long = |length| Url::parse(&format!("ws://[fe80::1%25{}]/", "x".repeat(length)));
    assert!(long(64).is_ok());
    assert!(matches!(long(65), Err(UrlError::Ipv6(_))));
}

#[test]
fn parser_never_panics() {
    // All short texts of significant characters, with and without a scheme.
    let alphabet = b":/\\?#[]@%.a1x\xC3";
    for a in alphabet {
        for b in alphabet {
            for c in alphabet {
                for d in alphabet {
                    let text = String::from_utf8_lossy(&[*a, *b, *c, *d]).into_owned();
                    for text in [format!("ws://{text}"), format!("ws://h{text}"), text] {
                        if let Ok(url) = Url::parse(&text) {
                            assert_eq!(Url::parse(&url.full()).map(|again| again.path), Ok(url.path.clone()));
                        }
                        let _ = parse("ws://h/a/b").resolve_redirect(&text);
                    }
                }
            }
        }
    }
}
