//! Proxies: tunnels through HTTP and SOCKS5 proxies, and how their refusals are reported.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use crate::common::{Client, Seen, wait_until};
use framewire::{Code, Error, ErrorKind, Phase, Socket};
use framewire_servers::relay::relay;
use framewire_servers::{EchoServer, Peer, Scripted};

/// The requests that a proxy received, one per connection.
type Requests = Arc<Mutex<Vec<String>>>;

fn requests(requests: &Requests) -> Vec<String> {
    requests.lock().unwrap().clone()
}

/// An HTTP proxy that connects every request to this port, whatever its target is.
fn http_proxy(backend: u16) -> (Scripted, Requests) {
    let requests = Requests::default();
    let own = requests.clone();
    let proxy = Scripted::start(move |mut peer| {
        let head = peer.read_head();
        if head.is_empty() {
            return;
        }
        own.lock().unwrap().push(head);
        peer.send(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
        let server = TcpStream::connect(("127.0.0.1", backend)).expect("the server listens");
        relay(peer.stream(), &server);
    });
    (proxy, requests)
}

/// A SOCKS5 proxy that requires this login, or none, and connects every request to this port. Records
/// targets as `type:host:port`.
fn socks_proxy(backend: u16, login: Option<(&'static str, &'static str)>) -> (Scripted, Requests) {
    let requests = Requests::default();
    let own = requests.clone();
    let proxy = Scripted::start(move |mut peer| {
        let mut greeting = [0; 2];
        if peer.stream().read_exact(&mut greeting).is_err() {
            return;
        }
        let methods = read(&peer, greeting[1].into());
        match login {
            None => peer.send(&[5, 0]),
            Some((user, password)) => {
                assert!(methods.contains(&2), "{methods:?}");
                peer.send(&[5, 2]);
                let (_, user_len) = (read(&peer, 1), read(&peer, 1)[0]);
                let given_user = read(&peer, user_len.into());
                let password_len = read(&peer, 1)[0];
                let given_password = read(&peer, password_len.into());
                let is_valid = given_user == user.as_bytes() && given_password == password.as_bytes();
                peer.send(&[1, u8::from(!is_valid)]);
                if !is_valid {
                    return;
                }
            }
        }
        let request = read(&peer, 4);
        assert_eq!(request[..3], [5, 1, 0]);
        let host = match request[3] {
            1 => read(&peer, 4).iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            3 => {
                let len = read(&peer, 1)[0];
                String::from_utf8(read(&peer, len.into())).unwrap()
            }
            other => panic!("address type {other}"),
        };
        let port = read(&peer, 2);
        let port = u16::from_be_bytes([port[0], port[1]]);
        own.lock().unwrap().push(format!("{}:{host}:{port}", request[3]));
        peer.send(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
        let server = TcpStream::connect(("127.0.0.1", backend)).expect("the server listens");
        relay(peer.stream(), &server);
    });
    (proxy, requests)
}

fn read(peer: &Peer, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    peer.stream().read_exact(&mut bytes).expect("the client continues the handshake");
    bytes
}

/// Opens, echoes text and two large messages, and closes.
fn assert_echoes(client: &Client) {
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    client.send_text("through").unwrap();
    assert_eq!(client.next(), Seen::Text("through".into()));
    let large: Vec<u8> = (0..700_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    for _ in 0..2 {
        client.send_binary(&large).unwrap();
    }
    for _ in 0..2 {
        assert!(client.next() == Seen::Binary(large.clone()), "a large message was changed");
    }
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1000);
}

/// The error of a connection through this proxy to `ws://server.example:99/`.
fn refused(proxy: &str) -> Error {
    let client = Client::new("ws://server.example:99/");
    client.set_proxy(Some(proxy)).unwrap();
    client.open().unwrap();
    let error = client.error();
    assert_eq!(error.phase, Phase::Proxy, "{error}");
    assert_eq!((client.response_status(), client.http_version()), (0, 0), "no response of the server");
    error
}

fn http_url(proxy: &Scripted) -> String {
    format!("http://127.0.0.1:{}", proxy.port())
}

fn socks(proxy: &Scripted, scheme: &str) -> String {
    format!("{scheme}://127.0.0.1:{}", proxy.port())
}

#[test]
fn http_proxy_gets_one_connect_and_then_relays() {
    let server = EchoServer::start();
    let (proxy, heads) = http_proxy(server.port());
    let client = Client::new("ws://server.example:99/path");
    client.set_proxy(Some(&http_url(&proxy))).unwrap();
    assert_echoes(&client);
    assert_echoes(&client);
    let expected = |user_agent: &str| {
        format!(
            "CONNECT server.example:99 HTTP/1.1\r\nHost: server.example:99\r\nUser-Agent: {user_agent}\r\n\r\n"
        )
    };
    let default = expected(concat!("Framewire/", env!("CARGO_PKG_VERSION")));
    assert_eq!(requests(&heads), [default.clone(), default]);
    client.add_header("user-agent", "Game/2").unwrap();
    client.add_header("X-Game", "for the server alone").unwrap();
    assert_echoes(&client);
    assert_eq!(requests(&heads)[2], expected("Game/2"));
    assert_eq!(client.url(), "ws://server.example:99/path");
    assert!(client.stats().connect_us > 0);
}

#[test]
fn ipv6_zone_is_not_sent_to_a_proxy() {
    let server = EchoServer::start();
    let (proxy, heads) = http_proxy(server.port());
    let client = Client::new("ws://[fe80::1%25lo]:99/");
    client.set_proxy(Some(&http_url(&proxy))).unwrap();
    assert_echoes(&client);
    let head = &requests(&heads)[0];
    assert!(head.starts_with("CONNECT [fe80::1]:99 HTTP/1.1\r\nHost: [fe80::1]:99\r\n"), "{head}");
    assert!(!head.contains('%'), "{head}");

    // The zone of the proxy's own address selects the interface.
    let error = refused("http://[fe80::1%25no-such-if]:99");
    assert_eq!(error.kind, ErrorKind::Proxy, "{error}");
    assert!(error.message.contains("fe80::1%no-such-if"), "{error}");
}

#[test]
fn proxy_host_name_is_resolved() {
    let server = EchoServer::start();
    let (proxy, _) = http_proxy(server.port());
    let client = Client::new("ws://server.example/");
    client.set_proxy(Some(&format!("localhost:{}", proxy.port()))).unwrap();
    assert_echoes(&client);
}

#[test]
fn proxy_credentials_are_sent_only_to_the_proxy() {
    let heads = Requests::default();
    let own = heads.clone();
    let proxy = Scripted::start(move |mut peer| {
        own.lock().unwrap().push(peer.read_head());
        peer.send(b"HTTP/1.0 200 OK\r\n\r\n");
        let request = peer.accept_upgrade();
        own.lock().unwrap().push(request);
        peer.wait_for_end();
    });
    let client = Client::new("ws://alice:wonder@server.example/");
    client.set_proxy(Some(&format!("http://bob:s%40cret@127.0.0.1:{}", proxy.port()))).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    // The proxy records a request after responding.
    wait_until("both requests", || requests(&heads).len() == 2);
    let heads = requests(&heads);
    // "bob:s@cret" and "alice:wonder".
    assert!(heads[0].contains("\r\nProxy-Authorization: Basic Ym9iOnNAY3JldA==\r\n"), "{}", heads[0]);
    assert!(!heads[0].contains("\r\nAuthorization"), "{}", heads[0]);
    assert!(heads[1].contains("\r\nAuthorization: Basic YWxpY2U6d29uZGVy\r\n"), "{}", heads[1]);
    assert!(!heads[1].contains("Proxy-"), "{}", heads[1]);
}

#[test]
fn http_proxy_refusal_is_reported() {
    for (credentials, response, status, retriable, words) in [
        (
            "",
            "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
            407,
            false,
            "requires credentials",
        ),
        ("bob:wrong@", "HTTP/1.1 407 x\r\n\r\n", 407, false, "does not accept the user name and password"),
        ("bob:wrong@", "HTTP/1.0 401 x\r\n\r\n", 401, false, "does not accept the user name and password"),
        ("", "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nnever", 403, false, "does not allow"),
        ("", "HTTP/1.1 404 x\r\n\r\n", 404, false, "no tunnel"),
        ("", "HTTP/1.1 302 x\r\nLocation: http://portal.example/\r\n\r\n", 302, false, "redirects"),
        ("", "HTTP/1.1 429 x\r\n\r\n", 429, true, "no tunnel"),
        ("", "HTTP/1.1 502 x\r\n\r\n", 502, true, "could not reach"),
        ("", "HTTP/1.1 503 x\r\n\r\n", 503, true, "could not reach"),
        ("", "SSH-2.0-OpenSSH\r\n", 0, false, "does not speak HTTP"),
        ("", "HTTP/1.1 200 x\r\nno colon\r\n\r\n", 0, false, "malformed"),
        ("", "HTTP/1.1 200 x\r\n\r\nHTTP/1.1 101 x\r\n\r\n", 0, false, "data after its response"),
        ("", "", 0, true, "ended the connection"),
        ("", "HTTP/1.1 20", 0, true, "ended the connection"),
    ] {
        let proxy = Scripted::responding(response);
        let error = refused(&format!("http://{credentials}127.0.0.1:{}", proxy.port()));
        assert_eq!((error.kind, error.http_status), (ErrorKind::Proxy, status), "{response:?}: {error}");
        assert_eq!(error.retriable, retriable, "{response:?}: {error}");
        let named = format!("127.0.0.1:{}", proxy.port());
        for part in [words, &named, "server.example:99"] {
            assert!(error.message.contains(part), "{part} in {error}");
        }
        assert!(!error.message.contains("wrong"), "the password in {error}");
    }
}

#[test]
fn proxy_response_with_folded_headers_is_accepted() {
    for response in
        ["HTTP/1.1 200 OK\r\nX-Policy: a;\r\n b\r\n\r\n", "HTTP/1.1 200 OK\nX-Policy: a;\n\tb\n\n"]
    {
        let proxy = Scripted::start(move |mut peer| {
            peer.read_head();
            peer.send_byte_by_byte(response.as_bytes());
            peer.accept_upgrade();
            peer.wait_for_end();
        });
        let client = Client::new("ws://server.example/");
        client.set_proxy(Some(&http_url(&proxy))).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open, "{response:?}");
    }
}

#[test]
fn endless_proxy_response_is_cut_off() {
    let proxy = Scripted::start(|mut peer| {
        peer.read_head();
        peer.send(b"HTTP/1.1 200 OK\r\nX: ");
        while peer.stream().write_all(&[b'x'; 4096]).is_ok() {}
    });
    let error = refused(&http_url(&proxy));
    assert_eq!((error.kind, error.retriable), (ErrorKind::Proxy, false), "{error}");
    assert!(error.message.contains("limits"), "{error}");
}

#[test]
fn connect_timeout_covers_the_proxy_handshake() {
    for (scheme, response) in
        [("http", &b""[..]), ("http", b"HTTP/1.1 200 OK\r\n"), ("socks5h", b"\x05"), ("https", b"")]
    {
        let proxy = Scripted::start(move |mut peer| {
            peer.send(response);
            peer.wait_for_end();
        });
        let client = Client::new("ws://server.example/");
        client.set_proxy(Some(&format!("{scheme}://127.0.0.1:{}", proxy.port()))).unwrap();
        client.set_connect_timeout(200).unwrap();
        client.open().unwrap();
        let error = client.error();
        assert_eq!(
            (error.kind, error.phase, error.retriable),
            (ErrorKind::TimedOut, Phase::Proxy, true),
            "{error}"
        );
        assert!(error.message.contains("server.example:80"), "{error}");
    }
}

#[test]
fn unreachable_proxy_is_a_proxy_error() {
    let dead = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    dead.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let port = dead.local_addr().unwrap().as_socket().unwrap().port();
    for scheme in ["http", "https", "socks5h"] {
        let error = refused(&format!("{scheme}://127.0.0.1:{port}"));
        assert_eq!((error.kind, error.retriable), (ErrorKind::Proxy, true), "{error}");
        assert_ne!(error.os_code, 0);
        for part in [format!("the proxy 127.0.0.1:{port}"), "server.example:99".into()] {
            assert!(error.message.contains(&part), "{part} in {error}");
        }
    }
}

#[test]
fn close_cancels_the_proxy_handshake() {
    let proxy = Scripted::start(|mut peer| {
        peer.read_head();
        assert!(peer.wait_for_end());
    });
    let client = Client::new("ws://server.example/");
    client.set_proxy(Some(&http_url(&proxy))).unwrap();
    client.open().unwrap();
    crate::common::wait_until("the connection", || proxy.connections() == 1);
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1006);
}

