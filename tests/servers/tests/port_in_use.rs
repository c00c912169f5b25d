//! The echo server as a program.

use std::net::TcpListener;
use std::process::{Command, Stdio};

#[test]
fn port_in_use_is_reported_with_the_option_for_another_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for option in ["--ws-port", "--wss-port"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_framewire-echo"));
        let done = command.args([option, &port]).stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains(&port) && stderr.contains(option) && !stderr.contains("panicked"),
            "{stderr}"
        );
    }
}
