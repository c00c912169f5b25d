//! Builds for iOS, with Xcode or without.
//!
//! An app links the library statically, so no linker of Apple is needed: zig compiles the C code of ring.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::macho;

use super::inspect::macho::{self as archive, Facts, Wanted};
use super::symbols;
use super::system_names::{Name, SystemNames};
use super::targets::{Library, Target};
use super::toolchain::{self, Maker, Toolchain};
use crate::files;
use crate::run::{Outcome, command, ensure, quietly, root, scratch};

/// The committed list of what the library may use of the system.
const NAMES: &str = "xtask/phones/ios13.txt";

/// One library in an xcframework.
struct Platform {
    triple: &'static str,
    /// The oldest system. The first simulator for ARM is that of iOS 14.
    minimum: (u32, u32),
    number: u32,
    zig: &'static str,
    /// The name of the SDK of Xcode.
    sdk: &'static str,
    /// The name in linkers.
    linker: &'static str,
    /// The folder in an xcframework, and the variant in its Info.plist.
    folder: &'static str,
    variant: Option<&'static str>,
}

const PLATFORMS: &[Platform] = &[
    Platform {
        triple: "aarch64-apple-ios",
        minimum: (13, 0),
        number: macho::PLATFORM_IOS,
        zig: "aarch64-ios.13.0",
        sdk: "iphoneos",
        linker: "ios",
        folder: "ios-arm64",
        variant: None,
    },
    Platform {
        triple: "aarch64-apple-ios-sim",
        minimum: (14, 0),
        number: macho::PLATFORM_IOSSIMULATOR,
        zig: "aarch64-ios.14.0-simulator",
        sdk: "iphonesimulator",
        linker: "ios-simulator",
        folder: "ios-arm64-simulator",
        variant: Some("simulator"),
    },
];

impl Platform {
    fn of(target: &Target) -> Outcome<&'static Self> {
        PLATFORMS
            .iter()
            .find(|platform| platform.triple == target.triple)
            .ok_or_else(|| format!("{} is no target for iOS", target.triple))
    }

    fn minimum(&self) -> String {
        format!("{}.{}", self.minimum.0, self.minimum.1)
    }
}

/// Xcode, or zig.
pub fn toolchain(target: &Target) -> Outcome<Toolchain> {
    let platform = Platform::of(target)?;
    if quietly(command("xcrun").args(["--sdk", platform.sdk, "--show-sdk-path"])).is_ok() {
        let version = quietly(command("xcodebuild").arg("-version"))?;
        let name = version.lines().next().unwrap_or("Xcode").to_owned();
        return Ok(Toolchain { maker: Maker::Xcode, name, cc: None, ar: None });
    }
    let zig = toolchain::zig_folder()?;
    let folder = scratch("tools/ios")?.join(platform.triple);
    files::create_folder(&folder)?;
    stubs(platform, &folder)?;
    let cc = folder.join("cc");
    // zig takes the target by its own name, and has no folder of an SDK. It links only the shared library that cargo
    // builds of each dependency, and that nothing uses.
    let text = format!(
        "#!/bin/bash\nwords=()\nwhile (($#)); do\n    case $1 in\n    --target=* | -m*-version-min=* | -mtargetos=*) ;;\n    \
         -isysroot | -arch | -target) shift ;;\n    *) words+=(\"$1\") ;;\n    esac\n    shift\ndone\n\
         exec {} cc -target {} -isystem {}/lib/libc/include/any-darwin-any -F{3} -L{3} -Wl,-undefined,dynamic_lookup \
         \"${{words[@]}}\"\n",
        zig.join("zig").display(),
        platform.zig,
        zig.display(),
        folder.display()
    );
    toolchain::script(&cc, &text)?;
    let ar = toolchain::zig_ar(&folder)?;
    Ok(Toolchain { maker: Maker::Zig, name: toolchain::zig_name()?, cc: Some(cc), ar: Some(ar) })
}

