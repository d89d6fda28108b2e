//! Cameras on macOS and Windows, through nokhwa (AVFoundation and Media Foundation).
//!
//! nokhwa waits for a picture without a limit, so a thread of its own does that; one that is stuck is left behind.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use ahoy_media_types::FrameRate;
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType,
};
use nokhwa::{Camera, NokhwaError, nokhwa_check, nokhwa_initialize, query};

use super::convert::RawFormat;
use super::mode::{self, CameraMode, PixelLayout};
use super::{CameraInfo, Stream, Target, Wait, pick, pick_again, usable_size};
use crate::capture::thread::{SourceThread, StopSignal};
use crate::capture::{CameraId, CaptureError, VideoFormat};

/// Pictures between the reading thread and the converting one. When it is full the new picture is dropped: the one that
/// waits is at most a frame old.
const QUEUED_PICTURES: usize = 1;
/// How long a person may take to answer the system's question whether Ahoy may use the camera.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long a camera may take to open.
const OPEN_WITHIN: Duration = Duration::from_secs(8);
const REMEDY: &str = "allow Ahoy to use the camera in the system's settings, under privacy and security";

const FORMATS: [(FrameFormat, PixelLayout); 6] = [
    (FrameFormat::NV12, PixelLayout::Nv12),
    (FrameFormat::YUYV, PixelLayout::Yuyv),
    (FrameFormat::RAWRGB, PixelLayout::Rgb),
    (FrameFormat::RAWBGR, PixelLayout::Bgr),
    (FrameFormat::MJPEG, PixelLayout::Mjpeg),
    (FrameFormat::GRAY, PixelLayout::Gray),
];

fn formats() -> [FrameFormat; FORMATS.len()] {
    FORMATS.map(|(format, _)| format)
}

fn layout_of(format: FrameFormat) -> Option<PixelLayout> {
    FORMATS.into_iter().find(|(known, _)| *known == format).map(|(_, layout)| layout)
}

/// Asks the user, once, where the system wants that.
fn authorize() -> Result<(), CaptureError> {
    if nokhwa_check() {
        return Ok(());
    }
    let (answer, answered) = sync_channel(1);
    nokhwa_initialize(move |allowed| {
        let _ = answer.try_send(allowed);
    });
    match answered.recv_timeout(ANSWER_WITHIN) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => {
            Err(CaptureError::CameraDenied { device: "of this machine".to_owned(), remedy: REMEDY })
        }
    }
}

fn explain(error: &NokhwaError, device: &str) -> CaptureError {
    let (device, cause) = (device.to_owned(), error.to_string());
    let says = |signs: &[&str]| signs.iter().any(|sign| cause.to_ascii_lowercase().contains(sign));
    // Media Foundation: MF_E_VIDEO_RECORDING_DEVICE_PREEMPTED and MF_E_HW_MFT_FAILED_START_STREAMING; E_ACCESSDENIED;
    // MF_E_VIDEO_RECORDING_DEVICE_INVALIDATED.
    if says(&["busy", "in use", "0xc00d3ea3", "0xc00d3704"]) {
        CaptureError::CameraBusy { device }
    } else if says(&["denied", "not authorized", "0x80070005"]) {
        CaptureError::CameraDenied { device, remedy: REMEDY }
    } else if says(&["no such device", "0xc00d3ea2"]) {
        CaptureError::CameraUnplugged { device }
    } else {
        CaptureError::Camera { device, cause }
    }
}

fn targets() -> Result<Vec<Target>, CaptureError> {
    authorize()?;
    let found = query(ApiBackend::Auto).map_err(|error| explain(&error, "list"))?;
    let target = |info: nokhwa::utils::CameraInfo| Target {
        id: CameraId::new(info.index().as_string()),
        name: info.human_name(),
    };
    Ok(found.into_iter().map(target).collect())
}

pub(super) fn list() -> Result<Vec<CameraInfo>, CaptureError> {
    let describe = |target: Target| {
        let modes = open_camera(&target)
            .and_then(|mut camera| camera.compatible_camera_formats())
            .map(|formats| formats.into_iter().filter_map(mode_of).collect())
            .unwrap_or_default();
        CameraInfo { id: target.id, name: target.name, modes }
    };
    Ok(targets()?.into_iter().map(describe).collect())
}

pub(super) fn find(id: Option<&CameraId>) -> Result<Target, CaptureError> {
    pick(targets()?, id)
}

pub(super) fn find_again(lost: &Target) -> Result<Target, CaptureError> {
    pick_again(targets()?, lost)
}

fn mode_of(format: CameraFormat) -> Option<CameraMode> {
    Some(CameraMode {
        size: usable_size(format.width(), format.height())?,
        rate: FrameRate::from_fps(format.frame_rate()).ok()?,
        layout: layout_of(format.format())?,
    })
}

fn open_camera(target: &Target) -> Result<Camera, NokhwaError> {
    let index = match target.id.as_str().parse() {
        Ok(number) => CameraIndex::Index(number),
        Err(_) => CameraIndex::String(target.id.as_str().to_owned()),
    };
    Camera::new(index, RequestedFormat::with_formats(RequestedFormatType::None, &formats()))
}

