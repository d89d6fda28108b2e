//! A camera: a library that programs are started with (`LD_PRELOAD`), which answers for `/dev/video0`.
//!
//! The program under test is unmodified and goes through its own V4L2 code. Other cameras of the machine are hidden from
//! it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use ahoy_media_types::FrameSize;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::{LabError, run};

const SHIM: &str = include_str!("../../lab/v4l2_shim.c");

/// What the camera sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraScene {
    /// Moving colours.
    Pattern,
    /// A film in any format that ffmpeg reads; only its beginning is used, over and over.
    Film(PathBuf),
}

/// A pixel format of cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraPixels {
    /// 4:2:2, packed, uncompressed.
    Yuyv,
    /// One JPEG for each picture, 4:2:2. As with real cameras, the buffer holds rubbish after it.
    Mjpeg,
}

/// Describes a camera.
#[derive(Clone, Debug)]
pub struct FakeCameraSpec {
    /// The name that people see, at most 31 bytes on one line.
    pub name: String,
    /// What it sees.
    pub scene: CameraScene,
    /// The pixel formats it offers, each in all sizes.
    pub pixels: Vec<CameraPixels>,
    /// The sizes it offers; the first is the default.
    pub sizes: Vec<FrameSize>,
    /// The rates it offers in frames per second; the first is the default, and that of the pictures.
    pub rates: Vec<u32>,
    /// Number of different pictures, after which they start over.
    pub frames: u32,
}

impl Default for FakeCameraSpec {
    /// A second of moving colours in 1280x720 and 640x360 with 30 and 15 frames per second.
    fn default() -> Self {
        let small = FrameSize::new(640, 360).expect("640x360 is a valid size");
        Self {
            name: "Fake Camera".into(),
            scene: CameraScene::Pattern,
            pixels: vec![CameraPixels::Yuyv, CameraPixels::Mjpeg],
            sizes: vec![FrameSize::HD, small],
            rates: vec![30, 15],
            frames: 30,
        }
    }
}

/// A camera for programs started with [`env`](Self::env).
#[derive(Debug)]
pub struct FakeCamera {
    directory: TempDir,
    /// Counts how often it was plugged in.
    generation: AtomicU64,
}

impl FakeCamera {
    /// Makes a camera and plugs it in. Takes a C compiler and ffmpeg, and disk space for the pictures: 1.8 MB for each
    /// of 1280x720.
    pub fn new(spec: &FakeCameraSpec) -> Result<Self, LabError> {
        let directory = TempDir::with_prefix("camera-")?;
        let root = directory.path();
        for part in ["dev", "sys"] {
            fs::create_dir(root.join(part))?;
        }
        fs::write(root.join("lock"), "")?;
        fs::write(root.join("used"), "")?;
        build_shim(root)?;
        let rate = spec.rates.first().copied().unwrap_or(30);
        let mut conf = format!("name {}\nclip-rate {rate}\n", spec.name);
        for rate in &spec.rates {
            writeln!(conf, "rate {rate}").expect("writing to a string cannot fail");
        }
        for &pixels in &spec.pixels {
            for &size in &spec.sizes {
                let (fourcc, pictures) = match pixels {
                    CameraPixels::Yuyv => ("YUYV", render_yuyv(spec, size, rate)?),
                    CameraPixels::Mjpeg => ("MJPG", render_mjpeg(spec, size, rate)?),
                };
                let file = format!("{fourcc}-{size}");
                write_clip(&root.join(&file), &pictures)?;
                writeln!(conf, "format {fourcc} {} {} {file}", size.width(), size.height())
                    .expect("writing to a string cannot fail");
            }
        }
        fs::write(root.join("camera.conf"), conf)?;
        fs::write(root.join("name"), format!("{}\n", spec.name))?;
        let camera = Self { directory, generation: AtomicU64::new(0) };
        camera.plug_in()?;
        Ok(camera)
    }