/// Sets what else a build for iOS reads from its environment.
pub fn set(target: &Target, toolchain: &Toolchain, cargo: &mut Command) -> Outcome {
    cargo.env("IPHONEOS_DEPLOYMENT_TARGET", Platform::of(target)?.minimum());
    cargo.env("CARGO_PROFILE_RELEASE_STRIP", "none");
    if toolchain.maker == Maker::Zig {
        // An empty folder: without it, build scripts ask Xcode.
        cargo.env("SDKROOT", scratch("tools/no-sdk")?);
    }
    Ok(())
}

/// What is global in a library: the functions of the header, or the entry point of the Godot extension.
fn exports(library: Library) -> Outcome<BTreeSet<String>> {
    match library {
        Library::C => symbols::declared(),
        Library::Godot => Ok(BTreeSet::from([super::GODOT_ENTRY.to_owned()])),
    }
}

/// The beginning of those names in object files, and of all other names that are visible between objects.
fn prefixes(library: Library) -> (&'static str, &'static str) {
    match library {
        Library::C => ("_fw_", "_fw_internal"),
        Library::Godot => ("_framewire_godot_init", "_framewire_godot_internal"),
    }
}

/// Makes a static library in which no name can conflict with those of another library written in Rust, which has the same
/// standard library: an app may contain several. Xcode merges it into one object; without Xcode, names get a prefix.
pub fn isolate(target: &Target, library: Library, built: &Path) -> Outcome<PathBuf> {
    let platform = Platform::of(target)?;
    let toolchain = toolchain(target)?;
    let (kept, prefix) = prefixes(library);
    let name = files::name(built);
    let folder = scratch("dist/slim")?.join(target.triple).join(&name);
    files::remove_folder(&folder)?;
    files::create_folder(&folder)?;
    let isolated = folder.join(&name);
    if toolchain.maker == Maker::Xcode {
        let object = folder.join("framewire.o");
        let sdk = quietly(command("xcrun").args(["--sdk", platform.sdk, "--show-sdk-version"]))?;
        let mut link = command("xcrun");
        link.args(["--sdk", platform.sdk, "ld", "-r", "-arch", "arm64"]);
        link.args(["-platform_version", platform.linker, &platform.minimum(), sdk.trim()]);
        link.args(["-exported_symbol", &format!("{kept}*")]).arg("-force_load").arg(built);
        quietly(link.arg("-o").arg(&object))?;
        quietly(command("xcrun").args(["bitcode_strip", "-r"]).arg(&object).arg("-o").arg(&object))?;
        quietly(command("xcrun").args(["libtool", "-static", "-o"]).arg(&isolated).arg(&object))?;
        return Ok(isolated);
    }
    ensure("llvm-objcopy-19", &["llvm-19"])?;
    let bytes = files::bytes(built)?;
    let members = archive::members(&bytes)?;
    let mut names = BTreeSet::new();
    for member in &members {
        names.extend(archive::internal(member, kept)?);
    }
    let mut ar = command(toolchain.ar.ok_or("there is no ar")?);
    ar.args(["--format=darwin", "rcsD"]).arg(&isolated);
    for (number, member) in members.into_iter().enumerate() {
        let part = folder.join(format!("framewire-{number}.o"));
        files::write(&part, member)?;
        // Bitcode in the standard library, which no linker reads any more.
        let mut strip = command("llvm-objcopy-19");
        strip.args(["--remove-section=__LLVM,__bitcode", "--remove-section=__LLVM,__cmdline"]);
        quietly(strip.arg(&part))?;
        files::write(&part, archive::rename(&files::bytes(&part)?, &names, prefix)?)?;
        ar.arg(part);
    }
    quietly(&mut ar)?;
    Ok(isolated)
}

