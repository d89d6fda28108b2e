//! When a picture has to stand by itself, and what is done so that it does not take long to send.
//!
//! A key frame, and a picture that has nothing in common with the one before, take ten times what others do. Where the network
//! carries little, everything stands still until such a picture has arrived. Encoders can't make them as small as that at will:
//! openh264 goes no coarser than its table for the bitrate allows. So detail is taken out of the picture before, as much as it
//! takes, and comes back with the pictures after it. Nobody sees it right after a cut: the eye needs a tenth of a second.

use std::time::Duration;

use ahoy_media::scale::Scaler;
use ahoy_media_types::{FramePool, I420Buffer, MediaTime, VideoFrame};

/// How long a key frame may take to leave. With the time of an ordinary picture it is no freeze by webrtc-stats
/// (`freezeCount`: an interval longer by 150 ms than the average).
const LEAVES_WITHIN_S: f64 = 0.11;
/// What a key frame takes by openh264, in bits, for pixels to the power of [`PIXELS_EXPONENT`], before there was one.
const BITS: f64 = 4.6;
const PIXELS_EXPONENT: f64 = 0.8;
/// How much of what it takes is left when it is made soft by 2 and by 4; measured with "Big Buck Bunny" at 360, 540 and 720
/// rows, at 350 to 1,500 kb/s.
const SOFTER: [(u32, f64); 2] = [(2, 0.74), (4, 0.52)];
/// A picture is kept sharp if it is too large by less than this share.
const LITTLE: f64 = 1.2;
/// How much each key frame tells of the next.
const LEARNED: f64 = 0.5;
/// Two pictures with nothing in common differ by so many levels, averaged over squares of [`SQUARE`] pixels, and by so many
/// times what pictures have differed by before. Moving a camera quickly makes 5 levels.
const CUT: (f64, f64) = (12.0, 4.0);
const SQUARE: usize = 16;
/// One row in so many is looked at.
const ROWS: usize = 4;
/// Flashes are not followed.
const BETWEEN_CUTS: Duration = Duration::from_millis(500);

/// Why the next picture is to be a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Somebody waits for the first picture that they see.
    First,
    /// The pictures before are known, or something was lost of them.
    Again,
}

/// Decides about key frames of a stream.
pub(super) struct KeyFrames {
    wanted: Option<Wanted>,
    /// Average light of each square of the picture before.
    before: Vec<u8>,
    /// By how many levels pictures differ, on average.
    usual: f64,
    cut_at: Option<MediaTime>,
    /// Bits of a sharp key frame, for pixels to the power of [`PIXELS_EXPONENT`].
    bits: f64,
    /// What the picture that is being encoded leaves of it.
    share: f64,
    scaler: Scaler,
    pool: FramePool,
}

impl KeyFrames {
    pub(super) fn new() -> Self {
        Self {
            wanted: Some(Wanted::First),
            before: Vec::new(),
            usual: 0.0,
            cut_at: None,
            bits: BITS,
            share: 1.0,
            scaler: Scaler::new(),
            pool: FramePool::new(),
        }
    }

    /// Somebody else looks on from now on.
    pub(super) fn begin(&mut self) {
        self.wanted = Some(Wanted::First);
    }

    /// The next picture has to stand by itself.
    pub(super) fn want(&mut self) {
        self.wanted.get_or_insert(Wanted::Again);
    }

    /// Whether the next picture stands by itself instead of those before it, whatever it shows.
    pub(super) fn begin_again(&self) -> bool {
        self.wanted == Some(Wanted::Again)
    }

    /// Whether the encoder has to make a key frame of this picture.
    pub(super) fn is_wanted(&mut self, frame: &VideoFrame) -> bool {
        if self.is_cut(frame) {
            self.want();
        }
        self.wanted.is_some()
    }

    /// The picture as it is to be encoded where pictures leave at `burst` bits per second.
    pub(super) fn fitted(&mut self, frame: VideoFrame, burst: f64) -> VideoFrame {
        self.share = 1.0;
        if self.wanted != Some(Wanted::Again) {
            return frame;
        }
        let too_large = self.bits * scale(&frame) / (burst * LEAVES_WITHIN_S);
        let enough = SOFTER.iter().find(|(_, share)| too_large * share <= LITTLE);
        let (by, share) = match too_large > LITTLE {
            false => return frame,
            true => *enough.unwrap_or(&SOFTER[SOFTER.len() - 1]),
        };
        self.share = share;
        let mut soft = self.pool.take(frame.size());
        self.scaler.soften(&frame.buffer, by, &mut soft);
        VideoFrame { buffer: soft.into(), ..frame }
    }

    /// The encoder has made a key frame of the picture, of so many bytes.
    pub(super) fn made(&mut self, frame: &VideoFrame, bytes: usize) {
        self.wanted = None;
        let bits = bytes as f64 * 8.0 / scale(frame) / self.share;
        self.bits += (bits - self.bits) * LEARNED;
    }

