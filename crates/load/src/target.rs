//! The program that is put under load, as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ahoy_signal::Handle;
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::cores::Cores;
use crate::error::LoadError;
use crate::fleet::Dialect;

/// How long the server may take to stop: it lets connections end by themselves.
const STOPPING: Duration = Duration::from_secs(15);

/// What the users of a load need changed in the server's configuration, and nothing that its work depends on: all come from
/// one address, and their passwords protect nothing.
const CONFIG: &[(&str, &str)] = &[
    ("HTTP__LISTEN", "127.0.0.1:0"),
    ("AUTH__ARGON2_MEMORY_KIB", "8"),
    ("AUTH__ARGON2_PASSES", "1"),
    ("AUTH__PASSWORD_QUEUE", "1000"),
    ("LIMITS__STRANGERS_PER_MINUTE", "10000000"),
    ("LIMITS__SOCKETS_PER_MINUTE", "10000000"),
    ("LOG__LEVEL", "warn"),
];
const PREFIX: &str = "AHOY_SERVER__";

/// A program under load.
#[derive(Debug)]
pub(crate) struct Target {
    process: Child,
    program: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) dialect: Dialect,
    data: TempDir,
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All that is in RAM.
    pub(crate) rss: u64,
    /// What it shares with others counted by its share.
    pub(crate) pss: u64,
}

impl Target {
    /// Starts it on its processor: `ahoy-server` beside this program, or the peer, which is this program.
    pub(crate) fn start(dialect: Dialect, cores: Cores) -> Result<Self, LoadError> {
        let me = std::env::current_exe().map_err(LoadError::system("this program's own path"))?;
        let program = match dialect {
            Dialect::Ahoy => me.with_file_name("ahoy-server"),
            Dialect::Hub => me,
        };
        let data = tempfile::tempdir().map_err(LoadError::system("a temporary folder"))?;
        let mut command = Command::new(&program);
        if dialect == Dialect::Hub {
            command.arg("hub");
        }
        configure(&mut command, data.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = cores
            .on_servers(|| command.spawn())?
            .map_err(LoadError::system(format!("{} can't be started", program.display())))?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(LoadError::system("reading from the server"))?;
        }
        let mut words = line.split_whitespace();
        let address = words.find_map(|word| word.strip_prefix("http://")?.trim_end_matches('/').parse().ok());
        match address {
            Some(address) => Ok(Self { process, program, address, dialect, data }),
            None => {
                let _ = process.kill();
                let _ = process.wait();
                Err(LoadError::Server(format!("did not say where it listens, but {line:?}")))
            }
        }
    }

    /// Puts an account into the class of partners, as an operator does.
    pub(crate) fn make_partner(&self, handle: &Handle) -> Result<(), LoadError> {
        let mut command = Command::new(&self.program);
        configure(&mut command, self.data.path());
        command.args(["accounts", "set-class", handle.as_str(), "partner"]).stdout(Stdio::null());
        let status = command.status().map_err(LoadError::system("ahoy-server accounts set-class"))?;
        match status.success() {
            true => Ok(()),
            false => Err(LoadError::Server(format!("made no partner of {handle}: {status}"))),
        }
    }

    fn look(&self) -> Result<Process, LoadError> {
        Process::new(self.process.id() as i32).map_err(|error| LoadError::Server(format!("is gone: {error}")))
    }

    /// Processor time that it has used, in steps of the system's clock tick (10 ms).
    pub(crate) fn cpu(&self) -> Result<Duration, LoadError> {
        let stat = self.look()?.stat().map_err(|error| LoadError::Server(format!("is gone: {error}")))?;
        Ok(Duration::from_secs_f64((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64))
    }

    /// Its memory now.
    pub(crate) fn memory(&self) -> Result<Memory, LoadError> {
        let rollup =
            self.look()?.smaps_rollup().map_err(|error| LoadError::Server(format!("is gone: {error}")))?;
        let sum = |name| {
            let maps = rollup.memory_map_rollup.iter();
            maps.filter_map(|map| map.extension.map.get(name).copied()).sum()
        };
        Ok(Memory { rss: sum("Rss"), pss: sum("Pss") })
    }
}

fn configure(command: &mut Command, data: &Path) {
    command.env(format!("{PREFIX}DATA_DIR"), data);
    for (key, value) in CONFIG {
        command.env(format!("{PREFIX}{key}"), value);
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.process.id() as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOPPING;
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