    /// What to set in the environment of the programs under test.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        let mut preload = OsString::from(self.path("shim.so"));
        if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
            preload.push(":");
            preload.push(others);
        }
        vec![("LD_PRELOAD", preload), ("AHOY_FAKE_CAMERA", self.directory.path().into())]
    }

    /// Plugs the camera in (again). Programs that had it open before stay without it until they open it anew.
    pub fn plug_in(&self) -> Result<(), LabError> {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let class = self.path("sys/video0");
        fs::create_dir_all(&class)?;
        fs::copy(self.path("name"), class.join("name"))?;
        // Renamed into place: a program must not find it half written.
        fs::write(self.path("video0.new"), generation.to_string())?;
        Ok(fs::rename(self.path("video0.new"), self.path("dev/video0"))?)
    }

    /// Pulls the camera out, under the hands of whoever uses it: everything fails with `ENODEV` from now on.
    pub fn unplug(&self) -> Result<(), LabError> {
        absent_is_fine(fs::remove_file(self.path("dev/video0")))?;
        Ok(absent_is_fine(fs::remove_dir_all(self.path("sys/video0")))?)
    }

    /// While busy, the camera can be opened but not started (`EBUSY`), as if another program used it.
    pub fn set_busy(&self, busy: bool) -> Result<(), LabError> {
        self.mark("busy", busy)
    }

    /// While stalled, the camera delivers no frames, though it stays there.
    pub fn set_stalled(&self, stalled: bool) -> Result<(), LabError> {
        self.mark("stalled", stalled)
    }

    /// Whether some program has the camera's buffers: whether its light is on.
    pub fn is_in_use(&self) -> Result<bool, LabError> {
        let used = OpenOptions::new().read(true).open(self.path("used"))?;
        match flock(&used, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(LabError::Io(error.into())),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn mark(&self, name: &str, set: bool) -> Result<(), LabError> {
        match set {
            true => Ok(fs::write(self.path(name), "")?),
            false => Ok(absent_is_fine(fs::remove_file(self.path(name)))?),
        }
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn build_shim(root: &Path) -> Result<(), LabError> {
    let source = root.join("v4l2_shim.c");
    fs::write(&source, SHIM)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
    run(compiler.arg(root.join("shim.so")).arg(&source).arg("-ldl"), "build-essential").map(|_| ())
}

/// An ffmpeg command that reads the scene; the output's format and place are still to be given.
fn renderer(spec: &FakeCameraSpec, size: FrameSize, rate: u32) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-loglevel", "error", "-nostdin"]);
    match &spec.scene {
        CameraScene::Pattern => {
            command.args(["-f", "lavfi", "-i"]).arg(format!("testsrc2=size={size}:rate={rate}"))
        }
        CameraScene::Film(path) => command.args(["-stream_loop", "-1", "-i"]).arg(path),
    };
    let (width, height) = (size.width(), size.height());
    command.args(["-an", "-vf"]).arg(format!("fps={rate},scale={width}:{height}"));
    command.args(["-frames:v", &spec.frames.max(1).to_string()]);
    command
}

fn render_yuyv(spec: &FakeCameraSpec, size: FrameSize, rate: u32) -> Result<Vec<Vec<u8>>, LabError> {
    let mut command = renderer(spec, size, rate);
    let output = run(command.args(["-pix_fmt", "yuyv422", "-f", "rawvideo", "-"]), "ffmpeg")?;
    let picture = size.width() as usize * size.height() as usize * 2;
    Ok(output.stdout.chunks_exact(picture).map(<[u8]>::to_vec).collect())
}

fn render_mjpeg(spec: &FakeCameraSpec, size: FrameSize, rate: u32) -> Result<Vec<Vec<u8>>, LabError> {
    let pictures = TempDir::with_prefix("camera-mjpeg-")?;
    let mut command = renderer(spec, size, rate);
    command.args(["-pix_fmt", "yuvj422p", "-c:v", "mjpeg", "-q:v", "3", "-f", "image2"]);
    run(command.arg(pictures.path().join("%06d.jpg")), "ffmpeg")?;
    let mut paths: Vec<PathBuf> =
        fs::read_dir(pictures.path())?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths.iter().map(fs::read).collect::<io::Result<_>>()?)
}

/// Writes what `map_clip` in the shim reads.
fn write_clip(path: &Path, pictures: &[Vec<u8>]) -> Result<(), LabError> {
    let mut file = BufWriter::new(File::create(path)?);
    for picture in pictures {
        let length = u32::try_from(picture.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(picture)?;
    }
    Ok(file.flush()?)
}
