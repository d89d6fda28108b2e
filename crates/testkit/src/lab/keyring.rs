//! A keyring: GNOME Keyring on a session bus of its own, as a desktop has it after its owner has signed in.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::desktop::Running;
use super::{LabError, run, start_error};

const PACKAGE: &str = "gnome-keyring";
const BUS_PACKAGE: &str = "dbus-bin";
/// Only a machine under heavy load needs more than a second.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(10);
/// What the keyring is locked with.
const PASSWORD: &str = "open sesame\n";

/// A keyring that is unlocked. It is gone when the value is dropped.
///
/// Debian packages: gnome-keyring, dbus-daemon, dbus-bin.
#[derive(Debug)]
pub struct KeyringLab {
    // Dropped in this order: the bus last, since the keyring is on it.
    _keyring: Running,
    _bus: Running,
    bus_address: String,
    _home: TempDir,
}

impl KeyringLab {
    /// Starts an unlocked keyring.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn start() -> Result<Self, LabError> {
        let home = TempDir::with_prefix("keyring-")?;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700))?;
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        bus.env_remove("DISPLAY").env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path());
        let (bus, bus_address) = Running::start_and_listen(&mut bus, "dbus-daemon")?;
        let mut daemon = Command::new("gnome-keyring-daemon");
        daemon.args(["--foreground", "--unlock", "--components=secrets"]);
        daemon
            .env_remove("DISPLAY")
            .env_remove("XDG_DATA_HOME")
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &bus_address)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut keyring = daemon.spawn().map_err(|error| start_error(&daemon, PACKAGE, error))?;
        let typed = keyring.stdin.take().map(|mut stdin| stdin.write_all(PASSWORD.as_bytes()));
        let keyring = Running::of(keyring);
        typed.transpose()?;
        let lab = Self { _keyring: keyring, _bus: bus, bus_address, _home: home };
        let start = Instant::now();
        while !lab.is_ready()? {
            if start.elapsed() > START_TIMEOUT {
                let (tool, seconds) = ("gnome-keyring-daemon", START_TIMEOUT.as_secs());
                return Err(LabError::NotReady { tool, seconds, output: String::new() });
            }
            thread::sleep(START_POLL);
        }
        Ok(lab)
    }

    /// Leads a program to this keyring.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        vec![("DBUS_SESSION_BUS_ADDRESS", OsString::from(&self.bus_address))]
    }

    /// Locks it, as it is when its owner has not signed in. Nobody is there to be asked for the password.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn lock(&self) -> Result<(), LabError> {
        run(
            &mut self.ask(&[
                "org.freedesktop.Secret.Service.Lock",
                "array:objpath:/org/freedesktop/secrets/collection/login",
            ]),
            BUS_PACKAGE,
        )?;
        Ok(())
    }

    /// Whether there is a login keyring and it is open.
    fn is_ready(&self) -> Result<bool, LabError> {
        let mut question = self.ask_at(
            "/org/freedesktop/secrets/collection/login",
            &[
                "org.freedesktop.DBus.Properties.Get",
                "string:org.freedesktop.Secret.Collection",
                "string:Locked",
            ],
        );
        let answer = question.stdin(Stdio::null()).output();
        let answer = answer.map_err(|error| start_error(&question, BUS_PACKAGE, error))?;
        Ok(answer.status.success() && String::from_utf8_lossy(&answer.stdout).contains("boolean false"))
    }

    fn ask(&self, question: &[&str]) -> Command {
        self.ask_at("/org/freedesktop/secrets", question)
    }

    fn ask_at(&self, object: &str, question: &[&str]) -> Command {
        let mut command = Command::new("dbus-send");
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus_address);
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", object]).args(question);
        command
    }
}
