//! The script that all clients follow is C.

fn main() {
    println!("cargo:rerun-if-changed=../c/bench.c");
    println!("cargo:rerun-if-changed=../c/bench.h");
    println!("cargo:rerun-if-changed=../c/usage.h");
    cc::Build::new().file("../c/bench.c").define("_GNU_SOURCE", None).flag("-std=gnu11").compile("bench");
}
