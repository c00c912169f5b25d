//! `cargo xtask package nuget`: the C# binding without Unity as a NuGet package.
//!
//! ```text
//! [Content_Types].xml  _rels/.rels  Framewire.nuspec
//! lib/netstandard2.1/Framewire.dll
//! runtimes/<platform>/native/    the native library
//! README.md  LICENSE.md  Third Party Notices.md
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c::{self, Build};
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
    ensure("mcs", &["mono-mcs", "mono-runtime"])?;
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

/// Compiles the binding without Unity's defines.
fn assembly(file: &Path, version: &str) -> Outcome {
    let info = scratch("nuget")?.join("AssemblyInfo.cs");
    let text = format!(
        "[assembly: System.Reflection.AssemblyTitle(\"Framewire\")]\n\
         [assembly: System.Reflection.AssemblyVersion(\"{version}.0\")]\n\
         [assembly: System.Reflection.AssemblyInformationalVersion(\"{version}\")]\n\
         [assembly: System.Runtime.Versioning.TargetFramework(\".NETStandard,Version=v2.1\")]\n"
    );
    files::write(&info, text)?;
    let folder = file.parent().ok_or("the assembly has no folder")?;
    files::create_folder(folder)?;
    let sources = [unity::csharp(&["Runtime"])?, vec![info]].concat();
    unity::mcs(folder, &files::name(file), &["-target:library"], &sources)
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

/// Builds the package, and runs the example of its README on CoreCLR, which finds the libraries in the unpacked
/// package as after `dotnet restore`.
pub fn test(echo: &Echo) -> Outcome {
    let archive = package()?;
    let core_clr = unity::core_clr()?;
    ensure("unzip", &["unzip"])?;
    let version = install::package("version")?;
    let folder = scratch("nuget")?.join("consumer");
    files::remove_folder(&folder)?;
    // NuGet's folder of restored packages.
    let restored = folder.join("packages/framewire").join(&version);
    files::create_folder(&restored)?;
    quietly(Command::new("unzip").arg("-q").arg(&archive).arg("-d").arg(&restored))?;
    let library = format!("runtimes/linux-x64/native/{}", shared_library("framewire"));
    for file in ["[Content_Types].xml", "_rels/.rels", "Framewire.nuspec", ASSEMBLY, &library] {
        files::bytes(restored.join(file))?;
    }

    let readme = files::text(restored.join("README.md"))?;
    let example = readme.split_once("```csharp\n").and_then(|(_, rest)| rest.split_once("```"));
    let (example, _) = example.ok_or("the README has no example")?;
    let url = "ws://127.0.0.1:9001/";
    if !example.contains(url) {
        return Err(format!("the example of the README does not connect to {url}"));
    }
    files::write(folder.join("Example.cs"), example.replace(url, &echo.ws))?;
    let reference = format!("-r:{}", restored.join(ASSEMBLY).display());
    unity::mcs(&folder, "example.exe", &[&reference], &["Example.cs".into()])?;
    // What `dotnet build` writes beside a program.
    files::write(folder.join("example.deps.json"), dependencies(&version, &library))?;
    let config = format!(
        r#"{{"runtimeOptions":{{"tfm":"netcoreapp3.1","framework":{{"name":"Microsoft.NETCore.App","version":"3.1.0"}},"additionalProbingPaths":["{}"]}}}}"#,
        folder.join("packages").display()
    );
    files::write(folder.join("example.runtimeconfig.json"), config)?;

    let mut start = Command::new("timeout");
    start.current_dir(&folder).arg("60").arg(core_clr).arg("example.exe");
    start.env_remove("LD_LIBRARY_PATH").env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
    let printed = quietly(&mut start)?;
    if printed != "hello\n" {
        return Err(format!("the example printed {printed:?}"));
    }
    println!("{}: the example of the README runs on CoreCLR", archive.display());
    list(&archive)
}

/// Prints what the package contains.
fn list(archive: &Path) -> Outcome {
    run(Command::new("unzip").current_dir(root()).arg("-l").arg(archive))
}

/// Returns the list of assemblies and native libraries from which the host of .NET finds them.
fn dependencies(version: &str, library: &str) -> String {
    format!(
        r#"{{
  "runtimeTarget": {{ "name": ".NETCoreApp,Version=v3.1", "signature": "" }},
  "targets": {{
    ".NETCoreApp,Version=v3.1": {{
      "example/1.0.0": {{ "dependencies": {{ "Framewire": "{version}" }}, "runtime": {{ "example.exe": {{}} }} }},
      "Framewire/{version}": {{
        "runtime": {{ "{ASSEMBLY}": {{}} }},
        "runtimeTargets": {{ "{library}": {{ "rid": "linux-x64", "assetType": "native" }} }}
      }}
    }}
  }},
  "libraries": {{
    "example/1.0.0": {{ "type": "project", "serviceable": false, "sha512": "" }},
    "Framewire/{version}": {{ "type": "package", "serviceable": true, "sha512": "", "path": "framewire/{version}" }}
  }}
}}
"#
    )
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
