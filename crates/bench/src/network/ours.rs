//! Our side: a call to oneself over the link, in this program.

use std::path::Path;

use ahoy_client::loopback::{LoopbackConfig, Progress, run_over};
use ahoy_client::{AudioSourceSpec, VideoSourceSpec};
use ahoy_media_types::Bitrate;
use ahoy_testkit::{Direction, UdpRelay};
use anyhow::{Context as _, Result};
use tokio::sync::watch;

use super::cases::{Case, MOST_KBPS};
use super::measure::{Measured, Said, measure};
use crate::over_link::OverLink;

pub(crate) fn call(case: &Case, seed: u64, clip: &Path) -> Result<Measured> {
    let (there, back) = case.links(seed)?;
    let relay = UdpRelay::start(there.clone(), back.clone())?;
    let link = relay.handle();
    let config = LoopbackConfig {
        duration: Some(case.lasts),
        video: Some(VideoSourceSpec::File(clip.to_owned())),
        audio: Some(AudioSourceSpec::Chirps),
        bitrate: Bitrate::from_kbps(MOST_KBPS)?,
        unknown_path: true,
        ..LoopbackConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (_stay, cancel) = watch::channel(false);
    let mut began = None;
    let mut estimates = Vec::new();
    let report = runtime.block_on(run_over(&config, &mut OverLink(relay), cancel, |progress| {
        if let Progress::Stats(stats) = progress {
            estimates.extend(stats.sending.map(|sending| (stats.at_ms / 1e3, sending)));
        }
        // The schedule begins with the call.
        began.get_or_insert_with(|| {
            link.set(Direction::AToB, there.clone());
            link.set(Direction::BToA, back.clone());
            link.start_headers();
            link.clock().now().as_secs_f64()
        });
    }))?;
    let video = report.video.context("the call had no pictures")?;
    let audio = report.audio.context("the call had no sound")?;
    let said = Said {
        freezes: video.freezes as f64,
        freeze_ms: video.freeze_ms,
        fps: Some(video.fps),
        concealed: Some(audio.concealed_ratio),
    };
    let mut measured = measure(case, &link, began.context("the call never began")?, said);
    measured.estimates = estimates;
    Ok(measured)
}
