//! Pictures from one size to another.

use std::fmt;

use ahoy_media_types::{FrameSize, I420Buffer, PlaneMut};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Limited-range black in Y, Cb and Cr.
const BLACK: [u8; 3] = [16, 128, 128];

/// Scales pictures plane by plane, keeping its working memory from one to the next.
#[derive(Default)]
pub struct Scaler {
    resizer: Resizer,
    narrow: Vec<u8>,
}

/// The part of a picture that another one fills, in luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Area {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// The largest area of `target` with the proportions of `source`, centred, at even coordinates so that chroma lines up.
fn fitted(source: FrameSize, target: FrameSize) -> Area {
    let (sw, sh) = (u64::from(source.width()), u64::from(source.height()));
    let (tw, th) = (u64::from(target.width()), u64::from(target.height()));
    // Rounded to the nearest even number, but never to nothing: a strip stays visible.
    let scaled =
        |side: u64, by: u64, over: u64, max: u64| ((side * by + over) / (2 * over) * 2).clamp(2, max);
    let (width, height) =
        if sw * th >= tw * sh { (tw, scaled(sh, tw, sw, th)) } else { (scaled(sw, th, sh, tw), th) };
    let margin = |outer: u64, inner: u64| (outer - inner) / 4 * 2;
    let [x, y, width, height] = [margin(tw, width), margin(th, height), width, height].map(|v| v as u32);
    Area { x, y, width, height }
}

impl Scaler {
    /// A scaler without memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fills `target` with `source`, enlarged or reduced with its proportions kept; what is left over becomes black bars.
    /// Writes every sample of `target`.
    pub fn fit(&mut self, source: &I420Buffer, target: &mut I420Buffer) {
        let size = source.size();
        if size == target.size() {
            target.packed_mut().copy_from_slice(source.packed());
            return;
        }
        let luma = fitted(size, target.size());
        let halved = |v: u32| v.div_ceil(2);
        let chroma =
            Area { x: luma.x / 2, y: luma.y / 2, width: halved(luma.width), height: halved(luma.height) };
        let sources = [
            (source.y(), size.width(), size.height()),
            (source.u(), size.chroma_width(), size.chroma_height()),
            (source.v(), size.chroma_width(), size.chroma_height()),
        ];
        for (index, (plane, (data, width, height))) in
            target.planes_mut().into_iter().zip(sources).enumerate()
        {
            let area = if index == 0 { luma } else { chroma };
            self.plane(data, (width, height), plane, area, BLACK[index]);
        }
    }

    /// Fills `target`, which is as large as `source`, with what is left of it `by` times smaller: what has no detail takes few
    /// bits.
    pub fn soften(&mut self, source: &I420Buffer, by: u32, target: &mut I420Buffer) {
        debug_assert_eq!(source.size(), target.size());
        let size = source.size();
        let chroma = (size.chroma_width(), size.chroma_height());
        let planes =
            [(source.y(), (size.width(), size.height())), (source.u(), chroma), (source.v(), chroma)];
        let mut small = std::mem::take(&mut self.narrow);
        for (target, (plane, sides)) in target.planes_mut().into_iter().zip(planes) {
            let fewer = (sides.0.div_ceil(by), sides.1.div_ceil(by));
            small.resize((fewer.0 * fewer.1) as usize, 0);
            self.resize(plane, sides, &mut small, fewer);
            self.resize(&small, fewer, target.data, sides);
        }
        self.narrow = small;
    }

    fn plane(
        &mut self,
        data: &[u8],
        (width, height): (u32, u32),
        target: PlaneMut<'_>,
        area: Area,
        border: u8,
    ) {
        let stride = target.width;
        let (x, y) = (area.x as usize, area.y as usize);
        let (w, h) = (area.width as usize, area.height as usize);
        let (above, rest) = target.data.split_at_mut(y * stride);
        let (middle, below) = rest.split_at_mut(h * stride);
        above.fill(border);
        below.fill(border);
        if w == stride {
            self.resize(data, (width, height), middle, (area.width, area.height));
            return;
        }
        let mut narrow = std::mem::take(&mut self.narrow);
        narrow.resize(w * h, 0);
        self.resize(data, (width, height), &mut narrow, (area.width, area.height));
        for (row, line) in middle.chunks_exact_mut(stride).zip(narrow.chunks_exact(w)) {
            row[..x].fill(border);
            row[x..x + w].copy_from_slice(line);
            row[x + w..].fill(border);
        }
        self.narrow = narrow;
    }

