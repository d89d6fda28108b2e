//! A steady load, short or long.

use std::time::Duration;

use super::Setting;
use crate::crew::Crew;
use crate::drive::drive;
use crate::error::LoadError;
use crate::report::Report;

/// Until memory and processor are as they stay.
const WARM_UP_S: u64 = 3;
/// Parts of a long run, whose memory is compared.
const PARTS: u64 = 5;

pub(super) fn run(setting: &Setting, scenario: &'static str, seconds: u64) -> Result<Report, LoadError> {
    let mut crew = Crew::bring(setting.dialect(), setting.cores, setting.manifest())?;
    let mut report = setting.report(scenario);
    let mut at = crew.target.memory()?.rss;
    let (mut early, mut every) = (at, seconds / PARTS);
    let begin = std::time::Instant::now() + Duration::from_secs(WARM_UP_S);
    every = every.max(1);
    let mut next = every;
    let Crew { fleet, target, .. } = &mut crew;
    let target = &*target;
    let measured = drive(fleet, target, setting.load(setting.rate, WARM_UP_S, seconds), |_, now| {
        if now >= begin + Duration::from_secs(next) {
            at = target.memory()?.rss;
            if next == every {
                early = at;
            }
            next += every;
        }
        Ok(())
    })?;
    measured.report(&mut report);
    report.add("server_rss_early_mb", "MB", early as f64 / 1e6);
    report.add("server_rss_end_mb", "MB", at as f64 / 1e6);
    report.must_be_flat(early, at);
    report.faults.append(&mut fleet.faults);
    Ok(report)
}
