//! A copy of the tree, for tools that write where they read, and for builds in another place.

use std::path::Path;

use crate::files;
use crate::run::{Outcome, command, quietly, root};

/// Copies what is, or would be, under version control, as it is now; `to` is emptied first.
pub fn of_the_tree(to: &Path) -> Outcome {
    let listed =
        quietly(command("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]))?;
    files::remove_folder(to)?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let (source, copy) = (root().join(name), to.join(name));
        // What was removed is listed until that is committed.
        if !source.is_file() {
            continue;
        }
        files::copy(&source, &copy)?;
    }
    Ok(())
}
