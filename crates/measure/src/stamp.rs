//! The number and capture time of a frame, drawn into its picture, so that a receiver can tell from the pixels alone
//! which frame it shows and how old that frame is.
//!
//! A stamp is 96 bits: the frame id (32), the capture time in microseconds (48) and a CRC-16 over both, most
//! significant bit first. Each bit is one square cell of luma, black for 0 and white for 1, with neutral chroma. The
//! cells fill two rows of 48 from the top left corner of the picture (three rows of 32 where the picture is too
//! narrow). Sides of cells are powers of two from 4 pixels up, so cells lie on the grid of H.264's 4x4 transform
//! (16x16 macroblocks in large pictures): each transform block under the stamp is flat, costs next to nothing to code,
//! and survives the coarsest quantizer.
//!
//! The smallest picture that can carry a stamp is [`MIN_WIDTH`] by [`MIN_HEIGHT`].

use std::ops::Range;

use ahoy_media_types::{FrameId, FrameSize, I420Buffer, MediaTime};
use crc::{CRC_16_IBM_3740, Crc};

/// Pictures narrower than this carry no stamp.
pub const MIN_WIDTH: u32 = 128;
/// Pictures with fewer rows than this carry no stamp: at most half of a picture may be masked.
pub const MIN_HEIGHT: u32 = 32;

const ID_BITS: usize = 32;
const TIME_BITS: usize = 48;
const CRC_BITS: usize = 16;
const BITS: usize = ID_BITS + TIME_BITS + CRC_BITS;
/// Capture times wrap after 2^48 µs, 8.9 years.
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// Black, white and the neutral chroma of limited-range Y'CbCr (ITU-R BT.601 section 2.5.1).
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const NEUTRAL: u8 = 128;
/// Mean luma above this is white, below it black: halfway.
const THRESHOLD: u32 = (BLACK as u32 + WHITE as u32) / 2;

/// Side of a macroblock (H.264 section 3): masks end on its grid because coding errors do.
const MACROBLOCK: u32 = 16;
/// The deblocking filter changes up to three rows beyond the edge of a block (H.264 section 8.7).
const DEBLOCKED_ROWS: u32 = 3;

/// What pictures may have become on their way, as shares of their sides: a sender makes them smaller for a network that
/// carries no more, and for whoever shows them no larger.
const SCALES: [f64; 6] = [1.0, 0.75, 0.5, 0.375, 0.25, 0.1875];

/// Also called CRC-16/CCITT-FALSE. It does not start from zero, so neither an all-black nor an all-white picture passes.
const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// What a stamped picture says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The source's number for the frame.
    pub id: FrameId,
    /// When the frame was captured, on the timeline of its source.
    pub at: MediaTime,
}

impl Stamp {
    /// The cells from the first to the last, as the low [`BITS`] bits of a number read from its high end.
    fn to_bits(self) -> u128 {
        let payload = u128::from(self.id.0) << TIME_BITS | u128::from(self.at.as_micros() & TIME_MASK);
        payload << CRC_BITS | u128::from(checksum(payload))
    }

    fn from_bits(bits: u128) -> Option<Self> {
        let payload = bits >> CRC_BITS;
        let matches = u128::from(checksum(payload)) == bits & u128::from(u16::MAX);
        matches.then_some(Self {
            id: FrameId((payload >> TIME_BITS) as u32),
            at: MediaTime::from_micros(payload as u64 & TIME_MASK),
        })
    }
}

fn checksum(payload: u128) -> u16 {
    const UNUSED_BYTES: usize = (128 - ID_BITS - TIME_BITS) / 8;
    CRC.checksum(&payload.to_be_bytes()[UNUSED_BYTES..])
}

/// How the cells are arranged in pictures of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Side of a cell in pixels.
    cell: usize,
    /// Cells in a row.
    columns: usize,
}

impl Layout {
    /// From the most robust to the smallest. A side of 32 at 1536 pixels keeps the share of the picture that is taken
    /// about equal from 640x360 to 4096x2304.
    const CHOICES: [Layout; 5] = [
        Layout { cell: 32, columns: 48 },
        Layout { cell: 16, columns: 48 },
        Layout { cell: 8, columns: 48 },
        Layout { cell: 4, columns: 48 },
        Layout { cell: 4, columns: 32 },
    ];

    /// The largest cells that fit the width and leave at least half of the rows unmasked; `None` below the minimum.
    fn of(size: FrameSize) -> Option<Self> {
        Self::CHOICES.into_iter().find(|layout| {
            layout.columns * layout.cell <= size.width() as usize && layout.masked() <= size.height() / 2
        })
    }

    const fn rows(self) -> usize {
        BITS.div_ceil(self.columns)
    }

