//! `cargo xtask lab`: builds the programs that are tried and the lab, then the lab takes over.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command::Program;
use crate::counts::Counts;
use crate::packages::Purpose;
use crate::{command, run, setup, workspace};

/// The lab and the programs that it starts from beside it.
const PROGRAMS: [&str; 3] = ["ahoy-lab", "ahoy-cli", "ahoy-server"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which lab: `nat`, calls between all kinds of network, or `recover`, calls under which the network changes
    /// (docs/connectivity.md). Both need root.
    name: String,
    /// `nat`: one pair for each of the reasons why calls come about, under a minute once built if all do. `recover`: each once.
    #[arg(long)]
    quick: bool,
    /// `nat`: only pairs of these kinds of network, such as `open,symmetric`. `recover`: only this event.
    #[arg(long, value_name = "KIND,KIND")]
    only: Option<String>,
    /// Put the matrix into docs/connectivity.md.
    #[arg(long)]
    write: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
    /// Try release builds.
    #[arg(long)]
    release: bool,
    /// Install what is missing without asking.
    #[arg(long, short)]
    yes: bool,
    /// Passed on to the lab, such as `-- --pair open:symmetric`; `-- --help` lists what it takes.
    #[arg(last = true)]
    args: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    setup::prepare(Purpose::Test, options.yes)?;
    let flags = [(options.quick, "--quick"), (options.write, "--write"), (options.json, "--json")];
    let only = options.only.iter().flat_map(|only| ["--only", only]);
    let mut lab = built(options.release)?
        .args([&options.name])
        .args(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag))
        .args(only)
        .args(&options.args);
    Ok(run::same_code(lab.status()?))
}

/// The lab, after it and what it tries were built. Development builds do: whether a call comes about does not depend on
/// speed, and the codecs are optimised in them.
fn built(release: bool) -> Result<Program> {
    // As part of the workspace, as the tests have them built: alone, dependencies would have other features and be built again.
    let programs = PROGRAMS.map(|program| ["--bin", program]).concat();
    let profile = release.then_some("--release");
    command::cargo(["build", "--workspace"]).args(programs).args(profile).succeed()?;
    let folder = if release { "release" } else { "debug" };
    Ok(command::built(&workspace::target()?.join(folder).join(PROGRAMS[0])))
}

/// Everything that a lab tries: one test each.
pub(crate) fn all_of(name: &str) -> Result<Counts> {
    if !command::is_root()? {
        anyhow::bail!(
            "the labs of networks need root: run `cargo xtask test {name}` as root, for example with sudo"
        );
    }
    let printed = built(false)?.args([name, "--json"]).read_whatever_comes_of_it()?;
    let findings = printed.lines().last().unwrap_or_default();
    let findings: serde_json::Value = serde_json::from_str(findings).context("the lab could try nothing")?;
    let number = |key: &str| findings[key].as_u64().with_context(|| format!("the lab tells no {key}"));
    Ok(Counts { passed: number("passed")?, failed: number("failed")? })
}
