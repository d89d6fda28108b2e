//! The moving test picture: what a call shows where there is no camera, and what tests measure with.
//!
//! It is made of what codecs meet in camera pictures: soft texture that pans, a detailed surface that turns and zooms,
//! saturated colours, shaded round things that cover each other, and sharp small detail that scrolls. It depends on
//! nothing but the frame's id, so any frame can be drawn again to compare with.

use ahoy_media_types::{FrameId, FramePool, FrameRate, FrameSize, I420Buffer};

use super::paced::Painter;
use super::thread::StopSignal;

/// Side of the background texture, which repeats; a power of two.
const TILE: usize = 512;
/// Side of the texture on the turning disc; a power of two.
const SURFACE: i32 = 256;
/// Entries of the sine table: one turn.
const TURN: usize = 1024;
/// Sines are stored times this.
const ONE: i32 = 1 << 12;
/// Bits after the point of numbers that are multiplied with squares of distances.
const FRACTION: u32 = 20;
/// Balls that move about, each with its Cb, Cr and its speeds along both axes in table steps per frame.
const BALLS: [(u8, u8, u32, u32); 3] = [(90, 210, 5, 8), (200, 100, 8, 3), (60, 90, 3, 7)];

/// Paints the test picture.
#[derive(Debug)]
pub(crate) struct Pattern {
    size: FrameSize,
    pool: FramePool,
    sine: Vec<i32>,
    tile: Vec<u8>,
    tints: [Vec<u8>; 2],
    surface: Vec<u8>,
    wheel: Vec<u8>,
}

/// A round area, in luma samples.
#[derive(Clone, Copy)]
struct Disc {
    x: i32,
    y: i32,
    radius: i32,
}

impl Pattern {
    pub(crate) fn new(size: FrameSize) -> Self {
        let sine = (0..TURN)
            .map(|step| (step as f64 / TURN as f64 * std::f64::consts::TAU).sin() * f64::from(ONE))
            .map(|value| value.round() as i32)
            .collect();
        let tint = |seed| texture(TILE / 2, 128, &[(64, 34), (16, 8)], seed);
        Self {
            size,
            pool: FramePool::new(),
            sine,
            tile: texture(TILE, 118, &[(128, 60), (32, 26), (8, 14), (2, 5)], 1),
            tints: [tint(2), tint(3)],
            surface: checkered(texture(SURFACE as usize, 120, &[(32, 40), (4, 24)], 4)),
            wheel: angles(wheel_radius(size) / 2),
        }
    }

    /// Sine of `step` 1024ths of a turn, from -`reach` to `reach`.
    fn swing(&self, step: u32, reach: i32) -> i32 {
        self.sine[step as usize % TURN] * reach / ONE
    }

    /// The texture of the whole picture, panning, lit from above.
    fn background(&self, picture: &mut I420Buffer, id: u32) {
        let pan = |steps: u32, shift: u32| {
            (self.swing(id * steps + shift, TILE as i32 / 4) + TILE as i32) as usize / 2
        };
        let (x, y) = (pan(2, 0), pan(3, 300));
        let [luma, cb, cr] = picture.planes_mut();
        let height = luma.height;
        for (row, line) in luma.data.chunks_exact_mut(luma.width).enumerate() {
            // Added modulo 256, which goes down as well as up.
            let light = (24 - (row * 40 / height) as i32) as u8;
            let source = tile_row(&self.tile, TILE, row + 2 * y);
            let mut start = 2 * x % TILE;
            let mut rest = line;
            while !rest.is_empty() {
                let (part, after) = rest.split_at_mut((TILE - start).min(rest.len()));
                for (sample, from) in part.iter_mut().zip(&source[start..]) {
                    *sample = from.wrapping_add(light);
                }
                (start, rest) = (0, after);
            }
        }
        for (plane, tint) in [cb, cr].into_iter().zip(&self.tints) {
            for (row, line) in plane.data.chunks_exact_mut(plane.width).enumerate() {
                let source = tile_row(tint, TILE / 2, row + y);
                let mut start = x % (TILE / 2);
                let mut rest = line;
                while !rest.is_empty() {
                    let (part, after) = rest.split_at_mut((TILE / 2 - start).min(rest.len()));
                    part.copy_from_slice(&source[start..start + part.len()]);
                    (start, rest) = (0, after);
                }
            }
        }
    }

