//! One user stops reading.

use std::time::Duration;

use super::Setting;
use crate::crew::{Crew, Manifest};
use crate::drive::{Load, alone, drive};
use crate::error::LoadError;
use crate::report::Report;
use crate::schedule::Speakers;

/// The one who stops, a member of the first room.
const SLOW: usize = 0;
/// Share of all requests that are said in its room, so that much waits for it soon.
const SHARE: f64 = 0.1;
const WARM_UP_S: u64 = 2;
/// How long it reads afterwards what had waited for it.
const AFTERWARDS: Duration = Duration::from_secs(3);

pub(super) fn run(setting: &Setting, seconds: u64) -> Result<Report, LoadError> {
    let manifest = Manifest { little_room: Some(SLOW), ..setting.manifest() };
    let Crew { mut fleet, target, .. } = Crew::bring(setting.dialect(), setting.cores, manifest)?;
    let mut report = setting.report("slow");
    let others = manifest.room_size - 1;
    let speakers = Speakers { from: 1, to: setting.users, eager: others, eager_share: SHARE };
    let load = |seed| Load { speakers, seed, ..setting.load(setting.rate, WARM_UP_S, seconds) };
    let without = drive(&mut fleet, &target, load(setting.seed), alone)?;
    fleet.pause(SLOW, true)?;
    let memory = target.memory()?.rss;
    let with = drive(&mut fleet, &target, load(setting.seed + 1), alone)?;
    let grown = target.memory()?.rss.saturating_sub(memory);
    let snapshots = fleet.snapshots;
    fleet.pause(SLOW, false)?;
    fleet.rest(AFTERWARDS)?;
    with.report(&mut report);
    report.add("delivery_p99_without_ms", "ms", without.account.delivery_ms.p99);
    report.add("delivery_p50_without_ms", "ms", without.account.delivery_ms.p50);
    report.add("p99_ratio", "", with.account.delivery_ms.p99 / without.account.delivery_ms.p99);
    report.add("server_rss_growth_mb", "MB", grown as f64 / 1e6);
    report.add("slow_got_snapshots", "", (fleet.snapshots - snapshots) as f64);
    report.add("slow_closed_with", "", f64::from(fleet.client(SLOW).closed.unwrap_or(0)));
    if let Some(why) = without.spoiled() {
        report.spoil(format!("without the slow one, {why}"));
    }
    report.faults.append(&mut fleet.faults);
    Ok(report)
}
