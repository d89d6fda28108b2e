//! Waiting for a machine that has nothing else to do.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::processes::{busy_since, processor_time};
use crate::say;

/// Share of all processors together that others may have.
const BUSY: f64 = 0.10;
/// In a row: a browser that has just been closed, or a timer of the system, is over by then.
const FOR_S: u32 = 5;
/// Whoever is still busy then will be for longer.
const PATIENCE_S: u32 = 120;

/// Returns when the processors have been idle for long enough, with an error when they would not be.
pub(crate) fn wait_until_idle() -> Result<()> {
    wait(|| {
        let before = processor_time()?;
        thread::sleep(Duration::from_secs(1));
        busy_since(before)
    })
}

/// `second` lets a second pass and says which share of the processors was busy in it, 0 to 1.
fn wait(mut second: impl FnMut() -> Result<f64>) -> Result<()> {
    let (mut calm, mut sum) = (0, 0.0);
    for passed in 1..=PATIENCE_S {
        let busy = second()?;
        sum += busy;
        calm = if busy <= BUSY { calm + 1 } else { 0 };
        if calm == FOR_S {
            return Ok(());
        }
        if passed == FOR_S * 2 {
            say(&format!("  waiting until the processors are idle: {:.0} % busy", busy * 100.0));
        }
    }
    bail!(
        "for two minutes the processors were never {:.0} % idle for {FOR_S} s in a row: {:.0} % of them were busy on average. \
         Stop what else runs on this machine (`top` shows it) and start again: runs that are done are kept.",
        (1.0 - BUSY) * 100.0,
        sum / f64::from(PATIENCE_S) * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many seconds it goes on.
    fn goes_on_after(busy: impl Fn(u32) -> f64) -> Result<u32> {
        let mut seconds = 0;
        wait(|| {
            seconds += 1;
            Ok(busy(seconds))
        })?;
        Ok(seconds)
    }

    #[test]
    fn an_idle_machine_is_waited_for_five_seconds() {
        assert_eq!(goes_on_after(|_| 0.1).unwrap(), 5);
    }

    #[test]
    fn a_busy_second_begins_the_wait_anew() {
        assert_eq!(goes_on_after(|second| if second == 4 { 0.5 } else { 0.0 }).unwrap(), 9);
    }

    #[test]
    fn a_machine_that_stays_busy_is_told_with_the_share_and_what_to_do() {
        let error =
            goes_on_after(|second| if second % 5 == 0 { 0.30 } else { 0.05 }).unwrap_err().to_string();
        assert!(error.contains("10 % of them were busy") && error.contains("top"), "{error}");
    }
}
