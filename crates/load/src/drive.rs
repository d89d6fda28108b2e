//! Sends requests when the schedule says so, whatever the server does, and measures what that costs.

use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::fleet::Fleet;
use crate::ledger::{Account, Latencies, Ledger, Percentiles};
use crate::report::Report;
use crate::schedule::{Schedule, Spacing, Speakers};
use crate::target::Target;

/// Closer than this to a request it is looked without waiting: waiting is only precise to a millisecond.
const WITHOUT_WAITING: Duration = Duration::from_millis(2);
const WAIT: Duration = Duration::from_millis(1);
/// How long the last deliveries may take before they count as lost.
const SETTLING: Duration = Duration::from_secs(10);
/// A load that is later than this itself, at p99, spoils what it measures.
const LAG_MOST_MS: f64 = 1.0;
/// A load whose processor is busier than this, likewise: what has come waits to be looked at.
const BUSY_MOST: f64 = 0.9;

/// What load to put on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) spacing: Spacing,
    pub(crate) seed: u64,
    pub(crate) speakers: Speakers,
    /// Not measured.
    pub(crate) warm_up: Duration,
    /// Measured.
    pub(crate) time: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) account: Account,
    pub(crate) requests_per_s: f64,
    pub(crate) deliveries_per_s: f64,
    /// Of the server.
    pub(crate) cpu_cores: f64,
    pub(crate) cpu_us_per_delivery: f64,
    /// How late requests were sent.
    pub(crate) lag_ms: Percentiles,
    /// Share of the time in which the load worked, 0 to 1.
    pub(crate) busy: f64,
    /// Changes of rooms that were skipped.
    pub(crate) gaps: u64,
}

/// Does nothing beside a load.
pub(crate) fn alone(_: &mut Fleet, _: Instant) -> Result<(), LoadError> {
    Ok(())
}

/// Puts on a load, and does something else in between.
pub(crate) fn drive(
    fleet: &mut Fleet,
    target: &Target,
    load: Load,
    mut beside: impl FnMut(&mut Fleet, Instant) -> Result<(), LoadError>,
) -> Result<Measured, LoadError> {
    let schedule = Schedule::new(load.spacing, load.rate, load.speakers, load.seed);
    let begin = Instant::now();
    let measured_from = begin + load.warm_up;
    let end = measured_from + load.time;
    fleet.ledger = Ledger::new(fleet.ledger.next_marker(), measured_from);
    let gaps_before = fleet.gaps;
    let mut lag = Latencies::new();
    let mut measured_requests = 0_u64;
    let mut before = None;
    for due in schedule {
        let intended = begin + due.at;
        if intended >= end {
            break;
        }
        loop {
            let now = Instant::now();
            if before.is_none() && now >= measured_from {
                before = Some(Reading::take(fleet, target, now)?);
            }
            beside(fleet, now)?;
            let Some(left) = intended.checked_duration_since(now).filter(|left| !left.is_zero()) else {
                break;
            };
            fleet.turn(if left < WITHOUT_WAITING { Duration::ZERO } else { WAIT })?;
        }
        let now = Instant::now();
        fleet.say(due.user, due.saying, intended)?;
        fleet.worked += now.elapsed();
        if intended >= measured_from {
            measured_requests += 1;
            lag.record(now.saturating_duration_since(intended));
        }
    }
    let after = Reading::take(fleet, target, Instant::now())?;
    let before = before.unwrap_or(after);
    let deadline = Instant::now() + SETTLING;
    while !fleet.ledger.is_settled() && Instant::now() < deadline {
        fleet.turn(WAIT)?;
    }
    let seconds = (after.at - before.at).as_secs_f64().max(f64::MIN_POSITIVE);
    let cpu = (after.cpu.saturating_sub(before.cpu)).as_secs_f64();
    let delivered = (after.delivered - before.delivered) as f64;
    Ok(Measured {
        account: fleet.ledger.account(),
        requests_per_s: measured_requests as f64 / load.time.as_secs_f64(),
        deliveries_per_s: delivered / seconds,
        cpu_cores: cpu / seconds,
        cpu_us_per_delivery: cpu * 1e6 / delivered.max(1.0),
        lag_ms: lag.percentiles(),
        busy: (after.worked - before.worked).as_secs_f64() / seconds,
        gaps: fleet.gaps - gaps_before,
    })
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    cpu: Duration,
    delivered: u64,
    worked: Duration,
}

impl Reading {
    fn take(fleet: &Fleet, target: &Target, at: Instant) -> Result<Self, LoadError> {
        Ok(Self { at, cpu: target.cpu()?, delivered: fleet.ledger.delivered(), worked: fleet.worked })
    }
}

impl Measured {
    /// Why the figures tell of the load instead of the server.
    pub(crate) fn spoiled(&self) -> Option<String> {
        if self.lag_ms.p99 > LAG_MOST_MS {
            return Some(format!("the load itself was late: {:.1} ms at p99", self.lag_ms.p99));
        }
        (self.busy > BUSY_MOST).then(|| format!("the load was busy {:.0} % of the time", self.busy * 100.0))
    }

    /// Enters everything.
    pub(crate) fn report(&self, report: &mut Report) {
        self.figures(report);
        self.check(report);
        if let Some(why) = self.spoiled() {
            report.spoil(why);
        }
    }

    /// Enters what was measured.
    pub(crate) fn figures(&self, report: &mut Report) {
        let account = &self.account;
        report.add("requests_per_s", "", self.requests_per_s);
        report.add("deliveries_per_s", "", self.deliveries_per_s);
        report.add("answer_p50_ms", "ms", account.answer_ms.p50);
        report.add("answer_p99_ms", "ms", account.answer_ms.p99);
        report.add("answer_max_ms", "ms", account.answer_ms.max);
        report.add("delivery_p50_ms", "ms", account.delivery_ms.p50);
        report.add("delivery_p99_ms", "ms", account.delivery_ms.p99);
        report.add("delivery_p999_ms", "ms", account.delivery_ms.p999);
        report.add("delivery_max_ms", "ms", account.delivery_ms.max);
        report.add("server_cpu_cores", "cores", self.cpu_cores);
        report.add("server_cpu_us_per_delivery", "µs", self.cpu_us_per_delivery);
        report.add("requests", "", account.requests as f64);
        report.add("unanswered", "", (account.requests - account.answered) as f64);
        report.add("refused", "", account.refused.values().sum::<u64>() as f64);
        report.add("expected_deliveries", "", account.expected as f64);
        report.add("lost_deliveries", "", account.lost as f64);
        report.add("doubled", "", account.doubled as f64);
        report.add("skipped_changes", "", self.gaps as f64);
        report.add("load_lag_p99_ms", "ms", self.lag_ms.p99);
        report.add("load_busy", "cores", self.busy);
    }
    /// Enters what must not be.
    pub(crate) fn check(&self, report: &mut Report) {
        let account = &self.account;
        report.none_but(account.requests - account.answered, "requests were not answered");
        report.none_but(account.lost, "deliveries were lost");
        report.none_but(account.doubled, "answers or deliveries came twice");
        if !account.refused.is_empty() {
            report.faults.push(format!("refused: {:?}", account.refused));
        }
    }
}
