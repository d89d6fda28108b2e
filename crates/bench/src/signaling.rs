//! The signaling server under load, by `ahoy-load`, beside the hub that one writes with axum in an afternoon.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::output::{Goal, Row, median};
use crate::{loopback, say};

/// Name of the peer in the rows.
const HUB: &str = "plain axum hub";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs of each side of the baseline, in turn
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Leave the hub out
    #[arg(long)]
    no_peer: bool,
    /// Only this part
    #[arg(long)]
    case: Option<Case>,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// 1,000 users in 100 rooms
    Baseline,
    /// The highest rate
    Ramp,
    /// Connections that do nothing
    Idle,
    /// All come back at once
    Storm,
    /// One user does not read
    Slow,
    /// One user sends too much
    Flood,
    /// Strangers send what makes no sense
    Malformed,
}

/// Requests a second: a random schedule of exactly 5,000 has fewer in half of all runs.
const RATE: &str = "5100";
/// Requests a second beside strangers, so that there is a processor left for what they send.
const BESIDE_STRANGERS: &str = "2000";
/// Idle connections in a quick look.
const FEW: &str = "2000";

pub(crate) fn run(args: &Args, quick: bool) -> Result<Vec<Row>> {
    let wanted = |case| args.case.is_none_or(|only| only == case);
    let seconds = if quick { "5".to_owned() } else { args.seconds.to_string() };
    let peer = !args.no_peer;
    let mut rows = Vec::new();
    if wanted(Case::Baseline) {
        let runs = if quick { 1 } else { args.runs.max(1) };
        let load: &[&str] = &["baseline", "--seconds", &seconds, "--rate", RATE];
        rows.extend(baseline(&Sides::run(load, runs, peer)?));
    }
    if wanted(Case::Storm) {
        rows.extend(storm(&Sides::run(&["storm"], if quick { 1 } else { 3 }, false)?));
    }
    if wanted(Case::Idle) {
        let few: &[&str] = if quick { &["--connections", FEW] } else { &[] };
        rows.extend(idle(&Sides::run(&[&["idle"], few].concat(), 1, peer && !quick)?, quick));
    }
    if wanted(Case::Ramp) && !quick {
        rows.extend(ramp(&Sides::run(&["ramp"], 1, peer)?));
    }
    if wanted(Case::Slow) && !quick {
        rows.extend(slow(&Sides::run(&["slow"], 3, false)?));
    }
    if wanted(Case::Flood) && !quick {
        rows.extend(flood(&Sides::run(&["flood"], 3, false)?));
    }
    if wanted(Case::Malformed) && !quick {
        rows.extend(malformed(&Sides::run(&["malformed", "--rate", BESIDE_STRANGERS], 1, false)?));
    }
    Ok(rows)
}

/// Runs of both sides that were good.
struct Sides {
    ours: Vec<Value>,
    theirs: Vec<Value>,
}

impl Sides {
    /// Runs in turn.
    fn run(load: &[&str], runs: usize, peer: bool) -> Result<Self> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 1..=runs {
            say(&format!("{}, run {run} of {runs}", load.join(" ")));
            ours.extend(put_under_load(load, "server")?);
            if peer {
                theirs.extend(put_under_load(load, "hub")?);
            }
        }
        Ok(Self { ours, theirs })
    }

    fn ours(&self, figure: &str) -> Option<f64> {
        median(&all(&self.ours, figure))
    }

    /// The worst of all runs, where one is too many.
    fn most(&self, figure: &str) -> Option<f64> {
        all(&self.ours, figure).into_iter().reduce(f64::max)
    }

    fn row(
        &self,
        case: &str,
        metric: &'static str,
        unit: &'static str,
        figure: &str,
        goal: Option<Goal>,
    ) -> Row {
        let peer = median(&all(&self.theirs, figure)).map(|value| (HUB, value));
        Row::new(case, metric, unit, self.ours(figure), peer, goal)
    }

    fn worst_row(&self, case: &str, metric: &'static str, figure: &str, most: f64) -> Row {
        Row::new(case, metric, "", self.most(figure), None, Some(Goal::AtMost(most)))
    }
}

fn all(runs: &[Value], figure: &str) -> Vec<f64> {
    runs.iter().filter_map(|run| run["figures"][figure].as_f64()).collect()
}

/// Runs `ahoy-load`. `None` where the load itself was the limit, so that the figures tell nothing of the server.
fn put_under_load(load: &[&str], target: &str) -> Result<Option<Value>> {
    let program = loopback::built_programs()?.join("ahoy-load");
    let output = Command::new(&program)
        .args(load)
        .args(["--json", "--target", target])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} can't be started", program.display()))?;
    let text = String::from_utf8(output.stdout).context("ahoy-load printed something that is not text")?;
    let Some(line) = text.lines().rev().find(|line| line.starts_with('{')) else {
        bail!("ahoy-load {} measured nothing ({})", load.join(" "), output.status);
    };
    let report: Value = serde_json::from_str(line).context("ahoy-load printed no JSON")?;
    for fault in report["faults"].as_array().into_iter().flatten().take(3) {
        say(&format!("  fault: {fault}"));
    }
    if report["valid"] != true {
        say(&format!("  not valid: {}", report["invalid"]));
        return Ok(None);
    }
    Ok(Some(report))
}

