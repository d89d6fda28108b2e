//! Whatever is asked of it wrongly, `ahoy-cli` says what to do and ends with the code that `--help` promises.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn ahoy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ahoy-cli"))
        .arg("--no-log-file")
        .args(arguments)
        // No device of this machine takes part, whatever it has.
        .env("PULSE_SERVER", "unix:/nonexistent")
        .env("HOME", std::env::temp_dir())
        .output()
        .expect("ahoy-cli runs")
}

fn loopback(arguments: &[&str]) -> Output {
    let mut all = vec!["loopback", "--seconds", "1", "--size", "320x180", "--json"];
    all.extend(arguments);
    ahoy(&all)
}

#[track_caller]
fn assert_says(output: &Output, code: i32, sentence: &str) {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("panicked"), "{text}");
    assert!(text.contains(sentence), "{sentence:?} is missing in: {text}");
    assert_eq!(output.status.code(), Some(code), "{text}");
}

fn write(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, content).expect("the temporary folder takes a file");
    path.display().to_string()
}

#[test]
fn impossible_numbers_are_refused_before_anything_starts() {
    assert_says(&loopback(&["--fps", "0"]), 2, "choose from 1 to 120");
    assert_says(&loopback(&["--size", "7680x4320"]), 2, "4096 by 2304");
    assert_says(&loopback(&["--size", "0x0"]), 2, "1280x720 is a good choice");
    assert_says(&loopback(&["--bitrate", "0"]), 2, "1500 is a good choice");
    assert_says(&loopback(&["--seconds=-1"]), 2, "0.5 to 86400");
    assert_says(&loopback(&["--log", "ahoy=loud"]), 2, "can't be read");
}

#[test]
fn unknown_sources_and_sinks_are_refused_with_the_ones_there_are() {
    assert_says(&loopback(&["--video", "webcam"]), 2, "camera");
    assert_says(&loopback(&["--audio", "microphone"]), 2, "mic");
    assert_says(&loopback(&["--speaker", "loud"]), 2, "null");
}

#[test]
fn a_call_with_nothing_to_send_is_no_call() {
    assert_says(&loopback(&["--video", "none", "--audio", "none"]), 3, "choose a video or an audio source");
}

#[test]
fn clips_that_cannot_be_played_are_named_and_the_sound_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.y4m").display().to_string();
    let empty = write(folder.path(), "empty.y4m", b"");
    let garbage = write(folder.path(), "garbage.y4m", &[0xA5; 4096]);
    let headless = write(folder.path(), "headless.y4m", b"YUV4MPEG2 W64\n");
    let huge = write(folder.path(), "huge.y4m", b"YUV4MPEG2 W7680 H4320 F30:1 C420\nFRAME\n");
    let deep = write(folder.path(), "deep.y4m", b"YUV4MPEG2 W64 H64 F30:1 C444p10\nFRAME\n");
    let truncated = write(folder.path(), "truncated.y4m", b"YUV4MPEG2 W64 H64 F30:1 C420\nFRAME\nonly this");
    let still = write(folder.path(), "still.y4m", b"YUV4MPEG2 W64 H64 F0:1 C420\nFRAME\n");
    for clip in [missing, empty, garbage, headless, huge, deep, truncated, still] {
        let output = loopback(&["--video", &format!("file:{clip}")]);
        assert_says(&output, 1, &clip);
        assert_says(&output, 1, "\"clip_unusable\"");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
        assert!(report["audio"]["packets_received"].as_u64().unwrap() > 20, "{clip}: the sound went on");
    }
}

