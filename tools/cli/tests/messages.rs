//! `send`, `listen` and `connect` with an echo server: output, pipes, exit codes.

mod common;

use common::{Done, Running, TempFile, framewire, run, run_with_input};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::{Authority, EchoServer, Scripted};

/// Nothing listens there.
const REFUSED: &str = "ws://127.0.0.1:1/";

#[test]
fn send_prints_the_answers() {
    let server = EchoServer::start();
    let done = run(&["send", &server.url("/"), "hello", "world", "--count", "2"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "hello\nworld\n", ""));
    assert_eq!(server.closes(), [1000]);
}

#[test]
fn send_waits_until_the_server_has_everything() {
    let server = EchoServer::start();
    let large = vec![7; 3 << 20];
    let done = run_with_input(&["send", &server.url("/"), "--binary"], &large);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert_eq!(server.echoed_bytes(), large.len());
}

#[test]
fn standard_input_is_one_message_or_one_per_line() {
    let server = EchoServer::start();
    let whole = run_with_input(&["send", &server.url("/"), "--json", "-n", "1"], b"a\nb\n");
    assert_eq!(whole.json()[1]["data"], "a\nb");
    let lines = run_with_input(&["send", &server.url("/"), "--lines", "-n", "2"], b"a\nb\n");
    assert_eq!(lines.stdout, "a\nb\n");
    let invalid = run_with_input(&["send", &server.url("/")], b"\xFF");
    assert_eq!(invalid.code, 2);
    assert!(invalid.stderr.contains("not UTF-8"), "{}", invalid.stderr);
}

#[test]
fn events_are_json_lines() {
    let server = EchoServer::start();
    let done = run(&["send", &server.url("/"), "--json", "-n", "1", "--binary", "00 ff"]);
    let events = done.json();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["open", "binary", "closed"]);
    assert_eq!((&events[1]["base64"], &events[1]["size"]), (&"AP8=".into(), &2.into()));
    assert_eq!(events[2]["code"], 1000);
}

#[test]
fn a_flood_does_not_block_itself() {
    let server = EchoServer::start();
    // More than the send queue and the event queue hold, and the server waits until its answers are read.
    let line = [&[b'x'; 64 << 10][..], b"\n"].concat();
    let input = line.repeat(1600);
    let done =
        run_with_input(&["send", &server.url("/"), "--lines", "-n", "1600", "--no-compression"], &input);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.as_bytes() == input, "{} of {} bytes", done.stdout.len(), input.len());
    let piped = run_with_input(&["connect", &server.url("/"), "--raw", "--no-compression"], &input);
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    assert!(piped.stdout.as_bytes() == input, "{} of {} bytes", piped.stdout.len(), input.len());
}

#[test]
fn missing_answers_exit_with_3() {
    let server = EchoServer::start();
    let done = run(&["send", &server.url("/silent"), "hello", "-n", "1", "--timeout", "200ms"]);
    assert_eq!(done.code, 3);
    assert!(done.stderr.contains("0 of 1 answers within 200 ms"), "{}", done.stderr);
    let listened = run(&["listen", &server.url("/silent"), "--timeout", "200ms"]);
    assert_eq!(listened.code, 3);
    let closed = run(&["listen", &server.url("/count?n=3&size=16"), "-n", "5"]);
    assert_eq!(closed.code, 3, "{}", closed.stderr);
}

