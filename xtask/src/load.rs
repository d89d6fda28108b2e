//! `cargo xtask load`: builds the signaling server and what puts it under load, then the load tool takes over.

use std::process::ExitCode;

use anyhow::Result;

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
    command::cargo(["build", "--release", "--package", "ahoy-server", "--package", "ahoy-load"]).succeed()?;
    let json = options.json.then_some("--json");
    let mut load = command::built(&workspace::target()?.join("release/ahoy-load"))
        .args([&options.scenario])
        .args(json)
        .args(&options.args);
    Ok(run::same_code(load.status()?))
}
