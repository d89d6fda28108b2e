//! `cargo xtask test`: the suites one after another, and what came of them.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::command;
use crate::counts::Counts;
use crate::packages::Purpose;
use crate::setup;
use crate::suites::{self, Outcome, Suite};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run the long suites as well.
    #[arg(long)]
    full: bool,
    /// Stop after the first suite that fails.
    #[arg(long)]
    fail_fast: bool,
    /// Print one JSON object with the results as the last line, and nothing else on standard output.
    #[arg(long)]
    json: bool,
    /// Only list the suites with their time budgets.
    #[arg(long)]
    list: bool,
    /// Install what is missing without asking.
    #[arg(long, short)]
    yes: bool,
    /// Names of suites to run; anything else selects unit and integration tests by a part of their name.
    filters: Vec<String>,
}

struct Finished {
    name: &'static str,
    counts: Counts,
    failures: Vec<String>,
    took: Duration,
    budget: Duration,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let suites = chosen(options);
    if options.list {
        for suite in suites {
            println!("{:10} {:>6}  {}", suite.name, clock(suite.budget), suite.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let purpose = if wants_long(options) { Purpose::Full } else { Purpose::Test };
    setup::prepare(purpose, options.yes)?;

    let mut finished = Vec::new();
    for suite in suites {
        let result = timed(suite);
        let failed = result.counts.failed > 0;
        finished.push(result);
        if failed && options.fail_fast {
            break;
        }
    }
    if !command::is_root()? {
        eprintln!("\n{}", suites::WITHOUT_ROOT);
    }
    report(&finished, options.json);
    let good = finished.iter().all(|suite| suite.counts.failed == 0);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All suites, or those that `filters` name. Filters that name no suite select tests.
fn chosen(options: &Options) -> Vec<Suite> {
    let mut all = suites::usual();
    if wants_long(options) {
        all.extend(suites::long());
    }
    if options.filters.is_empty() {
        return all;
    }
    let (named, parts): (Vec<String>, Vec<String>) =
        options.filters.iter().cloned().partition(|filter| all.iter().any(|suite| suite.name == filter));
    all.retain(|suite| named.iter().any(|name| name == suite.name));
    if !parts.is_empty() {
        all.retain(|suite| suite.name != "tests");
        all.push(suites::tests(&parts));
    }
    all
}

/// Whether long suites run, all or those that are named.
fn wants_long(options: &Options) -> bool {
    let is_long = |name: &String| suites::long().iter().any(|suite| suite.name == name);
    options.full || options.filters.iter().any(is_long)
}

fn timed(suite: Suite) -> Finished {
    let (name, budget) = (suite.name, suite.budget);
    eprintln!("\n── {name}: {} (time budget {}) ──", suite.what, clock(budget));
    let started = Instant::now();
    let Outcome { counts, failures } = suite.run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        Counts { passed: 0, failed: 1 }.into()
    });
    let took = started.elapsed();
    eprintln!("── {name}: {} passed, {} failed in {} ──", counts.passed, counts.failed, clock(took));
    Finished { name, counts, failures, took, budget }
}

/// Minutes and seconds.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn report(finished: &[Finished], as_json: bool) {
    eprintln!("\n{:10} {:>8} {:>8} {:>8} {:>8}", "suite", "passed", "failed", "took", "budget");
    for suite in finished {
        let Counts { passed, failed } = suite.counts;
        let remark = match (failed > 0, suite.took > suite.budget) {
            (true, _) => "  FAILED",
            (false, true) => "  over its time budget",
            (false, false) => "",
        };
        let (took, budget) = (clock(suite.took), clock(suite.budget));
        eprintln!("{:10} {passed:>8} {failed:>8} {took:>8} {budget:>8}{remark}", suite.name);
    }
    let total: Counts = finished.iter().map(|suite| suite.counts).sum();
    let took: Duration = finished.iter().map(|suite| suite.took).sum();
    let budget: Duration = finished.iter().map(|suite| suite.budget).sum();
    eprintln!(
        "{:10} {:>8} {:>8} {:>8} {:>8}\n",
        "all",
        total.passed,
        total.failed,
        clock(took),
        clock(budget)
    );
    // Here as well, since what a test printed is far up by now.
    for test in finished.iter().flat_map(|suite| &suite.failures) {
        eprintln!("failed: {test}");
    }
    if as_json {
        println!("{}", to_json(finished, total));
    } else {
        println!("{} passed, {} failed", total.passed, total.failed);
    }
}

fn to_json(finished: &[Finished], total: Counts) -> serde_json::Value {
    let suites: Vec<_> = finished
        .iter()
        .map(|suite| {
            json!({
                "name": suite.name,
                "passed": suite.counts.passed,
                "failed": suite.counts.failed,
                "failures": suite.failures,
                "seconds": suite.took.as_secs_f64(),
                "budget_seconds": suite.budget.as_secs(),
            })
        })
        .collect();
    json!({ "ok": total.failed == 0, "passed": total.passed, "failed": total.failed, "suites": suites })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(full: bool, filters: &[&str]) -> Options {
        let filters = filters.iter().map(|&filter| filter.to_owned()).collect();
        Options { full, fail_fast: false, json: false, list: false, yes: false, filters }
    }

    fn names(options: &Options) -> Vec<&'static str> {
        chosen(options).iter().map(|suite| suite.name).collect()
    }

    #[test]
    fn the_long_suites_run_only_when_asked_for() {
        assert!(!names(&options(false, &[])).contains(&"deny"));
        assert!(names(&options(true, &[])).contains(&"deny"));
        assert_eq!(names(&options(false, &["deny"])), ["deny"]);
    }

    #[test]
    fn filters_name_suites_or_select_tests() {
        assert_eq!(names(&options(false, &["docs", "fmt"])), ["fmt", "docs"]);
        assert_eq!(names(&options(false, &["jitter", "clippy"])), ["clippy", "tests"]);
    }

    #[test]
    fn the_usual_suites_fit_into_forty_minutes() {
        let budget: Duration = suites::usual().iter().map(|suite| suite.budget).sum();
        assert!(budget <= Duration::from_secs(40 * 60), "{}", clock(budget));
    }

    #[test]
    fn one_failed_test_anywhere_makes_the_json_not_ok() {
        let suite = |failed| Finished {
            name: "a",
            counts: Counts { passed: 2, failed },
            failures: Vec::new(),
            took: Duration::from_millis(1500),
            budget: Duration::from_secs(60),
        };
        let finished = [suite(0), suite(1)];
        let json = to_json(&finished, finished.iter().map(|suite| suite.counts).sum());
        assert_eq!(json["ok"], false);
        assert_eq!(json["passed"], 4);
        assert_eq!(json["suites"][1]["failed"], 1);
    }
}
