//! `cargo xtask run`: the app, from a fresh clone.

use std::env;
use std::process::{ExitCode, ExitStatus};

use anyhow::Result;

use crate::packages::Purpose;
use crate::{command, setup};

/// Long enough for rates to settle, short enough to wait for.
const LOOPBACK_SECONDS: &str = "10";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install what is missing without asking.
    #[arg(long, short)]
    yes: bool,
    /// Open the window even if no display is found.
    #[arg(long, conflicts_with = "no_window")]
    window: bool,
    /// Open no window: Ahoy calls itself for 10 seconds and reports how it went.
    #[arg(long)]
    no_window: bool,
    /// Passed on to the window, or without it to `ahoy-cli loopback`.
    #[arg(last = true)]
    args: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let window = wants_window(options, has_display());
    let (package, purpose) = if window { ("ahoy", Purpose::Window) } else { ("ahoy-cli", Purpose::Run) };
    if !window && !options.no_window {
        eprintln!(
            "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so without the window:"
        );
    }
    setup::prepare(purpose, options.yes)?;
    let mut program = command::cargo(["run", "--release", "--package", package, "--"]);
    if !window {
        program = program.args(["loopback", "--seconds", LOOPBACK_SECONDS]);
    }
    Ok(same_code(program.args(&options.args).with_input().status()?))
}

fn wants_window(options: &Options, has_display: bool) -> bool {
    options.window || (has_display && !options.no_window)
}

/// Whether there is a desktop to open a window on. Other systems than Unix with X11 or Wayland always have one.
fn has_display() -> bool {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(is_set)
}

/// Our exit code for a program that ended like this: its own, so that scripts can tell a bad call from a bad build.
pub(crate) fn same_code(status: ExitStatus) -> ExitCode {
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => ExitCode::from(code),
        None => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_opens_where_there_is_a_display_unless_it_is_not_wanted() {
        let options = |window, no_window| Options { yes: false, window, no_window, args: Vec::new() };
        assert!(wants_window(&options(false, false), true));
        assert!(!wants_window(&options(false, false), false));
        assert!(!wants_window(&options(false, true), true));
        assert!(wants_window(&options(true, false), false));
    }
}
