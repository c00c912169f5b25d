//! Clients in other languages: `bench unity` compares the Unity binding with `ClientWebSocket` in Mono and CoreCLR,
//! `bench c++` the C++ header with the C ABI.

use std::path::{Path, PathBuf};

use super::build::{self, Client};
use super::plot::Base;
use crate::c::{self, Build};
use crate::files;
use crate::python;
use crate::run::{Outcome, command, ensure, quietly, root, scratch};
use crate::unity;

/// Clients, and the reasons for those that cannot be built.
type Built = Outcome<(Vec<Client>, Vec<String>)>;

/// A comparison with its own clients and results.
pub struct Binding {
    /// Its name on the command line.
    word: &'static str,
    /// The file name of the results.
    pub results: &'static str,
    pub tests: &'static [&'static str],
    pub build: fn() -> Built,
    /// For the diagram.
    pub base: Base,
    /// The marker of its table in the manual.
    pub table: &'static str,
}

const TESTS: &[&str] = &["echo", "recv-128", "recv-1k", "send-128", "send-1k"];

const POLL: Base = Base { client: "framewire poll", name: "C, poll mode" };

const BINDINGS: &[Binding] = &[
    Binding {
        word: "unity",
        results: "results-unity.jsonl",
        tests: TESTS,
        build: managed,
        base: POLL,
        table: "speed-unity",
    },
    Binding {
        word: "c++",
        results: "results-cpp.jsonl",
        tests: TESTS,
        build: cpp,
        base: POLL,
        table: "speed-cpp",
    },
];

pub fn find(word: &str) -> Option<&'static Binding> {
    BINDINGS.iter().find(|binding| binding.word == word)
}

fn cpp() -> Built {
    build::for_counts()?;
    let (library, folder) = (c::library(Build::Release)?, scratch("bench")?);
    let (program, script) = (folder.join("framewire-cpp"), folder.join("bench.o"));
    quietly(build::cc(&script).arg("-c").arg(build::source("bench.c")))?;
    let mut compiler = command("g++");
    compiler.args(["-O2", "-std=c++17", "-Wall", "-Wextra", "-o"]).arg(&program);
    compiler.arg(build::source("framewire.cpp")).arg(script);
    compiler.arg(format!("-I{}", root().join("bindings/cpp/include").display()));
    let [include, found, path] = build::library_flags(&library);
    quietly(compiler.args([&include, &found, "-lframewire", "-lpthread", &path]))?;
    let cpp = |delivery: &str| Client::new(&format!("framewire c++ {delivery}"), &program, delivery);
    let clients = vec![Client::framewire("worker")?, cpp("worker"), Client::framewire("poll")?, cpp("poll")];
    Ok((clients, Vec::new()))
}

/// The variants of benches/unity/FramewireBench.cs.
const HANDLERS: &[&str] = &["no-alloc", "no-alloc-budget", "no-copy", "array"];

fn managed() -> Built {
    ensure("mcs", &["mono-mcs", "mono-runtime", "libmono-system-core4.0-cil"])?;
    build::for_counts()?;
    let folder = scratch("bench")?;
    let sources = unity::csharp(&["Runtime"])?;
    compile("FramewireBench", "benches/unity/FramewireBench.cs", &sources)?;
    compile("ClientWebSocketBench", "benches/peers/ClientWebSocketBench.cs", &[])?;

    let mut left_out = Vec::new();
    let mut runtimes = vec![Runtime { name: "Mono", program: "mono".into(), slowness: 50, openssl: None }];
    match core_clr() {
        Ok(runtime) => runtimes.push(runtime),
        Err(problem) => left_out.push(format!("CoreCLR: {problem}")),
    }
    let library = c::library(Build::Release)?;
    let mut clients = vec![Client::framewire("poll")?, Client::framewire("batch")?];
    for runtime in &runtimes {
        let framewire = folder.join("FramewireBench.exe");
        clients.extend(HANDLERS.iter().map(|handler| Client {
            variant: (*handler).into(),
            // All send in the same way.
            only: if *handler == HANDLERS[0] { &[] } else { &["recv"] },
            ..runtime.client(&format!("framewire {handler}"), &framewire, &library)
        }));
        let peer = runtime.client("ClientWebSocket", &folder.join("ClientWebSocketBench.exe"), &library);
        clients.push(Client { slowness: runtime.slowness, ..peer });
    }
    Ok((clients, left_out))
}

struct Runtime {
    name: &'static str,
    program: PathBuf,
    /// How many times as long as Framewire `ClientWebSocket` takes in it.
    slowness: u64,
    /// The folders of OpenSSL 1.1, which CoreCLR 3.1 needs for `ClientWebSocket`.
    openssl: Option<String>,
}

impl Runtime {
    fn client(&self, name: &str, program: &Path, library: &Path) -> Client {
        let mut libraries = library.display().to_string();
        if let Some(openssl) = &self.openssl {
            libraries += &format!(":{openssl}");
        }
        let client = Client::new(&format!("{name} ({})", self.name), program, "");
        Client {
            command: vec![self.program.display().to_string(), program.display().to_string()],
            environment: vec![
                ("LD_LIBRARY_PATH".into(), libraries),
                ("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT".into(), "1".into()),
            ],
            ..client
        }
    }
}

fn compile(name: &str, source: &str, more: &[PathBuf]) -> Outcome {
    let folder = scratch("bench")?;
    let mut mcs = command("mcs");
    mcs.args(["-unsafe", "-langversion:7.2", "-optimize+"]);
    mcs.arg(format!("-out:{}", folder.join(format!("{name}.exe")).display()));
    quietly(mcs.arg(root().join(source)).args(more))?;
    files::write(folder.join(format!("{name}.runtimeconfig.json")), RUNTIME_CONFIG)
}

/// Without tiered compilation, whose second tier a short run on one core does not reach.
const RUNTIME_CONFIG: &str = r#"{"runtimeOptions":{"tfm":"netcoreapp3.1","framework":{"name":"Microsoft.NETCore.App","version":"3.1.0"},"configProperties":{"System.Runtime.TieredCompilation":false}}}"#;

fn core_clr() -> Outcome<Runtime> {
    let program = unity::core_clr()?;
    Ok(Runtime { name: "CoreCLR", program, slowness: 5, openssl: Some(openssl()?) })
}

/// The folders of OpenSSL 1.1, from a Python package that contains it.
pub fn openssl() -> Outcome<String> {
    let python = python::environment("openssl-1.1", &["psycopg2-binary==2.9.5"])?;
    let find = "import psycopg2, os; print(os.path.dirname(psycopg2.__file__) + '/../psycopg2_binary.libs')";
    let bundled = PathBuf::from(quietly(command(python.join("bin/python")).args(["-c", find]))?.trim());
    let links = scratch("bench/openssl")?;
    for library in files::list(&bundled)? {
        let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Their names contain a hash: libssl-3a880ada.so.1.1.
        for plain in ["libssl", "libcrypto"] {
            if name.starts_with(&format!("{plain}-")) {
                quietly(command("ln").arg("-sf").arg(&library).arg(links.join(format!("{plain}.so.1.1"))))?;
            }
        }
    }
    Ok(format!("{}:{}", links.display(), bundled.display()))
}