    fn is_cut(&mut self, frame: &VideoFrame) -> bool {
        let now = squares(&frame.buffer);
        let before = std::mem::replace(&mut self.before, now);
        if before.len() != self.before.len() {
            return false;
        }
        let differ: u64 = before.iter().zip(&self.before).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let differ = differ as f64 / before.len().max(1) as f64;
        let rested = self.cut_at.is_none_or(|at| frame.captured_at - at >= BETWEEN_CUTS);
        let is_cut = differ > CUT.0 && differ > CUT.1 * self.usual && rested;
        if is_cut {
            self.cut_at = Some(frame.captured_at);
        } else {
            self.usual += (differ - self.usual) * 0.1;
        }
        is_cut
    }
}

fn scale(frame: &VideoFrame) -> f64 {
    let size = frame.size();
    (f64::from(size.width()) * f64::from(size.height())).powf(PIXELS_EXPONENT)
}

/// Average light of each square.
fn squares(picture: &I420Buffer) -> Vec<u8> {
    let width = picture.size().width() as usize;
    let bands = picture.y().chunks_exact(width * SQUARE);
    let square = |band: &[u8], column: usize| {
        let rows = band.chunks_exact(width).step_by(ROWS);
        let sum: usize = rows
            .map(|row| {
                row[column * SQUARE..][..SQUARE].iter().map(|sample| usize::from(*sample)).sum::<usize>()
            })
            .sum();
        (sum / (SQUARE * SQUARE / ROWS)) as u8
    };
    bands.flat_map(|band| (0..width / SQUARE).map(move |column| square(band, column))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ahoy_media_types::{ColorMatrix, FrameId, FrameSize};

    use super::*;

    fn picture(number: u32, luma: impl Fn(usize, usize) -> u8) -> VideoFrame {
        let mut buffer = I420Buffer::black(FrameSize::HD);
        let [y, ..] = buffer.planes_mut();
        for (n, sample) in y.data.iter_mut().enumerate() {
            *sample = luma(n % 1280, n / 1280);
        }
        VideoFrame {
            buffer: Arc::new(buffer),
            id: FrameId(number),
            captured_at: MediaTime::from_millis(u64::from(number) * 33),
            color: ColorMatrix::default(),
        }
    }

    /// Whether each of the pictures is to be a key frame, after the first.
    fn wanted(pictures: impl IntoIterator<Item = VideoFrame>) -> Vec<bool> {
        let mut keys = KeyFrames::new();
        let mut each = |frame: VideoFrame| {
            let wanted = keys.is_wanted(&frame);
            if wanted {
                keys.made(&frame, 30_000);
            }
            wanted
        };
        pictures.into_iter().map(&mut each).skip(1).collect()
    }

    #[test]
    fn a_picture_with_nothing_in_common_with_the_one_before_stands_by_itself() {
        let scene = |n: u32| picture(n, move |x, _| if n < 5 { (x / 6) as u8 } else { 230 - (x / 6) as u8 });
        assert_eq!(wanted((0..8).map(scene)), [false, false, false, false, true, false, false]);
    }

    #[test]
    fn a_camera_that_moves_cuts_nothing_and_flashes_do_once() {
        let pan = |n: u32| picture(n, move |x, y| ((x + 24 * n as usize) / 6 % 200 + y / 40) as u8);
        assert!(!wanted((0..20).map(pan)).contains(&true));
        let flash = |n: u32| picture(n, move |_, _| if n.is_multiple_of(2) { 40 } else { 200 });
        let cuts = wanted((0..14).map(flash)).into_iter().filter(|cut| *cut).count();
        assert_eq!(cuts, 1);
    }

    #[test]
    fn a_key_frame_is_as_soft_as_the_network_is_slow_and_the_first_is_sharp() {
        let stripes = || picture(0, |x, _| if x % 2 == 0 { 60 } else { 180 });
        let contrast = |keys: &mut KeyFrames, burst: f64| {
            let frame = keys.fitted(stripes(), burst);
            let row = &frame.buffer.y()[..1280];
            row.iter().max().unwrap() - row.iter().min().unwrap()
        };
        let mut keys = KeyFrames::new();
        assert_eq!(contrast(&mut keys, 500_000.0), 120, "somebody waits for it");
        keys.made(&stripes(), 34_000);
        assert_eq!(contrast(&mut keys, 500_000.0), 120, "it is no key frame");
        keys.want();
        assert_eq!(contrast(&mut keys, 5_000_000.0), 120);
        assert!(contrast(&mut keys, 1_000_000.0) < 30);
    }

    #[test]
    fn what_key_frames_take_is_learned_from_them() {
        let frame = || picture(0, |x, _| if x % 2 == 0 { 60 } else { 180 });
        let mut keys = KeyFrames::new();
        // A drawing takes little.
        (0..5).for_each(|_| keys.made(&frame(), 3_000));
        keys.want();
        assert_eq!(keys.fitted(frame(), 1_000_000.0).buffer.y()[..2], [60, 180]);
    }
}
