//! Refuses to build where openh264 would silently come out without its assembly.

#[path = "build_support/nasm.rs"]
mod nasm;

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build_support/nasm.rs");
    for variable in ["PATH", nasm::OPT_OUT] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let search_path = env::var_os("PATH").unwrap_or_default();
    let opted_out = env::var_os(nasm::OPT_OUT).is_some();
    if let Some(problem) = nasm::problem(&architecture, &search_path, opted_out, Path::is_file) {
        println!("cargo::error={problem}");
    }
}
