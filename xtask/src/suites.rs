//! The suites of `cargo xtask test`: what each runs, and how long it may take on two cores with nothing built.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::{self, Program};
use crate::counts::{self, Counts};
use crate::{bench, clip, dist, fuzz, lab, load, tools, workspace};

/// Something to check about the checkout, reported as one line.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) budget: Duration,
    step: Step,
}

/// How a suite went.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    /// The tests that failed, where each has a name.
    pub(crate) failures: Vec<String>,
}

impl From<Counts> for Outcome {
    fn from(counts: Counts) -> Self {
        Self { counts, failures: Vec::new() }
    }
}

enum Step {
    /// A program that succeeds or does not: one test.
    Check(Program),
    /// Tests that cargo-nextest runs with this profile of .config/nextest.toml.
    Nextest {
        profile: &'static str,
        /// Which tests, as nextest's filtersets say it; all if there is none.
        filter: Option<&'static str>,
        args: Vec<String>,
    },
    /// Tests whose program prints how many passed and failed (see [`counts::in_line`]).
    Counted(Program),
    /// Each target of fuzz/ for a while: one test each.
    Fuzz,
    /// The server under load for minutes: one test for each scenario.
    Soak,
    /// One of the labs of networks: one test for each call.
    Lab(&'static str),
    /// `bench network --quick`: one test for each group of cases.
    Network,
    /// The tests of tests/package.rs, on a Debian package that is built for them.
    Package,
}

/// Said where they can't run.
pub(crate) const WITHOUT_ROOT: &str = "You are not root: the tests that make network namespaces (needs_root in their name) are left \
                            out. As root, `cargo xtask test needs_root` runs them, and `cargo xtask test package nat recover \
                            network` those of the package and of all kinds of network.";

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// The suites that every change has to pass, quick ones first.
pub(crate) fn usual() -> Vec<Suite> {
    let mut suites = vec![
        Suite {
            name: "fmt",
            what: "Rust code is formatted",
            budget: minutes(1),
            step: Step::Check(command::cargo(["fmt", "--all", "--check"])),
        },
        Suite {
            name: "rules",
            what: "dependencies point one way and are written up; xtask itself works",
            budget: minutes(2),
            step: Step::Nextest { profile: "default", filter: None, args: vec!["--package=xtask".into()] },
        },
        Suite {
            name: "clippy",
            what: "Rust code compiles without warnings",
            budget: minutes(10),
            step: Step::Check(
                command::cargo(["clippy", "--workspace", "--all-targets", "--"]).args(["--deny", "warnings"]),
            ),
        },
        tests(&[]),
        Suite {
            name: "doctests",
            what: "examples in the documentation run",
            budget: minutes(2),
            step: Step::Counted(command::cargo(["test", "--doc", "--workspace", "--no-fail-fast"])),
        },
        Suite {
            name: "docs",
            what: "the documentation builds without warnings",
            budget: minutes(3),
            step: Step::Check(
                command::cargo(["doc", "--workspace", "--no-deps", "--document-private-items"])
                    // Private items are in this documentation, so links to them lead somewhere.
                    .env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private_intra_doc_links"),
            ),
        },
    ];
    let ui = workspace::root().join("ui");
    if ui.join("package.json").is_file() {
        suites.push(Suite {
            name: "ui",
            what: "the window's own tests",
            budget: minutes(2),
            step: Step::Counted(command::program("npm").args(["test"]).in_folder(&ui)),
        });
    }
    suites
}

/// The suites that take too long for every change.
pub(crate) fn long() -> Vec<Suite> {
    vec![
        Suite {
            name: "deny",
            what: "licences and sources of all dependencies",
            budget: minutes(1),
            // Advisories change without a change of ours: `cargo deny check advisories` is for releases.
            step: Step::Check(command::cargo([
                "deny",
                "--all-features",
                "check",
                "licenses",
                "bans",
                "sources",
            ])),
        },
        Suite {
            name: "fuzz",
            what: "bytes that nobody would send, for everything that reads bytes from outside",
            budget: minutes(15),
            step: Step::Fuzz,
        },
        Suite {
            name: "long",
            what: "the tests that take minutes",
            budget: minutes(15),
            step: Step::Nextest {
                profile: "long",
                // Those of the package are a suite of their own, because they need one.
                filter: Some("not binary_id(ahoy::package)"),
                args: vec!["--workspace".into()],
            },
        },
        Suite {
            name: "soak",
            what: "the signaling server under load for minutes: nothing is lost, its memory stays as it is",
            // Half of it is the release build.
            budget: minutes(20),
            step: Step::Soak,
        },
        Suite {
            name: "nat",
            what: "calls between all kinds of network, behind NATs and firewalls, by the way that theory expects",
            budget: minutes(12),
            step: Step::Lab("nat"),
        },
        Suite {
            name: "recover",
            what: "calls under which the network changes: they go on, and how soon",
            // Five calls of each kind.
            budget: minutes(22),
            step: Step::Lab("recover"),
        },
        Suite {
            name: "network",
            what: "calls over links that change, are shared or lose packets, beside Chromium's: a look at one of each kind",
            // Twelve calls of twelve to sixty seconds, each on an idle machine.
            budget: minutes(15),
            step: Step::Network,
        },
        Suite {
            name: "package",
            what: "the Debian package, alone on a fresh Debian: it installs, works and leaves nothing behind",
            // Most of it is the release build.
            budget: minutes(30),
            step: Step::Package,
        },
    ]
}

/// The unit and integration tests of the product: all, or those with a name that contains one of `filters`.
pub(crate) fn tests(filters: &[String]) -> Suite {
    // The same packages as for Clippy, the documentation and its examples: with others, dependencies would have other
    // features and be built again.
    let mut args = vec!["--workspace".to_owned()];
    // Its tests are the suite "rules".
    let filter = filters.is_empty().then_some("not package(xtask)");
    args.extend_from_slice(filters);
    Suite {
        name: "tests",
        what: "unit and integration tests, and generated files are up to date",
        budget: minutes(18),
        step: Step::Nextest { profile: "default", filter, args },
    }
}

impl Suite {
    /// Runs it with its output on standard error. Whatever goes wrong is at least one failed test.
    pub(crate) fn run(self) -> Result<Outcome> {
        match self.step {
            Step::Check(mut program) => {
                let success = program.status_on_stderr()?.success();
                Ok(Counts { passed: u64::from(success), failed: u64::from(!success) }.into())
            }
            Step::Nextest { profile, filter, args } => {
                nextest(profile, filter, |program| Ok(program.args(args).env("AHOY_CLIPS", clip::folder()?)))
            }
            Step::Counted(program) => {
                let mut found: Option<Counts> = None;
                let success = program
                    .watch(|line| {
                        if let Some(counts) = counts::in_line(line) {
                            found = Some(found.unwrap_or_default() + counts);
                        }
                    })?
                    .success();
                Ok(judged(success, found).into())
            }
            Step::Soak => Ok(load::soak()?.into()),
            Step::Lab(name) => Ok(lab::all_of(name)?.into()),
            Step::Network => Ok(bench::look_at_networks()?.into()),
            Step::Fuzz => Ok(fuzz::run()?.into()),
            Step::Package => {
                let package = dist::deb()?;
                nextest("long", Some("binary_id(ahoy::package)"), |program| {
                    Ok(program.args(["--workspace"]).env("AHOY_PACKAGE", &package.path))
                })
            }
        }
    }
}

/// Runs nextest as `prepare` completes it, and reads its report.
fn nextest(
    profile: &str,
    filter: Option<&str>,
    prepare: impl FnOnce(Program) -> Result<Program>,
) -> Result<Outcome> {
    let report = tools::nextest_report(profile);
    if report.exists() {
        fs::remove_file(&report).context("the report of the last run could not be removed")?;
    }
    let is_root = command::is_root()?;
    if !is_root {
        eprintln!("{WITHOUT_ROOT}");
    }
    let program = command::cargo(["nextest", "run", "--profile", profile, "--no-fail-fast"]);
    let success = prepare(program)?.args(filterset(filter, is_root)).status_on_stderr()?.success();
    let report = fs::read_to_string(&report).unwrap_or_default();
    let failures = counts::failures_in_junit(&report);
    Ok(Outcome { counts: judged(success, counts::in_junit(&report)), failures })
}

/// The tests that are wanted and can run. One argument, because nextest takes what fits any of several.
fn filterset(wanted: Option<&str>, is_root: bool) -> Option<String> {
    let runnable = (!is_root).then_some("not test(/needs_root/)");
    let both: Vec<_> = [wanted, runnable].into_iter().flatten().map(|part| format!("({part})")).collect();
    (!both.is_empty()).then(|| format!("--filterset={}", both.join(" and ")))
}

/// A program that failed, or reported nothing, must not look passed.
fn judged(success: bool, counts: Option<Counts>) -> Counts {
    let mut counts = counts.unwrap_or(Counts { passed: 0, failed: 1 });
    if !success {
        counts.failed = counts.failed.max(1);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_root_the_tests_that_need_it_are_left_out_of_whatever_is_wanted() {
        assert_eq!(filterset(None, true), None);
        assert_eq!(filterset(Some("package(a)"), true).as_deref(), Some("--filterset=(package(a))"));
        let left = filterset(Some("package(a)"), false);
        assert_eq!(left.as_deref(), Some("--filterset=(package(a)) and (not test(/needs_root/))"));
        assert_eq!(filterset(None, false).as_deref(), Some("--filterset=(not test(/needs_root/))"));
    }

    #[test]
    fn a_failed_or_silent_program_is_never_a_pass() {
        let two = Counts { passed: 2, failed: 0 };
        assert_eq!(judged(true, Some(two)), two);
        assert_eq!(judged(false, Some(two)), Counts { passed: 2, failed: 1 });
        assert_eq!(judged(false, Some(Counts { passed: 2, failed: 3 })).failed, 3);
        assert_eq!(judged(true, None).failed, 1);
    }
}
