//! Cameras.
//!
//! A camera's thread opens the device, converts what comes, and opens it again whenever it was lost, until it is told to
//! stop; then the device is closed, and with it the camera's light. What differs between systems is in one file each,
//! behind [`Stream`].

mod convert;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
mod mode;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as platform;
mod watch;

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ahoy_measure::stamp;
use ahoy_media_types::{ColorMatrix, FrameRate, FrameSize, MediaClock, VideoFrame};

pub use convert::{ConvertError, Converter, RawFormat};
pub use mode::{CameraMode, PixelLayout};

use super::paced::Pace;
use super::thread::{Outlet, SourceThread, StopSignal};
use super::{CameraId, CaptureError, CaptureEvent, Stamping, VideoFormat};
use watch::Watch;

/// How long a stream waits for a picture before it looks whether the source should stop.
const WAIT: Duration = Duration::from_millis(100);
/// How long [`start`] waits for a camera to open. The slowest need two or three seconds; a driver that takes longer is
/// stuck, and the call starts without it.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// A camera of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraInfo {
    /// What to ask for it by.
    pub id: CameraId,
    /// Its name as its maker wrote it.
    pub name: String,
    /// What it offers; sizes and layouts that Ahoy can't use are left out.
    pub modes: Vec<CameraMode>,
}

/// Lists the cameras that can be used. An empty list is no error; one that may not be looked at is.
pub fn list_cameras() -> Result<Vec<CameraInfo>, CaptureError> {
    platform::list()
}

/// What became of waiting for a picture.
enum Wait<'a> {
    /// A picture's bytes, and when it was captured.
    Picture(&'a [u8], Instant),
    /// The driver marked the picture as damaged.
    Damaged,
    /// Nothing came yet.
    Nothing,
}

/// An open camera that delivers pictures. Dropping it closes the device.
trait Stream {
    /// How the pictures are laid out, as the camera finally agreed to it.
    fn format(&self) -> RawFormat;
    /// The rate that the camera finally agreed to.
    fn rate(&self) -> FrameRate;
    /// Waits for the next picture for at most `timeout`, except where the system can't.
    fn wait(&mut self, timeout: Duration) -> Result<Wait<'_>, CaptureError>;
}

/// What a camera is opened by, and known by when it comes back.
#[derive(Clone, Debug)]
struct Target {
    id: CameraId,
    name: String,
}

/// Starts a camera; returns when it is open.
pub(crate) fn start(
    id: Option<&CameraId>,
    format: VideoFormat,
    Pace { stamping, clock, .. }: Pace,
    outlet: Outlet,
) -> Result<SourceThread, CaptureError> {
    let asked = id.map_or("(the first one)", CameraId::as_str).to_owned();
    let id = id.cloned();
    let (opened, was_opened) = sync_channel(1);
    let thread = SourceThread::spawn("ahoy-camera", move |stop| {
        let _last_words = LastWords(outlet.clone());
        if let Some((target, stream)) = open_first(id.as_ref(), format, &outlet, &opened) {
            drop(opened);
            Camera { target, format, stamping, clock, outlet, converter: Converter::new(format.size) }
                .run(stream, stop);
        }
    })?;
    match was_opened.recv_timeout(OPEN_WITHIN) {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(reason)) => Err(reason),
        Err(RecvTimeoutError::Timeout) => {
            Err(CaptureError::CameraStalled { device: asked, waited: OPEN_WITHIN })
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(CaptureError::Camera { device: asked, cause: "its driver failed".to_owned() })
        }
    }
}

/// Says that no more pictures will come when the camera's thread panics, as the `v4l` crate does where closing a device
/// fails.
struct LastWords(Outlet);

impl Drop for LastWords {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.report(CaptureEvent::Ended);
        }
    }
}

/// Opens the camera and tells `opened` how that went.
fn open_first(
    id: Option<&CameraId>,
    format: VideoFormat,
    outlet: &Outlet,
    opened: &SyncSender<Result<(), CaptureError>>,
) -> Option<(Target, Box<dyn Stream>)> {
    let attempt = platform::find(id).and_then(|target| Ok((platform::open(&target, format)?, target)));
    match attempt {
        Ok((stream, target)) => {
            report_start(stream.as_ref(), &target, outlet);
            // Nobody waits any more where opening took too long: the light goes out again.
            opened.send(Ok(())).ok().map(|()| (target, stream))
        }
        Err(reason) => {
            let _ = opened.send(Err(reason));
            None
        }
    }
}

fn report_start(stream: &dyn Stream, target: &Target, outlet: &Outlet) {
    let (format, rate) = (stream.format(), stream.rate());
    tracing::info!(camera = %target.id, size = %format.size, %rate, layout = %format.layout, "camera opened");
    outlet.report(CaptureEvent::Started { size: format.size, rate, device: target.name.clone() });
}

/// A camera that is kept running.
struct Camera {
    target: Target,
    format: VideoFormat,
    stamping: Stamping,
    clock: MediaClock,
    outlet: Outlet,
    converter: Converter,
}

impl Camera {
    fn run(mut self, stream: Box<dyn Stream>, stop: &StopSignal) {
        let mut watch = Watch::new(self.clock.now());
        let mut stream = Some(stream);
        while !stop.is_set() {
            let ended = match stream.take() {
                Some(open) => self.deliver(open, &mut watch, stop),
                None => self.reopen().map(|reopened| {
                    watch.opened(self.clock.now());
                    stream = Some(reopened);
                }),
            };
            if let Err(reason) = ended {
                tracing::warn!("{reason}");
                if watch.lost(&reason) {
                    self.outlet.report(CaptureEvent::Lost { reason });
                }
                stop.wait_until(Instant::now() + watch.next_retry());
            }
        }
    }

