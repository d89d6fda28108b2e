//! A small virtual machine whose kernel has a real camera device (vivid) and a real sound card (snd-aloop).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{LabError, start_error, tail};

const SCRIPT: &str = include_str!("../../lab/vm-camera.sh");
/// Booting under software emulation takes 10 to 30 s, the programs run about ten times slower than outside.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Commands to run in a virtual machine with a camera (`/dev/video0`, listed as `vivid`) and a sound card (`Loopback`;
/// what is played to the default device comes back from the default microphone).
///
/// The first run on a machine downloads a kernel package into `~/.cache/ahoy/vm` (below `$XDG_CACHE_HOME`, if set).
#[derive(Clone, Debug)]
pub struct CameraVm {
    programs: Vec<PathBuf>,
    files: Vec<PathBuf>,
    commands: Vec<String>,
    time_limit: Duration,
}

impl Default for CameraVm {
    fn default() -> Self {
        Self::new()
    }
}

impl CameraVm {
    /// A machine with nothing to do.
    pub fn new() -> Self {
        Self { programs: Vec::new(), files: Vec::new(), commands: Vec::new(), time_limit: TIME_LIMIT }
    }

    /// Puts a program with its libraries into the machine's PATH. A name without a slash is looked up in the PATH here.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.programs.push(program.into());
        self
    }

    /// Puts a file or directory into `/input`.
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Runs a line of shell (busybox) in the directory `/results`, after those given before and whatever came of them.
    pub fn command(mut self, line: impl Into<String>) -> Self {
        self.commands.push(line.into());
        self
    }

    /// How long booting and all commands may take; 300 s unless set.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Boots the machine, runs all commands, and brings back what they wrote.
    pub fn run(&self) -> Result<VmReport, LabError> {
        let directory = TempDir::with_prefix("vm-")?;
        let (script, results) = (directory.path().join("vm-camera.sh"), directory.path().join("results"));
        let guest = directory.path().join("guest.sh");
        fs::write(&script, SCRIPT)?;
        fs::create_dir(&results)?;
        fs::write(&guest, guest_script(&self.commands))?;
        let mut command = Command::new("bash");
        command.arg(&script).arg("run").args(["--seconds", &self.time_limit.as_secs().to_string()]);
        for program in &self.programs {
            command.arg("--bin").arg(program);
        }
        for file in &self.files {
            command.arg("--file").arg(file);
        }
        command.arg(&results).arg(&guest).stdin(Stdio::null());
        let output = command.output().map_err(|error| start_error(&command, "bash", error))?;
        let console = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(LabError::Failed {
                tool: "vm-camera.sh".into(),
                status: output.status.to_string(),
                output: format!("{}\n{}", tail(&output.stderr), tail(console.as_bytes())),
            });
        }
        let outcome = |(number, line): (usize, &String)| {
            let read = |part: &str| fs::read(results.join(format!(".{number}.{part}")));
            Ok(VmCommand {
                line: line.clone(),
                status: String::from_utf8_lossy(&read("status")?).trim().parse().unwrap_or(-1),
                stdout: String::from_utf8_lossy(&read("stdout")?).into_owned(),
                stderr: String::from_utf8_lossy(&read("stderr")?).into_owned(),
            })
        };
        let commands = self.commands.iter().enumerate().map(outcome).collect::<Result<_, LabError>>()?;
        Ok(VmReport { directory, commands, console })
    }
}

/// Keeps what each command says and how it ends in hidden files beside the results.
fn guest_script(commands: &[String]) -> String {
    let keep = |(number, line): (usize, &String)| {
        format!("(\n{line}\n) > .{number}.stdout 2> .{number}.stderr\necho $? > .{number}.status\n")
    };
    commands.iter().enumerate().map(keep).collect::<String>() + "exit 0\n"
}

/// What came of one command.
#[derive(Clone, Debug)]
pub struct VmCommand {
    /// The command.
    pub line: String,
    /// Its exit status.
    pub status: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// What came back from a virtual machine. Dropping it deletes the files.
#[derive(Debug)]
pub struct VmReport {
    directory: TempDir,
    /// What came of the commands, in their order.
    pub commands: Vec<VmCommand>,
    /// What the kernel and the set-up said.
    pub console: String,
}

impl VmReport {
    /// Where a file that a command wrote to the directory `/results` is now.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join("results").join(name)
    }
}
