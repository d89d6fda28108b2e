//! How close a shown picture is to the one that was captured, in luma, with the rows of the [`stamp`](crate::stamp)
//! left out.
//!
//! Both measures give the figures of FFmpeg's `psnr` and `ssim` filters on the unmasked part of the picture, so results
//! can be checked with, and compared to, the usual tools.

use ahoy_media_types::I420Buffer;

use crate::stamp::masked_rows;

/// The PSNR reported for pictures that are equal or nearly so, in dB. Without a cap one equal frame (infinite PSNR) would
/// outweigh all others in a mean; no lossy codec comes near it.
pub const MAX_PSNR_DB: f64 = 100.0;

/// Peak signal-to-noise ratio of the luma planes in dB, at most [`MAX_PSNR_DB`]. `None` if the sizes differ.
///
/// To average over many pictures, average [`mse_y`] and convert once with [`psnr_of_mse`] (as FFmpeg does for its
/// summary), or state that the mean is one of decibels.
pub fn psnr_y(a: &I420Buffer, b: &I420Buffer) -> Option<f64> {
    mse_y(a, b).map(psnr_of_mse)
}

/// PSNR in dB of 8-bit pictures that differ by the mean squared error `mse`, at most [`MAX_PSNR_DB`].
pub fn psnr_of_mse(mse: f64) -> f64 {
    const PEAK: f64 = 255.0;
    (10.0 * (PEAK * PEAK / mse).log10()).min(MAX_PSNR_DB)
}

/// Mean squared error of the luma planes in squared levels. `None` if the sizes differ.
pub fn mse_y(a: &I420Buffer, b: &I420Buffer) -> Option<f64> {
    let (a, b) = unmasked(a, b)?;
    let row_error = |(a, b): (&[u8], &[u8])| {
        // A row of at most 4096 squares of at most 255 fits 32 bits, which doubles the samples that fit a vector.
        let sum: u32 = a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum();
        u64::from(sum)
    };
    let sum: u64 = a.samples.chunks_exact(a.width).zip(b.samples.chunks_exact(b.width)).map(row_error).sum();
    Some(sum as f64 / a.samples.len() as f64)
}

/// Structural similarity (Wang, Bovik, Sheikh and Simoncelli, IEEE Transactions on Image Processing 13(4), 2004) of
/// the luma planes: 1.0 for equal pictures, less for others. `None` if the sizes differ.
///
/// Instead of the paper's Gaussian window of 11x11 at every pixel, this takes uniform 8x8 windows every 4 pixels, as
/// x264, libvpx and FFmpeg do: about a hundred times faster, with values that compare with theirs. Up to 3 columns and
/// rows at the right and bottom that do not fill a window are not looked at.
pub fn ssim_y(a: &I420Buffer, b: &I420Buffer) -> Option<f64> {
    let (a, b) = unmasked(a, b)?;
    let columns = a.width / BLOCK;
    let rows = a.samples.len() / a.width / BLOCK;
    let mut work = Sums::new(a.width);
    let (mut above, mut below) = (Moments::new(columns), Moments::new(columns));
    let mut total = 0.0;
    for row in 0..rows {
        std::mem::swap(&mut above, &mut below);
        below.measure(a.band(row), b.band(row), a.width, &mut work);
        if row > 0 {
            total += ssim_of_windows(&above, &below);
        }
    }
    Some(total / ((columns - 1) * (rows - 1)) as f64)
}

/// Windows overlap by half, so each is four blocks of this side, and each block is summed up once.
const BLOCK: usize = 4;

/// The part of a luma plane that is measured.
#[derive(Clone, Copy)]
struct Plane<'a> {
    samples: &'a [u8],
    width: usize,
}

impl Plane<'_> {
    /// The rows of one line of blocks.
    fn band(&self, row: usize) -> &[u8] {
        &self.samples[row * BLOCK * self.width..][..BLOCK * self.width]
    }
}

fn unmasked<'a>(a: &'a I420Buffer, b: &'a I420Buffer) -> Option<(Plane<'a>, Plane<'a>)> {
    let size = a.size();
    if b.size() != size {
        return None;
    }
    let width = size.width() as usize;
    let start = masked_rows(size).end as usize * width;
    Some((Plane { samples: &a.y()[start..], width }, Plane { samples: &b.y()[start..], width }))
}

/// What SSIM needs to know of each block in a line of blocks: structure of arrays, so that loops over it vectorise.
struct Moments {
    /// Sum of the samples of `a`.
    a: Vec<i32>,
    /// Sum of the samples of `b`.
    b: Vec<i32>,
    /// Sum of the squares of both.
    squares: Vec<i32>,
    /// Sum of the products.
    products: Vec<i32>,
}

impl Moments {
    fn new(blocks: usize) -> Self {
        Self { a: vec![0; blocks], b: vec![0; blocks], squares: vec![0; blocks], products: vec![0; blocks] }
    }

