//! `cargo xtask package nuget`: the C# binding without Unity as a NuGet package.
//!
//! ```text
//! [Content_Types].xml  _rels/.rels  Framewire.nuspec
//! lib/netstandard2.1/Framewire.dll, and Framewire.xml with its documentation
//! runtimes/<platform>/native/    the native library
//! README.md  LICENSE.md  Third Party Notices.md
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c::{self, Build};
use crate::dotnet;
use crate::files;
use crate::install;
use crate::run::{Echo, Outcome, ensure, quietly, root, run, scratch, shared_library};
use crate::unity;

/// Folders of `Runtime/Plugins` in the Unity package, and .NET's names of these platforms.
const PLATFORMS: &[(&str, &str)] = &[
    ("linux-x86_64", "linux-x64"),
    ("linux-arm64", "linux-arm64"),
    ("windows-x86_64", "win-x64"),
    // A universal library.
    ("macos", "osx"),
    ("android-arm64", "android-arm64"),
    ("android-armv7", "android-arm"),
    ("android-x86_64", "android-x64"),
];

/// The platform of this machine.
const HERE: &str = if cfg!(target_os = "windows") {
    "windows-x86_64"
} else if cfg!(target_os = "macos") {
    "macos"
} else {
    "linux-x86_64"
};

const ASSEMBLY: &str = "lib/netstandard2.1/Framewire.dll";

/// Builds the package with the library for this machine, and returns its path.
pub fn package() -> Outcome<PathBuf> {
    ensure("zip", &["zip"])?;
    let name = shared_library("framewire");
    let library = c::library(Build::Release)?.join(&name);
    pack(&[(format!("Runtime/Plugins/{HERE}/{name}"), library)].into(), &[])
}

/// Builds the package with these libraries, by their paths in the Unity package, and the licences of their
/// dependencies on these targets, or on this machine if there are none.
pub fn pack(libraries: &BTreeMap<String, PathBuf>, targets: &[&str]) -> Outcome<PathBuf> {
    let version = install::package("version")?;
    let folder = scratch("nuget")?.join("package");
    files::remove_folder(&folder)?;
    for (path, library) in libraries {
        if let Some(place) = place(path) {
            files::copy(library, folder.join(place))?;
        }
    }
    assembly(&folder.join(ASSEMBLY), &version)?;
    files::copy("bindings/nuget/README.md", folder.join("README.md"))?;
    files::copy("bindings/unity/LICENSE.md", folder.join("LICENSE.md"))?;
    unity::licences(&folder.join("LICENSE.md"))?;
    unity::notices(&folder.join("Third Party Notices.md"), targets)?;
    let manifest = files::text("bindings/nuget/Framewire.nuspec")?.replace("@VERSION@", &version);
    files::write(folder.join("Framewire.nuspec"), manifest)?;
    files::create_folder(folder.join("_rels"))?;
    files::write(folder.join("_rels/.rels"), RELATIONSHIPS)?;
    files::write(folder.join("[Content_Types].xml"), content_types(&folder)?)?;

    let archive = scratch("dist")?.join(format!("Framewire.{version}.nupkg"));
    files::remove(&archive)?;
    // Without entries for folders, which the format does not have.
    quietly(
        Command::new("zip").current_dir(&folder).args(["-q", "-X", "-D", "-9", "-r"]).arg(&archive).arg("."),
    )?;
    Ok(archive)
}

/// Returns the path in this package of a library in the Unity package, unless the platform links statically.
fn place(in_unity: &str) -> Option<String> {
    let (platform, name) = in_unity.strip_prefix("Runtime/Plugins/")?.split_once('/')?;
    let (_, identifier) = PLATFORMS.iter().find(|(folder, _)| *folder == platform)?;
    Some(format!("runtimes/{identifier}/native/{name}"))
}

/// Compiles the binding without Unity's defines, and its documentation beside it.
fn assembly(file: &Path, version: &str) -> Outcome {
    let sdk = dotnet::sdk()?;
    let folder = scratch("nuget")?.join("assembly");
    files::create_folder(&folder)?;
    // NuGet wants each source to exist.
    scratch("nuget/feed")?;
    files::copy("bindings/nuget/Framewire.csproj", folder.join("Framewire.csproj"))?;
    files::copy("bindings/nuget/nuget.config", folder.join("nuget.config"))?;
    let out = folder.join("out");
    let mut build = dotnet::dotnet(&sdk, &folder)?;
    build.args(["build", "-nodeReuse:false", "-v", "quiet", "-nologo", "-c", "Release", "-o"]).arg(&out);
    // No server of the compiler stays behind.
    build.arg("-p:UseSharedCompilation=false");
    build.arg(format!("-p:Version={version}"));
    build.arg(format!("-p:UnityPackage={}", root().join("bindings/unity").display()));
    quietly(&mut build)?;
    for kind in ["dll", "xml"] {
        let name = format!("Framewire.{kind}");
        files::copy(out.join(&name), file.with_file_name(&name))?;
    }
    Ok(())
}

