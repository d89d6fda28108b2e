//! Making runs that are not there yet, one after the other or several at a time.

use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

use super::cases::Case;
use super::clips::Clips;
use super::measure::Measured;
use super::mixed::{self, Mixed};
use super::pair::{Pair, in_turn};
use super::store::{Run, Store};
use super::{chromium, ours, several};
use crate::idle::wait_until_idle;
use crate::output::Machine;
use crate::processes::{busy_since, processor_time};
use crate::say;

/// Above this share of all processors in use a run says more about them than about the network.
const BUSY: f64 = 0.80;
/// A call that fails so often in a row, or has too little of the processors, is left out.
const ATTEMPTS: u32 = 3;

/// A run that is to be there.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    case: &'a Case,
    pair: Pair,
    number: u32,
    of: u32,
}

impl Wanted<'_> {
    fn name(&self) -> String {
        format!("{}, {}: run {} of {}", self.case.name, self.pair, self.number, self.of)
    }
}

/// All runs of these cases, those of one number of a case after each other.
pub(super) fn wanted<'a>(cases: &'a [Case], pairs: &[Pair], runs: u32) -> Vec<Wanted<'a>> {
    let of_case = |case: &'a Case| {
        let pairs: Vec<Pair> = pairs.iter().copied().filter(|pair| case.takes(*pair)).collect();
        (1..=runs).flat_map(move |number| {
            let wanted = move |pair| Wanted { case, pair, number, of: runs };
            in_turn(&pairs, number).into_iter().map(wanted)
        })
    };
    cases.iter().flat_map(of_case).collect()
}

/// Makes those that are not there yet, `at_once` of them at a time, and tells which could not be made. An error is one that the
/// next call would have as well.
pub(super) fn make(
    wanted: Vec<Wanted<'_>>,
    clips: &Clips,
    at_once: usize,
    store: &mut Store,
) -> Result<Vec<String>> {
    let is_missing = |run: &Wanted<'_>| !store.has(&run.case.name, run.pair, run.number.into());
    let todo: Vec<Wanted<'_>> = wanted.into_iter().filter(is_missing).collect();
    let mut not_made = Vec::new();
    for batch in batches(todo, at_once) {
        let mut left = batch;
        for _ in 0..ATTEMPTS {
            left = attempt(left, clips, store)?;
            if left.is_empty() {
                break;
            }
        }
        not_made.extend(left.iter().map(Wanted::name));
    }
    Ok(not_made)
}

/// Which are made at the same time, in their order. Streams of TCP have names in the system, so there is one case with them at a time.
fn batches(todo: Vec<Wanted<'_>>, at_once: usize) -> Vec<Vec<Wanted<'_>>> {
    let mut batches: Vec<Vec<Wanted<'_>>> = Vec::new();
    for run in todo {
        let has_room = |batch: &&mut Vec<Wanted<'_>>| {
            let one_has_tcp = batch.iter().chain([&run]).filter(|run| !run.case.tcp.is_empty()).count() <= 1;
            batch.len() < at_once && one_has_tcp
        };
        match batches.last_mut().filter(has_room) {
            Some(batch) => batch.push(run),
            None => batches.push(vec![run]),
        }
    }
    batches
}

/// Makes runs at the same time, and tells which are still to be made: those that failed, and all where the machine had no time
/// for them.
fn attempt<'a>(runs: Vec<Wanted<'a>>, clips: &Clips, store: &mut Store) -> Result<Vec<Wanted<'a>>> {
    wait_until_idle()?;
    let machine = Machine::look();
    let before = processor_time()?;
    for run in &runs {
        say(&run.name());
    }
    let measured: Vec<Result<Measured>> = thread::scope(|scope| {
        let calls: Vec<_> = runs.iter().map(|run| scope.spawn(|| call(run, clips))).collect();
        let joined = calls.into_iter().map(|call| call.join());
        joined.map(|call| call.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let busy = busy_since(before)?;
    let at = SystemTime::now().duration_since(UNIX_EPOCH).context("the system's clock is wrong")?;
    let beside = runs.len() - 1;
    let mut left = Vec::new();
    for (run, measured) in runs.into_iter().zip(measured) {
        let of = if beside > 0 { format!("{}, {}: ", run.case.name, run.pair) } else { String::new() };
        match measured {
            Ok(figures) if busy <= BUSY => {
                say(&format!("  {of}{figures}, processors {:.0} % busy", busy * 100.0));
                store.add(Run {
                    case: run.case.name.clone(),
                    who: run.pair,
                    seed: run.number.into(),
                    build: store.build().clone(),
                    cpu: machine.cpu.clone(),
                    load_before: machine.load1,
                    busy,
                    beside,
                    at: at.as_secs(),
                    figures,
                })?;
            }
            Ok(figures) => {
                say(&format!(
                    "  {of}{figures}: it does not count, the processors were {:.0} % busy",
                    busy * 100.0
                ));
                left.push(run);
            }
            Err(error) => {
                say(&format!("  {of}it failed: {error:#}"));
                left.push(run);
            }
        }
    }
    Ok(left)
}

fn call(run: &Wanted<'_>, clips: &Clips) -> Result<Measured> {
    let (case, seed) = (run.case, run.number.into());
    let clip = &clips.path(case.pictures());
    match run.pair {
        Pair::OursOurs if case.is_shared() => several::ours(case, seed, clip),
        Pair::ChromiumChromium if case.is_shared() => several::chromium(case, seed, clip),
        _ if case.is_shared() => bail!("calls beside each other are all of one program"),
        Pair::OursOurs => ours::call(case, seed, clip),
        Pair::ChromiumChromium => chromium::call(case, seed, clip),
        Pair::OursChromium => mixed::call(case, seed, clip, Mixed::OursToChromium),
        Pair::ChromiumOurs => mixed::call(case, seed, clip, Mixed::ChromiumToOurs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(batches: &[Vec<Wanted<'_>>]) -> Vec<Vec<(String, Pair, u32)>> {
        let of = |run: &Wanted<'_>| (run.case.name.clone(), run.pair, run.number);
        batches.iter().map(|batch| batch.iter().map(of).collect()).collect()
    }

    #[test]
    fn two_at_once_are_those_of_one_number_where_there_are_two_pairs() {
        let cases = Case::chosen(&["5.1".to_owned()], false).unwrap();
        let (ours, theirs) = (Pair::OursOurs, Pair::ChromiumChromium);
        let batches = batches(wanted(&cases, &[ours, theirs], 2), 2);
        let run = |pair, number| ("5.1".to_owned(), pair, number);
        let first = vec![run(ours, 1), run(theirs, 1)];
        assert_eq!(numbers(&batches), [first, vec![run(theirs, 2), run(ours, 2)]]);
    }

    #[test]
    fn there_is_one_case_with_tcp_at_a_time() {
        let cases = Case::chosen(&["5.6-cubic".to_owned(), "5.8".to_owned()], false).unwrap();
        let batches = batches(wanted(&cases, &[Pair::OursOurs], 2), 2);
        let names: Vec<Vec<&str>> =
            batches.iter().map(|batch| batch.iter().map(|run| run.case.name.as_str()).collect()).collect();
        assert_eq!(names, [vec!["5.6-cubic"], vec!["5.6-cubic", "5.8"], vec!["5.8"]]);
    }
}