    const fn masked(self) -> u32 {
        ((self.rows() * self.cell) as u32 + DEBLOCKED_ROWS).next_multiple_of(MACROBLOCK)
    }

    /// Left and top of each cell in pixels, in the order of the bits.
    fn cells(self) -> impl Iterator<Item = (usize, usize)> {
        (0..BITS).map(move |bit| (bit % self.columns * self.cell, bit / self.columns * self.cell))
    }
}

/// Draws the stamp over the top of the picture. Returns false and leaves the picture as it is where the picture is
/// smaller than [`MIN_WIDTH`] by [`MIN_HEIGHT`]. Of `at`, the low 48 bits are kept.
pub fn draw(buffer: &mut I420Buffer, id: FrameId, at: MediaTime) -> bool {
    let Some(layout) = Layout::of(buffer.size()) else { return false };
    let bits = Stamp { id, at }.to_bits();
    let [y, u, v] = buffer.planes_mut();
    for (bit, (left, top)) in layout.cells().enumerate() {
        let luma = if bits >> (BITS - 1 - bit) & 1 == 1 { WHITE } else { BLACK };
        for row in y.data.chunks_exact_mut(y.width).skip(top).take(layout.cell) {
            row[left..left + layout.cell].fill(luma);
        }
    }
    for plane in [u, v] {
        for row in plane.data.chunks_exact_mut(plane.width).take(layout.rows() * layout.cell / 2) {
            row[..layout.columns * layout.cell / 2].fill(NEUTRAL);
        }
    }
    true
}

/// Reads the stamp of a picture, also of one that was made smaller on its way to one of [`SCALES`]; `None` where there is
/// none, where it is damaged (its CRC is wrong), or where the picture is too small for one. A picture without a stamp
/// passes for one with a probability of 2^-13.
pub fn read(buffer: &I420Buffer) -> Option<Stamp> {
    Layout::of(buffer.size())?;
    SCALES.into_iter().find_map(|scale| read_scaled(buffer, scale))
}

/// Reads the stamp of a picture whose sides are this share of what they were when it was drawn.
fn read_scaled(buffer: &I420Buffer, scale: f64) -> Option<Stamp> {
    let (width, height) = (buffer.size().width(), buffer.size().height());
    let drawn = |side: u32| (f64::from(side) / scale).round() as u64;
    let layout = Layout::of(FrameSize::new(drawn(width), drawn(height)).ok()?)?;
    // The outer quarter on each side is left to blur, ringing and the deblocking filter.
    let cell = layout.cell as f64 * scale;
    let middle = |from: usize| {
        let first = (from as f64 * scale + cell / 4.0).round() as usize;
        first..first + (cell / 2.0).max(1.0) as usize
    };
    let mut bits = 0u128;
    for (left, top) in layout.cells() {
        let (columns, rows) = (middle(left), middle(top));
        let count = (columns.len() * rows.len()) as u32;
        let sum: u32 = buffer
            .y()
            .chunks_exact(width as usize)
            .take(rows.end)
            .skip(rows.start)
            .flat_map(|row| row.get(columns.clone()).unwrap_or_default())
            .map(|&luma| u32::from(luma))
            .sum();
        bits = bits << 1 | u128::from(sum > THRESHOLD * count);
    }
    Stamp::from_bits(bits)
}

