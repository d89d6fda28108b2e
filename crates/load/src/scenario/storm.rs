//! All connections break at once, and everybody comes back at once, without the pauses that real clients make.

use std::time::{Duration, Instant};

use ahoy_signal::ClientMessage;

use super::Setting;
use crate::client::{Awaited, Opening};
use crate::crew::Crew;
use crate::error::LoadError;
use crate::ledger::Latencies;
use crate::report::Report;

const LIMIT: Duration = Duration::from_secs(60);
/// Calm before it.
const CALM: Duration = Duration::from_secs(2);

pub(super) fn run(setting: &Setting) -> Result<Report, LoadError> {
    let users = setting.users;
    let Crew { mut fleet, target, .. } = Crew::bring(setting.dialect(), setting.cores, setting.manifest())?;
    let mut report = setting.report("storm");
    fleet.rest(CALM)?;
    let entered = fleet.entered();
    let cpu = target.cpu()?;
    let begin = Instant::now();
    for user in 0..users {
        fleet.cut(user)?;
    }
    for user in 0..users {
        fleet.connect(user, Opening::Resume, false)?;
    }
    let mut resumed = Latencies::new();
    let mut away: Vec<usize> = (0..users).collect();
    while !away.is_empty() && begin.elapsed() < LIMIT {
        fleet.turn(Duration::from_millis(1))?;
        let (back, still): (Vec<_>, Vec<_>) =
            away.into_iter().partition(|user| fleet.client(*user).is_ready());
        away = still;
        for user in back {
            resumed.record(begin.elapsed());
            let since = fleet.client(user).seen;
            fleet.ask(user, ClientMessage::Sync { since }, Awaited::Entry)?;
        }
    }
    fleet.until("coming up to date after the storm", LIMIT, |fleet| {
        fleet.entered() + away.len() >= entered + users
    })?;
    let synced = begin.elapsed();
    let cpu = target.cpu()?.saturating_sub(cpu);
    let resumed = resumed.percentiles();
    report.add("connections", "", users as f64);
    report.add("resumed", "", (users - away.len()) as f64);
    report.add("resumed_p50_s", "s", resumed.p50 / 1e3);
    report.add("resumed_all_s", "s", resumed.max / 1e3);
    report.add("up_to_date_all_s", "s", synced.as_secs_f64());
    report.add("server_cpu_s", "s", cpu.as_secs_f64());
    report.none_but(away.len() as u64, "did not come back");
    report.faults.append(&mut fleet.faults);
    Ok(report)
}
