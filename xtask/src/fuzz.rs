//! The suite "fuzz": each target of `fuzz/` runs for a while, from its seeds on.
//!
//! cargo-fuzz is made for nightly Rust. Without an address sanitizer, which safe Rust has little use for, it needs
//! nothing of it but coverage instrumentation, which stable has.

use anyhow::Result;

use crate::command::{self, Program};
use crate::counts::Counts;
use crate::workspace;

/// Long enough for some hundred thousand inputs of the quick targets.
const SECONDS_A_TARGET: u32 = 20;
/// An input that takes longer than this is a find, too.
const MOST_SECONDS_AN_INPUT: u32 = 10;

/// A subcommand of cargo-fuzz, which looks for `fuzz/` in the root.
fn cargo_fuzz(subcommand: &str) -> Program {
    command::cargo(["fuzz", subcommand]).in_folder(workspace::root())
}

/// Builds all targets, then runs one after another.
pub(crate) fn run() -> Result<Counts> {
    let targets = cargo_fuzz("list").read()?;
    cargo_fuzz("build").args(["--sanitizer=none"]).succeed()?;
    let mut counts = Counts::default();
    for target in targets.lines() {
        eprintln!("── {target}, {SECONDS_A_TARGET} s ──");
        let corpus = workspace::root().join("fuzz/corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        let success = cargo_fuzz("run")
            .args(["--sanitizer=none", target])
            .args([corpus, workspace::root().join("fuzz/seeds").join(target)])
            .args(["--", &format!("-max_total_time={SECONDS_A_TARGET}")])
            .args([format!("-timeout={MOST_SECONDS_AN_INPUT}")])
            .args(["-verbosity=0", "-print_final_stats=1"])
            .status_on_stderr()?
            .success();
        counts = counts + Counts { passed: u64::from(success), failed: u64::from(!success) };
    }
    Ok(counts)
}
