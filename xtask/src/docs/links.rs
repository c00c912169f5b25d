//! Checks that what links point to exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::markdown::{self, Piece};
use crate::files;
use crate::run::{Outcome, root};

/// Build output, and the packages of other tools.
const LEFT_OUT: &[&str] = &["target", ".git", ".godot", "node_modules"];

pub fn is_external(target: &str) -> bool {
    ["http://", "https://", "mailto:", "data:"].iter().any(|scheme| target.starts_with(scheme))
}

/// The folder of a file, without a slash at the end.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Returns a path from the root for one that is relative to a folder.
pub fn resolved(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            // A path above the root begins with `..`, and does not exist.
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Checks every relative link of every Markdown file of the repository.
pub fn check_sources() -> Outcome {
    let mut files = files::list_all("", |name| LEFT_OUT.contains(&name))?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "md"));
    let mut anchors = BTreeMap::new();
    let (mut links, mut faults) = (0, Vec::new());
    for file in &files {
        let (text, name) = (files::text(file)?, files::in_project(file));
        for piece in markdown::pieces(&text) {
            let Piece::Link(range) = piece else { continue };
            let target = &text[range.clone()];
            if is_external(target) {
                continue;
            }
            links += 1;
            if let Err(fault) = check(&name, target, &mut anchors)? {
                let line = text[..range.start].matches('\n').count() + 1;
                faults.push(format!("{name}:{line}: {target}: {fault}"));
            }
        }
    }
    println!("{} files, {links} relative links", files.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Anchors of the files that were looked at.
type Anchors = BTreeMap<String, BTreeSet<String>>;

fn check(from: &str, target: &str, known: &mut Anchors) -> Outcome<Result<(), &'static str>> {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { from.to_owned() } else { resolved(folder(from), &decoded(path)) };
    if !root().join(&path).exists() {
        return Ok(Err("no such file"));
    }
    let Some(anchor) = anchor else { return Ok(Ok(())) };
    if !path.ends_with(".md") {
        return Ok(Err("an anchor in a file that is not Markdown"));
    }
    if !known.contains_key(&path) {
        known.insert(path.clone(), markdown::anchors(&files::text(&path)?).into_iter().collect());
    }
    let exists = known.get(&path).is_some_and(|anchors| anchors.contains(anchor));
    Ok(if exists { Ok(()) } else { Err("no such anchor") })
}

/// Checks every relative link of every page of the site.
pub fn check_site(site: &Path) -> Outcome {
    let mut pages = BTreeMap::new();
    for file in files::list_all(site, |_| false)? {
        // The page for a missing file has links from the root of a server.
        if file.extension().is_some_and(|kind| kind == "html") && files::name(&file) != "404.html" {
            let name = file.strip_prefix(site).unwrap_or(&file).to_string_lossy().replace('\\', "/");
            pages.insert(name, files::text(&file)?);
        }
    }
    let ids: Anchors = pages
        .iter()
        .map(|(name, html)| (name.clone(), attributes(html, "id").map(|id| decoded(&id)).collect()))
        .collect();
    let (mut links, mut faults) = (0, BTreeSet::new());
    for (name, html) in &pages {
        for target in attributes(html, "href").chain(attributes(html, "src")) {
            if is_external(&target) {
                continue;
            }
            links += 1;
            let (path, anchor) =
                target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let path = match decoded(path.split('?').next().unwrap_or_default()).as_str() {
                "" => name.clone(),
                path => resolved(folder(name), path),
            };
            if !site.join(&path).is_file() {
                faults.insert(format!("{name}: {target}: no such file"));
            } else if let Some(anchor) = anchor.filter(|anchor| !anchor.is_empty())
                && !ids.get(&path).is_some_and(|ids| ids.contains(&decoded(anchor)))
            {
                faults.insert(format!("{name}: {target}: no such anchor"));
            }
        }
    }
    println!("{} pages, {links} relative links", pages.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.into_iter().collect::<Vec<_>>().join("\n")) }
}

/// The values of an attribute.
fn attributes(html: &str, name: &str) -> impl Iterator<Item = String> {
    let begin = format!(" {name}=\"");
    let mut values = Vec::new();
    for part in html.split(&begin).skip(1) {
        if let Some(value) = part.split('"').next() {
            values.push(value.replace("&amp;", "&").replace("&lt;", "<").replace("&#x27;", "'"));
        }
    }
    values.into_iter()
}

/// Decodes `%20` and other escapes.
fn decoded(path: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_resolved() {
        assert_eq!(resolved("docs/a", "../../b/c.md"), "b/c.md");
        assert_eq!(resolved("", "./a.md"), "a.md");
        assert_eq!(resolved("docs", "../../a.md"), "../a.md");
        assert_eq!(folder("a/b.md"), "a");
        assert_eq!(folder("b.md"), "");
    }

    #[test]
    fn missing_files_and_anchors_are_found() {
        let mut known = Anchors::new();
        let mut fault = |target| check("docs/lanes.md", target, &mut known).unwrap();
        assert_eq!(fault("../README.md"), Ok(()));
        assert_eq!(fault("#simulated-links"), Ok(()));
        assert_eq!(fault("missing.md"), Err("no such file"));
        assert_eq!(fault("lanes.md#missing"), Err("no such anchor"));
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(decoded("a%20b%7e"), "a b~");
        assert_eq!(decoded("100%"), "100%");
    }
}
