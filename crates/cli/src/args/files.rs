//! Files to and from contacts.

use std::net::IpAddr;
use std::path::PathBuf;

use ahoy_signal::Handle;
use clap::Args;

use super::{SessionArgs, seconds};

/// How the other side is reached.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct WayArgs {
    /// Use only this address of this machine; may be given several times
    #[arg(long, value_name = "IP")]
    pub(crate) bind: Vec<IpAddr>,

    /// Go through a relay, so that the other side learns no address of this machine
    #[arg(long)]
    pub(crate) relay_only: bool,
}

#[derive(Debug, Args)]
#[command(after_help = SEND_HELP)]
pub(crate) struct SendArgs {
    /// Files and folders to send
    #[arg(value_name = "PATH", required_unless_present = "resume")]
    pub(crate) paths: Vec<PathBuf>,

    /// Whom to: the handle of one of your contacts
    #[arg(long, value_name = "HANDLE", required_unless_present = "resume")]
    pub(crate) to: Option<Handle>,

    /// Go on with what was not all sent when ahoy-cli ended the last time
    #[arg(long, conflicts_with_all = ["paths", "to"])]
    pub(crate) resume: bool,

    /// Give up if it is not all there within this time
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,

    #[command(flatten)]
    pub(crate) way: WayArgs,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = RECEIVE_HELP)]
pub(crate) struct ReceiveArgs {
    /// Put what comes into this folder
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) into: PathBuf,

    /// Only from this contact; what others offer goes on waiting
    #[arg(long, value_name = "HANDLE")]
    pub(crate) from: Option<Handle>,

    /// Take everything without asking
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Go on waiting after a transfer
    #[arg(long)]
    pub(crate) keep: bool,

    /// Give up if nothing is offered within this time
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) wait: Option<f64>,

    #[command(flatten)]
    pub(crate) way: WayArgs,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

const SEND_HELP: &str = "\
The other one need not be there yet: they are waited for. They accept with ahoy-cli receive. Ctrl-C cancels the transfer for \
both; what a lost connection, sleep or a crash interrupts goes on where it stopped (--resume after a crash).

Examples:
  ahoy-cli send holiday.mp4 --to grace
  ahoy-cli send ~/Pictures/2026 notes.txt --to grace --json
  ahoy-cli send --resume

Exit codes:
  0  all of it is there
  1  some of it is not: it was declined or cancelled, or a file could not be read or written
  2  the command line can't be understood
  3  nothing could be done: no connection to the server, or nothing to send
  130  ended by Ctrl-C";

const RECEIVE_HELP: &str = "\
Nothing that is there is overwritten: what comes by the same name gets a number. What was interrupted goes on by itself.

Examples:
  ahoy-cli receive --into ~/Downloads
  ahoy-cli receive --from ada --yes --json

Exit codes:
  0  all of it is here
  1  some of it is not, or nothing came in time
  2  the command line can't be understood
  3  nothing could be done: no connection to the server, or no such folder
  130  ended by Ctrl-C";
