//! A server behind two uplinks: a network namespace of its own, with a link for Wi-Fi and one for mobile data.
//!
//! ```text
//!   client 10.1.0.2 ──wifi── 10.1.0.1 server
//!   client 10.2.0.2 ──lte─── 10.2.0.1 server, reached as 10.9.0.1
//! ```

use std::sync::mpsc::{Sender, channel};

use framewire_servers::EchoServer;

use super::run;

/// The address of the server, over either uplink.
pub const SERVER: &str = "10.9.0.1";

type Job = Box<dyn FnOnce() + Send>;

/// The two uplinks. Wi-Fi has the preferred route.
pub struct Uplinks {
    /// To the thread of the server's namespace, in which programs and servers that it starts are.
    jobs: Sender<Job>,
}

impl Uplinks {
    pub fn new() -> Self {
        let (jobs, queue) = channel::<Job>();
        let (ready, wait) = channel();
        std::thread::spawn(move || {
            // SAFETY: has no arguments in memory, and affects this thread and its children alone.
            let (moved, thread) = unsafe { (libc::unshare(libc::CLONE_NEWNET), libc::gettid()) };
            ready.send((moved, thread)).expect("the test waits");
            queue.into_iter().for_each(|job| job());
        });
        let (moved, thread) = wait.recv().expect("it is sent first");
        assert_eq!(moved, 0, "network namespaces are available");
        let namespace = format!("/proc/{}/task/{thread}/ns/net", std::process::id());
        let uplinks = Self { jobs };
        uplinks.at_server("lo", &["addr", "add", &format!("{SERVER}/32"), "dev", "lo"]);
        for (name, subnet, metric) in [("wifi", "10.1.0", "100"), ("lte", "10.2.0", "200")] {
            let peer = format!("{name}-s");
            let link = ["link", "add", name, "type", "veth", "peer", "name", &peer, "netns", &namespace];
            run("ip", &link, "");
            uplinks.at_server(&peer, &["addr", "add", &format!("{subnet}.1/24"), "dev", &peer]);
            run("ip", &["addr", "add", &format!("{subnet}.2/24"), "dev", name], "");
            run("ip", &["link", "set", name, "up"], "");
            let gateway = format!("{subnet}.1");
            run("ip", &["route", "add", "default", "via", &gateway, "dev", name, "metric", metric], "");
        }
        uplinks
    }

    /// Runs `ip` in the namespace of the server, and sets a link up.
    fn at_server(&self, link: &str, arguments: &[&str]) {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
        let link = link.to_owned();
        self.within(move || {
            run("ip", &arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
            run("ip", &["link", "set", &link, "up"], "");
        });
    }

    /// Calls `act` on the thread of the server's namespace and returns its result.
    pub fn within<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let (result, wait) = channel();
        self.jobs.send(Box::new(move || drop(result.send(act())))).expect("the thread runs");
        wait.recv().expect("the job has not panicked")
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
