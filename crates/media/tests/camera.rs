//! Our camera code against a camera that can be unplugged, stalled and taken away. Needs a C compiler and ffmpeg.
//!
//! The camera is preloaded into the process, so each test starts this program again with only [`child`] in it, which
//! reports what it sees line by line.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and talks through its output"
)]

use std::env;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use ahoy_measure::stamp;
use ahoy_media::capture::{CaptureEvent, Stamping, VideoFormat, list_cameras, start_video};
use ahoy_media::slot::{LatestSlot, Taken};
use ahoy_media_types::{FrameRate, FrameSize, MediaClock, VideoFrame};
use ahoy_testkit::lab::{CameraPixels, FakeCamera, FakeCameraSpec};

const SOURCE: &str = "AHOY_TEST_SOURCE";
const SIZE: &str = "AHOY_TEST_SIZE";
/// Set where pictures are to be stamped.
const STAMPED: &str = "AHOY_TEST_STAMPED";
/// Marks our lines among those of the test runner.
const MARK: &str = "camera: ";

fn small() -> FrameSize {
    FrameSize::new(320, 180).unwrap()
}

/// A third of a second of small pictures.
fn camera(pixels: CameraPixels) -> FakeCamera {
    let spec = FakeCameraSpec {
        pixels: vec![pixels],
        sizes: vec![small()],
        frames: 10,
        ..FakeCameraSpec::default()
    };
    FakeCamera::new(&spec).unwrap()
}

fn say(line: impl Display) {
    println!("{MARK}{line}");
}

fn mean(plane: &[u8]) -> u64 {
    plane.iter().map(|&v| u64::from(v)).sum::<u64>() / plane.len() as u64
}

fn describe(frame: &VideoFrame) -> String {
    let (id, at, size) = (frame.id.0, frame.captured_at.as_micros(), frame.size());
    let [y, u, v] = [frame.buffer.y(), frame.buffer.u(), frame.buffer.v()].map(mean);
    let hash =
        frame.buffer.packed().iter().fold(0_u64, |hash, &v| hash.wrapping_mul(31).wrapping_add(v.into()));
    let stamp = match stamp::read(&frame.buffer) {
        Some(stamp) => format!("{} {}", stamp.id.0, stamp.at.as_micros()),
        None => "none".to_owned(),
    };
    format!("frame {id} {at} {size} {y} {u} {v} {hash} {stamp}")
}

#[test]
#[ignore = "the other tests start it, with a camera"]
fn child() {
    let Ok(source) = env::var(SOURCE) else { panic!("{SOURCE} says what to do") };
    if source == "list" {
        for camera in list_cameras().unwrap() {
            say(format!("listed {} {}", camera.id, camera.name));
            camera.modes.iter().for_each(|mode| say(format!("mode {mode}")));
        }
        return;
    }
    let format = VideoFormat { size: env::var(SIZE).unwrap().parse().unwrap(), rate: FrameRate::FPS_30 };
    let (events, reported) = sync_channel(64);
    let frames = LatestSlot::new();
    let clock = MediaClock::start();
    let stamping = if env::var_os(STAMPED).is_some() { Stamping::On } else { Stamping::Off };
    let started = start_video(&source.parse().unwrap(), format, stamping, clock, frames.clone(), events);
    let capture = match started {
        Ok(capture) => capture,
        Err(error) => return say(format!("refused {error}")),
    };
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            // Ends when the parent lets go.
            let _ = std::io::stdin().lines().count();
            stop.store(true, Ordering::Relaxed);
        }
    });
    while !stop.load(Ordering::Relaxed) {
        let frame = frames.take_timeout(Duration::from_millis(20));
        for event in reported.try_iter() {
            match event {
                CaptureEvent::Started { size, rate, device } => {
                    say(format!("started {size} at {rate} {device}"))
                }
                CaptureEvent::Lost { reason } => say(format!("lost {reason}")),
                CaptureEvent::Recovered => say("recovered"),
                other @ (CaptureEvent::Warning(_) | CaptureEvent::Ended) => {
                    say(format!("unexpected {other:?}"))
                }
            }
        }
        match frame {
            Taken::Value(frame) => say(describe(&frame)),
            Taken::TimedOut | Taken::Closed => {}
        }
    }
    capture.stop();
    say("stopped");
}

