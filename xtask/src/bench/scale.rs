//! `cargo xtask bench scale`: measures one process with up to 50,000 connections, and writes the table and the diagram
//! of docs/scale.md. `--show` writes them from the last results.

use std::fmt::Write;

use super::build;
use super::plot::text;
use super::run::{CLIENT_CORE, Server, number, pinned};
use super::show::{bytes, thousands, time};
use crate::files;
use crate::platforms;
use crate::run::{Outcome, quietly, scratch};

const CONNECTIONS: &[u32] = &[1, 100, 1000, 10_000, 50_000];
/// The length of each phase.
const SECONDS: &str = "5";
const PAGE: &str = "docs/scale.md";
const DIAGRAM: &str = "docs/images/scale.svg";

pub fn run(arguments: &[&str]) -> Outcome {
    let results = scratch("bench")?.join("scale.jsonl");
    match arguments {
        [] => files::write(&results, measure()?)?,
        ["--show"] => {}
        _ => return Err("usage: cargo xtask bench scale [--show]".into()),
    }
    let lines = files::text(&results)?;
    let lines: Vec<&str> = lines.lines().collect();
    let table = table(&lines)?;
    println!("{table}");
    platforms::replace(PAGE, "scale", &table)?;
    files::write(DIAGRAM, svg(&lines))
}

fn measure() -> Outcome<String> {
    build::for_scale()?;
    let server = Server::start()?;
    let port = server.ws.rsplit(':').next().ok_or("the server has no port")?;
    let mut lines = String::new();
    for connections in CONNECTIONS {
        let mut client = pinned(CLIENT_CORE);
        client.arg(scratch("bench")?.join("scale")).args([port, &connections.to_string(), SECONDS]);
        let line = quietly(&mut client)?;
        let line = line.lines().last().ok_or("the client printed nothing")?;
        println!("{line}");
        let _ = writeln!(lines, "{line}");
    }
    Ok(lines)
}

fn of(line: &str, field: &str) -> f64 {
    number(line, field).unwrap_or(f64::NAN)
}

/// CPU time per second of a phase.
fn cpu_per_second(line: &str, phase: &str) -> f64 {
    of(line, &format!("{phase}_cpu_ns")) / of(line, &format!("{phase}_wall_ns")) * 1e9
}

/// The name of this machine's processor.
fn processor() -> Outcome<String> {
    let facts = files::text("/proc/cpuinfo")?;
    let name = facts.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(name.map_or("unknown", |(_, name)| name).to_owned())
}

fn table(lines: &[&str]) -> Outcome<String> {
    let mut table = format!("Processor: {}.\n\n", processor()?);
    table += "| connections | heap each | resident each | after messages | connects/s | CPU per connect | \
                     idle: CPU/s, wake-ups/s | 1 message/s each: CPU/s | per message | 1 ping/s each: CPU/s | per ping |\n\
                     | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for line in lines {
        let count = of(line, "connections");
        let each = |field: &str| bytes(of(line, field) / count);
        let connects = thousands(count / of(line, "connect_wall_ns") * 1e9);
        // The time of a single connection is not a rate.
        let connects = if count > 1.0 { connects } else { "–".into() };
        let wakes = of(line, "idle_switches") / of(line, "idle_wall_ns") * 1e9;
        let stopped = if of(line, "wanted") > count { " (descriptor limit)" } else { "" };
        let _ = writeln!(
            table,
            "| {}{stopped} | {} | {} | {} | {} | {} | {}, {wakes:.1} | {} | {} | {} | {} |",
            thousands(count),
            each("heap"),
            each("resident"),
            each("resident_used"),
            connects,
            time(of(line, "connect_cpu_ns") / count),
            time(cpu_per_second(line, "idle")),
            time(cpu_per_second(line, "message")),
            time(of(line, "message_cpu_ns") / of(line, "messages")),
            time(cpu_per_second(line, "ping")),
            time(of(line, "ping_cpu_ns") / of(line, "pings")),
        );
    }
    Ok(table)
}

/// A panel of the diagram: what is drawn over the number of connections.
struct Panel {
    title: &'static str,
    value: fn(&str) -> f64,
    label: fn(f64) -> String,
}

