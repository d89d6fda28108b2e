//! What a session was told and has not acknowledged, to be told again when it resumes.

use std::collections::VecDeque;

use axum::extract::ws::Utf8Bytes;

/// Messages that are kept at most. With more, the oldest are forgotten, and whoever missed those can't resume.
pub const KEPT_MOST: usize = 512;
/// The same in bytes. The newest message is kept whatever its size.
pub const KEPT_BYTES_MOST: usize = 128 * 1024;
/// A buffer that has grown beyond this is given back when it is empty.
const KEPT_CAPACITY: usize = 32;

/// Numbers what a session is told, and keeps it until it is acknowledged.
#[derive(Debug, Default)]
pub struct Replay {
    kept: VecDeque<Utf8Bytes>,
    bytes: usize,
    /// The number of the last message.
    last: u64,
}

impl Replay {
    /// The number that the next message gets.
    pub fn next_seq(&self) -> u64 {
        self.last + 1
    }

    /// The number of the last message.
    pub fn last_seq(&self) -> u64 {
        self.last
    }

    /// Up to where messages are forgotten.
    pub fn forgotten(&self) -> u64 {
        self.last - self.kept.len() as u64
    }

    /// Keeps the next message.
    pub fn keep(&mut self, text: Utf8Bytes) {
        self.last += 1;
        self.bytes += text.len();
        self.kept.push_back(text);
        while self.kept.len() > KEPT_MOST || (self.bytes > KEPT_BYTES_MOST && self.kept.len() > 1) {
            self.forget_oldest();
            metrics::counter!("ahoy_replay_overflows_total").increment(1);
        }
    }

    fn forget_oldest(&mut self) {
        let forgotten = self.kept.pop_front();
        self.bytes -= forgotten.map_or(0, |text| text.len());
    }

    /// Forgets what has been received, up to and including `seq`. Whether that many were sent at all.
    pub fn acknowledge(&mut self, seq: u64) -> bool {
        if seq > self.last {
            return false;
        }
        while self.forgotten() < seq {
            self.forget_oldest();
        }
        if self.kept.is_empty() && self.kept.capacity() > KEPT_CAPACITY {
            self.kept = VecDeque::new();
        }
        true
    }

    /// What is kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Utf8Bytes> {
        self.kept.iter()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