#[test]
fn socks5_sends_an_address_and_socks5h_the_name() {
    let server = EchoServer::start();
    for (scheme, expected) in
        [("socks5", "1:127.0.0.1:99"), ("socks5h", "3:localhost:99"), ("socks", "3:localhost:99")]
    {
        let (proxy, targets) = socks_proxy(server.port(), None);
        let client = Client::new("ws://localhost:99/");
        client.set_proxy(Some(&socks(&proxy, scheme))).unwrap();
        assert_echoes(&client);
        assert_eq!(requests(&targets), [expected]);
    }
    let (proxy, targets) = socks_proxy(server.port(), None);
    let client = Client::new("ws://127.9.8.7/");
    client.set_proxy(Some(&socks(&proxy, "socks5h"))).unwrap();
    assert_echoes(&client);
    assert_eq!(requests(&targets), ["1:127.9.8.7:80"]);
}

#[test]
fn socks5_authenticates() {
    let server = EchoServer::start();
    let (proxy, _) = socks_proxy(server.port(), Some(("bob", "secret")));
    let client = Client::new("ws://server.example/");
    client.set_proxy(Some(&format!("socks5h://bob:secret@127.0.0.1:{}", proxy.port()))).unwrap();
    assert_echoes(&client);

    let error = refused(&format!("socks5h://bob:wrong@127.0.0.1:{}", proxy.port()));
    assert_eq!((error.kind, error.retriable), (ErrorKind::Proxy, false), "{error}");
    assert!(error.message.contains("does not accept the user name and password"), "{error}");
}

