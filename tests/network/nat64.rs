//! An IPv6-only network behind a real NAT64 translator, tayga.
//!
//! ```text
//!   client fd00:1::2 ──wan── fd00:1::1 router ── tayga ── 203.0.113.1 server, as fd00:64::203.0.113.1
//! ```

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use framewire_servers::EchoServer;

use super::namespace::Namespace;
use super::{run, server_at};

/// The address of the server, to which the client has no route.
pub const SERVER: &str = "203.0.113.1";
/// A name that DNS64 would resolve (RFC 7050), for the translator's prefix.
pub const NAMES: &str = "fd00:64::c000:aa ipv4only.arpa\nfd00:64::c000:ab ipv4only.arpa\n";

const CONFIGURATION: &str = "tun-device nat64\nipv4-addr 192.0.2.1\nipv6-addr fd00:2::1\nprefix fd00:64::/96\n\
                             dynamic-pool 192.0.2.128/25\n";

pub struct Nat64 {
    far: Namespace,
    translator: Child,
    server: Option<EchoServer>,
    pub port: u16,
}

impl Nat64 {
    pub fn new() -> Self {
        let far = Namespace::new();
        far.add_address(&format!("{SERVER}/32"), "lo");
        far.link("wan", "fd00:1::2/64", "fd00:1::1/64");
        run("ip", &["-6", "route", "add", "default", "via", "fd00:1::1", "dev", "wan"], "");
        let translator = far.within(|| {
            let file = configuration();
            fs::write(&file, CONFIGURATION).expect("the temporary folder is writable");
            let file = file.to_string_lossy().into_owned();
            run("sysctl", &["-qw", "net.ipv6.conf.all.forwarding=1", "net.ipv4.ip_forward=1"], "");
            run("tayga", &["-c", &file, "--mktun"], "");
            // An IPv6 header is 20 bytes longer than one of IPv4.
            run("ip", &["link", "set", "nat64", "mtu", "1480", "up"], "");
            run("ip", &["route", "add", "192.0.2.0/24", "dev", "nat64"], "");
            run("ip", &["-6", "route", "add", "fd00:64::/96", "dev", "nat64"], "");
            let mut tayga = Command::new("tayga");
            tayga.args(["-c", &file, "--nodetach"]).stdout(Stdio::null());
            tayga.spawn().expect("it has made its device")
        });
        let server = far.within(|| server_at(SERVER));
        Self { far, translator, port: server.port(), server: Some(server) }
    }
}

fn configuration() -> PathBuf {
    std::env::temp_dir().join(format!("framewire-{}-tayga.conf", std::process::id()))
}

impl Drop for Nat64 {
    fn drop(&mut self) {
        // It connects to itself to end.
        let server = self.server.take();
        self.far.within(move || drop(server));
        let _ = self.translator.kill();
        let _ = self.translator.wait();
        let _ = fs::remove_file(configuration());
    }
}
