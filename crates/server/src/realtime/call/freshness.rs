//! Which signals of one side of a call are stale.

use std::collections::VecDeque;

use ahoy_signal::{CallSignal, IceGeneration};

/// ICE generations remembered as past. A connection restarts ICE a few times at most in the seconds for which a candidate
/// can be late.
const PAST_MOST: usize = 8;

/// What one side of a call has said last.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    revision: u32,
    current: Option<IceGeneration>,
    past: VecDeque<IceGeneration>,
}

impl Freshness {
    /// Whether a signal is to be passed on, and not one that newer ones have replaced.
    pub(super) fn admits(&mut self, signal: &CallSignal) -> bool {
        match signal {
            CallSignal::Description { revision, generation, .. } => {
                if *revision <= self.revision {
                    return false;
                }
                self.revision = *revision;
                if self.current.as_ref() != Some(generation) {
                    self.past.extend(self.current.replace(generation.clone()));
                    if self.past.len() > PAST_MOST {
                        self.past.pop_front();
                    }
                }
                true
            }
            // One of a generation that is not known yet has overtaken its description; the receiver keeps it for that.
            CallSignal::Candidate { generation, .. } => !self.past.contains(generation),
        }
    }
}
