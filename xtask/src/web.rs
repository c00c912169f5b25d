//! The library for browsers: built for emscripten, and tested in Node and Chromium.

mod emscripten;
pub mod package;

pub use emscripten::{Emscripten, NODE_MODULES};

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::abi;
use crate::dist::{self, tools};
use crate::files;
use crate::install;
use crate::run::{
    DEVELOPMENT, Outcome, build_unless_built, cargo, command, ensure, has, quietly, root, run, scratch,
};
use crate::schedule::{Problem, Tested};
use crate::unity;

pub const TARGET: &str = "wasm32-unknown-emscripten";
pub const LIBRARY: &str = "libframewire.a";
pub const SCRIPT_NAME: &str = "framewire.jslib";
const SCRIPT: &str = "bindings/web/framewire.jslib";

/// For browsers of any age, without what WebAssembly has got since, and for every version of emscripten: the
/// standard library is built with the same flags.
const FLAGS: &str = "-Ctarget-cpu=mvp";

/// Builds the library and puts it, with its script and header, into `target/web/framewire`.
pub fn build() -> Outcome<PathBuf> {
    let rustc = tools::rustc()?;
    let builds = scratch("web/build")?;
    let mut build = cargo();
    build
        .args(["rustc", "--quiet", "--release", "--package", "framewire", "--lib", "--target", TARGET])
        // TLS and HTTP/2 are the browser's.
        .args(["--no-default-features", "--features", "capi", "--crate-type", "staticlib"])
        .args([
            "-Z",
            "build-std=std,panic_abort",
            "-Z",
            "build-std-features=optimize_for_size",
            "--target-dir",
        ])
        .arg(&builds)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", rustc)
        .env("RUSTFLAGS", FLAGS)
        // There is no unwinding with these flags, and no message passes through code that speed matters for.
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s");
    run(&mut build)?;
    let folder = scratch("web/framewire")?;
    let library = builds.join(TARGET).join("release").join(LIBRARY);
    needs_nothing_that_differs(&library)?;
    files::copy(library, folder.join(LIBRARY))?;
    files::copy(SCRIPT, folder.join(SCRIPT_NAME))?;
    files::copy("include/framewire.h", folder.join("framewire.h"))?;
    Ok(folder)
}

/// Writes what the release archive contains besides its texts: headers, library, script, pkg-config and CMake files.
pub fn lay_out(built: &Path, folder: &Path) -> Outcome {
    install::headers(folder)?;
    for file in [LIBRARY, SCRIPT_NAME] {
        files::copy(built.join(file), folder.join("lib").join(file))?;
    }
    install::write_for_browsers(folder, dist::PREFIX)
}

/// Functions of C with structs whose layout is not the same in all versions of emscripten.
const DIFFERENT: &[&str] =
    &["clock_gettime", "clock_getres", "fstat", "stat64", "utimensat", "pthread_cond_timedwait"];

/// Fails if the library calls one of them: it would work with some versions only.
fn needs_nothing_that_differs(library: &Path) -> Outcome {
    let bytes = files::bytes(library)?;
    let called: Vec<&str> = DIFFERENT
        .iter()
        .copied()
        .filter(|name| bytes.windows(name.len()).any(|window| window == name.as_bytes()))
        .collect();
    if called.is_empty() {
        Ok(())
    } else {
        Err(format!("{}: calls {}", library.display(), called.join(", ")))
    }
}

/// `cargo xtask web`.
pub fn main() -> Outcome {
    let folder = build()?;
    println!("{}", folder.display());
    Ok(())
}

const MANUAL: &str = "docs/browser.md";
const TABLE: [&str; 2] = ["<!-- functions -->\n", "<!-- /functions -->"];

/// `cargo xtask web table`: writes the table of functions that differ in browsers.
pub fn write_table() -> Outcome {
    files::write(MANUAL, with_table(&files::text(MANUAL)?)?)
}

/// Fails unless the table is what the header says.
pub fn check_table() -> Outcome {
    let manual = files::text(MANUAL)?;
    if manual == with_table(&manual)? {
        Ok(())
    } else {
        Err(format!("{MANUAL} is out of date: run `cargo xtask web table`"))
    }
}

