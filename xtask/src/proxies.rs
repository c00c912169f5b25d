//! Tests with the proxies squid, tinyproxy, microsocks and dante: allowed and refused connections.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::c::{self, Build};
use crate::files;
use crate::run::{Echo, Outcome, command, ensure_server, free_port, quietly, root, run, scratch};
use crate::schedule::{Problem, Tested};

/// A proxy that runs until it is dropped.
struct Proxy {
    child: Child,
    port: u16,
    /// The TLS port of squid.
    tls_port: u16,
    /// The authority of its certificate.
    ca: PathBuf,
}

impl Proxy {
    /// Starts a proxy with `arguments` and a configuration from `tests/real/proxies`.
    fn start(program: &str, arguments: &[&str], config: &str) -> Outcome<Self> {
        let (folder, port, tls_port) = (scratch("tools/proxies")?, free_port()?, free_port()?);
        let certificates = root().join("target/debug/framewire-certs");
        quietly(Command::new(certificates).arg(&folder))?;
        let samples = root().join("tests/real/proxies");
        for file in [config, "squid.passwords"] {
            let text = files::text(samples.join(file))?;
            let text = text
                .replace("@FOLDER@", &folder.to_string_lossy())
                .replace("@PORT@", &port.to_string())
                .replace("@TLS_PORT@", &tls_port.to_string());
            files::write(folder.join(file), text)?;
        }
        let mut command = Command::new(program);
        command.args(arguments).arg(folder.join(config));
        Self::spawn(&mut command, port, tls_port, &folder)
    }

    fn spawn(command: &mut Command, port: u16, tls_port: u16, folder: &Path) -> Outcome<Self> {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
        let mut proxy = Self { child, port, tls_port, ca: folder.join("ca.pem") };
        for _ in 0..400 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(proxy);
            }
            if let Ok(Some(status)) = proxy.child.try_wait() {
                return Err(format!("the proxy exited: {status}"));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Err("the proxy did not start listening within twenty seconds".into())
    }

    fn url(&self, scheme: &str, login: &str) -> String {
        format!("{scheme}://{login}127.0.0.1:{}", self.port)
    }

    /// Connects to `url` through the proxy of the setting.
    fn expect(&self, url: &str, proxy: &str, expected: &str, ca: Option<&Path>) -> Tested {
        Ok(run(client(url, proxy, expected)?.args(ca))?)
    }

    /// Tests echoes over `ws` and `wss`, with the proxy from the setting and from the environment.
    fn lets_through(&self, echo: &Echo, proxy: &str) -> Tested {
        let ca = Path::new(&echo.ca);
        self.expect(&echo.ws, proxy, "echo", None)?;
        self.expect(&echo.wss, proxy, "echo", Some(ca))?;
        let mut by_environment = client(&echo.wss, "-", "echo")?;
        Ok(run(by_environment.arg(ca).env("HTTPS_PROXY", proxy))?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // SIGTERM first, on which proxies end their children.
        let _ = quietly(Command::new("kill").arg(self.child.id().to_string()));
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compiles `tests/real/proxy_client.c`.
fn client(url: &str, proxy: &str, expected: &str) -> Outcome<Command> {
    let library = c::library(Build::Release)?;
    let program = c::compile(&root().join("tests/real/proxy_client.c"), &library, Build::Release)?;
    let mut client = command(&program);
    client.args([url, proxy, expected]);
    Ok(client)
}

/// Returns a URL whose connection is refused.
fn refusing_target() -> Outcome<String> {
    Ok(format!("ws://127.0.0.1:{}/", free_port()?))
}

pub fn squid(echo: &Echo) -> Tested {
    let program = ensure_server("squid", "squid").map_err(Problem::Missing)?;
    let proxy = Proxy::start(&program, &["-N", "-f"], "squid.conf")?;
    let good = proxy.url("http", "bob:secret@");
    proxy.lets_through(echo, &good)?;
    proxy.expect(&echo.ws, &proxy.url("http", ""), "407", None)?;
    proxy.expect(&echo.ws, &proxy.url("http", "bob:wrong@"), "407", None)?;
    proxy.expect(&refusing_target()?, &good, "503", None)?;
    proxy.expect("ws://192.0.2.1/", &good, "403", None)?;
    // TLS to the proxy itself.
    let secure = format!("https://bob:secret@localhost:{}", proxy.tls_port);
    proxy.expect(&echo.ws, &secure, "echo", Some(&proxy.ca))
}

pub fn tinyproxy(echo: &Echo) -> Tested {
    let program = ensure_server("tinyproxy", "tinyproxy-bin").map_err(Problem::Missing)?;
    let proxy = Proxy::start(&program, &["-d", "-c"], "tinyproxy.conf")?;
    let good = proxy.url("http", "bob:secret@");
    proxy.lets_through(echo, &good)?;
    proxy.expect(&echo.ws, &proxy.url("http", ""), "407", None)?;
    proxy.expect(&echo.ws, &proxy.url("http", "bob:wrong@"), "401", None)?;
    proxy.expect(&refusing_target()?, &good, "500", None)
}

pub fn microsocks(echo: &Echo) -> Tested {
    let program = ensure_server("microsocks", "microsocks").map_err(Problem::Missing)?;
    let port = free_port()?;
    let mut command = Command::new(program);
    command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", "bob", "-P", "secret"]);
    let folder = scratch("tools/proxies")?;
    let proxy = Proxy::spawn(&mut command, port, 0, &folder)?;
    for scheme in ["socks5", "socks5h"] {
        proxy.lets_through(echo, &proxy.url(scheme, "bob:secret@"))?;
        proxy.expect(&echo.ws, &proxy.url(scheme, ""), "0", None)?;
        proxy.expect(&echo.ws, &proxy.url(scheme, "bob:wrong@"), "0", None)?;
        proxy.expect(&refusing_target()?, &proxy.url(scheme, "bob:secret@"), "0", None)?;
    }
    Ok(())
}

pub fn dante(echo: &Echo) -> Tested {
    let program = ensure_server("danted", "dante-server").map_err(Problem::Missing)?;
    let proxy = Proxy::start(&program, &["-f"], "danted.conf")?;
    for scheme in ["socks5", "socks5h"] {
        proxy.lets_through(echo, &proxy.url(scheme, ""))?;
        proxy.expect(&refusing_target()?, &proxy.url(scheme, ""), "0", None)?;
        proxy.expect("ws://127.9.9.9/", &proxy.url(scheme, ""), "0", None)?;
    }
    Ok(())
}
