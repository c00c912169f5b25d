//! Records that a server should not send, or that come when they are not expected.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::{ClientConfig, ServerConfig, ServerConnection, SupportedCipherSuite, Tls12CipherSuite};

use super::harness::*;
use crate::error::{ErrorKind, Phase};
use crate::net::tls::error::{Context, from_rustls};
use crate::net::tls::provider::provider;
use crate::net::tls::records::{Fill, Records};
use crate::net::tls::{TlsConnector, TlsSettings};
use crate::random::Random;

/// A record with the beginning of a ServerHello of `len` bytes (RFC 8446 section 4).
fn beginning_of_server_hello(len: u32) -> Vec<u8> {
    let [_, len @ ..] = len.to_be_bytes();
    [&[22, 3, 3, 0, 6, 2], &len[..], &[3, 3]].concat()
}

/// Reads until the client has closed its side; returns the data.
fn to_the_end(tcp: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A client that closes with unread data resets the connection.
    let _ = tcp.read_to_end(&mut all);
    all
}

#[test]
fn handshake_message_in_small_records_takes_bounded_memory() {
    let server = Server::tcp(1, |mut tcp| {
        tcp.write_all(&beginning_of_server_hello(60_000)).unwrap();
        // Not all of it: a client without a limit would wait for the rest. Each byte in a record of six.
        let _ = tcp.write_all(&[22, 3, 3, 0, 1, 0].repeat(50_000));
        to_the_end(&mut tcp);
    });
    let mut client = Client::connect(server.address, &TlsSettings::new(), "localhost");
    let error = client.handshake().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    assert!(client.stream.read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]).is_err());
    drop(client);
    server.results();
}

/// The size of an alert that is not encrypted.
const ALERT: usize = 5 + 2;

/// rustls remembers where a handshake message began in bytes that are gone after an error.
#[test]
fn connection_can_be_used_after_error_within_handshake_message() {
    let server = Server::tcp(1, |mut tcp| {
        // A record of an unknown type.
        let records = [&beginning_of_server_hello(100)[..], &[99, 3, 3, 0, 1, 0]].concat();
        tcp.write_all(&records).unwrap();
        let mut got = vec![0; 5];
        tcp.read_exact(&mut got).unwrap();
        got.resize(5 + usize::from(u16::from_be_bytes([got[3], got[4]])) + ALERT, 0);
        tcp.read_exact(&mut got[5..]).unwrap();
        tcp.write_all(&records).unwrap();
        got.extend(to_the_end(&mut tcp));
        got
    });
    let mut client = Client::connect(server.address, &TlsSettings::new(), "localhost");
    let error = client.handshake().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    let mut buffer = [0; 8];
    assert!(client.stream.write_vectored(&[IoSlice::new(b"late")]).is_err());
    assert_eq!(client.read(&mut [IoSliceMut::new(&mut buffer)]).unwrap_err().message, error.message);
    client.stream.send_close_notify();
    assert_eq!(client.stream.flush(), Ok(true));
    drop(client);
    // ClientHello and one alert (21), in a record of its own.
    let sent = server.results().remove(0);
    let hello = 5 + usize::from(u16::from_be_bytes([sent[3], sent[4]]));
    assert_eq!((sent[0], sent[hello], sent.len() - hello), (22, 21, ALERT));
}

#[test]
fn close_before_handshake_sends_no_close_notify() {
    let server = Server::tcp(1, |mut tcp| to_the_end(&mut tcp));
    let mut client = Client::connect(server.address, &TlsSettings::new(), "localhost");
    client.stream.send_close_notify();
    client.flush();
    drop(client);
    let sent = server.results().remove(0);
    assert_eq!(sent.len(), 5 + usize::from(u16::from_be_bytes([sent[3], sent[4]])), "more than ClientHello");
}

