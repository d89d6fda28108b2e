//! Cameras on Linux: Video4Linux2, through the `v4l` crate that nokhwa builds on, too.
//!
//! nokhwa itself is not used here because it can't wait for a picture with a time limit, shares one file descriptor
//! between all users of a device (a camera that is stuck can't be opened anew), fails on cameras whose present format or
//! rate it doesn't know, and keeps back the length and capture time of pictures.

use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ahoy_media_types::FrameRate;
use rustix::time::{ClockId, clock_gettime};
use v4l::buffer::{Flags as BufferFlags, Metadata, Type};
use v4l::capability::Flags as Capability;
use v4l::frameinterval::{FrameInterval, FrameIntervalEnum};
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap;
use v4l::io::traits::CaptureStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use super::convert::RawFormat;
use super::mode::{self, CameraMode, PixelLayout};
use super::watch::FIRST_PICTURE_WITHIN;
use super::{CameraInfo, Stream, Target, Wait, pick, pick_again, usable_size};
use crate::capture::{CameraId, CaptureError, VideoFormat};

/// `POLLIN` of poll(2), the same on every architecture.
const POLLIN: i16 = 1;
/// Pictures older than this when they arrive carry the time of another clock.
const OLDEST: Duration = Duration::from_millis(500);
/// Error numbers of errno(3), the same on every architecture.
mod errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const ENXIO: i32 = 6;
    pub(super) const EACCES: i32 = 13;
    pub(super) const EBUSY: i32 = 16;
    pub(super) const ENODEV: i32 = 19;
}

const REMEDY: &str = "run `sudo usermod -aG video $USER`, then log out and in again";

const LAYOUTS: [(&[u8; 4], PixelLayout); 9] = [
    (b"YU12", PixelLayout::I420),
    (b"NV12", PixelLayout::Nv12),
    (b"YUYV", PixelLayout::Yuyv),
    (b"UYVY", PixelLayout::Uyvy),
    (b"RGB3", PixelLayout::Rgb),
    (b"BGR3", PixelLayout::Bgr),
    (b"MJPG", PixelLayout::Mjpeg),
    (b"JPEG", PixelLayout::Mjpeg),
    (b"GREY", PixelLayout::Gray),
];

fn layout_of(fourcc: FourCC) -> Option<PixelLayout> {
    LAYOUTS.into_iter().find(|(code, _)| **code == fourcc.repr).map(|(_, layout)| layout)
}

/// The device nodes, in the order of their numbers.
fn nodes() -> Vec<PathBuf> {
    let mut nodes: Vec<(u32, PathBuf)> = fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix("video")?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    nodes.sort();
    nodes.into_iter().map(|(_, path)| path).collect()
}

/// The nodes that are cameras, opened; an error if there are nodes but none may be opened.
fn cameras() -> Result<Vec<(Target, Device)>, CaptureError> {
    let mut cameras = Vec::new();
    let mut denied = None;
    for path in nodes() {
        match open_node(&path) {
            Ok(Some(camera)) => cameras.push(camera),
            // Codecs, radios, and the nodes on which webcams send data about their pictures.
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(node = %path.display(), %error, "passed over a video device");
                let reason = explain(&error, &path.display().to_string());
                if matches!(reason, CaptureError::CameraDenied { .. }) {
                    denied.get_or_insert(reason);
                }
            }
        }
    }
    match denied {
        Some(reason) if cameras.is_empty() => Err(reason),
        Some(_) | None => Ok(cameras),
    }
}

fn open_node(path: &Path) -> io::Result<Option<(Target, Device)>> {
    let device = Device::with_path(path)?;
    // The v4l crate panics on names that are not UTF-8; such a camera must not take the others along.
    let about = panic::catch_unwind(AssertUnwindSafe(|| device.query_caps()))
        .map_err(|_| io::Error::other("its name is not UTF-8"))??;
    let can_stream = Capability::VIDEO_CAPTURE | Capability::STREAMING;
    let target = Target { id: CameraId::new(path.to_string_lossy()), name: about.card };
    Ok(about.capabilities.contains(can_stream).then_some((target, device)))
}