fn with_table(manual: &str) -> Outcome<String> {
    let missing = || format!("{MANUAL} has no {}", TABLE[0].trim());
    let (before, rest) = manual.split_once(TABLE[0]).ok_or_else(missing)?;
    let (_, after) = rest.split_once(TABLE[1]).ok_or_else(missing)?;
    let rows: String = differences(&files::text("include/framewire.h")?)
        .into_iter()
        .map(|(name, text)| format!("| `{name}` | {text} |\n"))
        .collect();
    let head = "| function | in browsers |\n| --- | --- |\n";
    Ok(format!("{before}{}\n{head}{rows}\n{}{after}", TABLE[0], TABLE[1]))
}

/// Returns the functions whose comments have a paragraph about browsers, and the paragraph.
fn differences(header: &str) -> Vec<(String, String)> {
    let (mut found, mut paragraph, mut about) = (Vec::new(), String::new(), String::new());
    for line in header.lines() {
        match line.strip_prefix("///").map(str::trim) {
            Some(text) if text.is_empty() || text.starts_with('\\') => paragraph.clear(),
            Some(text) => {
                if !paragraph.is_empty() {
                    paragraph.push(' ');
                }
                paragraph.push_str(text);
                if paragraph.starts_with("In browsers") || paragraph.starts_with("Not available in browsers")
                {
                    about.clone_from(&paragraph);
                }
            }
            None => {
                if let Some((before, _)) = line.split_once('(')
                    && line.starts_with("FW_API ")
                    && !about.is_empty()
                    && let Some(name) = before.rsplit([' ', '*']).next()
                {
                    found.push((name.to_owned(), about.clone()));
                }
                paragraph.clear();
                about.clear();
            }
        }
    }
    found
}

/// How a page is built.
struct Variant {
    name: &'static str,
    flags: &'static [&'static str],
    /// Messages of the memory test.
    messages: u32,
    /// Runs as a page of `https:` too.
    is_secure_too: bool,
}

impl Variant {
    const fn new(name: &'static str, flags: &'static [&'static str], messages: u32) -> Self {
        Self { name, flags, messages, is_secure_too: false }
    }
}

/// With 64-bit integers of JavaScript and without, from unoptimised with all checks to optimised while linking.
const VARIANTS: &[Variant] = &[
    Variant::new("O0", &["-O0", "-sASSERTIONS=2"], 5_000),
    Variant::new("O0-bigint", &["-O0", "-sASSERTIONS=2", "-sWASM_BIGINT=1"], 5_000),
    Variant::new("O2", &["-O2"], 100_000),
    Variant { is_secure_too: true, ..Variant::new("O2-bigint", &["-O2", "-sWASM_BIGINT=1"], 5_000) },
    Variant::new("O3-lto", &["-O3", "-flto"], 5_000),
    Variant::new("O3-lto-bigint", &["-O3", "-flto", "-sWASM_BIGINT=1"], 5_000),
];

/// A page ends within seconds; this is for a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Builds the library and its test page in every variant, and runs each in Node and Chromium.
pub fn step() -> Tested {
    ensure("emcc", &["emscripten"]).map_err(Problem::Missing)?;
    every_function_is_called()?;
    let library = prepare()?;
    let node = node();
    let mut faults = test_pages(&Emscripten::Installed, &library, node)?;
    for check in [package::check(&library, node), check_size(&library)] {
        faults.extend(check.err());
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::Failed(faults.join("\n"))) }
}

/// The same pages, built with the oldest and the newest emscripten and one between them.
pub fn releases() -> Tested {
    let library = prepare()?;
    let node = node();
    let mut faults = Vec::new();
    for release in emscripten::RELEASES {
        let emscripten = Emscripten::of_release(release).map_err(Problem::Missing)?;
        println!("---- {release}: emscripten {}", emscripten.version()?);
        faults.extend(test_pages(&emscripten, &library, node)?);
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::Failed(faults.join("\n"))) }
}

/// Builds the library and the servers of its pages.
fn prepare() -> Result<PathBuf, Problem> {
    ensure("chromium", &["chromium"]).map_err(Problem::Missing)?;
    let library = build()?;
    build_unless_built(cargo().args(DEVELOPMENT).arg("--quiet"))?;
    Ok(library)
}

