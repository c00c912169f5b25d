//! `diagnose` with broken servers: the stage that fails, the reason, and what to do.

mod common;

use common::{Done, TempFile, framewire, run};
use framewire_servers::certs::{Demands, Identity, self_signed, self_signed_like_openssl, server_config};
use framewire_servers::{Authority, Behaviour, EchoServer, Http2Server, Scripted, relay};
use serde_json::{Value, json};

/// The stage of a result.
fn stage(done: &Done, name: &str) -> Value {
    let result = done.json().pop().unwrap_or_else(|| panic!("no result: {}", done.stderr));
    let stages = result["stages"].as_array().unwrap();
    // The last one, as the library may find what a probe does not.
    stages.iter().rfind(|stage| stage["stage"] == name).unwrap_or_else(|| panic!("{name}: {result}")).clone()
}

fn check(done: &Done, code: i32, name: &str, status: &str, summary: &str, advice: &str) {
    let stage = stage(done, name);
    assert_eq!(done.code, code, "{stage} {}", done.stderr);
    assert_eq!(stage["status"], status, "{stage}");
    let found = stage["summary"].as_str().unwrap();
    assert!(found.contains(summary), "{summary}: {stage}");
    assert!(stage["advice"].to_string().contains(advice), "{advice}: {stage}");
}

fn diagnose_tls(identity: &Identity, authority: Option<&Authority>) -> Done {
    let server = EchoServer::start_tls(server_config(identity, Demands::default()));
    let pem = authority
        .map(|authority| TempFile::new(&format!("{}.pem", server.port()), authority.pem().as_bytes()));
    let url = server.url("/");
    let mut arguments = vec!["diagnose", &url, "--json"];
    if let Some(pem) = &pem {
        arguments.extend(["--cacert", pem.path()]);
    }
    run(&arguments)
}