/// Records of one byte, in segments that end anywhere, with a write between any two reads.
#[test]
fn records_may_end_anywhere_between_reads_and_writes() {
    const COUNT: usize = 300;
    let ca = authority("Test CA");
    let server = Server::tls(server_config(&good(&ca)), 1, |mut tls| {
        let mut got = vec![0; 3];
        tls.read_exact(&mut got).unwrap();
        // What was written so far is taken out of rustls, and sent in pieces of seven.
        for n in 0..COUNT {
            tls.conn.writer().write_all(&[n as u8]).unwrap();
        }
        let mut records = Vec::new();
        tls.conn.write_tls(&mut records).unwrap();
        while tls.conn.wants_write() {
            tls.conn.write_tls(&mut records).unwrap();
        }
        for piece in records.chunks(7) {
            tls.sock.write_all(piece).unwrap();
        }
        let mut answers = vec![0; COUNT];
        tls.read_exact(&mut answers).unwrap();
        answers
    });
    let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
    client.handshake().unwrap();
    client.write_all(b"now");
    let mut got = Vec::new();
    while got.len() < COUNT {
        let mut buffer = [0; 5];
        client.read(&mut [IoSliceMut::new(&mut buffer[..1])]).unwrap();
        got.push(buffer[0]);
        client.write_all(&buffer[..1]);
    }
    assert_eq!(got, (0..COUNT).map(|n| n as u8).collect::<Vec<_>>());
    assert_eq!(server.results(), [got]);
}

/// A client without a socket, a server, and what is on its way between them.
struct Pair {
    client: Records,
    server: ServerConnection,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    client_got: Vec<u8>,
    server_got: Vec<u8>,
    random: Random,
}

impl Pair {
    fn new(client: &TlsConnector, server: &Arc<ServerConfig>, random: Random) -> Self {
        Self {
            client: Records::new(client.config.clone(), "localhost".try_into().unwrap()).unwrap(),
            server: ServerConnection::new(server.clone()).unwrap(),
            to_client: Vec::new(),
            to_server: Vec::new(),
            client_got: Vec::new(),
            server_got: Vec::new(),
            random,
        }
    }

    /// Reads some of what has arrived into two buffers, with much room or little.
    fn client_reads(&mut self) -> Result<(), rustls::Error> {
        let (mut first, mut second) = (vec![0; self.random.length()], vec![0; self.random.below(9)]);
        let mut slices = [&mut first[..], &mut second].map(IoSliceMut::new);
        let mut out = Fill::new(&mut slices);
        self.client.deliver(&mut out);
        let mut opened = Ok(());
        if out.room() > 0 {
            let arrived = self.random.length().min(self.to_client.len());
            let mut buffer = Vec::new();
            let start = self.client.continue_in(&mut buffer);
            assert_eq!(buffer.len(), start);
            buffer.extend(self.to_client.drain(..arrived));
            opened = self.client.open(&mut buffer, &mut out);
        }
        let filled = out.filled();
        self.client_got.extend(first.iter().chain(&second).take(filled));
        opened
    }

    /// Writes from up to three buffers.
    fn client_writes(&mut self, bytes: &[u8]) -> Result<usize, rustls::Error> {
        let (one, rest) = bytes.split_at(self.random.below(bytes.len() + 1));
        let (two, three) = rest.split_at(self.random.length().min(rest.len()));
        let mut records = Vec::new();
        let sealed = self.client.seal(&[one, two, three].map(IoSlice::new), &mut records)?;
        self.client.sealed().extend(&records[..sealed.records]);
        Ok(sealed.plaintext)
    }

    /// The socket of the client accepts some records.
    fn client_flushes(&mut self) {
        let n = self.random.length();
        let outgoing = self.client.outgoing();
        let n = n.min(outgoing.bytes().len());
        self.to_server.extend_from_slice(&outgoing.bytes()[..n]);
        outgoing.advance(n);
    }

    fn server_runs(&mut self) {
        let mut arrived = &self.to_server[..];
        while !arrived.is_empty() && self.server.read_tls(&mut arrived).is_ok() {
            let _ = self.server.process_new_packets();
            let _ = self.server.reader().read_to_end(&mut self.server_got);
        }
        self.to_server.clear();
        while self.server.wants_write() {
            self.server.write_tls(&mut self.to_client).unwrap();
        }
    }
}

