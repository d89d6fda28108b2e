//! Calls over emulated links: whoever calls is told other candidates than their own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ahoy_client::loopback::{Side, Signal, SignalPath};
use ahoy_testkit::{Side as LinkSide, UdpRelay};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Rewrites candidates of our calls so that packets go over the link.
pub(crate) struct OverLink(pub(crate) UdpRelay);

impl SignalPath for OverLink {
    fn carry(&mut self, from: Side, signal: Signal) -> Option<Signal> {
        carry(from, signal, |side, line| Ok(self.0.rewrite_candidate(side, line)?))
    }
}

/// Has `rewrite` say which candidate is told in place of one of ours.
pub(crate) fn carry(
    from: Side,
    signal: Signal,
    rewrite: impl FnOnce(LinkSide, &str) -> Result<Option<String>>,
) -> Option<Signal> {
    let from = match from {
        Side::Caller => LinkSide::A,
        Side::Callee => LinkSide::B,
    };
    match signal {
        Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag } => {
            let candidate = rewrite(from, &candidate).ok()??;
            Some(Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag })
        }
        // Ours hold no candidates.
        description @ Signal::Description { .. } => Some(description),
    }
}

/// What a script asks, or tells at its end.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said<T> {
    Candidate { call: u32, from: String, line: String },
    Over(T),
}

/// Where a script of tests/interop is.
pub(crate) fn script_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop").join(name)
}

/// Runs a script of tests/interop whose calls go over links: one made by `link` for each call. What it says at the end, and
/// the last link.
pub(crate) fn script<T: DeserializeOwned>(
    name: &str,
    arguments: impl FnOnce(&mut Command),
    link: impl Fn() -> Result<UdpRelay>,
) -> Result<(T, UdpRelay)> {
    let mut current: Option<(u32, UdpRelay)> = None;
    let told = script_over(name, arguments, |call, side, line| {
        if current.as_ref().is_none_or(|(of, _)| *of != call) {
            current = Some((call, link()?));
        }
        let relay = &current.as_ref().context("there is a link")?.1;
        Ok(relay.rewrite_candidate(side, line)?)
    })?;
    let (_, relay) = current.context("Chromium's calls never looked for a way")?;
    Ok((told, relay))
}

/// Runs such a script. `rewrite` gives the line that is used in place of a call's candidate, or that there is none.
pub(crate) fn script_over<T: DeserializeOwned>(
    name: &str,
    arguments: impl FnOnce(&mut Command),
    mut rewrite: impl FnMut(u32, LinkSide, &str) -> Result<Option<String>>,
) -> Result<T> {
    let mut node = Command::new("node");
    node.arg(script_path(name)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    arguments(&mut node);
    let mut node = node
        .spawn()
        .context("node can't be started: cargo xtask setup --for test installs what this bench needs")?;
    let mut answers = node.stdin.take().context("its input was asked for")?;
    let questions = BufReader::new(node.stdout.take().context("its output was asked for")?);
    let mut told = None;
    for line in questions.lines() {
        match serde_json::from_str(&line?).context("Chromium's calls say something else")? {
            Said::Candidate { call, from, line } => {
                let side = if from == "a" { LinkSide::A } else { LinkSide::B };
                let rewritten = rewrite(call, side, &line)?;
                writeln!(answers, "{}", serde_json::to_string(&rewritten)?)?;
            }
            Said::Over(all) => told = Some(all),
        }
    }
    if !node.wait()?.success() {
        bail!("Chromium's calls failed");
    }
    told.context("Chromium's calls gave no report")
}