    /// Sums up a line of blocks: down the columns first, which vectorises, then across each block.
    fn measure(&mut self, a: &[u8], b: &[u8], width: usize, columns: &mut Sums) {
        columns.clear();
        for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
            columns.add(a, b);
        }
        for (block, sum) in self.a.iter_mut().zip(columns.a.chunks_exact(BLOCK)) {
            *block = sum.iter().map(|&v| i32::from(v)).sum();
        }
        for (block, sum) in self.b.iter_mut().zip(columns.b.chunks_exact(BLOCK)) {
            *block = sum.iter().map(|&v| i32::from(v)).sum();
        }
        for (block, sum) in self.squares.iter_mut().zip(columns.squares.chunks_exact(BLOCK)) {
            *block = sum.iter().sum();
        }
        for (block, sum) in self.products.iter_mut().zip(columns.products.chunks_exact(BLOCK)) {
            *block = sum.iter().sum();
        }
    }
}

/// The same per column of pixels: memory for the sums on the way to [`Moments`].
struct Sums {
    a: Vec<i16>,
    b: Vec<i16>,
    squares: Vec<i32>,
    products: Vec<i32>,
}

impl Sums {
    fn new(width: usize) -> Self {
        Self { a: vec![0; width], b: vec![0; width], squares: vec![0; width], products: vec![0; width] }
    }

    fn clear(&mut self) {
        self.a.fill(0);
        self.b.fill(0);
        self.squares.fill(0);
        self.products.fill(0);
    }

    fn add(&mut self, a: &[u8], b: &[u8]) {
        for (sum, &a) in self.a.iter_mut().zip(a) {
            *sum += i16::from(a);
        }
        for (sum, &b) in self.b.iter_mut().zip(b) {
            *sum += i16::from(b);
        }
        for ((sum, &a), &b) in self.squares.iter_mut().zip(a).zip(b) {
            *sum += i32::from(a) * i32::from(a) + i32::from(b) * i32::from(b);
        }
        for ((sum, &a), &b) in self.products.iter_mut().zip(a).zip(b) {
            *sum += i32::from(a) * i32::from(b);
        }
    }
}

/// The sum of the SSIM of the windows whose upper blocks are in `above` and whose lower blocks are in `below`.
fn ssim_of_windows(above: &Moments, below: &Moments) -> f64 {
    let sums = |above: &[i32], below: &[i32], x: usize| above[x] + above[x + 1] + below[x] + below[x + 1];
    (0..above.a.len() - 1)
        .map(|x| {
            ssim_of_window(
                sums(&above.a, &below.a, x),
                sums(&above.b, &below.b, x),
                sums(&above.squares, &below.squares, x),
                sums(&above.products, &below.products, x),
            )
        })
        .sum()
}

/// Equation 13 of the paper with its constants K1 = 0.01 and K2 = 0.03, from the sums over one window of `PIXELS`.
/// Variances are unbiased (divided by `PIXELS - 1`); everything is scaled up so that it stays whole.
fn ssim_of_window(a: i32, b: i32, squares: i32, products: i32) -> f64 {
    const PIXELS: i32 = (4 * BLOCK * BLOCK) as i32;
    const C1: i32 = (0.01 * 0.01 * 255.0 * 255.0 * PIXELS as f64 + 0.5) as i32;
    const C2: i32 = (0.03 * 0.03 * 255.0 * 255.0 * (PIXELS * (PIXELS - 1)) as f64 + 0.5) as i32;
    // The largest value below is 2^30: 64 pixels of 255 squared, twice, times 64.
    let variances = squares * PIXELS - a * a - b * b;
    let covariance = products * PIXELS - a * b;
    let similar = f64::from(2 * a * b + C1) * f64::from(2 * covariance + C2);
    let energy = f64::from(a * a + b * b + C1) * f64::from(variances + C2);
    similar / energy
}

#[cfg(test)]
mod tests {
    use ahoy_media_types::{FrameId, FrameSize, MediaTime};
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::stamp;

    const STAMPED: (u64, u64) = (320, 180);

    fn picture((width, height): (u64, u64), luma: impl Fn(usize, usize) -> u8) -> I420Buffer {
        let mut buffer = I420Buffer::black(FrameSize::new(width, height).unwrap());
        for (index, sample) in buffer.planes_mut()[0].data.iter_mut().enumerate() {
            *sample = luma(index % width as usize, index / width as usize);
        }
        buffer
    }

    /// Edges, slopes and texture.
    fn scene(x: usize, y: usize) -> u8 {
        (40 + (x * 3 / 4 + y * 2 / 3) % 120 + (x / 24 + y / 16) % 2 * 50 + x * y % 7) as u8
    }

    /// The scene with every level off by one in a third of the pixels, and its edges moved in another.
    fn distorted(x: usize, y: usize) -> u8 {
        match (x + 2 * y) % 3 {
            0 => scene(x, y) + 1,
            1 => scene(x + 1, y),
            _ => scene(x, y),
        }
    }