    /// A disc with a detailed surface that turns once in 17 s at 30 frames a second and comes nearer and goes.
    fn turning_surface(&self, picture: &mut I420Buffer, id: u32) {
        let (width, height) = (self.size.width() as i32, self.size.height() as i32);
        let radius = width.min(height) / 4;
        let disc = Disc { x: width * 3 / 10, y: height / 2, radius };
        // Texture steps per pixel, between 0.7 and 1.3 of what shows the texture once.
        let zoom = ONE + self.swing(id * 3, ONE * 3 / 10);
        let step = SURFACE * zoom / (2 * radius.max(1));
        let (sin, cos) = (self.swing(id * 2, step), self.swing(id * 2 + TURN as u32 / 4, step));
        let texel = |dx: i32, dy: i32| {
            let u = (dx * cos - dy * sin) / ONE + SURFACE / 2;
            let v = (dx * sin + dy * cos) / ONE + SURFACE / 2;
            self.surface[((v & (SURFACE - 1)) * SURFACE + (u & (SURFACE - 1))) as usize]
        };
        fill(picture, disc, texel, |dx, dy| {
            let shade = texel(dx, dy) / 8;
            (150 - shade, 112 + shade)
        });
    }

    /// A disc with all hues, turning against the surface.
    fn hue_wheel(&self, picture: &mut I420Buffer, id: u32) {
        let (width, height) = (self.size.width() as i32, self.size.height() as i32);
        let radius = wheel_radius(self.size);
        let disc = Disc { x: width * 7 / 10, y: height * 2 / 5, radius };
        let side = radius / 2 * 2 + 1;
        let turned = |dx: i32, dy: i32| {
            let (column, row) = (dx / 2 + radius / 2, dy / 2 + radius / 2);
            let angle = self.wheel[(row * side + column) as usize];
            u32::from(angle) * (TURN as u32 / 256) + id * 6
        };
        // Darker by 60 at the rim. Divided once and not for each pixel.
        let fall = (60 << FRACTION) / (radius * radius).max(1);
        let luma = |dx: i32, dy: i32| (150 - (((dx * dx + dy * dy) * fall) >> FRACTION)) as u8;
        fill(picture, disc, luma, |dx, dy| {
            let hue = turned(dx, dy);
            ((128 + self.swing(hue, 90)) as u8, (128 + self.swing(hue + TURN as u32 / 4, 90)) as u8)
        });
    }

    /// Shaded balls on curves that cross everything else.
    fn balls(&self, picture: &mut I420Buffer, id: u32) {
        let (width, height) = (self.size.width() as i32, self.size.height() as i32);
        let radius = width.min(height) / 12;
        for (index, (cb, cr, along, down)) in BALLS.into_iter().enumerate() {
            let phase = index as u32 * 341;
            let disc = Disc {
                x: width / 2 + self.swing(id * along + phase, width / 2 - radius),
                y: height / 2 + self.swing(id * down + 2 * phase, height / 2 - radius),
                radius,
            };
            // Lit from the upper left.
            let fall = (70 << FRACTION) / (radius * radius).max(1);
            let light = |dx: i32, dy: i32| {
                let (x, y) = (dx + radius / 3, dy + radius / 3);
                (220 - (((x * x + y * y) * fall) >> FRACTION)).clamp(40, 220) as u8
            };
            fill(picture, disc, light, |_, _| (cb, cr));
        }
    }

    /// A band of small sharp marks, like a line of text, that scrolls by two pixels a frame.
    fn ticker(&self, picture: &mut I420Buffer, id: u32) {
        let size = self.size;
        let cell = (size.height() as usize / 120).max(1) * 2;
        let top = size.height() as usize * 7 / 8;
        let [luma, cb, cr] = picture.planes_mut();
        let width = luma.width;
        let band = luma.data[top * width..].chunks_mut(cell * width).take(5);
        for (row, lines) in band.enumerate() {
            let (first, others) = lines.split_at_mut(width);
            let mut start = 0;
            while start < width {
                let along = start + 2 * id as usize;
                let (x, end) = (along / cell, start + cell - along % cell);
                // Marks of four columns by five rows with a gap after each.
                let ink = x % 5 != 4 && hash((x / 5) as u32, (x % 5 * 8 + row) as u32, 5) & 1 == 1;
                first[start..end.min(width)].fill(if ink { 225 } else { 30 });
                start = end;
            }
            others.chunks_exact_mut(width).for_each(|line| line.copy_from_slice(first));
        }
        for plane in [cb, cr] {
            for line in plane.data.chunks_exact_mut(plane.width).skip(top / 2).take(5 * cell / 2) {
                line.fill(128);
            }
        }
    }
}

