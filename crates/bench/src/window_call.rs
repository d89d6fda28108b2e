//! The window, as users have it: what its call costs, how soon its pictures are drawn, how fast it opens and closes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ahoy_media_types::FrameSize;
use ahoy_testkit::lab::{
    CameraPixels, CameraScene, Desktop, FakeCamera, FakeCameraSpec, Preferences, PulseLab, Window,
};
use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::processes;

/// What is left out at the start of a call and of an idle window: decoders and caches fill.
const SETTLING: Duration = Duration::from_secs(6);
/// Pictures of the clip that the camera shows over and over: all of it.
const PICTURES: u32 = 132;

/// A computer with devices, and the window's program.
pub(crate) struct Setting {
    program: PathBuf,
    camera: FakeCamera,
    sound: PulseLab,
}

/// A call in the window.
pub(crate) struct WindowCall {
    /// Of one core, all processes.
    pub(crate) cpu_cores: f64,
    /// All processes, what they share counted once.
    pub(crate) memory_mb: f64,
    /// From the press until the program had ended.
    pub(crate) closing_ms: f64,
    /// What the call itself says it was worth: see `CallSummary` in `ahoy-client`.
    pub(crate) summary: Value,
}

impl Setting {
    pub(crate) fn new(program: PathBuf, clip: &Path) -> Result<Self> {
        let camera = FakeCamera::new(&FakeCameraSpec {
            scene: CameraScene::Film(clip.to_owned()),
            pixels: vec![CameraPixels::Yuyv],
            sizes: vec![FrameSize::HD],
            rates: vec![30],
            frames: PICTURES,
            ..FakeCameraSpec::default()
        })?;
        Ok(Self { program, camera, sound: PulseLab::start()? })
    }

    fn open<'a>(
        &self,
        desktop: &'a Desktop,
        prepare: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<Window<'a>> {
        self.open_with(desktop, "Ada", [], prepare)
    }

    fn open_with<'a>(
        &self,
        desktop: &'a Desktop,
        name: &str,
        more: impl IntoIterator<Item = (&'static str, OsString)>,
        prepare: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<Window<'a>> {
        let settings = desktop.home().join(".config/chat.ahoy.desktop");
        fs::create_dir_all(&settings)?;
        let chosen = serde_json::json!({ "name": name, "first_run_done": true });
        fs::write(settings.join("settings.json"), chosen.to_string())?;
        let env = self.camera.env().into_iter().chain(self.sound.env()).chain(more);
        Window::open_after(desktop, &self.program, env, prepare)
            .with_context(|| format!("{} can't be used", self.program.display()))
    }

    /// Opens the window of somebody of this name, whose sign-ins are kept in a file.
    pub(crate) fn open_as<'a>(&self, desktop: &'a Desktop, name: &str) -> Result<Window<'a>> {
        let sessions = ("AHOY_SESSION_FILE", desktop.home().join("session.json").into());
        self.open_with(desktop, name, [sessions], || Ok(()))
    }

    /// Where the camera's clip lies, which its stand-in maps into the program.
    fn camera_files(&self) -> PathBuf {
        let env = self.camera.env();
        env.iter()
            .find(|(name, _)| *name == "AHOY_FAKE_CAMERA")
            .map(|(_, path)| path.into())
            .unwrap_or_default()
    }

    /// Calls for `length`, after it has settled, and closes the window while the call is running.
    pub(crate) fn call(&self, length: Duration) -> Result<WindowCall> {
        let desktop = Desktop::start(Preferences::default())?;
        let window = self.open(&desktop, || Ok(()))?;
        call_and_wait(&window)?;
        thread::sleep(SETTLING);
        let processes = window.processes()?;
        let (before, started) = (processes::cpu_time(&processes), Instant::now());
        thread::sleep(length);
        let cpu = processes::cpu_time(&processes) - before;
        let cpu_cores = cpu.as_secs_f64() / started.elapsed().as_secs_f64();
        let memory_mb = processes::memory_mb(&processes, &self.camera_files());
        let summary = window.run("return window.__TAURI_INTERNALS__.invoke('hang_up')")?;
        window.until("document.querySelector('figure') === null")?;
        window.press("Done")?;
        call_and_wait(&window)?;
        let closing = Instant::now();
        window.close()?;
        let closing_ms = closing.elapsed().as_secs_f64() * 1e3;
        Ok(WindowCall { cpu_cores, memory_mb, closing_ms, summary })
    }

    /// Opens the window; returns the milliseconds from the program's start until its first view had been painted. `cold` has
    /// the kernel forget all files it has read, which needs root.
    pub(crate) fn start(&self, cold: bool) -> Result<f64> {
        let desktop = Desktop::start(Preferences::default())?;
        let forget = || match cold {
            true => {
                rustix::fs::sync();
                fs::write("/proc/sys/vm/drop_caches", "3")
            }
            false => Ok(()),
        };
        let window = self.open(&desktop, forget)?;
        let mark = "performance.getEntriesByName('usable')[0]";
        window.until(&format!("{mark} !== undefined"))?;
        let usable = window.run(&format!("return performance.timeOrigin + {mark}.startTime"))?;
        let usable = Duration::from_secs_f64(usable.as_f64().context("the page has no clock")? / 1e3);
        let started = processes::started_at(window.process()?)?;
        Ok((usable.saturating_sub(started)).as_secs_f64() * 1e3)
    }

    /// What the window uses of one core in percent while nobody touches it.
    pub(crate) fn idle_cpu_percent(&self, length: Duration) -> Result<f64> {
        let desktop = Desktop::start(Preferences::default())?;
        let window = self.open(&desktop, || Ok(()))?;
        window.until("document.querySelector('h1') !== null")?;
        thread::sleep(SETTLING);
        let processes = window.processes()?;
        let before = processes::cpu_time(&processes);
        thread::sleep(length);
        let cpu = processes::cpu_time(&processes) - before;
        Ok(cpu.as_secs_f64() / length.as_secs_f64() * 100.0)
    }
}

/// The same call in a window of Chromium on a display of the same kind: its report, see `tests/interop/self_call.mjs`.
pub(crate) fn call_chromium(clip: &Path, seconds: u32) -> Result<Value> {
    let desktop = Desktop::start(Preferences::default())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/self_call.mjs");
    let output = Command::new("node")
        .arg(script)
        .args(["--size", "1280x720", "--bitrate", "1500", "--seconds", &seconds.to_string()])
        .args(["--display", desktop.display()])
        .arg("--clip")
        .arg(clip)
        .stderr(Stdio::inherit())
        .output()
        .context("node can't be started: cargo xtask setup --for test installs what this bench needs")?;
    let reports: Value = serde_json::from_slice(&output.stdout).context("Chromium's call gave no report")?;
    Ok(reports[0].clone())
}

fn call_and_wait(window: &Window) -> Result<()> {
    window.press("Test call")?;
    window.until("document.querySelectorAll('figure canvas').length === 2")?;
    Ok(())
}
