//! What a camera delivers, in every layout and far from what it promised.
#![no_main]

use ahoy_fuzz::Parts;
use ahoy_media::capture::{Converter, PixelLayout, RawFormat};
use ahoy_media_types::FrameSize;
use libfuzzer_sys::fuzz_target;

const LAYOUTS: [PixelLayout; 8] = [
    // First and thus most often: the only one with a structure of its own.
    PixelLayout::Mjpeg,
    PixelLayout::Yuyv,
    PixelLayout::Uyvy,
    PixelLayout::Nv12,
    PixelLayout::I420,
    PixelLayout::Gray,
    PixelLayout::Rgb,
    PixelLayout::Bgr,
];

fuzz_target!(|data: &[u8]| {
    let mut parts = Parts::of(data);
    let (Some(layout), Some(width), Some(height), Some(stride)) =
        (parts.byte(), parts.byte(), parts.byte(), parts.byte())
    else {
        return;
    };
    let Ok(size) = FrameSize::new(width.into(), height.into()) else { return };
    let layout = LAYOUTS.get(usize::from(layout)).copied().unwrap_or(PixelLayout::Mjpeg);
    let target = FrameSize::new(48, 32).expect("a good size");
    let format = RawFormat { layout, size, stride: usize::from(stride) * 4 };
    if let Ok(picture) = Converter::new(target).convert(parts.rest(), format) {
        assert_eq!(picture.size(), target);
    }
});
