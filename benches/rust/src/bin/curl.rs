//! curl's WebSocket API (`curl_ws_send`, `curl_ws_recv`), with `CURLOPT_CONNECT_ONLY`; the game's hundred connections
//! over mio. Over TLS it uses OpenSSL.

use std::ffi::{CStr, CString, c_int, c_long, c_uint, c_void};
use std::os::fd::RawFd;
use std::ptr::null;

use curl_sys::{
    CURL, CURLINFO, CURLOPT_CAINFO, CURLOPT_CONNECT_ONLY, CURLOPT_URL, CURLcode, curl_easy_setopt,
};
use framewire_bench_peers as bench;
use framewire_bench_peers::{Mode, Outgoing};

/// `curl/websockets.h`, which curl-sys does not declare.
#[repr(C)]
struct Frame {
    age: c_int,
    flags: c_int,
    offset: i64,
    bytes_left: i64,
    len: usize,
}

const TEXT: c_uint = 1 << 0;
const BINARY: c_uint = 1 << 1;
const FRAGMENT: c_uint = 1 << 2;
/// `CURLOPT_CONNECT_ONLY`: returns after the WebSocket upgrade.
const UPGRADE: c_long = 2;
const CURLINFO_ACTIVESOCKET: CURLINFO = 0x50_0000 + 44;

unsafe extern "C" {
    fn curl_ws_recv(
        curl: *mut CURL,
        buffer: *mut c_void,
        len: usize,
        received: *mut usize,
        frame: *mut *const Frame,
    ) -> CURLcode;
    fn curl_ws_send(
        curl: *mut CURL,
        buffer: *const c_void,
        len: usize,
        sent: *mut usize,
        fragment_size: i64,
        flags: c_uint,
    ) -> CURLcode;
}

/// Room for the first part of a message.
const PART: usize = 64 * 1024;

struct Socket {
    curl: *mut CURL,
    fd: RawFd,
    /// The message being received: the first `have` bytes.
    message: Vec<u8>,
    have: usize,
}

/// Accepts success and `CURLE_AGAIN`; returns whether it was success.
fn is_done(code: CURLcode) -> bool {
    if code != curl_sys::CURLE_OK && code != curl_sys::CURLE_AGAIN {
        // SAFETY: curl returns a static string.
        panic!("curl: {}", unsafe { CStr::from_ptr(curl_sys::curl_easy_strerror(code)) }.to_string_lossy());
    }
    code == curl_sys::CURLE_OK
}

// SAFETY of what follows: the handle is valid until `drop`, on one thread; buffers outlive each call.

impl Socket {
    fn connect() -> Self {
        let url = CString::new(bench::url()).expect("the URL has no NUL");
        let ca = CString::new(bench::ca()).expect("paths have no NUL");
        let mut fd: RawFd = -1;
        let curl = unsafe {
            let curl = curl_sys::curl_easy_init();
            assert!(is_done(curl_easy_setopt(curl, CURLOPT_URL, url.as_ptr())));
            assert!(is_done(curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, UPGRADE)));
            if bench::is_tls() {
                assert!(is_done(curl_easy_setopt(curl, CURLOPT_CAINFO, ca.as_ptr())));
            }
            assert!(is_done(curl_sys::curl_easy_perform(curl)));
            assert!(is_done(curl_sys::curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &raw mut fd)));
            curl
        };
        Self { curl, fd, message: Vec::new(), have: 0 }
    }

    fn wait(&self, events: i16) {
        let mut poll = libc::pollfd { fd: self.fd, events, revents: 0 };
        unsafe { libc::poll(&raw mut poll, 1, -1) };
    }

    fn send(&self, mut bytes: &[u8], flags: c_uint) {
        while !bytes.is_empty() {
            let mut sent = 0;
            let code = unsafe {
                curl_ws_send(self.curl, bytes.as_ptr().cast(), bytes.len(), &raw mut sent, 0, flags)
            };
            is_done(code);
            bytes = &bytes[sent..];
            if !bytes.is_empty() {
                self.wait(libc::POLLOUT);
            }
        }
    }

    fn say(&self, outgoing: Option<Outgoing>) {
        match outgoing {
            Some(Outgoing::Request(text, len)) => self.send(&text[..len], TEXT),
            Some(Outgoing::Payload(bytes)) => self.send(bytes, BINARY),
            None => {}
        }
        for _ in 0..bench::take_allowance() {
            self.send(bench::payload(), BINARY);
        }
    }

    /// Receives a message; `None` if no complete one is there yet.
    fn receive(&mut self) -> Option<&[u8]> {
        loop {
            if self.message.len() < self.have + PART {
                self.message.resize(self.have + PART, 0);
            }
            let room = &mut self.message[self.have..];
            let (mut received, mut frame) = (0, null());
            let code = unsafe {
                let (to, len) = (room.as_mut_ptr().cast(), room.len());
                curl_ws_recv(self.curl, to, len, &raw mut received, &raw mut frame)
            };
            if !is_done(code) {
                return None;
            }
            let frame = unsafe { &*frame };
            self.have += received;
            let left = usize::try_from(frame.bytes_left).expect("it is not negative");
            if left > 0 {
                // Receives the rest of a large message where it belongs.
                let whole = self.have + left;
                self.message.resize(self.message.len().max(whole), 0);
            } else if frame.flags as c_uint & FRAGMENT == 0 {
                return Some(&self.message[..std::mem::take(&mut self.have)]);
            }
        }
    }

    fn follow(&mut self) {
        self.say(bench::opened());
        while !bench::done() {
            match self.receive().map(bench::message) {
                Some(outgoing) => self.say(outgoing),
                None => self.wait(libc::POLLIN),
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        unsafe { curl_sys::curl_easy_cleanup(self.curl) };
    }
}

fn play(mut sockets: Vec<Socket>) {
    let mut poll = mio::Poll::new().expect("the system has epoll");
    for (index, socket) in sockets.iter().enumerate() {
        socket.say(bench::opened());
        let mut source = mio::unix::SourceFd(&socket.fd);
        poll.registry()
            .register(&mut source, mio::Token(index), mio::Interest::READABLE)
            .expect("it is registered once");
    }
    let mut events = mio::Events::with_capacity(64);
    while !bench::done() {
        poll.poll(&mut events, None).expect("the system has epoll");
        for event in &events {
            let socket = &mut sockets[event.token().0];
            while let Some(outgoing) = socket.receive().map(bench::message) {
                socket.say(outgoing);
            }
        }
    }
}

fn main() {
    bench::parse("curl");
    unsafe { curl_sys::curl_global_init(curl_sys::CURL_GLOBAL_ALL) };
    bench::memory(false);
    let mut kept = Vec::new();
    match bench::mode() {
        Mode::Connect => {
            bench::begin();
            for _ in 0..bench::count() {
                bench::timed(Socket::connect);
            }
            bench::end();
        }
        Mode::Idle => kept = (0..bench::connections()).map(|_| Socket::connect()).collect(),
        Mode::Game => play((0..bench::connections()).map(|_| Socket::connect()).collect()),
        _ => Socket::connect().follow(),
    }
    bench::memory(true);
    drop(kept);
    bench::report();
}
