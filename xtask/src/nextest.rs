//! cargo-nextest, which runs the unit and integration tests: each in a process of its own, with time limits, and those
//! that share a device or the network one after another. Plain `cargo test` can do none of these.

use anyhow::{Context, Result};

use crate::command;
use crate::workspace;

/// The release that is installed where there is none; it builds with the Rust of rust-toolchain.toml.
const VERSION: &str = "0.9.143";

/// Installs it with cargo where it is missing.
pub(crate) fn install() -> Result<()> {
    if command::cargo(["nextest", "--version"]).succeeds() {
        return Ok(());
    }
    eprintln!(
        "Installing cargo-nextest {VERSION}, the test runner. It is built from source: this takes some minutes."
    );
    // It only starts processes: building it quickly is worth more than a quick runner. Self-update is left out.
    command::cargo(["install", "cargo-nextest", "--version", VERSION, "--locked"])
        .args(["--no-default-features", "--features=default-no-update"])
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .in_folder(&std::env::temp_dir()) // away from the workspace, whose settings are not meant for it
        .succeed()
        .context("cargo-nextest could not be installed; https://nexte.st offers ready-made programs")
}

/// Where the profile's report goes, as .config/nextest.toml says.
pub(crate) fn report(profile: &str) -> Result<std::path::PathBuf> {
    Ok(workspace::target()?.join("nextest").join(profile).join("junit.xml"))
}
