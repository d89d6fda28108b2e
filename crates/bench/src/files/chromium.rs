//! Chromium's: a page gives a file of the disk to another over a data channel, which writes it to its own part of the disk (OPFS).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ahoy_testkit::UdpRelay;
use anyhow::Result;
use serde::Deserialize;

use super::{Arrived, GIVE_UP};
use crate::over_link::script_over;

/// What the script tells at its end.
#[derive(Deserialize)]
struct Over {
    bytes: u64,
    seconds: f64,
}

pub(super) fn send(path: &Path, relay: Option<UdpRelay>) -> Result<Arrived> {
    let arguments = |node: &mut Command| {
        node.arg("--file").arg(path).args(["--seconds", &GIVE_UP.as_secs().to_string()]);
    };
    let Over { bytes, seconds } = script_over("files.mjs", arguments, |_, side, line| match &relay {
        Some(relay) => Ok(relay.rewrite_candidate(side, line)?),
        None => Ok(Some(line.to_owned())),
    })?;
    Ok(Arrived { bytes, took: Duration::from_secs_f64(seconds), memory: None })
}