#[test]
fn socks5_proxy_refusal_is_reported() {
    for (responses, retriable, words) in [
        (&[&[5, 0xFF][..]][..], false, "requires credentials"),
        (&[b"HTTP/1.1 400 x\r\n\r\n"], false, "does not speak SOCKS5"),
        (&[&[5, 0], &[5, 1, 0, 1, 0, 0, 0, 0, 0, 0]], true, "general failure"),
        (&[&[5, 0], &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]], false, "does not allow"),
        (&[&[5, 0], &[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]], true, "network is unreachable"),
        (&[&[5, 0], &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]], true, "host is unreachable"),
        (&[&[5, 0], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]], true, "refused"),
        (&[&[5, 0], &[5, 0, 0, 1, 0, 0]], true, "ended the connection"),
        (&[b""], true, "ended the connection"),
    ] {
        let own: Vec<Vec<u8>> = responses.iter().map(|response| response.to_vec()).collect();
        let proxy = Scripted::start(move |mut peer| {
            for response in &own {
                // A greeting has 3 bytes, the request for `server.example` 21.
                if peer.stream().read(&mut [0; 64]).is_ok() {
                    peer.send(response);
                }
            }
        });
        let error = refused(&socks(&proxy, "socks5h"));
        assert_eq!((error.kind, error.http_status), (ErrorKind::Proxy, 0), "{responses:?}: {error}");
        assert_eq!(error.retriable, retriable, "{responses:?}: {error}");
        assert!(error.message.contains(words), "{words} in {error}");
        assert!(error.message.contains("server.example:99"), "{error}");
    }
}

