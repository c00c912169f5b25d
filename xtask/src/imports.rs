//! `cargo xtask map`: which module of the library imports which, compared with the table in ARCHITECTURE.md.

mod resolve;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use self::resolve::Edge;
use self::source::Module;
use crate::run::{Outcome, root};

const TABLE: &str = "ARCHITECTURE.md";
/// Begins the block of the table in that file.
const FENCE: &str = "```imports";

/// Prints the modules, from those that import least, and the circles.
pub fn map() -> Outcome {
    let (modules, table) = (read()?, Table::read()?);
    let edges = resolve::edges(&modules);
    let mut imports: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for module in &modules {
        imports.entry(table.row_of(&module.path)).or_default();
    }
    for edge in &edges {
        let [from, to] = [&path_of(&modules, &edge.from), &edge.module].map(|path| table.row_of(path));
        if from != to {
            *imports.entry(from).or_default().entry(to).or_default() += 1;
        }
    }
    let targets = imports.iter().map(|(row, to)| (row.clone(), to.keys().cloned().collect())).collect();
    for group in components(&targets) {
        for row in &group {
            let list: Vec<String> =
                imports[row].iter().map(|(to, count)| format!("{to} ({count})")).collect();
            println!("{row}: {}", list.join(", "));
        }
        if group.len() > 1 {
            println!("    ^ circle: {}", group.join(", "));
        }
    }
    let unused = table.unused(&imports);
    if !unused.is_empty() {
        println!("\nallowed but not used:\n{}", unused.join("\n"));
    }
    let circles = circles(&edges);
    println!("\n{} files, {} imports, {} circles", files(&modules).len(), edges.len(), circles.len());
    circles.iter().for_each(|circle| println!("{circle}"));
    Ok(())
}

