//! From a camera's pixels to the planar 4:2:0 that everything else works with.

use ahoy_media_types::{FramePool, FrameSize, I420Buffer};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPackedImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix, bgr_to_yuv420, rgb_to_yuv420, uyvy422_to_yuv420, yuyv422_to_yuv420,
};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::mode::PixelLayout;
use crate::scale::Scaler;

/// How the bytes of a camera's pictures are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFormat {
    /// Order of the samples.
    pub layout: PixelLayout,
    /// Width and height in pixels.
    pub size: FrameSize,
    /// Bytes from one row to the next, at least what a row takes. Without meaning for MJPEG.
    pub stride: usize,
}

/// Why a picture can't be shown. Cameras send such pictures now and then; only many in a row are a fault.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The picture is not all there.
    #[error("{got} of {expected} bytes arrived")]
    Short {
        /// Bytes that there are.
        got: usize,
        /// Bytes that a picture takes.
        expected: usize,
    },
    /// A compressed picture is of another size than agreed.
    #[error("a picture of {width}x{height} instead of {expected}")]
    Size {
        /// Its width in pixels.
        width: usize,
        /// Its height in pixels.
        height: usize,
        /// What the camera had agreed to.
        expected: FrameSize,
    },
    /// A compressed picture can't be decoded.
    #[error("JPEG: {0}")]
    Jpeg(DecodeErrors),
    /// The picture's rows don't fit its size.
    #[error("{0}")]
    Layout(YuvError),
}

/// Converts and scales pictures, keeping its working memory.
#[derive(Debug)]
pub struct Converter {
    target: FrameSize,
    pool: FramePool,
    scaler: Scaler,
    full_size: Option<I420Buffer>,
    rgb: Vec<u8>,
    jpeg: Vec<u8>,
}

impl Converter {
    /// Makes pictures of `target` out of whatever comes.
    pub fn new(target: FrameSize) -> Self {
        let (pool, scaler) = (FramePool::new(), Scaler::new());
        Self { target, pool, scaler, full_size: None, rgb: Vec::new(), jpeg: Vec::new() }
    }

    /// Converts one picture as it came from the camera.
    ///
    /// # Errors
    /// [`ConvertError`]: the picture is to be left out.
    pub fn convert(&mut self, data: &[u8], format: RawFormat) -> Result<I420Buffer, ConvertError> {
        let mut picture = self.pool.take(self.target);
        if format.size == self.target {
            self.unpack(data, format, &mut picture)?;
            return Ok(picture);
        }
        let mut full_size = match self.full_size.take() {
            Some(buffer) if buffer.size() == format.size => buffer,
            Some(_) | None => I420Buffer::black(format.size),
        };
        let unpacked = self.unpack(data, format, &mut full_size);
        if unpacked.is_ok() {
            self.scaler.fit(&full_size, &mut picture);
        }
        self.full_size = Some(full_size);
        unpacked.map(|()| picture)
    }

    fn unpack(&mut self, data: &[u8], format: RawFormat, into: &mut I420Buffer) -> Result<(), ConvertError> {
        match format.layout {
            PixelLayout::Mjpeg => self.decode_jpeg(data, into),
            PixelLayout::Yuyv | PixelLayout::Uyvy => unpack_422(data, format, into),
            PixelLayout::Rgb | PixelLayout::Bgr => unpack_rgb(data, format, into),
            PixelLayout::Nv12 | PixelLayout::I420 | PixelLayout::Gray => unpack_planes(data, format, into),
        }
    }

    fn decode_jpeg(&mut self, data: &[u8], into: &mut I420Buffer) -> Result<(), ConvertError> {
        let size = into.size();
        let (width, height) = (size.width() as usize, size.height() as usize);
        let data = trim_jpeg(data);
        let data = if has_huffman_tables(data) {
            data
        } else {
            with_default_tables(data, &mut self.jpeg);
            &self.jpeg
        };
        // The bounds keep a damaged header from asking for gigabytes.
        let options = DecoderOptions::default()
            .set_max_width(width)
            .set_max_height(height)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
        decoder.decode_headers().map_err(ConvertError::Jpeg)?;
        let found = decoder.info().map_or((0, 0), |info| (usize::from(info.width), usize::from(info.height)));
        if found != (width, height) {
            return Err(ConvertError::Size { width: found.0, height: found.1, expected: size });
        }
        self.rgb.resize(width * height * 3, 0);
        decoder.decode_into(&mut self.rgb).map_err(ConvertError::Jpeg)?;
        let format = RawFormat { layout: PixelLayout::Rgb, size, stride: width * 3 };
        unpack_rgb(&self.rgb, format, into)
    }
}