#[test]
fn invalid_proxy_urls_and_open_sockets_are_refused() {
    let server = Scripted::start(|mut peer| assert!(peer.wait_for_end()));
    let client = Client::new(&server.url());
    for url in ["ftp://h", "http://", "http://h/path", "socks4://h", "socks4a://h", "http://h:0", "a b"] {
        assert_eq!(client.set_proxy(Some(url)).unwrap_err().code, Code::InvalidUrl, "{url}");
    }
    client.set_proxy(Some("proxy.example:3128")).unwrap();
    client.set_proxy(Some("")).unwrap();
    client.open().unwrap();
    assert_eq!(client.set_proxy(None).unwrap_err().code, Code::InvalidState);
    client.abort().unwrap();
    assert!(client.end().is_terminal());
}

/// The environment is global to the process, so this test runs itself in child processes.
#[test]
fn proxy_from_environment_is_used_unless_the_socket_sets_one() {
    const CHILD_URL: &str = "FRAMEWIRE_PLAYED_URL";
    if let Ok(url) = std::env::var(CHILD_URL) {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let own = warnings.clone();
        let log = move |_: framewire::LogLevel, _: u64, _: &str, message: &str| {
            own.lock().unwrap().push(message.to_owned());
        };
        framewire::set_log(framewire::LogLevel::Warn, Some(Arc::new(log)));
        let direct = Socket::create(&url).unwrap();
        direct.set_proxy(Some("")).unwrap();
        for socket in [Socket::create(&url).unwrap(), direct] {
            socket.open().unwrap();
            crate::common::wait_until("the connection", || {
                framewire::next_event();
                socket.is_open()
            });
            socket.abort().unwrap();
        }
        let unusable = std::env::vars().filter(|(name, value)| {
            name.to_lowercase().ends_with("_proxy") && value.ends_with("127.0.0.1:1")
        });
        let mut expected: Vec<String> = unusable.map(|(name, _)| name).collect();
        let mut warned: Vec<String> = warnings.lock().unwrap().clone();
        warned.retain(|line| line.contains("is ignored"));
        warned.sort();
        expected.sort();
        assert_eq!(warned.len(), expected.len(), "{warned:?}");
        for (line, name) in warned.iter().zip(&expected) {
            assert!(line.starts_with(&format!("the environment variable {name} is ignored: ")), "{line}");
        }
        return;
    }
    let server = EchoServer::start();
    let url = format!("ws://127.0.0.1:{}/", server.port());
    let run_child = |variables: &[(&str, &str)]| {
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            program.env_remove(name).env_remove(name.to_uppercase());
        }
        program.args(["--exact", "proxy::proxy_from_environment_is_used_unless_the_socket_sets_one"]);
        let output = program.env(CHILD_URL, &url).envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{variables:?}: {}", String::from_utf8_lossy(&output.stdout));
    };
    let (proxy, heads) = http_proxy(server.port());
    let (socks_proxy, names) = socks_proxy(server.port(), None);
    let (http, socks) = (http_url(&proxy), socks(&socks_proxy, "socks5h"));
    // Each process has one socket that uses the environment, and one that does not.
    for (variables, by_http, by_socks) in [
        (&[][..], 0, 0),
        (&[("HTTP_PROXY", http.as_str())], 1, 0),
        (&[("http_proxy", &http)], 2, 0),
        (&[("HTTPS_PROXY", &http)], 2, 0),
        (&[("ALL_PROXY", &socks)], 2, 1),
        (&[("all_proxy", &socks), ("HTTP_PROXY", &http)], 3, 1),
        (&[("ALL_PROXY", &socks), ("NO_PROXY", "other.example,127.0.0.1")], 3, 1),
        (&[("ALL_PROXY", &socks), ("no_proxy", "other.example")], 3, 2),
        (&[("all_proxy", &socks.replace("socks5h", "socks"))], 3, 3),
        (&[("all_proxy", "socks4://127.0.0.1:1"), ("http_proxy", "ftp://127.0.0.1:1")], 3, 3),
        (&[("all_proxy", "nonsense://127.0.0.1:1"), ("ALL_PROXY", &socks)], 3, 4),
        (&[("ALL_PROXY", &socks), ("NO_PROXY", "127.0.0.0/8,[::1]/128")], 3, 4),
        (&[("ALL_PROXY", &socks), ("NO_PROXY", "10.0.0.0/8,[::1]/128")], 3, 5),
    ] {
        run_child(variables);
        assert_eq!((requests(&heads).len(), requests(&names).len()), (by_http, by_socks), "{variables:?}");
    }
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use framewire::{LinkConditions, LinkCut, Roots, Tls};
    use framewire_servers::certs::{self, Demands, server_config};
    use framewire_servers::{Authority, TlsFront};
    use std::time::Instant;

    fn trusting(authority: &Authority) -> Tls {
        let tls = Tls::create().unwrap();
        tls.set_roots(Roots::None).unwrap();
        tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
        tls
    }

    /// Server and proxy present the same self-signed certificate.
    #[test]
    fn added_self_signed_certificate_is_trusted_for_proxy_and_server() {
        let identity = certs::self_signed_like_openssl();
        let config = server_config(&identity, Demands::default());
        let server = EchoServer::start_tls(config.clone());
        let (proxy, _) = http_proxy(server.port());
        let front = TlsFront::start(config, proxy.port());
        let tls = Tls::create().unwrap();
        tls.set_roots(Roots::None).unwrap();
        let hash = ring::digest::digest(&ring::digest::SHA256, &identity.public_key_der);
        tls.add_pin_sha256(hash.as_ref().try_into().unwrap()).unwrap();
        let through_front = || {
            let client = Client::new("wss://localhost:99/");
            client.set_tls(Some(&tls)).unwrap();
            client.set_proxy(Some(&format!("https://localhost:{}", front.port()))).unwrap();
            client
        };
        // The pin applies to the server only.
        let client = through_front();
        client.open().unwrap();
        let error = client.error();
        assert_eq!((error.phase, error.retriable), (Phase::Proxy, false), "{error}");
        assert!(error.message.contains("pins do not apply to a proxy"), "{error}");
        tls.add_ca_pem(identity.certificate.as_bytes()).unwrap();
        assert_echoes(&through_front());
    }

    #[test]
    fn wss_works_through_every_proxy_also_tls_in_tls() {
        let authority = Authority::new("Test CA");
        let config = server_config(&authority.good(), Demands::default());
        let (plain, secure) = (EchoServer::start(), EchoServer::start_tls(config.clone()));
        for (server, url) in [(&plain, "ws://localhost:99/"), (&secure, "wss://localhost:99/")] {
            let (http, heads) = http_proxy(server.port());
            let (socks_proxy, _) = socks_proxy(server.port(), None);
            let front = TlsFront::start(config.clone(), http.port());
            for proxy in [
                http_url(&http),
                format!("https://localhost:{}", front.port()),
                socks(&socks_proxy, "socks5"),
            ] {
                let client = Client::new(url);
                client.set_tls(Some(&trusting(&authority))).unwrap();
                client.set_proxy(Some(&proxy)).unwrap();
                assert_echoes(&client);
            }
            assert_eq!(requests(&heads).len(), 2);
        }
    }

    /// It is directly above TCP, below both layers of TLS. Delay, rate and stalls apply to the handshakes too.
    #[test]
    fn simulated_link_works_through_every_proxy() {
        let ms = std::time::Duration::from_millis;
        let authority = Authority::new("Test CA");
        let config = server_config(&authority.good(), Demands::default());
        let (plain, secure) = (EchoServer::start(), EchoServer::start_tls(config.clone()));
        for (server, url) in [(&plain, "ws://localhost:99/"), (&secure, "wss://localhost:99/")] {
            let (http, _) = http_proxy(server.port());
            let (socks_proxy, _) = socks_proxy(server.port(), None);
            let front = TlsFront::start(config.clone(), http.port());
            for proxy in [
                http_url(&http),
                format!("https://localhost:{}", front.port()),
                socks(&socks_proxy, "socks5"),
            ] {
                let client = Client::new(url);
                client.set_tls(Some(&trusting(&authority))).unwrap();
                client.set_proxy(Some(&proxy)).unwrap();
                let link = LinkConditions {
                    out_delay: ms(5),
                    in_delay: ms(5),
                    out_jitter: ms(1),
                    out_bytes_per_second: 5_000_000,
                    in_bytes_per_second: 5_000_000,
                    stall_every: ms(200),
                    stall: ms(20),
                    ..LinkConditions::default()
                };
                client.set_link(Some(link)).unwrap();
                let started = Instant::now();
                assert_echoes(&client);
                // Dialling, the proxy, the upgrade, echoes of 1.4 MB, and the closing handshake.
                assert!(started.elapsed() >= ms(5 * 10 + 280), "{proxy}: {:?}", started.elapsed());
                // A proxy that cannot be reached is an error of the proxy.
                client.set_link(Some(LinkConditions { cut: LinkCut::Refuse, ..link })).unwrap();
                client.open().unwrap();
                let error = client.error();
                assert_eq!((error.kind, error.phase), (ErrorKind::Proxy, Phase::Proxy), "{error}");
            }
        }
    }

    #[test]
    fn proxy_certificate_is_verified_without_pins() {
        let (authority, untrusted) = (Authority::new("Test CA"), Authority::new("Untrusted CA"));
        let server = EchoServer::start();
        let (proxy, heads) = http_proxy(server.port());
        let tls = trusting(&authority);
        for (identity, words) in [(untrusted.good(), "Untrusted CA"), (authority.expired(), "expired")] {
            let front = TlsFront::start(server_config(&identity, Demands::default()), proxy.port());
            let client = Client::new("ws://server.example/");
            client.set_tls(Some(&tls)).unwrap();
            client.set_proxy(Some(&format!("https://localhost:{}", front.port()))).unwrap();
            client.open().unwrap();
            let error = client.error();
            assert_eq!(
                (error.kind, error.phase, error.retriable),
                (ErrorKind::Proxy, Phase::Proxy, false),
                "{error}"
            );
            assert_ne!(error.tls_alert, 0, "{error}");
            assert!(error.message.contains(words), "{words} in {error}");
        }
        assert_eq!(requests(&heads).len(), 0, "the target was sent to an untrusted proxy");

        let front = TlsFront::start(server_config(&authority.good(), Demands::default()), proxy.port());
        tls.add_pin_sha256([7; 32]).unwrap();
        let client = Client::new("ws://server.example/");
        client.set_tls(Some(&tls)).unwrap();
        client.set_proxy(Some(&format!("https://localhost:{}", front.port()))).unwrap();
        assert_echoes(&client);
    }
}
