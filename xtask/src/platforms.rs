//! Writes the tables of `docs/platforms.md` from recorded results.
//!
//! `dist`, `cross-test`, `check-platforms` and `profiles` record their results under
//! `target/platforms`; `cargo xtask platforms` writes them into the tables.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::check_platforms;
use crate::dist::targets::{Library, TARGETS, Target};
use crate::files;
use crate::run::{Outcome, root, scratch};

/// The result of a command for a target.
pub struct Fact {
    /// A short summary: "built", or what failed.
    pub verdict: String,
    /// The C compiler and linker, with their version.
    pub built_by: Option<String>,
    /// What was compared in the file.
    pub inspected: Option<String>,
    /// Size of the stripped shared library, in bytes; for iOS, of the static one.
    pub size: Option<u64>,
    pub archive_size: Option<u64>,
    /// Runtime dependencies.
    pub needs: Option<String>,
}

impl Fact {
    pub fn only(verdict: &str) -> Self {
        Self {
            verdict: verdict.into(),
            built_by: None,
            inspected: None,
            size: None,
            archive_size: None,
            needs: None,
        }
    }
}

/// Size and speed of the library with one set of build settings.
pub struct Profile {
    pub settings: String,
    pub size: u64,
    pub nanoseconds: Vec<f64>,
}

/// Records a fact under the name of its command and target.
pub fn record(name: &str, fact: &Fact) -> Outcome {
    let value = serde_json::json!({
        "verdict": fact.verdict,
        "built_by": fact.built_by,
        "inspected": fact.inspected,
        "size": fact.size,
        "archive_size": fact.archive_size,
        "needs": fact.needs,
    });
    keep(name, &value)
}

pub fn record_profiles(profiles: &[Profile]) -> Outcome {
    let values = profiles.iter().map(|profile| {
        serde_json::json!({
            "settings": profile.settings,
            "size": profile.size,
            "nanoseconds": profile.nanoseconds,
        })
    });
    keep("profiles", &Value::Array(values.collect()))
}

/// Writes the tables between their markers.
pub fn write() -> Outcome {
    replace("docs/platforms.md", "targets", &targets()?)?;
    if let Some(profiles) = recall("profiles")? {
        replace("docs/platforms.md", "profiles", &profile_table(&profiles))?;
    }
    Ok(())
}

fn targets() -> Outcome<String> {
    let mut table = "| target | file | built by | inspected | run | size | runtime dependencies |\n\
                     | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for target in TARGETS {
        let built = recall(&format!("dist {}", target.triple))?;
        let word = |key: &str| built.as_ref().and_then(|fact| fact[key].as_str()).unwrap_or("?").to_owned();
        let number =
            |key: &str| built.as_ref().and_then(|fact| fact[key].as_u64()).map_or("?".into(), megabytes);
        table += &format!(
            "| `{}` | `{}` | {} | {} | {} | {} | {} |\n",
            target.triple,
            target.library_name(Library::C),
            if built.is_some() { word("built_by") } else { "not built yet".into() },
            word("inspected"),
            run_here(target)?,
            number("size"),
            word("needs"),
        );
    }
    for triple in check_platforms::TRIPLES {
        let checked = recall(&format!("check-platforms {triple}"))?;
        let verdict = match checked.as_ref().and_then(|fact| fact["verdict"].as_str()) {
            Some("checked") => "type-checked only (`cargo check`)",
            Some(_) => "`cargo check` fails",
            None => "not checked yet",
        };
        table += &format!("| `{triple}` | none | {verdict} | | not run | | |\n");
    }
    Ok(table)
}

/// What ran the library on this machine.
fn run_here(target: &Target) -> Outcome<String> {
    let fact = recall(&format!("cross-test {}", target.triple))?;
    Ok(fact.as_ref().and_then(|fact| fact["verdict"].as_str()).unwrap_or("not run").to_owned())
}

fn profile_table(profiles: &Value) -> String {
    let mut table = "| opt-level | opt-level, other crates | LTO | panic | stripped size | CPU, 128 B echo | CPU, 64 KiB echo |\n\
                     | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for profile in profiles.as_array().into_iter().flatten() {
        let settings = profile["settings"].as_str().unwrap_or_default().replace(' ', " | ");
        let size = profile["size"].as_u64().map_or("?".into(), megabytes);
        table += &format!("| {settings} | {size} |");
        for nanoseconds in profile["nanoseconds"].as_array().into_iter().flatten() {
            table += &format!(" {:.2} µs |", nanoseconds.as_f64().unwrap_or_default() / 1000.0);
        }
        table.push('\n');
    }
    table
}

pub fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// Puts `table` between `<!-- name -->` and `<!-- /name -->`.
pub fn replace(file: &str, name: &str, table: &str) -> Outcome {
    let text = files::text(file)?;
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&begin).ok_or_else(|| format!("{file} has no {begin}"))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| format!("{file} has no {end}"))?;
    files::write(root().join(file), format!("{before}{begin}\n{table}\n{end}{after}"))
}

fn keep(name: &str, value: &Value) -> Outcome {
    let file = file(name)?;
    files::write(&file, format!("{value:#}\n"))
}

/// Reads a recorded result; `None` if the command has not run.
fn recall(name: &str) -> Outcome<Option<Value>> {
    let Ok(text) = fs::read_to_string(file(name)?) else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| format!("{name}: {error}"))
}

fn file(name: &str) -> Outcome<PathBuf> {
    Ok(scratch("platforms")?.join(format!("{}.json", name.replace(' ', "-"))))
}
