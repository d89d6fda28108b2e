//! The build script must stop the build, and say what to do, where openh264 would come out slow.

#[path = "../build_support/nasm.rs"]
mod nasm;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

#[test]
fn x86_without_nasm_is_refused_and_told_what_to_install() {
    for architecture in ["x86", "x86_64"] {
        let problem = nasm::problem(architecture, OsStr::new("/usr/bin"), false, |_| false).unwrap();
        for advice in ["sudo apt install nasm", "cargo xtask setup", nasm::OPT_OUT] {
            assert!(problem.contains(advice), "{problem}");
        }
    }
}

#[test]
fn nasm_is_looked_for_in_every_folder_of_the_search_path() {
    let path = std::env::join_paths(["/first", "/second"]).unwrap();
    let in_second = |file: &Path| file.starts_with("/second") && file.file_stem() == Some(OsStr::new("nasm"));
    assert_eq!(nasm::problem("x86_64", &path, false, in_second), None);
    assert!(nasm::problem("x86_64", OsStr::new("/first"), false, in_second).is_some());
}

#[test]
fn other_architectures_and_a_deliberate_opt_out_are_let_through() {
    assert_eq!(nasm::problem("aarch64", OsStr::new(""), false, |_| false), None);
    assert_eq!(nasm::problem("x86_64", OsStr::new(""), true, |_| false), None);
}

#[test]
fn the_real_build_script_reports_an_error_where_nasm_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("build-script");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let compiled = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "-o"])
        .args([&script, &source])
        .status()
        .unwrap();
    assert!(compiled.success());
    let run = |path: &Path| {
        let output = Command::new(&script)
            .env_clear()
            .env("CARGO_CFG_TARGET_ARCH", "x86_64")
            .env("PATH", path)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let without = run(folder.path());
    assert!(without.contains("cargo::error=nasm was not found"), "{without}");
    assert!(without.contains("cargo::rerun-if-env-changed=PATH"), "{without}");

    std::fs::write(folder.path().join(format!("nasm{}", std::env::consts::EXE_SUFFIX)), "").unwrap();
    let with = run(folder.path());
    assert!(!with.contains("cargo::error"), "{with}");
}
