//! QUIC's congestion control: BBR, which here also tells what arrives and what is lost.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

use crate::uplink::Uplink;

/// What the controllers of a connection have in common, whichever way it takes.
#[derive(Debug)]
pub(super) struct Shared {
    uplink: Uplink,
    /// It says good-bye. The library counts what is on its way for good then, and a good-bye that finds the window full is never
    /// sent (docs/upstream.md).
    closing: AtomicBool,
}

impl Shared {
    pub(super) fn new(uplink: Uplink) -> Arc<Self> {
        Arc::new(Self { uplink, closing: AtomicBool::new(false) })
    }

    /// Whether something of QUIC's may leave: when, where it is not yet. A good-bye always may.
    pub(super) fn may_leave(&self, now: Instant) -> Option<Instant> {
        match self.closing.load(Ordering::Relaxed) {
            true => None,
            false => self.uplink.may_leave(now),
        }
    }

    /// It leaves.
    pub(super) fn leaves(&self, bytes: usize, now: Instant) {
        self.uplink.leaves(bytes, now);
    }

    /// Bytes that may leave one after the other.
    pub(super) fn most_at_once(&self) -> usize {
        self.uplink.most_at_once()
    }

    /// The good-bye is to pass, whatever is on its way.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct Factory(pub(super) Arc<Shared>);

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::new(BbrConfig::default()).build(now, mtu);
        Box::new(Control { inner, shared: Arc::clone(&self.0) })
    }
}

struct Control {
    inner: Box<dyn Controller>,
    shared: Arc<Shared>,
}

/// Of what the library counts.
fn bytes(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl Controller for Control {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, count: u64, app_limited: bool, rtt: &RttEstimator) {
        self.shared.uplink.delivered(bytes(count), now);
        self.inner.on_ack(now, sent, count, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost: u64) {
        self.shared.uplink.lost(bytes(lost), now);
        self.inner.on_congestion_event(now, sent, is_persistent, lost);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        match self.shared.closing.load(Ordering::Relaxed) {
            true => u64::MAX,
            false => self.inner.window(),
        }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), shared: Arc::clone(&self.shared) })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
