//! `ahoy-lab`: run as `cargo xtask lab NAME`, which builds what it needs first.

#![forbid(unsafe_code)]

mod matrix;
mod page;
mod pair;
mod person;
mod recover;
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

/// Ahoy's labs. With AHOY_LAB_LOGS=FOLDER in the environment, what the programs log is kept there; AHOY_LAB_LOG says what that is, as `ahoy-cli --log` does. Exit code 0: all as expected; 1: a pair did not connect, or by a worse way than expected; 3: nothing could be
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
    /// What becomes of calls when networks change under them, and relays die (docs/connectivity.md). Needs root
    Recover(RecoverArgs),
}

#[derive(Debug, clap::Args)]
struct RecoverArgs {
    /// Only this; may be given several times
    #[arg(long, value_name = "EVENT")]
    only: Vec<recover::Event>,

    /// Round trips of the side that it happens to, in milliseconds
    #[arg(long, value_name = "MS", value_delimiter = ',', default_value = "0,100")]
    rtt: Vec<u64>,

    /// How often each; what is told is the median
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=99))]
    runs: u64,

    /// Once each, without delay
    #[arg(long, conflicts_with_all = ["rtt", "runs"])]
    quick: bool,

    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
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
    let Cli { lab } = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let done = runtime.context("no threads can be had").and_then(|runtime| {
        runtime.block_on(async {
            match lab {
                Lab::Nat(args) => Ok(nat(&args).await?.map(|findings| findings.failed)),
                Lab::Recover(args) => recover(&args).await,
            }
        })
    });
    match done {
        Ok(Some(0)) => ExitCode::SUCCESS,
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

/// How many goals were missed; `None` where it was interrupted.
async fn recover(args: &RecoverArgs) -> Result<Option<usize>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let rows = tokio::select! {
        rows = all_recoveries(args) => rows?,
        _ = interrupt.recv() => return Ok(None),
        _ = terminate.recv() => return Ok(None),
    };
    let mut out = std::io::stdout();
    for row in &rows {
        writeln!(out, "{row}")?;
    }
    let missed = rows.iter().filter(|row| !row.met()).count();
    if args.json {
        let object = serde_json::json!({ "passed": rows.len() - missed, "failed": missed, "rows": rows });
        writeln!(out, "{object}")?;
    }
    Ok(Some(missed))
}

async fn all_recoveries(args: &RecoverArgs) -> Result<Vec<recover::Row>> {
    let events = if args.only.is_empty() { recover::Event::ALL.to_vec() } else { args.only.clone() };
    let (rtts, runs) = if args.quick { (vec![0], 1) } else { (args.rtt.clone(), args.runs) };
    let mut rows = Vec::new();
    for event in events {
        for rtt in &rtts {
            rows.push(recover::recover(event, std::time::Duration::from_millis(*rtt), runs).await?);
        }
    }
    Ok(rows)
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
