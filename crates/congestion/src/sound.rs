//! How sound is encoded: voice comes first, so it gets less only where there is next to nothing, and more protection where
//! packets are lost.

/// How sound is to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundEncoding {
    /// In bits per second, without headers.
    pub bitrate: u64,
    /// Of 100 packets so many are expected to stay lost: Opus repeats as much of each in the next (RFC 6716 section 2.1.7).
    pub loss: u8,
}

/// From which target in bits per second on which bitrate: wide-band speech needs 16 kb/s, full-band speech 32 kb/s
/// (RFC 7587 section 3.1.1).
const LADDER: [(f64, u64); 3] = [(300_000.0, 32_000), (120_000.0, 24_000), (0.0, 16_000)];
/// Share of packets lost from which something is done about it. It is also what may stay lost: one packet in four seconds,
/// which what is made up for it hides.
const WORTH_REPEATING: f64 = 0.005;
/// How often a packet is repeated at most: with each time the other side has to wait for 20 ms more.
pub const MOST_COPIES: usize = 3;
/// Share of all that may be sent that sound may take together with its copies.
const SHARE: f64 = 0.3;
/// Losses are told in steps of this, so that the encoder is not told all the time.
const LOSS_STEP: f64 = 5.0;
/// Opus makes no more of more.
const LOSS_MOST: f64 = 30.0;

fn bitrate(target: f64) -> u64 {
    LADDER.iter().find(|(from, _)| target >= *from).map_or(16_000, |(_, bitrate)| *bitrate)
}

/// In how many later packets each packet of sound is sent once more (RFC 2198), on a path that carries `target` bits per second
/// and loses the share `loss`: so many that hardly any sound stays lost, as far as there is room.
pub fn sound_copies(target: f64, loss: f64) -> usize {
    let room = (target * SHARE / bitrate(target) as f64) as usize;
    let most = MOST_COPIES.min(room.saturating_sub(1));
    (0..most).find(|copies| loss.powi(*copies as i32 + 1) <= WORTH_REPEATING).unwrap_or(most)
}

/// How sound is best encoded for `target` bits per second on a path that loses the share `loss`, where each packet is sent
/// `copies` times more.
pub fn sound_encoding(target: f64, loss: f64, copies: usize) -> SoundEncoding {
    let bitrate = bitrate(target);
    let stays_lost = loss.powi(copies as i32 + 1);
    let percent = match stays_lost < WORTH_REPEATING {
        true => 0.0,
        false => ((stays_lost * 100.0 / LOSS_STEP).ceil() * LOSS_STEP).min(LOSS_MOST),
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
        let bitrates = [2_000_000.0, 310_000.0, 200_000.0, 60_000.0]
            .map(|target| sound_encoding(target, 0.0, 0).bitrate);
        assert_eq!(bitrates, [32_000, 32_000, 24_000, 16_000]);
    }

    #[test]
    fn losses_are_met_with_repetitions_in_steps() {
        let losses = [0.0, 0.004, 0.01, 0.06, 0.1, 0.5].map(|loss| sound_encoding(2_000_000.0, loss, 0).loss);
        assert_eq!(losses, [0, 0, 5, 10, 10, 30]);
        assert_eq!(sound_encoding(2_000_000.0, 0.1, 0).bitrate, 35_200);
        assert_eq!(sound_encoding(100_000.0, 0.1, 0).bitrate, 16_000);
    }

    #[test]
    fn packets_are_sent_so_often_that_hardly_any_sound_stays_lost() {
        let copies =
            [0.0, 0.005, 0.01, 0.07, 0.1, 0.17, 0.2, 0.5].map(|loss| sound_copies(2_000_000.0, loss));
        assert_eq!(copies, [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(sound_encoding(2_000_000.0, 0.1, 2), SoundEncoding { bitrate: 32_000, loss: 0 });
        assert_eq!(sound_encoding(2_000_000.0, 0.5, 3).loss, 10);
    }

    #[test]
    fn copies_take_no_more_than_there_is_room_for() {
        let copies = [60_000.0, 150_000.0, 200_000.0, 300_000.0, 400_000.0, 500_000.0]
            .map(|target| sound_copies(target, 0.2));
        assert_eq!(copies, [0, 0, 1, 1, 2, 3]);
        for target in (60..2_000).map(|kbps| f64::from(kbps) * 1e3) {
            let sound = sound_copies(target, 0.3) as u64 * bitrate(target) + bitrate(target);
            assert!(sound_copies(target, 0.3) == 0 || sound as f64 <= target * SHARE, "{target}");
        }
    }
}