#[test]
fn the_timeout_does_not_include_the_upload() {
    let server = EchoServer::start();
    // The upload takes five seconds.
    let message = vec![7; 3 << 19];
    let url = server.url("/");
    let arguments = ["send", &url, "--binary", "-n", "1", "--timeout", "3s", "--no-compression"];
    let slow = ["--out-bytes-per-second", "300k"];
    let done = run_with_input(&[&arguments[..], &slow].concat(), &message);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn connection_errors_exit_with_1() {
    for arguments in
        [&["send", REFUSED, "x"][..], &["listen", REFUSED], &["connect", REFUSED], &["ping", REFUSED]]
    {
        let done = run(arguments);
        assert_eq!(done.code, 1, "{arguments:?}");
        assert!(done.stderr.contains("127.0.0.1:1"), "{arguments:?}: {}", done.stderr);
    }
    let server = EchoServer::start();
    let closed = run(&["listen", &server.url("/close?code=4001&reason=kicked")]);
    assert_eq!(closed.code, 1);
    assert!(closed.stderr.contains("4001 kicked"), "{}", closed.stderr);
    assert_eq!(run(&["listen", &server.url("/close?code=1000&reason=")]).code, 0);
}

#[test]
fn wrong_options_exit_with_2() {
    let server = EchoServer::start();
    let url = server.url("/");
    let wrong: [&[&str]; 12] = [
        &[],
        &["send"],
        &["send", "nonsense", "x"],
        &["send", &url, "--binary", "xyz"],
        &["send", &url, "x", "--header", "no colon"],
        &["send", &url, "x", "--cacert", "/does/not/exist"],
        &["send", &url, "x", "--timeout", "soon"],
        &["listen", &url, "--stall-every", "1s"],
        &["listen", &url, "--window-bits", "99"],
        &["connect", &url, "--wait", "9999999999999999999s"],
        &["proxy", "0", "127.0.0.1:1", "--cut", "stall", "--cut-after", "9999999999999999999s"],
        &["bench", &url, "--size", "1000G"],
    ];
    for arguments in wrong {
        let done = run(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    }
}

#[test]
fn listen_counts_messages() {
    let server = EchoServer::start();
    let done = run(&["listen", &server.url("/text?n=5&size=8"), "--count", "3"]);
    assert_eq!((done.code, done.stdout.lines().count()), (0, 3));
    let all = run(&["listen", &server.url("/count?n=5&size=40"), "--binary"]);
    assert_eq!(all.code, 0);
    assert_eq!(all.stdout.len(), 5 * 40);
}

#[test]
fn settings_reach_the_server() {
    let server = EchoServer::start();
    let url = server.url("/headers");
    let arguments = [
        "send",
        &url,
        "x",
        "-n",
        "1",
        "-H",
        "X-Level: 7",
        "--origin",
        "https://game.example",
        "--cookie",
        "a=b",
        "--cookie",
        "c=d",
        "--user",
        "player:secret",
        "--no-compression",
        "-s",
        "chat",
    ];
    let head = run(&arguments).stdout.to_lowercase();
    for field in [
        "x-level: 7",
        "origin: https://game.example",
        "cookie: a=b; c=d",
        "authorization: basic cgxhewvyonnly3jlda==",
        "sec-websocket-protocol: chat",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}

#[test]
fn tls_settings_are_used() {
    let authority = Authority::new("cli");
    let server = EchoServer::start_tls(server_config(&authority.good(), Demands::default()));
    let pem = TempFile::new("messages-ca.pem", authority.pem().as_bytes());
    let url = server.url("/");
    let untrusted = run(&["send", &url, "x", "-n", "1"]);
    assert_eq!(untrusted.code, 1);
    assert!(untrusted.stderr.contains("certificate"), "{}", untrusted.stderr);
    assert_eq!(run(&["send", &url, "x", "-n", "1", "--cacert", pem.path()]).stdout, "x\n");
    assert_eq!(run(&["send", &url, "x", "-n", "1", "--insecure"]).stdout, "x\n");
}

#[test]
fn resolve_replaces_dns() {
    let server = EchoServer::start();
    let url = format!("ws://play.example:{}/headers", server.port());
    let resolve = format!("play.example:{}:[::1],127.0.0.1", server.port());
    let done = run(&["send", &url, "x", "-n", "1", "--resolve", &resolve]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stdout.to_lowercase().contains(&format!("host: play.example:{}", server.port())),
        "{}",
        done.stdout
    );
}

#[test]
fn resolve_reports_the_address_that_refuses() {
    let url = "ws://play.example:1/";
    let resolve = ["--resolve", "play.example:1:127.0.0.1", "--reconnect=1", "--reconnect-min-delay", "1ms"];
    for command in ["listen", "ping", "bench"] {
        let done = run(&[&[command, url][..], &resolve].concat());
        assert_eq!(done.code, 1, "{command}: {}", done.stderr);
        assert!(done.stderr.contains("could not connect: 127.0.0.1:1 ("), "{command}: {}", done.stderr);
        assert!(!done.stderr.contains("proxy"), "{command}: {}", done.stderr);
    }
    let done = run(&[&["listen", url, "--json"][..], &resolve].concat());
    let error = &done.json().pop().unwrap()["error"];
    assert_eq!((&error["kind"], &error["phase"]), (&"refused".into(), &"connect".into()));
}

#[test]
fn connect_sends_the_lines_of_a_pipe() {
    let server = EchoServer::start();
    let input = b"hello\n/ping\n//slash\n/binary 0102\n";
    let done = run_with_input(&["connect", &server.url("/")], input);
    assert_eq!((done.code, done.stdout.as_str()), (0, "hello\n/slash\n[binary, 2 bytes] 01 02\n"));
    assert!(done.stderr.contains("connected to ws://"), "{}", done.stderr);
    assert!(done.stderr.contains("pong after"), "{}", done.stderr);
    let raw = run_with_input(&["connect", &server.url("/"), "--raw"], b"/ping\n");
    assert_eq!(raw.stdout, "/ping\n");
}

#[test]
fn lines_that_cannot_be_sent_exit_with_1() {
    let server = EchoServer::start();
    let url = server.url("/");
    let file = TempFile::new("lines.pcapng", b"");
    for (line, problem) in [
        (&b"/unknown"[..], "line 2: there is no command /unknown"),
        (b"b\xFFc", "line 2: not UTF-8"),
        (b"/file /does/not/exist", "line 2: /does/not/exist"),
        (b"/close 1", "line 2: the close code 1"),
    ] {
        let input = [b"a\n", line, b"\nd\n"].concat();
        for arguments in [&["connect", &url][..], &["record", &url, file.path(), "--lines"]] {
            let done = run_with_input(arguments, &input);
            assert_eq!((done.code, done.stdout.as_str()), (1, "a\nd\n"), "{}", done.stderr);
            assert!(done.stderr.contains(problem), "{}", done.stderr);
        }
    }
}

#[test]
fn connect_closes_with_code_and_reason() {
    let server = EchoServer::start();
    let done = run_with_input(&["connect", &server.url("/"), "--json"], b"/close 4000 bye\n");
    assert_eq!((done.code, server.closes()), (0, vec![4000]));
    let last = done.json().pop().unwrap();
    assert_eq!((&last["event"], &last["code"]), (&"closed".into(), &4000.into()));
}

#[test]
fn connect_sends_files() {
    let server = EchoServer::start();
    let file = TempFile::new("payload.bin", &[9; 100]);
    let line = format!("/file {}\n", file.path());
    let done = run_with_input(&["connect", &server.url("/"), "--json"], line.as_bytes());
    assert_eq!(done.json()[1]["size"], 100);
    let missing = run_with_input(&["connect", &server.url("/")], b"/file /does/not/exist\n");
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("/does/not/exist: "), "{}", missing.stderr);
}

#[test]
fn a_server_cannot_control_the_terminal() {
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_frame(0x81, b"\x1b[2Jx");
        peer.send_close(1000, "");
        peer.wait_for_end();
    });
    let done =
        framewire(&["connect", &server.url(), "--wait", "2s"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    let shown = String::from_utf8(done.stdout).unwrap();
    assert!(shown.contains("\\u{1b}[2Jx"), "{shown:?}");
    let closing = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(4001, "\x1b[2Jx");
        peer.wait_for_end();
    });
    for command in ["connect", "listen", "ping", "bench"] {
        let done = framewire(&[command, &closing.url()]).env("CLICOLOR_FORCE", "1").output().unwrap();
        let shown = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(shown.contains("\\u{1b}[2Jx") && !shown.contains("\x1b[2J"), "{command}: {shown:?}");
    }
    // A program gets the text as it is.
    assert_eq!(run(&["listen", &server.url()]).stdout, "\x1b[2Jx\n");
}

