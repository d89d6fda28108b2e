//! The virtual machine with a camera and a sound card. Needs QEMU, busybox and alsa-utils; takes about 20 s.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod needs_vm {
    use std::collections::HashSet;
    use std::f32::consts::TAU;
    use std::fs;

    use ahoy_testkit::lab::CameraVm;

    const RATE: u32 = 48_000;
    /// vivid's pictures unless asked for others: 1280x720 YUYV.
    const FRAME_BYTES: usize = 1280 * 720 * 2;

    /// Two seconds of 1000 Hz.
    fn write_tone(path: &std::path::Path) {
        let format = hound::WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(path, format).unwrap();
        for n in 0..2 * RATE {
            let sample = (TAU * 1000.0 * n as f32 / RATE as f32).sin() * 12_000.0;
            wav.write_sample(sample as i16).unwrap();
        }
        wav.finalize().unwrap();
    }

    #[test]
    fn programs_find_a_camera_and_a_sound_card_and_what_they_write_comes_back() {
        let files = tempfile::tempdir().unwrap();
        let tone = files.path().join("tone.wav");
        write_tone(&tone);
        let report = CameraVm::new()
            .program("aplay")
            .program("arecord")
            .file(&tone)
            .command("cat /sys/class/video4linux/video0/name")
            .command(format!("head -c {} /dev/video0 > frames.yuyv", 2 * FRAME_BYTES))
            .command(
                "arecord -q -f S16_LE -r 48000 -c 1 heard.wav & \
                 until [ -s heard.wav ]; do sleep 0.1; done; \
                 aplay -q /input/tone.wav && kill -INT $! && wait",
            )
            .command("echo to standard error >&2; exit 7")
            .run()
            .unwrap();
        let statuses: Vec<i32> = report.commands.iter().map(|command| command.status).collect();
        assert_eq!(statuses, [0, 0, 0, 7], "{report:?}");
        assert_eq!(report.commands[0].stdout.trim(), "vivid-000-vid-cap");
        assert_eq!(report.commands[3].stderr, "to standard error\n");

        // Colour bars that stand still, and a counter that runs.
        let frames = fs::read(report.file("frames.yuyv")).unwrap();
        let (first, second) = frames.split_at(FRAME_BYTES);
        let different = first.iter().zip(second).filter(|(a, b)| a != b).count();
        assert!((1..FRAME_BYTES / 10).contains(&different), "{different} of {} bytes differ", second.len());
        assert!(first.iter().collect::<HashSet<_>>().len() > 8);

        let heard: Vec<i16> =
            hound::WavReader::open(report.file("heard.wav")).unwrap().samples().map(Result::unwrap).collect();
        let loudest = heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((10_000..14_000).contains(&loudest), "{loudest}");
        // A tone of 1000 Hz crosses zero upwards 2000 times in its two seconds; silence before and after it never does.
        let rising = |pair: &&[i16]| pair[0] < 0 && pair[1] >= 0;
        let crossings = heard.windows(2).filter(rising).count();
        assert!((1000..2010).contains(&crossings), "{crossings}");
    }
}
