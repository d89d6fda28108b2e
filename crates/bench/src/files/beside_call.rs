//! A file beside a call over the same link: what it takes of what the call leaves, and what the call notices.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ahoy_client::loopback::{LoopbackConfig, LoopbackReport, Progress, Side, Signal, SignalPath, run_over};
use ahoy_client::{AudioSourceSpec, VideoSourceSpec};
use ahoy_media_types::Bitrate;
use ahoy_rtc::Uplink;
use ahoy_testkit::{LinkConfig, LinkHandle, UdpRelay};
use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ours::Ends;
use crate::network::{Purpose, read_log};
use crate::output::{Goal, Row, median};
use crate::over_link::carry;
use crate::say;

/// What the link carries, in bits per second.
const RATE: u64 = 2_000_000;
const DELAY: Duration = Duration::from_millis(25);
const QUEUE: Duration = Duration::from_millis(300);
/// How long a call lasts, when the file begins, and from when on its speed counts.
const LASTS: Duration = Duration::from_secs(50);
const FILE_FROM: Duration = Duration::from_secs(10);
const COUNTS_FROM: Duration = Duration::from_secs(15);
const COUNTS_TO: Duration = Duration::from_secs(48);
/// More than the link carries in that time.
pub(super) const FILE: u64 = 12_000_000;

/// Calls, by what their pictures take at most, in kb/s.
const CALLS: [(&str, u64); 3] = [
    ("2 Mb/s beside a call of 0.5", 250),
    ("2 Mb/s beside a call of 1.0", 700),
    ("2 Mb/s beside a call that could use more", 2_500),
];

/// Puts both ends on the link.
struct OverRelay(Arc<UdpRelay>);

impl SignalPath for OverRelay {
    fn carry(&mut self, from: Side, signal: Signal) -> Option<Signal> {
        carry(from, signal, |side, line| Ok(self.0.rewrite_candidate(side, line)?))
    }
}

/// What one call was like.
struct Noticed {
    /// From the microphone to the ear, of nineteen of twenty at most.
    sound_ms: f64,
    /// Of that, before the link.
    waits_ms: f64,
    freezes: f64,
    ssim: f64,
    /// Of what the call left, in percent.
    file: Option<f64>,
}

pub(super) fn run(file: &Path, clip: &Path, runs: u32, quick: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, kbps) in CALLS {
        let (mut shares, mut later, mut freezes, mut more_freezes) = (vec![], vec![], vec![], vec![]);
        let (mut seen, mut seen_alone) = (vec![], vec![]);
        let (mut waits, mut waits_alone) = (vec![], vec![]);
        for run in 0..if quick { 1 } else { runs } {
            let alone = call(kbps, clip, None, u64::from(run))?;
            let beside = call(kbps, clip, Some(file), u64::from(run))?;
            let share = beside.file.context("a file was sent")?;
            say(&format!(
                "{name}, run {}: {share:.0} % of what it leaves, sound {:.1} ms (alone {:.1}), of which {:.1} before the link ({:.1}), {} freezes (alone {}), SSIM {:.3} (alone {:.3})",
                run + 1,
                beside.sound_ms,
                alone.sound_ms,
                beside.waits_ms,
                alone.waits_ms,
                beside.freezes,
                alone.freezes,
                beside.ssim,
                alone.ssim,
            ));
            shares.push(share);
            waits.push(beside.waits_ms);
            waits_alone.push(alone.waits_ms);
            later.push(beside.sound_ms - alone.sound_ms);
            freezes.push(beside.freezes);
            more_freezes.push(alone.freezes);
            seen.push(beside.ssim);
            seen_alone.push(alone.ssim);
        }
        let alone = |values: &[f64]| median(values).map(|value| ("without", value));
        rows.extend([
            Row::new(name, "of what the call leaves", "%", median(&shares), None, Some(Goal::AtLeast(70.0))),
            Row::new(
                name,
                "sound waits before the link, p95",
                "ms",
                median(&waits),
                alone(&waits_alone),
                None,
            ),
            Row::new(name, "sound later, p95", "ms", median(&later), None, Some(Goal::AtMost(15.0))),
            Row::new(name, "freezes", "", median(&freezes), alone(&more_freezes), Some(Goal::AtMost(0.0))),
            Row::new(name, "SSIM as seen", "", median(&seen), alone(&seen_alone), None),
        ]);
    }
    Ok(rows)
}

