//! Stand-ins for devices, so that unmodified programs can be tested on machines that have none.
//!
//! Everything runs privately: in temporary directories, reached by environment variables of the program under test, and
//! gone when the value is dropped.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

mod clip;
mod desktop;
mod fake_camera;
mod keyring;
mod listen;
pub mod nat;
mod pulse;
mod session_bus;
mod vm;

pub use clip::{Clip, speak};
pub use desktop::{Desktop, Dragged, Element, Notifications, Preferences, Window};
pub use fake_camera::{CameraPixels, CameraScene, FakeCamera, FakeCameraSpec};
pub use keyring::KeyringLab;
pub use listen::{HeardSound, Listening, write_chirps};
pub use pulse::{AudioDevice, Playing, PulseLab, Recording};
pub use session_bus::SessionBus;
pub use vm::{CameraVm, VmCommand, VmReport};

/// Why a stand-in can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program is not installed.
    #[error("{tool} is not installed: run `cargo xtask setup`, or install the package {package}")]
    MissingTool {
        /// The program.
        tool: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program ended with an error.
    #[error("{tool} failed ({status}): {output}")]
    Failed {
        /// The program.
        tool: String,
        /// Its exit status.
        status: String,
        /// The end of what it wrote.
        output: String,
    },
    /// A program did not get ready.
    #[error("{tool} was not ready after {seconds} s: {output}")]
    NotReady {
        /// The program.
        tool: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// The end of what it wrote.
        output: String,
    },
    /// The real clip has not been fetched.
    #[error("the test clip {} is missing: run `cargo xtask setup --for test`, which fetches it", path.display())]
    MissingClip {
        /// Where it should be.
        path: PathBuf,
    },
    /// Files of the stand-in could not be written or read.
    #[error("the files of the lab could not be used: {0}; is the temporary directory full?")]
    Io(#[from] io::Error),
    /// A window did not do what it was asked for.
    #[error("{what}: the window's driver answered {answer}")]
    Driver {
        /// What it was asked for.
        what: String,
        /// What came back.
        answer: String,
    },
    /// A sound file could not be written.
    #[error("the sound could not be written: {0}")]
    Wav(#[from] hound::Error),
}

/// How much of a program's output an error shows.
const SHOWN_OUTPUT_BYTES: usize = 2000;

/// The end of a program's output.
fn tail(output: &[u8]) -> String {
    let start = output.len().saturating_sub(SHOWN_OUTPUT_BYTES);
    String::from_utf8_lossy(&output[start..]).trim().to_owned()
}

/// The program that a command runs, for errors.
fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// Turns the failure to start a program into an error that says what to install.
fn start_error(command: &Command, package: &'static str, error: io::Error) -> LabError {
    match error.kind() {
        io::ErrorKind::NotFound => LabError::MissingTool { tool: name_of(command), package },
        _ => LabError::Io(error),
    }
}

/// Runs a program of `package` to its end.
fn run(command: &mut Command, package: &'static str) -> Result<Output, LabError> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| start_error(command, package, error))?;
    if output.status.success() {
        return Ok(output);
    }
    let mut written = output.stdout;
    written.extend(output.stderr);
    Err(LabError::Failed {
        tool: name_of(command),
        status: output.status.to_string(),
        output: tail(&written),
    })
}
