//! Calls with the microphone, speaker and camera of a desktop: PulseAudio with virtual devices, a camera that plays the
//! real clip. Needs PulseAudio, espeak-ng, sox, a C compiler, ffmpeg and the clip.

mod needs_pulse {
    use std::ffi::OsString;
    use std::time::Duration;

    use ahoy_measure::sound::correlation;
    use ahoy_media_types::FrameSize;
    use ahoy_testkit::lab::{
        AudioDevice, CameraPixels, CameraScene, Clip, FakeCamera, FakeCameraSpec, PulseLab, speak,
    };

    use crate::support::{HEARD, Running, SHOWN, ahoy, call, number, problem, run, samples};

    const RATE: usize = 48_000;
    const TEXT: &str = "Ahoy! This is a test call. The quick brown fox jumps over the lazy dog, \
                        and nine zebras quietly watch the grey sky above the harbour.";

    /// The beginning of the film at a size that leaves the machine time for everything else.
    fn film() -> FakeCamera {
        let spec = FakeCameraSpec {
            scene: CameraScene::Film(Clip::find().unwrap().pictures),
            pixels: vec![CameraPixels::Yuyv],
            sizes: vec![FrameSize::new(640, 360).unwrap()],
            rates: vec![25],
            frames: 125,
            ..FakeCameraSpec::default()
        };
        FakeCamera::new(&spec).unwrap()
    }

    fn with_camera(lab: &PulseLab, camera: &FakeCamera) -> Vec<(&'static str, OsString)> {
        lab.env().into_iter().chain(camera.env()).collect()
    }

