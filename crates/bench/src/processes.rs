//! What the processes of a program cost, all of them together.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use procfs::Current as _;
use procfs::process::{MMapPath, Process};

/// Processor time that they have used, in steps of the system's clock tick (10 ms). One that has ended counts nothing.
pub(crate) fn cpu_time(processes: &[u32]) -> Duration {
    let ticks: u64 = processes
        .iter()
        .filter_map(|process| Process::new(i32::try_from(*process).ok()?).ok()?.stat().ok())
        .map(|stat| stat.utime + stat.stime)
        .sum();
    Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64)
}

/// Their memory in MB (10^6 bytes), what they share counted once (PSS), without files below `leave_out`.
pub(crate) fn memory_mb(processes: &[u32], leave_out: &Path) -> f64 {
    let maps = processes
        .iter()
        .filter_map(|process| Process::new(i32::try_from(*process).ok()?).ok()?.smaps().ok())
        .flat_map(|maps| maps.0);
    let bytes: u64 = maps
        .filter(|map| !matches!(&map.pathname, MMapPath::Path(path) if path.starts_with(leave_out)))
        .filter_map(|map| map.extension.map.get("Pss").copied())
        .sum();
    bytes as f64 / 1e6
}

/// When a process was started, as time since 1970; within two of the system's clock ticks (10 ms).
pub(crate) fn started_at(process: u32) -> Result<Duration> {
    let stat = Process::new(i32::try_from(process)?)?.stat()?;
    let after_boot = Duration::from_secs_f64(stat.starttime as f64 / procfs::ticks_per_second() as f64);
    let uptime = procfs::Uptime::current()?.uptime_duration();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the system's clock is wrong")?;
    Ok(now - (uptime - after_boot))
}
