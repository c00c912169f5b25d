//! Rust bindings to `bench.c`: the command line, the traffic of each mode, and the report.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
#[allow(dead_code, reason = "values are created in C")]
pub enum Mode {
    Echo,
    Recv,
    Send,
    Game,
    Idle,
    Connect,
}

/// `struct bench`.
#[repr(C)]
struct Bench {
    client: *const c_char,
    mode_name: *const c_char,
    variant: *const c_char,
    ca: *const c_char,
    mode: Mode,
    url: [c_char; 256],
    host: [c_char; 64],
    port: [c_char; 8],
    path: [c_char; 64],
    tls: bool,
    size: usize,
    count: u64,
    warm: u64,
    connections: u64,
    rate: u64,
    round: u64,
    to_send: u64,
    done: bool,
}

unsafe extern "C" {
    static mut bench: Bench;
    static bench_struct_size: usize;
    fn bench_parse(client: *const c_char, argc: c_int, argv: *const *const c_char);
    fn bench_opened(connection: *mut c_void);
    fn bench_message(connection: *mut c_void, bytes: *const c_void, len: usize);
    fn bench_payload() -> *const u8;
    fn bench_begin();
    fn bench_end();
    fn bench_keep(ns: u64);
    fn bench_now_ns() -> u64;
    fn bench_memory(after: bool);
    fn bench_report();
}

/// A message to send.
#[derive(Clone, Copy)]
pub enum Outgoing {
    /// A request to the server.
    Request([u8; 24], usize),
    Payload(&'static [u8]),
}

thread_local! {
    /// A call into `bench.c` sends at most one message.
    static OUTGOING: Cell<Option<Outgoing>> = const { Cell::new(None) };
}

#[unsafe(no_mangle)]
extern "C" fn bench_send(_connection: *mut c_void, text: bool, bytes: *const u8, len: usize) {
    // SAFETY: `bench.c` passes a message of this length.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, len) };
    let outgoing = if text {
        let mut request = [0; 24];
        request[..len].copy_from_slice(bytes);
        Outgoing::Request(request, len)
    } else {
        Outgoing::Payload(payload())
    };
    OUTGOING.set(Some(outgoing));
}

pub fn parse(client: &str) {
    // SAFETY: a constant.
    assert_eq!(unsafe { bench_struct_size }, size_of::<Bench>(), "Bench differs from struct bench");
    let strings: Vec<CString> =
        std::env::args().map(|argument| CString::new(argument).expect("arguments have no NUL")).collect();
    let pointers: Vec<*const c_char> = strings.iter().map(|string| string.as_ptr()).collect();
    let client = CString::new(client).expect("names have no NUL").into_raw();
    // SAFETY: it stores the pointers, and the strings are never freed.
    unsafe { bench_parse(client, pointers.len() as c_int, pointers.as_ptr()) };
    std::mem::forget(strings);
}

// SAFETY of the functions below: `bench` is only accessed from one thread.

pub fn mode() -> Mode {
    unsafe { bench.mode }
}

pub fn url() -> String {
    unsafe { CStr::from_ptr((&raw const bench.url).cast()) }.to_string_lossy().into_owned()
}

pub fn path() -> String {
    unsafe { CStr::from_ptr((&raw const bench.path).cast()) }.to_string_lossy().into_owned()
}

pub fn authority() -> String {
    let host = unsafe { CStr::from_ptr((&raw const bench.host).cast()) }.to_string_lossy().into_owned();
    let port = unsafe { CStr::from_ptr((&raw const bench.port).cast()) }.to_string_lossy().into_owned();
    format!("{host}:{port}")
}

pub fn host() -> String {
    unsafe { CStr::from_ptr((&raw const bench.host).cast()) }.to_string_lossy().into_owned()
}

pub fn is_tls() -> bool {
    unsafe { bench.tls }
}

/// The file of the certificate authority; empty without TLS.
pub fn ca() -> String {
    if !is_tls() {
        return String::new();
    }
    unsafe { CStr::from_ptr(bench.ca) }.to_string_lossy().into_owned()
}

/// Returns whether `--variant` has this value.
pub fn is_variant(name: &str) -> bool {
    unsafe { CStr::from_ptr(bench.variant) }.to_bytes() == name.as_bytes()
}

pub fn count() -> u64 {
    unsafe { bench.count }
}

pub fn connections() -> u64 {
    unsafe { bench.connections }
}

pub fn payload() -> &'static [u8] {
    unsafe { std::slice::from_raw_parts(bench_payload(), bench.size) }
}

pub fn done() -> bool {
    unsafe { (&raw const bench.done).read_volatile() }
}

/// Returns how many messages to send now, in mode send, and resets the number.
pub fn take_allowance() -> u64 {
    unsafe { std::mem::take(&mut *&raw mut bench.to_send) }
}

pub fn opened() -> Option<Outgoing> {
    unsafe { bench_opened(std::ptr::null_mut()) };
    OUTGOING.take()
}

pub fn message(bytes: &[u8]) -> Option<Outgoing> {
    unsafe { bench_message(std::ptr::null_mut(), bytes.as_ptr().cast(), bytes.len()) };
    OUTGOING.take()
}

pub fn begin() {
    unsafe { bench_begin() }
}

pub fn end() {
    unsafe { bench_end() }
}

/// Runs `act` and records its duration.
pub fn timed<T>(act: impl FnOnce() -> T) -> T {
    let begun = unsafe { bench_now_ns() };
    let result = act();
    unsafe { bench_keep(bench_now_ns() - begun) };
    result
}

pub async fn timed_async<T>(act: impl Future<Output = T>) -> T {
    let begun = unsafe { bench_now_ns() };
    let result = act.await;
    unsafe { bench_keep(bench_now_ns() - begun) };
    result
}

pub fn memory(after: bool) {
    unsafe { bench_memory(after) }
}

pub fn report() {
    unsafe { bench_report() }
}

/// Returns a common TLS configuration that trusts `--ca`; `--variant resumed` keeps session tickets.
pub fn tls_config() -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if is_tls() {
        let certificate = CertificateDer::from_pem_file(ca()).expect("--ca names a certificate");
        roots.add(certificate).expect("the certificate is a CA certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring does TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !is_variant("resumed") {
        config.resumption = rustls::client::Resumption::disabled();
    }
    Arc::new(config)
}
