//! Copies the source tree, for tools that write next to the source and for builds in another folder.

use std::path::Path;

use crate::files;
use crate::run::{Outcome, command, quietly, root};

/// Copies tracked files and new ones that git does not ignore; `to` is emptied first.
pub fn of_the_tree(to: &Path) -> Outcome {
    let listed =
        quietly(command("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]))?;
    files::remove_folder(to)?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let (source, copy) = (root().join(name), to.join(name));
        // A removed file is listed until the removal is committed.
        if !source.is_file() {
            continue;
        }
        files::copy(&source, &copy)?;
    }
    Ok(())
}
