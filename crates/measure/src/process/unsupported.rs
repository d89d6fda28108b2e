//! Operating systems whose figures are not read yet.

use std::time::Duration;

use super::{ProcessError, ThreadUsage, Usage};

const UNSUPPORTED: ProcessError = ProcessError::Unsupported { system: std::env::consts::OS };

pub(super) fn usage() -> Result<Usage, ProcessError> {
    Err(UNSUPPORTED)
}

pub(super) fn cpu_time() -> Result<Duration, ProcessError> {
    Err(UNSUPPORTED)
}

pub(super) fn thread_cpu_time() -> Result<Duration, ProcessError> {
    Err(UNSUPPORTED)
}

pub(super) fn threads() -> Result<Vec<ThreadUsage>, ProcessError> {
    Err(UNSUPPORTED)
}

pub(super) fn proportional_memory_bytes() -> Result<u64, ProcessError> {
    Err(UNSUPPORTED)
}
