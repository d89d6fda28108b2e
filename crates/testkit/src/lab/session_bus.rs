//! A session bus of one's own, as a desktop has one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::LabError;
use super::desktop::Running;

/// A bus that starts no programs itself. The usual session bus has GNOME Keyring started by whoever asks for it first,
/// and a daemon that comes to be that way is another than the lab's: locked, and nobody can unlock it.
const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
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

/// A session bus with nothing on it. It is gone when the value is dropped.
///
/// Debian package: dbus-daemon.
#[derive(Debug)]
pub struct SessionBus {
    _daemon: Running,
    address: String,
    /// The home of the programs on it.
    home: TempDir,
}

impl SessionBus {
    /// Starts an empty bus.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn start() -> Result<Self, LabError> {
        let home = TempDir::with_prefix("bus-")?;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700))?;
        let configuration = home.path().join("bus.conf");
        fs::write(&configuration, CONFIGURATION)?;
        let mut daemon = Command::new("dbus-daemon");
        daemon.arg("--config-file").arg(configuration);
        daemon.args(["--nofork", "--nopidfile", "--print-address=1"]);
        surround(&mut daemon, home.path());
        let (daemon, address) = Running::start_and_listen(&mut daemon, "dbus-daemon")?;
        Ok(Self { _daemon: daemon, address, home })
    }

    /// Where programs reach it, as in `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The home of the programs on it.
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Gives a program that home.
    pub(super) fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        surround(command, self.home.path())
    }
}

fn surround<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env_remove("DISPLAY").env_remove("XDG_DATA_HOME");
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home)
}
