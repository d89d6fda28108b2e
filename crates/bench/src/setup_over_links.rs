//! How long a call takes to its first picture where packets need time: over an emulated link, signaling taking none, beside
//! Chromium over the same link in the same run.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ahoy_client::loopback::{LoopbackConfig, run_over};
use ahoy_client::{AudioSourceSpec, VideoSourceSpec};
use ahoy_testkit::{LinkConfig, UdpRelay};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio::sync::watch;

use crate::output::{Goal, Row, median};
use crate::over_link::{OverLink, script};
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

/// What the script tells at its end.
#[derive(Deserialize)]
struct Over {
    took: Vec<f64>,
}

fn chromiums_calls(half: Duration, calls: u32, clip: &Path) -> Result<Vec<f64>> {
    let arguments = |node: &mut Command| {
        node.args(["--calls", &calls.to_string()]).arg("--clip").arg(clip);
    };
    let (over, _) = script::<Over>("rtt_call.mjs", arguments, || relay(half))?;
    Ok(over.took)
}
