//! Another network namespace: the far end of the links of a test.

use std::sync::mpsc::{Sender, channel};

use super::run;

type Job = Box<dyn FnOnce() + Send>;

pub struct Namespace {
    /// To the thread of the namespace, in which programs and servers that it starts are.
    jobs: Sender<Job>,
    path: String,
}

impl Namespace {
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
        Self { jobs, path: format!("/proc/{}/task/{thread}/ns/net", std::process::id()) }
    }

    /// Adds a link between the namespace of the test and this one, with an address at each end, and sets it up.
    pub fn link(&self, name: &str, near: &str, far: &str) {
        let peer = format!("{name}-s");
        run("ip", &["link", "add", name, "type", "veth", "peer", "name", &peer, "netns", &self.path], "");
        self.add_address(far, &peer);
        add_address(near, name);
    }

    /// Adds an address to a link of this namespace, and sets the link up.
    pub fn add_address(&self, address: &str, link: &str) {
        let (address, link) = (address.to_owned(), link.to_owned());
        self.within(move || add_address(&address, &link));
    }

    /// Calls `act` on the thread of the namespace and returns its result.
    pub fn within<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let (result, wait) = channel();
        self.jobs.send(Box::new(move || drop(result.send(act())))).expect("the thread runs");
        wait.recv().expect("the job has not panicked")
    }
}

fn add_address(address: &str, link: &str) {
    let unchecked: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
    run("ip", &[&["addr", "add", address, "dev", link], unchecked].concat(), "");
    run("ip", &["link", "set", link, "up"], "");
}
