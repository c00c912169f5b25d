//! Building the server and all clients that can be built here.

use std::path::{Path, PathBuf};

use crate::bench_tests::{Kind, Test};
use crate::c::{self, Build};
use crate::run::{Outcome, cargo, command, quietly, root, run, scratch};

/// One way of using one library.
#[derive(Clone, Default)]
pub struct Client {
    /// As it is shown.
    pub name: String,
    pub command: Vec<String>,
    pub variant: String,
    pub environment: Vec<(String, String)>,
    /// Is given so many times fewer messages, to end in the same time.
    slowness: u64,
    /// The only tests it makes sense in; all, if there are none.
    only: &'static [&'static str],
}

impl Client {
    fn new(name: &str, program: &Path, variant: &str) -> Self {
        Self {
            name: name.to_owned(),
            command: vec![program.display().to_string()],
            variant: variant.to_owned(),
            slowness: 1,
            ..Self::default()
        }
    }

    fn only(mut self, only: &'static [&'static str]) -> Self {
        self.only = only;
        self
    }

    /// Framewire, with its events delivered in one of three ways.
    pub fn framewire(delivery: &str) -> Outcome<Self> {
        let program = scratch("bench")?.join("framewire");
        Ok(Self::new(&format!("framewire {delivery}"), &program, delivery))
    }

    pub fn scaled(&self, count: u64) -> u64 {
        (count / self.slowness).max(2)
    }

    pub fn can(&self, test: &Test) -> bool {
        if self.name == "raw" && test.kind == Kind::Memory && test.tls {
            return false;
        }
        self.only.is_empty() || self.only.iter().any(|start| test.name.starts_with(start))
    }
}

/// What the counts need.
pub fn for_counts() -> Outcome {
    let library = c::library(Build::Release)?;
    compile("server.c", "server", &["-lssl", "-lcrypto"])?;
    framewire(&library)?;
    preloaded()
}

/// The clients, and what is left out and why.
pub fn build() -> Outcome<(Vec<Client>, Vec<String>)> {
    for_counts()?;
    compile_with_script("raw", &["-lssl", "-lcrypto"])?;
    let mut clients = vec![
        Client::new("raw", &scratch("bench")?.join("raw"), ""),
        Client::framewire("worker")?,
        Client::framewire("poll")?,
        Client::framewire("pull")?,
    ];
    let mut left_out = Vec::new();
    match rust_peers() {
        Ok(peers) => clients.extend(peers),
        Err(problem) => left_out.push(format!("the peers in Rust: {problem}")),
    }
    Ok((clients, left_out))
}

fn cc(output: &Path) -> std::process::Command {
    let mut cc = command("cc");
    cc.args(["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o"]).arg(output);
    cc
}

fn source(name: &str) -> PathBuf {
    root().join("benches/c").join(name)
}

fn compile(from: &str, to: &str, libraries: &[&str]) -> Outcome {
    quietly(cc(&scratch("bench")?.join(to)).arg(source(from)).args(libraries))
        .map(drop)
        .map_err(|problem| format!("{problem}\n(OpenSSL's headers are in the package libssl-dev)"))
}

/// A client in C with the script that all follow.
fn compile_with_script(name: &str, libraries: &[&str]) -> Outcome {
    let mut cc = cc(&scratch("bench")?.join(name));
    cc.arg(source(&format!("{name}.c"))).arg(source("bench.c")).args(libraries);
    quietly(&mut cc).map(drop)
}

fn framewire(library: &Path) -> Outcome {
    let include = format!("-I{}", root().join("include").display());
    let folder = format!("-L{}", library.display());
    let found = format!("-Wl,--disable-new-dtags,-rpath,{}", library.display());
    compile_with_script("framewire", &[&include, &folder, "-lframewire", &found])
}

/// Counts allocations.
fn preloaded() -> Outcome {
    let mut cc = cc(&scratch("bench")?.join("alloc_count.so"));
    quietly(cc.args(["-shared", "-fPIC"]).arg(source("alloc_count.c"))).map(drop)
}

fn rust_peers() -> Outcome<Vec<Client>> {
    let target = scratch("bench-rust")?;
    let manifest = root().join("benches/rust/Cargo.toml");
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--manifest-path"]).arg(manifest);
    run(build.arg("--target-dir").arg(&target))?;
    let program = |name: &str| target.join("release").join(name);
    Ok(vec![
        Client::new("tungstenite", &program("tungstenite"), ""),
        Client::new("tungstenite batched", &program("tungstenite"), "batched").only(&["send"]),
        Client::new("tungstenite resumed", &program("tungstenite"), "resumed").only(&["connect-tls"]),
    ])
}

/// An authority and a certificate for localhost; the authority's file.
pub fn certificates() -> Outcome<PathBuf> {
    let folder = scratch("bench")?;
    let ca = folder.join("ca.pem");
    if folder.join("cert.pem").exists() {
        return Ok(ca);
    }
    let extensions = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n";
    std::fs::write(folder.join("extensions"), extensions).map_err(|error| error.to_string())?;
    for line in [
        "ecparam -genkey -name prime256v1 -noout -out ca.key",
        "req -x509 -new -key ca.key -subj /CN=Bench -days 3650 -out ca.pem",
        "ecparam -genkey -name prime256v1 -noout -out key.pem",
        "req -new -key key.pem -subj /CN=localhost -out request.pem",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
         -extfile extensions -out cert.pem",
    ] {
        quietly(command("openssl").args(line.split_whitespace()).current_dir(&folder))?;
    }
    Ok(ca)
}
