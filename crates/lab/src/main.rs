//! `ahoy-lab`: run as `cargo xtask lab NAME`, which builds what it needs first.

#![forbid(unsafe_code)]

mod matrix;
mod page;
mod pair;
mod person;
mod report;
mod server;

use std::io::Write as _;
use std::process::ExitCode;

use ahoy_testkit::lab::nat::NatLab;
use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use self::report::Findings;

/// How many threads the waiting is done on; the calls are made by programs.
const THREADS: usize = 2;

/// Ahoy's labs. Exit code 0: all as expected; 1: a pair did not connect, or by a worse way than expected; 3: nothing could be
/// tried; 130: ended by Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "ahoy-lab", version, about)]
struct Cli {
    #[command(subcommand)]
    lab: Lab,
}

#[derive(Debug, Subcommand)]
enum Lab {
    /// Calls between all kinds of network that people are in, behind NATs and firewalls (docs/connectivity.md). Needs root
    Nat(Args),
}

#[derive(Debug, clap::Args)]
struct Args {
    #[command(flatten)]
    choice: matrix::Choice,

    /// Calls at the same time
    #[arg(long, value_name = "N", default_value_t = matrix::jobs(), value_parser = clap::value_parser!(i64).range(1..=matrix::MOST_JOBS))]
    jobs: i64,

    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,

    /// Put the matrix into docs/connectivity.md
    #[arg(long, conflicts_with_all = ["quick", "only", "pair"])]
    write: bool,
}

fn main() -> ExitCode {
    let Cli { lab: Lab::Nat(args) } = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let done = runtime.context("no threads can be had").and_then(|runtime| runtime.block_on(nat(&args)));
    match done {
        Ok(Some(findings)) if findings.failed == 0 => ExitCode::SUCCESS,
        Ok(Some(_)) => ExitCode::from(1),
        Ok(None) => ExitCode::from(130),
        Err(error) => {
            say(&format!("ahoy-lab: {error:#}"));
            ExitCode::from(3)
        }
    }
}

/// `None` where it was interrupted. Whatever runs is ended, and its networks are gone, when this returns.
async fn nat(args: &Args) -> Result<Option<Findings>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let outcomes = tokio::select! {
        outcomes = all(args) => outcomes?,
        _ = interrupt.recv() => return Ok(None),
        _ = terminate.recv() => return Ok(None),
    };
    let findings = Findings::of(outcomes);
    let mut out = std::io::stdout();
    writeln!(out, "{findings}")?;
    if args.write {
        page::write(&findings)?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&findings)?)?;
    }
    Ok(Some(findings))
}

async fn all(args: &Args) -> Result<Vec<pair::Outcome>> {
    let lab = tokio::task::block_in_place(NatLab::start).context("no networks can be made here")?;
    let server = server::Server::start(&lab).await?;
    Ok(matrix::run(&lab, &server, &args.choice.pairs(), args.jobs).await)
}

/// Tells how far a lab is, on standard error.
#[expect(clippy::print_stderr, reason = "a lab runs for minutes and should say what it does")]
fn say(line: &str) {
    eprintln!("{line}");
}