/// Builds the page with a version of emscripten and runs it. Returns what failed.
fn test_pages(emscripten: &Emscripten, library: &Path, node: Option<&[&str]>) -> Outcome<Vec<String>> {
    let (mut passed, mut runs, mut faults) = (0, 0, Vec::new());
    match unity::tools() {
        Ok(()) => unity::check_linked_for_browsers(emscripten, library)?,
        Err(problem) => println!("the declarations of the Unity binding are not linked: {problem}"),
    }
    for variant in VARIANTS {
        if let Err(problem) = links_empty_program(emscripten, variant) {
            println!("{}: left out: this emscripten does not link an empty program: {problem}", variant.name);
            continue;
        }
        let page = match compile(emscripten, variant, library) {
            Ok(page) => page,
            Err(problem) => {
                faults.push(format!("{}: {problem}", variant.name));
                continue;
            }
        };
        let size = Size::of(&page, "page")?;
        println!(
            "{}: {} bytes of JavaScript and WebAssembly, {} compressed",
            variant.name,
            size.script + size.wasm,
            size.compressed
        );
        let arguments = |server: &Server| {
            vec![server.echo.clone(), server.scripted.clone(), variant.messages.to_string()]
        };
        let mut run = |place: &str, outcome: Outcome<u32>| match outcome {
            Ok(checks) => {
                println!("{} in {place}: {checks} passed, 0 failed", variant.name);
                (passed, runs) = (passed + checks, runs + 1);
            }
            Err(problem) => faults.push(format!("{} in {place}: {problem}", variant.name)),
        };
        match node {
            Some(flags) => run("Node", in_node(&page, "page", flags, &arguments)),
            None => println!("{}: not run in Node, which has no WebSocket here", variant.name),
        }
        run("Chromium", in_chromium(&page, &arguments));
        if variant.is_secure_too {
            run("Chromium from https", from_https(&page, &arguments));
        }
    }
    println!("{runs} pages: {passed} passed, {} failed", faults.len());
    if runs == 0 {
        faults.push("no page was run".to_owned());
    }
    Ok(faults)
}

/// Fails unless the page calls each function of the header.
fn every_function_is_called() -> Outcome {
    let source = files::text("tests/web/page.c")? + &files::text("tests/web/functions.h")?;
    let missing: Vec<String> =
        abi::names()?.into_iter().filter(|name| !source.contains(&format!("{name}("))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("not called in tests/web: {}", missing.join(", "))) }
}

/// Debian's emscripten 6.0.5 cannot link any program with `-flto`. Returns its last line.
fn links_empty_program(emscripten: &Emscripten, variant: &Variant) -> Outcome {
    let folder = scratch("web/empty")?;
    let source = folder.join("empty.c");
    files::write(&source, "int main(void) { return 0; }\n")?;
    let mut emcc = emscripten.emcc();
    emcc.args(variant.flags).arg(&source).arg("-o").arg(folder.join("empty.js"));
    let last = |problem: String| problem.lines().last().unwrap_or_default().chars().take(200).collect();
    quietly(&mut emcc).map(drop).map_err(last)
}

fn compile(emscripten: &Emscripten, variant: &Variant, library: &Path) -> Outcome<PathBuf> {
    let page = scratch("web/pages")?.join(variant.name);
    files::create_folder(&page)?;
    let mut emcc = emscripten.emcc();
    emcc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(library)
        .args(variant.flags)
        .args(["-sALLOW_MEMORY_GROWTH=1", "-sEXIT_RUNTIME=1"])
        .arg(root().join("tests/web/page.c"))
        .arg(library.join(LIBRARY))
        .arg("--js-library")
        .arg(library.join(SCRIPT_NAME))
        .arg("-o")
        .arg(page.join("page.js"));
    quietly(&mut emcc)?;
    files::copy("tests/web/page.html", page.join("page.html"))?;
    Ok(page)
}

/// Bytes of a page.
struct Size {
    script: usize,
    wasm: usize,
    /// Both, by `gzip -9`.
    compressed: usize,
}

impl Size {
    fn of(folder: &Path, program: &str) -> Outcome<Self> {
        let file = |kind: &str| {
            let path = folder.join(program).with_extension(kind);
            let gzip = Command::new("gzip").args(["-9", "-c"]).arg(&path).output();
            let compressed = gzip.map_err(|error| format!("gzip: {error}"))?.stdout.len();
            Ok::<_, String>((files::bytes(&path)?.len(), compressed))
        };
        let ((script, first), (wasm, second)) = (file("js")?, file("wasm")?);
        Ok(Self { script, wasm, compressed: first + second })
    }
}

