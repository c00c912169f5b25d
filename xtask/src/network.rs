//! `tests/network/main.rs`, each test in a separate network namespace.

use std::process::{Command, Stdio};

use crate::run::{Outcome, command, ensure, quietly, test_program};
use crate::schedule::{Problem, Tested};

/// Separates the network and the names of hosts.
const UNSHARE: &[&str] = &["--net", "--mount", "--propagation", "private"];

/// Seconds for one test.
const LIMIT: &str = "150";

pub fn step() -> Tested {
    tools().map_err(Problem::Missing)?;
    Ok(test()?)
}

fn tools() -> Outcome {
    for (program, package) in [
        ("unshare", "util-linux"),
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("tayga", "tayga"),
        ("sysctl", "procps"),
    ] {
        ensure(program, &[package])?;
    }
    let lists = "table inet t {\nchain c {\ntype filter hook input priority 0;\n}\n}";
    let check = format!("ip link set lo up && echo '{lists}' | nft -f -");
    quietly(Command::new("unshare").args(UNSHARE).args(["sh", "-c", &check]))
        .map(drop)
        .map_err(|problem| format!("network namespaces need root and nftables in the kernel: {problem}"))
}

/// Runs the tests in parallel, because they mostly wait for timeouts.
fn test() -> Outcome {
    let program = test_program("network")?;
    let listed = quietly(command(&program).arg("--list"))?;
    let names: Vec<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    if names.is_empty() {
        return Err(format!("{} has no tests", program.display()));
    }
    let tests: Vec<_> = names
        .iter()
        .map(|name| {
            let mut test = command("timeout");
            test.args([LIMIT, "unshare"]).args(UNSHARE);
            test.arg(&program).args([name, "--exact", "--nocapture"]);
            test.env("FRAMEWIRE_NAMESPACE", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
            test.spawn().map_err(|error| format!("timeout: {error}"))
        })
        .collect::<Outcome<_>>()?;
    let (mut passed, mut failures) = (0, Vec::new());
    for (name, test) in names.iter().zip(tests) {
        let output = test.wait_with_output().map_err(|error| error.to_string())?;
        let printed = String::from_utf8_lossy(&output.stdout);
        for line in printed.lines().filter(|line| line.contains(" ms") || line.contains(" s")) {
            if !line.starts_with("test ") {
                println!("{line}");
            }
        }
        if output.status.success() {
            passed += 1;
        } else {
            failures.push(format!("{name}:\n{printed}{}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    println!("{passed} passed, {} failed", failures.len());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}
