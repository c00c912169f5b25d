//! `cargo xtask upm REMOTE`: commits the Unity package of `target/dist` to the branch `upm` of a Git repository, so that
//! Unity installs it by that repository's URL.
//!
//! ```text
//! https://…/framewire.git#upm          the newest release
//! https://…/framewire.git#upm/0.2.0    this one: a tag, which is never moved
//! ```
//!
//! The branch contains the package and no source. Each release is one commit on top of the last.

use std::path::Path;
use std::process::Command;

use crate::files;
use crate::install;
use crate::run::{Outcome, command, quietly, scratch};

const BRANCH: &str = "upm";

pub fn publish(remote: &str) -> Outcome {
    let version = install::package("version")?;
    let package = scratch("dist")?.join(format!("com.framewire.websocket-{version}.tgz"));
    if !package.exists() {
        return Err(format!("{} is missing: cargo xtask dist", package.display()));
    }
    publish_package(&package, &version, remote, &scratch("upm")?)
}

/// Commits the package, in a working folder that is emptied first.
fn publish_package(package: &Path, version: &str, remote: &str, work: &Path) -> Outcome {
    files::remove_folder(work)?;
    files::create_folder(work)?;
    let git = |arguments: &[&str]| quietly(git_in(work).args(arguments));
    git(&["init", "--quiet", "--initial-branch", BRANCH])?;
    git(&["remote", "add", "origin", remote])?;
    let tag = format!("{BRANCH}/{version}");
    let heads = git(&["ls-remote", "origin", BRANCH, &tag])?;
    if heads.contains(&format!("refs/tags/{tag}")) {
        return Err(format!("{remote} has the tag {tag} already; a release is not changed"));
    }
    let exists = heads.contains(&format!("refs/heads/{BRANCH}"));
    if exists {
        git(&["fetch", "--quiet", "--depth", "1", "origin", BRANCH])?;
        git(&["update-ref", &format!("refs/heads/{BRANCH}"), "FETCH_HEAD"])?;
    }
    quietly(command("tar").arg("-xzf").arg(package).args(["--strip-components", "1", "-C"]).arg(work))?;
    let manifest = files::text(work.join("package.json"))?;
    if !manifest.contains(&format!("\"version\": \"{version}\"")) {
        return Err(format!("{} is not a package of version {version}", package.display()));
    }
    // Libraries unchanged, whatever the settings of this machine are.
    files::write(work.join(".gitattributes"), "* -text\n")?;
    git(&["add", "--all", "--force"])?;
    git(&["commit", "--quiet", "--message", &format!("Framewire {version} for Unity")])?;
    git(&["tag", &tag])?;
    git(&["push", "--quiet", "--atomic", "origin", BRANCH, &tag])?;
    println!("{remote}#{tag}");
    Ok(())
}

/// Without the user's settings: hooks and line endings would change the commit.
fn git_in(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder);
    git.args(["-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false"]);
    git.args(["-c", "user.name=Framewire release", "-c", "user.email=release@framewire.invalid"]);
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_is_one_commit_with_a_tag_that_is_not_moved() {
        let base = scratch("upm-test").unwrap();
        files::remove_folder(&base).unwrap();
        let remote = base.join("remote.git");
        files::create_folder(&remote).unwrap();
        let bare = |arguments: &[&str]| quietly(git_in(&remote).args(arguments)).unwrap();
        bare(&["init", "--quiet", "--bare"]);
        let url = remote.to_string_lossy().into_owned();
        let release = |version: &str, files_in_package: &[&str]| {
            let package = base.join(version).join("package");
            let put = |file: &str, content: &[u8]| {
                files::create_folder(package.join(file).parent().unwrap()).unwrap();
                files::write(package.join(file), content).unwrap();
            };
            put("package.json", format!("{{ \"version\": \"{version}\" }}\n").as_bytes());
            files_in_package.iter().for_each(|file| put(file, &[0, 13, 10, 255]));
            let archive = base.join(format!("{version}.tgz"));
            let mut tar = command("tar");
            tar.arg("-czf").arg(&archive).arg("-C").arg(base.join(version)).arg("package");
            quietly(&mut tar).unwrap();
            publish_package(&archive, version, &url, &base.join("work"))
        };

        release("0.2.0", &["Runtime/Plugins/linux/lib.so", "Runtime/old.cs", "Samples~/a.cs"]).unwrap();
        release("0.2.1", &["Runtime/Plugins/linux/lib.so", "Samples~/a.cs"]).unwrap();
        assert_eq!(bare(&["rev-list", "--count", "upm"]).trim(), "2");
        let listed = bare(&["ls-tree", "-r", "--name-only", "upm/0.2.1"]);
        let names: Vec<&str> = listed.lines().collect();
        assert_eq!(
            names,
            [".gitattributes", "Runtime/Plugins/linux/lib.so", "Samples~/a.cs", "package.json"]
        );
        assert!(bare(&["ls-tree", "-r", "--name-only", "upm/0.2.0"]).contains("Runtime/old.cs"));
        // What Unity does with the URL.
        let clone = base.join("clone");
        quietly(command("git").args(["clone", "--quiet", "--branch", "upm/0.2.0", &url]).arg(&clone))
            .unwrap();
        let library = clone.join("Runtime/Plugins/linux/lib.so");
        assert_eq!(files::bytes(&library).unwrap(), [0, 13, 10, 255]);

        let before = bare(&["rev-parse", "upm"]);
        let problem = release("0.2.1", &[]).unwrap_err();
        assert!(problem.ends_with("has the tag upm/0.2.1 already; a release is not changed"), "{problem}");
        assert_eq!(bare(&["rev-parse", "upm"]), before);
        files::remove_folder(&base).unwrap();
    }
}