/// What the library may add to a page, compressed: WebAssembly and JavaScript together.
const MOST_ADDED: usize = 120_000;

/// Builds a page with and without the library, and fails if the difference is above the limit.
fn check_size(library: &Path) -> Outcome {
    let folder = scratch("web/size")?;
    let build = |program: &str, options: &[&str]| {
        let mut emcc = Emscripten::Installed.emcc();
        emcc.args(["-O2", "-sALLOW_MEMORY_GROWTH=1"]).args(options).arg(root().join("tests/web/size.c"));
        if !options.is_empty() {
            emcc.arg("-I").arg(library).arg(library.join(LIBRARY));
            emcc.arg("--js-library").arg(library.join(SCRIPT_NAME));
        }
        quietly(emcc.arg("-o").arg(folder.join(program).with_extension("js")))?;
        Size::of(&folder, program)
    };
    let (without, with) = (build("without", &[])?, build("with", &["-DFRAMEWIRE"])?);
    let added = with.compressed.saturating_sub(without.compressed);
    println!(
        "size: the library adds {} bytes of WebAssembly and {} of JavaScript, {added} compressed; limit {MOST_ADDED}",
        with.wasm.saturating_sub(without.wasm),
        with.script.saturating_sub(without.script)
    );
    if added > MOST_ADDED {
        return Err(format!(
            "the library adds {added} compressed bytes to a page; the limit is {MOST_ADDED}"
        ));
    }
    Ok(())
}

/// Returns the flags with which Node has a WebSocket, if it has one.
fn node() -> Option<&'static [&'static str]> {
    // Emscripten 3.1 finds its files only without `fetch`.
    const FLAGS: [&[&str]; 2] =
        [&["--no-experimental-fetch"], &["--no-experimental-fetch", "--experimental-websocket"]];
    if !has("node") {
        return None;
    }
    FLAGS.into_iter().find(|flags| {
        let mut node = Command::new("node");
        node.args(*flags).args(["-p", "typeof WebSocket"]);
        quietly(&mut node).is_ok_and(|kind| kind.trim() == "function")
    })
}

/// The arguments of a program, once its servers run.
pub type Arguments<'a> = &'a dyn Fn(&Server) -> Vec<String>;

fn in_node(folder: &Path, program: &str, flags: &[&str], arguments: Arguments) -> Outcome<u32> {
    let server = Server::start(folder)?;
    let mut node = Command::new("node");
    node.args(flags).arg(folder.join(program).with_extension("js")).args(arguments(&server));
    let child = node.stdout(Stdio::piped()).spawn().map_err(|error| format!("node: {error}"))?;
    let mut child = KillOnDrop(child);
    let output = child.0.stdout.take().ok_or("node has no output")?;
    watch(&lines(BufReader::new(output)))
}

fn in_chromium(folder: &Path, arguments: Arguments) -> Outcome<u32> {
    watch(&Chromium::open(folder, arguments)?.lines()?)
}

/// A name that browsers do not take for that of this machine, to which they allow connections without TLS.
const OTHER_NAME: &str = "framewire.test";

/// Opens the page over TLS. Its last argument is a server without TLS, to which it may not connect.
fn from_https(folder: &Path, arguments: Arguments) -> Outcome<u32> {
    let arguments = |server: &Server| {
        let mut arguments = arguments(server);
        arguments.push(server.echo.replace("127.0.0.1", OTHER_NAME).replace("localhost", OTHER_NAME));
        arguments
    };
    let flags = [
        "--ignore-certificate-errors".to_owned(),
        format!("--host-resolver-rules=MAP {OTHER_NAME} 127.0.0.1"),
    ];
    watch(&Chromium::with(folder, &arguments, |server| &server.secure_page, &flags)?.lines()?)
}

/// A headless browser that shows `page.html` of a folder, and the servers of the page.
pub struct Chromium {
    browser: KillOnDrop,
    server: Server,
}

impl Chromium {
    pub fn open(folder: &Path, arguments: Arguments) -> Outcome<Self> {
        Self::with(folder, arguments, |server| &server.page, &[])
    }