pub(super) fn open(target: &Target, wanted: VideoFormat) -> Result<Box<dyn Stream>, CaptureError> {
    let (ready, opened) = sync_channel(1);
    let (queue, pictures) = sync_channel(QUEUED_PICTURES);
    let name = target.name.clone();
    let reader = SourceThread::spawn("ahoy-cam-read", {
        let target = target.clone();
        move |stop| match open_stream(&target, wanted) {
            Ok((camera, agreed)) => {
                if ready.send(Ok(agreed)).is_ok() {
                    read(camera, &target.name, &queue, stop);
                }
            }
            Err(reason) => {
                let _ = ready.send(Err(reason));
            }
        }
    })?;
    let (format, rate) = match opened.recv_timeout(OPEN_WITHIN) {
        Ok(agreed) => agreed?,
        Err(RecvTimeoutError::Timeout) => {
            return Err(CaptureError::CameraStalled { device: name, waited: OPEN_WITHIN });
        }
        Err(RecvTimeoutError::Disconnected) => {
            return Err(CaptureError::Camera { device: name, cause: "its driver failed".to_owned() });
        }
    };
    Ok(Box::new(Reading { pictures, _reader: reader, format, rate, name, current: Vec::new() }))
}

fn open_stream(
    target: &Target,
    wanted: VideoFormat,
) -> Result<(Camera, (RawFormat, FrameRate)), CaptureError> {
    let explained = |error| explain(&error, &target.name);
    let unusable = || CaptureError::CameraFormats { device: target.name.clone() };
    let mut camera = open_camera(target).map_err(explained)?;
    let offered = camera.compatible_camera_formats().map_err(explained)?;
    let modes: Vec<CameraMode> = offered.iter().copied().filter_map(mode_of).collect();
    let best = mode::choose(&modes, wanted).ok_or_else(unusable)?;
    let format = offered.into_iter().find(|format| mode_of(*format) == Some(best)).ok_or_else(unusable)?;
    let all = formats();
    let request = RequestedFormat::with_formats(RequestedFormatType::Exact(format), &all);
    camera.set_camera_requset(request).map_err(explained)?;
    camera.open_stream().map_err(explained)?;
    let agreed = mode_of(camera.camera_format()).ok_or_else(unusable)?;
    let stride = match agreed.layout {
        PixelLayout::Yuyv | PixelLayout::Uyvy => agreed.size.width() as usize * 2,
        PixelLayout::Rgb | PixelLayout::Bgr => agreed.size.width() as usize * 3,
        PixelLayout::I420 | PixelLayout::Nv12 | PixelLayout::Gray | PixelLayout::Mjpeg => {
            agreed.size.width() as usize
        }
    };
    Ok((camera, (RawFormat { layout: agreed.layout, size: agreed.size, stride }, agreed.rate)))
}

type Picture = (Vec<u8>, Instant);

fn read(
    mut camera: Camera,
    name: &str,
    queue: &SyncSender<Result<Picture, CaptureError>>,
    stop: &StopSignal,
) {
    while !stop.is_set() {
        let picture = match camera.frame_raw() {
            Ok(bytes) => Ok((bytes.into_owned(), Instant::now())),
            Err(error) => Err(explain(&error, name)),
        };
        let last = picture.is_err();
        match queue.try_send(picture) {
            Ok(()) | Err(TrySendError::Full(_)) if !last => {}
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
        }
    }
}

/// Pictures that a thread of its own reads.
struct Reading {
    pictures: Receiver<Result<Picture, CaptureError>>,
    _reader: SourceThread,
    format: RawFormat,
    rate: FrameRate,
    name: String,
    current: Vec<u8>,
}

impl Stream for Reading {
    fn format(&self) -> RawFormat {
        self.format
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }

    fn wait(&mut self, timeout: Duration) -> Result<Wait<'_>, CaptureError> {
        match self.pictures.recv_timeout(timeout) {
            Ok(Ok((bytes, captured))) => {
                self.current = bytes;
                Ok(Wait::Picture(&self.current, captured))
            }
            Ok(Err(reason)) => Err(reason),
            Err(RecvTimeoutError::Timeout) => Ok(Wait::Nothing),
            Err(RecvTimeoutError::Disconnected) => {
                Err(CaptureError::CameraUnplugged { device: self.name.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ahoy_media_types::FrameSize;

    use super::*;

    // Also compiled on Linux, where nokhwa works as well, so that this file can't rot unseen.
    #[test]
    fn a_camera_that_is_not_there_is_an_error_and_not_a_hang() {
        let target = Target { id: CameraId::new("4000000"), name: "Nothing".to_owned() };
        let wanted = VideoFormat { size: FrameSize::HD, rate: FrameRate::FPS_30 };
        assert!(open(&target, wanted).is_err());
        assert!(find_again(&target).is_err());
        assert!(find(Some(&target.id)).is_err());
        assert!(list().unwrap().iter().all(|camera| camera.id != target.id));
    }

    #[test]
    fn what_the_system_says_becomes_what_the_user_can_do() {
        let explained = |text: &str| explain(&NokhwaError::OpenStreamError(text.to_owned()), "Cam");
        assert!(matches!(explained("Device or resource busy"), CaptureError::CameraBusy { .. }));
        assert!(matches!(explained("HRESULT(0xC00D3EA3)"), CaptureError::CameraBusy { .. }));
        assert!(matches!(explained("HRESULT(0x80070005)"), CaptureError::CameraDenied { .. }));
        assert!(matches!(explained("something else"), CaptureError::Camera { .. }));
    }
}
