//! A PostgreSQL of one's own, in a temporary folder, reached by a socket file in it.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// A database server. It ends with this.
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
}

/// The newest version that is installed.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").map(|entries| {
        let versions = entries.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
        versions.filter(|path| path.join("postgres").is_file()).max()
    });
    match versions {
        Ok(Some(path)) => path,
        // Where it is in PATH, as on other systems.
        Ok(None) | Err(_) => PathBuf::new(),
    }
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        if rustix::process::getuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root gives the folder away");
        }
        let postgres = Self { folder, programs: programs() };
        let data = postgres.data();
        postgres.run(
            "initdb",
            [
                OsStr::new("--no-sync"),
                "--auth=trust".as_ref(),
                "--username=ahoy".as_ref(),
                "--encoding=UTF8".as_ref(),
                "--pgdata".as_ref(),
                data.as_os_str(),
            ],
        );
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c fsync=off -c shared_buffers=16MB",
            postgres.folder.path().display()
        );
        let log = postgres.folder.path().join("log");
        postgres.run(
            "pg_ctl",
            [
                OsStr::new("start"),
                "--wait".as_ref(),
                "--silent".as_ref(),
                "--pgdata".as_ref(),
                data.as_os_str(),
                "--log".as_ref(),
                log.as_os_str(),
                "--options".as_ref(),
                options.as_ref(),
            ],
        );
        postgres
    }

    /// Where the server connects to.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=ahoy", self.folder.path().display())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null());
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) {
        let mut command = self.command(program, self.folder.path());
        let status = command.args(arguments).status();
        let status =
            status.unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask setup` installs it"));
        assert!(status.success(), "{program}: {status}");
    }
}

impl Drop for Postgres {
    #[expect(clippy::print_stderr, reason = "a test that is over can say it nowhere else")]
    fn drop(&mut self) {
        let data = self.data();
        let mut command = self.command("pg_ctl", self.folder.path());
        let stopped = command.args(["stop", "--silent", "--mode=immediate", "--pgdata"]).arg(data).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("PostgreSQL could not be stopped");
        }
    }
}
