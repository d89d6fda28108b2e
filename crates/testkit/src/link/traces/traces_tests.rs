use std::collections::BTreeSet;

use super::*;

/// Mean rate in Mb/s and share of time in which nothing passes.
fn mean_and_outages(schedule: &RateSchedule) -> (f64, f64) {
    let rates: Vec<u64> = schedule.steps.iter().filter_map(|step| step.bps).collect();
    let silent = rates.iter().filter(|bps| **bps == 0).count();
    (rates.iter().sum::<u64>() as f64 / rates.len() as f64 / 1e6, silent as f64 / rates.len() as f64)
}

#[test]
fn the_same_seed_gives_the_same_link() {
    for trace in Trace::all() {
        assert_eq!(trace.links(7).unwrap(), trace.links(7).unwrap(), "{}", trace.name);
        assert_ne!(trace.schedule(7), trace.schedule(8), "{}", trace.name);
    }
}

#[test]
fn rates_and_outages_are_as_documented() {
    for trace in Trace::all() {
        let of_seed = |seed| mean_and_outages(&trace.schedule(seed));
        let all: Vec<(f64, f64)> = (1..=40).map(of_seed).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        let Trace { name, mean_mbps, outages, .. } = &trace;
        for (seeds, (rate, share)) in
            [("40 seeds", (mean(|one| one.0), mean(|one| one.1))), ("default", of_seed(Trace::SEED))]
        {
            assert!(mean_mbps.contains(&rate), "{name}, {seeds}: {rate} Mb/s");
            assert!(outages.contains(&share), "{name}, {seeds}: {share} silent");
        }
    }
}

#[test]
fn a_trace_lasts_a_minute_in_steps_and_begins_with_something() {
    for trace in Trace::all() {
        let schedule = trace.schedule(Trace::SEED);
        assert_eq!(
            schedule.steps.iter().map(|step| step.lasts).sum::<Duration>(),
            Trace::LASTS,
            "{}",
            trace.name
        );
        assert_ne!(schedule.steps[0].bps, Some(0), "{}", trace.name);
    }
}

#[test]
fn no_two_traces_are_alike() {
    let all: Vec<Trace> = Trace::all().collect();
    assert!(all.len() >= 12);
    let names: BTreeSet<&str> = all.iter().map(|trace| trace.name).collect();
    assert_eq!(names.len(), all.len());
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            assert_ne!(one.schedule(1), other.schedule(1), "{} and {}", one.name, other.name);
        }
        assert_eq!(Trace::named(one.name).map(|found| found.about), Some(one.about));
    }
}

#[test]
fn where_a_state_leads_is_certain() {
    for trace in Trace::all() {
        for state in trace.states {
            let sum: f64 = state.next.iter().map(|(_, share)| share).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{}: {state:?}", trace.name);
            assert!(state.next.iter().all(|(next, _)| *next < trace.states.len()), "{}", trace.name);
        }
    }
}

#[test]
fn a_hand_over_silences_both_ways() {
    let (there, back) = Trace::named("wifi-roam").unwrap().links(Trace::SEED).unwrap();
    for (there, back) in there.rate().steps.iter().zip(&back.rate().steps) {
        assert_eq!(back.bps, there.bps.filter(|bps| *bps == 0));
    }
}
