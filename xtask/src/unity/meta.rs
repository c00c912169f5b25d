//! The `.meta` files of the Unity package.
//!
//! Unity refers to files by the GUID in their `.meta` file, and cannot create one in a read-only package, so each
//! file and folder has a committed one. The GUID of a new file is derived from its path; an existing GUID never
//! changes, because projects may refer to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::files;
use crate::run::Outcome;

/// The path of a native library in the package, and the platform that loads it.
pub struct Plugin {
    pub path: &'static str,
    /// Unity's name of the player platform, and the CPU; empty if there is no choice.
    player: (&'static str, &'static str),
    /// More settings of the player, in the order of Unity.
    settings: &'static [(&'static str, &'static str)],
    /// The system of the editor, if the editor loads it too.
    editor: Option<&'static str>,
}

pub const PLUGINS: &[Plugin] = &[
    Plugin {
        path: "Runtime/Plugins/linux-x86_64/libframewire.so",
        player: ("Standalone: Linux64", "x86_64"),
        settings: &[],
        editor: Some("Linux"),
    },
    Plugin {
        path: "Runtime/Plugins/linux-arm64/libframewire.so",
        // The desktop player for Linux does not support this CPU.
        player: ("EmbeddedLinux: EmbeddedLinux", "ARM64"),
        settings: &[],
        editor: None,
    },
    Plugin {
        path: "Runtime/Plugins/windows-x86_64/framewire.dll",
        player: ("Standalone: Win64", "x86_64"),
        settings: &[],
        editor: Some("Windows"),
    },
    Plugin {
        path: "Runtime/Plugins/macos/libframewire.dylib",
        player: ("Standalone: OSXUniversal", "AnyCPU"),
        settings: &[],
        editor: Some("OSX"),
    },
    Plugin {
        path: "Runtime/Plugins/android-arm64/libframewire.so",
        player: ("Android: Android", "ARM64"),
        settings: ALIGNED,
        editor: None,
    },
    Plugin {
        path: "Runtime/Plugins/android-armv7/libframewire.so",
        player: ("Android: Android", "ARMv7"),
        settings: &[],
        editor: None,
    },
    Plugin {
        path: "Runtime/Plugins/android-x86_64/libframewire.so",
        player: ("Android: Android", "X86_64"),
        settings: ALIGNED,
        editor: None,
    },
    Plugin {
        path: "Runtime/Plugins/ios/libframewire.a",
        player: ("iPhone: iOS", "ARM64"),
        // Which verify certificates with the system's roots.
        settings: &[("FrameworkDependencies", "CoreFoundation;Security;")],
        editor: None,
    },
    Plugin { path: WEB_LIBRARY, player: ("WebGL: WebGL", ""), settings: &[], editor: None },
    Plugin { path: WEB_SCRIPT, player: ("WebGL: WebGL", ""), settings: &[], editor: None },
];

/// Unity 6 warns about 64-bit libraries for Android that are not aligned to pages of 16 KiB. `dist` checks that these
/// are.
const ALIGNED: &[(&str, &str)] = &[("Is16KbAligned", "true")];

/// The library for browsers, and the script that connects it to the browser's WebSocket.
pub const WEB_LIBRARY: &str = "Runtime/Plugins/WebGL/libframewire.a";
pub const WEB_SCRIPT: &str = "Runtime/Plugins/WebGL/framewire.jslib";

/// Writes missing `.meta` files, including those of the plugins.
pub fn write_missing(package: &Path) -> Outcome<usize> {
    let mut written = 0;
    for path in wanted(package)? {
        let meta = package.join(format!("{path}.meta"));
        if !meta.exists() {
            files::create_folder(meta.parent().unwrap_or(package))?;
            files::write(&meta, text(package, &path))?;
            written += 1;
        }
    }
    Ok(written)
}

/// Checks that each file and folder has a `.meta` file and the reverse, and that all GUIDs are different.
pub fn check(package: &Path) -> Outcome {
    check_for(package, wanted(package)?)
}

/// Checks a finished package: paths of libraries that it does not contain have no `.meta` file.
pub fn check_laid_out(package: &Path) -> Outcome {
    check_for(package, files(package)?.into_iter().filter(|path| !path.ends_with(".meta")).collect())
}

