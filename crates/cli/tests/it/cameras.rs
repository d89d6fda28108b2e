//! Calls and captures with a camera that stalls, vanishes, is busy or is not there. Needs a C compiler and ffmpeg.

use std::fs;
use std::path::Path;

use crate::support::{Running, SHOWN, ahoy, call, camera, number, problem, run, small, y4m};
use ahoy_measure::stamp;
use ahoy_testkit::lab::{CameraScene, FakeCamera};

/// At least so many packets come in a second of chirps; the pauses between them are not sent.
const PACKETS_A_SECOND: f64 = 20.0;

fn packets_heard(report: &serde_json::Value) -> f64 {
    number(report, "/audio/packets_received")
}

#[test]
fn loopback_measures_camera_pictures_by_the_stamps_in_them() {
    let camera = camera();
    let ended = run(call(3, &["--video", "camera", "--audio", "none"]), camera.env());
    let report = ended.json();
    assert_eq!(report["video"]["source"], "Fake Camera");
    let rendered = number(&report, "/video/frames_rendered");
    assert!(rendered > 60.0, "{report:#}");
    assert!(number(&report, "/video/latency_ms/count") > rendered - 3.0, "stamps are read: {report:#}");
    assert!(number(&report, "/video/frames_compared") > rendered / 2.0, "{report:#}");
    assert!(number(&report, "/video/psnr_y_db") > 28.0 && number(&report, "/video/ssim") > 0.8, "{report:#}");
    // From the camera's clock to ours: neither negative nor beyond what any call may take.
    assert!((1.0..1000.0).contains(&number(&report, "/video/latency_ms/p50")), "{report:#}");
}

#[test]
fn loopback_with_a_frozen_camera_reports_the_freeze_and_is_not_good() {
    let camera = camera();
    let mut calling = Running::start(call(6, &["--video", "camera", "--audio", "none"]), camera.env());
    calling.until(SHOWN);
    camera.set_stalled(true).unwrap();
    let report = calling.end().report(1);
    assert_eq!(report["ok"], false);
    assert!(problem(&report, "camera_stalled").contains("Fake Camera has sent no picture for 2 s"));
    assert!(number(&report, "/video/freezes") >= 1.0, "{report:#}");
    assert!(number(&report, "/video/freeze_ms") > 3000.0, "{report:#}");
    assert!(problem(&report, "freezes").starts_with("The picture froze"));
}

#[test]
fn loopback_goes_on_with_sound_when_the_camera_is_pulled_out_and_takes_it_up_again() {
    let camera = camera();
    let mut calling = Running::start(call(8, &["--video", "camera"]), camera.env());
    calling.until(SHOWN);
    camera.unplug().unwrap();
    calling.until("was unplugged");
    camera.plug_in().unwrap();
    calling.until("camera opened");
    let ended = calling.end();
    let report = ended.report(1);
    let told = problem(&report, "camera_lost");
    assert!(told.starts_with("The camera Fake Camera was unplugged: plug it in again"), "{told}");
    assert!(told.contains("It came back"), "{told}");
    assert!(packets_heard(&report) > 8.0 * PACKETS_A_SECOND, "{report:#}");
    assert!(number(&report, "/video/frames_rendered") > 60.0, "the picture came back: {report:#}");
    assert!(!camera.is_in_use().unwrap());
}

/// What a call with sound says under this code about the camera, which can't be had.
fn call_without(camera: &FakeCamera, source: &str, code: &str) -> String {
    let report = run(call(3, &["--video", source]), camera.env()).report(1);
    assert!(packets_heard(&report) > 3.0 * PACKETS_A_SECOND, "{report:#}");
    assert_eq!(number(&report, "/video/frames_captured"), 0.0);
    problem(&report, code).to_owned()
}

#[test]
fn loopback_goes_on_with_sound_when_the_camera_can_t_be_had_and_says_what_to_do() {
    let camera = camera();
    let told = call_without(&camera, "camera:Rear Camera", "camera_not_connected");
    assert!(
        told.contains("no camera \"Rear Camera\"") && told.contains("/dev/video0 (Fake Camera)"),
        "{told}"
    );
    camera.set_busy(true).unwrap();
    let told = call_without(&camera, "camera", "camera_busy");
    assert!(told.starts_with("Another program is using the camera Fake Camera: close it"), "{told}");
    camera.unplug().unwrap();
    let told = call_without(&camera, "camera", "camera_missing");
    assert!(told.starts_with("No camera was found: plug one in, or use another video source"), "{told}");
}