#[test]
fn a_good_server_has_no_problem() {
    let server = EchoServer::start();
    let done = run(&["diagnose", &server.url("/"), "--json"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    for name in ["dns", "tcp", "proxy", "upgrade", "compression", "round_trip"] {
        assert_eq!(stage(&done, name)["status"], "ok", "{name}");
    }
    let text = run(&["diagnose", &server.url("/")]);
    assert!(text.stdout.contains("no problem found"), "{}", text.stdout);
}

#[test]
fn websockets_over_http2_are_found() {
    let authority = Authority::new("cli");
    let alpn = Demands { alpn: &["h2", "http/1.1"], ..Demands::default() };
    let tls = Some(server_config(&authority.good(), alpn));
    let server = Http2Server::start(Behaviour { tls, ..Behaviour::default() });
    let pem = TempFile::new("http2-ca.pem", authority.pem().as_bytes());
    let done = run(&["diagnose", &server.url("/"), "--json", "--cacert", pem.path()]);
    check(&done, 0, "http2", "ok", "RFC 8441", "");
    assert_eq!(stage(&done, "http2")["websockets"], true);
    let tls = stage(&done, "tls");
    assert_eq!(tls["alpn"], "h2");
    assert!(tls["chain"][0]["names"].to_string().contains("localhost"), "{tls}");
}

#[test]
fn expired_certificate() {
    let authority = Authority::new("cli");
    let done = diagnose_tls(&authority.expired(), Some(&authority));
    check(&done, 13, "tls", "failed", "the certificate expired 30 days ago", "Renew the certificate");
    assert_eq!(stage(&done, "upgrade")["status"], "skipped");
}

#[test]
fn certificate_of_the_future() {
    let authority = Authority::new("cli");
    let done = diagnose_tls(&authority.not_yet_valid(), Some(&authority));
    check(&done, 13, "tls", "failed", "not valid before", "clock");
}

#[test]
fn certificate_for_another_host() {
    let authority = Authority::new("cli");
    let done = diagnose_tls(&authority.for_another_host(), Some(&authority));
    check(&done, 13, "tls", "failed", "not for localhost, but for elsewhere.example", "elsewhere.example");
}

#[test]
fn unknown_and_self_signed_issuers_are_told_apart() {
    let authority = Authority::new("my own authority");
    let done = diagnose_tls(&authority.good(), None);
    check(&done, 13, "tls", "failed", "issued by my own authority, which is not trusted", "--cacert");
    for identity in [self_signed(), self_signed_like_openssl()] {
        check(&diagnose_tls(&identity, None), 13, "tls", "failed", "self-signed", "--cacert");
    }
}

#[test]
fn without_authorities_no_issuer_is_trusted() {
    let authority = Authority::new("my own authority");
    let server = EchoServer::start_tls(server_config(&authority.good(), Demands::default()));
    let done = run(&["diagnose", &server.url("/"), "--json", "--roots", "none"]);
    check(&done, 13, "tls", "failed", "issued by my own authority, which is not trusted", "--cacert");
    assert!(stage(&done, "tls")["chain"][0]["names"].to_string().contains("localhost"));
}

#[test]
fn messages_name_options_of_the_command_line() {
    let identity = self_signed();
    let server = EchoServer::start_tls(server_config(&identity, Demands::default()));
    let done = run(&["listen", &server.url("/")]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("--cacert") && !done.stderr.contains("fw_"), "{}", done.stderr);
}

#[test]
fn a_self_signed_certificate_can_be_trusted() {
    for identity in [self_signed(), self_signed_like_openssl()] {
        let server = EchoServer::start_tls(server_config(&identity, Demands::default()));
        let pem = TempFile::new(&format!("own-{}.pem", server.port()), identity.certificate.as_bytes());
        let done = run(&["diagnose", &server.url("/"), "--json", "--cacert", pem.path()]);
        assert_eq!(done.code, 0, "{}", done.stdout);
    }
}

#[test]
fn a_port_without_tls() {
    let server = EchoServer::start();
    let url = format!("wss://localhost:{}/", server.port());
    let done =
        run(&["diagnose", &url, "--json", "--resolve", &format!("localhost:{}:127.0.0.1", server.port())]);
    check(&done, 13, "tls", "failed", "", "");
}

#[test]
fn forbidden_upgrade() {
    let server = Scripted::responding(
        "HTTP/1.1 403 Forbidden\r\nServer: gate\r\nContent-Length: 15\r\n\r\nno bots allowed",
    );
    let done = run(&["diagnose", &server.url(), "--json"]);
    check(&done, 14, "upgrade", "failed", "403", "--origin");
    let stage = stage(&done, "upgrade");
    assert_eq!(stage["http_status"], 403);
    assert_eq!(stage["headers"][0], json!({ "name": "Server", "value": "gate" }));
    assert!(stage["details"].to_string().contains("no bots allowed"), "{stage}");
}

#[test]
fn each_status_has_advice() {
    for (status, advice) in
        [("301 Moved", "--max-redirects"), ("401 No", "--bearer"), ("404 No", "path"), ("502 No", "log")]
    {
        let server = Scripted::responding(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        check(&run(&["diagnose", &server.url(), "--json"]), 14, "upgrade", "failed", "", advice);
    }
}

#[test]
fn dead_ipv6_address_beside_a_working_ipv4_address() {
    let server = EchoServer::start();
    let port = server.port();
    let resolve = format!("dual.example:{port}:[::1],127.0.0.1");
    let done = run(&["diagnose", &format!("ws://dual.example:{port}/"), "--json", "--resolve", &resolve]);
    check(&done, 0, "tcp", "warning", "1 of 2 addresses", "");
    let stage = stage(&done, "tcp");
    assert_eq!(
        (&stage["attempts"][0]["connected"], &stage["attempts"][1]["connected"]),
        (&false.into(), &true.into())
    );
    assert!(!stage["advice"].as_array().unwrap().is_empty(), "{stage}");
}

#[test]
fn proxy_that_requires_a_login() {
    let server = EchoServer::start();
    let port = server.port();
    let proxy = Scripted::start(move |mut peer| {
        let head = peer.read_head();
        if !head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz") {
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                           Proxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
            peer.send(refusal.as_bytes());
            return;
        }
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n");
        let target = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        relay::relay(peer.stream(), &target);
    });
    let url = server.url("/");
    let address = format!("127.0.0.1:{}", proxy.port());
    let done = run(&["diagnose", &url, "--json", "--proxy", &format!("http://{address}")]);
    check(&done, 12, "proxy", "failed", "requires a login", "http://USER:PASSWORD@");
    let wrong = run(&["diagnose", &url, "--json", "--proxy", &format!("http://user:wrong@{address}")]);
    check(&wrong, 12, "proxy", "failed", "rejects the user name or password", "Check the user name");
    let right = run(&["diagnose", &url, "--json", "--proxy", &format!("http://user:pass@{address}")]);
    assert_eq!(right.code, 0, "{}", right.stdout);
    let variable =
        framewire(&["diagnose", &url, "--json"]).env("http_proxy", format!("http://{address}")).output();
    let variable = Done::from(variable.unwrap());
    check(&variable, 12, "proxy", "failed", "requires a login", "");
    assert_eq!(stage(&variable, "proxy")["source"], "http_proxy");
}

#[test]
fn address_blocks_exclude_the_proxy() {
    let server = EchoServer::start();
    let mut command = framewire(&["diagnose", &server.url("/"), "--json"]);
    // Nothing listens there.
    command.env("http_proxy", "http://127.0.0.1:1").env("no_proxy", "10.0.0.0/8,127.0.0.0/8");
    let done = Done::from(command.output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stdout);
}

#[test]
fn unusable_variables_are_said() {
    let server = EchoServer::start();
    let mut command = framewire(&["diagnose", &server.url("/"), "--json"]);
    command.env("http_proxy", "ftp://user:secret@proxy.example");
    let done = Done::from(command.output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stdout);
    let details = stage(&done, "proxy")["details"].to_string();
    assert!(details.contains("http_proxy is ignored") && !details.contains("secret"), "{details}");
}

#[test]
fn refused_port_and_unknown_name() {
    let refused = run(&["diagnose", "ws://127.0.0.1:1/", "--json"]);
    check(&refused, 11, "tcp", "failed", "connection refused", "Start the server");
    let unknown = run(&["diagnose", "ws://no-such-host.invalid/", "--json", "--timeout", "3s"]);
    check(&unknown, 10, "dns", "failed", "no-such-host.invalid", "");
}

#[test]
fn a_server_without_pongs() {
    let server = EchoServer::start();
    let done = run(&[
        "diagnose",
        &server.url("/silent"),
        "--json",
        "--timeout",
        "300ms",
        "--close-timeout",
        "100ms",
    ]);
    check(&done, 16, "round_trip", "failed", "no pong within 300 ms", "RFC 6455");
}

#[test]
fn text_output_says_what_to_do() {
    let authority = Authority::new("cli");
    let server = EchoServer::start_tls(server_config(&authority.good(), Demands::default()));
    let done = run(&["diagnose", &server.url("/")]);
    assert_eq!(done.code, 13);
    assert!(done.stdout.contains("✗ TLS"), "{}", done.stdout);
    assert!(done.stdout.contains("→ If it is your own authority"), "{}", done.stdout);
    assert!(done.stdout.contains("TLS failed:"), "{}", done.stdout);
}

#[test]
fn colours_need_a_terminal() {
    let server = EchoServer::start();
    let url = server.url("/");
    let plain = run(&["diagnose", &url, "--no-proxy"]);
    assert!(!plain.stdout.contains('\x1b'), "{}", plain.stdout);
    let forced = framewire(&["diagnose", &url]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(String::from_utf8_lossy(&forced.stdout).contains('\x1b'));
}
