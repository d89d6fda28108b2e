//! The loopback bench: `ahoy-cli loopback` and a page in Chromium that calls itself, in turn, with the same clip, codec,
//! size, rate and bitrate cap.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ahoy_measure::stamp;
use ahoy_media::scale::Scaler;
use ahoy_media::y4m::{Y4mReader, Y4mWriter};
use ahoy_media_types::{FrameId, FrameRate, FrameSize, I420Buffer, MediaTime};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::footprint::Calls;
use crate::output::{Goal, Row, median};
use crate::window_call::Setting;
use crate::{mouth_to_ear, say};

/// Name of the peer in the rows.
const CHROMIUM: &str = "Chromium";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs of each side, in turn
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Leave Chromium out
    #[arg(long)]
    no_peer: bool,
    /// Only the case of this name
    #[arg(long)]
    case: Option<String>,
}

/// What is called with.
struct Case {
    name: &'static str,
    size: &'static str,
    bitrate_kbps: u32,
    /// Calls at the same time.
    calls: usize,
    /// Whether the goals are for this case; the others are reported.
    judged: bool,
}

const CASES: [Case; 3] = [
    Case { name: "720p30", size: "1280x720", bitrate_kbps: 1500, calls: 1, judged: true },
    Case { name: "1080p30", size: "1920x1080", bitrate_kbps: 3000, calls: 1, judged: false },
    Case { name: "4x360p30", size: "640x360", bitrate_kbps: 500, calls: 4, judged: false },
];

/// A figure: its name, its place in either side's JSON, and what it has to be in a judged case.
struct Figure {
    metric: &'static str,
    unit: &'static str,
    at: &'static str,
    /// How the figures of calls at the same time come together.
    together: Together,
    goal: Option<Goal>,
}

#[derive(Clone, Copy)]
enum Together {
    Sum,
    Worst,
    Mean,
}

const fn figure(
    metric: &'static str,
    unit: &'static str,
    at: &'static str,
    together: Together,
    goal: Option<Goal>,
) -> Figure {
    Figure { metric, unit, at, together, goal }
}

const FIGURES: [Figure; 16] = [
    figure("sent frames delivered", "%", "/delivered_percent", Together::Mean, Some(Goal::AtLeast(99.9))),
    // The encoder leaves pictures out where the bitrate would not do for all.
    figure("captured frames shown", "%", "/shown_percent", Together::Mean, None),
    figure("freezes", "", "/video/freezes", Together::Sum, Some(Goal::AtMost(0.0))),
    figure("frame rate", "fps", "/video/fps", Together::Mean, None),
    figure(
        "capture to decoded p50",
        "ms",
        "/video/decoded_latency_ms/p50",
        Together::Mean,
        Some(Goal::AtMost(20.0)),
    ),
    figure(
        "capture to decoded p95",
        "ms",
        "/video/decoded_latency_ms/p95",
        Together::Worst,
        Some(Goal::AtMost(35.0)),
    ),
    figure("capture to screen p50", "ms", "/video/latency_ms/p50", Together::Mean, None),
    figure("capture to screen p95", "ms", "/video/latency_ms/p95", Together::Worst, None),
    figure("call start to first frame", "ms", "/setup_ms/total", Together::Worst, Some(Goal::AtMost(300.0))),
    figure("PSNR-Y", "dB", "/video/psnr_y_db", Together::Mean, Some(Goal::AtLeast(38.0))),
    figure("SSIM", "", "/video/ssim", Together::Mean, None),
    figure("video bitrate", "kbit/s", "/video/bitrate_kbps", Together::Mean, None),
    figure("mouth to ear without devices p50", "ms", "/audio/delay_ms/p50", Together::Mean, None),
    figure("sound concealed", "ratio", "/audio/concealed_ratio", Together::Worst, None),
    figure("CPU, both ends", "cores", "/cpu_cores", Together::Sum, Some(Goal::AtMost(0.6))),
    figure("peak memory", "MB", "/peak_rss_mb", Together::Sum, Some(Goal::AtMost(150.0))),
];

