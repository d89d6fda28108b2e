//! `ahoy-cli loopback`.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use ahoy_client::loopback::{self, LoopbackConfig, LoopbackReport, Progress, Recording};
use ahoy_client::{OpusFrameDuration, VideoFormat};
use anyhow::Result;

use crate::Outcome;
use crate::args::LoopbackArgs;
use crate::commands::cancelled_by_ctrl_c;
use crate::table;

pub(crate) async fn run(args: LoopbackArgs) -> Result<Outcome> {
    let mut out = std::io::stdout();
    if args.print_schema {
        out.write_all(LoopbackReport::json_schema().as_bytes())?;
        return Ok(Outcome::Good);
    }
    let json = args.json;
    let duration = Duration::from_secs_f64(args.seconds);
    let config = config(args, duration);
    let cancel = cancelled_by_ctrl_c();
    let show = !json && std::io::stderr().is_terminal();
    let report = loopback::run(&config, cancel, |progress| {
        if show {
            show_progress(&progress, duration);
        }
    })
    .await?;
    if show {
        clear_progress();
    }
    if json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        out.write_all(table::loopback(&report).as_bytes())?;
    }
    let connected = report.setup_ms.connected.is_some();
    Ok(match (report.cancelled, report.ok, connected) {
        (true, _, _) => Outcome::Interrupted,
        (false, true, _) => Outcome::Good,
        (false, false, true) => Outcome::NotGood,
        (false, false, false) => Outcome::Impossible,
    })
}

fn config(args: LoopbackArgs, duration: Duration) -> LoopbackConfig {
    LoopbackConfig {
        duration: Some(duration),
        thresholds: args.limits.thresholds(),
        video: args.video.into_option(),
        format: VideoFormat { size: args.picture.size, rate: args.picture.fps },
        bitrate: args.bitrate,
        audio: args.audio.into_option(),
        speaker: args.speaker,
        audio_packet: if args.audio_packet == "10" {
            OpusFrameDuration::Ms10
        } else {
            OpusFrameDuration::Ms20
        },
        record: args.record.map(Recording::at).unwrap_or_default(),
        ..LoopbackConfig::default()
    }
}

#[expect(clippy::print_stderr, reason = "progress belongs on the terminal, not in the report")]
fn show_progress(progress: &Progress, duration: Duration) {
    match progress {
        Progress::Connecting => eprint!("\r\x1b[KConnecting to myself …"),
        Progress::Running { elapsed, frames } => {
            eprint!(
                "\r\x1b[KIn call: {:.0} of {:.0} s, {frames} frames shown (Ctrl-C ends it)",
                elapsed.as_secs_f64(),
                duration.as_secs_f64()
            );
        }
        Progress::Ending => eprint!("\r\x1b[KHanging up …"),
        Progress::Changed(_) | Progress::Stats(_) => {}
    }
}

#[expect(clippy::print_stderr, reason = "progress belongs on the terminal, not in the report")]
fn clear_progress() {
    eprint!("\r\x1b[K");
}