fn check_for(package: &Path, wanted: Vec<String>) -> Outcome {
    let mut faults = Vec::new();
    let mut guids: BTreeMap<String, String> = BTreeMap::new();
    for path in &wanted {
        let Ok(text) = fs::read_to_string(package.join(format!("{path}.meta"))) else {
            faults.push(format!("{path} has no .meta"));
            continue;
        };
        let guid = text.lines().find_map(|line| line.strip_prefix("guid: ")).unwrap_or_default();
        if guid.len() != 32 || !guid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            faults.push(format!("{path}.meta has no guid of 32 lower-case hexadecimal digits"));
        }
        if let Some(other) = guids.insert(guid.to_owned(), path.clone()) {
            faults.push(format!("{path} and {other} have the same guid"));
        }
    }
    for path in files(package)?.iter().filter_map(|path| path.strip_suffix(".meta")) {
        if !wanted.iter().any(|one| one == path) {
            faults.push(format!("{path}.meta has no file"));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Lists what needs a `.meta` file: files and folders, except hidden ones and those that end in `~`, and the
/// paths of all plugins.
fn wanted(package: &Path) -> Outcome<Vec<String>> {
    let mut wanted: Vec<String> =
        files(package)?.into_iter().filter(|path| !path.ends_with(".meta")).collect();
    for plugin in PLUGINS {
        let mut path = Path::new(plugin.path);
        while !path.as_os_str().is_empty() {
            wanted.push(path.to_string_lossy().into_owned());
            path = path.parent().unwrap_or(Path::new(""));
        }
    }
    wanted.sort();
    wanted.dedup();
    Ok(wanted)
}

/// Lists files and folders by their path in the package.
fn files(package: &Path) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let full = package.join(&folder);
        for entry in files::list(&full)? {
            let name = files::name(&entry);
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let path = folder.join(&name);
            found.push(path.to_string_lossy().replace('\\', "/"));
            if entry.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn text(package: &Path, path: &str) -> String {
    let plugin = PLUGINS.iter().find(|plugin| plugin.path == path);
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let body = match (plugin, extension) {
        (Some(plugin), _) => return plugin_text(plugin),
        (None, "cs") => {
            "MonoImporter:\n  externalObjects: {}\n  serializedVersion: 2\n  defaultReferences: []\n  \
             executionOrder: 0\n  icon: {instanceID: 0}\n"
        }
        (None, "asmdef") => "AssemblyDefinitionImporter:\n  externalObjects: {}\n",
        (None, "json") => "PackageManifestImporter:\n  externalObjects: {}\n",
        (None, "md") => "TextScriptImporter:\n  externalObjects: {}\n",
        _ if is_folder(package, path) => "folderAsset: yes\nDefaultImporter:\n  externalObjects: {}\n",
        _ => "DefaultImporter:\n  externalObjects: {}\n",
    };
    format!("fileFormatVersion: 2\nguid: {}\n{body}{TAIL}", guid(path))
}

const TAIL: &str = "  userData: \n  assetBundleName: \n  assetBundleVariant: \n";

fn is_folder(package: &Path, path: &str) -> bool {
    package.join(path).is_dir() || PLUGINS.iter().any(|plugin| Path::new(plugin.path).starts_with(path))
}

fn plugin_text(plugin: &Plugin) -> String {
    let (player, cpu) = plugin.player;
    let mut text = format!(
        "fileFormatVersion: 2\nguid: {}\nPluginImporter:\n  externalObjects: {{}}\n  serializedVersion: 2\n  \
         iconMap: {{}}\n  executionOrder: {{}}\n  defineConstraints: []\n  isPreloaded: 0\n  isOverridable: 0\n  \
         isExplicitlyReferenced: 0\n  validateReferences: 1\n  platformData:\n",
        guid(plugin.path)
    );
    let mut platform = |name: &str, enabled: bool, settings: &[(&str, &str)]| {
        text += &format!("  - first:\n      {name}\n    second:\n      enabled: {}\n", u8::from(enabled));
        if settings.is_empty() {
            text += "      settings: {}\n";
            return;
        }
        text += "      settings:\n";
        for (key, value) in settings {
            text += &format!("        {key}: {value}\n");
        }
    };
    platform("Any: ", false, &[]);
    match plugin.editor {
        Some(system) => {
            let cpu = if system == "OSX" { "AnyCPU" } else { cpu };
            platform(
                "Editor: Editor",
                true,
                &[("CPU", cpu), ("DefaultValueInitialized", "true"), ("OS", system)],
            );
        }
        None => platform("Editor: Editor", false, &[("DefaultValueInitialized", "true")]),
    }
    match cpu {
        "" => platform(player, true, plugin.settings),
        cpu => platform(player, true, &[&[("CPU", cpu)], plugin.settings].concat()),
    }
    text + TAIL
}

/// FNV-1a of 128 bits over the path.
fn guid(path: &str) -> String {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for byte in b"com.framewire.websocket/".iter().chain(path.as_bytes()) {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a package in a temporary folder.
    fn scratch(name: &str) -> PathBuf {
        let folder = crate::run::scratch("unity-meta-test").unwrap().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("Runtime")).unwrap();
        fs::create_dir_all(folder.join("Samples~")).unwrap();
        for file in ["package.json", "Runtime/A.cs", "Samples~/B.cs"] {
            fs::write(folder.join(file), "").unwrap();
        }
        folder
    }

    #[test]
    fn written_meta_files_pass_the_check_unchanged() {
        let package = scratch("stays");
        assert!(check(&package).unwrap_err().contains("Runtime/A.cs has no .meta"));
        assert!(write_missing(&package).unwrap() > PLUGINS.len());
        assert_eq!(check(&package), Ok(()));
        assert_eq!(write_missing(&package), Ok(0));
        assert!(!package.join("Samples~.meta").exists() && !package.join("Samples~/B.cs.meta").exists());
    }

    #[test]
    fn libraries_for_phones_have_disjoint_cpus_and_their_settings() {
        let meta =
            |path: &str| plugin_text(PLUGINS.iter().find(|plugin| plugin.path.contains(path)).unwrap());
        for (path, cpu) in
            [("android-arm64", "ARM64"), ("android-armv7", "ARMv7"), ("android-x86_64", "X86_64")]
        {
            let text = meta(path);
            assert!(text.contains("      Android: Android\n    second:\n      enabled: 1\n"), "{text}");
            assert!(text.contains(&format!("        CPU: {cpu}\n")), "{text}");
            assert_eq!(text.contains("        Is16KbAligned: true\n"), cpu != "ARMv7", "{text}");
        }
        let ios = meta("Plugins/ios");
        assert!(ios.contains("      iPhone: iOS\n    second:\n      enabled: 1\n"), "{ios}");
        assert!(ios.contains("        FrameworkDependencies: CoreFoundation;Security;\n"), "{ios}");
    }

    #[test]
    fn message_about_a_missing_library_names_files_and_targets_that_exist() {
        let source = files::text("bindings/unity/Runtime/Native/MissingLibrary.cs").unwrap();
        let mut paths = Vec::new();
        for line in source.lines().filter(|line| line.starts_with("            { \"")) {
            let words: Vec<&str> = line.split('"').collect();
            let path = format!("Runtime/Plugins/{}", words[5]);
            assert!(PLUGINS.iter().any(|plugin| plugin.path == path), "{line}");
            for triple in words[7].split(' ').filter(|triple| *triple != crate::web::TARGET) {
                let target = crate::dist::targets::Target::find(triple).unwrap();
                assert_eq!(target.unity, Some(path.as_str()), "{line}");
            }
            paths.push(path);
        }
        for plugin in PLUGINS.iter().filter(|plugin| plugin.path != WEB_SCRIPT) {
            assert!(paths.iter().any(|path| path == plugin.path), "{} has no message", plugin.path);
        }
    }

    #[test]
    fn committed_meta_files_of_plugins_are_the_written_ones() {
        for plugin in PLUGINS {
            let committed = files::text(format!("bindings/unity/{}.meta", plugin.path)).unwrap();
            assert_eq!(
                committed,
                plugin_text(plugin),
                "{}: delete it and run `cargo xtask unity-meta`",
                plugin.path
            );
        }
    }

    #[test]
    fn orphaned_meta_files_and_equal_guids_are_found() {
        let package = scratch("orphans");
        write_missing(&package).unwrap();
        fs::write(package.join("Runtime/Gone.cs.meta"), "guid: 0\n").unwrap();
        assert_eq!(check(&package).unwrap_err(), "Runtime/Gone.cs.meta has no file");
        fs::remove_file(package.join("Runtime/Gone.cs.meta")).unwrap();
        fs::copy(package.join("package.json.meta"), package.join("Runtime/A.cs.meta")).unwrap();
        assert!(check(&package).unwrap_err().contains("have the same guid"));
    }
}
