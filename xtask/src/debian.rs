//! Debian packages that are unpacked into a folder instead of installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::files;
use crate::run::{Outcome, has, quietly};

/// An apt with its own state in a folder: to it nothing is installed, and it changes nothing else.
pub struct Apt {
    folder: PathBuf,
    options: &'static [&'static str],
}

impl Apt {
    /// `sources` is the content of a `.sources` file, without its keys.
    pub fn new(folder: &Path, sources: &[String], options: &'static [&'static str]) -> Outcome<Self> {
        if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") || !has("apt-get") {
            return Err("this needs Debian on x86-64".into());
        }
        for part in ["etc/preferences.d", "sources.d", "state/lists/partial", "cache/archives/partial"] {
            files::create_folder(folder.join(part))?;
        }
        files::write(folder.join("status"), "")?;
        let key = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n";
        let sources: String =
            sources.iter().map(|source| format!("Types: deb\n{source}Components: main\n{key}")).collect();
        files::write(folder.join("sources.d/debian.sources"), sources)?;
        let apt = Self { folder: folder.to_owned(), options };
        apt.get(&["update"])?;
        Ok(apt)
    }

    pub fn get(&self, arguments: &[&str]) -> Outcome<String> {
        self.run("apt-get", arguments)
    }

    pub fn cache(&self, arguments: &[&str]) -> Outcome<String> {
        self.run("apt-cache", arguments)
    }

    /// Returns the names of packages and of all that they need: nothing counts as installed.
    pub fn with_dependencies(&self, packages: &[&str]) -> Outcome<Vec<String>> {
        let uris = self.get(&[&["-y", "--print-uris", "install"], packages].concat())?;
        let name = |line: &str| Some(line.split(' ').nth(1)?.split('_').next()?.to_owned());
        Ok(uris.lines().filter(|line| line.starts_with('\'')).filter_map(name).collect())
    }

    /// Downloads packages, unpacks them into `root` and removes the state.
    pub fn unpack(self, packages: &[&str], root: &Path) -> Outcome {
        self.get(&[&["download"], packages].concat())?;
        files::create_folder(root)?;
        for package in files::list(self.downloads())? {
            if package.extension().is_some_and(|extension| extension == "deb") {
                unpack(&package, root)?;
            }
        }
        files::remove_folder(&self.folder)
    }

    fn downloads(&self) -> PathBuf {
        self.folder.join("cache/archives")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Outcome<String> {
        let mut apt = Command::new(program);
        apt.current_dir(self.downloads()).arg("-q");
        for (option, place) in [
            ("Dir::Etc", "etc"),
            ("Dir::Etc::sourceparts", "sources.d"),
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
        ] {
            apt.arg("-o").arg(format!("{option}={}", self.folder.join(place).display()));
        }
        let options = [
            "Dir::Etc::sourcelist=/dev/null",
            "Debug::NoLocking=1",
            "APT::Sandbox::User=root",
            "APT::Architectures::=amd64",
            "APT::Install-Recommends=false",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::Retries=3",
        ];
        for option in options.iter().chain(self.options) {
            apt.args(["-o", option]);
        }
        quietly(apt.args(arguments))
    }
}

/// Returns the archives of this machine's apt, each with its suite.
pub fn archives() -> Outcome<Vec<(String, String)>> {
    let format = ["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"];
    let known = quietly(Command::new("apt-get").args(format))?;
    let mut archives: Vec<(String, String)> = known
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(archive, suite)| (archive.to_owned(), suite.to_owned()))
        .collect();
    archives.sort_unstable();
    archives.dedup();
    Ok(archives)
}

/// Returns the main archive of this machine's apt.
pub fn archive() -> Outcome<String> {
    let archives = archives()?.into_iter();
    archives
        .map(|(archive, _)| archive.trim_end_matches('/').to_owned())
        .find(|archive| archive.ends_with("/debian"))
        .ok_or_else(|| "apt knows no Debian archive; run `apt-get update` first".to_owned())
}

/// Unpacks the files of a package into `root`, without its documentation and translations.
fn unpack(package: &Path, root: &Path) -> Outcome {
    let mut data = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("dpkg-deb: {error}"))?;
    let tar = data.stdout.take().ok_or("dpkg-deb has no output")?;
    let mut extract = Command::new("tar");
    extract.args(["-x", "--keep-directory-symlink"]);
    extract.args(["--exclude=./usr/share/doc", "--exclude=./usr/share/locale", "-C"]).arg(root);
    quietly(extract.stdin(tar))?;
    let status = data.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("{} cannot be unpacked", package.display())) }
}
