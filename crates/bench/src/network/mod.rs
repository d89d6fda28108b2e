//! Calls over links that change, are shared, or lose packets, seen from outside both ends: what of the link is used for media,
//! how long packets wait at its bottleneck, and how long the picture stands still; beside Chromium over the same links.
//!
//! The link is the testkit's, on loopback: every packet that either end sends goes through it, and its log says what became of
//! each. Pictures are real ones, so that rate control behaves as it does in calls.

mod cases;
mod chromium;
mod measure;
mod mixed;
mod ours;
#[cfg(test)]
mod pages;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::cases::{Case, Goals};
use self::measure::Measured;
use self::mixed::Mixed;
use crate::loopback::stamp_720p30;
use crate::output::{Goal, Row, median};
use crate::say;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Which cases, such as `5.1` or `loss-10`; all that there are unless given
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// Runs of each side in each case, in turns
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Leave Chromium out
    #[arg(long)]
    alone: bool,
    /// Mixed pairs as well: an end of ours that sends to Chromium, and the other way round
    #[arg(long, conflicts_with = "alone")]
    mixed: bool,
    /// Write each second of each run to this folder, as CSV
    #[arg(long, value_name = "FOLDER")]
    trace: Option<PathBuf>,
}

/// Above this share of all processors in use a run says more about them than about the network.
const BUSY: f64 = 0.80;

pub(crate) fn run(args: &Args, quick: bool) -> Result<Vec<Row>> {
    let original = ahoy_testkit::lab::Clip::find().context("the test clip can't be had")?.pictures;
    let temporary = tempfile::tempdir().context("no temporary folder could be made")?;
    let clip = stamp_720p30(&original, temporary.path())?;
    let cases = Case::chosen(&args.cases, quick)?;
    let runs = if quick { 1 } else { args.runs };
    if let Some(folder) = &args.trace {
        // Before minutes are spent on what can't be written.
        std::fs::create_dir_all(folder).with_context(|| format!("no folder at {}", folder.display()))?;
    }
    let mut rows = Vec::new();
    for case in &cases {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut mixed = Mixed::ALL.map(|pair| (pair, Vec::new()));
        for run in 1..=runs {
            say(&format!("{}: run {run} of {runs}, {} s", case.name, case.lasts.as_secs()));
            let seed = u64::from(run);
            ours.push(measured(case, "ahoy", seed, args.trace.as_deref(), || ours::call(case, seed, &clip))?);
            if !args.alone {
                let call = || chromium::call(case, seed, &clip);
                theirs.push(measured(case, "chromium", seed, args.trace.as_deref(), call)?);
            }
            for (pair, runs) in mixed.iter_mut().filter(|_| args.mixed) {
                let call = || mixed::call(case, seed, &clip, *pair);
                runs.push(measured(case, pair.name(), seed, args.trace.as_deref(), call)?);
            }
        }
        rows.extend(rows_of(case, &ours, &theirs));
        for (pair, runs) in mixed.iter().filter(|_| args.mixed) {
            let mut pair_case = case.clone();
            pair_case.name = format!("{}, {}", case.name, pair.name());
            // They are for calls of ours.
            pair_case.goals = Goals::default();
            rows.extend(rows_of(&pair_case, runs, &[]));
        }
    }
    Ok(rows)
}

/// Runs a call, again where the machine had no time for it.
fn measured(
    case: &Case,
    who: &str,
    seed: u64,
    trace: Option<&Path>,
    call: impl Fn() -> Result<Measured>,
) -> Result<Measured> {
    for _ in 0..3 {
        let before = crate::processes::processor_time()?;
        let run = call()?;
        let busy = crate::processes::busy_since(before)?;
        if let Some(folder) = trace {
            run.write(&folder.join(format!("{}-{who}-{seed}.csv", case.name)))?;
        }
        say(&format!("  {who}: {run}, processors {:.0} % busy", busy * 100.0));
        if busy <= BUSY {
            return Ok(run);
        }
        say("  it does not count: the processors were too busy");
    }
    bail!("this machine is too slow or too busy for {}", case.name)
}

fn rows_of(case: &Case, ours: &[Measured], theirs: &[Measured]) -> Vec<Row> {
    let row = |metric, unit, of: fn(&Measured) -> Option<f64>, goal| {
        let middle = |runs: &[Measured]| median(&runs.iter().filter_map(of).collect::<Vec<_>>());
        let peer = middle(theirs).map(|value| ("Chromium", value));
        Row::new(&case.name, metric, unit, middle(ours), peer, goal)
    };
    let goals = &case.goals;
    vec![
        row(
            "media of what the link carries",
            "%",
            |m| Some(m.utilisation * 100.0),
            goals.utilisation.map(Goal::AtLeast),
        ),
        row("queue, steady, p95", "ms", |m| Some(m.steady_queue_p95), goals.steady_queue.map(Goal::AtMost)),
        row("90 % of a rise after", "s", |m| m.rise_s, goals.rise.map(Goal::AtMost)),
        row(
            "queue a second after a drop, worst",
            "ms",
            |m| m.queue_after_drop,
            goals.after_drop.map(Goal::AtMost),
        ),
        row("packets lost to the queue", "%", |m| Some(m.queue_lost * 100.0), goals.lost.map(Goal::AtMost)),
        row("freezes", "", |m| m.freezes, goals.freezes.map(Goal::AtMost)),
        row("picture stood still", "ms/min", |m| m.frozen_ms_per_min, None),
        row("pictures shown", "1/s", |m| m.fps, None),
        row("SSIM as seen", "", |m| m.ssim_seen, None),
        row(
            "sound made up",
            "%",
            |m| m.concealed.map(|share| share * 100.0),
            goals.concealed.map(Goal::AtMost),
        ),
    ]
}
