//! How much a server bears.

use super::Setting;
use crate::crew::Crew;
use crate::drive::{Measured, alone, drive};
use crate::error::LoadError;
use crate::report::Report;

/// Deliveries have to be quicker than this at p99.
const P99_MS: f64 = 30.0;
const WARM_UP_S: u64 = 2;
/// Each step up, until one is too much.
const STEP: f64 = 1.4;
/// Steps between the last that was borne and the first that was not.
const REFINEMENTS: usize = 3;
/// More than any server here bears; keeps a ramp finite.
const RATE_MOST: f64 = 1e6;

pub(super) fn run(setting: &Setting, seconds: u64) -> Result<Report, LoadError> {
    let Crew { mut fleet, target, .. } = Crew::bring(setting.dialect(), setting.cores, setting.manifest())?;
    let mut report = setting.report("ramp");
    let (mut best, mut too_much): (Option<Measured>, Option<f64>) = (None, None);
    let (mut rate, mut refinements) = (setting.rate, 0);
    while refinements <= REFINEMENTS && rate < RATE_MOST {
        let measured = drive(&mut fleet, &target, setting.load(rate, WARM_UP_S, seconds), alone)?;
        crate::say(&format!(
            "{rate:.0} requests/s: {:.0} deliveries/s, p99 {:.1} ms, server {:.2} cores, load {:.2} cores",
            measured.deliveries_per_s, measured.account.delivery_ms.p99, measured.cpu_cores, measured.busy
        ));
        if is_borne(&measured) {
            best = Some(measured);
        } else {
            if let Some(why) = measured.spoiled() {
                report.faults.push(format!("at {rate:.0} requests/s {why}: the server may bear more"));
            }
            too_much = Some(rate);
        }
        rate = match (&best, too_much) {
            (_, None) => rate * STEP,
            (Some(best), Some(too_much)) => {
                refinements += 1;
                f64::midpoint(best.requests_per_s, too_much)
            }
            // Even the first was too much.
            (None, Some(_)) => {
                refinements += 1;
                rate / STEP
            }
        };
        if !fleet.ledger.is_settled() {
            report.faults.push(format!("after {rate:.0} requests/s something never came"));
            break;
        }
    }
    match best {
        Some(best) => best.report(&mut report),
        None => report.spoil("no rate was borne".into()),
    }
    report.faults.append(&mut fleet.faults);
    Ok(report)
}

fn is_borne(measured: &Measured) -> bool {
    let account = &measured.account;
    account.delivery_ms.p99 < P99_MS
        && account.lost == 0
        && account.refused.is_empty()
        && measured.spoiled().is_none()
}
