//! Tests the Unity package in Mono, in Mono with the Boehm collector and in CoreCLR, and builds the package.
//!
//! `mcs` compiles it as C# 7.2, the oldest version that the package supports. It compiles the programs twice: for Mono,
//! and for CoreCLR with that runtime's own assemblies, as `mscorlib` there has no `ValueTask`.

pub mod branch;
pub mod compare;
pub mod meta;
mod wasm;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c::{self, Build};
use crate::dist;
use crate::files;
use crate::python;
use crate::run::{Echo, Outcome, command, ensure, quietly, root, run, scratch, shared_library};
use crate::web;

pub use wasm::check_linked as check_linked_for_browsers;

/// Installs the compiler and the runtimes, or returns what is missing.
pub fn tools() -> Outcome {
    ensure("mcs", &["mono-mcs", "mono-runtime"])?;
    ensure("mono-boehm", &["mono-runtime-boehm"])
}

/// The message of a rare crash inside Mono while a domain unloads on a busy machine, with no frame of the package
/// on the stack. Such a run is repeated once.
const RUNTIME_ABORT: &str = "mono_coop_mutex_lock Cannot transition thread";

/// Runs all tests of the package that do not need Unity.
pub fn test(echo: &Echo) -> Outcome {
    let bench = Bench::prepare()?;
    meta::check(&source())?;
    bench.lint()?;
    bench.compiles_for_every_platform()?;
    match ensure("emcc", &["emscripten"]) {
        Ok(()) => wasm::check_declarations()?,
        Err(problem) => println!("the declarations are not checked for WebAssembly: {problem}"),
    }
    let mut faults = Vec::new();
    for runtime in &bench.runtimes {
        println!("{} missing", runtime.name);
        faults.extend(bench.without_library(runtime).err());
        for (program, arguments) in PROGRAMS {
            // CoreCLR has no AppDomains to unload.
            if runtime.is_core && *program == "domain" && arguments.is_empty() {
                continue;
            }
            println!("{} {program} {}", runtime.name, arguments.join(" "));
            let attempt = || run(bench.start(runtime, program, echo).args(*arguments));
            let outcome = attempt().or_else(|problem| match problem.contains(RUNTIME_ABORT) {
                true => {
                    println!("Mono crashed ({RUNTIME_ABORT}); running it again");
                    attempt()
                }
                false => Err(problem),
            });
            if let Err(problem) = outcome {
                faults.push(problem);
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Builds the package in `target/package`, with the library for this machine, and returns its folder.
pub fn package(for_browsers: bool) -> Outcome<PathBuf> {
    let library = c::library(Build::Release)?;
    let package = scratch("package")?.join("com.framewire.websocket");
    let library = library.join(shared_library("framewire"));
    let here = meta::PLUGINS.iter().filter(|plugin| plugin.path.contains(HERE));
    let mut libraries: BTreeMap<String, PathBuf> =
        here.map(|plugin| (plugin.path.to_owned(), library.clone())).collect();
    if for_browsers {
        libraries.extend(of_browsers(&web::build()?));
    }
    lay_out(&package, &libraries, &[])?;
    Ok(package)
}

/// Returns the files for browsers by their paths in the package.
pub fn of_browsers(built: &Path) -> [(String, PathBuf); 2] {
    [(meta::WEB_LIBRARY, web::LIBRARY), (meta::WEB_SCRIPT, web::SCRIPT_NAME)]
        .map(|(path, name)| (path.to_owned(), built.join(name)))
}

/// Builds the package with these libraries, by their paths in it, and the licences of their dependencies on these
/// targets, or on this machine if there are none.
pub fn lay_out(package: &Path, libraries: &BTreeMap<String, PathBuf>, targets: &[&str]) -> Outcome {
    files::remove_folder(package)?;
    copy_folder(&source(), package)?;
    for plugin in meta::PLUGINS {
        if let Some(library) = libraries.get(plugin.path) {
            files::copy(library, package.join(plugin.path))?;
        } else {
            // Unity warns about a .meta file without its file.
            files::remove(package.join(format!("{}.meta", plugin.path)))?;
            if let Some(folder) = Path::new(plugin.path).parent() {
                files::remove_folder(package.join(folder))?;
                files::remove(package.join(format!("{}.meta", folder.display())))?;
            }
        }
    }
    if let Some(place) = libraries.keys().find(|place| !package.join(place).exists()) {
        return Err(format!("the package has no path {place}"));
    }
    licences(&package.join("LICENSE.md"))?;
    notices(&package.join("Third Party Notices.md"), targets)?;
    meta::check_laid_out(package)?;
    check_version(package)
}

/// Writes missing `.meta` files.
pub fn write_metas() -> Outcome {
    let written = meta::write_missing(&source())?;
    println!("{written} written");
    meta::check(&source())
}

/// The plugin folder of this machine.
const HERE: &str = if cfg!(target_os = "windows") {
    "windows-x86_64"
} else if cfg!(target_os = "macos") {
    "macos"
} else {
    "linux-x86_64"
};

const PROGRAMS: &[(&str, &[&str])] =
    &[("tests", &[]), ("editor", &[]), ("player", &[]), ("domain", &[]), ("domain", &["exit"])];

fn source() -> PathBuf {
    root().join("bindings/unity")
}

struct Runtime {
    name: &'static str,
    program: PathBuf,
    is_core: bool,
    /// With the programs that are compiled for it.
    folder: PathBuf,
}

/// The compiled programs, next to the library, and the runtimes.
struct Bench {
    folder: PathBuf,
    runtimes: Vec<Runtime>,
}

impl Bench {
    /// Compiles the programs.
    fn prepare() -> Outcome<Self> {
        let bench = Self::runtimes("unity")?;
        compile_programs(&bench.folder, &[])?;
        for runtime in bench.runtimes.iter().filter(|runtime| runtime.is_core) {
            compile_programs(&runtime.folder, &core_references(&runtime.program)?)?;
        }
        Ok(bench)
    }

    /// The runtimes, and the library in a folder of the step.
    fn runtimes(step: &str) -> Outcome<Self> {
        let library = c::library(Build::Release)?;
        let folder = scratch(step)?;
        files::copy(library.join("libframewire.so"), folder.join("libframewire.so"))?;
        let mut runtimes = vec![
            Runtime { name: "mono", program: "mono".into(), is_core: false, folder: folder.clone() },
            Runtime {
                name: "mono-boehm",
                program: "mono-boehm".into(),
                is_core: false,
                folder: folder.clone(),
            },
        ];
        match core_clr() {
            Ok(program) => {
                let folder = scratch(&format!("{step}/core"))?;
                runtimes.push(Runtime { name: "CoreCLR", program, is_core: true, folder });
            }
            Err(problem) => println!("CoreCLR is skipped: {problem}"),
        }
        Ok(Self { folder, runtimes })
    }

    /// Runs a program that uses the package where the library is not.
    fn without_library(&self, runtime: &Runtime) -> Outcome {
        let folder = scratch("unity/without-library")?;
        let runtime_files = csharp(&["Runtime", "Tests~/Missing"])?;
        mcs(&folder, "missing.exe", &[], &runtime_files)?;
        files::write(folder.join("missing.runtimeconfig.json"), RUNTIME_CONFIG)?;
        let mut program = Command::new("timeout");
        program.current_dir(&folder).arg("120").arg(&runtime.program).arg("missing.exe");
        run(program.env_remove("LD_LIBRARY_PATH").env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1"))
    }

    /// Checks the binding against the header and the rules of IL2CPP, and the lint itself with known errors.
    fn lint(&self) -> Outcome {
        self.mcs("Framewire.dll", &["-target:library", STANDARD_2_1], &csharp(&["Runtime"])?)?;
        self.mcs(
            "Planted.dll",
            &["-target:library", "-nowarn:649,169"],
            &csharp(&["Tests~/Lint/Planted.cs"])?,
        )?;
        self.mcs("lint.exe", &[], &csharp(&["Tests~/Lint/Lint.cs"])?)?;
        run(Command::new("mono")
            .current_dir(&self.folder)
            .arg("lint.exe")
            .arg(root().join("include/framewire.h"))
            .args(["Framewire.dll", "Planted.dll"]))
    }

    /// Compiles the package and its samples with the defines of each Unity platform.
    fn compiles_for_every_platform(&self) -> Outcome {
        let all =
            csharp(&["Runtime", "Editor", "Compatibility", "Samples~", "Tests~/Nakama", "Tests~/TaskTypes"])?;
        for defines in [
            "UNITY_EDITOR;UNITY_2019_4_OR_NEWER",
            "UNITY_EDITOR;UNITY_2021_2_OR_NEWER;UNITY_2023_1_OR_NEWER",
            "UNITY_EDITOR;UNITY_IOS;UNITY_2021_2_OR_NEWER",
            "UNITY_STANDALONE",
            "UNITY_ANDROID;UNITY_2021_2_OR_NEWER",
            "UNITY_ANDROID;UNITY_2021_2_OR_NEWER;UNITY_2022_2_OR_NEWER",
            "UNITY_IOS",
            "UNITY_WEBGL;UNITY_2022_3_OR_NEWER",
            "UNITY_EDITOR;UNITY_WEBGL",
        ] {
            let define = format!("-define:UNITY_5_3_OR_NEWER;{defines}");
            self.mcs("platform.dll", &["-target:library", &define, "-r:UnityEngine.dll"], &all)?;
        }
        // Assemblies of their own, with the internal members that they may use.
        let define = "-define:UNITY_5_3_OR_NEWER;UNITY_EDITOR;ENABLE_PROFILER";
        let options = ["-target:library", define, "-r:UnityEngine.dll", "-r:Framewire.dll"];
        for folder in ["Editor", "Profiler"] {
            self.mcs(&format!("Framewire.{folder}.dll"), &options, &csharp(&[folder])?)?;
        }
        Ok(())
    }

    fn mcs(&self, out: &str, options: &[&str], sources: &[PathBuf]) -> Outcome {
        mcs(&self.folder, out, options, sources)
    }

    fn start(&self, runtime: &Runtime, program: &str, echo: &Echo) -> Command {
        let mut start = Command::new("timeout");
        start
            .current_dir(&runtime.folder)
            .arg("120")
            .arg(&runtime.program)
            .arg(format!("{program}.exe"))
            .env("LD_LIBRARY_PATH", &self.folder)
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
            .env("FRAMEWIRE_WS_URL", &echo.ws)
            .env("FRAMEWIRE_WSS_URL", &echo.wss)
            .env("FRAMEWIRE_XOR_URL", &echo.xor)
            .env("FRAMEWIRE_CA", &echo.ca);
        start
    }
}

/// Compiles the programs, for Mono or with the assemblies of CoreCLR.
fn compile_programs(folder: &Path, references: &[String]) -> Outcome {
    let runtime = csharp(&["Runtime"])?;
    let with = |more: &[&str]| -> Outcome<Vec<PathBuf>> { Ok([runtime.clone(), csharp(more)?].concat()) };
    let compile = |out: &str, options: &[&str], sources: &[PathBuf]| {
        let references = references.iter().map(String::as_str);
        mcs(folder, out, &references.chain(options.iter().copied()).collect::<Vec<_>>(), sources)
    };
    compile("tests.exe", &[STANDARD_2_1], &with(&["Tests/Runtime", "Tests~/Shim"])?)?;
    let domain = with(&["Tests/Runtime/Support.cs", "Tests~/Shim", "Tests~/Domain"])?;
    compile("domain.exe", &["-main:Program", STANDARD_2_1], &domain)?;
    compile("UnityEngine.dll", &["-target:library"], &csharp(&["Tests~/Stubs"])?)?;
    let old_life = with(&[
        "Editor",
        "Compatibility",
        "Tests/Runtime/Support.cs",
        "Tests~/Nakama",
        "Tests~/Shim",
        "Tests~/Snippets",
        "Tests~/Unity",
    ])?;
    let life = csharp(&["UniTask", "Profiler/ProfilerCounters.cs", "Tests~/TaskTypes"])?;
    let life = [old_life.clone(), life].concat();
    // The editor is Unity 6, the player an old Unity, in which nothing can be awaited.
    let new = "UNITY_EDITOR;UNITY_2021_2_OR_NEWER;UNITY_2023_1_OR_NEWER;ENABLE_PROFILER";
    for (program, defines, sources) in
        [("editor.exe", new, &life), ("player.exe", "UNITY_STANDALONE", &old_life)]
    {
        let define = format!("-define:UNITY_5_3_OR_NEWER;{defines}");
        compile(program, &[&define, "-r:UnityEngine.dll"], sources)?;
    }
    for program in ["tests", "domain", "editor", "player"] {
        let config = folder.join(format!("{program}.runtimeconfig.json"));
        files::write(&config, RUNTIME_CONFIG)?;
    }
    Ok(())
}

/// Compiles the package as a library for code of its users, with stubs of Unity and of the packages it has adapters for.
pub fn compile_for_users(folder: &Path) -> Outcome {
    mcs(folder, "UnityEngine.dll", &["-target:library"], &csharp(&["Tests~/Stubs"])?)?;
    let parts = [
        "Runtime",
        "Editor",
        "Compatibility",
        "UniTask",
        "Profiler/ProfilerCounters.cs",
        "Tests~/Nakama",
        "Tests~/TaskTypes",
    ];
    let define =
        "-define:UNITY_5_3_OR_NEWER;UNITY_EDITOR;UNITY_2021_2_OR_NEWER;UNITY_2023_1_OR_NEWER;ENABLE_PROFILER";
    mcs(folder, "Framewire.dll", &["-target:library", define, "-r:UnityEngine.dll"], &csharp(&parts)?)
}

/// Outside of Unity, this define says that .NET Standard 2.1 is there.
pub const STANDARD_2_1: &str = "-define:FRAMEWIRE_NETSTANDARD_2_1";

/// Returns the options with which `mcs` compiles for CoreCLR.
fn core_references(dotnet: &Path) -> Outcome<Vec<String>> {
    let shared = dotnet.parent().ok_or("dotnet has no folder")?.join("shared/Microsoft.NETCore.App");
    let mut options: Vec<String> = ["-nostdlib", "-noconfig", "-nowarn:1702"].map(str::to_owned).into();
    for version in files::list(&shared)? {
        for path in files::list(&version)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_managed = name.starts_with("System.") || name.starts_with("Microsoft.Win32.");
            // WindowsRuntime refers to types of Windows.
            if is_managed && name.ends_with(".dll") && !name.contains("WindowsRuntime") {
                options.push(format!("-r:{}", path.display()));
            }
        }
    }
    Ok(options)
}

/// Compiles with warnings as errors.
pub fn mcs(folder: &Path, out: &str, options: &[&str], sources: &[PathBuf]) -> Outcome {
    let mut mcs = Command::new("mcs");
    mcs.current_dir(folder)
        .args(["-unsafe", "-langversion:7.2", "-optimize+", "-warn:4", "-warnaserror"])
        .arg(format!("-out:{out}"))
        .args(options)
        .args(sources);
    quietly(&mut mcs).map(drop)
}

/// .NET Core 3.1 from the Python package that contains it.
pub fn core_clr() -> Outcome<PathBuf> {
    let python = python::environment("dotnetcore2", &["dotnetcore2==3.1.23"])?.join("bin/python");
    let find =
        "import dotnetcore2, os; print(os.path.join(os.path.dirname(dotnetcore2.__file__), 'bin/dotnet'))";
    let program = PathBuf::from(quietly(command(python).args(["-c", find]))?.trim());
    quietly(command("chmod").arg("+x").arg(&program))?;
    Ok(program)
}

const RUNTIME_CONFIG: &str = r#"{"runtimeOptions":{"tfm":"netcoreapp3.1","framework":{"name":"Microsoft.NETCore.App","version":"3.1.0"}}}"#;

/// Returns C# files: those in these folders of the package, or the files themselves.
pub fn csharp(paths: &[&str]) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        found.extend(files::list_all(source().join(path), |_| false)?);
    }
    found.retain(|path| path.extension() == Some(OsStr::new("cs")));
    found.sort();
    Ok(found)
}

/// Copies a folder without hidden files and the tests that do not run in Unity.
fn copy_folder(from: &Path, to: &Path) -> Outcome {
    files::create_folder(to)?;
    for path in files::list(from)? {
        let name = path.file_name().unwrap_or_default().to_owned();
        if name == "Tests~" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            copy_folder(&path, &to.join(name))?;
        } else {
            files::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Appends the licences of the project.
pub fn licences(file: &Path) -> Outcome {
    let mut text = files::text(file)?;
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let body = files::text(name)?;
        text += &format!("\n## {name}\n\n```\n{}\n```\n", body.trim_end());
    }
    files::write(file, text)
}

/// Writes the notices of the package, with the packages in the library and their licences.
pub fn notices(file: &Path, targets: &[&str]) -> Outcome {
    let text = files::text("bindings/unity/Third Party Notices.md")?;
    let licences = dist::licences::of(&root(), targets)?.text();
    files::write(file, format!("{text}\n{licences}"))
}

fn check_version(package: &Path) -> Outcome {
    let manifest = files::text(package.join("package.json"))?;
    let crate_manifest = files::text("Cargo.toml")?;
    let version = crate_manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .ok_or("Cargo.toml has no version")?;
    if manifest.contains(&format!("\"version\": {version}")) {
        return Ok(());
    }
    Err(format!("package.json does not have the version of the library, {version}"))
}