const RELATIONSHIPS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
  <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/Framewire.nuspec" Id="manifest" />
</Relationships>
"#;

/// Lists the types of all files by their extensions, as the Open Packaging Conventions require.
fn content_types(folder: &Path) -> Outcome<String> {
    let mut extensions: Vec<String> = files::list_all(folder, |_| false)?
        .iter()
        .filter_map(|path| path.extension().map(|kind| kind.to_string_lossy().into_owned()))
        .filter(|kind| kind != "rels")
        .collect();
    extensions.sort();
    extensions.dedup();
    let mut text = r#"<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
  <Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />
"#
    .to_owned();
    for kind in extensions {
        text += &format!("  <Default Extension=\"{kind}\" ContentType=\"application/octet-stream\" />\n");
    }
    Ok(text + "</Types>\n")
}

/// Makes sure that the compilers are there.
pub fn tools() -> Outcome {
    ensure("zip", &["zip"])?;
    ensure("unzip", &["unzip"])?;
    dotnet::sdk().map(drop)
}

/// Builds the package, restores it from a folder with the .NET SDK, and runs two programs that use it: the example of
/// its README, and one with `await foreach`.
pub fn test(echo: &Echo) -> Outcome {
    let archive = package()?;
    let sdk = dotnet::sdk()?;
    let folder = scratch("nuget")?.join("consumer");
    files::remove_folder(&folder)?;
    files::create_folder(folder.join("feed"))?;
    files::copy(&archive, folder.join("feed").join(files::name(&archive)))?;

    let readme = files::text("bindings/nuget/README.md")?;
    let example = readme.split_once("```csharp\n").and_then(|(_, rest)| rest.split_once("```"));
    let (example, _) = example.ok_or("the README has no example")?;
    let url = "ws://127.0.0.1:9001/";
    if !example.contains(url) {
        return Err(format!("the example of the README does not connect to {url}"));
    }
    consume(&sdk, &folder.join("example"), &example.replace(url, &echo.ws), &echo.ws, "hello\n")?;
    println!("{}: restored by dotnet; the example of the README runs", archive.display());
    let received = "number 0\nnumber 1\nnumber 2\nlast\n";
    let program = files::text("bindings/nuget/tests/AwaitForeach.cs")?;
    consume(&sdk, &folder.join("await-foreach"), &program, &echo.ws, received)?;
    println!("await foreach, compiled by C# 8: runs");
    list(&archive)
}

/// Builds a program with the SDK, which restores the package, and checks what it prints.
fn consume(sdk: &Path, folder: &Path, program: &str, url: &str, expected: &str) -> Outcome {
    let project = files::text("bindings/nuget/tests/Consumer.csproj")?;
    files::create_folder(folder)?;
    files::write(
        folder.join("Consumer.csproj"),
        project.replace("@VERSION@", &install::package("version")?),
    )?;
    files::copy("bindings/nuget/nuget.config", folder.join("nuget.config"))?;
    files::write(folder.join("Program.cs"), program)?;
    quietly(dotnet::dotnet(sdk, folder)?.args([
        "build",
        "-nodeReuse:false",
        "-p:UseSharedCompilation=false",
        "-v",
        "quiet",
        "-nologo",
    ]))?;
    let mut start = dotnet::dotnet(sdk, folder)?;
    let printed =
        quietly(start.env_remove("LD_LIBRARY_PATH").args(["bin/Debug/netcoreapp3.1/Consumer.dll", url]))?;
    if printed == expected { Ok(()) } else { Err(format!("{}: it printed {printed:?}", folder.display())) }
}

/// Prints what the package contains.
fn list(archive: &Path) -> Outcome {
    run(Command::new("unzip").current_dir(root()).arg("-l").arg(archive))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unity::meta;

    #[test]
    fn every_shared_library_of_the_unity_package_has_a_place() {
        for plugin in meta::PLUGINS {
            let is_shared =
                ["so", "dll", "dylib"].iter().any(|kind| plugin.path.ends_with(&format!(".{kind}")));
            assert_eq!(place(plugin.path).is_some(), is_shared, "{}", plugin.path);
        }
        assert_eq!(
            place("Runtime/Plugins/windows-x86_64/framewire.dll").as_deref(),
            Some("runtimes/win-x64/native/framewire.dll")
        );
    }
}