    #[test]
    fn speech_and_pictures_go_from_microphone_and_camera_to_the_speaker_and_the_screen() {
        let (lab, camera) = (PulseLab::start().unwrap(), film());
        let files = tempfile::tempdir().unwrap();
        let (spoken, heard) = (files.path().join("spoken.wav"), files.path().join("heard.wav"));
        speak(TEXT, &spoken).unwrap();
        let seconds = samples(&spoken).len().div_ceil(RATE) as u32;
        let length = (seconds + 4).to_string();
        let arguments = [
            "loopback",
            "--json",
            "--seconds",
            &length,
            "--video",
            "camera",
            "--audio",
            "mic",
            "--speaker",
            "default",
            "--size",
            "640x360",
            "--fps",
            "25",
        ];
        let mut calling = Running::start(ahoy(&arguments), with_camera(&lab, &camera));
        calling.until_all(&[SHOWN, HEARD, HEARD]);
        let recording =
            lab.record(AudioDevice::Speaker, &heard, Duration::from_secs(u64::from(seconds) + 2)).unwrap();
        lab.play_into_mic(&spoken).unwrap().wait().unwrap();
        recording.wait().unwrap();
        let ended = calling.end();
        let report = ended.report(0);

        assert_eq!(
            (&report["ok"], &report["problems"]),
            (&true.into(), &serde_json::json!([])),
            "{report:#}"
        );
        assert_eq!(report["video"]["source"], "Fake Camera");
        assert_eq!(report["audio"]["source"], AudioDevice::Microphone.description());
        assert_eq!(report["audio"]["sink"], AudioDevice::Speaker.description());
        let frames = f64::from(seconds + 4) * 25.0;
        assert!(number(&report, "/video/frames_rendered") > 0.9 * frames, "{report:#}");
        assert!(number(&report, "/video/frames_compared") > 0.8 * frames, "{report:#}");
        assert!((30.0..60.0).contains(&number(&report, "/video/psnr_y_db")), "{report:#}");
        assert!((0.85..1.0).contains(&number(&report, "/video/ssim")), "{report:#}");
        assert!(number(&report, "/audio/delay_ms/count") >= 2.0, "{report:#}");

        // Half a second at a time, because the jitter buffer may stretch the pauses. What follows where it did, or is
        // nearly silent, is not recognised.
        let (spoken, heard) = (samples(&spoken), samples(&heard));
        let matches: Vec<_> = spoken
            .chunks_exact(RATE / 2)
            .filter_map(|part| correlation(part, &heard, Duration::from_secs(3600)))
            .collect();
        let sure: Vec<_> = matches.iter().filter(|found| found.correlation > 0.7).collect();
        assert!(sure.len() >= 10 && 4 * sure.len() >= 3 * matches.len(), "{matches:?}");
        let order: Vec<f64> = sure.iter().map(|found| found.lag_ms()).collect();
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "in the order spoken: {order:?}");
    }
    #[test]
    fn a_microphone_that_is_pulled_out_is_taken_up_again_and_the_pictures_go_on() {
        let lab = PulseLab::start().unwrap();
        // No other device to move to.
        let mut calling = Running::start(call(9, &["--audio", "mic", "--speaker", "null"]), lab.env());
        calling.until_all(&[SHOWN, HEARD, HEARD]);
        lab.unplug(AudioDevice::Speaker).unwrap();
        lab.unplug(AudioDevice::Microphone).unwrap();
        calling.until("was disconnected");
        lab.plug_in(AudioDevice::Microphone).unwrap();
        let report = calling.end().report(1);
        let told = problem(&report, "microphone_lost");
        assert!(told.starts_with("Fake Microphone was disconnected. Plug it in again"), "{told}");
        assert!(told.contains("It came back"), "{told}");
        assert!(number(&report, "/video/frames_rendered") > 200.0, "{report:#}");
    }

    #[test]
    fn a_speaker_that_is_pulled_out_is_taken_up_again_and_the_sound_is_received_meanwhile() {
        let lab = PulseLab::start().unwrap();
        let mut calling = Running::start(call(9, &["--speaker", "default"]), lab.env());
        calling.until_all(&[SHOWN, HEARD, HEARD]);
        lab.unplug(AudioDevice::Microphone).unwrap();
        lab.unplug(AudioDevice::Speaker).unwrap();
        calling.until("was disconnected");
        lab.plug_in(AudioDevice::Speaker).unwrap();
        let report = calling.end().report(1);
        let told = problem(&report, "speaker_lost");
        assert!(told.starts_with("Fake Speaker was disconnected") && told.contains("It came back"), "{told}");
        assert!(number(&report, "/audio/packets_received") > 180.0, "{report:#}");
        assert!(number(&report, "/video/frames_rendered") > 200.0, "{report:#}");
    }

    #[test]
    fn without_microphone_and_speaker_the_pictures_go_on_and_the_report_says_what_to_do() {
        let lab = PulseLab::start().unwrap();
        let unknown = call(2, &["--audio", "mic:Yeti", "--speaker", "speaker:Sonos"]);
        let report = run(unknown, lab.env()).report(1);
        let told = problem(&report, "microphone_not_connected");
        assert!(told.contains("no microphone \"Yeti\"") && told.contains("(Fake Microphone)"), "{told}");
        let told = problem(&report, "speaker_not_connected");
        assert!(told.contains("no speaker \"Sonos\"") && told.contains("(Fake Speaker)"), "{told}");

        lab.unplug(AudioDevice::Microphone).unwrap();
        lab.unplug(AudioDevice::Speaker).unwrap();
        let report = run(call(2, &["--audio", "mic", "--speaker", "default"]), lab.env()).report(1);
        assert!(problem(&report, "microphone_missing").starts_with("No microphone was found. Plug one in"));
        assert!(
            problem(&report, "speaker_missing")
                .starts_with("No speaker or headphones were found. Plug some in")
        );
        assert!(number(&report, "/video/frames_rendered") > 30.0, "{report:#}");
    }

    #[test]
    fn devices_are_listed_with_what_to_write_on_the_command_line() {
        let lab = PulseLab::start().unwrap();
        let found = run(ahoy(&["devices", "--json"]), lab.env()).report(0);
        let named = |kind: &str, name: &str| {
            let devices = found[kind].as_array().unwrap();
            devices.iter().find(|device| device["name"] == name).cloned().unwrap_or_default()
        };
        let microphone = named("microphones", AudioDevice::Microphone.description());
        let speaker = named("speakers", AudioDevice::Speaker.description());
        assert_eq!(
            (&microphone["is_default"], &speaker["is_default"]),
            (&true.into(), &true.into()),
            "{found:#}"
        );
        let shown = run(ahoy(&["devices"]), lab.env()).stdout;
        for (prefix, device) in [("mic", microphone), ("speaker", speaker)] {
            let choice = format!("{prefix}:{}", device["id"].as_str().unwrap());
            assert!(shown.contains(&choice), "{choice} is not in {shown}");
        }
    }

    #[test]
    fn a_home_where_nothing_has_had_sound_before_has_the_same_devices() {
        let lab = PulseLab::start().unwrap();
        let home = tempfile::tempdir().unwrap();
        let env = lab.env().into_iter().filter(|(name, _)| *name != "HOME");
        let env = env.chain([("HOME", home.path().into())]).collect();
        let found = run(ahoy(&["devices", "--json"]), env).report(0);
        let speakers = found["speakers"].as_array().unwrap();
        assert!(
            speakers.iter().any(|speaker| speaker["name"] == AudioDevice::Speaker.description()),
            "{found:#}"
        );
    }
}
