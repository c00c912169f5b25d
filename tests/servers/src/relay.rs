//! Relaying bytes, as a proxy does after the handshake.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Relays bytes in both directions until both sides have ended.
pub fn relay(one: &TcpStream, other: &TcpStream) {
    std::thread::scope(|scope| {
        scope.spawn(|| copy(one, other));
        copy(other, one);
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    // Makes further writes of the other side fail soon.
    let _ = from.shutdown(Shutdown::Read);
}

/// A TLS server in front of a local port without TLS.
pub struct TlsFront {
    port: u16,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl TlsFront {
    pub fn start(config: Arc<ServerConfig>, backend: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let stop = Arc::new(AtomicBool::new(false));
        let own = stop.clone();
        let acceptor = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                for stream in listener.incoming() {
                    if own.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(front) = stream else { continue };
                    let (config, stop) = (config.clone(), &own);
                    scope.spawn(move || relay_tls(config, front, backend, stop));
                }
            });
        });
        Self { port, stop, acceptor: Some(acceptor) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Handles both directions on one thread, alternately: a TLS connection cannot be read on one thread and
/// written on another.
fn relay_tls(config: Arc<ServerConfig>, front: TcpStream, backend: u16, stop: &AtomicBool) {
    let Ok(mut back) = TcpStream::connect(("127.0.0.1", backend)) else { return };
    let Ok(tls) = ServerConnection::new(config) else { return };
    let short = Some(Duration::from_millis(1));
    let _ = (front.set_read_timeout(short), back.set_read_timeout(short));
    let _ = (front.set_nodelay(true), back.set_nodelay(true));
    let mut front = StreamOwned::new(tls, front);
    let mut buffer = [0; 16 << 10];
    while !stop.load(Ordering::SeqCst) {
        match front.read(&mut buffer) {
            Ok(n @ 1..) if back.write_all(&buffer[..n]).is_ok() => {}
            Err(error) if is_read_timeout(&error) => {}
            _ => break,
        }
        match back.read(&mut buffer) {
            Ok(n @ 1..) if front.write_all(&buffer[..n]).is_ok() => {}
            Err(error) if is_read_timeout(&error) => {}
            _ => {
                front.conn.send_close_notify();
                let _ = front.flush();
                break;
            }
        }
    }
}

fn is_read_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
