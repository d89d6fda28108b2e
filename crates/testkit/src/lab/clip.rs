//! Real pictures and speech for the fake devices.

use std::path::{Path, PathBuf};
use std::process::Command;

use ahoy_media_types::SAMPLE_RATE;
use tempfile::TempDir;

use super::{LabError, run};

/// Names the directory of the clips; `cargo xtask` sets it for tests and benches.
const DIRECTORY_VARIABLE: &str = "AHOY_CLIPS";

/// A film of 5.3 s: the beginning of "Big Buck Bunny", © 2008 Blender Foundation, CC BY 3.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Its pictures: 132 of 1280x720 at 25 per second, uncompressed (`.y4m`).
    pub pictures: PathBuf,
    /// Its sound: mono, 48 kHz (`.wav`).
    pub sound: PathBuf,
}

impl Clip {
    /// Finds the clip that setting the machine up has fetched.
    pub fn find() -> Result<Self, LabError> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        let directory = variable(DIRECTORY_VARIABLE).or_else(|| Some(cache()?.join("ahoy/clips")));
        Self::find_in(&directory.unwrap_or_default())
    }

    fn find_in(directory: &Path) -> Result<Self, LabError> {
        let file = |name: &str| {
            let path = directory.join(name);
            if path.is_file() { Ok(path) } else { Err(LabError::MissingClip { path }) }
        };
        Ok(Self { pictures: file("big-buck-bunny-1280x720.y4m")?, sound: file("big-buck-bunny-48000.wav")? })
    }
}

/// Lets a computer's voice say `text` (English) into a sound file: mono, 48 kHz, 16 bits. The same text gives the same
/// samples.
pub fn speak(text: &str, wav: &Path) -> Result<(), LabError> {
    let directory = TempDir::with_prefix("speech-")?;
    let spoken = directory.path().join("spoken.wav");
    run(Command::new("espeak-ng").args(["-v", "en", "-w"]).arg(&spoken).arg("--").arg(text), "espeak-ng")?;
    let mut sox = Command::new("sox");
    // Without dither, which is random.
    sox.arg("-D").arg(&spoken).args(["-b", "16", "-c", "1", "-r", &SAMPLE_RATE.to_string()]);
    run(sox.arg(wav).args(["gain", "-n", "-3"]), "sox").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_clip_is_named_with_the_command_that_fetches_it() {
        let empty = tempfile::tempdir().unwrap();
        let error = Clip::find_in(empty.path()).unwrap_err().to_string();
        assert!(error.contains("big-buck-bunny") && error.contains("cargo xtask setup"), "{error}");
        std::fs::write(empty.path().join("big-buck-bunny-1280x720.y4m"), "").unwrap();
        assert!(Clip::find_in(empty.path()).unwrap_err().to_string().contains("48000.wav"));
    }
}
