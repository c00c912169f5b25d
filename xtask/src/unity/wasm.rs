//! Checks the binding's `[DllImport]` declarations for Unity's WebGL player with emscripten.
//!
//! IL2CPP turns each declaration into a C function of the same types. `Tests~/Lint/WasmAbi.cs` writes the same C from
//! the compiled assembly. C# itself is not run in a browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{csharp, mcs};
use crate::files;
use crate::run::{Outcome, has, quietly, root, scratch};
use crate::web::{self, Emscripten};

/// The assertions of `layout.cpp` that the errors in `PlantedWasm.cs` violate.
const PLANTED: &[&str] = &[
    "fw_socket: size",
    "fw_socket.id: type",
    "fw_error.os_code: offset",
    "fw_error.kind: offset",
    "fw_reconnect: alignment",
    "fw_reconnect.max_delay_ms: type",
    "fw_version: library framewire, not __Internal",
    "fw_socket_close: number of parameters",
    "fw_socket_close: parameter 0",
    "fw_socket_close: parameter 1",
    "fw_socket_latency_us: result",
    "fw_wait: parameter 0",
    "fw_segment_release: parameter 0",
    "fw_socket_send_text: parameter 1",
];

/// The targets of Unity: the usual one, and "WebAssembly 2023".
const MVP: &[&str] = &["-O0", "-sASSERTIONS=2"];
const WASM_2023: &[&str] =
    &["-O2", "-sWASM_BIGINT=1", "-fwasm-exceptions", "-mbulk-memory", "-mnontrapping-fptoint"];

/// Compares structs and functions with the header, on wasm32, and the check itself with known errors.
pub fn check_declarations() -> Outcome {
    let (real, planted) = generate("unity-wasm")?;
    compare(&Emscripten::Installed, &real, &planted)
}

fn compare(emscripten: &Emscripten, real: &Path, planted: &Path) -> Outcome {
    quietly(&mut compiler(emscripten, real))?;
    let Err(found) = quietly(&mut compiler(emscripten, planted)) else {
        return Err("the check for WebAssembly does not detect planted errors".to_owned());
    };
    let missed: Vec<&str> =
        PLANTED.iter().filter(|one| !found.contains(&format!("\"{one}\""))).copied().collect();
    if !missed.is_empty() {
        return Err(format!("the check for WebAssembly does not detect: {}\n{found}", missed.join(", ")));
    }
    println!("the declarations match framewire.h on wasm32; {} planted errors detected", PLANTED.len());
    Ok(())
}

/// Links the declarations with the library for browsers, where the linker compares the functions, and runs
/// a program in Node that calls each.
pub fn check_linked(emscripten: &Emscripten, library: &Path) -> Outcome {
    // Not the folder of the Unity step, which may run at the same time.
    let (real, planted) = generate("web/unity")?;
    compare(emscripten, &real, &planted)?;
    for flags in [MVP, WASM_2023] {
        let program = real.join("calls.js");
        quietly(linker(emscripten, &real, library).args(flags).arg("-o").arg(&program))?;
        if has("node") {
            let printed = quietly(Command::new("node").arg("--no-experimental-fetch").arg(&program))?;
            println!("C# declarations in Node, {}: {}", flags.join(" "), printed.trim());
        }
    }
    match quietly(linker(emscripten, &planted, library).arg("-o").arg(planted.join("calls.js"))) {
        Err(found) if found.contains("function signature mismatch: fw_socket_close") => Ok(()),
        Err(found) => Err(format!("the linker does not detect the planted function: {found}")),
        Ok(_) => Err("the linker accepts planted functions".to_owned()),
    }
}

/// Writes the C of the binding and that of the planted errors, and returns their folders.
fn generate(folder: &str) -> Outcome<(PathBuf, PathBuf)> {
    let folder = scratch(folder)?;
    let library = ["-target:library"];
    mcs(&folder, "wasm-abi.exe", &[], &csharp(&["Tests~/Lint/WasmAbi.cs"])?)?;
    let define = "-define:UNITY_5_3_OR_NEWER;UNITY_WEBGL";
    mcs(&folder, "UnityEngine.dll", &library, &csharp(&["Tests~/Stubs"])?)?;
    mcs(&folder, "WebGL.dll", &[library[0], define, "-r:UnityEngine.dll"], &csharp(&["Runtime"])?)?;
    mcs(&folder, "Planted.dll", &library, &csharp(&["Tests~/Lint/PlantedWasm.cs"])?)?;
    let write = |assembly: &str, name: &str| {
        let out = folder.join(name);
        files::create_folder(&out)?;
        let mut mono = Command::new("mono");
        quietly(mono.current_dir(&folder).args(["wasm-abi.exe", assembly]).arg(&out))?;
        Ok::<PathBuf, String>(out)
    };
    Ok((write("WebGL.dll", "real")?, write("Planted.dll", "planted")?))
}

fn compiler(emscripten: &Emscripten, folder: &Path) -> Command {
    let mut compiler = emscripten.emcc();
    compiler
        .args(["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-ferror-limit=0", "-I"])
        .arg(root().join("include"))
        .arg(folder.join("layout.cpp"));
    compiler
}

fn linker(emscripten: &Emscripten, folder: &Path, library: &Path) -> Command {
    let mut linker = emscripten.emcc();
    linker
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wl,--fatal-warnings"])
        .args(["-sALLOW_MEMORY_GROWTH=1", "-sEXIT_RUNTIME=1"])
        .arg(folder.join("calls.c"))
        .arg(library.join(web::LIBRARY))
        .arg("--js-library")
        .arg(library.join(web::SCRIPT_NAME));
    linker
}
