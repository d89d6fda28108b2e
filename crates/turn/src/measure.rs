//! What the relay counts. Nothing in it names users or addresses.

use metrics::{Counter, Gauge, counter, gauge};

use crate::quota::Way;

/// Why a datagram goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// It is no message that a relay understands.
    Malformed,
    /// There is no permission or channel for it, or not any more.
    Unpermitted,
    /// It would reach what the relay must not reach.
    Forbidden,
    /// The allocation or its user sends or gets too much.
    TooFast,
    /// It came faster than it could be taken.
    Overrun,
    /// It is longer than what is relayed.
    TooLong,
}

/// Counts a request that is refused, by its error code (RFC 8656 section 19).
pub(crate) fn refused(code: u16) {
    counter!("ahoy_turn_refused_total", "code" => code.to_string()).increment(1);
}

/// Counts a datagram that goes nowhere.
pub(crate) fn dropped(why: Dropped) {
    let why = match why {
        Dropped::Malformed => "malformed",
        Dropped::Unpermitted => "unpermitted",
        Dropped::Forbidden => "forbidden",
        Dropped::TooFast => "too_fast",
        Dropped::Overrun => "overrun",
        Dropped::TooLong => "too_long",
    };
    counter!("ahoy_turn_dropped_total", "why" => why).increment(1);
}

/// Counts what an allocation relays, and the allocation itself for as long as this is there.
pub(crate) struct Flows {
    allocations: Gauge,
    out: Counter,
    into: Counter,
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flows")
    }
}

impl Default for Flows {
    fn default() -> Self {
        let allocations = gauge!("ahoy_turn_allocations");
        allocations.increment(1);
        Self {
            allocations,
            out: counter!("ahoy_turn_bytes_total", "way" => "out"),
            into: counter!("ahoy_turn_bytes_total", "way" => "in"),
        }
    }
}

impl Flows {
    /// Counts bytes that are passed on.
    pub(crate) fn count(&self, way: Way, bytes: usize) {
        match way {
            Way::Out => self.out.increment(bytes as u64),
            Way::In => self.into.increment(bytes as u64),
        }
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        self.allocations.decrement(1);
    }
}
