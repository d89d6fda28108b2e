//! `ahoy-cli`: everything the window can do, headless.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod event_lines;
mod password;
mod table;

use std::process::ExitCode;

use ahoy_client::diagnostics::{self, LogOptions};
use clap::Parser as _;

use crate::args::{Cli, Command};

/// How the program ends; the numbers are in `--help` and docs/loopback.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    NotGood,
    Impossible,
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(match outcome {
            Outcome::Good => 0,
            Outcome::NotGood => 1,
            Outcome::Impossible => 3,
            // 128 + SIGINT, as shells have it.
            Outcome::Interrupted => 130,
        })
    }
}

fn main() -> ExitCode {
    ahoy_client::memory::give_back_early();
    let cli = Cli::parse();
    let log = LogOptions {
        stderr: cli.log,
        file: "info".to_owned(),
        folder: if cli.no_log_file { None } else { diagnostics::log_folder() },
    };
    let _guard = match diagnostics::start(&log) {
        Ok(guard) => guard,
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(NETWORK_THREADS)
        .thread_name("ahoy-net")
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&anyhow::Error::new(error).context("the network threads could not be started"));
            return Outcome::Impossible.into();
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Devices(args) => commands::devices::run(&args),
            Command::Capture(args) => commands::capture::run(args).await,
            Command::Loopback(args) => commands::loopback::run(*args).await,
            Command::SignUp(args) => commands::sign_in::sign_up(args).await,
            Command::SignIn(args) => commands::sign_in::sign_in(args).await,
            Command::SignOut(args) => commands::sign_in::sign_out(args).await,
            Command::Account(args) => commands::account::run(args).await,
            Command::Contacts(args) => commands::contacts::run(args).await,
            Command::Rooms(args) => commands::rooms::run(args).await,
            Command::Join(args) => commands::join::run(args).await,
            Command::Chat(args) => commands::chat::run(args).await,
            Command::Message(args) => commands::history::message(args).await,
            Command::Messages(args) => commands::history::messages(args).await,
            Command::Calls(args) => commands::history::calls(args).await,
            Command::Watch(args) => commands::watch::run(args).await,
            Command::Call(args) => commands::call::call(*args).await,
            Command::Answer(args) => commands::call::answer(*args).await,
            Command::Send(args) => commands::files::send(args).await,
            Command::Receive(args) => commands::files::receive(args).await,
            Command::Doctor(args) => commands::doctor::run(args).await,
            Command::HangUp(args) => commands::call::hang_up(args).await,
        }
    });
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            complain(&error);
            commands::outcome_of(&error).into()
        }
    }
}

/// The network of a call is two sockets and some timers: two threads keep them apart from each other, and more would
/// only cost memory.
const NETWORK_THREADS: usize = 2;

/// Says an error with all its causes as one sentence on standard error.
#[expect(clippy::print_stderr, reason = "what the user asked for failed; this is the answer")]
fn complain(error: &dyn std::fmt::Display) {
    eprintln!("ahoy-cli: {error:#}");
}
