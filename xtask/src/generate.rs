//! `cargo xtask generate`: files in the repository that our own code writes. Each has a test that compares it with what
//! would be written, and that writes it instead when [`WRITE`] is set, so that nothing is built twice to check them.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command;

/// The environment variable that lets those tests write.
const WRITE: &str = "AHOY_GENERATE";

/// A file, and the cargo test that keeps it.
const FILES: [(&str, [&str; 4]); 3] = [
    ("docs/loopback-report.schema.json", ["--package=ahoy-cli", "--test=it", "--", "schema"]),
    ("ui/src/backend/bindings.ts", ["--package=ahoy", "--lib", "--", "the_window_knows_the_same_types"]),
    ("ui/src/backend/protocol.ts", ["--package=ahoy-signal", "--test=typescript", "--", "pages_know"]),
];

pub(crate) fn main() -> Result<ExitCode> {
    for (file, test) in FILES {
        command::cargo(["test", "--quiet"])
            .args(test)
            .env(WRITE, "1")
            .succeed()
            .with_context(|| format!("{file} could not be generated"))?;
        eprintln!("{file} is what the code says.");
    }
    Ok(ExitCode::SUCCESS)
}
