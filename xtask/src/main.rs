//! `cargo xtask`: everything a developer, a tester or CI does with this repository, as commands.
//!
//! It builds in seconds on purpose: whatever needs the product's own code (benches, reports, schemas) is a program of
//! its own that is only started from here.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line tool")]

mod bench;
mod clip;
mod command;
mod counts;
mod dist;
mod fuzz;
mod generate;
mod lab;
mod load;
mod notices;
mod packages;
mod run;
mod setup;
mod suites;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets this machine up for Ahoy, runs it, tests it, measures it and packs it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing on this machine, saying what and why first.
    Setup(setup::Options),
    /// Build Ahoy and start it: the window or, where there is no display, a 10-second loopback call and its report.
    Run(run::Options),
    /// Install what the tests need, then run them all.
    Test(test::Options),
    /// Write the files that programs of ours generate, such as the schema of the call report.
    Generate,
    /// Measure Ahoy beside its peers (release build, quiet machine).
    Bench(bench::Options),
    /// Put the signaling server under load (release build): how much it bears, and what its users notice of it.
    Load(load::Options),
    /// Call between real programs in networks like those of real people: behind NATs and firewalls (Linux, root).
    Lab(lab::Options),
    /// Build Ahoy for release and make packages of it that people can install.
    Dist(dist::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Setup(options) => setup::main(&options),
        Task::Run(options) => run::main(&options),
        Task::Test(options) => test::main(&options),
        Task::Generate => generate::main(),
        Task::Bench(options) => bench::main(&options),
        Task::Load(options) => load::main(&options),
        Task::Lab(options) => lab::main(&options),
        Task::Dist(options) => dist::main(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