/// Checks an isolated library from its file.
pub fn check(target: &Target, library: Library, file: &Path) -> Outcome {
    let platform = Platform::of(target)?;
    let wanted = Wanted {
        cpu: macho::CPU_TYPE_ARM64,
        platform: platform.number,
        minimum: platform.minimum,
        exports: &exports(library)?,
        internal: &format!("{}_", &prefixes(library).1[1..]),
        system: &SystemNames::read(NAMES)?,
    };
    let facts = Facts::read(&files::bytes(file)?)?;
    facts.check(&wanted).map_err(|problem| format!("{}: {problem}", file.display()))
}

/// What the check proved, for records.
pub const INSPECTED: &str =
    "platform, oldest system, global names, names of the system; linked into an executable";

pub fn needs(target: &Target) -> Outcome<String> {
    let mut names = SystemNames::read(NAMES)?;
    names.0.retain(|_, names| !names.is_empty());
    let platform = Platform::of(target)?;
    let what = platform.variant.map_or_else(String::new, |variant| format!(" {variant}"));
    Ok(format!("iOS{what} {} ({})", platform.minimum(), names.libraries().collect::<Vec<_>>().join(", ")))
}

/// Links a program for iOS with the library, alone and together with another static library written in Rust that is as
/// cargo built it. All are loaded completely, as `-all_load` does in many projects.
pub fn link_with_another(target: &Target, isolated: &Path, another: &Path) -> Outcome {
    let alone = link(target, &[isolated])?;
    // Without them, a panic would end the app instead of being returned as an error.
    let count = archive::functions_that_catch(&files::bytes(&alone)?)?;
    if count < 500 {
        return Err(format!("only {count} functions of the linked program have unwind tables"));
    }
    link(target, &[isolated, another])?;
    println!("linked alone, and with another Rust library; {count} functions that catch have unwind tables");
    Ok(())
}

fn link(target: &Target, libraries: &[&Path]) -> Outcome<PathBuf> {
    let platform = Platform::of(target)?;
    let toolchain = toolchain(target)?;
    let source = root().join("xtask/phones/main.c");
    let include = root().join("include");
    let folder = scratch("dist/slim")?.join(target.triple).join("program");
    files::create_folder(&folder)?;
    let program = folder.join("program");
    let mut link = if toolchain.maker == Maker::Xcode {
        let variant = if platform.variant.is_some() { "-simulator" } else { "" };
        let mut link = command("xcrun");
        link.args(["--sdk", platform.sdk, "clang", "-target"]);
        link.arg(format!("arm64-apple-ios{}{variant}", platform.minimum()));
        link.arg("-I").arg(include).arg(source).args(["-liconv", "-lm"]);
        link
    } else {
        ensure("ld64.lld-19", &["lld-19"])?;
        stubs(platform, &folder)?;
        let object = folder.join("main.o");
        let mut cc = command(toolchain.cc.ok_or("there is no compiler")?);
        quietly(cc.arg("-I").arg(include).args(["-O1", "-c"]).arg(source).arg("-o").arg(&object))?;
        let mut link = command("ld64.lld-19");
        link.args(["-arch", "arm64", "-e", "_main", "-lSystem", "-platform_version", platform.linker]);
        link.args([&platform.minimum(), "17.0", "-syslibroot"]).arg(&folder);
        link.arg(format!("-L{}", folder.display())).arg(format!("-F{}", folder.display())).arg(object);
        link
    };
    link.args(["-framework", "Security", "-framework", "CoreFoundation"]);
    let is_driver = toolchain.maker == Maker::Xcode;
    for library in libraries {
        // The compiler passes on what is for the linker.
        match is_driver {
            true => link.arg(format!("-Wl,-force_load,{}", library.display())),
            false => link.arg("-force_load").arg(library),
        };
    }
    quietly(link.arg("-o").arg(&program))?;
    Ok(program)
}