const PANELS: &[Panel] = &[
    Panel { title: "heap", value: |line| of(line, "heap"), label: megabytes },
    Panel { title: "resident memory", value: |line| of(line, "resident"), label: megabytes },
    Panel { title: "CPU to connect all", value: |line| of(line, "connect_cpu_ns"), label: time },
    Panel { title: "CPU per second, idle", value: |line| cpu_per_second(line, "idle"), label: time },
    Panel {
        title: "CPU per second, 1 message/s each",
        value: |line| cpu_per_second(line, "message"),
        label: time,
    },
    Panel { title: "CPU per second, 1 ping/s each", value: |line| cpu_per_second(line, "ping"), label: time },
];

fn megabytes(count: f64) -> String {
    if count < 1e6 { format!("{:.0} kB", count / 1e3) } else { format!("{:.1} MB", count / 1e6) }
}

const COLUMNS: usize = 3;
const PANEL: (f64, f64) = (320.0, 220.0);
/// The area with the curve, in a panel.
const AREA: (f64, f64, f64, f64) = (20.0, 36.0, 250.0, 150.0);
/// Points closer to the next one have no label.
const LABEL_WIDTH: f64 = 40.0;
/// A line of proportional growth begins here: with fewer connections, fixed costs dominate.
const PROPORTIONAL_FROM: f64 = 100.0;

/// Both axes are logarithmic. The dashed line is proportional to the number of connections.
fn svg(lines: &[&str]) -> String {
    let rows = PANELS.len().div_ceil(COLUMNS);
    let (width, height) = (PANEL.0 * COLUMNS as f64 + 20.0, PANEL.1 * rows as f64 + 44.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#fff\"/>\n"
    );
    let title = "One process, by number of connections (both axes logarithmic; dashed: proportional growth)";
    text(&mut svg, 16.0, 24.0, "start", "#333", true, title);
    for (index, panel) in PANELS.iter().enumerate() {
        let left = 10.0 + PANEL.0 * (index % COLUMNS) as f64;
        let top = 36.0 + PANEL.1 * (index / COLUMNS) as f64;
        draw(&mut svg, (left, top), panel, lines);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, (left, top): (f64, f64), panel: &Panel, lines: &[&str]) {
    let points: Vec<(f64, f64)> =
        lines.iter().map(|line| (of(line, "connections"), (panel.value)(line).max(1.0))).collect();
    let most = points.iter().fold(1.0_f64, |most, (count, _)| most.max(*count));
    // Six decades of values fit, measured down from the largest value or the end of the dashed line.
    let from = points.iter().find(|(count, _)| *count >= PROPORTIONAL_FROM);
    let end = from.map_or(1.0, |(count, value)| value / count * most);
    let highest = points.iter().fold(end, |highest, (_, value)| highest.max(*value)).log10();
    let (x, y, width, height) = (left + AREA.0, top + AREA.1, AREA.2, AREA.3);
    let place = |(count, value): (f64, f64)| {
        let across = count.log10() / most.log10().max(1.0);
        let down = ((highest - value.log10()) / 6.0).min(1.0);
        (x + across * width, y + down * height)
    };
    text(svg, x, top + 20.0, "start", "#111", true, panel.title);
    let _ =
        writeln!(svg, "<path d=\"M{x:.1} {y:.1}v{height:.1}h{width:.1}\" fill=\"none\" stroke=\"#9aa4ad\"/>");
    if let Some(from) = from {
        let ((x1, y1), (x2, y2)) = (place(*from), place((most, end)));
        let _ = writeln!(
            svg,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#5b8def\" \
             stroke-dasharray=\"4 3\"/>"
        );
    }
    let path: Vec<String> =
        points.iter().map(|point| place(*point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#d6409f\" stroke-width=\"2\"/>",
        path.join(" ")
    );
    for (index, (count, value)) in points.iter().enumerate() {
        let (at, up) = place((*count, *value));
        let _ = writeln!(svg, "<circle cx=\"{at:.1}\" cy=\"{up:.1}\" r=\"3\" fill=\"#d6409f\"/>");
        let next = points.get(index + 1).map_or(f64::INFINITY, |next| place(*next).0);
        if next - at > LABEL_WIDTH {
            text(svg, at + 4.0, up + 14.0, "start", "#555", false, &(panel.label)(*value));
            text(svg, at, y + height + 14.0, "middle", "#333", false, &thousands(*count));
        }
    }
}