pub(super) fn list() -> Result<Vec<CameraInfo>, CaptureError> {
    let describe = |(target, device): (Target, Device)| {
        let modes = modes(&device, None);
        CameraInfo { id: target.id, name: target.name, modes }
    };
    Ok(cameras()?.into_iter().map(describe).collect())
}

fn targets() -> Result<Vec<Target>, CaptureError> {
    Ok(cameras()?.into_iter().map(|(target, _)| target).collect())
}

pub(super) fn find(id: Option<&CameraId>) -> Result<Target, CaptureError> {
    let id = id.map(|id| match id.as_str().parse::<u32>() {
        Ok(number) => CameraId::new(format!("/dev/video{number}")),
        Err(_) => id.clone(),
    });
    // Asked directly first, so that a camera that may not be opened isn't called unknown because others may.
    if let Some(id) = &id
        && nodes().iter().any(|node| node == Path::new(id.as_str()))
        && let Err(error) = Device::with_path(id.as_str())
        && let denied @ CaptureError::CameraDenied { .. } = explain(&error, id.as_str())
    {
        return Err(denied);
    }
    pick(targets()?, id.as_ref())
}

pub(super) fn find_again(lost: &Target) -> Result<Target, CaptureError> {
    pick_again(targets()?, lost)
}

pub(super) fn open(target: &Target, wanted: VideoFormat) -> Result<Box<dyn Stream>, CaptureError> {
    let explained = |error: io::Error| explain(&error, &target.name);
    let unusable = || CaptureError::CameraFormats { device: target.name.clone() };
    let device = Device::with_path(target.id.as_str()).map_err(explained)?;
    let mode = mode::choose(&modes(&device, Some(wanted)), wanted).ok_or_else(unusable)?;
    let code = LAYOUTS
        .into_iter()
        .filter(|(_, layout)| *layout == mode.layout)
        .map(|(code, _)| FourCC::new(code))
        .find(|code| device.enum_formats().is_ok_and(|all| all.iter().any(|format| format.fourcc == *code)))
        .ok_or_else(unusable)?;
    let agreed =
        device.set_format(&Format::new(mode.size.width(), mode.size.height(), code)).map_err(explained)?;
    let (layout, size) =
        layout_of(agreed.fourcc).zip(usable_size(agreed.width, agreed.height)).ok_or_else(unusable)?;
    let (frames, seconds) = mode.rate.as_fraction();
    let rate = match device.set_params(&Parameters::new(Fraction::new(seconds, frames))) {
        Ok(parameters) => rate_of(parameters.interval).unwrap_or(mode.rate),
        Err(error) if error.raw_os_error() == Some(errno::EBUSY) => return Err(explained(error)),
        // Cameras with one fixed rate refuse to talk about it.
        Err(_) => mode.rate,
    };
    let mut buffers = mmap::Stream::new(&device, Type::VideoCapture).map_err(explained)?;
    buffers.set_timeout(FIRST_PICTURE_WITHIN);
    Ok(Box::new(Streaming {
        buffers,
        started: false,
        format: RawFormat { layout, size, stride: agreed.stride as usize },
        rate,
        device: target.name.clone(),
    }))
}

/// Everything that the camera offers and Ahoy can use. Cameras with a range of sizes or rates are listed with its end, and
/// with what is `wanted` where the range has it.
fn modes(device: &Device, wanted: Option<VideoFormat>) -> Vec<CameraMode> {
    let mut modes = Vec::new();
    for format in device.enum_formats().unwrap_or_default() {
        let Some(layout) = layout_of(format.fourcc) else { continue };
        for size in device.enum_framesizes(format.fourcc).unwrap_or_default() {
            for (width, height) in sizes_of(&size.size, wanted) {
                let Some(size) = usable_size(width, height) else { continue };
                let intervals = device.enum_frameintervals(format.fourcc, width, height).unwrap_or_default();
                let rates = rates_of(&intervals, wanted);
                modes.extend(rates.into_iter().map(|rate| CameraMode { size, rate, layout }));
            }
        }
    }
    modes
}

