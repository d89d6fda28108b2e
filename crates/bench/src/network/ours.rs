//! Our side: a call to oneself over the link, in this program.

use std::path::Path;

use ahoy_client::loopback::{LoopbackConfig, LoopbackReport, Progress, SendingStats, run_over};
use ahoy_client::{AudioSourceSpec, VideoSourceSpec};
use ahoy_media_types::Bitrate;
use ahoy_testkit::{Direction, LinkConfig, LinkHandle, UdpRelay};
use anyhow::{Context as _, Result};
use tokio::sync::watch;

use super::cases::{Case, MOST_KBPS};
use super::measure::{Measured, Said, measure};
use crate::over_link::OverLink;

pub(crate) fn call(case: &Case, seed: u64, clip: &Path) -> Result<Measured> {
    let (there, back) = case.links(seed)?;
    let relay = UdpRelay::start(there.clone(), back.clone())?;
    let link = relay.handle();
    let config = config(case, clip)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (_stay, cancel) = watch::channel(false);
    let mut onlooker = Onlooker::new(link.clone(), there, back);
    let report = runtime.block_on(run_over(&config, &mut OverLink(relay), cancel, |progress| {
        onlooker.look(progress);
    }))?;
    let mut measured = measure(case, &link, onlooker.began()?, said(&report)?);
    measured.estimates = onlooker.estimates;
    Ok(measured)
}

pub(super) fn config(case: &Case, clip: &Path) -> Result<LoopbackConfig> {
    Ok(LoopbackConfig {
        duration: Some(case.lasts),
        video: Some(VideoSourceSpec::File(clip.to_owned())),
        audio: Some(AudioSourceSpec::Chirps),
        bitrate: Bitrate::from_kbps(MOST_KBPS)?,
        unknown_path: true,
        ..LoopbackConfig::default()
    })
}

/// What our receiving end says.
pub(super) fn said(report: &LoopbackReport) -> Result<Said> {
    let video = report.video.as_ref().context("the call had no pictures")?;
    let audio = report.audio.as_ref().context("the call had no sound")?;
    Ok(Said {
        freezes: video.freezes as f64,
        freeze_ms: video.freeze_ms,
        fps: Some(video.fps),
        concealed: Some(audio.concealed_ratio),
        ssim_seen: video.ssim_seen,
    })
}

/// Looks on while a call of ours lasts.
pub(super) struct Onlooker {
    link: LinkHandle,
    there: LinkConfig,
    back: LinkConfig,
    began: Option<f64>,
    /// What the sending side knew, at seconds.
    pub(super) estimates: Vec<(f64, SendingStats)>,
}

impl Onlooker {
    pub(super) fn new(link: LinkHandle, there: LinkConfig, back: LinkConfig) -> Self {
        Self { link, there, back, began: None, estimates: Vec::new() }
    }

    pub(super) fn look(&mut self, progress: Progress) {
        if let Progress::Stats(stats) = progress {
            self.estimates.extend(stats.sending.map(|sending| (stats.at_ms / 1e3, sending)));
        }
        // The schedule begins with the call.
        self.began.get_or_insert_with(|| {
            self.link.set(Direction::AToB, self.there.clone());
            self.link.set(Direction::BToA, self.back.clone());
            self.link.start_headers();
            self.link.clock().now().as_secs_f64()
        });
    }

    /// When the call began, by the link's clock.
    pub(super) fn began(&self) -> Result<f64> {
        self.began.context("the call never began")
    }
}
