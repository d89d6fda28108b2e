//! What an encoder is told so that what leaves is what may leave: encoders miss their bitrate by some percent, and small
//! pictures have more of headers than large ones.

use std::time::Duration;

use ahoy_rtc::{PAYLOAD_SHARE, wire_bytes};

/// Over how long it is looked at: a key frame and the time in which the encoder makes up for it are both in it.
const OVER_S: f64 = 2.0;
/// What may be told, as shares of what may leave. An encoder that makes less than it is told has pictures that need no more;
/// it is told little more for it, since the next picture may need all.
const SHARES: (f64, f64) = (0.75, PAYLOAD_SHARE * 1.03);
/// What counts before anything was made, in seconds.
const BEFORE_S: f64 = 2.0;

/// For how long an encoder has made pictures, and how long what left for them takes at the bitrate that it was told. Both in
/// seconds, so that what it made at another bitrate says neither more nor less about this one.
#[derive(Debug)]
pub(super) struct Spending {
    made: f64,
    left: f64,
}

impl Spending {
    pub(super) fn new() -> Self {
        Self { made: BEFORE_S, left: BEFORE_S / PAYLOAD_SHARE }
    }

    /// Bitrate to tell where pictures may have so many bits per second without headers, which are taken for their usual share.
    pub(super) fn told(&self, payload: f64) -> f64 {
        payload / PAYLOAD_SHARE * (self.made / self.left).clamp(SHARES.0, SHARES.1)
    }

    /// The encoder was told a bitrate and has made a picture of so many bytes of it, or left it out, for this time.
    pub(super) fn made(&mut self, told: f64, bytes: usize, time: Duration) {
        let time = time.as_secs_f64().min(OVER_S);
        let kept = (-time / OVER_S).exp();
        self.made = self.made * kept + time;
        self.left = self.left * kept + wire_bytes(bytes) as f64 * 8.0 / told.max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Duration = Duration::from_millis(33);

    /// What leaves per second after ten seconds where 400 kb/s may, of an encoder that makes `share` of what it is told.
    fn leaves(share: f64) -> f64 {
        let mut spending = Spending::new();
        let mut left = 0.0;
        for _ in 0..300 {
            let told = spending.told(400_000.0 * PAYLOAD_SHARE);
            let bytes = told * share * PICTURE.as_secs_f64() / 8.0;
            left = wire_bytes(bytes as usize) as f64 * 8.0 / PICTURE.as_secs_f64();
            spending.made(told, bytes as usize, PICTURE);
        }
        left
    }

    #[test]
    fn what_leaves_is_what_may_whatever_the_encoder_makes_of_what_it_is_told() {
        for share in [1.0, 1.08, 1.15] {
            let left = leaves(share);
            assert!((392_000.0..=408_000.0).contains(&left), "{share}: {left}");
        }
    }

    #[test]
    fn where_much_less_may_leave_it_is_seen_at_once_that_pictures_take_more_than_they_should() {
        let mut spending = Spending::new();
        (0..300).for_each(|_| {
            let told = spending.told(2_400_000.0 * PAYLOAD_SHARE);
            spending.made(told, (told * PICTURE.as_secs_f64() / 8.0) as usize, PICTURE);
        });
        // Small pictures have more headers, and this encoder misses its bitrate.
        let mut left = 0.0;
        for _ in 0..60 {
            let told = spending.told(500_000.0 * PAYLOAD_SHARE);
            let bytes = (told * 1.15 * PICTURE.as_secs_f64() / 8.0) as usize;
            left = wire_bytes(bytes) as f64 * 8.0 / PICTURE.as_secs_f64();
            spending.made(told, bytes, PICTURE);
        }
        assert!(left < 540_000.0, "{left}");
    }

    #[test]
    fn pictures_that_need_less_do_not_make_room_for_more_than_may_leave() {
        assert!(leaves(0.5) < 220_000.0);
        let mut spending = Spending::new();
        (0..300).for_each(|_| spending.made(400_000.0, 100, PICTURE));
        assert!(spending.told(400_000.0 * PAYLOAD_SHARE) < 400_000.0);
    }
}
