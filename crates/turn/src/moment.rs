//! The time that decisions are made at.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A point in time, by both clocks that decisions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// For everything that lasts.
    pub(crate) at: Instant,
    /// Seconds since 1970, for what was dated elsewhere.
    pub(crate) unix_s: u64,
}

impl Moment {
    /// Now, by the runtime's clock, which tests can hold still.
    pub(crate) fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: tokio::time::Instant::now().into_std(), unix_s: unix.as_secs() }
    }
}
