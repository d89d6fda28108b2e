//! `cargo xtask load`: builds the signaling server and what puts it under load, then the load tool takes over.

use std::process::ExitCode;

use anyhow::Result;

use crate::command::Program;
use crate::counts::Counts;
use crate::packages::Purpose;
use crate::{command, run, setup, workspace};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which scenario; `cargo xtask load help` lists them.
    scenario: String,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
    /// Install what is missing without asking.
    #[arg(long, short)]
    yes: bool,
    /// Passed on, such as `-- --rate 8000 --target hub`.
    #[arg(last = true)]
    args: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    setup::prepare(Purpose::Run, options.yes)?;
    let json = options.json.then_some("--json");
    let mut load = built()?.args([&options.scenario]).args(json).args(&options.args);
    Ok(run::same_code(load.status()?))
}

/// The load tool, after it and the server were built.
fn built() -> Result<Program> {
    command::cargo(["build", "--release", "--package", "ahoy-server", "--package", "ahoy-load"]).succeed()?;
    Ok(command::built(&workspace::target()?.join("release/ahoy-load")))
}

/// The scenarios of which it counts that nothing goes wrong for as long as they last: one test each.
pub(crate) fn soak() -> Result<Counts> {
    let scenarios: [&[&str]; 2] = [&["soak"], &["malformed", "--rate", "2000"]];
    let mut counts = Counts::default();
    for scenario in scenarios {
        eprintln!("── {} ──", scenario.join(" "));
        let success = built()?.args(scenario).status_on_stderr()?.success();
        counts = counts + Counts { passed: u64::from(success), failed: u64::from(!success) };
    }
    Ok(counts)
}
