//! Files beside a call. Nothing but [`Background`] holds them back: what carries them adds a window of its own where it runs.

use std::collections::BTreeSet;

use ahoy_congestion::Background;
use ahoy_media_types::MediaTime;

use super::{Back, Body};

/// With all headers.
const PACKET: usize = 1_250;

pub(crate) struct Files {
    when: Option<(f64, f64)>,
    next: u64,
    on_their_way: BTreeSet<u64>,
    wakeup: Option<MediaTime>,
    /// Arrivals: seconds and bytes.
    pub(crate) received: Vec<(f64, usize)>,
}

impl Files {
    pub(crate) fn new(when: Option<(f64, f64)>) -> Self {
        Self { when, next: 0, on_their_way: BTreeSet::new(), wakeup: None, received: Vec::new() }
    }

    pub(crate) fn next_wakeup(&self) -> Option<MediaTime> {
        self.wakeup
    }

    pub(crate) fn send(
        &mut self,
        background: &mut Background,
        now: MediaTime,
        leave: &mut impl FnMut(usize, Body),
    ) {
        self.wakeup = None;
        let Some((from, to)) = self.when else { return };
        if !(from..to).contains(&now.as_secs_f64()) {
            return;
        }
        loop {
            if let Some(at) = background.may_leave(now) {
                self.wakeup = Some(at);
                return;
            }
            background.leaves(PACKET, now);
            leave(PACKET, Body::Segment(self.next));
            self.on_their_way.insert(self.next);
            self.next += 1;
        }
    }

    pub(crate) fn on_arrival(&mut self, segment: u64, bytes: usize, at: MediaTime) -> Back {
        self.received.push((at.as_secs_f64(), bytes));
        Back::Ack(segment)
    }

    pub(crate) fn on_ack(&mut self, segment: u64, background: &mut Background, now: MediaTime) {
        if !self.on_their_way.remove(&segment) {
            return;
        }
        background.delivered(PACKET, now);
        // Three that left later are here (RFC 9002 section 6.1.1).
        let before = segment.saturating_sub(2);
        let later = self.on_their_way.split_off(&before);
        let lost = std::mem::replace(&mut self.on_their_way, later);
        lost.into_iter().for_each(|_| background.lost(PACKET, now));
    }

    /// What arrived from `from` to `to`, in bits per second.
    pub(crate) fn rate(&self, from: f64, to: f64) -> f64 {
        let received = self.received.iter().filter(|(at, _)| (from..to).contains(at));
        received.map(|(_, bytes)| *bytes as f64 * 8.0).sum::<f64>() / (to - from)
    }
}