/// The rows to leave out when the quality of stamped pictures of this size is measured: those of the stamp and those
/// below it that its coding errors reach, to a whole number of macroblocks. Empty where the picture is too small for a
/// stamp; never more than half of the picture.
pub fn masked_rows(size: FrameSize) -> Range<u32> {
    0..Layout::of(size).map_or(0, Layout::masked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    fn size(width: u32, height: u32) -> FrameSize {
        FrameSize::new(width.into(), height.into()).unwrap()
    }

    /// A picture of noise: the worst background that a stamp can have.
    fn noise(size: FrameSize, seed: u64) -> I420Buffer {
        let mut samples = vec![0; size.i420_len()];
        Pcg64Mcg::seed_from_u64(seed).fill(&mut samples[..]);
        I420Buffer::from_packed(size, samples).unwrap()
    }

    /// A 3x3 box blur of the luma plane followed by noise of up to `strength` levels.
    fn degraded(buffer: &I420Buffer, strength: i32, seed: u64) -> I420Buffer {
        let (width, height) = (buffer.size().width() as usize, buffer.size().height() as usize);
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let mut out = buffer.clone();
        for y in 0..height {
            for x in 0..width {
                let rows = y.saturating_sub(1)..(y + 2).min(height);
                let columns = x.saturating_sub(1)..(x + 2).min(width);
                let count = (rows.len() * columns.len()) as i32;
                let sum: i32 = rows
                    .flat_map(|row| &buffer.y()[row * width..][columns.clone()])
                    .map(|&luma| i32::from(luma))
                    .sum();
                let noisy = sum / count + random.random_range(-strength..=strength);
                out.packed_mut()[y * width + x] = noisy.clamp(0, 255) as u8;
            }
        }
        out
    }

    fn any_size() -> impl Strategy<Value = FrameSize> {
        prop_oneof![
            4 => (MIN_WIDTH..=800, MIN_HEIGHT..=450),
            1 => (MIN_WIDTH..=FrameSize::MAX_WIDTH, MIN_HEIGHT..=FrameSize::MAX_HEIGHT),
        ]
        .prop_map(|(width, height)| size(width, height))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn what_was_drawn_is_read(size in any_size(), id: u32, micros in 0..=TIME_MASK, seed: u64) {
            let stamp = Stamp { id: FrameId(id), at: MediaTime::from_micros(micros) };
            let mut buffer = noise(size, seed);
            prop_assert!(draw(&mut buffer, stamp.id, stamp.at));
            prop_assert_eq!(read(&buffer), Some(stamp));
        }

        #[test]
        fn blur_and_noise_do_not_change_what_is_read(
            (width, height) in (MIN_WIDTH..=800, MIN_HEIGHT..=450), id: u32, micros in 0..=TIME_MASK, seed: u64,
        ) {
            let stamp = Stamp { id: FrameId(id), at: MediaTime::from_micros(micros) };
            let mut buffer = noise(size(width, height), seed);
            prop_assert!(draw(&mut buffer, stamp.id, stamp.at));
            prop_assert_eq!(read(&degraded(&buffer, 60, seed)), Some(stamp));
        }

        #[test]
        fn drawing_changes_masked_rows_only(size in any_size(), id: u32, seed: u64) {
            let mut buffer = noise(size, seed);
            let before = buffer.clone();
            prop_assert!(draw(&mut buffer, FrameId(id), MediaTime::ZERO));
            let masked = masked_rows(size);
            prop_assert_eq!(masked.start, 0);
            prop_assert!(masked.end.is_multiple_of(MACROBLOCK) && masked.end <= size.height() / 2);
            let luma = masked.end as usize * size.width() as usize;
            let chroma = masked.end as usize / 2 * size.chroma_width() as usize;
            prop_assert!(buffer.y()[luma..] == before.y()[luma..]);
            prop_assert!(buffer.u()[chroma..] == before.u()[chroma..]);
            prop_assert!(buffer.v()[chroma..] == before.v()[chroma..]);
        }
    }

    #[test]
    fn pictures_without_a_stamp_read_as_none() {
        for (width, height) in [(160, 90), (640, 360), (1280, 720)] {
            for seed in 0..20 {
                assert_eq!(read(&noise(size(width, height), seed)), None, "{width}x{height}, seed {seed}");
            }
            for luma in [0, BLACK, NEUTRAL, WHITE, 255] {
                let mut flat = I420Buffer::black(size(width, height));
                flat.packed_mut().fill(luma);
                assert_eq!(read(&flat), None, "{width}x{height}, flat {luma}");
            }
        }
    }

    #[test]
    fn any_single_wrong_cell_is_noticed() {
        let bits =
            Stamp { id: FrameId(0xDEAD_BEEF), at: MediaTime::from_micros(1_234_567_890_123) }.to_bits();
        assert!(Stamp::from_bits(bits).is_some());
        for bit in 0..BITS {
            assert_eq!(Stamp::from_bits(bits ^ 1 << bit), None, "bit {bit}");
        }
    }

    #[test]
    fn pictures_below_the_minimum_are_left_alone() {
        for small in [size(MIN_WIDTH - 1, 720), size(1280, MIN_HEIGHT - 1), size(16, 16)] {
            let mut buffer = noise(small, 1);
            let before = buffer.clone();
            assert!(!draw(&mut buffer, FrameId(1), MediaTime::ZERO));
            assert!(buffer.packed() == before.packed());
            assert_eq!(read(&buffer), None);
            assert_eq!(masked_rows(small), 0..0);
        }
    }

    #[test]
    fn cells_grow_with_the_picture() {
        let layout = |width, height| {
            let size = size(width, height);
            (Layout::of(size).unwrap().cell, masked_rows(size).end)
        };
        assert_eq!(layout(MIN_WIDTH, MIN_HEIGHT), (4, 16));
        assert_eq!(layout(160, 90), (4, 16));
        assert_eq!(layout(320, 180), (4, 16));
        assert_eq!(layout(640, 360), (8, 32));
        assert_eq!(layout(1280, 720), (16, 48));
        assert_eq!(layout(1920, 1080), (32, 80));
        assert_eq!(layout(4096, 2304), (32, 80));
        // A wide but low picture gets smaller cells rather than none.
        assert_eq!(layout(1920, 40), (4, 16));
    }
}
