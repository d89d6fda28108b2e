//! A guest: Chromium with one page, driven by `tests/interop/guest.mjs`. Tests of the window and of `ahoy-cli` share this file.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ahoy_measure::stamp::{self, Stamp};
use ahoy_media_types::{FrameId, FrameSize, I420Buffer, MediaTime};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// The driver, below the checkout that the package of the test lies in.
fn driver() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let driver = above.map(|folder| folder.join("tests/interop/guest.mjs")).find(|path| path.is_file());
    driver.expect("the driver is in the checkout")
}

/// Chromium with one page.
pub(crate) struct Guest {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    asked: u64,
}

impl Guest {
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut child = Command::new("node")
            .arg(driver())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js is installed: cargo xtask setup --for test");
        let commands = child.stdin.take().expect("standard input is piped");
        let answers = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        let mut guest = Self { child, commands, answers, asked: 0 };
        guest.answer();
        guest
    }

    fn answer(&mut self) -> Value {
        let line = self.answers.next().expect("Chromium runs").expect("the driver says something");
        let answer: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    #[track_caller]
    pub(crate) fn does(&mut self, command: &str, with: Value) -> Value {
        self.asked += 1;
        writeln!(self.commands, "{}", json!({"id": self.asked, "do": command, "with": with}))
            .expect("it listens");
        self.answer()
    }

    #[track_caller]
    pub(crate) fn until(&mut self, pattern: &str) {
        self.does("until", json!([pattern]));
    }

    #[track_caller]
    pub(crate) fn press(&mut self, name: &str) {
        self.does("press", json!([name]));
    }

    #[track_caller]
    pub(crate) fn joins(&mut self, link: &str, name: &str) {
        self.does("open", json!([link]));
        self.until("You are invited to a call");
        self.does("fill", json!(["Your name", name]));
        self.press("Join");
    }

    /// What the next different pictures in a tile say about themselves.
    #[track_caller]
    pub(crate) fn stamps(&mut self, tile: &str, count: usize) -> Vec<Stamp> {
        let seen = self.does("stamps", json!([tile, count]));
        let pictures = seen.as_array().expect("a list").iter().map(|picture| {
            let side = |name: &str| picture[name].as_u64().expect("a side in pixels");
            let size = FrameSize::new(side("width"), side("height")).expect("a good size");
            let luma = BASE64_STANDARD.decode(picture["luma"].as_str().expect("base64")).expect("base64");
            let mut buffer = I420Buffer::black(size);
            buffer.packed_mut()[..luma.len()].copy_from_slice(&luma);
            stamp::read(&buffer)
        });
        pictures.flatten().collect()
    }

    pub(crate) fn hears_something(&mut self) {
        while self.does("heard", json!([])).as_f64().expect("a number") < 1e-4 {}
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The driver closes Chromium when its input ends; whatever it says about that is of no interest.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three seconds of numbered pictures for Chromium's camera, which knows the plain colour space only.
pub(crate) fn write_clip(path: &Path, size: FrameSize) {
    let mut clip =
        format!("YUV4MPEG2 W{} H{} F30:1 Ip A1:1 C420\n", size.width(), size.height()).into_bytes();
    for id in 0..90 {
        let mut picture = I420Buffer::black(size);
        assert!(stamp::draw(&mut picture, FrameId(id), MediaTime::ZERO));
        clip.extend_from_slice(b"FRAME\n");
        clip.extend_from_slice(picture.packed());
    }
    std::fs::write(path, clip).expect("the clip is written");
}