fn baseline(sides: &Sides) -> Vec<Row> {
    let case = "1,000 users in 100 rooms";
    let (at_least, at_most) = (|v| Some(Goal::AtLeast(v)), |v| Some(Goal::AtMost(v)));
    vec![
        sides.row(case, "requests", "/s", "requests_per_s", at_least(5_000.0)),
        sides.row(case, "deliveries", "/s", "deliveries_per_s", at_least(45_000.0)),
        sides.row(case, "intended to delivered p50", "ms", "delivery_p50_ms", at_most(5.0)),
        sides.row(case, "intended to delivered p99", "ms", "delivery_p99_ms", at_most(30.0)),
        sides.row(case, "intended to delivered p99.9", "ms", "delivery_p999_ms", None),
        sides.row(case, "intended to answered p50", "ms", "answer_p50_ms", None),
        sides.row(case, "intended to answered p99", "ms", "answer_p99_ms", None),
        sides.row(case, "CPU of a delivery", "µs", "server_cpu_us_per_delivery", at_most(15.0)),
        sides.row(case, "CPU", "cores", "server_cpu_cores", None),
        sides.worst_row(case, "deliveries lost, most", "lost_deliveries", 0.0),
        sides.worst_row(case, "deliveries or answers twice, most", "doubled", 0.0),
        sides.worst_row(case, "requests refused, most", "refused", 0.0),
    ]
}

fn ramp(sides: &Sides) -> Vec<Row> {
    let case = "highest rate with p99 < 30 ms";
    let row = |metric, unit, figure, goal| sides.row(case, metric, unit, figure, goal);
    vec![
        row("requests", "/s", "requests_per_s", Some(Goal::AtLeast(5_000.0))),
        row("deliveries", "/s", "deliveries_per_s", Some(Goal::AtLeast(45_000.0))),
        row("intended to delivered p99", "ms", "delivery_p99_ms", None),
        row("CPU of a delivery", "µs", "server_cpu_us_per_delivery", None),
    ]
}

fn idle(sides: &Sides, quick: bool) -> Vec<Row> {
    let case = "idle connections";
    let goal = |goal| (!quick).then_some(goal);
    let row = |metric, unit, figure, goal| sides.row(case, metric, unit, figure, goal);
    vec![
        row("open", "", "connections", goal(Goal::AtLeast(19_000.0))),
        row("memory (RSS) each, the whole process", "KB", "server_rss_kb_each", goal(Goal::AtMost(16.0))),
        row("CPU with their heartbeats", "cores", "server_cpu_cores", None),
    ]
}

fn storm(sides: &Sides) -> Vec<Row> {
    let case = "1,000 reconnects at once";
    let row = |metric, figure, goal| sides.row(case, metric, "s", figure, goal);
    vec![
        row("half resumed", "resumed_p50_s", None),
        row("all resumed", "resumed_all_s", None),
        row("all up to date in their rooms", "up_to_date_all_s", Some(Goal::AtMost(5.0))),
    ]
}

fn slow(sides: &Sides) -> Vec<Row> {
    let case = "one does not read";
    vec![
        sides.row(case, "others' p99 with / without", "", "p99_ratio", Some(Goal::AtMost(1.1))),
        sides.row(case, "others' p99 without", "ms", "delivery_p99_without_ms", None),
        sides.row(case, "others' p99 with", "ms", "delivery_p99_ms", None),
        sides.worst_row(case, "others' deliveries lost, most", "lost_deliveries", 0.0),
    ]
}

fn flood(sides: &Sides) -> Vec<Row> {
    let case = "one sends 5,000 a second";
    vec![
        sides.row(case, "others' p99 with / without", "", "p99_ratio", Some(Goal::AtMost(2.0))),
        sides.row(case, "others' p99 without", "ms", "delivery_p99_without_ms", None),
        sides.row(case, "others' p99 with", "ms", "delivery_p99_ms", None),
        sides.row(case, "told to go after", "s", "first_closed_after_s", None),
        sides.row(case, "flood accepted", "", "flood_accepted", None),
        sides.row(case, "flood sent", "", "flood_sent", None),
        sides.worst_row(case, "others' deliveries lost, most", "lost_deliveries", 0.0),
    ]
}

fn malformed(sides: &Sides) -> Vec<Row> {
    let case = "strangers send 1,000,000 malformed messages";
    let row = |metric, unit, figure, goal| sides.row(case, metric, unit, figure, goal);
    vec![
        row("sent", "", "malformed_sent", Some(Goal::AtLeast(1_000_000.0))),
        row("answered with what is wrong", "", "malformed_answered", None),
        row("connections", "", "strangers", None),
        sides.worst_row(case, "connections not closed within 25 s", "strangers_left_open", 0.0),
        row("others' p99 with / without", "", "p99_ratio", Some(Goal::AtMost(2.0))),
        row("others' p99 without", "ms", "delivery_p99_without_ms", None),
        row("others' p99 with", "ms", "delivery_p99_ms", None),
        row("memory (RSS) before", "MB", "server_rss_mb_before", None),
        row("memory (RSS) after the first 200,000", "MB", "server_rss_mb_early", None),
        row("memory (RSS) after all", "MB", "server_rss_mb_after", None),
        sides.worst_row(case, "others' deliveries lost, most", "lost_deliveries", 0.0),
    ]
}
