//! The real program on devices of the lab, watched from outside.

pub(crate) mod people;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use ahoy_measure::sound::{CHIRP_DURATION, CHIRP_PERIOD, Chirps, correlation};
use ahoy_media_types::{FrameSize, I420Buffer, SAMPLE_RATE};
use ahoy_testkit::lab::{CameraPixels, CameraScene, FakeCamera, FakeCameraSpec};
use serde_json::Value;

/// What the log says when pictures arrive; a call is fully up then.
pub(crate) const SHOWN: &str = "the first picture is shown";

/// What the log says when a source or sink of sound is open and works.
pub(crate) const HEARD: &str = "sound flows";

pub(crate) fn small() -> FrameSize {
    FrameSize::new(320, 180).expect("a good size")
}

/// A camera with small pictures of a moving pattern.
pub(crate) fn camera() -> FakeCamera {
    camera_of(CameraScene::Pattern, small(), 30)
}

/// An uncompressed camera of one size and rate with a second of the scene.
pub(crate) fn camera_of(scene: CameraScene, size: FrameSize, rate: u32) -> FakeCamera {
    let spec = FakeCameraSpec {
        scene,
        pixels: vec![CameraPixels::Yuyv],
        sizes: vec![size],
        rates: vec![rate],
        frames: rate,
        ..FakeCameraSpec::default()
    };
    FakeCamera::new(&spec).expect("the fake camera is made")
}

/// `ahoy-cli` on a machine without any sound; cameras are the machine's unless `env` of a fake one is added.
pub(crate) fn ahoy<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ahoy-cli"));
    command
        .args(["--no-log-file", "--log", "info"])
        .args(arguments)
        .env("PULSE_SERVER", "unix:/nonexistent")
        .env("HOME", std::env::temp_dir())
        .stdin(Stdio::null());
    command
}

/// A call of small pictures that lasts `seconds` and prints JSON; more arguments follow.
pub(crate) fn call(seconds: u32, arguments: &[&str]) -> Command {
    let seconds = seconds.to_string();
    let mut all = vec!["loopback", "--seconds", &seconds, "--size", "320x180", "--json"];
    all.extend(arguments);
    ahoy(&all)
}

/// A running `ahoy-cli`. It is killed if the test fails before it ends.
pub(crate) struct Running {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// Log and complaints.
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(mut command: Command, env: Vec<(&'static str, OsString)>) -> Self {
        let mut child = command
            .envs(env)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ahoy-cli can be started");
        let stderr = child.stderr.take().expect("standard error is piped");
        Self { child, log: BufReader::new(stderr).lines(), said: Vec::new() }
    }

    /// Waits until the log has said `text` once more.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) {
        self.until_all(&[text]);
    }

    /// Waits until the log has said all of `texts` once more, in any order.
    #[track_caller]
    pub(crate) fn until_all(&mut self, texts: &[&str]) {
        let mut awaited = texts.to_vec();
        while !awaited.is_empty() {
            let Some(line) = self.log.next() else {
                panic!("it ended without saying {awaited:?}: {}", self.said.join("\n"));
            };
            let line = line.expect("the log is text");
            if let Some(found) = awaited.iter().position(|text| line.contains(text)) {
                awaited.remove(found);
            }
            self.said.push(line);
        }
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        assert!(sent.success(), "it had ended already");
    }

    pub(crate) fn end(mut self) -> Ended {
        self.said.extend(self.log.by_ref().map_while(Result::ok));
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().expect("standard output is piped");
        pipe.read_to_string(&mut stdout).expect("the output is text");
        let status = self.child.wait().expect("it ends");
        let ended = Ended { code: status.code(), stdout, stderr: self.said.join("\n") };
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended and been waited for unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: Command, env: Vec<(&'static str, OsString)>) -> Ended {
    Running::start(command, env).end()
}

impl Ended {
    /// What it printed as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", self.stdout, self.stderr))
    }

    /// The report, after the exit code was checked.
    #[track_caller]
    pub(crate) fn report(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self.json()
    }
}

/// The message of the problem with this code.
#[track_caller]
pub(crate) fn problem<'a>(report: &'a Value, code: &str) -> &'a str {
    let problems = report["problems"].as_array().expect("there is a list of problems");
    let found = problems.iter().find(|problem| problem["code"] == code);
    let message = found.unwrap_or_else(|| panic!("no problem {code}: {report:#}"))["message"].as_str();
    message.expect("a problem has a message")
}

/// A number of the report.
#[track_caller]
pub(crate) fn number(report: &Value, pointer: &str) -> f64 {
    let value = report.pointer(pointer).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("no number at {pointer}: {report:#}"))
}

/// The samples of a mono 16-bit recording at 48 kHz.
#[track_caller]
pub(crate) fn samples(wav: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(wav).unwrap_or_else(|error| panic!("{}: {error}", wav.display()));
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 48_000, 16), "{}", wav.display());
    reader.samples::<i16>().map(|sample| f32::from(sample.expect("a whole sample")) / 32_768.0).collect()
}

/// The pictures of an uncompressed clip, as ffmpeg plays it.
#[track_caller]
pub(crate) fn y4m(path: &Path, size: FrameSize) -> Vec<I420Buffer> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-loglevel", "error", "-nostdin", "-i"]).arg(path);
    ffmpeg.args(["-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"]);
    let output = ffmpeg.output().expect("ffmpeg runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", path.display());
    assert!(output.stdout.len().is_multiple_of(size.i420_len()), "{}: not {size}", path.display());
    let picture = |bytes: &[u8]| I420Buffer::from_packed(size, bytes.to_vec()).expect("a whole picture");
    output.stdout.chunks_exact(size.i420_len()).map(picture).collect()
}

/// How many of the test signal's chirps are in a recording, each looked for by itself.
pub(crate) fn heard_chirps(sound: &[f32]) -> usize {
    const PERIOD: usize = (SAMPLE_RATE as u128 * CHIRP_PERIOD.as_millis() / 1000) as usize;
    const LENGTH: usize = (SAMPLE_RATE as u128 * CHIRP_DURATION.as_millis() / 1000) as usize;
    /// Behind the codec a chirp matches itself by 0.74 or more, another one by 0.45 at most.
    const SURE: f64 = 0.6;
    let mut signal = vec![0.0; sound.len() + 10 * PERIOD];
    Chirps::new().fill(&mut signal);
    let is_heard = |chirp: &&[f32]| {
        let whole = Duration::from_secs_f64(sound.len() as f64 / f64::from(SAMPLE_RATE));
        correlation(&chirp[..LENGTH], sound, whole).is_some_and(|found| found.correlation > SURE)
    };
    signal.chunks_exact(PERIOD).filter(is_heard).count()
}