#[test]
fn an_odd_sized_clip_is_played() {
    let folder = tempfile::tempdir().unwrap();
    let mut clip = b"YUV4MPEG2 W161 H91 F30:1 C420jpeg\n".to_vec();
    for frame in 0..4u8 {
        clip.extend_from_slice(b"FRAME\n");
        clip.resize(clip.len() + 161 * 91 + 2 * 81 * 46, 60 * frame + 16);
    }
    let clip = write(folder.path(), "odd.y4m", &clip);
    let output = loopback(&["--video", &format!("file:{clip}"), "--audio", "none"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    assert!(report["video"]["frames_rendered"].as_u64().unwrap() > 15, "{report}");
}

#[test]
fn a_clip_that_is_cut_off_is_played_as_far_as_it_goes_and_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut clip = b"YUV4MPEG2 W64 H64 F30:1 C420\n".to_vec();
    for frame in 0..3u8 {
        clip.extend_from_slice(b"FRAME\n");
        clip.resize(clip.len() + 64 * 64 * 3 / 2, 60 * frame + 16);
    }
    clip.truncate(clip.len() - 100);
    let clip = write(folder.path(), "cut.y4m", &clip);
    let output = loopback(&["--video", &format!("file:{clip}"), "--audio", "none"]);
    assert_says(&output, 1, "it ends in the middle of picture 2; the 2 pictures before that are played");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    assert!(report["video"]["frames_rendered"].as_u64().unwrap() > 15, "{report}");
}

#[test]
fn recordings_of_sound_that_cannot_be_played_are_named_and_the_pictures_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.wav").display().to_string();
    let empty = write(folder.path(), "empty.wav", b"");
    let garbage = write(folder.path(), "garbage.wav", &[0x5A; 4096]);
    let truncated = write(folder.path(), "truncated.wav", b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00");
    for sound in [missing, empty, garbage, truncated] {
        let output = loopback(&["--audio", &format!("file:{sound}")]);
        assert_says(&output, 1, &sound);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
        assert!(report["video"]["frames_rendered"].as_u64().unwrap() > 15, "{sound}: the pictures went on");
    }
}

#[test]
fn missing_devices_are_problems_of_the_report_and_the_call_goes_on() {
    let output = loopback(&["--video", "camera:/dev/video99", "--audio", "chirps"]);
    assert_says(&output, 1, "/dev/video99");
    let output = loopback(&["--video", "pattern", "--audio", "mic:no-such-microphone"]);
    assert_says(&output, 1, "\"microphone_not_connected\"");
    let output = loopback(&["--speaker", "speaker:no-such-speaker"]);
    assert_says(&output, 1, "\"speaker_not_connected\"");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    assert!(
        report["audio"]["packets_received"].as_u64().unwrap() > 20,
        "the sound was received all the same"
    );
}

#[test]
fn a_call_ends_at_once_with_the_reasons_when_no_source_can_be_opened() {
    let output = loopback(&["--video", "camera:/dev/video99", "--audio", "file:/nowhere/voice.wav"]);
    assert_says(&output, 3, "/dev/video99");
    assert_says(&output, 3, "/nowhere/voice.wav");
}

#[test]
fn a_recording_that_cannot_be_written_is_no_call() {
    assert_says(&loopback(&["--record", "/nowhere/at/all"]), 3, "/nowhere/at/all.y4m");
}

#[test]
fn the_schema_of_the_report_is_printed_without_a_call() {
    let output = ahoy(&["loopback", "--print-schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        schema["properties"]["setup_ms"].is_object() || schema["properties"]["setup_ms"]["$ref"].is_string()
    );
}

#[test]
fn devices_are_listed_even_where_there_are_none() {
    let output = ahoy(&["devices", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let devices: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for kind in ["cameras", "microphones", "speakers", "problems"] {
        assert!(devices[kind].is_array(), "{devices}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_first_start_keeps_a_log_and_complains_about_nothing() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ahoy-cli"))
        .args(["devices", "--json"])
        .env("HOME", home.path())
        .env_remove("XDG_STATE_HOME")
        .env("PULSE_SERVER", "unix:/nonexistent")
        .output()
        .expect("ahoy-cli can be started");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!complaints.contains("log"), "{complaints}");
    assert!(home.path().join(".local/state/ahoy/logs").is_dir());
}
