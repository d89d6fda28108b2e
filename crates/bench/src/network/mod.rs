//! Calls over links that change, are shared, or lose packets, seen from outside both ends: what of the link is used for media,
//! how long packets wait at its bottleneck, and how long the picture stands still; beside Chromium over the same links.
//!
//! The link is the testkit's, on loopback: every packet that either end sends goes through it, and its log says what became of
//! each. Pictures are real ones, so that rate control behaves as it does in calls.

mod cases;
mod chromium;
mod clips;
mod log;
mod measure;
mod mixed;
mod ours;
#[cfg(test)]
mod pages;
mod pair;
mod plots;
mod several;
mod store;
mod tcp;

pub(crate) use self::clips::film;
pub(crate) use self::log::{Packet, Purpose, read as read_log};
pub(crate) use self::measure::Said;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

use self::cases::Case;
use self::clips::Clips;
use self::measure::Measured;
use self::mixed::Mixed;
use self::pair::{Pair, in_turn};
use self::store::{Build, Run, Store};
use crate::idle::wait_until_idle;
use crate::intervals;
use crate::output::{Certainty, Goal, Machine, Row, median};
use crate::say;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Which cases or groups of them, such as `5.1`, `loss-10` or `traces`; all that there are unless given
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// Say which cases there are, and measure nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Runs of each pair in each case, in turns
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Who calls whom
    #[arg(long, value_enum, value_delimiter = ',', default_value = "ours,chromium")]
    pairs: Vec<Pair>,
    /// Keep runs here, and make none that is here already; `bench-results/network` unless given
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
    /// Make runs anew that are there already
    #[arg(long, conflicts_with = "report")]
    fresh: bool,
    /// Say what has been measured so far, and measure nothing
    #[arg(long)]
    report: bool,
    /// Say it of this commit, as it is in the store, in place of the present one
    #[arg(long, requires = "report")]
    commit: Option<String>,
    /// Draw each case into this folder, as SVG
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

/// Above this share of all processors in use a run says more about them than about the network.
const BUSY: f64 = 0.80;
/// A call that fails so often in a row, or has too little of the processors, is left out.
const ATTEMPTS: u32 = 3;

/// The cases that there are, for people.
pub(crate) fn list() -> Result<String> {
    Case::list()
}

pub(crate) fn run(args: &Args, quick: bool) -> Result<Vec<Row>> {
    let original = ahoy_testkit::lab::Clip::find().context("the test clip can't be had")?.pictures;
    let cases = Case::chosen(&args.cases, quick)?;
    let mut build = Build::look(&original)?;
    build.commit = args.commit.clone().unwrap_or(build.commit);
    let mut store = Store::open(&args.results.clone().unwrap_or_else(results), build)?;
    if args.fresh || (quick && !args.report) {
        // A look is asked for to see what is so now.
        store.forget();
    }
    let mut missing = Vec::new();
    if !args.report {
        let temporary = tempfile::tempdir().context("no temporary folder could be made")?;
        let clips = Clips::prepare(&original, temporary.path(), &cases)?;
        for case in &cases {
            say(&format!("{}, {} s: {}", case.name, case.lasts.as_secs(), case.about));
            missing.extend(measure_case(case, args, if quick { 1 } else { args.runs }, &clips, &mut store)?);
        }
    }
    let mut rows = Vec::new();
    for case in &cases {
        rows.extend(rows_of(case, &store, &args.pairs));
        if let Some(folder) = &args.plots {
            plots::write(folder, case, &store, &args.pairs)?;
        }
    }
    if quick && !missing.is_empty() {
        bail!("not measured: {}", missing.join(", "));
    }
    if !missing.is_empty() {
        say(&format!("not measured: {}; the same command tries again", missing.join(", ")));
    }
    if rows.is_empty() {
        bail!("there are no runs of {} ({})", store.build().commit, store.build().profile);
    }
    say_what_counts(&cases, &store, &args.pairs);
    Ok(rows)
}

/// Not below `target/`, which `cargo clean` empties.
fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench-results/network")
}

