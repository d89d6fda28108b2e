//! One file per subcommand.

pub(crate) mod account;
pub(crate) mod call;
pub(crate) mod capture;
pub(crate) mod chat;
mod connect;
pub(crate) mod contacts;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod join;
mod keyboard;
pub(crate) mod loopback;
pub(crate) mod rooms;
pub(crate) mod sign_in;
mod typist;
pub(crate) mod watch;

use std::io::Write as _;

use ahoy_client::account::AccountError;
use ahoy_client::signaling::SignalingError;
use anyhow::Result;
use serde::Serialize;
use tokio::sync::watch as watched;

use crate::Outcome;

/// How a program ends for which this went wrong: what a server refuses is another thing than no server.
pub(crate) fn outcome_of(error: &anyhow::Error) -> Outcome {
    let account = error.downcast_ref::<AccountError>().and_then(AccountError::refusal);
    let signaling = error.downcast_ref::<SignalingError>().and_then(SignalingError::refusal);
    match account.or(signaling) {
        Some(_) => Outcome::NotGood,
        None => Outcome::Impossible,
    }
}

/// Prints one line of JSON.
fn json_line(value: &impl Serialize) -> Result<()> {
    print_line(&serde_json::to_string(value)?)
}

/// Prints a line, at once also where the output is a pipe.
fn print_line(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Becomes true when the user presses Ctrl-C. A second Ctrl-C ends the program as usual.
fn cancelled_by_ctrl_c() -> watched::Receiver<bool> {
    let (sender, receiver) = watched::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Nobody listens any more when the command has ended at this very moment.
            let _ = sender.send(true);
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    receiver
}

/// Says something to a person where standard output is for programs.
#[expect(clippy::print_stderr, reason = "standard output is for programs")]
fn complain(words: &str) {
    eprintln!("ahoy-cli: {words}");
}
