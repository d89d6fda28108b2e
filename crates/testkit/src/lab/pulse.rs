//! Sound devices: a private PulseAudio with a microphone that plays what it is fed and a speaker that can be recorded.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ahoy_media_types::SAMPLE_RATE;
use tempfile::TempDir;

use super::{LabError, name_of, run, start_error, tail};

const PACKAGE: &str = "pulseaudio";
pub(super) const UTILS_PACKAGE: &str = "pulseaudio-utils";
/// Only a machine under heavy load needs more than a second.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(10);
/// After this time without any client the server ends by itself: cleans up after a test that was killed.
const EXIT_WHEN_IDLE_SECONDS: u32 = 600;

/// A sound device of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioDevice {
    /// Named `mic`, "Fake Microphone".
    Microphone,
    /// Named `spk`, "Fake Speaker".
    Speaker,
    /// Named `phones`, "Fake Headphones": another speaker, which is not there until it is plugged in.
    Headphones,
}

impl AudioDevice {
    /// What PulseAudio and its clients call the device.
    pub const fn name(self) -> &'static str {
        match self {
            AudioDevice::Microphone => "mic",
            AudioDevice::Speaker => "spk",
            AudioDevice::Headphones => "phones",
        }
    }

    /// What people see.
    pub const fn description(self) -> &'static str {
        match self {
            AudioDevice::Microphone => "Fake Microphone",
            AudioDevice::Speaker => "Fake Speaker",
            AudioDevice::Headphones => "Fake Headphones",
        }
    }
}

impl AudioDevice {
    /// The PulseAudio source where everything that the device hears or plays can be recorded.
    pub(super) fn heard_at(self) -> String {
        match self {
            AudioDevice::Microphone => format!("{MICROPHONE_FEED}.monitor"),
            AudioDevice::Speaker | AudioDevice::Headphones => format!("{}.monitor", self.name()),
        }
    }
}

/// The sink whose monitor is the microphone.
const MICROPHONE_FEED: &str = "micfeed";

/// A private PulseAudio server. Programs see its devices with [`env`](Self::env) set, through PulseAudio itself and,
/// where the ALSA plugins are installed, through ALSA.
///
/// The server ends when the value is dropped.
#[derive(Debug)]
pub struct PulseLab {
    directory: TempDir,
    server: Child,
}

