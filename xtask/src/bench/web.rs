//! `cargo xtask bench web`: compares the library for browsers with emscripten's WebSocket API and with JavaScript alone,
//! in Chromium. `benches/web/messages.c` is the page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use super::build;
use super::run::Server;
use super::show::median;
use crate::files;
use crate::run::{DEVELOPMENT, Outcome, build_unless_built, cargo, ensure, quietly, root, scratch};
use crate::web::{self, Chromium, Emscripten};

/// Names of the page, in the order of the table.
const WAYS: &[&str] = &["framewire", "emscripten_websocket", "javascript"];
/// A page with all rounds ends within minutes.
const LIMIT: Duration = Duration::from_secs(1200);

/// Nanoseconds of processor time of a message: of the page's process, and of the whole browser, in each round.
#[derive(Default)]
struct Cost {
    page: Vec<f64>,
    browser: Vec<f64>,
}

pub fn run(rounds: usize) -> Outcome {
    ensure("emcc", &["emscripten"])?;
    ensure("chromium", &["chromium"])?;
    build::server()?;
    let library = web::build()?;
    build_unless_built(cargo().args(DEVELOPMENT).arg("--quiet"))?;
    let folder = scratch("bench/web")?;
    let mut emcc = Emscripten::Installed.emcc();
    emcc.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-sALLOW_MEMORY_GROWTH=1", "-I"]);
    emcc.arg(&library)
        .arg(root().join("benches/web/messages.c"))
        .arg(library.join(web::LIBRARY))
        .arg("--js-library");
    emcc.arg(library.join(web::SCRIPT_NAME)).arg("-lwebsocket.js");
    quietly(emcc.arg("-o").arg(folder.join("page.js")))?;
    files::copy("tests/web/page.html", folder.join("page.html"))?;

    let server = Server::start()?;
    let rounds = rounds.to_string();
    let arguments = |_: &web::Server| vec![server.ws.replace("localhost", "127.0.0.1"), rounds.clone()];
    let mut chromium = Chromium::open(&folder, &arguments)?;
    let lines = chromium.lines()?;
    let deadline = Instant::now() + LIMIT;
    let (mut costs, mut started) = (BTreeMap::<String, Cost>::new(), None);
    loop {
        let line = lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .map_err(|_| "the page printed no closing line")?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["begin", _, _, messages] => {
                let messages: f64 = messages.parse().map_err(|error| format!("{line}: {error}"))?;
                started = Some((processor_time(chromium.id())?, messages));
            }
            ["end", case, way] => {
                let ((page, browser), messages) = started.take().ok_or("an end without a beginning")?;
                let (page_now, browser_now) = processor_time(chromium.id())?;
                let cost = costs.entry(format!("{case} {way}")).or_default();
                cost.page.push((page_now - page) as f64 / messages);
                cost.browser.push((browser_now - browser) as f64 / messages);
            }
            [_, "passed,", "0", "failed"] => break,
            _ => return Err(line),
        }
    }
    show(costs)
}

/// Returns the processor time so far, in nanoseconds, of the processes that run pages and of the whole browser.
fn processor_time(browser: u32) -> Outcome<(u64, u64)> {
    let (mut page, mut all) = (0, 0);
    for process in family(browser)? {
        let folder = format!("/proc/{process}");
        let runs_a_page = fs::read(format!("{folder}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains("--type=renderer"));
        let Ok(threads) = fs::read_dir(format!("{folder}/task")) else { continue };
        for thread in threads.flatten() {
            // The first number of the line. A thread may have ended.
            let Ok(line) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let time: u64 = line.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
            all += time;
            if runs_a_page {
                page += time;
            }
        }
    }
    if page == 0 { Err("no process of the browser runs a page".into()) } else { Ok((page, all)) }
}

/// Returns a process and its descendants.
fn family(ancestor: u32) -> Outcome<BTreeSet<u32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // `id (name) state parent ...`, where the name may contain anything.
        let Ok(line) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = line.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parents.insert(process, parent.unwrap_or(0));
    }
    let descends = |process: &u32| {
        let mut at = *process;
        while at != ancestor {
            match parents.get(&at) {
                Some(parent) if *parent != 0 => at = *parent,
                _ => return false,
            }
        }
        true
    };
    Ok(parents.keys().copied().filter(descends).collect())
}

/// Prints the medians.
fn show(mut costs: BTreeMap<String, Cost>) -> Outcome {
    for cost in costs.values_mut() {
        cost.page.sort_by(f64::total_cmp);
        cost.browser.sort_by(f64::total_cmp);
    }
    let cases: BTreeSet<&str> = costs.keys().filter_map(|key| key.split(' ').next()).collect();
    println!("| CPU ns per message: page (browser) | {} |", WAYS.join(" | "));
    println!("| --- |{}", " --- |".repeat(WAYS.len()));
    for case in cases {
        let mut row = format!("| {case} |");
        for way in WAYS {
            let cost = costs.get(&format!("{case} {way}")).ok_or_else(|| format!("no {case} of {way}"))?;
            row += &format!(" {:.0} ({:.0}) |", median(&cost.page), median(&cost.browser));
        }
        println!("{row}");
    }
    Ok(())
}