#[test]
fn record_writes_a_capture() {
    const SECTION_HEADER: &[u8] = &[0x0A, 0x0D, 0x0D, 0x0A];
    let server = EchoServer::start();
    let file = TempFile::new("record.pcapng", b"");
    let arguments = ["record", &server.url("/"), file.path(), "--lines", "--user", "player:secret"];
    let done = run_with_input(&arguments, b"hello capture\n");
    assert_eq!((done.code, done.stdout.as_str()), (0, "hello capture\n"), "{}", done.stderr);
    let contains = |text: &str| {
        let bytes = std::fs::read(&file.0).unwrap();
        assert!(bytes.starts_with(SECTION_HEADER));
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    // The server's frames are not masked.
    assert!(contains("hello capture") && contains("GET / HTTP/1.1"));
    assert!(!contains("cGxheWVyOnNlY3JldA=="));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file.0).unwrap().permissions().mode() & 0o777, 0o600);
    }
    #[cfg(target_os = "linux")]
    {
        let full = run(&["record", &server.url("/count?n=100&size=4096"), "/dev/full"]);
        assert_eq!(full.code, 1, "{}", full.stderr);
        assert!(full.stderr.contains("/dev/full"), "{}", full.stderr);
    }
    let sent = run(&["send", &server.url("/"), "other text", "-n", "1", "--capture", file.path()]);
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    assert!(contains("other text") && !contains("hello capture"));
    let unwritable = run(&["record", &server.url("/"), "/does/not/exist.pcapng"]);
    assert_eq!(unwritable.code, 2);
    let kept = b"kept";
    std::fs::write(&file.0, kept).unwrap();
    for wrong in [&["--window-bits", "99"][..], &["--cacert", "/does/not/exist"]] {
        let done = run(&[&["record", REFUSED, file.path()], wrong].concat());
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert_eq!(std::fs::read(&file.0).unwrap(), kept, "{wrong:?}");
    }
    let missing = run(&["send", &server.url("/"), "x", "--capture", "/does/not/exist.pcapng"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    assert!(missing.stderr.contains("/does/not/exist.pcapng"), "{}", missing.stderr);
    #[cfg(target_os = "linux")]
    assert_eq!(run(&["send", &server.url("/"), "x", "--capture", "/dev/full"]).code, 1);
    let limited = run(&[
        "record",
        &server.url("/push?hz=100&size=10"),
        file.path(),
        "-n",
        "3",
        "--close-timeout",
        "100ms",
    ]);
    assert!(limited.stdout.lines().count() >= 3, "{}", limited.stdout);
}

#[test]
fn record_ends_after_its_duration_while_reconnecting() {
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        if peer.number > 0 {
            // The duration does not begin again.
            peer.pause(std::time::Duration::from_millis(300));
        }
        peer.reset();
    });
    let file = TempFile::new("duration.pcapng", b"");
    let always = ["--reconnect", "--reconnect-min-delay", "1ms", "--reconnect-max-delay", "1ms"];
    let done = run(&[&["record", &server.url(), file.path(), "--duration", "1s"], &always[..]].concat());
    assert!(done.stderr.contains("reconnecting"), "{}", done.stderr);
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.reset();
    });
    let far = ["--reconnect", "--reconnect-min-delay", "1h", "--reconnect-max-delay", "1h"];
    let done = run(&[&["record", &server.url(), file.path(), "--duration", "2s"], &far[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn options_have_precedence_over_the_login_of_the_environment() {
    let server = EchoServer::start();
    let url = server.url("/headers");
    let send = |options: &[&str], variables: &[(&str, &str)]| -> Done {
        let mut command = framewire(&[&["send", &url, "x", "-n", "1"], options].concat());
        command.envs(variables.iter().copied()).output().unwrap().into()
    };
    let (user, bearer) = (("FRAMEWIRE_USER", "player:secret"), ("FRAMEWIRE_BEARER", "token"));
    let basic = "authorization: basic cgxhewvyonnly3jlda==";
    let token = "authorization: bearer token";
    for (options, variables, field) in [
        (&[][..], &[user][..], basic),
        (&[], &[bearer], token),
        (&[], &[bearer, ("FRAMEWIRE_USER", "")], token),
        (&["--bearer", "token"], &[user], token),
        (&["--user", "player:secret"], &[bearer], basic),
        (&["--user", "player:secret"], &[user, bearer], basic),
    ] {
        let done = send(options, variables);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.to_lowercase().contains(field), "{field}: {}", done.stdout);
    }
    let both = send(&[], &[user, bearer]);
    assert_eq!(both.code, 2);
    assert!(
        both.stderr.contains("FRAMEWIRE_USER") && both.stderr.contains("FRAMEWIRE_BEARER"),
        "{}",
        both.stderr
    );
    assert_eq!(send(&["--user", "a:b", "--bearer", "c"], &[]).code, 2);
}

#[cfg(unix)]
#[test]
fn a_reader_that_ends_is_no_panic() {
    let server = EchoServer::start();
    let mut running = Running::start(&["listen", &server.url("/push?hz=1000&size=100")]);
    running.line();
    let (read, _write) = std::io::pipe().unwrap();
    // Closes the reading end.
    drop(std::mem::replace(
        &mut running.stdout,
        std::io::BufReader::new(std::process::ChildStdout::from(std::os::fd::OwnedFd::from(read))),
    ));
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn interrupt_closes_gracefully() {
    let server = EchoServer::start();
    let mut running = Running::start(&["listen", &server.url("/"), "--json"]);
    assert!(running.line().contains("open"));
    assert_eq!(running.interrupt(), 0);
    assert_eq!(server.closes(), [1000]);
}

#[cfg(unix)]
#[test]
fn a_terminal_has_line_editing() {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::process::Stdio;

    let server = EchoServer::start();
    let pty = nix::pty::openpty(None, None).unwrap();
    let (mut master, slave) = (File::from(pty.master), File::from(pty.slave));
    let modes = nix::sys::termios::tcgetattr(&master).unwrap();
    let stdio = || Stdio::from(slave.try_clone().unwrap());
    let mut command = framewire(&["connect", &server.url("/")]);
    command.env("TERM", "xterm").stdin(stdio()).stdout(stdio()).stderr(stdio());
    let mut child = command.spawn().unwrap();
    drop(command);
    drop(slave);
    let mut shown = String::new();
    let mut read_until = |what: &str, master: &mut File| {
        while !shown.contains(what) {
            let mut buffer = [0; 4096];
            let count = master.read(&mut buffer).unwrap_or(0);
            assert_ne!(count, 0, "{what} is missing: {shown:?}");
            shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    read_until("connected", &mut master);
    read_until("> ", &mut master);
    // Backspace removes the last letter.
    master.write_all(b"hellp\x7fo\r").unwrap();
    read_until("hello", &mut master);
    master.write_all(b"/ping\r").unwrap();
    read_until("pong after", &mut master);
    master.write_all(b"\x04").unwrap();
    read_until("closed", &mut master);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(nix::sys::termios::tcgetattr(&master).unwrap(), modes, "the modes are restored");
    assert_eq!(server.closes(), [1000]);
}