impl PulseLab {
    /// Starts a server with a microphone and a speaker, both the default.
    pub fn start() -> Result<Self, LabError> {
        // Socket paths may have 107 bytes, so a short prefix.
        let directory = TempDir::with_prefix("pulse-")?;
        let root = directory.path();
        for part in ["home", "run"] {
            fs::create_dir(root.join(part))?;
            fs::set_permissions(root.join(part), fs::Permissions::from_mode(0o700))?;
        }
        fs::write(root.join("home/.asoundrc"), ASOUNDRC)?;
        fs::write(root.join("server.pa"), server_script(&socket_path(root)))?;
        let mut command = Command::new("pulseaudio");
        command
            .args(["-n", "--daemonize=no", "--disallow-exit", "--log-target=stderr", "--use-pid-file=no"])
            .arg(format!("--exit-idle-time={EXIT_WHEN_IDLE_SECONDS}"))
            .arg("-F")
            .arg(root.join("server.pa"))
            .envs(env(root))
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(root.join("log"))?);
        let server = command.spawn().map_err(|error| start_error(&command, PACKAGE, error))?;
        // From here on dropping ends the server.
        let mut lab = Self { directory, server };
        lab.wait_until_ready()?;
        for device in [AudioDevice::Speaker, AudioDevice::Microphone] {
            lab.plug_in(device)?;
        }
        Ok(lab)
    }

    /// What to set in the environment of the programs under test.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        env(self.directory.path())
    }

    /// Adds a device and makes it the default.
    pub fn plug_in(&self, device: AudioDevice) -> Result<(), LabError> {
        let (name, description) = (device.name(), device.description());
        match device {
            AudioDevice::Speaker | AudioDevice::Headphones => self.pactl(&[
                "load-module",
                "module-null-sink",
                &format!("sink_name={name}"),
                &format!("sink_properties='device.description=\"{description}\"'"),
                "rate=48000",
                "channels=2",
            ])?,
            AudioDevice::Microphone => {
                self.pactl(&[
                    "load-module",
                    "module-null-sink",
                    &format!("sink_name={MICROPHONE_FEED}"),
                    "sink_properties='device.description=\"Feed of the fake microphone\"'",
                    "rate=48000",
                    "channels=1",
                ])?;
                self.pactl(&[
                    "load-module",
                    "module-remap-source",
                    &format!("source_name={name}"),
                    &format!("master={MICROPHONE_FEED}.monitor"),
                    &format!("source_properties='device.description=\"{description}\"'"),
                ])?
            }
        };
        let set_default = match device {
            AudioDevice::Speaker | AudioDevice::Headphones => "set-default-sink",
            AudioDevice::Microphone => "set-default-source",
        };
        self.pactl(&[set_default, name]).map(|_| ())
    }

    /// Takes a device away, under the hands of whoever uses it. As on a desktop, PulseAudio moves its streams to another
    /// device if one is left (the speaker's monitor counts as a microphone) and ends them if not.
    pub fn unplug(&self, device: AudioDevice) -> Result<(), LabError> {
        let names: &[&str] = match device {
            AudioDevice::Speaker | AudioDevice::Headphones => &[device.name()],
            AudioDevice::Microphone => &[AudioDevice::Microphone.name(), MICROPHONE_FEED],
        };
        let modules = self.pactl(&["list", "short", "modules"])?;
        for name in names {
            let wanted = [format!("sink_name={name}"), format!("source_name={name}")];
            for line in modules
                .lines()
                .filter(|line| line.split_whitespace().any(|word| wanted.contains(&word.into())))
            {
                if let Some(index) = line.split_whitespace().next() {
                    self.pactl(&["unload-module", index])?;
                }
            }
        }
        Ok(())
    }

    /// Plays a sound file into the microphone, in the background.
    pub fn play_into_mic(&self, wav: &Path) -> Result<Playing, LabError> {
        let mut command = self.client("paplay");
        command.arg(format!("--device={MICROPHONE_FEED}")).arg(wav);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let player = command.spawn().map_err(|error| start_error(&command, UTILS_PACKAGE, error))?;
        Ok(Playing { player })
    }

    /// Records what a device plays (or, of the microphone, hears) to a mono 48 kHz file, in the background, until it has
    /// `length` of sound.
    ///
    /// Recording has begun when this returns.
    pub fn record(&self, device: AudioDevice, wav: &Path, length: Duration) -> Result<Recording, LabError> {
        let mut command = self.client("parec");
        command
            .arg(format!("--device={}", device.heard_at()))
            .args(["--raw", "--format=s16le", "--channels=1", "--latency-msec=20"])
            .arg(format!("--rate={SAMPLE_RATE}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut recorder = command.spawn().map_err(|error| start_error(&command, UTILS_PACKAGE, error))?;
        let Some(mut sound) = recorder.stdout.take() else { return Err(not_recording(&command)) };
        let mut first = [0; 2];
        if sound.read_exact(&mut first).is_err() {
            let _ = recorder.kill();
            let _ = recorder.wait();
            return Err(not_recording(&command));
        }
        let samples = (length.as_secs_f64() * f64::from(SAMPLE_RATE)) as usize;
        let bytes = samples * 2;
        let writer = thread::spawn({
            let wav = wav.to_owned();
            move || write_wav(&wav, first, sound, bytes)
        });
        Ok(Recording { recorder, writer: Some(writer) })
    }

    /// The loudest sample that a device plays (or, of the microphone, hears) for `length` from now on, 0.0 to 1.0.
    pub fn loudest(&self, device: AudioDevice, length: Duration) -> Result<f32, LabError> {
        let wav = self.directory.path().join("loudest.wav");
        self.record(device, &wav, length)?.wait()?;
        let loudest = hound::WavReader::open(&wav)?
            .samples::<i16>()
            .try_fold(0, |loudest: u16, sample| Ok::<_, hound::Error>(loudest.max(sample?.unsigned_abs())))?;
        Ok(f32::from(loudest) / f32::from(i16::MAX))
    }

    /// How many streams to and from devices programs have open.
    pub fn open_streams(&self) -> Result<usize, LabError> {
        let mut open = 0;
        for kind in ["sink-inputs", "source-outputs"] {
            // The third column is the client; the server's own modules have none.
            let listed = self.pactl(&["list", "short", kind])?;
            open += listed.lines().filter(|line| line.split('\t').nth(2).is_some_and(|c| c != "-")).count();
        }
        Ok(open)
    }

    /// A PulseAudio client program that talks to this server.
    pub(super) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.env());
        command
    }

    fn pactl(&self, arguments: &[&str]) -> Result<String, LabError> {
        let output = run(self.client("pactl").args(arguments), UTILS_PACKAGE)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn wait_until_ready(&mut self) -> Result<(), LabError> {
        let socket = socket_path(self.directory.path());
        let deadline = Instant::now() + START_TIMEOUT;
        let log = self.directory.path().join("log");
        while UnixStream::connect(&socket).is_err() {
            if let Some(status) = self.server.try_wait()? {
                let output = tail(&fs::read(&log)?);
                return Err(LabError::Failed {
                    tool: "pulseaudio".into(),
                    status: status.to_string(),
                    output,
                });
            }
            if Instant::now() > deadline {
                let output = tail(&fs::read(&log)?);
                return Err(LabError::NotReady {
                    tool: "pulseaudio",
                    seconds: START_TIMEOUT.as_secs(),
                    output,
                });
            }
            thread::sleep(START_POLL);
        }
        Ok(())
    }
}