/// A process that captures from a fake camera.
struct Capturing {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Capturing {
    fn start(camera: &FakeCamera, source: &str, size: &str) -> Self {
        Self::run(camera, Self::command(source, size))
    }

    fn start_stamped(camera: &FakeCamera, source: &str, size: &str) -> Self {
        let mut command = Self::command(source, size);
        command.env(STAMPED, "1");
        Self::run(camera, command)
    }

    fn command(source: &str, size: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored", "--nocapture"]).env(SOURCE, source).env(SIZE, size);
        command
    }

    fn run(camera: &FakeCamera, mut command: Command) -> Self {
        command.envs(camera.env()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line of ours; `None` at the end.
    fn line(&mut self) -> Option<String> {
        self.lines.find_map(|line| {
            let line = line.unwrap();
            line.find(MARK).map(|at| line[at + MARK.len()..].to_owned())
        })
    }

    /// Passes over everything up to a line that begins with `start`.
    fn until(&mut self, start: &str) -> String {
        let mut passed = Vec::new();
        while let Some(line) = self.line() {
            if line.starts_with(start) {
                return line;
            }
            passed.push(line);
        }
        panic!("nothing began with {start:?}; there was {passed:?}");
    }

    fn frame(&mut self) -> Vec<String> {
        self.until("frame").split(' ').map(str::to_owned).collect()
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        self.until("stopped");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(field: &str) -> u64 {
    field.parse().unwrap()
}

#[test]
fn cameras_are_listed_with_what_they_offer() {
    let sizes = vec![FrameSize::new(640, 360).unwrap(), small()];
    let spec = FakeCameraSpec { name: "Front Camera".into(), sizes, frames: 1, ..FakeCameraSpec::default() };
    let camera = FakeCamera::new(&spec).unwrap();
    let mut listing = Capturing::start(&camera, "list", "");
    let lines: Vec<_> = std::iter::from_fn(|| listing.line()).collect();
    assert_eq!(lines[0], "listed /dev/video0 Front Camera");
    for mode in ["640x360 at 30 fps YUYV", "320x180 at 15 fps YUYV", "640x360 at 30 fps MJPEG"] {
        assert!(lines.contains(&format!("mode {mode}")), "{mode} is not among {lines:?}");
    }
    assert_eq!(lines.len(), 1 + 2 * 2 * 2, "{lines:?}");
}

#[test]
fn pictures_of_every_format_arrive_in_order_with_the_same_colours() {
    let mut colours = Vec::new();
    for pixels in [CameraPixels::Yuyv, CameraPixels::Mjpeg] {
        let camera = camera(pixels);
        let mut capturing = Capturing::start(&camera, "camera", "320x180");
        assert_eq!(capturing.until("started"), "started 320x180 at 30 fps Fake Camera");
        let frames: Vec<_> = (0..12).map(|_| capturing.frame()).collect();
        for pair in frames.windows(2) {
            assert!(number(&pair[1][1]) > number(&pair[0][1]), "{pair:?}");
            assert!(number(&pair[1][2]) > number(&pair[0][2]), "{pair:?}");
            assert_ne!(pair[1][7], pair[0][7], "the picture stands still: {pair:?}");
            assert_eq!(pair[1][3], "320x180");
        }
        colours.push([4, 5, 6].map(|field| number(&frames[0][field])));
        assert!(camera.is_in_use().unwrap());
        capturing.stop();
    }
    for (yuyv, mjpeg) in colours[0].into_iter().zip(colours[1]) {
        assert!(yuyv.abs_diff(mjpeg) <= 3, "{colours:?}");
    }
}

#[test]
fn pictures_have_the_size_asked_for_and_the_start_says_what_the_camera_has() {
    let camera = camera(CameraPixels::Mjpeg);
    let mut capturing = Capturing::start(&camera, "camera:/dev/video0", "640x480");
    assert_eq!(capturing.until("started"), "started 320x180 at 30 fps Fake Camera");
    assert_eq!(capturing.frame()[3], "640x480");
    capturing.stop();
}

#[test]
fn camera_pictures_say_their_number_and_capture_time_when_stamped_and_only_then() {
    let camera = camera(CameraPixels::Yuyv);
    let mut capturing = Capturing::start_stamped(&camera, "camera", "320x180");
    for _ in 0..3 {
        let frame = capturing.frame();
        assert_eq!((&frame[8], &frame[9]), (&frame[1], &frame[2]), "{frame:?}");
    }
    capturing.stop();
    let mut capturing = Capturing::start(&camera, "camera", "320x180");
    for _ in 0..3 {
        assert_eq!(capturing.frame()[8], "none");
    }
    capturing.stop();
}

#[test]
fn stopping_closes_the_device() {
    let camera = camera(CameraPixels::Yuyv);
    let mut capturing = Capturing::start(&camera, "camera:0", "320x180");
    capturing.frame();
    assert!(camera.is_in_use().unwrap());
    drop(capturing.child.stdin.take());
    capturing.until("stopped");
    assert!(!camera.is_in_use().unwrap());
}

#[test]
fn an_unplugged_camera_comes_back_by_itself_when_it_is_plugged_in_again() {
    let camera = camera(CameraPixels::Yuyv);
    let mut capturing = Capturing::start(&camera, "camera", "320x180");
    let before = capturing.frame();
    camera.unplug().unwrap();
    let lost = capturing.until("lost");
    assert!(lost.contains("Fake Camera was unplugged"), "{lost}");
    camera.plug_in().unwrap();
    capturing.until("recovered");
    let after = capturing.frame();
    assert!(number(&after[1]) > number(&before[1]) && number(&after[2]) > number(&before[2]));
    capturing.stop();
}

#[test]
fn a_stalled_camera_is_reported_and_opened_anew() {
    let camera = camera(CameraPixels::Yuyv);
    let mut capturing = Capturing::start(&camera, "camera", "320x180");
    capturing.frame();
    camera.set_stalled(true).unwrap();
    let lost = capturing.until("lost");
    assert!(lost.contains("Fake Camera has sent no picture for 2 s"), "{lost}");
    camera.set_stalled(false).unwrap();
    capturing.until("recovered");
    capturing.frame();
    capturing.stop();
}

#[test]
fn a_camera_that_another_program_uses_is_refused_with_what_to_do() {
    let camera = camera(CameraPixels::Yuyv);
    camera.set_busy(true).unwrap();
    let refused = Capturing::start(&camera, "camera", "320x180").until("refused");
    assert!(refused.contains("another program is using the camera Fake Camera: close it"), "{refused}");
    camera.set_busy(false).unwrap();
    let mut capturing = Capturing::start(&camera, "camera", "320x180");
    capturing.frame();
    capturing.stop();
}

#[test]
fn a_machine_without_cameras_and_an_unknown_camera_are_refused() {
    let camera = camera(CameraPixels::Yuyv);
    let refused = Capturing::start(&camera, "camera:Rear Camera", "320x180").until("refused");
    assert!(
        refused.contains("\"Rear Camera\"") && refused.contains("/dev/video0 (Fake Camera)"),
        "{refused}"
    );
    camera.unplug().unwrap();
    let refused = Capturing::start(&camera, "camera", "320x180").until("refused");
    assert!(refused.contains("no camera was found: plug one in"), "{refused}");
}
