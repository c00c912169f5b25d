use super::*;

fn parse(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn redirects_resolve_as_in_rfc_3986() {
    let base = parse("wss://h:8443/b/c/d?q");
    for (location, expected) in [
        ("wss://other/x", "wss://other/x"),
        ("https://other", "wss://other/"),
        ("//other/x", "wss://other/x"),
        ("/x/./y/../z", "wss://h:8443/x/z"),
        ("g", "wss://h:8443/b/c/g"),
        ("./g", "wss://h:8443/b/c/g"),
        ("g/", "wss://h:8443/b/c/g/"),
        ("?y", "wss://h:8443/b/c/d?y"),
        ("g?y/./x", "wss://h:8443/b/c/g?y/./x"),
        ("", "wss://h:8443/b/c/d?q"),
        (".", "wss://h:8443/b/c/"),
        ("./", "wss://h:8443/b/c/"),
        ("..", "wss://h:8443/b/"),
        ("../g", "wss://h:8443/b/g"),
        ("../..", "wss://h:8443/"),
        ("../../../g", "wss://h:8443/g"),
        ("/./g", "wss://h:8443/g"),
        ("g.", "wss://h:8443/b/c/g."),
        ("..g", "wss://h:8443/b/c/..g"),
        ("./g/.", "wss://h:8443/b/c/g/"),
        ("/x#frag", "wss://h:8443/x"),
        ("wss://other/x#frag", "wss://other/x"),
    ] {
        let url = base.resolve_redirect(location).unwrap_or_else(|error| panic!("{location}: {error}"));
        assert_eq!(url.full(), expected, "{location}");
    }
}

#[test]
fn invalid_locations_are_read_like_browsers_do() {
    let base = parse("ws://h/b/c?q");
    for (location, expected) in [
        ("/caf\u{e9}", "ws://h/caf%C3%A9"),
        ("/a b", "ws://h/a%20b"),
        ("/100%", "ws://h/100%25"),
        ("/100%/x%2", "ws://h/100%25/x%252"),
        ("/%zz%41%%41", "ws://h/%25zz%41%25%41"),
        ("/%\u{e9}", "ws://h/%25%C3%A9"),
        ("caf\u{e9} \u{1f600}", "ws://h/b/caf%C3%A9%20%F0%9F%98%80"),
        ("?a b=\u{e9}&c='%\\", "ws://h/b/c?a%20b=%C3%A9&c=%27%25%5C"),
        ("/'?'", "ws://h/'?%27"),
        ("?", "ws://h/b/c?"),
        ("  /x  ", "ws://h/x"),
        ("/x\u{1}y\u{7f}", "ws://h/x%01y%7F"),
        ("/a\tb", "ws://h/ab"),
        ("/b\r\nX: y", "ws://h/bX:%20y"),
        ("w\ts\n:/\r/other/", "ws://other/"),
        ("\\x\\y?\\", "ws://h/x/y?%5C"),
        ("\\\\other\\x", "ws://other/x"),
        ("/\\other", "ws://other/"),
        ("///other/x", "ws://other/x"),
        ("ws:\\\\other\\x", "ws://other/x"),
        ("ws://other\\@h/", "ws://other/@h/"),
        ("ws:////other", "ws://other/"),
        ("ws:x", "ws://h/b/x"),
        ("http:/x", "ws://h/x"),
        ("ws:?x", "ws://h/b/c?x"),
        ("wss:other/x", "wss://other/x"),
        ("https:/other", "wss://other/"),
        ("HTTPS:///other/x", "wss://other/x"),
        ("ws://other?a b", "ws://other/?a%20b"),
        ("ws://other/caf\u{e9}#\u{e9}", "ws://other/caf%C3%A9"),
        ("ws://other/a/../b/./c/..", "ws://other/b/"),
        ("/a/%2e%2E/b/%2e/c/.%2e/", "ws://h/b/"),
        ("/a//../b", "ws://h/a/b"),
        ("//other#x", "ws://other/"),
        ("#\u{e9} %", "ws://h/b/c?q"),
        ("a:1/x", ""),
        ("./a:1", "ws://h/b/a:1"),
        ("/<\"{|}>^`", "ws://h/%3C%22%7B%7C%7D%3E%5E%60"),
    ] {
        match base.resolve_redirect(location) {
            Ok(url) => assert_eq!(url.full(), expected, "{location:?}"),
            Err(error) => assert_eq!((error, expected), (UrlError::UnknownScheme("a".into()), "")),
        }
    }
    let user = base.resolve_redirect("//b\u{e9}:p@ss %@other/").unwrap();
    assert_eq!(user.credentials.as_deref(), Some(&("b\u{e9}".into(), "p@ss %".into())));
    assert_eq!(user.host, "other");
    for (location, error) in [
        ("//b\u{fc}cher.example/", UrlError::NonAscii { at: 6 }),
        ("ws://bad host/", UrlError::ForbiddenByte { byte: b' ', at: 8 }),
        ("//a%2Eb/", UrlError::Host("a%2Eb".into())),
        ("//a%/", UrlError::PercentEscape { at: 6 }),
        ("//127.1/", UrlError::Ipv4("127.1".into())),
        ("//", UrlError::EmptyHost),
        ("wss:", UrlError::EmptyHost),
        ("//h:99999/", UrlError::Port("99999".into())),
    ] {
        assert_eq!(base.resolve_redirect(location), Err(error), "{location:?}");
    }
    assert_eq!(base.resolve_redirect(&"x".repeat(limits::MAX_URL + 1)), Err(UrlError::TooLong));
    assert_eq!(
        base.resolve_redirect(&" ".repeat(3).replace(' ', "/\u{e9}").repeat(2000)),
        Err(UrlError::TooLong)
    );
}

#[test]
fn zone_is_kept_for_same_host_and_rejected_in_location() {
    let base = parse("ws://[fe80::1%25lo]:9/a");
    for location in ["/b", "//[fe80::1]:9/b", "ws://[FE80::1]:9/b"] {
        assert_eq!(base.resolve_redirect(location).unwrap().to_string(), "ws://[fe80::1%25lo]:9/b");
    }
    assert_eq!(base.resolve_redirect("wss://[fe80::1]/").unwrap().to_string(), "wss://[fe80::1%25lo]/");
    assert_eq!(base.resolve_redirect("//[fe80::2]/").unwrap().zone, None);
    for location in ["//[fe80::1%25lo]/", "//[fe80::1%25eth0]/", "wss://[fe80::9%251]/"] {
        assert_eq!(base.resolve_redirect(location), Err(UrlError::ForeignZone), "{location}");
        assert_eq!(parse("ws://h/").resolve_redirect(location), Err(UrlError::ForeignZone), "{location}");
    }
}

#[test]
fn redirect_never_drops_tls_or_leaks_credentials() {
    let base = parse("wss://bob:secret@h/a");
    assert_eq!(base.resolve_redirect("ws://h/a"), Err(UrlError::Downgrade));
    assert_eq!(base.resolve_redirect("http://h/a"), Err(UrlError::Downgrade));
    assert!(parse("ws://h/").resolve_redirect("wss://h/").is_ok());
    assert_eq!(base.resolve_redirect("/b").unwrap().credentials, base.credentials);
    assert_eq!(base.resolve_redirect("wss://h/b").unwrap().credentials, base.credentials);
    assert_eq!(base.resolve_redirect("wss://h:444/b").unwrap().credentials, None);
    assert_eq!(base.resolve_redirect("wss://other/b").unwrap().credentials, None);
    // They are kept for TLS on the same host, whatever the port.
    let plain = parse("ws://bob:secret@h/a");
    for location in ["wss://h/", "https://h/x", "wss://H:8443/", "wss://h:80/"] {
        assert_eq!(plain.resolve_redirect(location).unwrap().credentials, plain.credentials, "{location}");
    }
    for location in
        ["wss://www.h/", "wss://h.example/", "wss://h./", "ws://h:81/", "//other/", "wss://@other/"]
    {
        assert_eq!(plain.resolve_redirect(location).unwrap().credentials, None, "{location}");
    }
    // Credentials in the Location are used.
    let named = plain.resolve_redirect("ws://ann:pw@other/").unwrap().credentials;
    assert_eq!(named.as_deref(), Some(&("ann".into(), "pw".into())));
    for location in ["mailto:bob", "localhost:80/x"] {
        let scheme = location.split(':').next().unwrap().into();
        assert_eq!(base.resolve_redirect(location), Err(UrlError::UnknownScheme(scheme)));
    }
    assert_eq!(base.resolve_redirect("ftp://h/"), Err(UrlError::UnknownScheme("ftp".into())));
}
