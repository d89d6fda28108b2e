//! `cargo xtask bench`: release build, quiet machine, then the bench program takes over.

use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::counts::Counts;
use crate::packages::Purpose;
use crate::{clip, command, run, setup, workspace};

/// How long the machine is watched before a bench. Load averages would remember our own build for minutes.
const WATCHED: Duration = Duration::from_secs(3);
/// Above this share of all processors in use by others, figures say more about them than about us.
const BUSY: f64 = 0.10;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which bench; `cargo xtask bench help` lists them.
    name: String,
    /// A shorter run, under a minute once built.
    #[arg(long)]
    quick: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
    /// Measure although the machine is busy.
    #[arg(long)]
    force: bool,
    /// Install what is missing without asking.
    #[arg(long, short)]
    yes: bool,
    /// Passed on to the bench, from the first one on that is none of the above.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    // Benches have peers and clips that only the tests' set-up brings.
    setup::prepare(Purpose::Test, options.yes)?;
    let packages = packages(&options.name).map(|package| ["--package", package]);
    command::cargo(["build", "--release"]).args(packages.concat()).succeed()?;
    let busy = busy_share()?;
    if busy > BUSY && !options.force {
        bail!(
            "{:.0} % of this machine is busy with something else, so a measurement would mislead. \
             Wait until it is quiet, or use --force.",
            busy * 100.0
        );
    }
    let flags = [(options.quick, "--quick"), (options.json, "--json")];
    // Not `cargo run`, which would build it once more with the features of this one package.
    let mut bench = command::built(&workspace::target()?.join("release/ahoy-bench"))
        .args([&options.name])
        .args(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag))
        .args(&options.args)
        .env("AHOY_CLIPS", clip::folder()?);
    Ok(run::same_code(bench.status()?))
}

/// A look at one case of each group, at both sides: one test each, which passes if the calls came about and were measured. What
/// they were worth is kept where `bench network` keeps its runs. A development build does for that.
pub(crate) fn look_at_networks() -> Result<Counts> {
    if !command::is_root()? {
        bail!("calls beside TCP need network namespaces: run `cargo xtask test network` as root");
    }
    command::cargo(["build", "--workspace", "--bin", "ahoy-bench"]).succeed()?;
    let program = workspace::target()?.join("debug/ahoy-bench");
    let list = command::built(&program).args(["network", "--list"]).read()?;
    let mut counts = Counts::default();
    for group in groups(&list) {
        let mut look =
            command::built(&program).args(["network", "--quick", group]).env("AHOY_CLIPS", clip::folder()?);
        match look.status_on_stderr()?.success() {
            true => counts.passed += 1,
            false => counts.failed += 1,
        }
    }
    Ok(counts)
}

/// The groups of cases in what `bench network --list` says: the headings.
fn groups(list: &str) -> Vec<&str> {
    list.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.strip_suffix(':')).collect()
}

/// The bench program and the programs that it starts from beside it, as users have them.
fn packages(bench: &str) -> [&'static str; 3] {
    match bench {
        "setup" => ["ahoy-bench", "ahoy-server", "ahoy"],
        "signaling" => ["ahoy-bench", "ahoy-server", "ahoy-load"],
        _ => ["ahoy-bench", "ahoy-cli", "ahoy"],
    }
}

/// Share of all processor time, 0 to 1, that is in use while we only wait.
fn busy_share() -> Result<f64> {
    let (busy_before, all_before) = processor_time()?;
    thread::sleep(WATCHED);
    let (busy, all) = processor_time()?;
    Ok((busy - busy_before) as f64 / (all - all_before).max(1) as f64)
}

/// Ticks since boot in use, and all of them, from the first line of /proc/stat (proc(5)).
fn processor_time() -> Result<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat").context("benches measure on Linux only, for now")?;
    parse_processor_time(&stat).context("/proc/stat has no line about all processors")
}

fn parse_processor_time(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time after these is part of user time already.
    let all: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn what_is_not_ours_goes_to_the_bench() {
        let parsed = |line: &str| Line::parse_from(line.split(' ')).options;
        let options = parsed("bench network --quick traces --report --json");
        assert!(options.quick && !options.json);
        assert_eq!(
            (options.name.as_str(), options.args),
            ("network", vec!["traces".into(), "--report".into(), "--json".into()])
        );
        assert_eq!(parsed("bench network --json --report 5.1").args, ["--report", "5.1"]);
        assert_eq!(parsed("bench loopback -- --case 720p30").args, ["--case", "720p30"]);
        assert_eq!(parsed("bench help").args, Vec::<String>::new());
    }

    #[test]
    fn headings_of_the_list_are_groups() {
        let list = "rfc:\n  5.1                100 s  1.0, 2.5\ntraces:\n  trace-geo  60 s  x:\n2 cases; one call of each\n";
        assert_eq!(groups(list), ["rfc", "traces"]);
    }

    #[test]
    fn idle_and_waiting_time_is_not_busy() {
        let stat = "cpu  10 1 5 80 4 0 0 0 7 0\ncpu0 10 1 5 80 4 0 0 0 7 0\n";
        assert_eq!(parse_processor_time(stat), Some((16, 100)));
        assert_eq!(parse_processor_time("intr 1 2 3\n"), None);
    }
}