fn sizes_of(sizes: &FrameSizeEnum, wanted: Option<VideoFormat>) -> Vec<(u32, u32)> {
    match sizes {
        FrameSizeEnum::Discrete(size) => vec![(size.width, size.height)],
        FrameSizeEnum::Stepwise(range) => {
            // The next step up, so that the picture is never enlarged where it needn't be.
            let stepped = |wanted: u32, min: u32, max: u32, step: u32| {
                let step = step.max(1);
                min.saturating_add(wanted.saturating_sub(min).div_ceil(step).saturating_mul(step)).min(max)
            };
            let fitting = wanted.map(|wanted| {
                (
                    stepped(wanted.size.width(), range.min_width, range.max_width, range.step_width),
                    stepped(wanted.size.height(), range.min_height, range.max_height, range.step_height),
                )
            });
            fitting.into_iter().chain([(range.max_width, range.max_height)]).collect()
        }
    }
}

fn rates_of(intervals: &[FrameInterval], wanted: Option<VideoFormat>) -> Vec<FrameRate> {
    if intervals.is_empty() {
        // The camera says nothing about its rate; 30 is what nearly all have.
        return vec![FrameRate::FPS_30];
    }
    let mut rates = Vec::new();
    for interval in intervals {
        match &interval.interval {
            FrameIntervalEnum::Discrete(interval) => rates.extend(rate_of(*interval)),
            FrameIntervalEnum::Stepwise(range) => {
                let (fastest, slowest) = (rate_of(range.min), rate_of(range.max));
                let within = |rate: &FrameRate| {
                    fastest.is_none_or(|fastest| rate.as_f64() <= fastest.as_f64())
                        && slowest.is_none_or(|slowest| rate.as_f64() >= slowest.as_f64())
                };
                rates.extend(wanted.map(|wanted| wanted.rate).filter(within));
                rates.extend(fastest);
            }
        }
    }
    rates
}

/// The rate of a frame interval; `None` for still cameras and for nonsense.
fn rate_of(interval: Fraction) -> Option<FrameRate> {
    FrameRate::new(interval.denominator, interval.numerator).ok()
}

fn explain(error: &io::Error, device: &str) -> CaptureError {
    let device = device.to_owned();
    match error.raw_os_error() {
        Some(errno::EBUSY) => CaptureError::CameraBusy { device },
        Some(errno::EACCES | errno::EPERM) => CaptureError::CameraDenied { device, remedy: REMEDY },
        Some(errno::ENODEV | errno::ENXIO | errno::ENOENT) => CaptureError::CameraUnplugged { device },
        Some(_) | None => CaptureError::Camera { device, cause: error.to_string() },
    }
}

/// Buffers that the driver fills in turn.
struct Streaming {
    buffers: mmap::Stream<'static>,
    started: bool,
    format: RawFormat,
    rate: FrameRate,
    device: String,
}

impl Stream for Streaming {
    fn format(&self) -> RawFormat {
        self.format
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }

    fn wait(&mut self, timeout: Duration) -> Result<Wait<'_>, CaptureError> {
        // The first call of `next` starts the stream and waits by itself. After that it gives a buffer back before it waits,
        // so it may only be called when there is a picture.
        if self.started {
            match self.buffers.handle().poll(POLLIN, timeout.as_millis() as i32) {
                Ok(0) => return Ok(Wait::Nothing),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Wait::Nothing),
                Err(error) => return Err(explain(&error, &self.device)),
            }
        }
        self.started = true;
        let device = &self.device;
        let (bytes, about) = self.buffers.next().map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                CaptureError::CameraStalled { device: device.clone(), waited: FIRST_PICTURE_WITHIN }
            }
            _ => explain(&error, device),
        })?;
        let captured = captured_at(about);
        if about.flags.contains(BufferFlags::ERROR) {
            return Ok(Wait::Damaged);
        }
        // Some drivers don't say how much they wrote.
        let used = if about.bytesused == 0 { bytes.len() } else { about.bytesused as usize };
        Ok(Wait::Picture(&bytes[..used.min(bytes.len())], captured))
    }
}