/// Makes the runs of a case that are not there yet, and tells which could not be made.
fn measure_case(
    case: &Case,
    args: &Args,
    runs: u32,
    clips: &Clips,
    store: &mut Store,
) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let pairs: Vec<Pair> = args.pairs.iter().copied().filter(|pair| case.takes(*pair)).collect();
    for number in 1..=runs {
        for pair in in_turn(&pairs, number) {
            if store.has(&case.name, pair, number.into()) {
                continue;
            }
            say(&format!("{}, {pair}: run {number} of {runs}", case.name));
            match attempt(case, number.into(), clips, pair, store.build())? {
                Some(run) => store.add(run)?,
                None => missing.push(format!("{} of {pair}, run {number}", case.name)),
            }
        }
    }
    Ok(missing)
}

/// Runs a call, again where it failed or the machine had no time for it. An error is one that the next call would have as well.
fn attempt(case: &Case, seed: u64, clips: &Clips, pair: Pair, build: &Build) -> Result<Option<Run>> {
    for _ in 0..ATTEMPTS {
        wait_until_idle()?;
        let machine = Machine::look();
        let before = crate::processes::processor_time()?;
        let figures = match call(case, seed, clips, pair) {
            Ok(figures) => figures,
            Err(error) => {
                say(&format!("  it failed: {error:#}"));
                continue;
            }
        };
        let busy = crate::processes::busy_since(before)?;
        say(&format!("  {figures}, processors {:.0} % busy", busy * 100.0));
        if busy > BUSY {
            say("  it does not count: the processors were too busy");
            continue;
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).context("the system's clock is wrong")?;
        return Ok(Some(Run {
            case: case.name.clone(),
            who: pair,
            seed,
            build: build.clone(),
            cpu: machine.cpu,
            load_before: machine.load1,
            busy,
            at: at.as_secs(),
            figures,
        }));
    }
    Ok(None)
}

fn call(case: &Case, seed: u64, clips: &Clips, pair: Pair) -> Result<Measured> {
    let clip = &clips.path(case.pictures());
    match pair {
        Pair::OursOurs if case.is_shared() => several::ours(case, seed, clip),
        Pair::ChromiumChromium if case.is_shared() => several::chromium(case, seed, clip),
        _ if case.is_shared() => bail!("calls beside each other are all of one program"),
        Pair::OursOurs => ours::call(case, seed, clip),
        Pair::ChromiumChromium => chromium::call(case, seed, clip),
        Pair::OursChromium => mixed::call(case, seed, clip, Mixed::OursToChromium),
        Pair::ChromiumOurs => mixed::call(case, seed, clip, Mixed::ChromiumToOurs),
    }
}

/// What has to be known to trust the rows: of what, on what, and how busy that was.
fn say_what_counts(cases: &[Case], store: &Store, pairs: &[Pair]) {
    let counted = |pair: Pair| cases.iter().flat_map(move |case| store.runs(&case.name, pair));
    let all: Vec<&Run> = pairs.iter().flat_map(|pair| counted(*pair)).collect();
    let mut cpus: Vec<&str> = all.iter().map(|run| run.cpu.as_str()).collect();
    cpus.sort_unstable();
    cpus.dedup();
    let counts: Vec<String> =
        pairs.iter().map(|pair| format!("{} of {pair}", counted(*pair).count())).collect();
    let busy = all.iter().map(|run| run.busy).fold(0.0, f64::max) * 100.0;
    let load = all.iter().map(|run| run.load_before).fold(0.0, f64::max);
    let build = store.build();
    say(&format!(
        "runs that count: {}; {} ({}), {}; on {}; processors at most {busy:.0} % busy, load at most {load:.1} before",
        counts.join(", "),
        build.commit,
        build.profile,
        build.clip,
        cpus.join(" and "),
    ));
    if cpus.len() > 1 {
        say("they come from machines with different processors: compare ratios, not figures");
    }
}

