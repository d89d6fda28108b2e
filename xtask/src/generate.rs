//! `cargo xtask generate`: files in the repository that a program of ours writes, and whether they are still what it
//! would write.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::counts::Counts;
use crate::{command, workspace};

/// A file and the program that prints it.
struct Generated {
    file: &'static str,
    program: &'static [&'static str],
}

const FILES: [Generated; 1] = [Generated {
    file: "docs/loopback-report.schema.json",
    program: &["run", "--quiet", "--package", "ahoy-cli", "--", "loopback", "--print-schema"],
}];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a file is not what would be written.
    #[arg(long)]
    check: bool,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let counts = generate(options.check)?;
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes each file anew or, with `check`, only sees whether it is as it should be.
pub(crate) fn generate(check: bool) -> Result<Counts> {
    let mut counts = Counts::default();
    for Generated { file, program } in FILES {
        let path = workspace::root().join(file);
        let text =
            command::cargo(program).read().with_context(|| format!("{file} could not be generated"))?;
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            eprintln!("{file} is up to date.");
        } else if check {
            eprintln!("{file} is not what is generated now. Run: cargo xtask generate");
            counts.failed += 1;
            continue;
        } else {
            fs::write(&path, text).with_context(|| format!("{file} could not be written"))?;
            eprintln!("{file} is written.");
        }
        counts.passed += 1;
    }
    Ok(counts)
}
