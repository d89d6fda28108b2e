//! What the processes of a program cost, all of them together.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use procfs::process::{MMapPath, Process};
use procfs::{Current as _, CurrentSI as _};

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

/// Ticks since boot in which processors worked, and all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessorTime {
    busy: u64,
    all: u64,
}

/// What all processors have done so far.
pub(crate) fn processor_time() -> Result<ProcessorTime> {
    let total = procfs::KernelStats::current()?.total;
    let idle = total.idle + total.iowait.unwrap_or(0);
    let busy = total.user
        + total.nice
        + total.system
        + [total.irq, total.softirq, total.steal].into_iter().flatten().sum::<u64>();
    Ok(ProcessorTime { busy, all: busy + idle })
}

/// The share of all processors that was busy since `before`, 0 to 1.
pub(crate) fn busy_since(before: ProcessorTime) -> Result<f64> {
    let now = processor_time()?;
    Ok((now.busy - before.busy) as f64 / (now.all - before.all).max(1) as f64)
}
