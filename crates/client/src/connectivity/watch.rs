//! News of this machine's network: addresses that come and go, and waking from sleep.

use std::future;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use if_watch::tokio::IfWatcher;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout_at};

/// How often the clocks are compared. Sleeping stops the one and not the other.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A difference that is sleep, and no adjustment of the clock by a time server, which moves it by half a second at most.
const SLEPT: Duration = Duration::from_secs(2);
/// How long news are gathered: an interface that comes up gets its addresses one by one. It is what a call waits longer for, so
/// it is short.
const SETTLES: Duration = Duration::from_millis(20);
/// How often it is looked again after addresses changed: a new IPv6 address can be used only when it is known that nobody else
/// has it (RFC 4862 section 5.4, one second), which is told by nothing.
const AGAIN: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1500)];

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkNews {
    /// Addresses may have come or gone.
    Changed,
    /// The machine has slept for this long.
    Slept(Duration),
}

/// The watch. Nothing is told where the system tells nothing.
pub(crate) struct NetworkWatch {
    addresses: Option<IfWatcher>,
    look: Interval,
    clocks: Clocks,
    again: Vec<Instant>,
}

impl NetworkWatch {
    /// Begins to watch. Must be called on a tokio runtime.
    pub(crate) fn start() -> Self {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let addresses =
            IfWatcher::new().inspect_err(|error| tracing::warn!(%error, "the network is not watched"));
        Self { addresses: addresses.ok(), look, clocks: Clocks::now(), again: Vec::new() }
    }

    /// Waits until something has happened. May be dropped at any time without missing anything.
    pub(crate) async fn news(&mut self) -> NetworkNews {
        loop {
            let again = self.again.iter().min().copied();
            tokio::select! {
                // What there is already is told first, as if it were new: one look too many.
                () = next(&mut self.addresses) => {
                    let until = Instant::now() + SETTLES;
                    while timeout_at(until, next(&mut self.addresses)).await.is_ok() {}
                    self.again = AGAIN.map(|later| until + later).to_vec();
                    return NetworkNews::Changed;
                }
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                    self.again.retain(|at| Some(*at) != again);
                    return NetworkNews::Changed;
                }
                _ = self.look.tick() => {
                    let before = std::mem::replace(&mut self.clocks, Clocks::now());
                    if let Some(slept) = self.clocks.slept_since(&before) {
                        tracing::info!(seconds = slept.as_secs(), "this machine has slept");
                        return NetworkNews::Slept(slept);
                    }
                }
            }
        }
    }
}

/// Two clocks: one stands still while the machine sleeps.
struct Clocks {
    counted: Instant,
    of_day: SystemTime,
}

impl Clocks {
    fn now() -> Self {
        Self { counted: Instant::now(), of_day: SystemTime::now() }
    }

    fn slept_since(&self, before: &Self) -> Option<Duration> {
        let counted = self.counted.saturating_duration_since(before.counted);
        let passed = self.of_day.duration_since(before.of_day).unwrap_or_default();
        Some(passed.saturating_sub(counted)).filter(|slept| *slept > SLEPT)
    }
}

async fn next(addresses: &mut Option<IfWatcher>) {
    match addresses {
        Some(watcher) => match watcher.next().await {
            Some(Ok(event)) => tracing::debug!(?event, "addresses"),
            Some(Err(error)) => tracing::warn!(%error, "the network is not watched any more"),
            None => future::pending().await,
        },
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_slept_is_told_from_one_whose_clock_was_set_right() {
        let before = Clocks::now();
        let later = |counted: u64, of_day_ms: i64| {
            let moved = Duration::from_millis(of_day_ms.unsigned_abs());
            let of_day = if of_day_ms < 0 { before.of_day - moved } else { before.of_day + moved };
            Clocks { counted: before.counted + Duration::from_millis(counted), of_day }
        };
        assert_eq!(later(1000, 1000).slept_since(&before), None);
        assert_eq!(later(1000, 1500).slept_since(&before), None, "a time server moves the clock a little");
        assert_eq!(later(1000, -60_000).slept_since(&before), None, "or back");
        assert_eq!(later(60_000, 60_000).slept_since(&before), None, "a busy machine looks late");
        assert_eq!(later(1000, 9000).slept_since(&before), Some(Duration::from_secs(8)));
    }
}
