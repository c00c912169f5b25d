//! The manual: `cargo xtask docs` builds it as a site; two steps of `cargo xtask test` check it.
//!
//! ```text
//! docs/SUMMARY.md  the chapters: pages of docs and other files of the repository
//! docs/book.toml   the settings of mdBook
//! target/docs/source   what mdBook reads: the chapters, the files that they link to, and the references
//! target/docs/site     what it writes
//! ```

mod c_header;
mod chromium;
mod csharp;
mod godot;
mod links;
mod markdown;
mod site;

use crate::run::{Outcome, ensure};
use crate::schedule::{Problem, Tested};

/// `cargo xtask docs`.
pub fn main() -> Outcome {
    let site = site::build()?;
    println!("{}", site.join("index.html").display());
    Ok(())
}

/// Fails if a link or an anchor of any Markdown file, or of the site, does not exist.
pub fn check_links() -> Tested {
    links::check_sources()?;
    site::ensure_tool().map_err(Problem::Missing)?;
    Ok(links::check_site(&site::build()?)?)
}

/// Opens every page in Chromium.
pub fn check_in_chromium() -> Tested {
    site::ensure_tool().map_err(Problem::Missing)?;
    ensure("chromium", &["chromium"]).map_err(Problem::Missing)?;
    Ok(chromium::check(&site::build()?)?)
}

/// A page that is generated from a source, and is not in the repository.
pub struct Page {
    /// The path in the book, such as `reference/csharp.md`.
    pub path: String,
    pub title: &'static str,
    pub text: String,
}
