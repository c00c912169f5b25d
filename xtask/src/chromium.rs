//! Opens a page in headless Chromium, and waits for what it posts to `/result`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::files;
use crate::run::{Outcome, scratch};

/// What a page has posted.
pub struct Posted {
    /// The query of the URL, without its question mark.
    pub query: String,
    pub text: String,
}

/// The content of a path, without the leading slash and the query.
type Content = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// Serves `content` and opens a page of it. `options` are Chromium's, beside those that every run needs.
pub fn open(page: &str, options: &[&str], limit: Duration, content: Arc<Content>) -> Outcome<Posted> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let (sender, results) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (content, sender) = (content.clone(), sender.clone());
            std::thread::spawn(move || respond(stream, &*content, &sender));
        }
    });
    let profile = scratch("chromium")?.join(port.to_string());
    let mut browser = Command::new("chromium")
        // Root, as in a container, needs it.
        .args(["--headless=new", "--no-sandbox"])
        .args(options)
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("http://127.0.0.1:{port}/{page}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("chromium: {error}"))?;
    let result = results.recv_timeout(limit);
    let _ = browser.kill();
    let _ = browser.wait();
    let _ = files::remove_folder(&profile);
    result.map_err(|_| format!("the page has posted no result within {} s", limit.as_secs()))
}

fn respond(mut stream: TcpStream, content: &Content, results: &Sender<Posted>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let target = request.split(' ').nth(1).unwrap_or_default();
    let target = target.split('#').next().unwrap_or_default().trim_start_matches('/');
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path == "result" {
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        write!(stream, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let _ = results.send(Posted { query: query.to_owned(), text });
        return Ok(());
    }
    let Some(content) = (!path.contains("..")).then(|| content(path)).flatten() else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let (media_type, length) = (media_type(path), content.len());
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&content)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("txt") => "text/plain; charset=utf-8",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}
