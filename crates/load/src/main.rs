//! `ahoy-load`: run as `cargo xtask load SCENARIO`, which builds it and ahoy-server in release first.
//!
//! It sends requests when a schedule says so, whatever the server does (open loop), and counts every latency from the time
//! at which a request was to be sent: a server that stalls can't hide it by slowing its load down.

#![forbid(unsafe_code)]

mod accounts;
mod client;
mod cores;
mod crew;
mod drive;
mod error;
mod fleet;
mod frame;
mod glance;
mod hub;
mod ledger;
mod link;
mod report;
mod scenario;
mod schedule;
mod target;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::Report;
use crate::scenario::{Scenario, Setting};

/// Puts ahoy-server under load on one processor, from another. Exit code 0: measured; 1: measured, and something went wrong
/// that must not under any load, such as a delivery that was lost; 2: measured, but the load itself was the limit; 3: could
/// not be measured.
#[derive(Debug, Parser)]
#[command(name = "ahoy-load", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,

    #[command(flatten)]
    setting: Setting,

    /// Print one JSON object as the last line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Task {
    #[command(flatten)]
    Scenario(Scenario),
    /// Serve the plain axum hub that is measured in the server's place for comparison
    Hub,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.task {
        Task::Hub => hub::run().map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from),
        Task::Scenario(scenario) => measure(scenario, &cli),
    };
    done.unwrap_or_else(|error| {
        say(&format!("ahoy-load: {error:#}"));
        ExitCode::from(3)
    })
}

fn measure(scenario: Scenario, cli: &Cli) -> anyhow::Result<ExitCode> {
    cores::open_many_files()?;
    let report: Report = scenario.run(&cli.setting)?;
    let mut out = std::io::stdout();
    write!(out, "{report}")?;
    if cli.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    }
    Ok(ExitCode::from(match (report.faults.is_empty(), report.valid) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => 0,
    }))
}

/// Tells how far a load is, on standard error.
#[expect(clippy::print_stderr, reason = "a load runs for minutes and should say what it does")]
fn say(line: &str) {
    eprintln!("{line}");
}
