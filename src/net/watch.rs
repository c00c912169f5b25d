//! Watches the network configuration of the system: addresses and default routes, with a netlink socket
//! (rtnetlink(7)) that a worker polls. No thread, no timer, and no wakeup while nothing changes.
//!
//! ```text
//!   new ── dump of addresses and routes ──► known ── notification that differs from it ──► changed
//! ```
//!
//! Notifications that repeat what is known are ignored: with IPv6 autoconfiguration each router advertisement
//! renews the lifetime of the addresses.
//!
//! Linux only, and Android up to version 10: later versions refuse `bind` on such sockets to apps. There, and
//! on other systems, [`Watch::new`] returns an error, and the host reports changes.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use netlink::Watch;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub use unavailable::Watch;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod messages;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod netlink {
    use std::collections::BTreeSet;
    use std::io::{self, Read as _};
    use std::os::fd::AsRawFd as _;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use socket2::{Domain, Protocol, SockAddr, Socket, Type};

    use super::messages::{self, Message};

    /// Addresses and routes that are kept. A machine with more of them than this reports every change.
    const MAX_KNOWN: usize = 256;
    /// As large as the datagrams of a dump.
    const BUFFER: usize = 8192;

    /// Addresses and routes of IPv4 and IPv6: the groups 5, 7, 9 and 11 of `rtnetlink.h`, which libc names on some
    /// systems only.
    const CHANGES: u32 = 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10;

    /// A netlink socket, and the addresses and default routes that it has reported.
    pub struct Watch {
        socket: Socket,
        known: BTreeSet<Box<[u8]>>,
    }

    impl Watch {
        /// Starts watching, and registers the socket.
        pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let protocol = Protocol::from(libc::NETLINK_ROUTE);
            let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(protocol))?;
            socket.set_nonblocking(true)?;
            socket.bind(&address(CHANGES)?)?;
            let mut watch = Self { socket, known: BTreeSet::new() };
            watch.read_all()?;
            registry.register(&mut SourceFd(&watch.socket.as_raw_fd()), token, Interest::READABLE)?;
            Ok(watch)
        }

        /// Reads what the system has now.
        fn read_all(&mut self) -> io::Result<()> {
            self.known.clear();
            for dump in [libc::RTM_GETADDR, libc::RTM_GETROUTE] {
                self.socket.send(&messages::dump_request(dump))?;
                self.read_notifications();
            }
            Ok(())
        }

        /// Reads all notifications. Returns whether an address or a default route was added or removed.
        pub fn read(&mut self) -> bool {
            let (has_changed, is_complete) = self.read_notifications();
            if !is_complete {
                // Without it, every later change is reported once more.
                let _ = self.read_all();
            }
            has_changed || !is_complete
        }

        /// Returns whether something has changed, and whether no notification was lost.
        fn read_notifications(&mut self) -> (bool, bool) {
            let (mut buffer, mut has_changed, mut is_complete) = ([0; BUFFER], false, true);
            loop {
                match (&self.socket).read(&mut buffer) {
                    Ok(0) => return (has_changed, is_complete),
                    Ok(len) => messages::for_each(&buffer[..len], |message| {
                        has_changed |= self.apply(message);
                    }),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return (has_changed, is_complete);
                    }
                    // Notifications were lost, those that are queued were not. A dump needs their room, and its
                    // end must be read before the next one.
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => is_complete = false,
                    Err(_) => return (has_changed, false),
                }
            }
        }

        fn apply(&mut self, message: Message) -> bool {
            let Message { entry, is_new, is_dump } = message;
            let has_changed = match is_new {
                true if self.known.len() >= MAX_KNOWN => !self.known.contains(&*entry),
                true => self.known.insert(entry),
                false => self.known.remove(&entry),
            };
            has_changed && !is_dump
        }
    }

    /// The address of a netlink socket in these groups.
    fn address(groups: u32) -> io::Result<SockAddr> {
        // SAFETY: the storage is as large as any address, aligned and zeroed, and `sockaddr_nl` consists of
        // integers.
        let (_, address) = unsafe {
            SockAddr::try_init(|storage, len| {
                let address = storage.cast::<libc::sockaddr_nl>();
                (*address).nl_family = libc::AF_NETLINK as libc::sa_family_t;
                (*address).nl_groups = groups;
                *len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
                Ok(())
            })
        }?;
        Ok(address)
    }

    #[cfg(test)]
    mod tests {
        use mio::Poll;

        use super::*;

        fn watch(poll: &Poll) -> Watch {
            let mut watch = Watch::new(poll.registry(), Token(0)).unwrap();
            // What has changed since the dump.
            while watch.read() {}
            watch
        }

        /// Fills the receive buffer of the socket: each request is confirmed, and nobody reads that.
        fn lose_notifications(watch: &Watch) {
            const NOTHING: u16 = libc::NLMSG_NOOP as u16;
            let mut request = messages::dump_request(NOTHING);
            let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
            request[6..8].copy_from_slice(&flags.to_ne_bytes());
            watch.socket.set_recv_buffer_size(1).unwrap();
            for _ in 0..1000 {
                let _ = watch.socket.send(&request);
            }
        }

        #[test]
        fn lost_notifications_are_a_change_and_the_state_is_read_again() {
            let poll = Poll::new().unwrap();
            let mut watch = watch(&poll);
            let before = watch.known.clone();
            // Its removal was not heard of, nor the addition of the others.
            watch.known = BTreeSet::from([Box::from(*b"a gone")]);
            assert!(!watch.read(), "nothing was lost yet");
            lose_notifications(&watch);
            assert!(watch.read());
            assert_eq!(watch.known, before);
            assert!(!watch.read(), "it is reported once");
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod unavailable {
    use std::io;

    use mio::{Registry, Token};

    /// Watches nothing.
    pub struct Watch {}

    impl Watch {
        pub fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub fn read(&mut self) -> bool {
            false
        }
    }
}
