//! A keyring: GNOME Keyring on a session bus of its own, as a desktop has it after its owner has signed in.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
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

/// A bus that starts no programs itself. The usual session bus has GNOME Keyring started by whoever asks for it first,
/// and a daemon that comes to be that way is another than the lab's: locked, and nobody can unlock it.
const BUS_CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:runtime=yes</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// A keyring that is unlocked. It is gone when the value is dropped.
///
/// Debian packages: gnome-keyring, dbus-daemon, dbus-bin.
#[derive(Debug)]
pub struct KeyringLab {
    // Dropped in this order: the bus last, since the keyring is on it.
    _keyring: Running,
    bus: Bus,
}

impl KeyringLab {
    /// Starts an unlocked keyring.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn start() -> Result<Self, LabError> {
        Self::start_on(Bus::start()?)
    }

    fn start_on(bus: Bus) -> Result<Self, LabError> {
        let log_path = bus.home.path().join("keyring.log");
        let log = fs::File::create(&log_path)?;
        let mut daemon = Command::new("gnome-keyring-daemon");
        daemon.args(["--foreground", "--unlock", "--components=secrets"]);
        daemon.env("DBUS_SESSION_BUS_ADDRESS", &bus.address).stdin(Stdio::piped());
        bus.surround(&mut daemon).stdout(log.try_clone()?).stderr(log);
        let mut keyring = daemon.spawn().map_err(|error| start_error(&daemon, PACKAGE, error))?;
        let typed = keyring.stdin.take().map(|mut stdin| stdin.write_all(PASSWORD.as_bytes()));
        let keyring = Running::of(keyring);
        typed.transpose()?;
        let start = Instant::now();
        while !bus.has_open_keyring()? {
            if start.elapsed() > START_TIMEOUT {
                let (tool, seconds) = ("gnome-keyring-daemon", START_TIMEOUT.as_secs());
                let output = fs::read_to_string(log_path)?;
                return Err(LabError::NotReady { tool, seconds, output });
            }
            thread::sleep(START_POLL);
        }
        Ok(Self { _keyring: keyring, bus })
    }

    /// Leads a program to this keyring.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        vec![("DBUS_SESSION_BUS_ADDRESS", OsString::from(&self.bus.address))]
    }

    /// Locks it, as it is when its owner has not signed in. Nobody is there to be asked for the password.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn lock(&self) -> Result<(), LabError> {
        run(
            &mut self.bus.ask(
                "/org/freedesktop/secrets",
                &[
                    "org.freedesktop.Secret.Service.Lock",
                    "array:objpath:/org/freedesktop/secrets/collection/login",
                ],
            ),
            BUS_PACKAGE,
        )?;
        Ok(())
    }
}

/// A session bus with nothing on it.
#[derive(Debug)]
struct Bus {
    _daemon: Running,
    address: String,
    /// The home of the programs on it.
    home: TempDir,
}

impl Bus {
    fn start() -> Result<Self, LabError> {
        let home = TempDir::with_prefix("keyring-")?;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700))?;
        let configuration = home.path().join("bus.conf");
        fs::write(&configuration, BUS_CONFIGURATION)?;
        let mut daemon = Command::new("dbus-daemon");
        daemon.arg("--config-file").arg(configuration);
        daemon.args(["--nofork", "--nopidfile", "--print-address=1"]);
        surround(&mut daemon, home.path());
        let (daemon, address) = Running::start_and_listen(&mut daemon, "dbus-daemon")?;
        Ok(Self { _daemon: daemon, address, home })
    }

    fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        surround(command, self.home.path())
    }

    /// Whether there is a login keyring and it is open.
    fn has_open_keyring(&self) -> Result<bool, LabError> {
        let mut question = self.ask(
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

    fn ask(&self, object: &str, question: &[&str]) -> Command {
        let mut command = Command::new("dbus-send");
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", object]).args(question);
        command
    }
}

fn surround<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env_remove("DISPLAY").env_remove("XDG_DATA_HOME");
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home)
}

#[cfg(test)]
mod tests {
    use super::*;

    mod needs_keyring {
        use super::*;

        #[test]
        fn whoever_asks_too_early_has_no_other_keyring_started() {
            let bus = Bus::start().unwrap();
            assert!(!bus.has_open_keyring().unwrap());
            KeyringLab::start_on(bus).unwrap();
        }
    }
}