    /// SSIM as the paper writes it, for uniform 8x8 windows every 4 pixels, without any of the shortcuts.
    fn ssim_by_the_book(a: &I420Buffer, b: &I420Buffer) -> f64 {
        let (a, b) = unmasked(a, b).unwrap();
        let height = a.samples.len() / a.width;
        let mut values = Vec::new();
        for top in (0..=height - 8).step_by(4) {
            for left in (0..=a.width - 8).step_by(4) {
                let window = |plane: Plane<'_>| -> Vec<f64> {
                    (0..64)
                        .map(|i| f64::from(plane.samples[(top + i / 8) * plane.width + left + i % 8]))
                        .collect()
                };
                let (a, b) = (window(a), window(b));
                let mean = |v: &[f64]| v.iter().sum::<f64>() / 64.0;
                let (mean_a, mean_b) = (mean(&a), mean(&b));
                let covariance = |v: &[f64], mean_v: f64, w: &[f64], mean_w: f64| {
                    v.iter().zip(w).map(|(v, w)| (v - mean_v) * (w - mean_w)).sum::<f64>() / 63.0
                };
                let (c1, c2) = ((0.01f64 * 255.0).powi(2), (0.03f64 * 255.0).powi(2));
                values.push(
                    (2.0 * mean_a * mean_b + c1) * (2.0 * covariance(&a, mean_a, &b, mean_b) + c2)
                        / ((mean_a * mean_a + mean_b * mean_b + c1)
                            * (covariance(&a, mean_a, &a, mean_a) + covariance(&b, mean_b, &b, mean_b) + c2)),
                );
            }
        }
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn equal_pictures_are_at_the_top_of_both_scales() {
        let a = picture(STAMPED, scene);
        assert_eq!(psnr_y(&a, &a), Some(MAX_PSNR_DB));
        assert_eq!(ssim_y(&a, &a), Some(1.0));
    }

    #[test]
    fn pictures_of_different_sizes_are_not_compared() {
        let (a, b) = (picture((320, 180), scene), picture((180, 320), scene));
        assert_eq!((psnr_y(&a, &b), ssim_y(&a, &b), mse_y(&a, &b)), (None, None, None));
    }

    #[test]
    fn a_constant_offset_has_the_psnr_of_the_formula() {
        let (a, b) = (picture(STAMPED, scene), picture(STAMPED, |x, y| scene(x, y) + 4));
        assert_eq!(mse_y(&a, &b), Some(16.0));
        assert!((psnr_y(&a, &b).unwrap() - 36.0896).abs() < 1e-4);
        let (black, white) = (picture(STAMPED, |_, _| 0), picture(STAMPED, |_, _| 255));
        assert_eq!(psnr_y(&black, &white), Some(0.0));
        assert!(ssim_y(&black, &white).unwrap() < 0.001);
    }

    #[test]
    fn the_fast_ssim_is_that_of_the_paper() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut noise = picture(STAMPED, scene);
        noise.packed_mut().iter_mut().for_each(|v| *v = v.saturating_add(random.random_range(0..30)));
        let a = picture(STAMPED, scene);
        for (name, b) in [("distorted", picture(STAMPED, distorted)), ("noise", noise)] {
            let (fast, slow) = (ssim_y(&a, &b).unwrap(), ssim_by_the_book(&a, &b));
            assert!((fast - slow).abs() < 1e-4, "{name}: {fast} instead of {slow}");
            assert!(slow < 0.99, "{name} must differ enough to show a mistake: {slow}");
        }
    }

    #[test]
    fn odd_and_the_smallest_pictures_are_measured() {
        for size in [(16, 16), (17, 19), (16, 2304), (4096, 16), (161, 91)] {
            let (a, b) = (picture(size, scene), picture(size, distorted));
            let (fast, slow) = (ssim_y(&a, &b).unwrap(), ssim_by_the_book(&a, &b));
            assert!((fast - slow).abs() < 1e-4, "{size:?}: {fast} instead of {slow}");
            assert!((20.0..60.0).contains(&psnr_y(&a, &b).unwrap()), "{size:?}");
        }
    }

    #[test]
    fn the_stamp_is_not_measured_and_the_row_below_its_mask_is() {
        let clean = picture(STAMPED, scene);
        let mut stamped = clean.clone();
        stamp::draw(&mut stamped, FrameId(77), MediaTime::from_millis(5));
        assert_eq!((psnr_y(&clean, &stamped), ssim_y(&clean, &stamped)), (Some(MAX_PSNR_DB), Some(1.0)));
        let first_row = masked_rows(clean.size()).end as usize;
        let damaged = picture(STAMPED, |x, y| if y == first_row { 255 - scene(x, y) } else { scene(x, y) });
        assert!(psnr_y(&clean, &damaged).unwrap() < 40.0);
        assert!(ssim_y(&clean, &damaged).unwrap() < 1.0);
    }
}
