//! The built application on a private desktop, used as a person would: by what is written on its controls.
#![allow(dead_code, reason = "each test binary uses its part of this")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use ahoy_measure::stamp::{self, Stamp};
use ahoy_media_types::{FrameSize, I420Buffer};
use ahoy_testkit::SignalingServer;
use ahoy_testkit::lab::{
    CameraPixels, CameraScene, Desktop, FakeCamera, FakeCameraSpec, LabError, Preferences, PulseLab, Window,
    write_chirps,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// The application under test.
const AHOY: &str = env!("CARGO_BIN_EXE_ahoy");

/// What the labels of the call's two tiles say.
pub(crate) const OWN_TILE: &str = "You";
pub(crate) const OTHERS_TILE: &str = "What others see";

/// Leaves the web view without anything that decodes H.264, as on systems that lack the plug-in (GStreamer manual,
/// "Environment variables").
pub(crate) fn no_h264() -> (&'static str, OsString) {
    let decoders = ["avdec_h264", "openh264dec", "vah264dec", "vaapih264dec", "v4l2h264dec", "nvh264dec"];
    let ranks: Vec<String> = decoders.iter().map(|decoder| format!("{decoder}:NONE")).collect();
    ("GST_PLUGIN_FEATURE_RANK", ranks.join(",").into())
}

/// A computer with a desktop, with or without devices.
pub(crate) struct Computer {
    pub(crate) desktop: Desktop,
    pub(crate) camera: Option<FakeCamera>,
    pub(crate) sound: Option<PulseLab>,
}

impl Computer {
    /// One without camera and sound.
    pub(crate) fn bare(preferences: Preferences) -> Self {
        let desktop = Desktop::start(preferences).expect("a desktop");
        Self { desktop, camera: None, sound: None }
    }

    /// One with a camera of 720p, a microphone and a speaker, whose person has been asked all first questions.
    pub(crate) fn equipped() -> Self {
        Self::equipped_to_see(CameraScene::Pattern)
    }

    /// The same, whose camera sees `scene`: one second of it, over and over.
    pub(crate) fn equipped_to_see(scene: CameraScene) -> Self {
        let spec = FakeCameraSpec {
            scene,
            pixels: vec![CameraPixels::Yuyv],
            sizes: vec![FrameSize::HD],
            rates: vec![30],
            ..FakeCameraSpec::default()
        };
        let computer = Self {
            camera: Some(FakeCamera::new(&spec).expect("a camera")),
            sound: Some(PulseLab::start().expect("sound")),
            ..Self::bare(Preferences::default())
        };
        computer.settings(&json!({ "name": "Ada", "first_run_done": true }));
        computer
    }

    pub(crate) fn camera(&self) -> &FakeCamera {
        self.camera.as_ref().expect("this computer has a camera")
    }

    pub(crate) fn sound(&self) -> &PulseLab {
        self.sound.as_ref().expect("this computer has sound")
    }

    /// Leaves settings as if they had been made before.
    pub(crate) fn settings(&self, settings: &Value) {
        let folder = self.desktop.home().join(".config/chat.ahoy.desktop");
        std::fs::create_dir_all(&folder).expect("a folder at home");
        std::fs::write(folder.join("settings.json"), settings.to_string()).expect("a file in it");
    }

    fn devices(&self) -> Vec<(&'static str, OsString)> {
        let camera = self.camera.as_ref().map(FakeCamera::env).unwrap_or_default();
        let sound = self.sound.as_ref().map(PulseLab::env).unwrap_or_default();
        camera.into_iter().chain(sound).collect()
    }

    /// Opens Ahoy. Pictures carry stamps.
    pub(crate) fn open(&self) -> Ahoy<'_> {
        self.open_with([])
    }

    /// The same with more in its environment.
    pub(crate) fn open_with(&self, more: impl IntoIterator<Item = (&'static str, OsString)>) -> Ahoy<'_> {
        let stamps = ("AHOY_STAMP_PICTURES", "1".into());
        self.open_unstamped([stamps].into_iter().chain(more))
    }

    /// The same with pictures as users see them.
    pub(crate) fn open_unstamped(
        &self,
        more: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Ahoy<'_> {
        self.open_program(Path::new(AHOY), more)
    }

    /// Opens Ahoy as the system does for a link, while it is not running.
    pub(crate) fn open_by_link(&self, link: &str) -> Ahoy<'_> {
        use std::os::unix::fs::PermissionsExt as _;
        let start = self.desktop.home().join("open-link");
        std::fs::write(&start, format!("#!/bin/sh\nexec '{AHOY}' '{link}'\n")).expect("a file at home");
        let anybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&start, anybody).expect("it can be started");
        self.open_program(&start, [])
    }

    fn open_program(
        &self,
        program: &Path,
        more: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Ahoy<'_> {
        let nearby = ("AHOY_NEARBY", format!("loopback:{}", nearby_port()).into());
        let env = self.devices().into_iter().chain([nearby]).chain(more);
        let ahoy = Ahoy { window: Window::open(&self.desktop, program, env).expect("Ahoy opens") };
        ahoy.run(
            "window.failures = [];
             addEventListener('error', ({ message }) => window.failures.push(message));
             addEventListener('unhandledrejection', ({ reason }) => window.failures.push(String(reason)))",
        );
        ahoy
    }

    /// A start of Ahoy beside whatever runs already.
    pub(crate) fn another_start(&self) -> Command {
        self.desktop.command(AHOY)
    }

    /// Speaks into the microphone, for longer than any test lasts.
    pub(crate) fn speak(&self) -> ahoy_testkit::lab::Playing {
        let wav = self.desktop.home().join("speech.wav");
        write_chirps(&wav, Duration::from_secs(120)).expect("a sound file");
        self.sound().play_into_mic(&wav).expect("sound is played")
    }
}

