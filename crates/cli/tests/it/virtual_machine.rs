//! Devices of a real kernel: a V4L2 camera (vivid) and an ALSA sound card (snd-aloop), in a virtual machine. Needs QEMU and
//! busybox; takes a minute, because the machine is emulated.

mod needs_vm {
    use ahoy_media_types::FrameSize;
    use ahoy_testkit::lab::CameraVm;
    use serde_json::Value;

    use crate::support::{heard_chirps, number, samples, y4m};

    /// What `ahoy-cli` is called with first in every command of the machine, which has no home.
    const AHOY: &str = "ahoy-cli --no-log-file";

    #[test]
    fn the_kernel_s_camera_and_sound_card_are_listed_captured_from_and_played_to() {
        let report = CameraVm::new()
            .program(env!("CARGO_BIN_EXE_ahoy-cli"))
            .command(format!("{AHOY} devices --json"))
            .command(format!("{AHOY} capture --video camera --audio none --size 640x360 --seconds 4 --json"))
            // The microphone hears what the call plays on the speaker.
            .command(format!(
                "{AHOY} capture --video none --audio mic --seconds 36 --audio-out heard.wav --json & \
                 until [ -s heard.wav ]; do sleep 0.1; done; \
                 {AHOY} loopback --video none --audio chirps --speaker default --seconds 20 --json > call.json; \
                 [ $? -le 1 ] || exit 9; \
                 wait $!"
            ))
            .run()
            .unwrap();
        let [devices, capture, sound] = &report.commands[..] else { panic!("{report:?}") };
        let statuses = [devices.status, capture.status, sound.status];
        assert_eq!(statuses, [0, 0, 0], "{report:#?}");

        let found: Value = serde_json::from_str(&devices.stdout).unwrap();
        assert_eq!(
            (&found["cameras"][0]["id"], &found["cameras"][0]["name"]),
            (&"/dev/video0".into(), &"vivid".into())
        );
        let names = |kind: &str| found[kind].to_string();
        assert!(
            names("microphones").contains("Loopback") && names("speakers").contains("Loopback"),
            "{found:#}"
        );

        let captured: Value = serde_json::from_str(&capture.stdout).unwrap();
        let frames = y4m(&report.file("capture.y4m"), FrameSize::new(640, 360).unwrap());
        assert_eq!(frames.len() as f64, number(&captured, "/video/frames"));
        assert!(frames.len() > 10 && number(&captured, "/video/changed") > 10.0, "{captured:#}");
        // Colour bars with a running counter: every picture has dark and bright parts.
        let contrast = |luma: &[u8]| luma.iter().max().unwrap() - luma.iter().min().unwrap();
        assert!(frames.iter().all(|frame| contrast(frame.y()) > 100));

        let call: Value = serde_json::from_slice(&std::fs::read(report.file("call.json")).unwrap()).unwrap();
        assert!(number(&call, "/audio/packets_received") > 20.0, "{call:#}");
        let heard = samples(&report.file("heard.wav"));
        // The call of an emulated machine on a busy one has gaps; no two chirps are alike, so one would nearly be enough.
        assert!(heard_chirps(&heard) >= 2, "{} samples; {call:#}", heard.len());
    }
}
