//! Forty-one calls in one process leave no threads and no open files behind.

mod support;

use ahoy_client::loopback::DirectPath;
use ahoy_measure::process;
use support::{call_over, small_call};

/// Calls after which threads and files are compared with the end: pools are full by then.
const WARM: usize = 10;
const CALLS: usize = 41;
#[test]
fn loopback_calls_in_a_row_leave_no_threads_or_files_behind() {
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
}