impl Drop for PulseLab {
    fn drop(&mut self) {
        // It may have ended by itself; the wait collects it either way.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn not_recording(command: &Command) -> LabError {
    LabError::Failed {
        tool: name_of(command),
        status: "no sound".into(),
        output: "the speaker could not be recorded: is it plugged in?".into(),
    }
}

/// A sound file on its way into the microphone. Dropping it stops it.
#[derive(Debug)]
pub struct Playing {
    player: Child,
}

impl Playing {
    /// Waits until all of it has been played.
    pub fn wait(mut self) -> Result<(), LabError> {
        let mut errors = Vec::new();
        if let Some(mut stderr) = self.player.stderr.take() {
            stderr.read_to_end(&mut errors)?;
        }
        let status = self.player.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(LabError::Failed {
                tool: "paplay".into(),
                status: status.to_string(),
                output: tail(&errors),
            }),
        }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.player.kill();
        let _ = self.player.wait();
    }
}

/// A recording of the speaker in the making. Dropping it ends it early; the file then has what there was.
#[derive(Debug)]
pub struct Recording {
    recorder: Child,
    writer: Option<thread::JoinHandle<Result<(), LabError>>>,
}

impl Recording {
    /// Waits until the recording has its length. Fails if it ended before, as when all devices were unplugged.
    pub fn wait(mut self) -> Result<(), LabError> {
        self.writer
            .take()
            .map_or(Ok(()), |writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
        if let Some(Err(error)) = self.writer.take().and_then(|writer| writer.join().ok()) {
            tracing::debug!(%error, "a recording was ended early");
        }
    }
}

fn write_wav(path: &Path, first: [u8; 2], mut sound: ChildStdout, bytes: usize) -> Result<(), LabError> {
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, format)?;
    wav.write_sample(i16::from_le_bytes(first))?;
    let mut taken = Vec::new();
    sound.by_ref().take(bytes.saturating_sub(2) as u64).read_to_end(&mut taken)?;
    for sample in taken.chunks_exact(2) {
        wav.write_sample(i16::from_le_bytes([sample[0], sample[1]]))?;
    }
    wav.finalize()?;
    match taken.len() + 2 >= bytes {
        true => Ok(()),
        false => Err(LabError::Failed {
            tool: "parec".into(),
            status: "ended early".into(),
            output: format!("the devices went away after {} of {bytes} bytes", taken.len() + 2),
        }),
    }
}

fn socket_path(root: &Path) -> PathBuf {
    root.join("run/native")
}

fn env(root: &Path) -> Vec<(&'static str, OsString)> {
    let mut server = OsString::from("unix:");
    server.push(socket_path(root));
    vec![
        ("HOME", root.join("home").into()),
        ("XDG_RUNTIME_DIR", root.join("run").into()),
        ("PULSE_SERVER", server),
    ]
}

/// The cookie that PulseAudio asks for by default is in the home directory of the user, which is none of our business.
fn server_script(socket: &Path) -> String {
    format!("load-module module-native-protocol-unix auth-anonymous=1 socket={}\n", socket.display())
}

/// Leads ALSA programs to PulseAudio.
const ASOUNDRC: &str = r#"
pcm.!default { type pulse hint { show on description "Default of the sound server" } }
ctl.!default { type pulse }
pcm.fakemic { type pulse device "mic" hint { show on description "Fake Microphone" } }
pcm.fakespeaker { type pulse device "spk" hint { show on description "Fake Speaker" } }
"#;