    fn resize(&mut self, from: &[u8], from_size: (u32, u32), to: &mut [u8], to_size: (u32, u32)) {
        let source = ImageRef::new(from_size.0, from_size.1, from, PixelType::U8)
            .expect("a plane has as many samples as its sides say");
        let mut target = Image::from_slice_u8(to_size.0, to_size.1, to, PixelType::U8)
            .expect("the area was cut to these sides");
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        self.resizer.resize(&source, &mut target, &options).expect("both planes hold 8-bit samples");
    }
}

impl fmt::Debug for Scaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scaler")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u64, height: u64) -> FrameSize {
        FrameSize::new(width, height).unwrap()
    }

    fn filled(size: FrameSize, luma: u8, chroma: u8) -> I420Buffer {
        let mut picture = I420Buffer::black(size);
        let [y, u, v] = picture.planes_mut();
        y.data.fill(luma);
        u.data.fill(chroma);
        v.data.fill(chroma);
        picture
    }

    #[test]
    fn what_is_softened_keeps_its_light_and_loses_its_detail() {
        let sides = size(66, 34);
        let mut stripes = I420Buffer::black(sides);
        let [y, ..] = stripes.planes_mut();
        y.data.iter_mut().enumerate().for_each(|(n, sample)| *sample = if n % 2 == 0 { 60 } else { 140 });
        let mut soft = I420Buffer::black(sides);
        let mut scaler = Scaler::new();
        scaler.soften(&stripes, 4, &mut soft);
        assert!(soft.y().iter().all(|sample| (95..=105).contains(sample)));
        assert!(soft.u().iter().all(|sample| *sample == 128));
    }

    fn at(picture: &I420Buffer, x: u32, y: u32) -> (u8, u8) {
        let size = picture.size();
        let luma = picture.y()[(y * size.width() + x) as usize];
        (luma, picture.u()[(y / 2 * size.chroma_width() + x / 2) as usize])
    }

    #[test]
    fn wide_pictures_get_bars_above_and_below_and_tall_ones_beside() {
        assert_eq!(fitted(size(1280, 720), size(640, 480)), Area { x: 0, y: 60, width: 640, height: 360 });
        assert_eq!(fitted(size(640, 480), size(1280, 720)), Area { x: 160, y: 0, width: 960, height: 720 });
        assert_eq!(fitted(size(1920, 1080), size(1280, 720)), Area { x: 0, y: 0, width: 1280, height: 720 });
    }

    #[test]
    fn bars_are_black_and_the_middle_keeps_its_colour() {
        let mut target = filled(size(64, 64), 99, 99);
        Scaler::new().fit(&filled(size(128, 64), 200, 60), &mut target);
        assert_eq!(at(&target, 32, 32), (200, 60));
        assert_eq!(at(&target, 0, 16), (200, 60));
        assert_eq!(at(&target, 63, 47), (200, 60));
        assert_eq!(at(&target, 32, 15), (16, 128));
        assert_eq!(at(&target, 32, 48), (16, 128));

        Scaler::new().fit(&filled(size(64, 128), 200, 60), &mut target);
        assert_eq!(at(&target, 16, 63), (200, 60));
        assert_eq!(at(&target, 15, 32), (16, 128));
        assert_eq!(at(&target, 48, 0), (16, 128));
    }

    #[test]
    fn every_sample_is_written_at_odd_and_extreme_sizes() {
        let sizes = [(16, 16), (17, 19), (19, 17), (33, 16), (4096, 16), (16, 2304), (641, 359)];
        let mut scaler = Scaler::new();
        for from in sizes {
            for to in sizes {
                // 250 is neither the source's value nor black, so it stays only where nothing was written.
                let mut target = filled(size(to.0, to.1), 250, 250);
                scaler.fit(&filled(size(from.0, from.1), 100, 90), &mut target);
                assert!(target.packed().iter().all(|&v| v != 250), "{from:?} to {to:?}");
                assert!(target.y().contains(&100), "{from:?} to {to:?} is all black");
            }
        }
    }

    #[test]
    fn a_picture_of_the_same_size_is_copied() {
        let mut picture = I420Buffer::black(size(18, 18));
        for (index, sample) in picture.packed_mut().iter_mut().enumerate() {
            *sample = index as u8;
        }
        let mut target = I420Buffer::black(size(18, 18));
        Scaler::new().fit(&picture, &mut target);
        assert_eq!(target.packed(), picture.packed());
    }

    #[test]
    fn halving_averages_neighbours() {
        let mut source = I420Buffer::black(size(32, 32));
        for (index, sample) in source.planes_mut()[0].data.iter_mut().enumerate() {
            *sample = if index % 2 == 0 { 50 } else { 150 };
        }
        let mut target = I420Buffer::black(size(16, 16));
        Scaler::new().fit(&source, &mut target);
        assert!(
            target.y()[16 + 2..16 + 14].iter().all(|v| v.abs_diff(100) <= 2),
            "{:?}",
            &target.y()[16..32]
        );
    }
}
