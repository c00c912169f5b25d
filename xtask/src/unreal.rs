//! Tests the build rules for Unreal against a stub of its build API.

use std::process::Command;

use crate::run::{Outcome, root, run, scratch};
use crate::unity;

pub fn test() -> Outcome {
    let folder = scratch("unreal")?;
    let sources = ["ThirdParty/Framewire/Framewire.Build.cs", "tests/UnrealBuildTool.cs"];
    let sources = sources.map(|path| root().join("bindings/unreal").join(path));
    unity::mcs(&folder, "build_rules.exe", &[], &sources)?;
    run(Command::new("mono").current_dir(&folder).arg("build_rules.exe").arg(&folder))
}
