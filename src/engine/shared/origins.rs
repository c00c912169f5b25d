//! A cache of facts about servers: that one does not support WebSockets over HTTP/2, or on which worker its
//! sockets share connections. Entries are limited in number and expire.

use crate::clock::Instant;
use crate::limits::{HTTP2_ORIGIN_TTL, HTTP2_ORIGINS};
use crate::sync::{Mutex, lock, statics};
use crate::wire::url::Url;

statics! {
    static ORIGINS: Mutex<Origins> = Mutex::new(Origins { entries: Vec::new() });
}

/// A server, as URLs name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    secure: bool,
    host: String,
    zone: Option<Box<str>>,
    port: u16,
}

impl Name {
    pub fn of(url: &Url) -> Self {
        Self { secure: url.secure, host: url.host.clone(), zone: url.zone.clone(), port: url.port }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Its sockets run on this worker.
    Home(usize),
    /// It gets requests over HTTP/1.1.
    Http1,
}

struct Origins {
    /// Oldest first.
    entries: Vec<(Name, Known, Instant)>,
}

/// Whether the server is known not to support WebSockets over HTTP/2.
pub fn is_http1(name: &Name) -> bool {
    lock(&ORIGINS).find(name, Instant::now()) == Some(Known::Http1)
}

/// Stores that the server does not support WebSockets over HTTP/2.
pub fn remember_http1(name: Name) {
    lock(&ORIGINS).remember(name, Known::Http1, Instant::now());
}

/// The worker on which the server's sockets share connections; `own` for the first socket.
pub fn home(name: Name, own: usize) -> usize {
    let (mut origins, now) = (lock(&ORIGINS), Instant::now());
    match origins.find(&name, now) {
        Some(Known::Home(worker)) => worker,
        Some(Known::Http1) => own,
        None => {
            origins.remember(name, Known::Home(own), now);
            own
        }
    }
}

/// Clears the cache when the library stops.
pub fn forget() {
    lock(&ORIGINS).entries = Vec::new();
}

impl Origins {
    fn find(&mut self, name: &Name, now: Instant) -> Option<Known> {
        self.entries.retain(|(_, _, until)| now < *until);
        self.entries.iter().find(|(own, ..)| own == name).map(|(_, known, _)| *known)
    }

    fn remember(&mut self, name: Name, known: Known, now: Instant) {
        self.entries.retain(|(own, ..)| *own != name);
        if self.entries.len() >= HTTP2_ORIGINS {
            self.entries.remove(0);
        }
        self.entries.push((name, known, now + HTTP2_ORIGIN_TTL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(port: u16) -> Name {
        Name { secure: true, host: "game.example".to_owned(), zone: None, port }
    }

    #[test]
    fn entries_are_bounded_in_number_and_time() {
        let (mut origins, now) = (Origins { entries: Vec::new() }, Instant::now());
        origins.remember(name(1), Known::Home(3), now);
        assert_eq!(origins.find(&name(1), now), Some(Known::Home(3)));
        origins.remember(name(1), Known::Http1, now);
        assert_eq!(origins.find(&name(1), now), Some(Known::Http1));
        assert_eq!(origins.find(&name(2), now), None);
        for port in 2..2 + HTTP2_ORIGINS as u16 {
            origins.remember(name(port), Known::Http1, now);
        }
        assert_eq!(origins.entries.len(), HTTP2_ORIGINS);
        assert_eq!(origins.find(&name(1), now), None, "the oldest is dropped");
        assert_eq!(origins.find(&name(2), now + HTTP2_ORIGIN_TTL), None);
        assert!(origins.entries.is_empty());
    }
}
