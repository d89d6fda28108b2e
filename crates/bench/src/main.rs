//! `ahoy-bench`: run as `cargo xtask bench NAME`, which builds what it needs in release first.

#![forbid(unsafe_code)]

mod files;
mod footprint;
mod idle;
mod intervals;
mod loopback;
mod mouth_to_ear;
mod network;
mod output;
mod over_link;
mod processes;
mod setup;
mod setup_over_links;
mod signaling;
mod window_call;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Ahoy's benches. Exit code 0: measured (met or not); 3: could not be measured.
#[derive(Debug, Parser)]
#[command(name = "ahoy-bench", version, about)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,

    /// A look in under a minute instead of a measurement: one run of each, shorter
    #[arg(long, global = true)]
    quick: bool,

    /// Print one JSON object as the last line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// A call to oneself on this machine: delivery, latency, picture, CPU and memory, beside Chromium's
    Loopback(loopback::Args),
    /// Files from one disk to another: loopback, long links, links that lose packets, beside Chromium's and rsync
    Files(files::Args),
    /// The window's start, memory, processor time and size, in a call beside Chromium's
    Footprint(footprint::Args),
    /// Calls over links that change or lose packets: what of the link is used, the queue before it, freezes, beside Chromium's
    Network(network::Args),
    /// ahoy-server under load on one processor: latency, processor time, memory, and what it takes, beside a plain hub
    Signaling(signaling::Args),
    /// From the press of a button to the first picture of the other one, between two windows, beside two pages of Chromium
    Setup(setup::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Bench::Network(args) = &cli.bench
        && args.list
    {
        return told(network::list().and_then(|list| Ok(write!(std::io::stdout(), "{list}")?)));
    }
    let machine = output::Machine::look();
    let measured = match cli.bench {
        Bench::Loopback(args) => loopback::run(&args, cli.quick).map(|rows| ("loopback", rows)),
        Bench::Files(args) => files::run(&args, cli.quick).map(|rows| ("files", rows)),
        Bench::Footprint(args) => footprint::run(&args, cli.quick).map(|rows| ("footprint", rows)),
        Bench::Network(args) => network::run(&args, cli.quick).map(|rows| ("network", rows)),
        Bench::Setup(args) => setup::run(&args, cli.quick).map(|rows| ("setup", rows)),
        Bench::Signaling(args) => signaling::run(&args, cli.quick).map(|rows| ("signaling", rows)),
    };
    let written = measured.and_then(|(bench, rows)| {
        let findings = output::Findings { bench, machine, rows };
        let mut out = std::io::stdout();
        writeln!(out, "{findings}")?;
        if cli.json {
            writeln!(out, "{}", serde_json::to_string(&findings)?)?;
        }
        Ok(())
    });
    told(written)
}

fn told(written: anyhow::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("ahoy-bench: {error:#}"));
            ExitCode::from(3)
        }
    }
}

/// Tells how far a bench is, on standard error.
#[expect(clippy::print_stderr, reason = "a bench runs for minutes and should say what it does")]
fn say(line: &str) {
    eprintln!("{line}");
}
