//! Opens every page of the site in headless Chromium, on a narrow screen, and searches.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::files;
use crate::run::{Outcome, scratch};

/// What the search must find.
const WORDS: &[&str] = &["backpressure", "heartbeat", "self-signed", "WebGL", "UniTask"];
/// Loads the pages into frames.
const CHECK: &str = include_str!("check.html");
/// Is inserted into each page: passes errors on to the page of the check.
const HOOKS: &str = include_str!("hooks.js");
/// A page takes some 200 ms on an idle machine.
const LIMIT: Duration = Duration::from_secs(600);

pub fn check(site: &Path) -> Outcome {
    let mut pages = Vec::new();
    for file in files::list_all(site, |_| false)? {
        let name = file.strip_prefix(site).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        if name.ends_with(".html") && !["404.html", "toc.html"].contains(&name.as_str()) {
            pages.push(name);
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let work = serde_json::json!({ "pages": pages, "words": WORDS }).to_string();
    let results = serve(listener, site.to_owned(), work);
    let profile = scratch("docs")?.join(format!("chromium-{}", std::process::id()));
    let mut browser = Command::new("chromium")
        // Root, as in a container, needs it.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1400,1000"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("http://127.0.0.1:{port}/check.html"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("chromium: {error}"))?;
    let result = results.recv_timeout(LIMIT);
    let _ = browser.kill();
    let _ = browser.wait();
    let _ = files::remove_folder(&profile);
    let text = result.map_err(|_| format!("no result within {} s", LIMIT.as_secs()))?;
    let faults: Vec<&str> = text.lines().collect();
    println!("{} pages, {} searches", pages.len(), WORDS.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Serves the site and the page of the check, and passes on what that posts.
fn serve(listener: TcpListener, site: PathBuf, work: String) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (site, work, sender) = (site.clone(), work.clone(), sender.clone());
            std::thread::spawn(move || respond(stream, &site, &work, &sender));
        }
    });
    receiver
}

fn respond(mut stream: TcpStream, site: &Path, work: &str, results: &Sender<String>) -> std::io::Result<()> {
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
    let path = target.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    if path == "result" {
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        let _ = results.send(String::from_utf8_lossy(&text).into_owned());
    }
    let content = match path {
        "check.html" => Some(CHECK.replace("WORK", work).into_bytes()),
        "result" => Some(Vec::new()),
        _ if path.contains("..") => None,
        _ => std::fs::read(site.join(path)).ok(),
    };
    let Some(mut content) = content else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if path.ends_with(".html") && path != "check.html" {
        let page = String::from_utf8_lossy(&content).replacen(
            "<head>",
            &format!("<head><script>{HOOKS}</script>"),
            1,
        );
        content = page.into_bytes();
    }
    let media_type = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&content)
}
