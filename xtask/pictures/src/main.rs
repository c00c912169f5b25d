//! Draws pictures of the command line from its output with local servers: `framewire-pictures PROGRAM FOLDER`.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anstyle::{Color, RgbColor};
use anstyle_svg::{Term, WIN10_CONSOLE};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::echo::LOOPBACK;
use framewire_servers::{Authority, EchoServer};

/// Ports whose numbers look well.
const PORT: u16 = 9001;
const TLS_PORT: u16 = 9443;
/// How long the program prints nothing after its answer to a line.
const QUIET: Duration = Duration::from_millis(400);
const TEXT: Color = Color::Rgb(RgbColor(224, 224, 224));
const BOLD: &str = "\x1b[1m";
const END: &str = "\x1b[0m";

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, folder] = arguments.as_slice() else {
        eprintln!("usage: framewire-pictures PROGRAM FOLDER");
        return ExitCode::from(2);
    };
    let pictures = Pictures { program: program.into(), folder: folder.into() };
    match pictures.draw() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Pictures {
    program: PathBuf,
    folder: PathBuf,
}

impl Pictures {
    fn draw(&self) -> Outcome {
        self.connect()?;
        self.diagnose()?;
        let server = EchoServer::start_at(LOOPBACK, 0, None);
        let url = server.url("/");
        let link = ["--delay", "20ms", "--jitter", "3ms", "--seed", "1"];
        self.plot("ping", &[&["ping", &url, "--count", "200", "--interval", "25ms"], &link[..]].concat())?;
        self.plot("bench", &["bench", &url, "--connections", "4", "--in-flight", "8", "--duration", "5s"])
    }

    /// Types lines into `framewire connect`.
    fn connect(&self) -> Outcome {
        let _server = EchoServer::start_at(LOOPBACK, PORT, None);
        let url = format!("ws://localhost:{PORT}/play");
        let mut child = self.command(&["connect", &url]).stdin(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().ok_or("the input is not piped")?;
        let lines = lines_of(child.stdout.take().ok_or("the output is not piped")?);
        let mut shown = format!("{BOLD}$ framewire connect {url}{END}\n");
        shown += &read_until_quiet(&lines);
        for typed in ["hello", "{\"move\": [3, 4]}", "/binary 00 ff 10 20", "/ping", "/close 1000 done"] {
            writeln!(input, "{typed}")?;
            shown += &format!("> {typed}\n");
            shown += &read_until_quiet(&lines);
        }
        child.wait()?;
        self.write("connect", &shown)
    }

    /// Diagnoses an expired certificate.
    fn diagnose(&self) -> Outcome {
        let authority = Authority::new("Example authority");
        let config = server_config(&authority.expired(), Demands::default());
        let _server = EchoServer::start_at(LOOPBACK, TLS_PORT, Some(config));
        let file = self.folder.join("authority.pem.tmp");
        std::fs::write(&file, authority.pem())?;
        let url = format!("wss://localhost:{TLS_PORT}/play");
        let arguments = ["diagnose", &url, "--cacert", text(&file)?];
        let output = self.command(&arguments).output();
        std::fs::remove_file(&file)?;
        let output = String::from_utf8(output?.stdout)?;
        self.write(
            "diagnose",
            &format!("{BOLD}$ framewire diagnose {url} --cacert authority.pem{END}\n{output}"),
        )
    }

    fn plot(&self, name: &str, arguments: &[&str]) -> Outcome {
        let file = self.folder.join(format!("{name}.svg"));
        let done = self.command(arguments).arg("--plot").arg(&file).output()?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
        }
        println!("{}", file.display());
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("CLICOLOR_FORCE", "1").stdout(Stdio::piped());
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command
    }

    fn write(&self, name: &str, output: &str) -> Outcome {
        let svg = Term::new().palette(WIN10_CONSOLE).fg_color(TEXT).render_svg(output.trim_end());
        // Dimmed text is hardly readable with the renderer's 0.4.
        let svg = svg.replace(".dimmed { opacity: 0.4; }", ".dimmed { opacity: 0.65; }");
        let file = self.folder.join(format!("{name}.svg"));
        // A renderer may end lines with spaces.
        let trimmed: String = svg.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        std::fs::write(&file, trimmed)?;
        println!("{}", file.display());
        Ok(())
    }
}

fn text(path: &Path) -> Outcome<&str> {
    path.to_str().ok_or_else(|| "the path is not UTF-8".into())
}

/// Reads lines on a thread.
fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        // Ends with the program, or with the picture.
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn read_until_quiet(lines: &Receiver<String>) -> String {
    let mut shown = String::new();
    while let Ok(line) = lines.recv_timeout(QUIET) {
        shown += &line;
        shown.push('\n');
    }
    shown
}