pub(crate) fn run(args: &Args, quick: bool) -> Result<Vec<Row>> {
    let (runs, seconds) = if quick { (1, 6) } else { (args.runs.max(1), args.seconds) };
    let folder = tempfile::tempdir().context("no temporary folder could be made")?;
    let mut rows = Vec::new();
    let wanted = |case: &&Case| args.case.as_deref().map_or(!quick || case.judged, |name| name == case.name);
    let cases: Vec<&Case> = CASES.iter().filter(wanted).collect();
    if cases.is_empty() {
        let names: Vec<_> = CASES.iter().map(|c| c.name).collect();
        bail!("there is no such case; there are {}", names.join(", "));
    }
    let clip = ahoy_testkit::lab::Clip::find().context("the test clip can't be had")?;
    for case in cases {
        let stamped = stamp_clip(case, &clip.pictures, folder.path())?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 1..=runs {
            say(&format!("{}: run {run} of {runs}", case.name));
            ours.push(call_ours(case, seconds, &clip.pictures)?);
            if !args.no_peer {
                theirs.push(call_chromium(case, seconds, &stamped)?);
            }
        }
        std::fs::remove_file(&stamped).context("the prepared clip could not be removed")?;
        rows.extend(FIGURES.iter().map(|figure| row(case, figure, &ours, &theirs)));
        if case.judged {
            let program = built_programs()?.join("ahoy-cli");
            let mut delays = Vec::new();
            for run in 1..=runs {
                say(&format!("{}: sound devices, run {run} of {runs}", case.name));
                delays.push(mouth_to_ear::call(&program, &clip.pictures, folder.path(), seconds)?);
            }
            let goal = Some(Goal::AtMost(60.0));
            rows.push(Row::new(
                case.name,
                "mouth to ear over PulseAudio p50",
                "ms",
                median(&delays),
                None,
                goal,
            ));
            let setting = Setting::new(built_programs()?.join("ahoy"), &clip.pictures)?;
            let calls = Calls::make(&setting, &clip.pictures, folder.path(), runs, seconds, !args.no_peer)?;
            rows.extend(calls.rows());
        }
    }
    Ok(rows)
}

fn row(case: &Case, figure: &Figure, ours: &[Vec<Value>], theirs: &[Vec<Value>]) -> Row {
    let of = |runs: &[Vec<Value>]| {
        median(&runs.iter().filter_map(|calls| together(calls, figure)).collect::<Vec<_>>())
    };
    let peer = of(theirs).map(|value| (CHROMIUM, value));
    Row::new(case.name, figure.metric, figure.unit, of(ours), peer, figure.goal.filter(|_| case.judged))
}

/// One figure of calls that ran at the same time; `None` if any of them lacks it.
fn together(calls: &[Value], figure: &Figure) -> Option<f64> {
    let values: Option<Vec<f64>> = calls.iter().map(|call| call.pointer(figure.at)?.as_f64()).collect();
    let values = values.filter(|values| !values.is_empty())?;
    let sum: f64 = values.iter().sum();
    Some(match figure.together {
        Together::Sum => sum,
        Together::Mean => sum / values.len() as f64,
        Together::Worst => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    })
}

/// The folder that this program was built into, where its neighbours are.
pub(crate) fn built_programs() -> Result<PathBuf> {
    let me = std::env::current_exe().context("the program's own path is unknown")?;
    Ok(me.parent().context("the program has no folder")?.to_owned())
}

fn call_ours(case: &Case, seconds: u32, clip: &Path) -> Result<Vec<Value>> {
    let program = built_programs()?.join("ahoy-cli");
    let spawn = || {
        Command::new(&program)
            .args([
                "--no-log-file",
                "loopback",
                "--json",
                "--audio",
                "chirps",
                "--speaker",
                "null",
                "--fps",
                "30",
            ])
            .args(["--size", case.size, "--seconds", &seconds.to_string()])
            .args(["--bitrate", &case.bitrate_kbps.to_string()])
            .arg("--video")
            .arg(format!("file:{}", clip.display()))
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("{} can't be started: build it with cargo build --release", program.display())
            })
    };
    let calls: Vec<_> = (0..case.calls).map(|_| spawn()).collect::<Result<_>>()?;
    calls
        .into_iter()
        .map(|call| {
            let output = call.wait_with_output().context("a call was lost")?;
            let mut report = last_json(&output.stdout)?;
            let frames = |name: &str| report.pointer(name).and_then(Value::as_f64);
            let (sent, captured) = (frames("/video/frames_sent"), frames("/video/frames_captured"));
            let rendered = frames("/video/frames_rendered");
            let share = |of: Option<f64>| match (rendered, of.filter(|of| *of > 0.0)) {
                (Some(rendered), Some(of)) => Value::from(rendered / of * 100.0),
                (_, _) => Value::Null,
            };
            (report["delivered_percent"], report["shown_percent"]) = (share(sent), share(captured));
            Ok(report)
        })
        .collect()
}

