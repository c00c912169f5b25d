//! A server behind two uplinks: a network namespace of its own, with a link for Wi-Fi and one for mobile data.
//!
//! ```text
//!   client 10.1.0.2 ──wifi── 10.1.0.1 server
//!   client 10.2.0.2 ──lte─── 10.2.0.1 server, reached as 10.9.0.1
//! ```

use framewire_servers::EchoServer;

use super::namespace::Namespace;
use super::run;

/// The address of the server, over either uplink.
pub const SERVER: &str = "10.9.0.1";

/// The two uplinks. Wi-Fi has the preferred route.
pub struct Uplinks {
    far: Namespace,
}

impl Uplinks {
    pub fn new() -> Self {
        let far = Namespace::new();
        far.add_address(&format!("{SERVER}/32"), "lo");
        for (name, subnet, metric) in [("wifi", "10.1.0", "100"), ("lte", "10.2.0", "200")] {
            far.link(name, &format!("{subnet}.2/24"), &format!("{subnet}.1/24"));
            let gateway = format!("{subnet}.1");
            run("ip", &["route", "add", "default", "via", &gateway, "dev", name, "metric", metric], "");
        }
        Self { far }
    }

    /// Calls `act` on the thread of the server's namespace and returns its result.
    pub fn within<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        self.far.within(act)
    }

    pub fn server(&self) -> EchoServer {
        self.within(|| super::server_at(SERVER))
    }

    /// Drops packets that match, on the side of the server.
    pub fn drop_at_server(&self, matching: &str) {
        let rules = format!(
            "table inet test {{\nchain input {{\ntype filter hook input priority 0;\n{matching} drop\n}}\n\
             chain output {{\ntype filter hook output priority 0;\n{matching} drop\n}}\n}}\n"
        );
        self.within(move || run("nft", &["-f", "-"], &rules));
    }
}