/// One figure of a case.
struct Figure {
    metric: &'static str,
    unit: &'static str,
    of: fn(&Measured) -> Option<f64>,
    goal: Option<Goal>,
}

fn figures(case: &Case) -> Vec<Figure> {
    let figure = |metric, unit, of, goal| Figure { metric, unit, of, goal };
    let goals = &case.goals;
    vec![
        figure(
            "media of what the link carries",
            "%",
            |m| Some(m.utilisation * 100.0),
            goals.utilisation.map(Goal::AtLeast),
        ),
        figure(
            "with what was lost and repaired",
            "%",
            |m| m.goodput.map(|share| share * 100.0),
            goals.goodput.map(Goal::AtLeast),
        ),
        figure(
            "queue, steady, p95",
            "ms",
            |m| Some(m.steady_queue_p95),
            goals.steady_queue.map(Goal::AtMost),
        ),
        figure("90 % of a rise after", "s", |m| m.rise_s, goals.rise.map(Goal::AtMost)),
        figure(
            "queue a second after a drop, worst",
            "ms",
            |m| m.queue_after_drop,
            goals.after_drop.map(Goal::AtMost),
        ),
        figure(
            "packets lost to the queue",
            "%",
            |m| Some(m.queue_lost * 100.0),
            goals.lost.map(Goal::AtMost),
        ),
        figure("freezes", "", |m| m.freezes, goals.freezes.map(Goal::AtMost)),
        figure("picture stood still", "ms/min", |m| m.frozen_ms_per_min, None),
        figure("pictures shown", "1/s", |m| m.fps, None),
        figure("SSIM as seen", "", |m| m.ssim_seen, None),
        figure("Jain's index", "", |m| m.jain, goals.jain.map(Goal::AtLeast)),
        figure(
            "TCP's part",
            "%",
            |m| m.tcp_share.map(|share| share * 100.0),
            goals.tcp_share.map(|[least, most]| Goal::Within(least, most)),
        ),
        figure(
            "sound made up",
            "%",
            |m| m.concealed.map(|share| share * 100.0),
            goals.concealed.map(Goal::AtMost),
        ),
    ]
}

/// Ours beside Chromium's; then each of the mixed pairs by itself, which neither has a goal for.
fn rows_of(case: &Case, store: &Store, pairs: &[Pair]) -> Vec<Row> {
    let runs = |pair: Pair| match pairs.contains(&pair) {
        true => store.runs(&case.name, pair),
        false => Vec::new(),
    };
    let (ours, theirs) = (runs(Pair::OursOurs), runs(Pair::ChromiumChromium));
    let mut rows = Vec::new();
    rows.extend(figures(case).iter().filter_map(|figure| row(&case.name, figure, &ours, &theirs)));
    for pair in [Pair::OursChromium, Pair::ChromiumOurs] {
        let (mixed, name) = (runs(pair), format!("{}, {pair}", case.name));
        let bare = figures(case).into_iter().map(|figure| Figure { goal: None, ..figure });
        rows.extend(bare.filter_map(|figure| row(&name, &figure, &mixed, &[])));
    }
    rows
}

