//! Whether the path carries more than is sent, seen from how far the packets of each frame are spread on the way.
//!
//! The packets of a frame leave at [`crate::pacer::BURST_GAIN`] times the rate. Where the path carries that much they
//! arrive as they left; where it does not they arrive further apart, and how far tells what it carries (the principle of
//! pathload, Jain and Dovrolis 2002, with frames for its packet trains). So each frame is a probe that costs nothing.

use std::collections::VecDeque;

use crate::history::PacketResult;
use crate::pacer::PacketKind;

/// Frames that are looked at together: jitter of single frames evens out.
const FRAMES: usize = 10;
/// Frames older than this say nothing about now.
const WINDOW_S: f64 = 0.7;
/// The least that is concluded from.
const LEAST_FRAMES: usize = 4;
/// A burst that left within less is no burst: timers are no finer.
const SHORTEST_S: f64 = 0.002;

#[derive(Clone, Copy, Debug)]
struct Burst {
    id: u32,
    first_sent: f64,
    last_sent: f64,
    first_arrived: f64,
    last_arrived: f64,
    /// All but the first packet's: what was sent between the first and the last.
    bits: f64,
    packets: u32,
}

impl Burst {
    fn is_usable(&self) -> bool {
        self.packets >= 2 && self.last_sent - self.first_sent >= SHORTEST_S
    }
}

/// What the latest frames say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// How much further apart packets arrive than they left: 1 where the path carries what the bursts need.
    pub(crate) factor: f64,
    /// The rate at which they left, in bits per second.
    pub(crate) sent: f64,
    /// The rate at which they arrived.
    pub(crate) arrived: f64,
    /// By how much longer a burst took to arrive than to leave, in seconds.
    pub(crate) longer: f64,
    /// How many frames say so.
    pub(crate) frames: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Headroom {
    current: Option<Burst>,
    bursts: VecDeque<Burst>,
}

impl Headroom {
    pub(crate) fn arrived(&mut self, result: &PacketResult) {
        let (PacketKind::Video | PacketKind::Repair | PacketKind::Padding, Some(arrived)) =
            (result.sent.kind, result.arrived)
        else {
            return;
        };
        let (sent, arrived) = (result.sent.at.as_secs_f64(), arrived.as_secs_f64());
        let bits = result.sent.bytes as f64 * 8.0;
        match &mut self.current {
            Some(burst) if burst.id == result.sent.burst => {
                burst.last_sent = burst.last_sent.max(sent);
                burst.last_arrived = burst.last_arrived.max(arrived);
                burst.bits += bits;
                burst.packets += 1;
            }
            current => {
                let burst = Burst {
                    id: result.sent.burst,
                    first_sent: sent,
                    last_sent: sent,
                    first_arrived: arrived,
                    last_arrived: arrived,
                    bits: 0.0,
                    packets: 1,
                };
                if let Some(done) = current.replace(burst)
                    && done.is_usable()
                {
                    self.bursts.push_back(done);
                }
                while self.bursts.len() > FRAMES
                    || self.bursts.front().is_some_and(|first| sent - first.last_sent > WINDOW_S)
                {
                    self.bursts.pop_front();
                }
            }
        }
    }

    pub(crate) fn spread(&self) -> Option<Spread> {
        if self.bursts.len() < LEAST_FRAMES {
            return None;
        }
        let (mut bits, mut sent, mut arrived) = (0.0, 0.0, 0.0);
        for burst in &self.bursts {
            bits += burst.bits;
            sent += burst.last_sent - burst.first_sent;
            arrived += burst.last_arrived - burst.first_arrived;
        }
        let arrived = arrived.max(0.000_1);
        Some(Spread {
            factor: arrived / sent,
            sent: bits / sent,
            arrived: bits / arrived,
            longer: (arrived - sent) / self.bursts.len() as f64,
            frames: self.bursts.len(),
        })
    }

    /// What was seen holds no longer.
    pub(crate) fn reset(&mut self) {
        self.bursts.clear();
    }
}
