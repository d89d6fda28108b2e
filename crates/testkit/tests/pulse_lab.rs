//! The private sound server, used by the ordinary PulseAudio tools. Needs PulseAudio.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::f32::consts::TAU;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ahoy_testkit::lab::{AudioDevice, PulseLab};

const RATE: u32 = 48_000;

fn write_tone(path: &Path, hertz: f32, seconds: u32) {
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, format).unwrap();
    for n in 0..seconds * RATE {
        wav.write_sample((f32::sin(TAU * hertz * n as f32 / RATE as f32) * 12_000.0) as i16).unwrap();
    }
    wav.finalize().unwrap();
}

/// Amplitude of one frequency in the recording's loudest half second.
fn strength(path: &Path, hertz: f32) -> f32 {
    let samples: Vec<f32> =
        hound::WavReader::open(path).unwrap().samples::<i16>().map(|s| f32::from(s.unwrap())).collect();
    let strength_of = |part: &[f32]| {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in part.iter().enumerate() {
            let angle = TAU * hertz * n as f32 / RATE as f32;
            re += sample * angle.cos();
            im += sample * angle.sin();
        }
        2.0 * f32::hypot(re, im) / part.len() as f32
    };
    samples.chunks_exact(RATE as usize / 2).map(strength_of).fold(0.0, f32::max)
}

fn sources_and_sinks(lab: &PulseLab) -> String {
    let list = |kind| {
        let output = Command::new("pactl").args(["list", "short", kind]).envs(lab.env()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    list("sources") + &list("sinks")
}

mod needs_sound_server {
    use super::*;
    #[test]
    fn what_is_played_into_the_microphone_can_be_captured_and_played_to_the_speaker() {
        let lab = PulseLab::start().unwrap();
        let files = tempfile::tempdir().unwrap();
        let (tone, heard) = (files.path().join("tone.wav"), files.path().join("heard.wav"));
        write_tone(&tone, 1000.0, 4);
        let recording = lab.record(AudioDevice::Speaker, &heard, Duration::from_secs(4)).unwrap();
        // The program under test: microphone to speaker.
        let mut program = Command::new("sh")
            .args([
                "-c",
                "exec pacat --record --raw --latency-msec=20 | exec pacat --playback --raw --latency-msec=20",
            ])
            .envs(lab.env())
            .spawn()
            .unwrap();
        lab.play_into_mic(&tone).unwrap().wait().unwrap();
        recording.wait().unwrap();
        // The pipe breaks, and with it the program ends, when its devices go.
        lab.unplug(AudioDevice::Microphone).unwrap();
        lab.unplug(AudioDevice::Speaker).unwrap();
        program.wait().unwrap();
        assert_eq!(hound::WavReader::open(&heard).unwrap().len(), 4 * RATE);
        let (there, elsewhere) = (strength(&heard, 1000.0), strength(&heard, 1700.0));
        assert!(there > 6_000.0 && elsewhere < there / 20.0, "{there} at 1000 Hz, {elsewhere} at 1700 Hz");
    }

    #[test]
    fn devices_come_and_go() {
        let lab = PulseLab::start().unwrap();
        let listed = |lab: &PulseLab, device: AudioDevice| {
            sources_and_sinks(lab).lines().any(|line| line.split_whitespace().nth(1) == Some(device.name()))
        };
        for device in [AudioDevice::Microphone, AudioDevice::Speaker] {
            assert!(listed(&lab, device), "{device:?}");
            lab.unplug(device).unwrap();
            assert!(!listed(&lab, device), "{device:?}");
            lab.plug_in(device).unwrap();
            assert!(listed(&lab, device), "{device:?}");
        }
    }

    #[test]
    fn a_recording_whose_devices_are_unplugged_fails_and_keeps_what_there_was() {
        let lab = PulseLab::start().unwrap();
        let files = tempfile::tempdir().unwrap();
        let heard = files.path().join("heard.wav");
        let recording = lab.record(AudioDevice::Speaker, &heard, Duration::from_secs(3600)).unwrap();
        lab.unplug(AudioDevice::Microphone).unwrap();
        lab.unplug(AudioDevice::Speaker).unwrap();
        assert!(recording.wait().is_err());
        assert!(hound::WavReader::open(&heard).unwrap().len() > 0);
        assert!(lab.record(AudioDevice::Speaker, &heard, Duration::from_secs(1)).is_err());
    }

    #[test]
    fn two_labs_do_not_hear_each_other_and_vanish_when_dropped() {
        let (one, two) = (PulseLab::start().unwrap(), PulseLab::start().unwrap());
        one.unplug(AudioDevice::Speaker).unwrap();
        assert!(!sources_and_sinks(&one).contains("\tspk\t"));
        assert!(sources_and_sinks(&two).contains("\tspk\t"));
        let env = two.env();
        drop(two);
        let status = Command::new("pactl").arg("info").envs(env).output().unwrap().status;
        assert!(!status.success());
    }
}
