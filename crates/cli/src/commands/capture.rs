//! `ahoy-cli capture`.

use std::io::Write as _;
use std::time::Duration;

use ahoy_client::VideoFormat;
use ahoy_client::capture::{CaptureConfig, CaptureReport, capture};
use anyhow::Result;

use crate::args::CaptureArgs;
use crate::commands::cancelled_by_ctrl_c;
use crate::{Outcome, table};

pub(crate) async fn run(args: CaptureArgs) -> Result<Outcome> {
    let json = args.json;
    let config = CaptureConfig {
        video: args.video.into_option(),
        format: VideoFormat { size: args.picture.size, rate: args.picture.fps },
        video_out: args.video_out,
        audio: args.audio.into_option(),
        audio_out: args.audio_out,
        duration: Duration::from_secs_f64(args.seconds),
    };
    let cancel = cancelled_by_ctrl_c();
    let cancelled = cancel.clone();
    let report: CaptureReport = tokio::task::spawn_blocking(move || capture(&config, &cancel)).await??;
    let mut out = std::io::stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        out.write_all(table::capture(&report).as_bytes())?;
    }
    Ok(match (*cancelled.borrow(), report.ok, report.video.is_some() || report.audio.is_some()) {
        (true, _, _) => Outcome::Interrupted,
        (false, true, _) => Outcome::Good,
        (false, false, true) => Outcome::NotGood,
        (false, false, false) => Outcome::Impossible,
    })
}