#[test]
fn loopback_ended_by_ctrl_c_reports_what_ran_and_lets_go_of_the_camera() {
    let camera = camera();
    let mut calling = Running::start(call(3600, &["--video", "camera"]), camera.env());
    calling.until(SHOWN);
    assert!(camera.is_in_use().unwrap());
    calling.interrupt();
    let ended = calling.end();
    assert!(!camera.is_in_use().unwrap());
    let report = ended.report(130);
    assert_eq!(report["cancelled"], true);
    assert!(number(&report, "/video/frames_rendered") >= 1.0 && packets_heard(&report) >= 1.0, "{report:#}");
    assert!((0.01..60.0).contains(&number(&report, "/duration_s")), "{report:#}");
}

#[test]
fn loopback_ended_by_ctrl_c_before_its_camera_is_open_ends_too() {
    let camera = camera();
    camera.set_stalled(true).unwrap();
    let mut calling = Running::start(call(3600, &["--video", "camera", "--audio", "none"]), camera.env());
    calling.until("camera opened");
    calling.interrupt();
    let ended = calling.end();
    assert!(!camera.is_in_use().unwrap());
    assert_eq!(ended.report(130)["cancelled"], true);
}

#[test]
fn loopback_tells_a_person_that_the_call_was_ended_early() {
    let arguments = ["loopback", "--seconds", "3600", "--size", "320x180"];
    let mut calling = Running::start(ahoy(&arguments), Vec::new());
    calling.until(SHOWN);
    calling.interrupt();
    let ended = calling.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stdout.contains("frames shown"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Ended by Ctrl-C after"), "{}", ended.stdout);
}

fn capture(folder: &Path, more: &[&str]) -> std::process::Command {
    let mut command = ahoy(&["capture", "--json", "--seconds", "2", "--size", "320x180"]);
    command.args(more).current_dir(folder);
    command
}

#[test]
fn loopback_devices_list_and_capture_show_the_camera_as_it_is() {
    let camera = camera();
    let found = run(ahoy(&["devices", "--json"]), camera.env()).report(0);
    assert_eq!(found["cameras"][0]["id"], "/dev/video0");
    assert_eq!(found["cameras"][0]["name"], "Fake Camera");
    assert_eq!(found["cameras"][0]["formats"][0], "320x180 at 30 fps YUYV");

    let folder = tempfile::tempdir().unwrap();
    let ended = run(capture(folder.path(), &["--audio", "none"]), camera.env());
    let report = ended.report(0);
    let frames = y4m(&folder.path().join("capture.y4m"), small());
    assert_eq!(frames.len() as f64, number(&report, "/video/frames"));
    assert!(frames.len() > 40, "{report:#}");
    assert!(
        number(&report, "/video/changed") > frames.len() as f64 - 3.0,
        "every picture is new: {report:#}"
    );
    assert!(frames.iter().all(|frame| stamp::read(frame).is_none()), "nobody draws on what is captured");
    // The first picture is the pattern, at full contrast.
    let (dark, bright) = (frames[0].y().iter().min().unwrap(), frames[0].y().iter().max().unwrap());
    assert!(*dark < 40 && *bright > 200, "{dark} to {bright}");
}

#[test]
fn a_capture_without_a_camera_says_so_and_spares_the_recording_that_is_there() {
    let camera = camera();
    camera.unplug().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["capture.y4m", "capture.wav"] {
        fs::write(folder.path().join(name), "from yesterday").unwrap();
    }
    let report = run(capture(folder.path(), &[]), camera.env()).report(3);
    let problems = report["problems"].to_string();
    assert!(problems.contains("No camera was found: plug one in"), "{problems}");
    for name in ["capture.y4m", "capture.wav"] {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"from yesterday", "{name}");
    }
}

#[test]
fn a_capture_goes_on_with_the_camera_when_there_is_no_microphone() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(capture(folder.path(), &[]), camera().env()).report(1);
    assert!(number(&report, "/video/frames") > 10.0, "{report:#}");
    assert!(report["audio"].is_null() && report["problems"].as_array().unwrap().len() == 1, "{report:#}");
}

#[test]
fn loopback_takes_a_camera_of_another_rate_and_size_than_asked_for() {
    let camera = crate::support::camera_of(
        CameraScene::Pattern,
        ahoy_media_types::FrameSize::new(640, 480).unwrap(),
        15,
    );
    let arguments = ["--video", "camera", "--audio", "none", "--fps", "15"];
    let report = run(call(3, &arguments), camera.env()).json();
    assert_eq!((&report["video"]["width"], &report["video"]["height"]), (&320.into(), &180.into()));
    assert!((10.0..16.0).contains(&number(&report, "/video/fps")), "{report:#}");
    assert!(number(&report, "/video/psnr_y_db") > 28.0, "{report:#}");
}
