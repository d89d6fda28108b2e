//! How long a call takes to its first picture where packets need time: over an emulated link, signaling taking none, beside
//! Chromium over the same link in the same run.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ahoy_client::loopback::{LoopbackConfig, Side, Signal, SignalPath, run_over};
use ahoy_client::{AudioSourceSpec, VideoSourceSpec};
use ahoy_testkit::{LinkConfig, Side as LinkSide, UdpRelay};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tokio::sync::watch;

use crate::output::{Goal, Row, median};
use crate::say;

/// How long media flows in each of our calls: the first picture is long there.
const LASTS: Duration = Duration::from_millis(300);
/// Of the goal: what is not the network's.
const OWN_MS: f64 = 80.0;
/// Round trips of the goal: checks, DTLS 1.2 without its cookie, media.
const ROUND_TRIPS: f64 = 3.0;

pub(crate) fn rows(round_trips_ms: &[u64], calls: u32, clip: &Path, with_peer: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for round_trip in round_trips_ms {
        say(&format!("{calls} calls at a round trip of {round_trip} ms"));
        let half = Duration::from_millis(*round_trip) / 2;
        let mut ours = Vec::new();
        for _ in 0..calls {
            ours.push(our_call(half, clip)?);
        }
        let theirs = if with_peer { chromiums_calls(half, calls, clip)? } else { Vec::new() };
        let peer = median(&theirs).map(|value| ("Chromium", value));
        let limit = ROUND_TRIPS * *round_trip as f64 + OWN_MS;
        let case = format!("round trip {round_trip} ms");
        let median = median(&ours);
        let row = |metric, peer, goal| Row::new(&case, metric, "ms", median, peer, Some(goal));
        rows.push(row("first picture, median", None, Goal::AtMost(limit)));
        if with_peer {
            rows.push(row("first picture, beside Chromium", peer, Goal::RatioAtMost(1.0)));
        }
    }
    Ok(rows)
}

fn relay(half: Duration) -> Result<UdpRelay> {
    let link = || LinkConfig::builder().delay(half).build().context("a link can't be made");
    UdpRelay::start(link()?, link()?).context("a link can't be emulated")
}

/// Rewrites candidates so that packets go over the link.
struct OverLink(UdpRelay);

impl SignalPath for OverLink {
    fn carry(&mut self, from: Side, signal: Signal) -> Option<Signal> {
        let from = match from {
            Side::Caller => LinkSide::A,
            Side::Callee => LinkSide::B,
        };
        match signal {
            Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag } => {
                let candidate = self.0.rewrite_candidate(from, &candidate).ok()??;
                Some(Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag })
            }
            // Ours hold no candidates.
            description @ Signal::Description { .. } => Some(description),
        }
    }
}

fn our_call(half: Duration, clip: &Path) -> Result<f64> {
    let config = LoopbackConfig {
        duration: Some(LASTS),
        video: Some(VideoSourceSpec::File(clip.to_owned())),
        audio: Some(AudioSourceSpec::Tone),
        ..LoopbackConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (_stay, cancel) = watch::channel(false);
    let report = runtime
        .block_on(run_over(&config, &mut OverLink(relay(half)?), cancel, |_| {}))
        .context("no call")?;
    report.setup_ms.first_frame.context("no picture came")
}

/// What the script asks or tells.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Candidate { call: u32, from: String, line: String },
    Over { took: Vec<f64> },
}

fn chromiums_calls(half: Duration, calls: u32, clip: &Path) -> Result<Vec<f64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/rtt_call.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .args(["--calls", &calls.to_string()])
        .arg("--clip")
        .arg(clip)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("node can't be started: cargo xtask setup --for test installs what this bench needs")?;
    let mut answers = node.stdin.take().context("its input was asked for")?;
    let questions = BufReader::new(node.stdout.take().context("its output was asked for")?);
    // A link of its own for each call, as ours have.
    let mut link: Option<(u32, UdpRelay)> = None;
    let mut took = None;
    for line in questions.lines() {
        match serde_json::from_str(&line?).context("Chromium's calls say something else")? {
            Said::Candidate { call, from, line } => {
                if link.as_ref().is_none_or(|(of, _)| *of != call) {
                    link = Some((call, relay(half)?));
                }
                let side = if from == "a" { LinkSide::A } else { LinkSide::B };
                let relay = &link.as_ref().context("there is a link")?.1;
                let rewritten = relay.rewrite_candidate(side, &line)?;
                writeln!(answers, "{}", serde_json::to_string(&rewritten)?)?;
            }
            Said::Over { took: all } => took = Some(all),
        }
    }
    if !node.wait()?.success() {
        bail!("Chromium's calls failed");
    }
    took.context("Chromium's calls gave no report")
}
