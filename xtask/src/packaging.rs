//! Checks the files for package managers: fields that they require, versions, and the recipes as far as their tools can
//! be had.

use std::path::Path;

use serde_json::Value;

use crate::files;
use crate::install;
use crate::python;
use crate::run::{Outcome, command, ensure, has, quietly, root, run, scratch};
use crate::schedule::{Problem, Tested};

const CONAN: &str = "conan==2.34.0";
const PORT: &str = "packaging/vcpkg/framewire";

/// Functions of vcpkg, which only its own program has. They check what they are called with.
const VCPKG: &str = r#"
set(PORT framewire)
function(vcpkg_cmake_configure)
  cmake_parse_arguments(ARG "" "SOURCE_PATH" "" ${ARGN})
  if(NOT EXISTS "${ARG_SOURCE_PATH}/CMakeLists.txt" OR NOT EXISTS "${ARG_SOURCE_PATH}/Cargo.toml")
    message(FATAL_ERROR "SOURCE_PATH is not the repository: ${ARG_SOURCE_PATH}")
  endif()
endfunction()
function(vcpkg_cmake_install)
endfunction()
function(vcpkg_fixup_pkgconfig)
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(ARG "" "" "FILE_LIST" ${ARGN})
  foreach(file ${ARG_FILE_LIST})
    if(NOT EXISTS "${file}")
      message(FATAL_ERROR "there is no ${file}")
    endif()
  endforeach()
endfunction()
"#;

/// Checks all files without their tools.
pub fn check() -> Outcome {
    versions()?;
    unity_package(&json("bindings/unity/package.json")?)?;
    godot_fields()?;
    portfile()
}

fn json(path: &str) -> Outcome<Value> {
    serde_json::from_str(&files::text(path)?).map_err(|error| format!("{path}: {error}"))
}

/// The version, the description and the licences are those of the crate.
fn versions() -> Outcome {
    let port = json(&format!("{PORT}/vcpkg.json"))?;
    for key in ["version", "description", "license"] {
        let own = install::package(key)?;
        if port[key] != own.as_str() {
            return Err(format!("{PORT}/vcpkg.json: {key} is {}, not {own:?}", port[key]));
        }
    }
    let recipe = files::text("packaging/conan/conanfile.py")?;
    for key in ["description", "license"] {
        let line = format!("{key} = {:?}", install::package(key)?);
        if !recipe.contains(&line) {
            return Err(format!("conanfile.py does not contain `{line}`"));
        }
    }
    Ok(())
}

/// Checks the fields that OpenUPM and Unity's package manager require.
fn unity_package(package: &Value) -> Outcome {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let mut faults = Vec::new();
    for key in ["name", "version", "displayName", "description", "unity", "license"] {
        if text(key).is_empty() {
            faults.push(format!("{key} is missing"));
        }
    }
    let is_name = |name: &str| {
        name.split('.').count() >= 3
            && name.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-_".contains(letter)
            })
    };
    if !is_name(text("name")) || text("displayName").len() > 50 {
        faults.push(
            "the name is not in reverse domain notation, or the display name has more than 50 letters".into(),
        );
    }
    if text("version") != install::package("version")? {
        faults.push(format!("version is {}", text("version")));
    }
    if package["author"]["name"].as_str().is_none()
        || package["keywords"].as_array().is_none_or(Vec::is_empty)
    {
        faults.push("author.name or keywords are missing".into());
    }
    for sample in package["samples"].as_array().into_iter().flatten() {
        let path = sample["path"].as_str().unwrap_or_default();
        if !root().join("bindings/unity").join(path).is_dir() {
            faults.push(format!("there is no sample {path:?}"));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("package.json: {}", faults.join("; "))) }
}

/// Compares the fields for Godot's Asset Library in the documentation with the addon.
fn godot_fields() -> Outcome {
    let page = files::text("docs/releasing.md")?;
    let extension = files::text("bindings/godot/addons/framewire/framewire.gdextension")?;
    let oldest = extension.lines().find_map(|line| line.strip_prefix("compatibility_minimum = "));
    let oldest = oldest.ok_or("framewire.gdextension has no compatibility_minimum")?.trim_matches('"');
    for needed in [
        format!("| Godot version | {oldest} |"),
        format!("framewire-godot-{}.zip", install::package("version")?),
    ] {
        if !page.contains(&needed) {
            return Err(format!("docs/releasing.md does not contain `{needed}`"));
        }
    }
    files::bytes("bindings/godot/addons/framewire/icons/framewire_socket.svg").map(drop)
}

/// Runs the portfile of vcpkg with [`VCPKG`] in place of its functions.
fn portfile() -> Outcome {
    if !has("cmake") {
        println!("the portfile is not run: cmake is missing");
        return Ok(());
    }
    let folder = scratch("packaging")?;
    let script = folder.join("portfile.cmake");
    let packages = folder.join("vcpkg");
    files::remove_folder(&packages)?;
    // CMAKE_CURRENT_LIST_DIR is the folder of the port.
    let include = format!("include(\"{}\")\n", root().join(PORT).join("portfile.cmake").display());
    files::write(&script, format!("{VCPKG}{include}"))?;
    let mut cmake = command("cmake");
    quietly(cmake.arg(format!("-DCURRENT_PACKAGES_DIR={}", packages.display())).arg("-P").arg(&script))?;
    files::text(packages.join("share/framewire/usage")).map(drop)
}

/// Builds the Conan package and a program that uses it, with the cheaper profile.
pub fn conan() -> Tested {
    ensure("g++", &["g++"]).map_err(Problem::Missing)?;
    ensure("cmake", &["cmake"]).map_err(Problem::Missing)?;
    let conan = python::environment("conan", &[CONAN]).map_err(Problem::Missing)?.join("bin/conan");
    let home = scratch("conan")?;
    let conan = |arguments: &[&str]| {
        let mut conan = command(&conan);
        conan.env("CONAN_HOME", &home).args(arguments);
        conan
    };
    quietly(&mut conan(&["profile", "detect", "--force"]))?;
    // No registry of Conan is needed.
    let _ = quietly(&mut conan(&["remote", "disable", "*"]));
    let shared = variables(&root().join("target/cmake/cargo"));
    // Conan builds the test package where it lies.
    let test = home.join("test_package");
    files::remove_folder(&test)?;
    for file in files::list("packaging/conan/test_package")?.iter().filter(|file| file.is_file()) {
        files::copy(file, test.join(files::name(file)))?;
    }
    let test = test.display().to_string();
    let create = [
        "create",
        "packaging/conan",
        "--test-folder",
        &test,
        "--settings",
        "build_type=Debug",
        "--settings",
        "compiler.cppstd=17",
        "--conf",
        &shared,
    ];
    Ok(run(&mut conan(&create))?)
}

/// Shares the dependencies with the step that tests CMake.
fn variables(built: &Path) -> String {
    format!(
        "tools.cmake.cmaketoolchain:extra_variables={{'FRAMEWIRE_CARGO_TARGET_DIR': \
         {{'value': '{}', 'cache': True, 'type': 'PATH', 'docstring': ''}}}}",
        built.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_for_package_managers_are_complete() {
        check().unwrap();
    }

    #[test]
    fn package_without_a_required_field_is_found() {
        let package = json("bindings/unity/package.json").unwrap();
        for key in ["displayName", "author", "keywords", "version"] {
            let mut wrong = package.clone();
            wrong[key] = Value::Null;
            assert!(unity_package(&wrong).is_err(), "{key}");
        }
    }
}