fn call(kbps: u64, clip: &Path, file: Option<&Path>, seed: u64) -> Result<Noticed> {
    let link = || LinkConfig::builder().bps(RATE).delay(DELAY).queue(QUEUE).seed(seed).build();
    let relay = Arc::new(UdpRelay::start(link()?, link()?)?);
    let handle = relay.handle();
    let uplink = Uplink::default();
    let config = LoopbackConfig {
        duration: Some(LASTS),
        video: Some(VideoSourceSpec::File(clip.to_owned())),
        audio: Some(AudioSourceSpec::Chirps),
        bitrate: Bitrate::from_kbps(kbps)?,
        unknown_path: true,
        uplink: uplink.clone(),
        ..LoopbackConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (report, moved) = runtime.block_on(async {
        let (begun, mut begins) = watch::channel(None);
        let (_stay, cancel) = watch::channel(false);
        let mut over = OverRelay(Arc::clone(&relay));
        let calling = run_over(&config, &mut over, cancel, |progress| begin(&handle, &begun, &progress));
        let sending = async {
            let at = *begins.wait_for(Option::is_some).await?;
            let at = at.context("the call has begun")?;
            match file {
                Some(file) => send(file, &relay, &uplink, at).await.map(Some),
                None => Ok(None),
            }
        };
        let calling = async { anyhow::Ok(calling.await?) };
        tokio::try_join!(calling, sending)
    })?;
    let [packets, _] = read_log(&handle, 0.0);
    let zero = packets.first().map_or(0.0, |packet| packet.at);
    let within = |at: f64| (COUNTS_FROM.as_secs_f64()..COUNTS_TO.as_secs_f64()).contains(&(at - zero));
    let of_call = packets
        .iter()
        .filter(|packet| packet.delivered && within(packet.at) && packet.purpose != Purpose::Other)
        .map(|packet| packet.bits)
        .sum::<f64>();
    let left = RATE as f64 * (COUNTS_TO - COUNTS_FROM).as_secs_f64() - of_call;
    let sound = packets.iter().filter(|packet| within(packet.at) && packet.purpose == Purpose::Sound);
    let mut waits: Vec<f64> = sound.filter_map(|packet| packet.wait_ms).collect();
    waits.sort_by(f64::total_cmp);
    let waits_ms = *waits.get(waits.len() * 95 / 100).context("no sound came through")?;
    noticed(&report, waits_ms, moved.map(|bytes| bytes as f64 * 8.0 / left * 100.0))
}

/// The link is looked at from the moment at which the call is there.
fn begin(link: &LinkHandle, begun: &watch::Sender<Option<Instant>>, progress: &Progress) {
    if matches!(progress, Progress::Running { .. }) && begun.borrow().is_none() {
        link.start_headers();
        begun.send_replace(Some(Instant::now()));
    }
}

/// Sends a file while the call lasts; bytes that arrived while they counted.
async fn send(file: &Path, relay: &Arc<UdpRelay>, uplink: &Uplink, began: Instant) -> Result<u64> {
    let mut ends = Ends::connect(Some(Arc::clone(relay)), uplink.clone()).await?;
    let id = ends.offer(file).await?;
    sleep_until(began + FILE_FROM).await;
    ends.accept(id)?;
    let mut moved = [0; 2];
    for (moved, until) in moved.iter_mut().zip([COUNTS_FROM, COUNTS_TO]) {
        let end = sleep_until(began + until);
        tokio::pin!(end);
        let mut last = 0;
        loop {
            tokio::select! {
                view = ends.changed() => last = view?.moved,
                () = &mut end => break,
            }
        }
        *moved = last;
    }
    ends.close().await;
    Ok(moved[1] - moved[0])
}

fn noticed(report: &LoopbackReport, waits_ms: f64, file: Option<f64>) -> Result<Noticed> {
    let video = report.video.as_ref().context("the call had no pictures")?;
    let audio = report.audio.as_ref().context("the call had no sound")?;
    Ok(Noticed {
        waits_ms,
        sound_ms: audio.delay_ms.p95.context("the sound's delay was not measured")?,
        freezes: video.freezes as f64,
        ssim: video.ssim_seen.context("the pictures were not compared")?,
        file,
    })
}
