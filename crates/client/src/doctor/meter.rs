//! Numbered datagrams and what became of them. Pure.

use std::time::Duration;

use super::findings::ms;

/// Bytes of each: a packet of sound with what the network puts around it.
pub(super) const LENGTH: usize = 160;
/// Begins each: RTP's version 2, which is no STUN and no DTLS (RFC 7983 section 7).
const FIRST: u8 = 0x80;
const NUMBER: std::ops::Range<usize> = 4..8;

/// The datagram with a number.
pub(super) fn datagram(number: u32) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[0] = FIRST;
    bytes[NUMBER].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The number of a datagram, if it is one of these.
pub(super) fn number_of(datagram: &[u8]) -> Option<u32> {
    let number = datagram.get(NUMBER)?.try_into().ok()?;
    (datagram.len() == LENGTH && datagram[0] == FIRST).then(|| u32::from_be_bytes(number))
}

/// One direction. Times are since any moment, on one clock.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// When each was sent, by its number, and how long it took.
    datagrams: Vec<(Duration, Option<Duration>)>,
    /// RFC 3550 section 6.4.1, in seconds.
    jitter: f64,
    last: Option<Duration>,
}

impl Meter {
    /// The next datagram leaves now.
    pub(super) fn send(&mut self, now: Duration) -> [u8; LENGTH] {
        let number = u32::try_from(self.datagrams.len()).unwrap_or(u32::MAX);
        self.datagrams.push((now, None));
        datagram(number)
    }

    /// One came. Those that come twice count once.
    pub(super) fn arrived(&mut self, number: u32, now: Duration) {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let Some((sent, took @ None)) = self.datagrams.get_mut(index) else { return };
        let delay = now.saturating_sub(*sent);
        *took = Some(delay);
        if let Some(last) = self.last.replace(delay) {
            self.jitter += (delay.abs_diff(last).as_secs_f64() - self.jitter) / 16.0;
        }
    }

    /// Whether all that were sent have come.
    pub(super) fn is_complete(&self) -> bool {
        self.datagrams.iter().all(|(_, took)| took.is_some())
    }
}

/// What both directions say together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measured {
    pub(super) sent: u32,
    pub(super) received: u32,
    pub(super) loss: Option<f64>,
    pub(super) delay_ms: Option<f64>,
    pub(super) jitter_ms: Option<f64>,
}

impl Measured {
    pub(super) fn of(meters: &[Meter]) -> Self {
        let all = || meters.iter().flat_map(|meter| &meter.datagrams);
        let mut delays: Vec<_> = all().filter_map(|(_, took)| *took).collect();
        delays.sort_unstable();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (sent, received) = (count(all().count()), count(delays.len()));
        let worst = meters.iter().map(|meter| meter.jitter).fold(0.0, f64::max);
        Self {
            sent,
            received,
            loss: (sent > 0).then(|| f64::from(sent - received) / f64::from(sent)),
            delay_ms: delays.get(delays.len() / 2).copied().map(ms),
            jitter_ms: (received > 1).then(|| ms(Duration::from_secs_f64(worst))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_does_not_come_is_lost_and_what_comes_twice_came_once() {
        let mut meter = Meter::default();
        for n in 0..4 {
            let sent = meter.send(n * 20 * MS);
            assert_eq!(number_of(&sent), Some(n));
        }
        for n in [0, 0, 2, 3, 9] {
            meter.arrived(n, n * 20 * MS + 30 * MS);
        }
        assert!(!meter.is_complete());
        let measured = Measured::of(&[meter]);
        assert_eq!((measured.sent, measured.received, measured.loss), (4, 3, Some(0.25)));
        assert_eq!((measured.delay_ms, measured.jitter_ms), (Some(30.0), Some(0.0)));
    }

    #[test]
    fn nothing_sent_is_no_loss() {
        assert_eq!(Measured::of(&[]), Measured::default());
    }

    #[test]
    fn what_is_something_else_has_no_number() {
        assert_eq!(number_of(b""), None);
        assert_eq!(number_of(&[0x80; 20]), None);
        assert_eq!(number_of(&[0x16; LENGTH]), None);
    }
}
