//! Builds the server and the clients.

use std::path::{Path, PathBuf};

use super::measures::{Kind, Test};
use crate::c::{self, Build};
use crate::files;
use crate::run::{Outcome, cargo, command, ensure, has, may_install, quietly, root, run, scratch};

/// A library in one configuration.
#[derive(Clone, Default)]
pub struct Client {
    /// The name in the tables.
    pub name: String,
    pub command: Vec<String>,
    pub variant: String,
    pub environment: Vec<(String, String)>,
    /// Divides the number of streamed messages, so that all clients take about the same time.
    pub(super) slowness: u64,
    /// Name prefixes of the tests that it runs in; empty for all.
    pub(super) only: &'static [&'static str],
}

impl Client {
    pub(super) fn new(name: &str, program: &Path, variant: &str) -> Self {
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

    /// Creates a client of Framewire with this delivery mode.
    pub fn framewire(delivery: &str) -> Outcome<Self> {
        let program = scratch("bench")?.join("framewire");
        Ok(Self::new(&format!("framewire {delivery}"), &program, delivery))
    }

    /// Returns the number of messages in a test.
    pub fn scaled(&self, test: &Test, count: u64) -> u64 {
        match test.kind {
            Kind::Throughput | Kind::Allocations => (count / self.slowness).max(2),
            _ => count,
        }
    }

    pub fn can(&self, test: &Test) -> bool {
        // The preloaded counter does not see managed heaps.
        let is_managed = self.name.ends_with(')');
        if is_managed && test.kind == Kind::Allocations || self.name.ends_with("(Mono)") && test.tls {
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

/// Builds only the server.
pub fn server() -> Outcome {
    compile("server.c", "server", &["-lssl", "-lcrypto"])
}

/// What counts in another engine need.
pub fn for_counts_elsewhere() -> Outcome {
    server()?;
    preloaded()
}

/// What the calls need.
pub fn for_calls() -> Outcome {
    let library = c::library(Build::Release)?;
    let [include, folder, found] = library_flags(&library);
    for program in ["calls", "every_call"] {
        compile(&format!("{program}.c"), program, &[&include, &folder, "-lframewire", &found])?;
    }
    compile("load.c", "load", &["-ldl"])
}

/// What the measurement of many connections needs.
pub fn for_scale() -> Outcome {
    let library = c::library(Build::Release)?;
    let [include, folder, found] = library_flags(&library);
    compile("server.c", "server", &["-lssl", "-lcrypto"])?;
    compile("scale.c", "scale", &[&include, &folder, "-lframewire", &found])
}

/// Builds the clients; returns those that cannot be built with the reasons.
pub fn build() -> Outcome<(Vec<Client>, Vec<String>)> {
    for_counts()?;
    compile_with_script("raw", &["-lssl", "-lcrypto"])?;
    let mut clients = vec![
        Client::new("raw", &scratch("bench")?.join("raw"), ""),
        Client::framewire("worker")?,
        Client::framewire("poll")?,
        Client::framewire("pull")?,
        Client::framewire("captured")?.only(&["echo", "game", "heap-", "recv-", "send-"]),
        Client::framewire("cold")?.only(&["connect-tls"]),
    ];
    let mut left_out = Vec::new();
    for peer in PEERS_IN_C {
        match peer.build() {
            Ok(client) => clients.push(client),
            Err(problem) => left_out.push(format!("{}: {problem}", peer.name)),
        }
    }
    for (name, peer) in [("ws", node_peer()), ("ClientWebSocket", mono_peer())] {
        match peer {
            Ok(client) => clients.push(client),
            Err(problem) => left_out.push(format!("{name}: {problem}")),
        }
    }
    match rust_peers() {
        Ok(peers) => clients.extend(peers),
        Err(problem) => left_out.push(format!("the peers in Rust: {problem}")),
    }
    Ok((clients, left_out))
}

pub(super) fn cc(output: &Path) -> std::process::Command {
    let mut cc = command("cc");
    cc.args(["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o"]).arg(output);
    cc
}

pub(super) fn source(name: &str) -> PathBuf {
    root().join("benches/c").join(name)
}

fn compile(from: &str, to: &str, libraries: &[&str]) -> Outcome {
    quietly(cc(&scratch("bench")?.join(to)).arg(source(from)).args(libraries))
        .map(drop)
        .map_err(|problem| format!("{problem}\n(OpenSSL's headers are in the package libssl-dev)"))
}

/// Compiles a client in C with `bench.c`, which contains the tests.
fn compile_with_script(name: &str, libraries: &[&str]) -> Outcome {
    let mut cc = cc(&scratch("bench")?.join(name));
    cc.arg(source(&format!("{name}.c"))).arg(source("bench.c")).args(libraries);
    quietly(&mut cc).map(drop)
}

fn framewire(library: &Path) -> Outcome {
    let [include, folder, found] = library_flags(library);
    compile_with_script("framewire", &[&include, &folder, "-lframewire", &found])
}

pub(super) fn library_flags(library: &Path) -> [String; 3] {
    [
        format!("-I{}", root().join("include").display()),
        format!("-L{}", library.display()),
        format!("-Wl,--disable-new-dtags,-rpath,{}", library.display()),
    ]
}

/// Compiles the preloaded library that counts allocations.
fn preloaded() -> Outcome {
    let mut cc = cc(&scratch("bench")?.join("alloc_count.so"));
    quietly(cc.args(["-shared", "-fPIC"]).arg(source("alloc_count.c"))).map(drop)
}

struct PeerInC {
    name: &'static str,
    source: &'static str,
    package: &'static str,
    header: &'static str,
    libraries: &'static [&'static str],
    /// See [`Client::slowness`].
    slowness: u64,
}

const PEERS_IN_C: &[PeerInC] = &[
    PeerInC {
        name: "libwebsockets",
        source: "libwebsockets.c",
        package: "libwebsockets-dev",
        header: "libwebsockets.h",
        libraries: &["-lwebsockets", "-lssl", "-lcrypto"],
        slowness: 10,
    },
    PeerInC {
        name: "Boost.Beast",
        source: "beast.cpp",
        package: "libboost-dev",
        header: "boost/beast.hpp",
        libraries: &["-lssl", "-lcrypto", "-lpthread"],
        slowness: 4,
    },
    PeerInC {
        name: "websocketpp",
        source: "websocketpp.cpp",
        package: "libwebsocketpp-dev",
        header: "websocketpp/client.hpp",
        libraries: &["-lssl", "-lcrypto", "-lpthread"],
        slowness: 20,
    },
    PeerInC {
        name: "wslay",
        source: "wslay.c",
        package: "libwslay-dev",
        header: "wslay/wslay.h",
        libraries: &["-lwslay", "-lssl", "-lcrypto"],
        slowness: 5,
    },
];

impl PeerInC {
    fn build(&self) -> Outcome<Client> {
        let header = Path::new("/usr/include").join(self.header);
        if !header.exists() {
            may_install(self.name, &format!("apt-get install {}", self.package))?;
            let mut install = command("apt-get");
            install.args(["install", "-y", "-q", "--no-install-recommends", self.package]);
            quietly(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
        }
        let folder = scratch("bench")?;
        let (program, script) = (folder.join(self.name), folder.join("bench.o"));
        quietly(cc(&script).arg("-c").arg(source("bench.c")))?;
        let from = root().join("benches/peers").join(self.source);
        let mut compiler = if self.source.ends_with("cpp") {
            let mut compiler = command("g++");
            compiler.args(["-O2", "-std=c++17", "-DBOOST_ASIO_DISABLE_CONCEPTS", "-o"]).arg(&program);
            compiler
        } else {
            cc(&program)
        };
        quietly(compiler.arg(from).arg(script).args(self.libraries))?;
        Ok(Client { slowness: self.slowness, ..Client::new(self.name, &program, "") })
    }
}

fn node_peer() -> Outcome<Client> {
    if !has("node") || !has("npm") {
        return Err("node or npm is missing".into());
    }
    let folder = scratch("bench-node")?;
    if !folder.join("node_modules/ws").exists() {
        may_install("ws", &format!("npm install --prefix {} ws@8", folder.display()))?;
        let mut install = command("npm");
        install.args(["install", "--silent", "--no-audit", "--no-fund", "ws@8"]);
        quietly(install.current_dir(&folder))?;
    }
    let script = folder.join("ws.mjs");
    files::copy(root().join("benches/peers/ws.mjs"), &script)?;
    let client = Client { slowness: 5, ..Client::new("ws (Node)", Path::new("node"), "") };
    Ok(Client { command: vec!["node".into(), script.display().to_string()], ..client })
}

/// Without TLS, for which Mono would need the certificate authority, and without many connections.
const OF_MONO: &[&str] = &["echo", "recv-1", "recv-6", "send-1", "send-6", "connect"];

fn mono_peer() -> Outcome<Client> {
    ensure("mcs", &["mono-mcs", "mono-runtime", "libmono-system-core4.0-cil"])?;
    let program = scratch("bench")?.join("ClientWebSocketBench.exe");
    let out = format!("-out:{}", program.display());
    let from = root().join("benches/peers/ClientWebSocketBench.cs");
    quietly(command("mcs").args(["-optimize+", &out]).arg(from))?;
    let client = Client { slowness: 50, ..Client::new("ClientWebSocket (Mono)", Path::new("mono"), "") };
    Ok(Client { command: vec!["mono".into(), program.display().to_string()], only: OF_MONO, ..client })
}

/// Without many connections: the crate builds curl to wait with `select`, which cannot handle descriptors from 1,024 on.
const OF_CURL: &[&str] = &["echo", "recv", "send", "game", "connect", "heap"];

fn rust_peers() -> Outcome<Vec<Client>> {
    let target = scratch("bench-rust")?;
    let manifest = root().join("benches/rust/Cargo.toml");
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--manifest-path"]).arg(manifest);
    run(build.arg("--target-dir").arg(&target))?;
    let program = |name: &str| target.join("release").join(name);
    let peer = |name: &str, variant: &str| Client::new(name, &program(name), variant);
    let batched = |name: &str| Client { name: format!("{name} batched"), ..peer(name, "batched") };
    let resumed = Client { name: "tungstenite resumed".into(), ..peer("tungstenite", "resumed") };
    let one_by_one = |name: &str| Client { slowness: 3, ..peer(name, "") };
    Ok(vec![
        one_by_one("tungstenite"),
        batched("tungstenite").only(&["send"]),
        resumed.only(&["connect-tls"]),
        one_by_one("tokio-tungstenite"),
        batched("tokio-tungstenite").only(&["send"]),
        one_by_one("fastwebsockets"),
        one_by_one("tokio-websockets"),
        batched("tokio-websockets").only(&["send"]),
        one_by_one("sockudo-ws"),
        batched("sockudo-ws").only(&["send"]),
        Client { slowness: 10, ..peer("curl", "") }.only(OF_CURL),
    ])
}

/// Creates a certificate for localhost, and returns the file of its authority.
pub fn certificates() -> Outcome<PathBuf> {
    let folder = scratch("bench")?;
    let ca = folder.join("ca.pem");
    if folder.join("cert.pem").exists() {
        return Ok(ca);
    }
    let extensions = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n";
    files::write(folder.join("extensions"), extensions)?;
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
