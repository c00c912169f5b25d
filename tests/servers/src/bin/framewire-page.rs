//! Serves a folder to a browser, and the servers that its page connects to: `framewire-page FOLDER`.
//!
//! Prints the URLs of the folder, of the folder over TLS, of the echo server and of the scripted server, one per line,
//! then what the page posts to `/result`. Exits at the end of its standard input.
//!
//! | path of the scripted server | what it does |
//! | --- | --- |
//! | `/dies-twice` | loses the first two connections; echoes one message of the third and closes with 1000 |
//! | `/refuse` | refuses the upgrade with 403 |
//! | `/hang` | does not respond |
//! | `/violation` | sends `hi`, then a frame with reserved bits |
//! | `/close-without-code` | closes without a code |
//! | `/ignore-close` | does not respond to a close frame |
//! | `/second-protocol` | selects the second subprotocol that is offered |

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use framewire_servers::certs::{Authority, Demands, server_config};
use framewire_servers::{EchoServer, Peer, Scripted};
use rustls::{ServerConnection, StreamOwned};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("usage: framewire-page FOLDER");
        return ExitCode::from(2);
    };
    match start(&folder) {
        Ok(()) => {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            // Scripts may wait for a page that has ended.
            std::process::exit(0);
        }
        Err(error) => {
            eprintln!("framewire-page: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the servers and prints their URLs.
fn start(folder: &Path) -> std::io::Result<()> {
    let (plain, secure) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let (plain_address, secure_address) = (plain.local_addr()?, secure.local_addr()?);
    let echo = EchoServer::start();
    let counts = Arc::new(Mutex::new(HashMap::new()));
    let scripted = Scripted::start(move |peer| script(peer, &counts));
    print(&format!(
        "http://{plain_address}/\nhttps://{secure_address}/\n{}\n{}",
        echo.url("/"),
        scripted.url()
    ));
    // They run until the process exits.
    std::mem::forget((echo, scripted));
    accept(plain, folder, serve);
    let config = server_config(&Authority::new("page").good(), Demands::default());
    accept(secure, folder, move |stream, folder| {
        let connection = ServerConnection::new(config.clone()).ok()?;
        serve(StreamOwned::new(connection, stream), folder)
    });
    Ok(())
}

/// Serves each connection of a listener on a thread.
fn accept(
    listener: TcpListener,
    folder: &Path,
    serve: impl Fn(TcpStream, &Path) -> Option<()> + Clone + Send + 'static,
) {
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, serve) = (folder.clone(), serve.clone());
            std::thread::spawn(move || serve(stream, &folder));
        }
    });
}

fn print(text: &str) {
    println!("{text}");
    let _ = std::io::stdout().flush();
}

/// Responds to one request for a file, or prints what is posted.
fn serve(stream: impl Read + Write, folder: &Path) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        match field.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?
            }
            Some(_) => {}
            None => break,
        }
    }
    if method == "POST" {
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        print(&String::from_utf8_lossy(&body));
        return reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").ok();
    }
    let name = target.split('?').next()?.trim_start_matches('/');
    // No folders, so no way out of this one.
    let body = if name.contains(['/', '\\']) { None } else { std::fs::read(folder.join(name)).ok() };
    let kind = match name.rsplit('.').next()? {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    };
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let stream = reader.get_mut();
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body))
        .and_then(|()| stream.flush())
        .ok()
}

/// `counts` are the connections to each path so far.
fn script(mut peer: Peer, counts: &Mutex<HashMap<String, usize>>) {
    let head = peer.read_head();
    let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let number = {
        let mut counts = counts.lock().expect("no thread panics while it holds the lock");
        let count = counts.entry(path.clone()).or_default();
        *count += 1;
        *count
    };
    match path.as_str() {
        "/refuse" => return peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        "/hang" => return peer.pause(Duration::from_secs(10)),
        "/second-protocol" => {
            let offered = Peer::field(&head, "Sec-WebSocket-Protocol").unwrap_or_default();
            let second = offered.split(',').nth(1).unwrap_or_default().trim();
            peer.send_upgrade_response(&head, &format!("Sec-WebSocket-Protocol: {second}\r\n"));
        }
        _ => peer.send_upgrade_response(&head, ""),
    }
    match path.as_str() {
        // A page opens, dies twice, and echoes; then the next page does.
        "/dies-twice" if number % 3 != 0 => peer.pause(Duration::from_millis(100)),
        "/dies-twice" => {
            if let Some(frame) = peer.read_frame() {
                peer.send_frame(0x80 | frame.opcode, &frame.payload);
                peer.send_close(1000, "done");
                peer.read_close();
            }
        }
        "/violation" => {
            peer.send_frame(0x81, b"hi");
            peer.send_frame(0xF1, b"hi");
            peer.wait_for_end();
        }
        "/close-without-code" => {
            peer.send_frame(0x88, b"");
            peer.read_close();
        }
        "/ignore-close" => {
            peer.wait_for_end();
        }
        _ => {
            if let Some((code, reason)) = peer.read_close() {
                peer.send_close(code, &reason);
            }
        }
    }
}
