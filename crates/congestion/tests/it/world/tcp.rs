//! A TCP connection that has as much to send as it can: CUBIC (RFC 9438) with SACK, or Reno (RFC 5681).

use std::collections::BTreeSet;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use super::{Back, Body, Parcel};

const SEGMENT: usize = 1_500;

pub(crate) struct Tcp {
    cubic: bool,
    starts: f64,
    window: f64,
    threshold: f64,
    next: u64,
    /// Sent and neither acknowledged nor taken for lost.
    in_flight: BTreeSet<u64>,
    lost: BTreeSet<u64>,
    /// Losses of segments before this belong to a reduction that was made.
    recover: u64,
    plateau: f64,
    reduced_at: Option<MediaTime>,
    rtt: f64,
    sent_at: std::collections::BTreeMap<u64, MediaTime>,
    last_ack: MediaTime,
    /// Arrivals: seconds and bytes.
    pub(crate) received: Vec<(f64, usize)>,
    now: MediaTime,
}

impl Tcp {
    pub(crate) fn new(cubic: bool, starts: f64) -> Self {
        Self {
            cubic,
            starts,
            window: 10.0,
            threshold: f64::INFINITY,
            next: 0,
            in_flight: BTreeSet::new(),
            lost: BTreeSet::new(),
            recover: 0,
            plateau: 0.0,
            reduced_at: None,
            rtt: 0.1,
            sent_at: std::collections::BTreeMap::new(),
            last_ack: MediaTime::ZERO,
            received: Vec::new(),
            now: MediaTime::ZERO,
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<MediaTime> {
        let start = MediaTime::ZERO + Duration::from_secs_f64(self.starts);
        match self.now < start {
            true => Some(start),
            false => Some(self.last_ack.max(start) + Duration::from_millis(600)),
        }
    }

    pub(crate) fn send(&mut self, now: MediaTime, leave: &mut impl FnMut(usize, Body)) {
        self.now = now;
        if now.as_secs_f64() < self.starts {
            return;
        }
        if now - self.last_ack > Duration::from_millis(500) && !self.in_flight.is_empty() {
            // Everything is taken for lost: a timeout.
            self.lost.append(&mut self.in_flight);
            (self.threshold, self.window) = ((self.window / 2.0).max(2.0), 2.0);
            self.last_ack = now;
        }
        while (self.in_flight.len() as f64) < self.window {
            let segment = self.lost.pop_first().unwrap_or_else(|| {
                self.next += 1;
                self.next - 1
            });
            self.in_flight.insert(segment);
            self.sent_at.insert(segment, now);
            leave(SEGMENT, Body::Segment(segment));
            self.last_ack = self.last_ack.max(MediaTime::ZERO + Duration::from_secs_f64(self.starts));
        }
    }

    pub(crate) fn on_arrival(&mut self, parcel: Parcel) -> Option<Back> {
        let Body::Segment(segment) = parcel.body else { return None };
        self.received.push((self.now.as_secs_f64(), parcel.bytes));
        Some(Back::Ack(segment))
    }

    pub(crate) fn on_back(&mut self, back: Back, now: MediaTime) {
        let Back::Ack(segment) = back else { return };
        self.last_ack = now;
        if !self.in_flight.remove(&segment) {
            return;
        }
        if let Some(sent) = self.sent_at.remove(&segment) {
            let sample = (now - sent).as_secs_f64();
            self.rtt += (sample - self.rtt) / 8.0;
            // What was sent three segments before this one and is not here is lost.
            let lost: Vec<u64> = self
                .in_flight
                .iter()
                .copied()
                .filter(|other| self.sent_at.get(other).is_some_and(|at| *at < sent) && other + 3 <= segment)
                .collect();
            for other in lost {
                self.in_flight.remove(&other);
                self.lost.insert(other);
                if other >= self.recover {
                    self.reduce(now);
                }
            }
        }
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        match self.reduced_at {
            Some(at) if self.cubic => {
                let k = (self.plateau * 0.3 / 0.4).cbrt();
                let t = (now - at).as_secs_f64() + self.rtt;
                let wanted = 0.4 * (t - k).powi(3) + self.plateau;
                let reno = self.plateau * 0.7 + 3.0 * 0.3 / 1.7 * (t / self.rtt);
                let wanted = wanted.max(reno).min(self.window * 1.5);
                if wanted > self.window {
                    self.window += (wanted - self.window) / self.window;
                }
            }
            Some(_) | None => self.window += 1.0 / self.window,
        }
    }

    fn reduce(&mut self, now: MediaTime) {
        self.recover = self.next;
        let factor = if self.cubic { 0.7 } else { 0.5 };
        self.plateau = self.window;
        self.window = (self.window * factor).max(2.0);
        self.threshold = self.window;
        self.reduced_at = Some(now);
    }

    /// What arrived from `from` to `to`, in bits per second.
    pub(crate) fn rate(&self, from: f64, to: f64) -> f64 {
        let received = self.received.iter().filter(|(at, _)| (from..to).contains(at));
        received.map(|(_, bytes)| *bytes as f64 * 8.0).sum::<f64>() / (to - from)
    }
}
