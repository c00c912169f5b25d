//! `tests/java.rs`: Android's code that asks Java for the trusted authorities, with a Java VM of the desktop.

use std::path::PathBuf;

use crate::files;
use crate::run::{Outcome, command, ensure, quietly, test_program};
use crate::schedule::{Problem, Tested};

const JVM: &str = "lib/server/libjvm.so";

pub fn step() -> Tested {
    let library = library().map_err(Problem::Missing)?;
    println!("{}", library.display());
    let mut test = command(test_program("java")?);
    let output = quietly(test.arg("--nocapture").env("FRAMEWIRE_LIBJVM", &library))?;
    print!("{output}");
    // What -Xcheck:jni says about a wrong call.
    if output.contains("WARNING") || output.contains("FATAL ERROR") {
        return Err("the Java VM complains about a call of JNI".to_owned().into());
    }
    Ok(())
}

/// Finds the library of an installed VM, or installs one.
fn library() -> Outcome<PathBuf> {
    if let Some(found) = installed() {
        return Ok(found);
    }
    ensure("java", &["openjdk-17-jre-headless"])?;
    installed().ok_or_else(|| format!("no Java VM has {JVM}"))
}

fn installed() -> Option<PathBuf> {
    let own = std::env::var_os("JAVA_HOME").map(PathBuf::from);
    let others = files::list("/usr/lib/jvm").unwrap_or_default();
    own.into_iter().chain(others).map(|home| home.join(JVM)).find(|library| library.exists())
}
