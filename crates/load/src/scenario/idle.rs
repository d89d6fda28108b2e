//! What a connection costs that is only there.

use std::time::{Duration, Instant};

use super::Setting;
use crate::crew::{Crew, Manifest};
use crate::error::LoadError;
use crate::fleet::Dialect;
use crate::report::Report;

/// Longer than a heartbeat, so that every connection has been used once.
const SETTLED: Duration = Duration::from_secs(15);
/// Processor time is measured over this: two heartbeats of each.
const WATCHED: Duration = Duration::from_secs(20);

pub(super) fn run(setting: &Setting, connections: usize, in_rooms: bool) -> Result<Report, LoadError> {
    let dialect = setting.dialect();
    // The hub has no connections without a room.
    let in_rooms = in_rooms || dialect == Dialect::Hub;
    let partners = false;
    let manifest = Manifest { users: connections, partners, in_rooms, ..setting.manifest() };
    let mut report = setting.report("idle");
    let mut crew = Crew::waiting(dialect, setting.cores, manifest)?;
    let before = crew.target.memory()?;
    let begin = Instant::now();
    crew.come(manifest)?;
    let connecting = begin.elapsed();
    crew.fleet.rest(SETTLED)?;
    let cpu = crew.target.cpu()?;
    crew.fleet.rest(WATCHED)?;
    let cpu = crew.target.cpu()?.saturating_sub(cpu);
    let after = crew.target.memory()?;
    let open = crew.fleet.ready();
    let each = |bytes: u64| bytes as f64 / 1e3 / open.max(1) as f64;
    report.add("connections", "", open as f64);
    report.add("connecting_s", "s", connecting.as_secs_f64());
    report.add("server_rss_kb_each", "KB", each(after.rss));
    report.add("server_pss_kb_each", "KB", each(after.pss));
    report.add("server_rss_growth_kb_each", "KB", each(after.rss.saturating_sub(before.rss)));
    report.add("server_rss_mb_before", "MB", before.rss as f64 / 1e6);
    report.add("server_rss_mb", "MB", after.rss as f64 / 1e6);
    report.add("server_cpu_cores", "cores", cpu.as_secs_f64() / WATCHED.as_secs_f64());
    if open < connections {
        report.spoil(format!("only {open} of {connections} connections stayed open"));
    }
    report.faults.append(&mut crew.fleet.faults);
    Ok(report)
}
