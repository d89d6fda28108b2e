//! The desk while cameras, microphones and speakers are plugged in and pulled out. Needs a C compiler and ffmpeg.
//!
//! The camera is preloaded into the process, so each test starts this program again with only [`child`] in it, which
//! does what it reads and tells what happens, line by line.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and talks through its output"
)]

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use ahoy_client::desk::{Desk, DeskEvent, DeskOptions};
use ahoy_client::loopback::{DeviceStanding, DeviceState};
use ahoy_testkit::lab::{CameraPixels, FakeCamera, FakeCameraSpec};

/// Set for the program that is started.
const CHILD: &str = "AHOY_TEST_DESK";
/// Marks our lines among those of the test runner.
const MARK: &str = "desk: ";

fn camera() -> FakeCamera {
    let spec = FakeCameraSpec { pixels: vec![CameraPixels::Yuyv], frames: 10, ..FakeCameraSpec::default() };
    FakeCamera::new(&spec).unwrap()
}

fn state(device: &DeviceState) -> String {
    let code = device.trouble.as_ref().map(|trouble| serde_json::to_value(trouble.code).unwrap());
    match (device.standing, code) {
        (DeviceStanding::Failed, Some(code)) => code.as_str().unwrap().to_owned(),
        (standing, _) => format!("{standing:?}").to_lowercase(),
    }
}

fn tell(event: &DeskEvent) {
    match event {
        DeskEvent::Devices(now) => {
            println!("{MARK}devices {} {} {}", now.cameras.len(), now.microphones.len(), now.speakers.len());
        }
        DeskEvent::Preview(now) => {
            println!("{MARK}preview {} {}", state(&now.camera), state(&now.microphone));
        }
        DeskEvent::Call(now) => {
            let [camera, microphone, speaker] = [&now.camera, &now.microphone, &now.speaker].map(state);
            println!("{MARK}call {camera} {microphone} {speaker}");
        }
        DeskEvent::Stats(now) if now.video.fps_encoded > 0.0 => {
            println!("{MARK}pictures {}x{}", now.video.width, now.video.height);
        }
        DeskEvent::Stats(_)
        | DeskEvent::Ended(_)
        | DeskEvent::Level(_)
        | DeskEvent::Settings(_)
        | DeskEvent::People(_)
        | DeskEvent::Calls(_)
        | DeskEvent::Over(_)
        | DeskEvent::MessagesChanged
        | DeskEvent::RecentCallsChanged
        | DeskEvent::Invited
        | DeskEvent::Failed(_) => {}
        DeskEvent::Nearby(_)
        | DeskEvent::ConnectionCheck(_)
        | DeskEvent::Transfer(_)
        | DeskEvent::FilesDragged(_)
        | DeskEvent::FilesPicked(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other tests start it, with devices"]
async fn child() {
    assert!(env::var_os(CHILD).is_some(), "{CHILD} says that there are devices");
    let folder = tempfile::tempdir().unwrap();
    let options = DeskOptions::in_folder(folder.path(), crate::desk::nobody());
    let desk = Desk::open(options, Arc::new(|event| tell(&event))).await.unwrap();
    assert!(desk.notices_devices());
    println!("{MARK}open");
    let (lines, mut read) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let _ = lines.send(line.unwrap());
        }
    });
    while let Some(line) = read.recv().await {
        match line.as_str() {
            "preview" => desk.start_preview().await.unwrap(),
            "call" => desk.start_test_call().await.unwrap(),
            change => drop(desk.change_settings(serde_json::from_str(change).unwrap()).await.unwrap()),
        }
    }
    desk.close().await;
    drop(desk);
    println!("{MARK}closed");
}

/// A program with a desk.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(env: Vec<(&'static str, OsString)>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "hotplug::child", "--ignored", "--nocapture"])
            .env("PULSE_SERVER", "unix:/nonexistent")
            .env(CHILD, "1")
            .envs(env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut this = Self { input: child.stdin.take(), child, lines };
        this.until("open");
        this
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Passes over everything up to a line that begins with `start`.
    fn until(&mut self, start: &str) {
        let mut passed = Vec::new();
        for line in &mut self.lines {
            let line = line.unwrap();
            let Some(at) = line.find(MARK) else { continue };
            let told = &line[at + MARK.len()..];
            if told.starts_with(start) {
                return;
            }
            passed.push(told.to_owned());
        }
        panic!("nothing began with {start:?}; there was {passed:?}");
    }

    fn end(mut self) {
        self.input = None;
        self.until("closed");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_camera_that_is_plugged_in_is_told_and_opened_by_the_preview() {
    let camera = camera();
    camera.unplug().unwrap();
    let mut desk = Running::start(camera.env());
    desk.say("preview");
    desk.until("preview camera_missing");
    camera.plug_in().unwrap();
    desk.until("devices 1");
    desk.until("preview on");
    camera.unplug().unwrap();
    desk.until("devices 0");
    desk.end();
}

#[test]
fn loopback_opens_the_camera_that_is_plugged_in_and_follows_the_picture_size() {
    let camera = camera();
    camera.unplug().unwrap();
    let mut desk = Running::start(camera.env());
    desk.say("call");
    desk.until("call camera_missing");
    camera.plug_in().unwrap();
    desk.until("call on");
    desk.until("pictures 1280x720");
    desk.say(r#"{"picture": "360p"}"#);
    desk.until("call opening");
    desk.until("call on");
    desk.until("pictures 640x360");
    desk.end();
    assert!(!camera.is_in_use().unwrap());
}

mod needs_pulse {
    use ahoy_testkit::lab::{AudioDevice, PulseLab};

    use super::*;

    #[test]
    fn microphone_and_speaker_that_are_plugged_in_are_told_and_opened() {
        let lab = PulseLab::start().unwrap();
        lab.unplug(AudioDevice::Microphone).unwrap();
        lab.unplug(AudioDevice::Speaker).unwrap();
        let camera = camera();
        let mut desk = Running::start([lab.env(), camera.env()].concat());
        desk.say("preview");
        desk.until("preview on microphone_missing");
        desk.say("call");
        desk.until("call on microphone_missing speaker_missing");
        lab.plug_in(AudioDevice::Speaker).unwrap();
        desk.until("devices 1 0 1");
        desk.until("call on microphone_missing on");
        // The lab feeds its microphone through a speaker of its own.
        lab.plug_in(AudioDevice::Microphone).unwrap();
        desk.until("devices 1 1 2");
        desk.until("call on on on");
        desk.end();
    }
}