/// Fails on an import that the table does not allow, and on a circle between files.
pub fn check() -> Outcome {
    let (modules, table) = (read()?, Table::read()?);
    let edges = resolve::edges(&modules);
    let mut faults = table.check();
    let known: BTreeSet<String> = modules.iter().map(|module| module.path.join("/")).collect();
    for row in table.rows.keys().filter(|row| *row != ROOT && !known.contains(*row)) {
        faults.push(format!("{TABLE}: there is no module {row}"));
    }
    for module in &modules {
        let row = table.row_of(&module.path);
        let needs_row =
            module.path.len() == 1 || table.has_rows_inside(&module.path[..module.path.len().max(1) - 1]);
        if !table.rows.contains_key(&row) || (needs_row && row != name_of(&module.path)) {
            faults.push(format!(
                "{}: {TABLE} has no row for the module {}",
                module.file,
                name_of(&module.path)
            ));
        }
    }
    for edge in &edges {
        let from = path_of(&modules, &edge.from);
        if !table.allows(&from, &edge.module) {
            let [from, to] = [&from, &edge.module].map(|path| table.row_of(path));
            let Edge { from: file, line, path, .. } = edge;
            faults.push(format!("{file}:{line}: {path}: {TABLE} does not allow {from} to import {to}"));
        }
    }
    faults.extend(circles(&edges));
    println!("{} files, {} imports", files(&modules).len(), edges.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn read() -> Outcome<Vec<Module>> {
    source::read(&|file| fs::read_to_string(root().join(file)).ok())
}

fn files(modules: &[Module]) -> BTreeSet<&str> {
    modules.iter().map(|module| module.file.as_str()).collect()
}

/// Returns the path of the module whose file this is.
fn path_of(modules: &[Module], file: &str) -> Vec<String> {
    modules.iter().find(|module| module.file == file).map(|module| module.path.clone()).unwrap_or_default()
}

/// The crate root in the table.
const ROOT: &str = "lib";

fn name_of(path: &[String]) -> String {
    if path.is_empty() { ROOT.into() } else { path.join("/") }
}

/// Rows `module: what it may import`, each in the order in which they may be built: a row names only rows
/// above it. A row for `a/b` adds to what the row for `a` allows.
struct Table {
    rows: BTreeMap<String, Vec<String>>,
    order: Vec<String>,
}

impl Table {
    fn read() -> Outcome<Self> {
        let text = fs::read_to_string(root().join(TABLE)).map_err(|error| format!("{TABLE}: {error}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Outcome<Self> {
        let block = text.split_once(FENCE).and_then(|(_, rest)| rest.split_once("```"));
        let (block, _) = block.ok_or_else(|| format!("{TABLE} has no block {FENCE}"))?;
        let (mut rows, mut order) = (BTreeMap::new(), Vec::new());
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, allowed) =
                line.split_once(':').ok_or_else(|| format!("{TABLE}: {line}: expected `module: imports`"))?;
            let allowed = allowed.split_whitespace().map(str::to_owned).collect();
            if rows.insert(name.to_owned(), allowed).is_some() {
                return Err(format!("{TABLE}: {name} has two rows"));
            }
            order.push(name.to_owned());
        }
        Ok(Self { rows, order })
    }

    /// Names that are not defined by a row above.
    fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (at, name) in self.order.iter().enumerate() {
            for allowed in self.rows[name].iter().filter(|allowed| !self.order[..at].contains(*allowed)) {
                faults.push(format!("{TABLE}: {name} names {allowed}, which has no row above it"));
            }
        }
        faults
    }

    fn has_rows_inside(&self, path: &[String]) -> bool {
        let inside = format!("{}/", path.join("/"));
        !path.is_empty() && self.rows.keys().any(|row| row.starts_with(&inside))
    }

    /// Returns the most specific row for a module; for a module without one, its outermost name.
    fn row_of(&self, path: &[String]) -> String {
        let rows = (1..=path.len()).rev().map(|length| path[..length].join("/"));
        rows.clone()
            .find(|row| self.rows.contains_key(row))
            .unwrap_or_else(|| path.first().cloned().unwrap_or_else(|| ROOT.into()))
    }

    fn allows(&self, from: &[String], to: &[String]) -> bool {
        let (row, target) = (self.row_of(from), self.row_of(to));
        let allowed =
            self.rows.iter().filter(|(name, _)| is_inside(&row, name)).flat_map(|(_, allowed)| allowed);
        row == target
            || allowed.into_iter().any(|allowed| {
                // A module inside `a` that may import `a` may not import everything inside it.
                if is_inside(&row, allowed) { *allowed == target } else { is_inside(&target, allowed) }
            })
    }

    fn unused(&self, imports: &BTreeMap<String, BTreeMap<String, usize>>) -> Vec<String> {
        let is_used = |row: &str, allowed: &str| {
            let rows = imports.iter().filter(|(from, _)| is_inside(from, row));
            rows.into_iter().any(|(_, to)| to.keys().any(|to| is_inside(to, allowed)))
        };
        let pairs =
            self.order.iter().flat_map(|row| self.rows[row].iter().map(move |allowed| (row, allowed)));
        pairs
            .filter(|(row, allowed)| !is_used(row, allowed))
            .map(|(row, allowed)| format!("{row}: {allowed}"))
            .collect()
    }
}

/// Whether `row` is `outer` or a module inside it.
fn is_inside(row: &str, outer: &str) -> bool {
    row.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Describes each group of files that import each other: its files, and a shortest circle in it.
fn circles(edges: &[Edge]) -> Vec<String> {
    let edges: Vec<&Edge> = edges.iter().filter(|edge| !edge.is_reexport).collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for edge in &edges {
        imports.entry(edge.from.clone()).or_default().insert(edge.to.clone());
        imports.entry(edge.to.clone()).or_default();
    }
    let groups = components(&imports).into_iter().filter(|group| group.len() > 1);
    groups
        .map(|group| {
            let circle = group.iter().filter_map(|file| shortest(&imports, file)).min_by_key(Vec::len);
            let circle = circle.unwrap_or_default();
            let steps = circle.iter().zip(circle.iter().cycle().skip(1)).filter_map(|(from, to)| {
                let edge = edges.iter().find(|edge| edge.from == *from && edge.to == *to)?;
                Some(format!("\n    {from}:{}: {} (in {to})", edge.line, edge.path))
            });
            let steps: String = steps.collect();
            format!("{} files import each other: {}; for example{steps}", group.len(), group.join(", "))
        })
        .collect()
}

/// Returns a shortest way from `file` back to itself.
fn shortest(imports: &BTreeMap<String, BTreeSet<String>>, file: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![file.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in &imports[way.last()?] {
                if next == file {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    let mut way = way.clone();
                    way.push(next.clone());
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

/// Groups the nodes of a graph that reach each other, each group after all that it points to.
fn components(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let mut reach: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for node in graph.keys() {
        let (mut seen, mut waiting) = (BTreeSet::from([node]), vec![node]);
        while let Some(next) = waiting.pop() {
            waiting.extend(graph[next].iter().filter(|to| seen.insert(*to)));
        }
        reach.insert(node, seen);
    }
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut nodes: Vec<&String> = graph.keys().collect();
    // What reaches less comes first: a node reaches all that those reach to which it points.
    nodes.sort_by_key(|node| (reach[node].len(), *node));
    for node in nodes {
        let same =
            |group: &&mut Vec<String>| reach[node].contains(&group[0]) && reach[&group[0]].contains(node);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(node.clone()),
            None => groups.push(vec![node.clone()]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> Vec<String> {
        name.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn table_allows_what_its_rows_list() {
        let table =
            Table::parse("x\n```imports\nlow:\nmid: low\nmid/a: mid\nmid/b: mid/a\ntop: mid\n```\n").unwrap();
        assert!(table.check().is_empty());
        let allows = |from: &str, to: &str| table.allows(&path(from), &path(to));
        assert!(allows("top", "mid/a") && allows("top/x", "mid") && allows("low/x", "low/y"));
        assert!(allows("mid/b/x", "low") && allows("mid/b", "mid/a/y") && allows("mid/a", "mid"));
        assert!(!allows("top", "low") && !allows("mid/a", "mid/b") && !allows("mid", "mid/a"));
        assert!(!allows("mid/b", "mid"), "only mid/a may");
    }

    #[test]
    fn table_may_only_name_rows_above() {
        let table = Table::parse("```imports\na: b\nb: c\n```").unwrap();
        assert_eq!(table.check().len(), 2);
        assert!(Table::parse("```imports\na:\na:\n```").is_err());
        assert!(Table::parse("no block").is_err());
    }

    #[test]
    fn circles_are_found_and_named_by_their_lines() {
        let edge = |from: &str, to: &str, is_reexport| Edge {
            from: from.into(),
            line: 3,
            path: format!("super::{to}"),
            to: to.into(),
            module: vec![to.into()],
            is_reexport,
        };
        let edges = [
            edge("a", "b", false),
            edge("b", "c", false),
            edge("c", "a", false),
            edge("c", "b", false),
            edge("d", "a", false),
            edge("a", "d", true),
        ];
        assert_eq!(
            circles(&edges),
            [
                "3 files import each other: a, b, c; for example\n    b:3: super::c (in c)\n    c:3: super::b (in b)"
            ]
        );
        assert!(circles(&edges[..2]).is_empty());
    }

    #[test]
    fn components_follow_their_dependencies() {
        let graph: BTreeMap<String, BTreeSet<String>> = [("a", "b c"), ("b", "c"), ("c", "b d"), ("d", "")]
            .into_iter()
            .map(|(from, to)| (from.to_owned(), to.split_whitespace().map(str::to_owned).collect()))
            .collect();
        assert_eq!(components(&graph), [vec!["d"], vec!["b", "c"], vec!["a"]]);
    }
}