/// When the driver says that the picture was captured, which is up to a frame before it arrived here, if the driver uses
/// the system's monotonic clock and what it says can be.
fn captured_at(about: &Metadata) -> Instant {
    let now = Instant::now();
    if !about.flags.contains(BufferFlags::TIMESTAMP_MONOTONIC) {
        return now;
    }
    let time = clock_gettime(ClockId::Monotonic);
    let age = age(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32), about.timestamp);
    age.and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

fn age(now: Duration, captured: v4l::Timestamp) -> Option<Duration> {
    let micros = u32::try_from(captured.usec).ok().filter(|micros| *micros < 1_000_000)?;
    let captured = Duration::new(u64::try_from(captured.sec).ok()?, micros * 1000);
    now.checked_sub(captured).filter(|age| *age <= OLDEST)
}

#[cfg(test)]
mod tests {
    use ahoy_media_types::FrameSize;
    use v4l::Timestamp;
    use v4l::frameinterval::Stepwise;

    use super::*;

    fn wanted(width: u64, height: u64) -> Option<VideoFormat> {
        Some(VideoFormat { size: FrameSize::new(width, height).unwrap(), rate: FrameRate::FPS_30 })
    }

    #[test]
    fn what_the_system_says_becomes_what_the_user_can_do() {
        let text = |errno| explain(&io::Error::from_raw_os_error(errno), "Cam").to_string();
        assert!(text(errno::EBUSY).starts_with("another program is using the camera Cam: close it"));
        assert!(text(errno::EACCES).contains("usermod -aG video"));
        assert!(text(errno::ENODEV).contains("was unplugged"));
        assert!(text(5).contains("Input/output error"));
    }

    #[test]
    fn ranges_of_sizes_are_asked_for_the_size_wanted() {
        let range = FrameSizeEnum::Stepwise(v4l::framesize::Stepwise {
            min_width: 32,
            max_width: 1920,
            step_width: 16,
            min_height: 32,
            max_height: 1080,
            step_height: 8,
        });
        assert_eq!(sizes_of(&range, wanted(1280, 720)), [(1280, 720), (1920, 1080)]);
        assert_eq!(sizes_of(&range, wanted(641, 359)), [(656, 360), (1920, 1080)]);
        assert_eq!(sizes_of(&range, wanted(4096, 16)), [(1920, 32), (1920, 1080)]);
        assert_eq!(sizes_of(&range, None), [(1920, 1080)]);
    }

    #[test]
    fn ranges_of_rates_are_asked_for_the_rate_wanted() {
        let interval = |min: (u32, u32), max: (u32, u32)| FrameInterval {
            index: 0,
            fourcc: FourCC::new(b"YUYV"),
            width: 640,
            height: 480,
            typ: 0,
            interval: FrameIntervalEnum::Stepwise(Stepwise {
                min: Fraction::new(min.0, min.1),
                max: Fraction::new(max.0, max.1),
                step: Fraction::new(1, 1),
            }),
        };
        let fps = |fps| FrameRate::from_fps(fps).unwrap();
        assert_eq!(rates_of(&[interval((1, 60), (1, 1))], wanted(640, 480)), [fps(30), fps(60)]);
        assert_eq!(rates_of(&[interval((1, 15), (1, 1))], wanted(640, 480)), [fps(15)]);
        // From "faster than anything" to "never", as virtual cameras say.
        assert_eq!(rates_of(&[interval((1, 1000), (1000, 1))], wanted(640, 480)), [fps(30)]);
        assert_eq!(rates_of(&[], None), [fps(30)]);
    }

    #[test]
    fn capture_times_of_other_clocks_are_not_believed() {
        let now = Duration::from_millis(100_000);
        assert_eq!(age(now, Timestamp::new(99, 980_000)), Some(Duration::from_millis(20)));
        assert_eq!(age(now, Timestamp::new(100, 1)), None);
        assert_eq!(age(now, Timestamp::new(0, 0)), None);
        assert_eq!(age(now, Timestamp::new(1_700_000_000, 0)), None);
        assert_eq!(age(now, Timestamp::new(-1, 0)), None);
        assert_eq!(age(now, Timestamp::new(99, 2_000_000)), None);
    }
}
