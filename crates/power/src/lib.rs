//! Whether power is to be saved: because the person has said so to the system, because the battery is nearly empty, or
//! because the machine is too hot to go on like this.
//!
//! [`watch()`] looks at the machine every ten seconds, and [`PowerPolicy`], which is pure, decides. What each system tells:
//!
//! | | Linux | macOS | Windows |
//! |---|---|---|---|
//! | battery | sysfs | IOKit | `PowerManager` |
//! | power saver | the profile of power-profiles-daemon | low power mode | energy saver |
//! | hot | power-profiles-daemon, where the hardware tells it | thermal state | nothing that a program can ask |
//!
//! Whatever a machine does not tell is taken as no reason to save power.

#![forbid(unsafe_code)]

mod policy;
mod system;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub use self::policy::{PowerPolicy, PowerState, Reading, Reason};
use self::system::Machine;

/// How often the machine is looked at. A battery takes minutes for a percent; who changes the profile waits this long.
const EVERY: Duration = Duration::from_secs(10);

/// Looks at this machine for as long as somebody has a receiver. Must be called on a tokio runtime. The state is that of a
/// machine which says nothing until the first look is done, some milliseconds later.
pub fn watch() -> watch::Receiver<PowerState> {
    watch_machine(system::this())
}

fn watch_machine(machine: impl Machine) -> watch::Receiver<PowerState> {
    let (told, state) = watch::channel(PowerState::default());
    tokio::spawn(async move {
        tokio::select! {
            () = told.closed() => {}
            () = look_on(machine, &told) => {}
        }
    });
    state
}

/// Looks again and again, and never ends.
async fn look_on(mut machine: impl Machine, told: &watch::Sender<PowerState>) {
    let begun = Instant::now();
    let mut policy = PowerPolicy::default();
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = policy.decide(machine.read().await, begun.elapsed());
        let before = told.send_replace(now);
        if before.reason != now.reason {
            tracing::info!(reason = ?now.reason, "whether power is to be saved has changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A battery that loses a percent with each look.
    struct Draining {
        percent: u8,
        looks: Arc<AtomicU32>,
    }

    impl Machine for Draining {
        async fn read(&mut self) -> Reading {
            self.looks.fetch_add(1, Ordering::Relaxed);
            let charge_percent = Some(self.percent);
            self.percent -= 1;
            Reading { on_battery: true, charge_percent, ..Reading::default() }
        }
    }

    fn draining(percent: u8) -> (Draining, Arc<AtomicU32>) {
        let looks = Arc::default();
        (Draining { percent, looks: Arc::clone(&looks) }, looks)
    }

    #[tokio::test(start_paused = true)]
    async fn a_battery_that_runs_down_is_noticed() {
        let begun = Instant::now();
        let (machine, _looks) = draining(23);
        let mut state = watch_machine(machine);
        assert_eq!(state.borrow().reason, None, "nothing is known yet");
        let low = *state.wait_for(|state| state.reason.is_some()).await.unwrap();
        assert_eq!((low.reason, low.reading.charge_percent), (Some(Reason::LowBattery), Some(20)));
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_looks_any_more_when_nobody_wants_to_know() {
        let (machine, looks) = draining(100);
        let mut state = watch_machine(machine);
        state.changed().await.unwrap();
        let other = state.clone();
        drop(state);
        tokio::time::advance(EVERY).await;
        tokio::task::yield_now().await;
        assert_eq!(looks.load(Ordering::Relaxed), 2, "somebody still wants to");
        drop(other);
        tokio::task::yield_now().await;
        // The machine goes with the task.
        assert_eq!(Arc::strong_count(&looks), 1);
    }
}