/// Whatever a network does to data, a connection delivers it, in both directions, with key updates between.
#[test]
fn data_survives_every_split() {
    let ca = authority("Test CA");
    let server = Arc::new(server_config(&good(&ca)));
    let client = trusting(&ca).connector(false).unwrap();
    for seed in 0..200 {
        let mut pair = Pair::new(&client, &server, Random::new(seed));
        let size = pair.random.length() + 1;
        let (up, down) = (pair.random.bytes(size), pair.random.bytes(size));
        let (mut sent_up, mut sent_down) = (0, 0);
        let mut steps = 0;
        while pair.client_got.len() < size || pair.server_got.len() < size || !pair.client.peer_closed() {
            pair.client_reads().unwrap();
            if !pair.client.is_handshaking()
                && (!pair.client.wants_write() || pair.random.one_in(4))
                && sent_up < size
            {
                sent_up += pair.client_writes(&up[sent_up..]).unwrap();
            }
            pair.client_flushes();
            pair.server_runs();
            if !pair.server.is_handshaking() && sent_down < size {
                let n = (size - sent_down).min(pair.random.length() + 1);
                sent_down += pair.server.writer().write(&down[sent_down..sent_down + n]).unwrap();
                if pair.random.one_in(4) {
                    // TLS 1.3 alone has it, and only once until the client has answered.
                    let _ = pair.server.refresh_traffic_keys();
                }
                if sent_down == size {
                    pair.server.send_close_notify();
                }
            }
            steps += 1;
            assert!(steps < 1_000_000, "seed {seed}: {} of {size} bytes", pair.client_got.len());
        }
        assert!(pair.client_got == down && pair.server_got == up, "seed {seed}: the bytes differ");
        pair.client.send_close_notify();
        assert!(pair.client.wants_write());
    }
}

/// TLS 1.2 has no key update. With AES-GCM it ends after 2^24 records; here after a few.
#[test]
fn used_up_keys_of_tls_1_2_end_the_connection_for_a_retry() {
    const RECORDS: u64 = 20;
    let SupportedCipherSuite::Tls12(suite) = TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 else { panic!("1.2") };
    let limited = Tls12CipherSuite {
        common: CipherSuiteCommon { confidentiality_limit: RECORDS, ..suite.common },
        ..*suite
    };
    let limited = CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls12(Box::leak(Box::new(limited)))],
        ..CryptoProvider::clone(&provider())
    };
    let ca = authority("Test CA");
    let server = Arc::new(server_config_with(&good(&ca), &[&rustls::version::TLS12]));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(limited))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut pair = Pair::new(&TlsConnector { config: Arc::new(client) }, &server, Random::new(1));
    while pair.client.is_handshaking() {
        pair.client_reads().unwrap();
        pair.client_flushes();
        pair.server_runs();
    }
    // Two records in one write, of which the keys allow only the first, once.
    let block = vec![7; 20_000];
    let (mut sent, mut error) = (0, None);
    while error.is_none() {
        match pair.client_writes(&block) {
            Ok(n) => sent += n,
            Err(why) => error = Some(why),
        }
    }
    while pair.client.wants_write() {
        pair.client_flushes();
    }
    pair.server_runs();
    assert_eq!(error, Some(rustls::Error::EncryptError));
    assert!(sent > 0 && pair.server_got.len() == sent, "{} of {sent} bytes", pair.server_got.len());
    let context = Context { host: "localhost", phase: Phase::Open, spoke_tls: true, refused: None };
    assert!(from_rustls(&rustls::Error::EncryptError, &context).retriable);
}

fn is_harmless_after(error: &rustls::Error, pair: &mut Pair) {
    let alert = pair.client.outgoing().bytes().to_vec();
    for _ in 0..3 {
        // Nothing is opened if plaintext from before the error fills the buffers.
        if let Err(again) = pair.client_reads() {
            assert_eq!(again, *error);
        }
        assert_eq!(pair.client_writes(b"late"), Err(error.clone()));
        pair.client.send_close_notify();
    }
    assert_eq!(pair.client.outgoing().bytes(), alert);
}

/// Damaged records end in an error, after which every call is harmless and nothing more is sent than an alert.
#[test]
fn every_damage_ends_in_an_error() {
    let ca = authority("Test CA");
    let server = Arc::new(server_config(&good(&ca)));
    let client = trusting(&ca).connector(false).unwrap();
    let mut failed = 0;
    for seed in 0..1000 {
        let mut pair = Pair::new(&client, &server, Random::new(seed));
        // From the first step on, or only after the handshake.
        let from = pair.random.below(12);
        for step in 0..200 {
            if step >= from && !pair.to_client.is_empty() {
                let (at, bit) = (pair.random.below(pair.to_client.len()), pair.random.below(8));
                pair.to_client[at] ^= 1 << bit;
            }
            if let Err(error) = pair.client_reads() {
                failed += 1;
                is_harmless_after(&error, &mut pair);
                break;
            }
            pair.client_flushes();
            pair.server_runs();
            if !pair.server.is_handshaking() {
                pair.server.writer().write_all(b"some data").unwrap();
            }
        }
    }
    assert!(failed > 900, "{failed} of 1000 connections have failed");
}
