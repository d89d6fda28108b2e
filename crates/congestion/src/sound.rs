//! How sound is encoded: voice comes first, so it gets less only where there is next to nothing, and more protection where
//! packets are lost.

/// How sound is to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundEncoding {
    /// In bits per second, without headers.
    pub bitrate: u64,
    /// Of 100 packets so many are expected to be lost: Opus repeats as much of each in the next (RFC 6716 section 2.1.7).
    pub loss: u8,
}

/// From which target in bits per second on which bitrate: wide-band speech needs 16 kb/s, full-band speech 32 kb/s
/// (RFC 7587 section 3.1.1).
const LADDER: [(f64, u64); 3] = [(300_000.0, 32_000), (120_000.0, 24_000), (0.0, 16_000)];
/// Repeating takes bits from the sound itself, which a packet now and then is not worth.
const WORTH_REPEATING: f64 = 0.005;
/// Losses are told in steps of this, so that the encoder is not told all the time.
const LOSS_STEP: f64 = 5.0;
/// Opus makes no more of more.
const LOSS_MOST: f64 = 30.0;

/// What sound is worth of `target` bits per second on a path that loses the share `loss`.
pub fn sound_encoding(target: f64, loss: f64) -> SoundEncoding {
    let bitrate = LADDER.iter().find(|(from, _)| target >= *from).map_or(16_000, |(_, bitrate)| *bitrate);
    let percent = match loss < WORTH_REPEATING {
        true => 0.0,
        false => ((loss * 100.0 / LOSS_STEP).ceil() * LOSS_STEP).min(LOSS_MOST),
    };
    // What repeats takes comes on top, where there is enough.
    let repeats = if target >= LADDER[0].0 { 1.0 + percent / 100.0 } else { 1.0 };
    SoundEncoding { bitrate: (bitrate as f64 * repeats) as u64, loss: percent as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_gives_way_only_where_there_is_next_to_nothing() {
        let bitrates =
            [2_000_000.0, 310_000.0, 200_000.0, 60_000.0].map(|target| sound_encoding(target, 0.0).bitrate);
        assert_eq!(bitrates, [32_000, 32_000, 24_000, 16_000]);
    }

    #[test]
    fn losses_are_met_with_repetitions_in_steps() {
        let losses = [0.0, 0.004, 0.01, 0.06, 0.1, 0.5].map(|loss| sound_encoding(2_000_000.0, loss).loss);
        assert_eq!(losses, [0, 0, 5, 10, 10, 30]);
        assert_eq!(sound_encoding(2_000_000.0, 0.1).bitrate, 35_200);
        assert_eq!(sound_encoding(100_000.0, 0.1).bitrate, 16_000);
    }
}
