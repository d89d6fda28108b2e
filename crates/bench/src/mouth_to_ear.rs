//! Mouth to ear over the devices of a sound server, measured from outside: chirps are played into its microphone while
//! Ahoy calls itself, and both the microphone and the speaker are listened to.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ahoy_media_types::MediaClock;
use ahoy_testkit::lab::{AudioDevice, PulseLab, write_chirps};
use anyhow::{Context as _, Result, bail};

use crate::output::median;

/// Sound that is left out at the start: the jitter buffer is finding its delay.
const SETTLING: Duration = Duration::from_secs(3);

/// Calls once for `seconds` with the pictures of `clip`; returns the median delay in milliseconds.
pub(crate) fn call(program: &Path, clip: &Path, folder: &Path, seconds: u32) -> Result<f64> {
    let length = SETTLING + Duration::from_secs(u64::from(seconds));
    let wav = folder.join("chirps.wav");
    write_chirps(&wav, length)?;
    let lab = PulseLab::start().context("the sound server can't be had")?;
    let clock = MediaClock::start();
    let mouth = lab.listen(AudioDevice::Microphone, clock)?;
    let ear = lab.listen(AudioDevice::Speaker, clock)?;
    let playing = lab.play_into_mic(&wav)?;
    let status = Command::new(program)
        .args(["--no-log-file", "loopback", "--audio", "mic", "--speaker", "default", "--fps", "30"])
        .args(["--seconds", &length.as_secs().to_string(), "--bitrate", "1500", "--size", "1280x720"])
        .arg("--video")
        .arg(format!("file:{}", clip.display()))
        .envs(lab.env())
        .stdout(Stdio::null())
        .status()
        .context("ahoy-cli can't be started")?;
    drop(playing);
    let (mouth, ear) = (mouth.stop(), ear.stop());
    // Exit code 1 is a call that fell short somewhere, which other figures tell.
    if !matches!(status.code(), Some(0 | 1)) {
        bail!("the call failed ({status})");
    }
    let settled = mouth.starts_at + SETTLING;
    let delays = mouth.delays_at(&ear);
    let delays: Vec<f64> =
        delays.iter().filter(|delay| delay.captured_at >= settled).map(|delay| delay.delay_ms).collect();
    median(&delays).context("nothing that was spoken was heard")
}
