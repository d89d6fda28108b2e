//! What this process costs: processor time, memory, threads and open files.
//!
//! Each operating system has a file of its own; those without one answer [`ProcessError::Unsupported`].

use std::time::Duration;

use serde::Serialize;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "unsupported.rs"]
mod system;

/// Why a figure about this process could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The figures are not read on this operating system.
    #[error(
        "Ahoy can't measure its processor time and memory on {system} yet: leave those measurements out, or measure on Linux"
    )]
    Unsupported {
        /// The operating system, as Rust calls it.
        system: &'static str,
    },
    /// The operating system would not say.
    #[error(
        "Ahoy's {figure} could not be read from the system ({reason}): check that /proc is mounted and readable, or leave that measurement out"
    )]
    Unreadable {
        /// What was asked for.
        figure: &'static str,
        /// What the system answered.
        reason: String,
    },
}

/// What the whole process has used up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Processor time of all threads, past ones included, in user and kernel mode. To the nanosecond.
    pub cpu: Duration,
    /// Memory that is resident now, in bytes (VmRSS). Shared libraries count in full.
    pub rss_bytes: u64,
    /// The most that was ever resident since the process started, in bytes (VmHWM).
    pub peak_rss_bytes: u64,
    /// Threads that run now.
    pub threads: usize,
    /// Files, sockets and other descriptors that are open now.
    pub open_files: usize,
}

/// What one thread has used up to now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadUsage {
    /// The system's number for the thread.
    pub id: i32,
    /// The thread's name; on Linux its first 15 bytes.
    pub name: String,
    /// Processor time in user and kernel mode, in steps of the system's clock tick (10 ms on Linux).
    pub cpu: Duration,
}

/// What the whole process has used up to now. Costs about 0.1 ms plus 1 µs for each open file: ask once a second, not
/// once a frame.
pub fn usage() -> Result<Usage, ProcessError> {
    system::usage()
}

/// Processor time of the whole process, to the nanosecond: one cheap system call.
pub fn cpu_time() -> Result<Duration, ProcessError> {
    system::cpu_time()
}

/// Processor time of the calling thread, to the nanosecond: one cheap system call.
pub fn thread_cpu_time() -> Result<Duration, ProcessError> {
    system::thread_cpu_time()
}

/// What each running thread has used. The time of threads that have ended is in [`Usage::cpu`] only.
pub fn threads() -> Result<Vec<ThreadUsage>, ProcessError> {
    system::threads()
}

/// Resident memory in bytes with memory that is shared with other processes counted by share (PSS): what the process
/// adds to the load of the machine. The kernel walks all page tables for it, milliseconds for a large process.
pub fn proportional_memory_bytes() -> Result<u64, ProcessError> {
    system::proportional_memory_bytes()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::hint::black_box;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn work_shows_in_the_time_of_its_thread_and_of_the_process() {
        const WORK: Duration = Duration::from_millis(60);
        let (process_before, this_thread_before) = (cpu_time().unwrap(), thread_cpu_time().unwrap());
        let (at_work, wait_for_work) = mpsc::channel();
        let (let_go, wait_for_end) = mpsc::channel::<()>();
        let worker = thread::Builder::new()
            .name("ahoy-burn".into())
            .spawn(move || {
                while thread_cpu_time().unwrap() < WORK {
                    black_box((0..1000u64).map(black_box).sum::<u64>());
                }
                at_work.send(()).unwrap();
                wait_for_end.recv().unwrap();
            })
            .unwrap();
        wait_for_work.recv().unwrap();
        let seen = threads().unwrap();
        let_go.send(()).unwrap();
        worker.join().unwrap();

        let seen = seen.iter().find(|thread| thread.name == "ahoy-burn").unwrap();
        assert!(seen.cpu >= WORK - Duration::from_millis(10), "{seen:?}");
        assert!(cpu_time().unwrap() - process_before >= WORK);
        assert!(usage().unwrap().cpu - process_before >= WORK);
        assert!(thread_cpu_time().unwrap() - this_thread_before < WORK);
    }

    #[test]
    fn memory_that_is_written_to_is_resident_and_stays_in_the_peak() {
        const BYTES: u64 = 64 << 20;
        let before = usage().unwrap();
        let memory = black_box(vec![1u8; BYTES as usize]);
        let during = usage().unwrap();
        let shared_out = proportional_memory_bytes().unwrap();
        drop(memory);
        let after = usage().unwrap();
        assert!(during.rss_bytes >= before.rss_bytes + BYTES * 9 / 10);
        assert!(shared_out >= BYTES && shared_out <= during.peak_rss_bytes);
        assert!(after.rss_bytes < during.rss_bytes - BYTES / 2);
        assert!(after.peak_rss_bytes >= before.rss_bytes + BYTES * 9 / 10);
    }

    #[test]
    fn open_files_and_threads_are_counted() {
        let before = usage().unwrap();
        let files: Vec<_> = (0..10).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let (let_go, wait_for_end) = mpsc::channel::<()>();
        let worker = thread::spawn(move || wait_for_end.recv());
        let during = usage().unwrap();
        assert_eq!((during.open_files, during.threads), (before.open_files + 10, before.threads + 1));
        drop(files);
        drop(let_go);
        worker.join().unwrap().unwrap_err();
        assert_eq!(usage().unwrap().open_files, before.open_files);
    }

    #[test]
    fn errors_tell_the_user_what_to_do() {
        let unsupported = ProcessError::Unsupported { system: "plan9" }.to_string();
        assert!(unsupported.contains("plan9") && unsupported.contains("leave those measurements out"));
    }
}