/// Cuts off what follows the end-of-image marker: drivers hand over buffers with old bytes at the end.
fn trim_jpeg(data: &[u8]) -> &[u8] {
    match data.windows(2).rposition(|pair| pair == [0xff, 0xd9]) {
        Some(end) => &data[..end + 2],
        None => data,
    }
}

/// Whether the picture brings its own Huffman tables (a DHT segment before the scan). Many cameras leave them out
/// because Motion-JPEG always uses the same ones.
fn has_huffman_tables(data: &[u8]) -> bool {
    let mut rest = data.get(2..).unwrap_or_default();
    while let [0xff, marker, high, low, ..] = *rest {
        match marker {
            0xc4 => return true,
            // Start of scan: no table can follow.
            0xda => return false,
            // Padding before a marker.
            0xff => rest = &rest[1..],
            _ => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(2 + length..).unwrap_or_default();
            }
        }
    }
    false
}

/// Marks a picture as Motion-JPEG from an AVI file, for which the decoder fills in the tables.
fn with_default_tables(data: &[u8], marked: &mut Vec<u8>) {
    const START: [u8; 2] = [0xff, 0xd8];
    const AVI1_SEGMENT: [u8; 9] = [0xff, 0xe0, 0, 7, b'A', b'V', b'I', b'1', 0];
    marked.clear();
    marked.extend(START);
    marked.extend(AVI1_SEGMENT);
    marked.extend(data.strip_prefix(&START).unwrap_or(data));
}

fn require(data: &[u8], expected: usize) -> Result<(), ConvertError> {
    match data.len() {
        got if got < expected => Err(ConvertError::Short { got, expected }),
        _ => Ok(()),
    }
}

/// Bytes of `rows` rows of which the last may be without padding.
fn rows_len(stride: usize, row: usize, rows: usize) -> usize {
    stride * (rows - 1) + row
}

fn planar(picture: &mut I420Buffer) -> YuvPlanarImageMut<'_, u8> {
    let size = picture.size();
    let [y, u, v] = picture.planes_mut();
    YuvPlanarImageMut {
        y_stride: y.width as u32,
        y_plane: BufferStoreMut::Borrowed(y.data),
        u_stride: u.width as u32,
        u_plane: BufferStoreMut::Borrowed(u.data),
        v_stride: v.width as u32,
        v_plane: BufferStoreMut::Borrowed(v.data),
        width: size.width(),
        height: size.height(),
    }
}

fn unpack_422(data: &[u8], format: RawFormat, into: &mut I420Buffer) -> Result<(), ConvertError> {
    let (row, rows) = (format.size.chroma_width() as usize * 4, format.size.height() as usize);
    require(data, rows_len(format.stride.max(row), row, rows))?;
    let packed = YuvPackedImage {
        yuy: data,
        yuy_stride: format.stride as u32,
        width: format.size.width(),
        height: format.size.height(),
    };
    let converted = match format.layout {
        PixelLayout::Uyvy => uyvy422_to_yuv420(&mut planar(into), &packed),
        _ => yuyv422_to_yuv420(&mut planar(into), &packed),
    };
    converted.map_err(ConvertError::Layout)
}

fn unpack_rgb(data: &[u8], format: RawFormat, into: &mut I420Buffer) -> Result<(), ConvertError> {
    let (row, rows) = (format.size.width() as usize * 3, format.size.height() as usize);
    require(data, rows_len(format.stride.max(row), row, rows))?;
    let convert = match format.layout {
        PixelLayout::Bgr => bgr_to_yuv420,
        _ => rgb_to_yuv420,
    };
    let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
    convert(&mut planar(into), data, format.stride as u32, range, matrix, YuvConversionMode::Balanced)
        .map_err(ConvertError::Layout)
}

fn unpack_planes(data: &[u8], format: RawFormat, into: &mut I420Buffer) -> Result<(), ConvertError> {
    let [luma, cb, cr] = into.planes_mut();
    let luma_stride = format.stride.max(luma.width);
    let (chroma_row, chroma_stride) = match format.layout {
        PixelLayout::Nv12 => (2 * cb.width, luma_stride.max(2 * cb.width)),
        // V4L2 gives each chroma plane half the luma's stride.
        _ => (cb.width, luma_stride.div_ceil(2)),
    };
    let luma_len = luma_stride * luma.height;
    let expected = match format.layout {
        PixelLayout::Gray => rows_len(luma_stride, luma.width, luma.height),
        PixelLayout::Nv12 => luma_len + rows_len(chroma_stride, chroma_row, cb.height),
        _ => luma_len + chroma_stride * cb.height + rows_len(chroma_stride, chroma_row, cr.height),
    };
    require(data, expected)?;
    copy_rows(data, luma_stride, luma.data, luma.width);
    match format.layout {
        PixelLayout::Gray => {
            cb.data.fill(128);
            cr.data.fill(128);
        }
        PixelLayout::Nv12 => {
            let rows = data[luma_len..].chunks(chroma_stride);
            let targets = cb.data.chunks_exact_mut(cb.width).zip(cr.data.chunks_exact_mut(cr.width));
            for (row, (cb_row, cr_row)) in rows.zip(targets) {
                for ((pair, u), v) in row.as_chunks().0.iter().zip(cb_row).zip(cr_row) {
                    let [from_u, from_v]: &[u8; 2] = pair;
                    (*u, *v) = (*from_u, *from_v);
                }
            }
        }
        _ => {
            let (first, second) = data[luma_len..].split_at(chroma_stride * cb.height);
            copy_rows(first, chroma_stride, cb.data, cb.width);
            copy_rows(second, chroma_stride, cr.data, cr.width);
        }
    }
    Ok(())
}

