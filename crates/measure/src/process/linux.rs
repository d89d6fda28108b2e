//! Linux: clocks of the process and its threads, and `/proc` (proc(5)).

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use procfs::process::Process;
use rustix::time::{ClockId, clock_gettime};

use super::{ProcessError, ThreadUsage, Usage};

pub(super) fn usage() -> Result<Usage, ProcessError> {
    let status = Process::myself().and_then(|process| process.status()).map_err(unreadable("memory use"))?;
    let bytes = |kib: Option<u64>| {
        kib.map(|kib| kib * 1024).ok_or_else(|| unreadable("memory use")("the kernel does not tell"))
    };
    // Not procfs's `fd_count`: before Linux 6.2 that counts `.` and `..` too. One entry is the listing itself.
    let open_files = fs::read_dir("/proc/self/fd").map_err(unreadable("number of open files"))?.count() - 1;
    Ok(Usage {
        cpu: cpu_time()?,
        rss_bytes: bytes(status.vmrss)?,
        peak_rss_bytes: bytes(status.vmhwm)?,
        threads: status.threads as usize,
        open_files,
    })
}

pub(super) fn cpu_time() -> Result<Duration, ProcessError> {
    read_clock(ClockId::ProcessCPUTime)
}

pub(super) fn thread_cpu_time() -> Result<Duration, ProcessError> {
    read_clock(ClockId::ThreadCPUTime)
}

pub(super) fn threads() -> Result<Vec<ThreadUsage>, ProcessError> {
    let figure = "list of threads";
    let ticks_per_second = procfs::ticks_per_second();
    let tasks = Process::myself().and_then(|process| process.tasks()).map_err(unreadable(figure))?;
    let mut threads = Vec::new();
    for task in tasks {
        // A thread that ends while the list is read is no error: it is gone.
        let Ok(stat) = task.and_then(|task| task.stat()) else { continue };
        let cpu = Duration::from_secs_f64((stat.utime + stat.stime) as f64 / ticks_per_second as f64);
        threads.push(ThreadUsage { id: stat.pid, name: stat.comm, cpu });
    }
    Ok(threads)
}

pub(super) fn proportional_memory_bytes() -> Result<u64, ProcessError> {
    let figure = "share of memory";
    let maps = Process::myself()
        .and_then(|process| process.smaps_rollup())
        .map_err(unreadable(figure))?
        .memory_map_rollup;
    maps.into_iter()
        .find_map(|map| map.extension.map.get("Pss").copied())
        .ok_or_else(|| unreadable(figure)("the kernel does not tell"))
}

fn read_clock(clock: ClockId) -> Result<Duration, ProcessError> {
    Duration::try_from(clock_gettime(clock)).map_err(unreadable("processor time"))
}

fn unreadable<E: Display>(figure: &'static str) -> impl Fn(E) -> ProcessError {
    move |reason| ProcessError::Unreadable { figure, reason: reason.to_string() }
}
