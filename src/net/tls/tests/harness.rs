//! Test harness: generated certificates, a blocking rustls server on loopback, and a client that follows
//! readiness like an edge-triggered event loop.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use crate::error::Error;
use crate::net::stream::{Progress, ReadOutcome, Stream, WriteOutcome};
use crate::net::tls::provider::provider;
use crate::net::tls::{Roots, TlsSettings};

pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// A certificate with its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub pem: String,
    pub key: KeyPair,
}

impl Identity {
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// Returns the SHA-256 hash of the public key, as used in pins (RFC 7469 section 2.4).
    pub fn pin(&self) -> [u8; 32] {
        let hash = ring::digest::digest(&ring::digest::SHA256, &self.key.subject_public_key_info());
        hash.as_ref().try_into().unwrap()
    }
}

pub fn authority(name: &str) -> Authority {
    CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap()
}

pub fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

pub fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let mut params =
        CertificateParams::new(hosts.iter().map(|host| host.to_string()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub fn issued(params: CertificateParams, by: &Authority) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    Identity { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
}

pub fn self_signed(params: CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
}

/// Loads a certificate and key from the folder `openssl`.
pub fn identity_of(pem: &str) -> Identity {
    let key = &pem[pem.find("-----BEGIN PRIVATE KEY").unwrap()..];
    Identity { chain: chain_of(pem), pem: pem.to_owned(), key: KeyPair::from_pem(key).unwrap() }
}

pub fn chain_of(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

/// Issues a valid certificate.
pub fn good(by: &Authority) -> Identity {
    issued(params("good", &["localhost", "127.0.0.1"]), by)
}

/// Returns settings that trust only `authority`.
pub fn trusting(authority: &Authority) -> TlsSettings {
    let mut settings = TlsSettings::new();
    settings.set_roots(Roots::None);
    settings.add_ca_pem(authority.pem().as_bytes()).unwrap();
    settings
}

pub fn server_config(identity: &Identity) -> ServerConfig {
    server_config_with(identity, rustls::ALL_VERSIONS)
}

pub fn server_config_with(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.private_key())
        .unwrap()
}

/// Returns a configuration that signs with any key, matching or not.
pub fn server_config_signing(
    chain: &[CertificateDer<'static>],
    key: Arc<dyn SigningKey>,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let certified = CertifiedKey::new(chain.to_vec(), key);
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
}

/// The server side of a connection.
pub type Tls = StreamOwned<ServerConnection, TcpStream>;

pub struct Server<T> {
    pub address: SocketAddr,
    thread: JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> Server<T> {
    /// Serves `connections` connections sequentially.
    pub fn tls(config: ServerConfig, connections: usize, serve: impl Fn(Tls) -> T + Send + 'static) -> Self {
        let config = Arc::new(config);
        Self::tcp(connections, move |tcp| {
            serve(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), tcp))
        })
    }

    pub fn tcp(connections: usize, serve: impl Fn(TcpStream) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let run = move || (0..connections).map(|_| serve(listener.accept().unwrap().0)).collect();
        Self { address, thread: std::thread::spawn(run) }
    }

    /// Returns the result of each connection.
    pub fn results(self) -> Vec<T> {
        self.thread.join().unwrap()
    }
}

/// A client connection with its own poll.
pub struct Client {
    pub stream: Stream,
    poll: Poll,
    /// The socket may be ready without a further event.
    may_read: bool,
    may_write: bool,
}

impl Client {
    pub fn connect(address: SocketAddr, settings: &TlsSettings, host: &str) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), settings, host, false)
    }

    pub fn over(tcp: TcpStream, settings: &TlsSettings, host: &str, http2: bool) -> Self {
        tcp.set_nonblocking(true).unwrap();
        let tcp = mio::net::TcpStream::from_std(tcp);
        let mut stream = Stream::secure(tcp, &settings.connector(http2).unwrap(), host).unwrap();
        let poll = Poll::new().unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(stream.tcp_mut(), Token(0), both).unwrap();
        Self { stream, poll, may_read: true, may_write: true }
    }

    pub fn handshake(&mut self) -> Result<(), Error> {
        while self.stream.handshake()? == Progress::WouldBlock {
            self.wait();
        }
        self.stream.flush()?;
        Ok(())
    }

    /// Reads once, after waiting for an event if needed.
    pub fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        loop {
            while !self.may_read {
                self.wait();
                self.stream.flush()?;
            }
            let outcome = self.stream.read_vectored(buffers)?;
            match outcome {
                ReadOutcome::WouldBlock => self.may_read = false,
                ReadOutcome::Data { n, more } => {
                    self.may_read = more;
                    if n > 0 {
                        return Ok(outcome);
                    }
                }
                ReadOutcome::Eof { .. } => return Ok(outcome),
            }
        }
    }

    /// Reads to the end; returns the data and the result of the last read.
    pub fn read_to_end(&mut self, buffer_size: usize) -> (Vec<u8>, Result<ReadOutcome, Error>) {
        let (mut all, mut buffer) = (Vec::new(), vec![0; buffer_size]);
        loop {
            match self.read(&mut [IoSliceMut::new(&mut buffer)]) {
                Ok(ReadOutcome::Data { n, .. }) => all.extend_from_slice(&buffer[..n]),
                end => return (all, end),
            }
        }
    }

    /// Writes until it would block; returns the count.
    pub fn write_until_blocked(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len()
            && let WriteOutcome::Written { n } =
                self.stream.write_vectored(&[IoSlice::new(&bytes[taken..])]).unwrap()
        {
            taken += n;
        }
        taken
    }

    /// Writes everything, waiting for events.
    pub fn write_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (left, right) = bytes.split_at(bytes.len().min(200_000) / 3);
            match self.stream.write_vectored(&[IoSlice::new(left), IoSlice::new(right)]).unwrap() {
                WriteOutcome::Written { n } => bytes = &bytes[n..],
                WriteOutcome::WouldBlock => {
                    self.may_write = false;
                    while !self.may_write {
                        self.wait();
                    }
                }
            }
        }
        self.flush();
    }

    pub fn flush(&mut self) {
        while !self.stream.flush().unwrap() {
            self.wait();
        }
    }

    fn wait(&mut self) {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
        assert!(!events.is_empty(), "an event was lost");
        for event in &events {
            self.stream.ready(event);
            self.may_read |= event.is_readable();
            self.may_write |= event.is_writable();
        }
    }
}
