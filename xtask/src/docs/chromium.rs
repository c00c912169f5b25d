//! Opens every page of the site in headless Chromium, on a narrow screen, and searches.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::chromium;
use crate::files;
use crate::run::Outcome;

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
    let work = serde_json::json!({ "pages": pages, "words": WORDS }).to_string();
    let site = site.to_owned();
    let content = move |path: &str| {
        if path == "check.html" {
            return Some(CHECK.replace("WORK", &work).into_bytes());
        }
        let content = std::fs::read(site.join(path)).ok()?;
        if !path.ends_with(".html") {
            return Some(content);
        }
        let hooked = format!("<head><script>{HOOKS}</script>");
        Some(String::from_utf8_lossy(&content).replacen("<head>", &hooked, 1).into_bytes())
    };
    let options = ["--disable-gpu", "--no-first-run", "--window-size=1400,1000"];
    let posted = chromium::open("check.html", &options, LIMIT, Arc::new(content))?;
    let faults: Vec<&str> = posted.text.lines().collect();
    println!("{} pages, {} searches", pages.len(), WORDS.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}
