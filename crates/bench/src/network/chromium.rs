//! Chromium's side: a page that calls itself over the link.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use ahoy_testkit::{Direction, LinkHandle, UdpRelay};
use anyhow::{Context as _, Result};

use super::cases::Case;
use super::measure::{Measured, Said, measure};
use super::ours::MOST_KBPS;
use crate::over_link::script;

pub(crate) fn call(case: &Case, seed: u64, clip: &Path) -> Result<Measured> {
    let (there, back) = case.links(seed)?;
    // The schedule begins with the first candidate, which is half a second before media.
    let started: Mutex<Option<(LinkHandle, f64)>> = Mutex::new(None);
    let link = || -> Result<UdpRelay> {
        let relay = UdpRelay::start(there.clone(), back.clone())?;
        let handle = relay.handle();
        handle.set(Direction::AToB, there.clone());
        handle.start_headers();
        let began = handle.clock().now().as_secs_f64();
        *started.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((handle, began));
        Ok(relay)
    };
    let arguments = |node: &mut Command| {
        let seconds = case.lasts.as_secs().to_string();
        node.args(["--seconds", &seconds, "--kbps", &MOST_KBPS.to_string()]).arg("--clip").arg(clip);
    };
    let (said, _relay) = script::<Said>("network_call.mjs", arguments, link)?;
    let started = started.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (link, began) = started.context("Chromium never looked for a way")?;
    Ok(measure(case, &link, began, said))
}