impl Painter for Pattern {
    fn describe(&self) -> (FrameSize, Option<FrameRate>, String) {
        (self.size, None, "test pattern".to_owned())
    }

    fn paint(&mut self, id: FrameId, _: u64, _: &StopSignal) -> Option<I420Buffer> {
        let mut picture = self.pool.take(self.size);
        // All movements repeat after a multiple of the sine table's length, and this keeps the products small.
        let id = id.0 % (TURN as u32 * 1024);
        self.background(&mut picture, id);
        self.turning_surface(&mut picture, id);
        self.hue_wheel(&mut picture, id);
        self.balls(&mut picture, id);
        self.ticker(&mut picture, id);
        Some(picture)
    }
}

fn wheel_radius(size: FrameSize) -> i32 {
    size.width().min(size.height()) as i32 / 5
}

fn tile_row(tile: &[u8], side: usize, row: usize) -> &[u8] {
    &tile[row % side * side..][..side]
}

/// Colours a disc, clipped to the picture. Closures get the distance from the centre, in luma samples.
fn fill(
    picture: &mut I420Buffer,
    disc: Disc,
    luma: impl Fn(i32, i32) -> u8,
    chroma: impl Fn(i32, i32) -> (u8, u8),
) {
    let [y_plane, cb, cr] = picture.planes_mut();
    let span = |dy: i32, width: usize, step: i32| {
        let reach = (disc.radius * disc.radius - dy * dy).isqrt();
        let (from, to) = ((disc.x - reach).div_euclid(step), (disc.x + reach).div_euclid(step));
        from.clamp(0, width as i32) as usize..to.clamp(0, width as i32) as usize
    };
    let rows = |height: usize, step: i32| {
        let (from, to) = ((disc.y - disc.radius).div_euclid(step), (disc.y + disc.radius).div_euclid(step));
        from.clamp(0, height as i32) as usize..to.clamp(0, height as i32) as usize
    };
    for row in rows(y_plane.height, 1) {
        let dy = row as i32 - disc.y;
        let columns = span(dy, y_plane.width, 1);
        let line = &mut y_plane.data[row * y_plane.width..][columns.clone()];
        for (column, sample) in columns.zip(line) {
            *sample = luma(column as i32 - disc.x, dy);
        }
    }
    for row in rows(cb.height, 2) {
        let dy = (2 * row as i32 - disc.y).clamp(-disc.radius, disc.radius);
        let columns = span(dy, cb.width, 2);
        let start = row * cb.width;
        let lines = cb.data[start..][columns.clone()].iter_mut().zip(&mut cr.data[start..][columns.clone()]);
        for (column, (u, v)) in columns.zip(lines) {
            let dx = (2 * column as i32 - disc.x).clamp(-disc.radius, disc.radius);
            (*u, *v) = chroma(dx, dy);
        }
    }
}

/// Noise that looks like plaster or foliage: for each (cell side, amplitude) a grid of random values, interpolated.
/// Repeats seamlessly after `side`, which every cell side divides.
fn texture(side: usize, mean: i32, octaves: &[(usize, i32)], seed: u32) -> Vec<u8> {
    let mut sums = vec![mean * 256; side * side];
    for &(cell, amplitude) in octaves {
        let cells = side / cell;
        let corner = |x: usize, y: usize| {
            let random = hash((x % cells) as u32, (y % cells) as u32, seed + cell as u32) & 0xff;
            (random as i32 - 128) * amplitude
        };
        for y in 0..cells {
            for x in 0..cells {
                let [a, b, c, d] = [corner(x, y), corner(x + 1, y), corner(x, y + 1), corner(x + 1, y + 1)];
                for (row, line) in sums.chunks_exact_mut(side).skip(y * cell).take(cell).enumerate() {
                    let (down, cell_side) = (row as i32, cell as i32);
                    let left = a + (c - a) * down / cell_side;
                    let right = b + (d - b) * down / cell_side;
                    for (column, sum) in line[x * cell..][..cell].iter_mut().enumerate() {
                        *sum += left + (right - left) * column as i32 / cell_side;
                    }
                }
            }
        }
    }
    sums.into_iter().map(|sum| (sum / 256).clamp(40, 210) as u8).collect()
}