    fn with(
        folder: &Path,
        arguments: Arguments,
        page: fn(&Server) -> &str,
        flags: &[String],
    ) -> Outcome<Self> {
        let server = Server::start(folder)?;
        // The processes of the last browser may still write to theirs.
        static PROFILES: AtomicU32 = AtomicU32::new(0);
        let number = PROFILES.fetch_add(1, Ordering::Relaxed);
        let profile = scratch("web/profiles")?.join(format!("{}-{number}", std::process::id()));
        let _ = files::remove_folder(scratch("web/profiles")?);
        let url = format!("{}page.html?{}", page(&server), arguments(&server).join("&"));
        let browser = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(flags)
            .arg(url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromium: {error}"))?;
        Ok(Self { browser: KillOnDrop(browser), server })
    }

    pub fn id(&self) -> u32 {
        self.browser.0.id()
    }

    /// What the page prints. To be called once.
    pub fn lines(&mut self) -> Outcome<Receiver<String>> {
        Ok(lines(self.server.output.take().ok_or("the server has no output")?))
    }
}

fn lines(output: impl BufRead + Send + 'static) -> Receiver<String> {
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
    lines
}

/// Reads what a page prints, up to its closing line. Returns the number of its checks, or all that it printed.
fn watch(lines: &Receiver<String>) -> Outcome<u32> {
    let deadline = Instant::now() + LIMIT;
    let mut printed = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some((passed, failed)) = closing_line(&line) {
                    let suspicious = printed.iter().any(|line: &String| {
                        ["exception", "rejected", "aborted", "standard error"]
                            .iter()
                            .any(|word| line.starts_with(word))
                    });
                    if failed == 0 && passed > 0 && !suspicious {
                        return Ok(passed);
                    }
                    printed.push(line);
                    return Err(printed.join("\n"));
                }
                printed.push(line);
            }
            Err(_) => {
                printed.push("no closing line".to_owned());
                return Err(printed.join("\n"));
            }
        }
    }
}

/// Parses `N passed, M failed`, or the last line of an example.
fn closing_line(line: &str) -> Option<(u32, u32)> {
    match line {
        "ok" => return Some((1, 0)),
        "failed" => return Some((0, 1)),
        _ => {}
    }
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

/// `framewire-page`, which serves a page and the servers it connects to.
pub struct Server {
    child: Child,
    pub output: Option<BufReader<std::process::ChildStdout>>,
    pub page: String,
    /// The page over TLS, with a certificate that nobody trusts.
    secure_page: String,
    pub echo: String,
    scripted: String,
}

impl Server {
    pub fn start(folder: &Path) -> Outcome<Self> {
        let mut child = command(root().join("target/debug/framewire-page"))
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("framewire-page: {error}"))?;
        let mut output = BufReader::new(child.stdout.take().ok_or("framewire-page has no output")?);
        let mut line = || {
            let mut line = String::new();
            output.read_line(&mut line).map_err(|error| error.to_string())?;
            Ok::<String, String>(line.trim().to_owned())
        };
        Ok(Self {
            page: line()?,
            secure_page: line()?,
            echo: line()?,
            scripted: line()?,
            output: Some(output),
            child,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends at EOF of its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_about_browsers_are_found() {
        let header = "/// Sends.\n///\n/// In browsers it\n/// waits.\n/// \\param x Not\n\
                      FW_API fw_result fw_send(int x);\n/// Says.\nFW_API const char *fw_say(void);\n\
                      /// Not available in browsers: no.\nFW_API const char *fw_no(void);\n";
        let found = differences(header);
        let found: Vec<(&str, &str)> = found.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert_eq!(
            found,
            [("fw_send", "In browsers it waits."), ("fw_no", "Not available in browsers: no.")]
        );
    }

    #[test]
    fn closing_line_is_found_in_what_a_page_prints() {
        let watched = |text: &'static str| watch(&lines(BufReader::new(text.as_bytes())));
        assert_eq!(watched("a: 3 checks\n12 passed, 0 failed\n"), Ok(12));
        assert!(watched("12 passed, 1 failed\n").is_err());
        assert!(watched("0 passed, 0 failed\n").is_err());
        assert!(watched("exception: x\n12 passed, 0 failed\n").is_err());
        assert!(watched("a: 3 checks\n").unwrap_err().ends_with("no closing line"));
    }
}
