//! The fake camera, used by ffmpeg's V4L2 code. Needs a C compiler and ffmpeg.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ahoy_media_types::FrameSize;
use ahoy_testkit::lab::{CameraPixels, FakeCamera, FakeCameraSpec};

fn small() -> FrameSize {
    FrameSize::new(320, 180).unwrap()
}

/// A quarter of a second of small pictures.
fn camera() -> FakeCamera {
    let spec = FakeCameraSpec { sizes: vec![small()], frames: 8, ..FakeCameraSpec::default() };
    FakeCamera::new(&spec).unwrap()
}

/// An ffmpeg that captures from the camera; where to is still to be given.
fn capture(camera: &FakeCamera, input: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-loglevel", "error", "-nostdin", "-f", "v4l2"]).args(input);
    command.args(["-i", "/dev/video0"]).envs(camera.env()).stdin(Stdio::null());
    command
}

fn raw(camera: &FakeCamera, frames: &str) -> Command {
    let mut command = capture(camera, &["-input_format", "yuyv422"]);
    command.args(["-frames:v", frames, "-pix_fmt", "yuyv422", "-f", "rawvideo", "-"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn read_frame(capturing: &mut Child) {
    let mut frame = vec![0; 320 * 180 * 2];
    capturing.stdout.as_mut().unwrap().read_exact(&mut frame).unwrap();
}

/// Time in microseconds and hash of each frame that an ffmpeg command puts out.
fn frame_hashes(command: &mut Command) -> Vec<(i64, String)> {
    command.args(["-copyts", "-fps_mode", "passthrough", "-enc_time_base", "1:1000000"]);
    let output = command.args(["-pix_fmt", "yuyv422", "-f", "framemd5", "-"]).output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let fields = |line: &str| line.split(',').map(|field| field.trim().to_owned()).collect::<Vec<_>>();
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(fields);
    lines.map(|fields| (fields[1].parse().unwrap(), fields[5].clone())).collect()
}

#[test]
fn formats_sizes_and_rates_are_offered_as_described() {
    let sizes = vec![FrameSize::new(640, 360).unwrap(), small()];
    let camera = FakeCamera::new(&FakeCameraSpec { sizes, frames: 2, ..FakeCameraSpec::default() }).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-f", "v4l2", "-list_formats", "all", "-i", "/dev/video0"])
        .envs(camera.env())
        .output()
        .unwrap();
    let listed = errors(&output);
    assert!(listed.contains("yuyv422") && listed.contains("mjpeg"), "{listed}");
    assert_eq!(listed.matches("640x360 320x180").count(), 2, "{listed}");
}

#[test]
fn frames_are_the_scene_s_pictures_in_order_and_on_time() {
    let camera = camera();
    let frames = frame_hashes(capture(&camera, &["-input_format", "yuyv422"]).args(["-frames:v", "12"]));
    let mut scene = Command::new("ffmpeg");
    scene.args([
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=30",
        "-frames:v",
        "8",
    ]);
    let pictures: Vec<String> = frame_hashes(&mut scene).into_iter().map(|(_, hash)| hash).collect();
    assert_eq!((frames.len(), pictures.len()), (12, 8));
    let index = |hash: &str| pictures.iter().position(|picture| picture == hash).unwrap();
    let (start, first) = (frames[0].0, index(&frames[0].1));
    for (at, hash) in &frames {
        // Frames that a slow reader misses are missing in the times too.
        let steps = ((at - start) as f64 * 30.0 / 1e6).round() as usize;
        assert_eq!(index(hash), (first + steps) % 8);
    }
}

#[test]
fn jpeg_frames_decode() {
    let camera = camera();
    let output = capture(&camera, &["-input_format", "mjpeg", "-framerate", "15", "-video_size", "320x180"])
        .args(["-frames:v", "3", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(output.stdout.len(), 3 * 320 * 180 * 3 / 2);
}

#[test]
fn pulling_the_camera_out_ends_the_capture_and_hides_the_device_until_it_is_back() {
    let camera = camera();
    let mut capturing = raw(&camera, "1000000").spawn().unwrap();
    read_frame(&mut capturing);
    camera.unplug().unwrap();
    let ended = capturing.wait_with_output().unwrap();
    assert!(errors(&ended).contains("No such device"), "{}", errors(&ended));
    let missing = raw(&camera, "1").output().unwrap();
    assert!(errors(&missing).contains("No such file or directory"), "{}", errors(&missing));
    camera.plug_in().unwrap();
    assert!(raw(&camera, "1").output().unwrap().status.success());
}

#[test]
fn a_camera_in_use_or_busy_is_refused() {
    let camera = camera();
    assert!(!camera.is_in_use().unwrap());
    let mut first = raw(&camera, "1000000").spawn().unwrap();
    read_frame(&mut first);
    assert!(camera.is_in_use().unwrap());
    let second = raw(&camera, "1").output().unwrap();
    assert!(errors(&second).contains("Device or resource busy"), "{}", errors(&second));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!camera.is_in_use().unwrap());
    camera.set_busy(true).unwrap();
    let third = raw(&camera, "1").output().unwrap();
    assert!(errors(&third).contains("Device or resource busy"), "{}", errors(&third));
    camera.set_busy(false).unwrap();
    assert!(raw(&camera, "1").output().unwrap().status.success());
}

#[test]
fn asking_whether_a_camera_is_in_use_refuses_it_to_nobody() {
    let camera = camera();
    let enough = AtomicBool::new(false);
    let captured = thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::Relaxed) {
                camera.is_in_use().unwrap();
            }
        });
        let captured: Vec<Output> = (0..10).map(|_| raw(&camera, "1").output().unwrap()).collect();
        enough.store(true, Ordering::Relaxed);
        captured
    });
    for output in captured {
        assert!(output.status.success(), "{}", errors(&output));
    }
}

#[test]
fn a_stalled_camera_delivers_nothing_until_the_stall_is_over() {
    let camera = camera();
    camera.set_stalled(true).unwrap();
    let mut capturing = capture(&camera, &["-input_format", "yuyv422"]);
    let capturing = thread::spawn(move || frame_hashes(capturing.args(["-frames:v", "1"])));
    while !camera.is_in_use().unwrap() {
        assert!(!capturing.is_finished());
        thread::yield_now();
    }
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let before = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    camera.set_stalled(false).unwrap();
    let frames = capturing.join().unwrap();
    // The camera looks every 5 ms whether it is stalled.
    assert!(frames[0].0 + 5_000 >= before, "{} came before {before}", frames[0].0);
}

#[test]
fn programs_see_no_other_device_and_the_rest_of_the_system_as_it_is() {
    let camera = FakeCamera::new(&FakeCameraSpec {
        name: "Lab Camera 7".into(),
        pixels: vec![CameraPixels::Yuyv],
        sizes: vec![small()],
        frames: 1,
        ..FakeCameraSpec::default()
    })
    .unwrap();
    let run = |script: &str| {
        let output = Command::new("sh").args(["-c", script]).envs(camera.env()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("ls /dev"), "video0\n");
    assert_eq!(run("cat /sys/class/video4linux/video0/name"), "Lab Camera 7\n");
    assert_eq!(run("echo there > /dev/null; test -c /dev/null && echo a device"), "a device\n");
}
