//! Draws the diagram: a panel for each test, with a bar for each client. Its length is the CPU time per message as a
//! multiple of the limit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::measures::{self, Test};
use super::run::Results;
use super::show;

const PANELS: &[&str] = &[
    "echo",
    "recv-128",
    "send-128",
    "recv-1k",
    "send-1k",
    "recv-64k",
    "send-64k",
    "recv-8m",
    "game",
    "echo-tls",
    "recv-1k-tls",
    "send-1k-tls",
];
const COLUMNS: usize = 3;
const PANEL_WIDTH: f64 = 470.0;
const ROW: f64 = 15.0;
const HEAD: f64 = 34.0;
/// Start of the bars, and length of the longest.
const NAMES: f64 = 242.0;
const LONGEST: f64 = 140.0;
/// The end of the logarithmic scale.
const MOST_RATIO: f64 = 3000.0;

struct Row<'a> {
    client: &'a str,
    /// How it breaks the protocol.
    note: Option<&'a str>,
    cpu: f64,
    ratio: f64,
}

/// What the bars are compared with, and how the diagram calls it.
pub struct Base {
    pub client: &'static str,
    pub name: &'static str,
}

/// Returns `None` if no test was measured together with the base.
pub fn svg(results: &Results, base: &Base) -> Option<String> {
    let tests = measures::all();
    let faults = show::faults(results);
    let panels: Vec<(&Test, Vec<Row>)> = PANELS
        .iter()
        .filter_map(|name| {
            let test = tests.iter().find(|test| test.name == *name)?;
            Some((test, rows(results, &faults, name, base)?))
        })
        .collect();
    let most = panels.iter().map(|(_, rows)| rows.len()).max()?;
    let panel_height = HEAD + ROW * most as f64 + 14.0;
    let lines = panels.len().div_ceil(COLUMNS);
    let (width, height) = (PANEL_WIDTH * COLUMNS as f64 + 20.0, panel_height * lines as f64 + 60.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"22\" font-size=\"13\" fill=\"#333\">CPU a message, as a multiple of {} \
         (logarithmic; shorter is better)</text>\n",
        base.name
    );
    for (index, (test, rows)) in panels.iter().enumerate() {
        let x = 10.0 + PANEL_WIDTH * (index % COLUMNS) as f64;
        let y = 36.0 + panel_height * (index / COLUMNS) as f64;
        panel(&mut svg, x, y, test, rows, base);
    }
    let rows = panels.iter().flat_map(|(_, rows)| rows);
    let notes: BTreeSet<String> =
        rows.filter_map(|row| Some(format!("{}: {}", row.client, row.note?))).collect();
    if !notes.is_empty() {
        let notes: Vec<String> = notes.into_iter().collect();
        text(&mut svg, 16.0, height - 8.0, "start", "#333", false, &format!("* {}", notes.join("; ")));
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn rows<'a>(
    results: &'a Results,
    faults: &'a BTreeMap<&str, String>,
    test: &str,
    base: &Base,
) -> Option<Vec<Row<'a>>> {
    let clients = results.get(test)?;
    let limit = show::best_cpu(clients.get(base.client)?)?;
    let mut rows: Vec<Row> = clients
        .iter()
        .filter_map(|(client, runs)| {
            let cpu = show::best_cpu(runs)?;
            let note = show::note(client, faults);
            Some(Row { client, note, cpu, ratio: cpu / limit })
        })
        .collect();
    rows.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    Some(rows)
}

fn panel(svg: &mut String, x: f64, y: f64, test: &Test, rows: &[Row], base: &Base) {
    let title = if test.name == "game" { "100 connections, 60 Hz" } else { test.what };
    let title = if test.name == "echo-tls" { "128 B there and back over TLS" } else { title };
    text(svg, x + 6.0, y + 20.0, "start", "#111", true, title);
    for (index, row) in rows.iter().enumerate() {
        let top = y + HEAD + ROW * index as f64;
        let is_ours = row.client.starts_with(show::OURS);
        let fill = if row.client == base.client {
            "#9aa4ad"
        } else if is_ours {
            "#d6409f"
        } else {
            "#5b8def"
        };
        let length = (row.ratio.max(1.0).log10() / MOST_RATIO.log10() * LONGEST).max(2.0);
        let client = if row.client == base.client { base.name } else { row.client };
        let client = format!("{client}{}", if row.note.is_some() { "*" } else { "" });
        text(
            svg,
            x + NAMES - 6.0,
            top + 9.0,
            "end",
            if is_ours { "#b0207f" } else { "#333" },
            is_ours,
            &client,
        );
        let start = x + NAMES;
        let _ = writeln!(
            svg,
            "<rect x=\"{start:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"9\" rx=\"1.5\" fill=\"{fill}\"/>",
            top + 1.0
        );
        let label = format!("{:.1}× · {}", row.ratio, show::time(row.cpu));
        text(svg, start + length + 5.0, top + 9.0, "start", "#555", false, &label);
    }
}

pub fn text(svg: &mut String, x: f64, y: f64, anchor: &str, fill: &str, is_bold: bool, text: &str) {
    let weight = if is_bold { " font-weight=\"600\"" } else { "" };
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{fill}\"{weight}>{text}</text>"
    );
}
