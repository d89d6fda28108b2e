//! Test calls in the real window on a computer with camera, microphone and speaker: what is seen on the canvases, heard at
//! the speaker and held of the devices.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod needs_display {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    use ahoy_measure::stamp::Stamp;
    use ahoy_testkit::lab::AudioDevice;

    use super::support::{Ahoy, Computer, OTHERS_TILE, OWN_TILE, no_h264};

    /// Long enough for two chirps.
    const A_WHILE: Duration = Duration::from_secs(1);
    /// Chirps are far above it, and dither below.
    const SILENCE: f32 = 0.001;
    const SPEECH: f32 = 0.1;

    #[track_caller]
    fn assert_moving(stamps: &[Stamp]) {
        let forward = |pair: &[Stamp]| pair[0].id < pair[1].id && pair[0].at < pair[1].at;
        assert!(stamps.windows(2).all(forward), "{stamps:?}");
    }

    #[test]
    fn a_test_call_shows_what_the_camera_sees_and_what_arrives() {
        let computer = Computer::equipped();
        let ahoy = computer.open();
        ahoy.call();
        for tile in [OWN_TILE, OTHERS_TILE] {
            assert_moving(&ahoy.stamps(tile, 12));
        }
        ahoy.press("Show live numbers");
        ahoy.until_text("captured");
        ahoy.screenshot("call-with-numbers.png");
        ahoy.press("Hang up");
        ahoy.until("document.querySelector('figure') === null");
        ahoy.screenshot("summary.png");
    }

    /// The camera's test picture has six bars, which one's own tile draws from plain pictures and the other from H.264.
    #[test]
    fn both_tiles_have_the_cameras_colours() {
        const BARS: [[f64; 3]; 6] = [
            [255.0, 0.0, 0.0],
            [0.0, 255.0, 0.0],
            [255.0, 255.0, 0.0],
            [0.0, 0.0, 255.0],
            [255.0, 0.0, 255.0],
            [0.0, 255.0, 255.0],
        ];
        let computer = Computer::equipped();
        let ahoy = computer.open();
        ahoy.call();
        for tile in [OWN_TILE, OTHERS_TILE] {
            for (bar, expected) in BARS.iter().enumerate() {
                let seen = ahoy.colour(tile, (bar as f64 + 0.5) / BARS.len() as f64);
                let near = seen.iter().zip(expected).all(|(seen, expected)| (seen - expected).abs() < 40.0);
                assert!(near, "{tile}, bar {bar}: {seen:?} for {expected:?}");
            }
        }
    }

    #[test]
    fn what_is_said_is_heard_until_the_microphone_is_turned_off() {
        let computer = Computer::equipped();
        let (ahoy, _voice) = (computer.open(), computer.speak());
        let heard = || computer.sound().loudest(AudioDevice::Speaker, A_WHILE).unwrap();
        ahoy.call();
        until(|| heard() > SPEECH);
        ahoy.press("Turn microphone off");
        until(|| heard() < SILENCE);
        assert!(heard() < SILENCE, "it is no gap between two words");
        ahoy.press("Turn microphone on");
        until(|| heard() > SPEECH);
    }

    #[test]
    fn the_camera_is_let_go_while_it_is_off() {
        let computer = Computer::equipped();
        let ahoy = computer.open();
        ahoy.call();
        assert!(computer.camera().is_in_use().unwrap());
        ahoy.press("Turn camera off");
        until(|| !computer.camera().is_in_use().unwrap());
        ahoy.until("document.querySelector('figure canvas') === null");
        ahoy.screenshot("call-camera-off.png");
        ahoy.press("Turn camera on");
        ahoy.until("document.querySelectorAll('figure canvas').length === 2");
        assert_moving(&ahoy.stamps(OTHERS_TILE, 6));
    }

    #[test]
    fn sound_goes_over_to_another_speaker_during_the_call() {
        let computer = Computer::equipped();
        let sound = computer.sound();
        // The last one plugged in is the one that the system prefers.
        sound.plug_in(AudioDevice::Headphones).unwrap();
        let (ahoy, _voice) = (computer.open(), computer.speak());
        let heard = |device| sound.loudest(device, A_WHILE).unwrap();
        ahoy.call();
        until(|| heard(AudioDevice::Headphones) > SPEECH);
        assert!(heard(AudioDevice::Speaker) < SILENCE);
        ahoy.press("Choose devices");
        ahoy.choose("Speaker", AudioDevice::Speaker.description());
        until(|| heard(AudioDevice::Speaker) > SPEECH);
        assert!(heard(AudioDevice::Headphones) < SILENCE);
        ahoy.screenshot("call-devices.png");
    }

    #[test]
    fn hanging_up_leaves_no_thread_and_no_open_device() {
        let computer = Computer::equipped();
        let ahoy = computer.open();
        ahoy.until_control("Test call");
        let before = settled_threads(&ahoy);
        ahoy.call();
        assert!(ahoy.threads().len() > before.len() + 5, "{:?}", ahoy.threads());
        assert!(computer.camera().is_in_use().unwrap());
        until(|| computer.sound().open_streams().unwrap() == 2);
        ahoy.press("Hang up");
        ahoy.until("document.querySelector('figure') === null");
        assert!(!computer.camera().is_in_use().unwrap());
        assert_eq!(computer.sound().open_streams().unwrap(), 0);
        assert_eq!(ahoy.threads(), before);
    }

    #[test]
    fn closing_the_window_in_a_call_lets_everything_go() {
        let computer = Computer::equipped();
        let ahoy = computer.open();
        ahoy.call();
        let processes = ahoy.window.processes().unwrap();
        ahoy.window.close().unwrap();
        for process in processes {
            until(|| !std::path::Path::new(&format!("/proc/{process}")).exists());
        }
        assert!(!computer.camera().is_in_use().unwrap());
        assert_eq!(computer.sound().open_streams().unwrap(), 0);
    }

    #[test]
    fn a_web_view_that_cannot_decode_shows_pictures_decoded_here_and_says_what_it_lacks() {
        let computer = Computer::equipped();
        let ahoy = computer.open_with([no_h264()]);
        ahoy.call();
        for tile in [OWN_TILE, OTHERS_TILE] {
            assert_moving(&ahoy.stamps(tile, 8));
        }
        ahoy.until_text("gstreamer1.0-libav");
        ahoy.screenshot("call-without-h264.png");
    }

    #[test]
    fn the_first_run_shows_the_camera_and_hears_the_microphone() {
        let computer = Computer::equipped();
        computer.settings(&serde_json::json!({}));
        let (ahoy, _voice) = (computer.open(), computer.speak());
        ahoy.until_heading("Welcome aboard");
        ahoy.until("document.querySelector('figure canvas') !== null");
        ahoy.until("Number(document.querySelector('[role=meter]')?.getAttribute('aria-valuenow')) > 0");
        ahoy.screenshot("first-run-with-devices.png");
        ahoy.press("Skip for now");
        ahoy.until_heading("Ahoy!");
        until(|| !computer.camera().is_in_use().unwrap());
    }

    #[test]
    fn nobody_but_the_window_gets_pictures_and_each_token_opens_one_connection() {
        let computer = Computer::equipped();
        let ahoy = computer.open();
        ahoy.call();
        let access = ahoy.run("return window.__TAURI_INTERNALS__.invoke('media_access')");
        let address = access["url"].as_str().unwrap().trim_start_matches("ws://").trim_end_matches('/');
        for (origin, status) in [
            ("", "403"),
            ("Origin: https://example.org\r\n", "403"),
            ("Origin: http://127.0.0.1\r\n", "403"),
            ("Origin: null\r\n", "403"),
            ("Origin: http://tauri.localhost\r\n", "403"),
            ("Origin: tauri://localhost\r\n", "101"),
        ] {
            assert_eq!(upgrade(address, origin), status, "{origin}");
        }
        // From the window's own page, which has the right origin: the close code, or "picture".
        let connect = |token: &str| {
            ahoy.run(&format!(
                "return window.__TAURI_INTERNALS__.invoke('media_access').then(({{ url }}) => new Promise((done) => {{
                   const socket = new WebSocket(url);
                   socket.onopen = () => {{
                     socket.send(JSON.stringify({{ token: {token:?}, stream: 'local', accepts: 'i420' }}));
                     socket.send(JSON.stringify({{ type: 'credit', pictures: 1 }}));
                   }};
                   socket.onmessage = () => {{ done('picture'); socket.close(); }};
                   socket.onclose = ({{ code }}) => done(code);
                 }}))"
            ))
        };
        let token = access["token"].as_str().unwrap();
        assert_eq!(connect("a guess"), 4401);
        assert_eq!(connect(token), "picture");
        assert_eq!(connect(token), 4401);
    }

    /// The HTTP status with which a request for a WebSocket is answered.
    fn upgrade(address: &str, origin: &str) -> String {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(
            socket,
            "GET / HTTP/1.1\r\nHost: {address}\r\n{origin}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Threads of the idle application: those of what was shown before have ended.
    fn settled_threads(ahoy: &Ahoy) -> std::collections::BTreeSet<String> {
        until(|| !ahoy.threads().contains("ahoy-preview"));
        ahoy.threads()
    }

    /// Waits for what another program shows only when it is asked.
    #[track_caller]
    fn until(mut is_so: impl FnMut() -> bool) {
        let started = std::time::Instant::now();
        while !is_so() {
            assert!(started.elapsed() < Duration::from_secs(30), "it never came to that");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