/// [`stamp_clip`] for calls in a window.
pub(crate) fn stamp_720p30(clip: &Path, folder: &Path) -> Result<PathBuf> {
    stamp_clip(&CASES[0], clip, folder)
}

/// The clip in the case's size, with a number in each picture by which Chromium's page tells one from the other. Chromium
/// plays it in a loop.
fn stamp_clip(case: &Case, clip: &Path, folder: &Path) -> Result<PathBuf> {
    let stamped = folder.join(format!("{}.y4m", case.name));
    let size: FrameSize = case.size.parse().context("the case's size is wrong")?;
    let input = File::open(clip).context("the test clip can't be read")?;
    let mut clip = Y4mReader::new(BufReader::new(input)).context("the test clip can't be read")?;
    let output = BufWriter::new(File::create(&stamped).context("there is no room for the prepared clip")?);
    let mut output = Y4mWriter::new(output, size, FrameRate::FPS_30)?;
    let (mut scaler, mut original) = (Scaler::new(), I420Buffer::black(clip.header().size));
    let mut picture = I420Buffer::black(size);
    let mut number = 0;
    while clip.next_frame(Some(&mut original))? {
        scaler.fit(&original, &mut picture);
        if !stamp::draw(&mut picture, FrameId(number), MediaTime::ZERO) {
            bail!("pictures of {size} are too small for numbers");
        }
        output.write_frame(&picture)?;
        number += 1;
    }
    output.finish()?.into_inner().context("there is no room for the prepared clip")?;
    Ok(stamped)
}

/// Has Chromium call itself: the page reports in the same form as `ahoy-cli`.
fn call_chromium(case: &Case, seconds: u32, clip: &Path) -> Result<Vec<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/self_call.mjs");
    let output = Command::new("node")
        .arg(&script)
        .args(["--size", case.size, "--seconds", &seconds.to_string()])
        .args(["--bitrate", &case.bitrate_kbps.to_string(), "--calls", &case.calls.to_string()])
        .arg("--clip")
        .arg(clip)
        .stderr(Stdio::inherit())
        .output()
        .context("node can't be started: cargo xtask setup --for test installs what this bench needs")?;
    match last_json(&output.stdout)? {
        Value::Array(calls) => Ok(calls),
        call => Ok(vec![call]),
    }
}

fn last_json(stdout: &[u8]) -> Result<Value> {
    let text = String::from_utf8_lossy(stdout);
    let line =
        text.lines().rev().find(|line| line.starts_with(['{', '['])).context("a call gave no report")?;
    serde_json::from_str(line).context("a call's report can't be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_at_the_same_time_come_together_as_their_figure_says() {
        let calls = [serde_json::json!({"a": 1.0}), serde_json::json!({"a": 3.0})];
        let of = |together_as| together(&calls, &figure("m", "", "/a", together_as, None));
        assert_eq!(of(Together::Sum), Some(4.0));
        assert_eq!(of(Together::Mean), Some(2.0));
        assert_eq!(of(Together::Worst), Some(3.0));
        assert_eq!(together(&calls, &figure("m", "", "/b", Together::Sum, None)), None);
    }

    #[test]
    fn the_report_is_the_last_json_line() {
        assert_eq!(last_json(b"noise\n{\"a\":1}\n").unwrap()["a"], 1);
        assert!(last_json(b"noise\n").is_err());
    }
}