/// A port for finding calls on this machine that no other test uses at this time: each test is a process of its own.
fn nearby_port() -> u16 {
    static PORT: LazyLock<u16> = LazyLock::new(|| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.local_addr().expect("it is bound").port()
    });
    *PORT
}

/// The open application.
pub(crate) struct Ahoy<'a> {
    pub(crate) window: Window<'a>,
}

impl Ahoy<'_> {
    /// Runs the body of a function in the page.
    #[track_caller]
    pub(crate) fn run(&self, body: &str) -> Value {
        self.window.run(body).unwrap_or_else(|error| panic!("{error}; in: {body}"))
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) {
        self.expect(self.window.until(expression), expression);
    }

    /// Fails with what the page says where something never came about.
    #[track_caller]
    fn expect(&self, came: Result<(), LabError>, what: &str) {
        if let Err(error) = came {
            let state = self.run("return [window.failures, document.body.innerText, document.querySelector('dialog')?.outerHTML]");
            panic!("never so: {what} ({error}); failures in the page, and what it says: {state}");
        }
    }

    /// Waits until the window shows text that a regular expression matches.
    #[track_caller]
    pub(crate) fn until_text(&self, pattern: &str) {
        self.until(&format!("/{pattern}/i.test(document.body.innerText)"));
    }

    /// Waits for a heading.
    #[track_caller]
    pub(crate) fn until_heading(&self, text: &str) {
        self.until(&format!("document.querySelector('h1')?.textContent.trim() === {text:?}"));
    }

    /// Waits until there is a control with this name.
    #[track_caller]
    pub(crate) fn until_control(&self, name: &str) {
        self.expect(self.window.until_control(name), name);
    }

    /// Waits for a control with this name and presses it.
    #[track_caller]
    pub(crate) fn press(&self, name: &str) {
        self.expect(self.window.press(name), name);
    }

    /// Types into a field, in place of what is there.
    #[track_caller]
    pub(crate) fn fill(&self, field: &str, text: &str) {
        let find = format!(
            "[...document.querySelectorAll('label')].find((l) => l.textContent.trim() === {field:?})?.control"
        );
        self.until(&format!("{find} !== undefined"));
        self.run(&format!(
            "const field = {find};
             field.value = {text:?};
             field.dispatchEvent(new Event('input', {{ bubbles: true }}))"
        ));
    }

    /// Waits until a list offers a choice and makes it.
    #[track_caller]
    pub(crate) fn choose(&self, list: &str, choice: &str) {
        let find = format!(
            "(() => {{
               const label = [...document.querySelectorAll('label')].find((l) => l.textContent.trim() === {list:?});
               const options = [...(label?.control?.options ?? [])];
               return options.find((option) => option.textContent.trim() === {choice:?});
             }})()"
        );
        self.until(&format!("{find} !== undefined"));
        self.run(&format!(
            "const option = {find};
             const list = option.closest('select');
             list.value = option.value;
             list.dispatchEvent(new Event('change', {{ bubbles: true }}))"
        ));
    }

    /// Waits until nothing moves any more and the fonts are there.
    #[track_caller]
    pub(crate) fn settle(&self) {
        self.run(
            "const ended = document.getAnimations().map(({ finished }) => finished.catch(() => {}));
             return Promise.all([document.fonts.ready, ...ended]).then(() => true)",
        );
    }

    /// Starts a test call and waits until pictures are in both tiles.
    #[track_caller]
    pub(crate) fn call(&self) {
        self.press("Test call");
        for tile in [OWN_TILE, OTHERS_TILE] {
            self.until(&format!("document.querySelector('figure[aria-label={tile:?}] canvas') !== null"));
        }
    }

    /// What the next `count` different pictures in a tile say about themselves.
    #[track_caller]
    pub(crate) fn stamps(&self, tile: &str, count: usize) -> Vec<Stamp> {
        let canvas = format!("document.querySelector('figure[aria-label={tile:?}] canvas')");
        let pictures = self.run(&format!(
            "const copy = document.createElement('canvas');
             const context = copy.getContext('2d', {{ willReadFrequently: true }});
             const seen = [];
             return new Promise((done) => {{
               const look = () => {{
                 const canvas = {canvas};
                 if (canvas?.width) {{
                   // They may become smaller or larger meanwhile, but a stamp is never lower than this.
                   const {{ width, height }} = canvas;
                   const rows = Math.min(height, Math.max(16, Math.ceil(height / 12)));
                   [copy.width, copy.height] = [width, rows];
                   context.drawImage(canvas, 0, 0);
                   const pixels = context.getImageData(0, 0, width, rows).data;
                   let luma = '';
                   for (let i = 1; i < pixels.length; i += 4) luma += String.fromCharCode(pixels[i]);
                   // What WebGL has drawn can be read only until it is on the screen; after that it is empty.
                   const empty = !/[^\\0]/.test(luma);
                   if (!empty && luma !== seen.at(-1)?.luma) seen.push({{ width, height, luma }});
                 }}
                 seen.length < {count} ? requestAnimationFrame(look)
                   : done(seen.map(({{ luma, ...size }}) => ({{ ...size, luma: btoa(luma) }})));
               }};
               look();
             }})",
        ));
        let pictures = pictures.as_array().expect("a list").iter();
        pictures
            .map(|picture| {
                let side = |name: &str| picture[name].as_u64().expect("a side in pixels");
                let size = FrameSize::new(side("width"), side("height")).expect("a good size");
                let luma = BASE64_STANDARD.decode(picture["luma"].as_str().expect("base64")).expect("base64");
                let mut buffer = I420Buffer::black(size);
                buffer.packed_mut()[..luma.len()].copy_from_slice(&luma);
                stamp::read(&buffer).expect("a picture in a tile has its stamp")
            })
            .collect()
    }

    /// The mean colour of a column in the upper half of a tile's picture: red, green and blue, 0 to 255.
    #[track_caller]
    pub(crate) fn colour(&self, tile: &str, across: f64) -> [f64; 3] {
        let colour = self.run(&format!(
            "const canvas = document.querySelector('figure[aria-label={tile:?}] canvas');
             const [width, height] = [canvas.width, canvas.height];
             const copy = document.createElement('canvas');
             [copy.width, copy.height] = [width, height];
             const context = copy.getContext('2d', {{ willReadFrequently: true }});
             context.drawImage(canvas, 0, 0);
             const rows = Math.floor(height / 4);
             const pixels = context.getImageData(Math.floor(width * {across}), rows, 1, rows).data;
             return [0, 1, 2].map((part) => {{
               let sum = 0;
               for (let i = part; i < pixels.length; i += 4) sum += pixels[i];
               return sum / rows;
             }})"
        ));
        [0, 1, 2].map(|part| colour[part].as_f64().expect("a number"))
    }

    /// Names of the program's own threads.
    pub(crate) fn threads(&self) -> BTreeSet<String> {
        let process = self.window.process().expect("Ahoy runs");
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("Ahoy runs");
        let names =
            threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("ahoy-")).collect()
    }

    /// A place in the folder for the files of this build's tests.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        path
    }

    /// Stores what the window shows there.
    #[track_caller]
    pub(crate) fn screenshot(&self, name: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, self.window.screenshot().expect("a screenshot")).expect("it can be stored");
        path
    }
}

