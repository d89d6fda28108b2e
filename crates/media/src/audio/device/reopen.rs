//! Getting a lost device back.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::audio::AudioError;

/// Wait before the first attempt: a sound server that moves its streams to another device needs a moment.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between attempts: what a person takes to plug a device in again.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// No sound for this long means that a device has stopped without a word.
pub(super) const WATCHDOG: Duration = Duration::from_secs(1);
/// The same for a device that has just been opened: an idle PulseAudio sink may sleep for 2 s before it looks.
pub(super) const STARTING: Duration = Duration::from_secs(4);
/// Longest wait for a device at the start, with which the user waits too.
pub(super) const OPENING: Duration = Duration::from_secs(5);

/// Opens a device again and again in the background until it succeeds, waiting twice as long after each failure.
pub(super) struct Reopener<T> {
    wait: Duration,
    next: MediaTime,
    /// An attempt that runs. There is never a second one beside it: those that a sound server keeps waiting would pile
    /// up.
    attempt: Option<Receiver<Result<T, AudioError>>>,
}

impl<T> Reopener<T> {
    /// Starts trying, after a short wait.
    pub(super) fn new(now: MediaTime) -> Self {
        Self { wait: FIRST_WAIT, next: now + FIRST_WAIT, attempt: None }
    }

    /// Gives the device once it is open. `open` starts an attempt in the background.
    pub(super) fn poll(
        &mut self,
        now: MediaTime,
        open: impl FnOnce() -> Result<Receiver<Result<T, AudioError>>, AudioError>,
    ) -> Option<T> {
        if let Some(attempt) = &self.attempt {
            match attempt.try_recv() {
                Ok(Ok(device)) => return Some(device),
                Err(TryRecvError::Empty) => return None,
                Ok(Err(reason)) => {
                    tracing::debug!(%reason, "a sound device is still away");
                    self.failed(now);
                }
                Err(TryRecvError::Disconnected) => self.failed(now),
            }
        } else if now >= self.next {
            match open() {
                Ok(attempt) => self.attempt = Some(attempt),
                Err(_) => self.failed(now),
            }
        }
        None
    }

    fn failed(&mut self, now: MediaTime) {
        self.attempt = None;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.next = now + self.wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn attempt(result: Option<Result<u8, AudioError>>) -> Receiver<Result<u8, AudioError>> {
        let (done, attempt) = mpsc::sync_channel(1);
        result.map(|result| done.send(result));
        attempt
    }

    #[test]
    fn attempts_come_at_growing_intervals_until_one_succeeds() {
        let mut reopener = Reopener::new(MediaTime::ZERO);
        let mut attempts = Vec::new();
        let mut opened = None;
        for ms in (0..20_000).step_by(10) {
            let now = MediaTime::from_millis(ms);
            opened = reopener.poll(now, || {
                attempts.push(ms);
                let ready = attempts.len() == 7;
                Ok(attempt(Some(if ready { Ok(7) } else { Err(AudioError::NoMicrophone) })))
            });
            if opened.is_some() {
                break;
            }
        }
        assert_eq!(opened, Some(7));
        assert_eq!(attempts, [100, 310, 720, 1530, 3140, 5150, 7160]);
    }

    #[test]
    fn an_attempt_that_hangs_is_the_only_one() {
        let (_hanging, receiver) = mpsc::sync_channel::<Result<u8, AudioError>>(1);
        let mut reopener = Reopener::new(MediaTime::ZERO);
        assert_eq!(reopener.poll(MediaTime::from_millis(100), || Ok(receiver)), None);
        for s in 1..60 {
            let second = |()| unreachable!("a second attempt");
            assert_eq!(reopener.poll(MediaTime::from_millis(s * 1000), || second(())), None);
        }
    }

    #[test]
    fn a_device_that_cannot_even_be_tried_is_tried_again() {
        let mut reopener = Reopener::<u8>::new(MediaTime::ZERO);
        let refused = || Err(AudioError::Thread(std::io::Error::other("no room")));
        assert_eq!(reopener.poll(MediaTime::from_millis(100), refused), None);
        assert_eq!(reopener.poll(MediaTime::from_millis(300), || Ok(attempt(Some(Ok(1))))), None);
        assert_eq!(reopener.poll(MediaTime::from_millis(310), || unreachable!()), Some(1));
    }
}
