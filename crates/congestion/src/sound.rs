//! How sound is encoded: voice comes first, so it gets less only where there is next to nothing, and more protection where
//! packets are lost.

use std::time::Duration;

/// How sound is to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundEncoding {
    /// In bits per second, without headers.
    pub bitrate: u64,
    /// Of 100 packets so many are expected to stay lost: Opus repeats as much of each in the next (RFC 6716 section 2.1.7).
    pub loss: u8,
    /// How much sound a packet holds where that is more than usual, which saves headers.
    pub long_packet: Option<Duration>,
}

/// With more sound in a packet a lost one would be a lost word, and the conversation slower.
const LONG_PACKET: Duration = Duration::from_millis(60);
/// A packet's headers take so many bits per second of 50 packets.
const HEADERS_BPS: f64 = 68.0 * 8.0 * 50.0;

/// From which target in bits per second on which bitrate: wide-band speech needs 16 kb/s, full-band speech 32 kb/s
/// (RFC 7587 section 3.1.1).
const LADDER: [(f64, u64); 3] = [(300_000.0, 32_000), (120_000.0, 24_000), (0.0, LEAST)];
const LEAST: u64 = 16_000;
/// Below which target packets get long, and from which on they are short again. Headers take 27 kb/s of 50 packets a second and
/// 9 kb/s of 17.
const LONG: (f64, f64) = (80_000.0, 110_000.0);
/// Share of packets lost from which something is done about it. It is also what may stay lost: one packet in four seconds,
/// which what is made up for it hides.
const WORTH_REPEATING: f64 = 0.005;
/// How often a packet is repeated at most: with each time the other side has to wait for a packet's length more.
pub const MOST_COPIES: usize = 3;
/// Share of all that may be sent that sound may take together with its copies and headers.
const SHARE: f64 = 0.4;
/// Losses are told in steps of this, so that the encoder is not told all the time.
const LOSS_STEP: f64 = 5.0;
/// Opus makes no more of more.
const LOSS_MOST: f64 = 30.0;

fn bitrate(target: f64) -> u64 {
    LADDER.iter().find(|(from, _)| target >= *from).map_or(LEAST, |(_, bitrate)| *bitrate)
}

/// In how many later packets each packet of sound is sent once more (RFC 2198), on a path that carries `target` bits per second
/// and loses the share `loss`: so many that hardly any sound stays lost, as far as there is room.
pub fn sound_copies(target: f64, loss: f64) -> usize {
    let room = ((target * SHARE - HEADERS_BPS).max(0.0) / bitrate(target) as f64) as usize;
    let most = MOST_COPIES.min(room.saturating_sub(1));
    (0..most).find(|copies| loss.powi(*copies as i32 + 1) <= WORTH_REPEATING).unwrap_or(most)
}

/// How sound is best encoded for `target` bits per second on a path that loses the share `loss`, where each packet is sent
/// `copies` times more. `before` is how it was encoded until now.
pub fn sound_encoding(target: f64, loss: f64, copies: usize, before: Option<SoundEncoding>) -> SoundEncoding {
    let bitrate = bitrate(target);
    let stays_lost = loss.powi(copies as i32 + 1);
    let percent = match stays_lost < WORTH_REPEATING {
        true => 0.0,
        false => ((stays_lost * 100.0 / LOSS_STEP).ceil() * LOSS_STEP).min(LOSS_MOST),
    };
    // What repeats takes comes on top, where there is enough.
    let repeats = if target >= LADDER[0].0 { 1.0 + percent / 100.0 } else { 1.0 };
    let (below, again) = LONG;
    let limit = if before.is_some_and(|before| before.long_packet.is_some()) { again } else { below };
    let long_packet = (target < limit).then_some(LONG_PACKET);
    SoundEncoding { bitrate: (bitrate as f64 * repeats) as u64, loss: percent as u8, long_packet }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_gives_way_only_where_there_is_next_to_nothing() {
        let bitrates = [2_000_000.0, 310_000.0, 200_000.0, 60_000.0]
            .map(|target| sound_encoding(target, 0.0, 0, None).bitrate);
        assert_eq!(bitrates, [32_000, 32_000, 24_000, 16_000]);
    }

    #[test]
    fn losses_are_met_with_repetitions_in_steps() {
        let losses =
            [0.0, 0.004, 0.01, 0.06, 0.1, 0.5].map(|loss| sound_encoding(2_000_000.0, loss, 0, None).loss);
        assert_eq!(losses, [0, 0, 5, 10, 10, 30]);
        assert_eq!(sound_encoding(2_000_000.0, 0.1, 0, None).bitrate, 35_200);
        assert_eq!(sound_encoding(100_000.0, 0.1, 0, None).bitrate, 16_000);
    }

    #[test]
    fn packets_are_sent_so_often_that_hardly_any_sound_stays_lost() {
        let copies =
            [0.0, 0.005, 0.01, 0.07, 0.1, 0.17, 0.2, 0.5].map(|loss| sound_copies(2_000_000.0, loss));
        assert_eq!(copies, [0, 0, 1, 1, 2, 2, 3, 3]);
        let encoding = SoundEncoding { bitrate: 32_000, loss: 0, long_packet: None };
        assert_eq!(sound_encoding(2_000_000.0, 0.1, 2, None), encoding);
        assert_eq!(sound_encoding(2_000_000.0, 0.5, 3, None).loss, 10);
    }

    #[test]
    fn packets_are_long_where_headers_would_take_more_than_the_sound() {
        let mut before = None;
        let long = [150_000.0, 90_000.0, 79_000.0, 100_000.0, 111_000.0, 90_000.0].map(|target| {
            let encoding = sound_encoding(target, 0.0, 0, before);
            before = Some(encoding);
            encoding.long_packet.is_some()
        });
        assert_eq!(long, [false, false, true, true, false, false]);
        // All of it, with headers of 68 bytes.
        let least = sound_encoding(60_000.0, 0.0, 0, None);
        let all = least.bitrate as f64 + 68.0 * 8.0 / LONG_PACKET.as_secs_f64();
        assert!(all < 30_000.0, "{all}");
    }

    #[test]
    fn copies_take_no_more_than_there_is_room_for() {
        let copies = [60_000.0, 150_000.0, 200_000.0, 300_000.0, 400_000.0, 500_000.0]
            .map(|target| sound_copies(target, 0.2));
        assert_eq!(copies, [0, 0, 1, 1, 3, 3]);
        for target in (60..2_000).map(|kbps| f64::from(kbps) * 1e3) {
            let sound = (sound_copies(target, 0.3) as u64 + 1) * bitrate(target);
            let all = sound as f64 + HEADERS_BPS;
            assert!(sound_copies(target, 0.3) == 0 || all <= target * SHARE, "{target}");
        }
    }
}
