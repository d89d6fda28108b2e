//! A file beside a call over the same link: what it takes of what the call leaves, and what the call notices; beside Chromium's,
//! whose data channel does not give way.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
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
use crate::network::{Packet, Purpose, Said, read_log};
use crate::output::{Goal, Row, median};
use crate::over_link::{carry, script};
use crate::say;

/// What the link carries, in bits per second.
const RATE: u64 = 2_000_000;
const DELAY: Duration = Duration::from_millis(25);
const QUEUE: Duration = Duration::from_millis(300);
/// How long a call lasts, when the file begins, and from when on its speed counts.
const LASTS: Duration = Duration::from_secs(40);
const FILE_FROM: Duration = Duration::from_secs(8);
const COUNTS_FROM: Duration = Duration::from_secs(13);
const COUNTS_TO: Duration = Duration::from_secs(38);
/// More than the link carries in that time.
pub(super) const FILE: u64 = 12_000_000;

/// Calls, by what their pictures take at most, in kb/s, and whether files go over QUIC.
const CALLS: [(&str, u64, bool); 4] = [
    ("2 Mb/s beside a call of 0.5", 250, true),
    ("2 Mb/s beside a call of 1.0", 700, true),
    ("2 Mb/s beside a call that could use more", 2_500, true),
    ("2 Mb/s beside a call of 1.0, data channels", 700, false),
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
    /// From the microphone to the ear, of nineteen of twenty at most, where that is known.
    sound_ms: Option<f64>,
    /// Of that, before the link.
    waits_ms: f64,
    freezes: f64,
    ssim: Option<f64>,
    /// What a file took of what the call left, in percent.
    file: Option<f64>,
}

/// Calls of one kind, with a file and without.
#[derive(Default)]
struct Runs {
    alone: Vec<Noticed>,
    beside: Vec<Noticed>,
}

impl Runs {
    fn middle(&self, of: impl Fn(&Noticed, &Noticed) -> Option<f64>) -> Option<f64> {
        let pairs = self.beside.iter().zip(&self.alone);
        median(&pairs.filter_map(|(beside, alone)| of(beside, alone)).collect::<Vec<_>>())
    }
}

pub(super) fn run(file: &Path, clip: &Path, runs: u32, quick: bool, alone: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, kbps, bulk) in CALLS {
        let (mut ours, mut chromium) = (Runs::default(), Runs::default());
        for run in 0..if quick { 1 } else { runs } {
            let seed = u64::from(run);
            ours.alone.push(call(kbps, bulk, clip, None, seed)?);
            ours.beside.push(call(kbps, bulk, clip, Some(file), seed)?);
            tell(name, "ours", run, &ours);
            // Chromium has nothing but data channels.
            if !alone && bulk {
                chromium.alone.push(chromium_call(kbps, clip, false, seed)?);
                chromium.beside.push(chromium_call(kbps, clip, true, seed)?);
                tell(name, "Chromium", run, &chromium);
            }
        }
        let row = |metric, unit, of: fn(&Noticed, &Noticed) -> Option<f64>, goal| {
            let peer = chromium.middle(of).map(|value| ("Chromium", value));
            Row::new(name, metric, unit, ours.middle(of), peer, goal)
        };
        rows.extend([
            row("of what the call leaves", "%", |beside, _| beside.file, Some(Goal::AtLeast(70.0))),
            row(
                "sound later, p95",
                "ms",
                |beside, alone| Some(beside.sound_ms? - alone.sound_ms?),
                Some(Goal::AtMost(15.0)),
            ),
            row("sound waits before the link, p95", "ms", |beside, _| Some(beside.waits_ms), None),
            row("the same without a file", "ms", |_, alone| Some(alone.waits_ms), None),
            row("freezes", "", |beside, _| Some(beside.freezes), Some(Goal::AtMost(0.0))),
            row("freezes without a file", "", |_, alone| Some(alone.freezes), None),
            row("SSIM as seen", "", |beside, _| beside.ssim, None),
            row("SSIM as seen without a file", "", |_, alone| alone.ssim, None),
        ]);
    }
    Ok(rows)
}

fn tell(name: &str, who: &str, run: u32, runs: &Runs) {
    let (Some(beside), Some(alone)) = (runs.beside.last(), runs.alone.last()) else { return };
    let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    say(&format!(
        "{name}, {who}, run {}: {} % of what it leaves, sound {} ms (alone {}), of which {:.1} before the link ({:.1}), \
         {} freezes (alone {}), SSIM {} (alone {})",
        run + 1,
        figure(beside.file),
        figure(beside.sound_ms),
        figure(alone.sound_ms),
        beside.waits_ms,
        alone.waits_ms,
        beside.freezes,
        alone.freezes,
        figure(beside.ssim),
        figure(alone.ssim),
    ));
}

