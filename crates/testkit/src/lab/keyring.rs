//! A keyring: GNOME Keyring on a session bus of its own, as a desktop has it after its owner has signed in.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::desktop::Running;
use super::session_bus::SessionBus;
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
    bus: SessionBus,
}

impl KeyringLab {
    /// Starts an unlocked keyring.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn start() -> Result<Self, LabError> {
        Self::start_on(SessionBus::start()?)
    }

    fn start_on(bus: SessionBus) -> Result<Self, LabError> {
        let log_path = bus.home().join("keyring.log");
        let log = fs::File::create(&log_path)?;
        let mut daemon = Command::new("gnome-keyring-daemon");
        daemon.args(["--foreground", "--unlock", "--components=secrets"]);
        daemon.env("DBUS_SESSION_BUS_ADDRESS", bus.address()).stdin(Stdio::piped());
        bus.surround(&mut daemon).stdout(log.try_clone()?).stderr(log);
        let mut keyring = daemon.spawn().map_err(|error| start_error(&daemon, PACKAGE, error))?;
        let typed = keyring.stdin.take().map(|mut stdin| stdin.write_all(PASSWORD.as_bytes()));
        let keyring = Running::of(keyring);
        typed.transpose()?;
        let start = Instant::now();
        while !has_open_keyring(&bus)? {
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
        vec![("DBUS_SESSION_BUS_ADDRESS", OsString::from(self.bus.address()))]
    }

    /// Locks it, as it is when its owner has not signed in. Nobody is there to be asked for the password.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn lock(&self) -> Result<(), LabError> {
        run(
            &mut ask(
                &self.bus,
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

/// Whether there is a login keyring and it is open.
fn has_open_keyring(bus: &SessionBus) -> Result<bool, LabError> {
    let mut question = ask(
        bus,
        "/org/freedesktop/secrets/collection/login",
        &["org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Collection", "string:Locked"],
    );
    let answer = question.stdin(Stdio::null()).output();
    let answer = answer.map_err(|error| start_error(&question, BUS_PACKAGE, error))?;
    Ok(answer.status.success() && String::from_utf8_lossy(&answer.stdout).contains("boolean false"))
}

fn ask(bus: &SessionBus, object: &str, question: &[&str]) -> Command {
    let mut command = Command::new("dbus-send");
    command.env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", object]).args(question);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    mod needs_keyring {
        use super::*;

        #[test]
        fn whoever_asks_too_early_has_no_other_keyring_started() {
            let bus = SessionBus::start().unwrap();
            assert!(!has_open_keyring(&bus).unwrap());
            KeyringLab::start_on(bus).unwrap();
        }
    }
}
