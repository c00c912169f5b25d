//! Writes `ca.pem`, `good.pem` and `good.key` into a folder, for third-party servers.

use std::path::Path;
use std::process::ExitCode;

use framewire_servers::Authority;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: framewire-certs FOLDER");
        return ExitCode::from(2);
    };
    let authority = Authority::new("framewire test authority");
    let good = authority.good();
    for (name, text) in [("ca.pem", authority.pem()), ("good.pem", good.certificate), ("good.key", good.key)]
    {
        if let Err(error) = std::fs::write(Path::new(&folder).join(name), text) {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