/// `None` where there is nothing to say: no run has the figure, and nobody asks for it.
fn row(case: &str, figure: &Figure, ours: &[&Run], theirs: &[&Run]) -> Option<Row> {
    let of = |run: &Run| (figure.of)(&run.figures);
    let values = |runs: &[&Run]| -> Vec<f64> { runs.iter().filter_map(|run| of(run)).collect() };
    // Runs of the same number belong together: the same seed, and mostly the same minutes.
    let pairs: Vec<(f64, f64)> = ours
        .iter()
        .filter_map(|run| Some((of(run)?, of(theirs.iter().find(|other| other.seed == run.seed)?)?)))
        .collect();
    let (ours_values, peer_values) = (values(ours), values(theirs));
    let peer = median(&peer_values).map(|value| ("Chromium", value));
    // What was not asked for misses no goal.
    let goal = figure.goal.filter(|_| !ours.is_empty());
    let row = Row::new(case, figure.metric, figure.unit, median(&ours_values), peer, goal);
    if (row.ours, row.peer, goal) == (None, None, None) {
        return None;
    }
    let counted = |values: &[f64]| Some(values.len()).filter(|count| *count > 0);
    let certainty = Certainty {
        ours_interval: intervals::of_median(&ours_values),
        peer_interval: intervals::of_median(&peer_values),
        ratio_interval: intervals::of_ratio(&pairs).filter(|_| row.ratio.is_some()),
        ours_runs: counted(&ours_values),
        peer_runs: counted(&peer_values),
    };
    Some(row.certain(certainty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(who: Pair, seed: u64, utilisation: f64) -> Run {
        Run {
            case: "5.1".to_owned(),
            who,
            seed,
            build: build(),
            cpu: "x".to_owned(),
            load_before: 0.0,
            busy: 0.2,
            at: 0,
            figures: Measured { utilisation, ..Measured::default() },
        }
    }

    fn build() -> Build {
        Build { commit: "a".to_owned(), profile: "release".to_owned(), clip: "film.y4m".to_owned() }
    }

    /// The rows of a store with these runs.
    fn rows(runs: Vec<Run>, pairs: &[Pair]) -> Vec<Row> {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), build()).unwrap();
        for run in runs {
            store.add(run).unwrap();
        }
        rows_of(&Case::chosen(&["5.1".to_owned()], false).unwrap()[0], &store, pairs)
    }

    #[test]
    fn rows_are_medians_of_all_runs_that_are_there_with_their_intervals() {
        let ours = (1..).zip([0.91, 0.93, 0.92]).map(|(seed, used)| run(Pair::OursOurs, seed, used));
        let theirs = (1..).zip([0.60, 0.62]).map(|(seed, used)| run(Pair::ChromiumChromium, seed, used));
        let rows = rows(ours.chain(theirs).collect(), &[Pair::OursOurs, Pair::ChromiumChromium]);
        let row = &rows[0];
        assert_eq!((row.ours, row.peer_name, row.met), (Some(92.0), Some("Chromium"), Some(true)));
        let sure = &row.certainty;
        assert_eq!(sure.ours_interval, Some([91.0, 93.0]));
        assert_eq!((sure.ours_runs, sure.peer_runs), (Some(3), Some(2)));
        // Only the runs that have a counterpart are compared.
        let [low, high] = sure.ratio_interval.unwrap();
        assert!((low - 0.93 / 0.62).abs() < 1e-9 && (high - 0.91 / 0.60).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    fn a_pair_that_was_not_asked_for_is_in_no_row() {
        let runs = vec![run(Pair::OursOurs, 1, 0.5), run(Pair::ChromiumChromium, 1, 0.6)];
        let row = &rows(runs, &[Pair::ChromiumChromium])[0];
        assert_eq!((row.ours, row.met, row.certainty.peer_runs), (None, None, Some(1)));
    }

    #[test]
    fn mixed_pairs_have_rows_of_their_own_without_a_goal() {
        let runs = vec![run(Pair::OursOurs, 1, 0.5), run(Pair::OursChromium, 1, 0.6)];
        let rows = rows(runs, &[Pair::OursOurs, Pair::OursChromium]);
        let of = |case| rows.iter().filter(move |row| row.case == case).collect::<Vec<_>>();
        assert_eq!(of("5.1").len() + of("5.1, Ahoy to Chromium").len(), rows.len());
        let first = of("5.1, Ahoy to Chromium")[0];
        assert_eq!((first.ours, first.peer, first.met), (Some(60.0), None, None));
    }

    #[test]
    fn what_no_run_has_and_nobody_asks_for_has_no_row() {
        assert!(rows(Vec::new(), &[Pair::OursOurs]).is_empty());
        let rows = rows(vec![run(Pair::OursOurs, 1, 0.5)], &[Pair::OursOurs]);
        assert!(rows.iter().any(|row| row.metric == "freezes" && row.met == Some(false)));
        assert!(rows.iter().all(|row| row.metric != "pictures shown"));
    }
}