fn link(seed: u64) -> Result<UdpRelay> {
    let link = || LinkConfig::builder().bps(RATE).delay(DELAY).queue(QUEUE).seed(seed).build();
    Ok(UdpRelay::start(link()?, link()?)?)
}

fn call(kbps: u64, bulk: bool, clip: &Path, file: Option<&Path>, seed: u64) -> Result<Noticed> {
    let relay = Arc::new(link(seed)?);
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
                Some(file) => send(file, bulk, &relay, &uplink, at).await.map(Some),
                None => Ok(None),
            }
        };
        let calling = async { anyhow::Ok(calling.await?) };
        tokio::try_join!(calling, sending)
    })?;
    let [packets, _] = read_log(&handle, 0.0);
    let counted = Counted::of(&packets)?;
    noticed(&report, &counted, moved.map(|bytes| bytes as f64 * 8.0))
}

/// Chromium calls itself, and sends a file over a data channel of the same connection.
fn chromium_call(kbps: u64, clip: &Path, file: bool, seed: u64) -> Result<Noticed> {
    let started: Mutex<Option<LinkHandle>> = Mutex::new(None);
    let watched = || -> Result<UdpRelay> {
        let relay = link(seed)?;
        let handle = relay.handle();
        handle.start_headers();
        *started.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
        Ok(relay)
    };
    let arguments = |node: &mut Command| {
        node.args(["--seconds", &LASTS.as_secs().to_string(), "--kbps", &kbps.to_string()]);
        node.arg("--clip").arg(clip);
        if file {
            node.args(["--file-from", &FILE_FROM.as_secs().to_string()]);
        }
    };
    let (said, _relay) = script::<Said>("network_call.mjs", arguments, watched)?;
    let handle = started.into_inner().unwrap_or_else(PoisonError::into_inner);
    let [packets, _] = read_log(&handle.context("Chromium never looked for a way")?, 0.0);
    let counted = Counted::of(&packets)?;
    Ok(Noticed {
        sound_ms: None,
        waits_ms: counted.waits_ms,
        freezes: said.freezes,
        ssim: said.ssim_seen,
        // With all headers, since what arrives is only counted here.
        file: file.then(|| counted.share(counted.others)),
    })
}

/// What came over the link while it counted.
struct Counted {
    /// Bits of the call, and of everything else.
    call: f64,
    others: f64,
    /// How long nineteen of twenty packets of sound waited at most.
    waits_ms: f64,
}

impl Counted {
    fn of(packets: &[Packet]) -> Result<Self> {
        let media = |packet: &&Packet| packet.purpose != Purpose::Other;
        let zero = packets.iter().find(media).context("nothing of the call came")?.at;
        let within = |at: f64| (COUNTS_FROM.as_secs_f64()..COUNTS_TO.as_secs_f64()).contains(&(at - zero));
        let counted: Vec<&Packet> =
            packets.iter().filter(|packet| packet.delivered && within(packet.at)).collect();
        let bits = |of_call: bool| {
            let of = counted.iter().filter(|packet| (packet.purpose != Purpose::Other) == of_call);
            of.map(|packet| packet.bits).sum::<f64>()
        };
        let sound = counted.iter().filter(|packet| packet.purpose == Purpose::Sound);
        let mut waits: Vec<f64> = sound.filter_map(|packet| packet.wait_ms).collect();
        waits.sort_by(f64::total_cmp);
        let waits_ms = *waits.get(waits.len() * 95 / 100).context("no sound came through")?;
        Ok(Self { call: bits(true), others: bits(false), waits_ms })
    }

    /// So many bits, of what the call left, in percent.
    fn share(&self, bits: f64) -> f64 {
        let left = RATE as f64 * (COUNTS_TO - COUNTS_FROM).as_secs_f64() - self.call;
        bits / left * 100.0
    }
}

/// The link is looked at from the moment at which the call is there.
fn begin(link: &LinkHandle, begun: &watch::Sender<Option<Instant>>, progress: &Progress) {
    if matches!(progress, Progress::Running { .. }) && begun.borrow().is_none() {
        link.start_headers();
        begun.send_replace(Some(Instant::now()));
    }
}

/// Sends a file while the call lasts; bytes that arrived while they counted.
async fn send(
    file: &Path,
    bulk: bool,
    relay: &Arc<UdpRelay>,
    uplink: &Uplink,
    began: Instant,
) -> Result<u64> {
    let mut ends = Ends::connect(Some(Arc::clone(relay)), uplink.clone(), bulk).await?;
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

fn noticed(report: &LoopbackReport, counted: &Counted, file_bits: Option<f64>) -> Result<Noticed> {
    let video = report.video.as_ref().context("the call had no pictures")?;
    let audio = report.audio.as_ref().context("the call had no sound")?;
    Ok(Noticed {
        sound_ms: audio.delay_ms.p95,
        waits_ms: counted.waits_ms,
        freezes: video.freezes as f64,
        ssim: video.ssim_seen,
        file: file_bits.map(|bits| counted.share(bits)),
    })
}