fn copy_rows(from: &[u8], stride: usize, to: &mut [u8], width: usize) {
    for (row, line) in from.chunks(stride).zip(to.chunks_exact_mut(width)) {
        line.copy_from_slice(&row[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u64, height: u64) -> FrameSize {
        FrameSize::new(width, height).unwrap()
    }

    fn format(layout: PixelLayout, size: FrameSize, stride: usize) -> RawFormat {
        RawFormat { layout, size, stride }
    }

    /// Luma that rises by one from pixel to pixel and row to row, Cb 90, Cr 200.
    fn luma_at(x: usize, y: usize) -> u8 {
        (40 + x + y) as u8
    }

    fn assert_ramp(picture: &I420Buffer) {
        let width = picture.size().width() as usize;
        for (index, &luma) in picture.y().iter().enumerate() {
            assert_eq!(luma, luma_at(index % width, index / width), "luma {index}");
        }
        assert!(picture.u().iter().all(|&v| v == 90), "{:?}", picture.u());
        assert!(picture.v().iter().all(|&v| v == 200), "{:?}", picture.v());
    }

    /// The ramp, row by row, with `padding` bytes after each row.
    fn rows(size: FrameSize, padding: usize, row: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
        (0..size.height() as usize).flat_map(|y| [row(y), vec![0; padding]].concat()).collect()
    }

    #[test]
    fn packed_422_is_unpacked_with_and_without_padding() {
        let size = size(20, 18);
        for padding in [0, 24] {
            let yuyv = rows(size, padding, |y| {
                (0..10).flat_map(|x| [luma_at(2 * x, y), 90, luma_at(2 * x + 1, y), 200]).collect()
            });
            let uyvy = rows(size, padding, |y| {
                (0..10).flat_map(|x| [90, luma_at(2 * x, y), 200, luma_at(2 * x + 1, y)]).collect()
            });
            for (layout, data) in [(PixelLayout::Yuyv, yuyv), (PixelLayout::Uyvy, uyvy)] {
                let picture =
                    Converter::new(size).convert(&data, format(layout, size, 40 + padding)).unwrap();
                assert_ramp(&picture);
            }
        }
    }

    #[test]
    fn planes_are_unpacked_with_and_without_padding_at_odd_sizes() {
        for size in [size(20, 18), size(17, 19)] {
            let (width, chroma) = (size.width() as usize, size.chroma_width() as usize);
            for padding in [0, 16] {
                let stride = width + width % 2 + padding;
                let luma = rows(size, stride - width, |y| (0..width).map(|x| luma_at(x, y)).collect());
                let chroma_rows = size.chroma_height() as usize;
                let pairs =
                    [[90, 200].repeat(chroma), vec![0; stride - 2 * chroma]].concat().repeat(chroma_rows);
                let nv12 = [luma.clone(), pairs].concat();
                let picture = Converter::new(size).convert(&nv12, format(PixelLayout::Nv12, size, stride));
                assert_ramp(&picture.unwrap());

                let plane =
                    |value| [vec![value; chroma], vec![0; stride / 2 - chroma]].concat().repeat(chroma_rows);
                let i420 = [luma.clone(), plane(90), plane(200)].concat();
                let picture = Converter::new(size).convert(&i420, format(PixelLayout::I420, size, stride));
                assert_ramp(&picture.unwrap());

                let gray =
                    Converter::new(size).convert(&luma, format(PixelLayout::Gray, size, stride)).unwrap();
                assert_eq!(gray.y()[width + 1], luma_at(1, 1));
                assert!(gray.u().iter().chain(gray.v()).all(|&v| v == 128));
            }
        }
    }

    /// Y'CbCr of pure red by ITU-R BT.601 in limited range.
    const RED: [u8; 3] = [81, 90, 240];

    fn assert_red(picture: &I420Buffer) {
        for (plane, expected) in [picture.y(), picture.u(), picture.v()].into_iter().zip(RED) {
            assert!(plane.iter().all(|v| v.abs_diff(expected) <= 2), "{expected}: {:?}", &plane[..8]);
        }
    }

    #[test]
    fn rgb_and_bgr_become_the_right_colour() {
        let size = size(18, 17);
        for padding in [0, 10] {
            for (layout, pixel) in [(PixelLayout::Rgb, [255, 0, 0]), (PixelLayout::Bgr, [0, 0, 255])] {
                let data = rows(size, padding, |_| pixel.repeat(18));
                let picture =
                    Converter::new(size).convert(&data, format(layout, size, 54 + padding)).unwrap();
                assert_red(&picture);
            }
        }
    }

    /// 32x32 of pure red, 4:2:2, from ffmpeg.
    const JPEG: &[u8] = include_bytes!("red-32x32.jpg");

    /// The same with its Huffman tables cut out, as many cameras send it.
    fn without_tables() -> Vec<u8> {
        let mut data = JPEG.to_vec();
        while let Some(at) = data.windows(2).position(|pair| pair == [0xff, 0xc4]) {
            let length = usize::from(u16::from_be_bytes([data[at + 2], data[at + 3]]));
            data.drain(at..at + 2 + length);
        }
        data
    }

    fn jpeg() -> RawFormat {
        format(PixelLayout::Mjpeg, size(32, 32), 0)
    }

    #[test]
    fn jpeg_pictures_are_decoded_whatever_follows_them() {
        let mut converter = Converter::new(size(32, 32));
        assert_red(&converter.convert(JPEG, jpeg()).unwrap());
        let trailing = [JPEG, &[0xab; 5000]].concat();
        assert_red(&converter.convert(&trailing, jpeg()).unwrap());
    }

    #[test]
    fn jpeg_pictures_without_huffman_tables_are_decoded_with_the_usual_ones() {
        let data = without_tables();
        assert!(has_huffman_tables(JPEG) && !has_huffman_tables(&data));
        assert_red(&Converter::new(size(32, 32)).convert(&data, jpeg()).unwrap());
    }

    #[test]
    fn damaged_jpeg_pictures_are_errors_and_do_not_spoil_the_next() {
        let mut converter = Converter::new(size(32, 32));
        for damaged in [&b""[..], b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", &JPEG[..40], &[0x55; 1000]] {
            assert!(converter.convert(damaged, jpeg()).is_err(), "{damaged:?}");
        }
        assert_red(&converter.convert(JPEG, jpeg()).unwrap());
    }

    #[test]
    fn every_flipped_byte_of_a_jpeg_header_is_survived() {
        let mut converter = Converter::new(size(32, 32));
        for index in 0..JPEG.len() {
            for value in [0, 0xff, JPEG[index] ^ 0x10] {
                let mut data = JPEG.to_vec();
                data[index] = value;
                let _ = converter.convert(&data, jpeg());
            }
        }
    }

    #[test]
    fn a_jpeg_of_another_size_than_agreed_is_refused() {
        let wrong = format(PixelLayout::Mjpeg, size(64, 48), 0);
        let error = Converter::new(size(64, 48)).convert(JPEG, wrong).unwrap_err();
        assert_eq!(error.to_string(), "a picture of 32x32 instead of 64x48");
    }

    #[test]
    fn pictures_that_arrive_short_are_errors() {
        use PixelLayout::{Bgr, Gray, I420, Nv12, Rgb, Uyvy, Yuyv};
        let size = size(32, 32);
        for (layout, whole) in
            [(Yuyv, 2048), (Uyvy, 2048), (Rgb, 3072), (Bgr, 3072), (Nv12, 1536), (I420, 1536), (Gray, 1024)]
        {
            let data = vec![100; whole];
            let format = format(layout, size, whole / 32 * if whole == 1536 { 2 } else { 3 } / 3);
            let mut converter = Converter::new(size);
            assert!(converter.convert(&data[..whole - 1], format).is_err(), "{layout} is short by a byte");
            assert!(converter.convert(&[], format).is_err(), "{layout} is empty");
            converter.convert(&data, format).unwrap();
        }
    }

    #[test]
    fn pictures_are_scaled_to_the_size_asked_for() {
        let from = size(64, 48);
        let mut converter = Converter::new(size(32, 18));
        let picture = converter.convert(&[200; 64 * 48], format(PixelLayout::Gray, from, 64)).unwrap();
        assert_eq!(picture.size(), size(32, 18));
        assert_eq!((picture.y()[0], picture.y()[9 * 32 + 16]), (16, 200));
    }
}
