//! `cargo xtask run`: the app, from a fresh clone.

use std::env;
use std::process::{ExitCode, ExitStatus};

use anyhow::{Result, bail};

use crate::packages::Purpose;
use crate::{command, setup};

/// Long enough for rates to settle, short enough to wait for.
const LOOPBACK_SECONDS: &str = "10";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install what is missing without asking.
    #[arg(long, short)]
    yes: bool,
    /// Open the window. It has no calls yet; without this option Ahoy calls itself and reports how it went.
    #[arg(long)]
    window: bool,
    /// Passed on to `ahoy-cli loopback`, or to the window.
    #[arg(last = true)]
    args: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    if options.window && !has_display() {
        bail!("there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set). Leave --window out.");
    }
    let (package, purpose) =
        if options.window { ("ahoy", Purpose::Window) } else { ("ahoy-cli", Purpose::Run) };
    setup::prepare(purpose, options.yes)?;
    let mut program = command::cargo(["run", "--release", "--package", package, "--"]);
    if !options.window {
        program = program.args(["loopback", "--seconds", LOOPBACK_SECONDS]);
    }
    Ok(same_code(program.args(&options.args).with_input().status()?))
}

fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Our exit code for a program that ended like this: its own, so that scripts can tell a bad call from a bad build.
pub(crate) fn same_code(status: ExitStatus) -> ExitCode {
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => ExitCode::from(code),
        None => ExitCode::FAILURE,
    }
}