/// Writes text stubs of the system's libraries with the names of the list.
fn stubs(platform: &Platform, folder: &Path) -> Outcome {
    let target = format!("arm64-{}", platform.linker);
    for (library, names) in &SystemNames::read(NAMES)?.0 {
        let (file, installed) = match library.as_str() {
            "libSystem" => (folder.join("libSystem.tbd"), "/usr/lib/libSystem.B.dylib".to_owned()),
            "libiconv" => (folder.join("libiconv.tbd"), "/usr/lib/libiconv.2.dylib".to_owned()),
            framework => (
                folder.join(format!("{framework}.framework/{framework}.tbd")),
                format!("/System/Library/Frameworks/{framework}.framework/{framework}"),
            ),
        };
        file.parent().map_or(Ok(()), files::create_folder)?;
        let symbols = names.iter().map(|Name { name, .. }| format!("_{name}"));
        let symbols: Vec<String> = ["dyld_stub_binder".to_owned()].into_iter().chain(symbols).collect();
        let text = format!(
            "--- !tapi-tbd\ntbd-version: 4\ntargets: [ {target} ]\ninstall-name: '{installed}'\nexports:\n  \
             - targets: [ {target} ]\n    symbols: [ {} ]\n...\n",
            symbols.join(", ")
        );
        files::write(file, text)?;
    }
    Ok(())
}

/// Writes an xcframework: a folder with the library for each platform, and the list of them that Xcode reads.
pub fn xcframework(folder: &Path, libraries: &[(&Target, PathBuf)], headers: &[PathBuf]) -> Outcome {
    files::remove_folder(folder)?;
    let mut list = String::new();
    for (target, library) in libraries {
        let platform = Platform::of(target)?;
        let name = files::name(library);
        files::copy(library, folder.join(platform.folder).join(&name))?;
        list += "        <dict>\n";
        let mut entry = |key: &str, value: &str| {
            list += &format!("            <key>{key}</key>\n            <string>{value}</string>\n");
        };
        for header in headers {
            files::copy(header, folder.join(platform.folder).join("Headers").join(files::name(header)))?;
        }
        if !headers.is_empty() {
            entry("HeadersPath", "Headers");
        }
        entry("LibraryIdentifier", platform.folder);
        entry("LibraryPath", &name);
        entry("SupportedPlatform", "ios");
        if let Some(variant) = platform.variant {
            entry("SupportedPlatformVariant", variant);
        }
        list += "            <key>SupportedArchitectures</key>\n            <array>\n                \
                 <string>arm64</string>\n            </array>\n        </dict>\n";
    }
    files::write(folder.join("Info.plist"), INFO.replace("@LIBRARIES@", &list))?;
    check_xcframework(folder, libraries.len())
}

const INFO: &str = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<plist version=\"1.0\">
<dict>
    <key>AvailableLibraries</key>
    <array>
@LIBRARIES@    </array>
    <key>CFBundlePackageType</key>
    <string>XFWK</string>
    <key>XCFrameworkFormatVersion</key>
    <string>1.0</string>
</dict>
</plist>
";

/// Reads Info.plist back with Python's parser, and fails unless each library that it lists exists.
fn check_xcframework(folder: &Path, libraries: usize) -> Outcome {
    ensure("python3", &["python3"])?;
    let mut python = command("python3");
    let found = quietly(python.args(["-c", READ_INFO]).arg(folder))?;
    if found.trim() == libraries.to_string() {
        Ok(())
    } else {
        Err(format!("{} lists {} libraries instead of {libraries}", folder.display(), found.trim()))
    }
}

const READ_INFO: &str = "
import os, plistlib, sys
folder = sys.argv[1]
info = plistlib.load(open(os.path.join(folder, 'Info.plist'), 'rb'))
assert info['CFBundlePackageType'] == 'XFWK' and info['XCFrameworkFormatVersion'] == '1.0'
libraries = info['AvailableLibraries']
assert len({library['LibraryIdentifier'] for library in libraries}) == len(libraries)
for library in libraries:
    place = os.path.join(folder, library['LibraryIdentifier'])
    assert os.path.isfile(os.path.join(place, library['LibraryPath'])), library
    assert os.path.isdir(os.path.join(place, library.get('HeadersPath', '.'))), library
    assert library['SupportedPlatform'] == 'ios' and library['SupportedArchitectures'] == ['arm64'], library
print(len(libraries))
";
