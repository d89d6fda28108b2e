//! Forty-one calls in one process leave no threads, no open files and no memory behind.

use crate::support::{call_over, small_call};
use ahoy_client::loopback::DirectPath;
use ahoy_client::memory;
use ahoy_measure::process;

/// Calls after which the process is compared with the end: pools are full by then.
const WARM: usize = 10;
const CALLS: usize = 41;
/// What the calls after those may add to the resident memory. They added 0.3 MB where it was looked at.
const GROWTH: u64 = 2 << 20;

#[test]
fn loopback_calls_in_a_row_leave_no_threads_or_files_or_memory_behind() {
    // As every program of ours does.
    memory::give_back_early();
    let mut warm = None;
    for call in 1..=CALLS {
        let report = call_over(&small_call(1.0), &mut DirectPath, |_| {});
        assert!(report.video.unwrap().frames_rendered > 10, "call {call} worked");
        if call == WARM {
            warm = Some(process::usage().unwrap());
        }
    }
    let (warm, end) = (warm.unwrap(), process::usage().unwrap());
    assert_eq!(end.threads, warm.threads, "threads");
    assert_eq!(end.open_files, warm.open_files, "open files");
    let grown = end.rss_bytes.saturating_sub(warm.rss_bytes);
    assert!(grown <= GROWTH, "{grown} bytes more than after {WARM} calls, {} in all", end.rss_bytes);
}