    /// Looks for the same camera, which may have come back under another id.
    fn reopen(&mut self) -> Result<Box<dyn Stream>, CaptureError> {
        self.target = platform::find_again(&self.target)?;
        let stream = platform::open(&self.target, self.format)?;
        report_start(stream.as_ref(), &self.target, &self.outlet);
        Ok(stream)
    }

    /// Passes pictures on until told to stop or until the camera is lost. Closes it in either case.
    fn deliver(
        &mut self,
        mut stream: Box<dyn Stream>,
        watch: &mut Watch,
        stop: &StopSignal,
    ) -> Result<(), CaptureError> {
        let format = stream.format();
        let mut damage = None;
        let mut last = self.clock.now();
        while !stop.is_set() {
            match stream.wait(WAIT)? {
                Wait::Picture(data, captured) => match self.converter.convert(data, format) {
                    Ok(mut buffer) => {
                        damage = None;
                        // Drivers' clocks jump now and then; encoders and lip sync need time that goes forward.
                        last = self.clock.at(captured).max(last + Duration::from_micros(1));
                        if watch.picture(self.clock.now()) {
                            self.outlet.report(CaptureEvent::Recovered);
                        }
                        let id = self.outlet.next_id();
                        if self.stamping == Stamping::On {
                            stamp::draw(&mut buffer, id, last);
                        }
                        let color = ColorMatrix::Bt601;
                        self.outlet.deliver(VideoFrame {
                            buffer: buffer.into(),
                            id,
                            captured_at: last,
                            color,
                        });
                    }
                    Err(error) => {
                        tracing::debug!(%error, "left out a camera picture");
                        damage = Some(error.to_string());
                    }
                },
                Wait::Damaged => damage = Some("the driver reports transmission errors".to_owned()),
                Wait::Nothing => {}
            }
            if let Some(waited) = watch.stalled(self.clock.now()) {
                let device = self.target.name.clone();
                return Err(match damage {
                    Some(cause) => CaptureError::CameraPicture { device, cause },
                    None => CaptureError::CameraStalled { device, waited },
                });
            }
        }
        Ok(())
    }
}

/// Picks the camera that is asked for, out of those that there are.
fn pick(cameras: Vec<Target>, id: Option<&CameraId>) -> Result<Target, CaptureError> {
    let Some(id) = id else { return cameras.into_iter().next().ok_or(CaptureError::NoCamera) };
    let known = cameras.iter().map(|camera| format!("{} ({})", camera.id, camera.name)).collect();
    let wanted = |camera: &Target| camera.id == *id || camera.name == id.as_str();
    cameras
        .into_iter()
        .find(wanted)
        .ok_or_else(|| CaptureError::UnknownCamera { id: id.as_str().to_owned(), known })
}

/// Picks the camera that was lost: the same id if it still has the same name, else the first of that name. Never another
/// one, because nobody agreed to be seen by that.
fn pick_again(cameras: Vec<Target>, lost: &Target) -> Result<Target, CaptureError> {
    let same_name = || cameras.iter().filter(|camera| camera.name == lost.name);
    same_name()
        .find(|camera| camera.id == lost.id)
        .or_else(|| same_name().next())
        .cloned()
        .ok_or_else(|| CaptureError::CameraUnplugged { device: lost.name.clone() })
}

fn usable_size(width: u32, height: u32) -> Option<FrameSize> {
    FrameSize::new(width.into(), height.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, name: &str) -> Target {
        Target { id: CameraId::new(id), name: name.to_owned() }
    }

    fn two() -> Vec<Target> {
        vec![target("/dev/video0", "Built-in"), target("/dev/video2", "USB Cam")]
    }

    #[test]
    fn the_first_camera_is_taken_unless_one_is_named_by_id_or_name() {
        assert_eq!(pick(two(), None).unwrap().name, "Built-in");
        assert_eq!(pick(two(), Some(&CameraId::new("/dev/video2"))).unwrap().name, "USB Cam");
        assert_eq!(pick(two(), Some(&CameraId::new("USB Cam"))).unwrap().id.as_str(), "/dev/video2");
    }

    #[test]
    fn a_camera_that_is_not_there_is_refused_with_those_that_are() {
        let refused = pick(two(), Some(&CameraId::new("/dev/video9"))).unwrap_err().to_string();
        assert!(
            refused.contains("\"/dev/video9\"") && refused.contains("/dev/video2 (USB Cam)"),
            "{refused}"
        );
        assert!(matches!(pick(Vec::new(), None), Err(CaptureError::NoCamera)));
        let none = pick(Vec::new(), Some(&CameraId::new("0"))).unwrap_err().to_string();
        assert!(none.contains("no camera was found at all"), "{none}");
    }

    #[test]
    fn a_lost_camera_is_found_under_a_new_id_but_never_replaced_by_another() {
        let lost = target("/dev/video1", "USB Cam");
        assert_eq!(pick_again(two(), &lost).unwrap().id.as_str(), "/dev/video2");
        let twins = vec![target("/dev/video0", "USB Cam"), target("/dev/video1", "USB Cam")];
        assert_eq!(pick_again(twins, &lost).unwrap().id.as_str(), "/dev/video1");
        let other = vec![target("/dev/video1", "Built-in")];
        assert!(matches!(pick_again(other, &lost), Err(CaptureError::CameraUnplugged { .. })));
    }
}