/// What everybody signs in with.
const PASSWORD: &str = "correct horse battery";

/// A server for people at windows.
pub(crate) fn server() -> SignalingServer {
    SignalingServer::start_with(|config| {
        (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
    })
    .unwrap()
}

/// A computer of somebody, with camera and sound.
pub(crate) fn computer_of(name: &str) -> Computer {
    let computer = Computer::equipped();
    computer.settings(&json!({ "name": name, "first_run_done": true }));
    computer
}

/// Opens Ahoy, which keeps sign-ins in a file: there is no keyring.
pub(crate) fn open_signed_in(computer: &Computer) -> Ahoy<'_> {
    let file: OsString = computer.desktop.home().join("session.json").into();
    computer.open_with([("AHOY_SESSION_FILE", file)])
}

#[track_caller]
pub(crate) fn sign_up(ahoy: &Ahoy<'_>, server: &SignalingServer, handle: &str) {
    ahoy.press("Sign in");
    ahoy.until_heading("Sign in");
    ahoy.press("I have no account");
    ahoy.until_heading("Make an account");
    ahoy.fill("Server", server.url());
    ahoy.fill("Handle", handle);
    ahoy.fill("Password", PASSWORD);
    ahoy.press("Make the account");
    ahoy.until_heading("Keep these codes");
    ahoy.press("I have kept them");
    ahoy.until_text("Signed in as");
    // Listed once the history was asked for.
    ahoy.until_text("Calls that you make and get are listed here");
    let said = ahoy.run("return document.body.innerText");
    assert!(!said.as_str().unwrap().contains("You are not signed in"), "{said}");
}
