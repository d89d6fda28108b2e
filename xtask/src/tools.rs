//! Cargo subcommands that are not part of Rust.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::packages::Purpose;
use crate::{command, workspace};

struct Tool {
    subcommand: &'static str,
    /// The release that is installed where there is none; it builds with the Rust of rust-toolchain.toml.
    version: &'static str,
    features: &'static [&'static str],
    purpose: Purpose,
    why: &'static str,
}

const TOOLS: [Tool; 3] = [
    Tool {
        subcommand: "nextest",
        version: "0.9.151",
        // Without replacing itself over the network, which is half of what there would be to compile.
        features: &["--no-default-features", "--features=default-no-update"],
        purpose: Purpose::Test,
        // Plain `cargo test` can do none of these.
        why: "runs each test in a process of its own, with time limits, and some one after another",
    },
    Tool {
        subcommand: "deny",
        version: "0.20.2",
        features: &[],
        purpose: Purpose::Full,
        why: "checks licences and sources of all dependencies",
    },
    Tool {
        subcommand: "fuzz",
        version: "0.13.2",
        features: &[],
        purpose: Purpose::Full,
        why: "feeds parsers with bytes that nobody would send",
    },
];

/// Installs with cargo what `purpose` needs and is missing.
pub(crate) fn install(purpose: Purpose) -> Result<()> {
    for tool in TOOLS.iter().filter(|tool| purpose.includes(tool.purpose)) {
        if !command::cargo([tool.subcommand, "--version"]).succeeds() {
            tool.install()?;
        }
    }
    Ok(())
}

impl Tool {
    fn install(&self) -> Result<()> {
        let (name, version) = (format!("cargo-{}", self.subcommand), self.version);
        eprintln!("Installing {name} {version}: {}.", self.why);
        eprintln!("It is built from source, which takes some minutes, once.");
        // Most of its work is to start others: building it quickly is worth more than a quick tool.
        command::cargo(["install", &name, "--version", version, "--locked"])
            .args(self.features)
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .in_folder(&env::temp_dir()) // away from the workspace, whose settings are not meant for it
            .succeed()
            .with_context(|| format!("{name} could not be installed"))
    }
}

/// Where nextest leaves the report of a profile: below the checkout, as .config/nextest.toml says, and not in cargo's
/// target directory.
pub(crate) fn nextest_report(profile: &str) -> PathBuf {
    workspace::root().join("target/nextest").join(profile).join("junit.xml")
}