/// Lays squares with sharp edges over a texture.
fn checkered(mut surface: Vec<u8>) -> Vec<u8> {
    for (index, sample) in surface.iter_mut().enumerate() {
        let (x, y) = (index % SURFACE as usize / 32, index / SURFACE as usize / 32);
        if (x + y) % 2 == 0 {
            *sample = 255 - *sample;
        }
    }
    surface
}

/// The angle of each point of a square of `2 * reach + 1` a side around its centre, in 256ths of a turn.
fn angles(reach: i32) -> Vec<u8> {
    let turn = |x: i32, y: i32| f64::from(y).atan2(f64::from(x)) / std::f64::consts::TAU;
    (-reach..=reach)
        .flat_map(|y| (-reach..=reach).map(move |x| (turn(x, y) * 256.0).round() as i32 as u8))
        .collect()
}

/// Well mixed bits of three numbers (the finalizer of MurmurHash3).
fn hash(a: u32, b: u32, c: u32) -> u32 {
    let mut h = a.wrapping_mul(0x9e37_79b1) ^ b.wrapping_mul(0x85eb_ca77) ^ c.wrapping_mul(0xc2b2_ae3d);
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paint(pattern: &mut Pattern, id: u32) -> I420Buffer {
        pattern.paint(FrameId(id), 0, &StopSignal::default()).unwrap()
    }

    fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
    }

    #[test]
    fn a_frame_depends_on_its_id_only() {
        let size = FrameSize::new(320, 180).unwrap();
        let mut first = Pattern::new(size);
        let expected = paint(&mut first, 77).clone();
        for id in [0, 78, 5] {
            paint(&mut first, id);
        }
        assert_eq!(paint(&mut first, 77).packed(), expected.packed());
        assert_eq!(paint(&mut Pattern::new(size), 77).packed(), expected.packed());
    }

    #[test]
    fn everything_moves_from_each_frame_to_the_next() {
        let mut pattern = Pattern::new(FrameSize::new(640, 360).unwrap());
        for id in [0, 1, 100, 511, 1023, 5000] {
            let (one, next) = (paint(&mut pattern, id), paint(&mut pattern, id + 1));
            let difference = mean_difference(one.y(), next.y());
            assert!((0.5..30.0).contains(&difference), "frames {id} and the next differ by {difference}");
        }
    }

    #[test]
    fn the_picture_is_colourful_and_uses_the_range_of_video() {
        let picture = paint(&mut Pattern::new(FrameSize::HD), 30);
        let spread =
            |plane: &[u8]| (plane.iter().min().copied().unwrap(), plane.iter().max().copied().unwrap());
        for (name, plane) in [("Cb", picture.u()), ("Cr", picture.v())] {
            let (low, high) = spread(plane);
            assert!((16..60).contains(&low) && (201..=240).contains(&high), "{name} from {low} to {high}");
        }
        let (low, high) = spread(picture.y());
        assert!((16..40).contains(&low) && (201..=235).contains(&high), "luma from {low} to {high}");
    }

    #[test]
    fn every_size_can_be_drawn() {
        for (width, height) in [(16, 16), (17, 19), (4096, 16), (16, 2304), (333, 777), (1920, 1080)] {
            let mut pattern = Pattern::new(FrameSize::new(width, height).unwrap());
            for id in [0, 1, 250, 1_000_000, u32::MAX] {
                paint(&mut pattern, id);
            }
        }
    }

    #[test]
    fn textures_repeat_without_a_seam() {
        let tile = texture(64, 120, &[(16, 60)], 9);
        let seam = (0..64).map(|row| tile[row * 64].abs_diff(tile[row * 64 + 63])).max().unwrap();
        assert!(seam < 16, "neighbours across the seam differ by {seam}");
    }
}
