//! Reading and writing files, with errors that name the file. Relative paths begin at the project's folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Outcome, root};

fn named<T>(path: &Path, result: std::io::Result<T>) -> Outcome<T> {
    result.map_err(|error| format!("{}: {error}", path.display()))
}

pub fn text(path: impl AsRef<Path>) -> Outcome<String> {
    named(path.as_ref(), fs::read_to_string(root().join(&path)))
}

pub fn bytes(path: impl AsRef<Path>) -> Outcome<Vec<u8>> {
    named(path.as_ref(), fs::read(root().join(&path)))
}

pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Outcome {
    named(path.as_ref(), fs::write(root().join(&path), content))
}

/// Creates a folder and those above it.
pub fn create_folder(path: impl AsRef<Path>) -> Outcome {
    named(path.as_ref(), fs::create_dir_all(root().join(&path)))
}

/// Removes a folder, if it exists, with everything in it.
pub fn remove_folder(path: impl AsRef<Path>) -> Outcome {
    match fs::remove_dir_all(root().join(&path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => named(path.as_ref(), result),
    }
}

/// Copies a file and creates the folder it goes to. A program that has mapped the file that is replaced
/// keeps the old one.
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Outcome {
    let to = root().join(to);
    to.parent().map_or(Ok(()), create_folder)?;
    remove(&to)?;
    let copied = fs::copy(root().join(&from), &to).map(drop);
    copied.map_err(|error| format!("{} to {}: {error}", from.as_ref().display(), to.display()))
}

/// Removes a file, if it exists.
pub fn remove(path: impl AsRef<Path>) -> Outcome {
    match fs::remove_file(root().join(&path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => named(path.as_ref(), result),
    }
}

/// Returns the full paths of what a folder contains, sorted.
pub fn list(folder: impl AsRef<Path>) -> Outcome<Vec<PathBuf>> {
    let entries = named(folder.as_ref(), fs::read_dir(root().join(&folder)))?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = named(folder.as_ref(), paths)?;
    paths.sort();
    Ok(paths)
}

/// Returns the full paths of all files in a folder, or of the file itself, sorted by folder. Files and
/// folders whose name `is_left_out` are left out.
pub fn list_all(path: impl AsRef<Path>, is_left_out: impl Fn(&str) -> bool) -> Outcome<Vec<PathBuf>> {
    let (mut found, mut waiting) = (Vec::new(), vec![root().join(path)]);
    while let Some(path) = waiting.pop() {
        if is_left_out(&name(&path)) {
            continue;
        }
        if path.is_dir() { waiting.extend(list(&path)?.into_iter().rev()) } else { found.push(path) }
    }
    Ok(found)
}

/// Returns the last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns a path as it is written in the project: from its folder, with `/`.
pub fn in_project(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
