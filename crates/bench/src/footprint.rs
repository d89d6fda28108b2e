//! What Ahoy takes of a computer: time to start and to close, memory and processor of the window and its web view, and the
//! size of what is installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::output::{Goal, Row, median};
use crate::window_call::{Setting, WindowCall, call_chromium};
use crate::{loopback, say};

const CHROMIUM: &str = "Chromium";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs of each side, in turn
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each call
    #[arg(long, default_value_t = 15)]
    seconds: u32,
    /// Leave Chromium out
    #[arg(long)]
    no_peer: bool,
}

pub(crate) fn run(args: &Args, quick: bool) -> Result<Vec<Row>> {
    let (runs, seconds) = if quick { (1, 5) } else { (args.runs.max(1), args.seconds) };
    let folder = tempfile::tempdir().context("no temporary folder could be made")?;
    let clip = ahoy_testkit::lab::Clip::find().context("the test clip can't be had")?;
    let setting = Setting::new(loopback::built_programs()?.join("ahoy"), &clip.pictures)?;
    let root = rustix::process::geteuid().is_root();
    if !root {
        say("only root can have the kernel forget files: the cold start is left out");
    }
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        say(&format!("start, run {run} of {runs}"));
        if root {
            cold.push(setting.start(true)?);
        }
        warm.push(setting.start(false)?);
    }
    say("idle window");
    let idle = setting.idle_cpu_percent(Duration::from_secs(if quick { 5 } else { 20 }))?;
    let peer = !args.no_peer;
    let calls = Calls::make(&setting, &clip.pictures, folder.path(), runs, seconds, peer)?;
    let at_most = |limit| Some(Goal::AtMost(limit));
    let mut rows = vec![
        Row::new("start", "cold start to usable window", "ms", median(&cold), None, at_most(700.0)),
        Row::new("start", "start with files in memory", "ms", median(&warm), None, None),
        Row::new("idle", "CPU of the open window", "%", Some(idle), None, at_most(0.5)),
    ];
    rows.extend(calls.rows());
    rows.push(Row::new("close", "closing in a call", "ms", calls.closing_ms(), None, at_most(2000.0)));
    rows.push(Row::new("size", "JavaScript, gzip", "KB", javascript_kb().ok(), None, at_most(120.0)));
    rows.push(Row::new("size", ".deb", "MB", deb_mb()?, None, at_most(15.0)));
    Ok(rows)
}

/// Calls in the window, and the same in a window of Chromium.
pub(crate) struct Calls {
    ours: Vec<WindowCall>,
    theirs: Vec<Value>,
}

impl Calls {
    /// Calls in turn.
    pub(crate) fn make(
        setting: &Setting,
        clip: &Path,
        folder: &Path,
        runs: usize,
        seconds: u32,
        with_peer: bool,
    ) -> Result<Self> {
        let stamped = with_peer.then(|| loopback::stamp_720p30(clip, folder)).transpose()?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 1..=runs {
            say(&format!("call in the window, run {run} of {runs}"));
            ours.push(setting.call(Duration::from_secs(u64::from(seconds)))?);
            if let Some(stamped) = &stamped {
                theirs.push(call_chromium(stamped, seconds)?);
            }
        }
        if let Some(stamped) = stamped {
            fs::remove_file(stamped).context("the prepared clip could not be removed")?;
        }
        Ok(Self { ours, theirs })
    }

    /// The figures of the calls.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let summary = |name: &str| self.of(|call| call.summary[name].as_f64());
        let row = |metric, unit, ours, peer: Option<&str>, goal| {
            let peer = peer.and_then(|at| self.peer(at)).map(|value| (CHROMIUM, value));
            Row::new("720p30 in the window", metric, unit, ours, peer, goal)
        };
        let at_most = |limit| Some(Goal::AtMost(limit));
        vec![
            row("Rust to drawn p50", "ms", summary("decode_ms"), None, at_most(10.0)),
            row("Rust to drawn p95", "ms", summary("decode_p95_ms"), None, at_most(20.0)),
            row("capture to drawn p50", "ms", summary("latency_ms"), None, None),
            row("frame rate", "fps", summary("fps"), Some("/video/fps"), None),
            row("freezes", "", summary("freezes"), Some("/video/freezes"), at_most(0.0)),
            row(
                "CPU, all processes",
                "cores",
                self.of(|call| Some(call.cpu_cores)),
                Some("/cpu_cores"),
                (!self.theirs.is_empty()).then_some(Goal::RatioAtMost(0.5)),
            ),
            row(
                "memory, all processes (PSS)",
                "MB",
                self.of(|call| Some(call.memory_mb)),
                Some("/peak_rss_mb"),
                at_most(180.0),
            ),
        ]
    }

    fn closing_ms(&self) -> Option<f64> {
        self.of(|call| Some(call.closing_ms))
    }

    fn of(&self, figure: impl Fn(&WindowCall) -> Option<f64>) -> Option<f64> {
        median(&self.ours.iter().filter_map(figure).collect::<Vec<_>>())
    }

    fn peer(&self, at: &str) -> Option<f64> {
        median(&self.theirs.iter().filter_map(|report| report.pointer(at)?.as_f64()).collect::<Vec<_>>())
    }
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All scripts of the built window, compressed one by one as a server would.
fn javascript_kb() -> Result<f64> {
    let mut bytes = 0;
    for entry in fs::read_dir(checkout().join("ui/dist/assets")).context("the window is not built")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "js") {
            let mut gzip = Command::new("gzip");
            gzip.args(["-9", "--stdout"]).stdin(File::open(&path)?).stdout(Stdio::piped());
            bytes += gzip.output().context("gzip can't be started")?.stdout.len();
        }
    }
    if bytes == 0 {
        bail!("the built window has no scripts");
    }
    Ok(bytes as f64 / 1e3)
}

/// The newest package that `cargo xtask dist` has made; `None` where there is none.
fn deb_mb() -> Result<Option<f64>> {
    let programs = loopback::built_programs()?;
    let folder = programs.parent().context("the programs are built in no folder")?.join("dist");
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    let packages = entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "deb"));
    let newest = packages.filter_map(|entry| entry.metadata().ok()).max_by_key(|file| file.modified().ok());
    Ok(newest.map(|file| file.len() as f64 / 1e6))
}
