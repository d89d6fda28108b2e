//! A private desktop: an X server without a screen and a session bus, with a home of its own, shared with nothing on the
//! machine. Programs started on it can be used through [`Window`].

mod display;
mod drag;
mod notifications;
mod window;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{LabError, name_of, start_error};

pub use drag::Dragged;
pub use notifications::Notifications;
pub use window::{Element, Window};

/// Variables that would lead a program to the desktop, or to the tastes, of whoever runs the tests.
const REMOVED: [&str; 8] = [
    "WAYLAND_DISPLAY",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "LC_ALL",
    "LC_CTYPE",
    "GTK_THEME",
];

/// What the person at the desktop has chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preferences {
    /// A dark desktop theme.
    pub dark: bool,
    /// Animations, which most desktops have. Without them the first picture is the last.
    pub animations: bool,
}

impl Preferences {
    /// As GTK reads them from `settings.ini`.
    fn settings(self) -> String {
        let Self { dark, animations } = self;
        format!("[Settings]\ngtk-application-prefer-dark-theme={dark}\ngtk-enable-animations={animations}\n")
    }
}

/// A desktop. It ends when the value is dropped.
///
/// Debian packages: xvfb, dbus-daemon; for [`Window`] also webkit2gtk-driver.
#[derive(Debug)]
pub struct Desktop {
    // Dropped in this order: the display last, since everything else draws on it.
    _bus: Running,
    _display: Running,
    display_name: String,
    bus_address: String,
    home: TempDir,
}

impl Desktop {
    /// Starts an empty desktop.
    pub fn start(preferences: Preferences) -> Result<Self, LabError> {
        let home = TempDir::with_prefix("desktop-")?;
        let settings = home.path().join(".config/gtk-3.0");
        fs::create_dir_all(&settings)?;
        fs::write(settings.join("settings.ini"), preferences.settings())?;
        let mut server = Command::new("Xvfb");
        // The server chooses a free display number and prints it once it accepts connections.
        server.args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"]);
        let (display, number) = Running::start_and_listen(&mut server, "xvfb")?;
        let display_name = format!(":{number}");
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        surroundings(&mut bus, home.path(), &display_name);
        let (bus, bus_address) = Running::start_and_listen(&mut bus, "dbus-daemon")?;
        Ok(Self { _bus: bus, _display: display, display_name, bus_address, home })
    }

    /// The home directory of whoever works here.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The name of the display, such as `:7`.
    pub fn display(&self) -> &str {
        &self.display_name
    }

    /// A program that will run on this desktop.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        surroundings(&mut command, self.home.path(), &self.display_name);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus_address);
        command
    }
}

fn surroundings(command: &mut Command, home: &Path, display: &str) {
    for name in REMOVED {
        command.env_remove(name);
    }
    let environment: [(&str, OsString); 8] = [
        ("DISPLAY", display.into()),
        ("GDK_BACKEND", "x11".into()),
        ("NO_AT_BRIDGE", "1".into()),
        ("HOME", home.into()),
        ("XDG_RUNTIME_DIR", home.into()),
        ("LANG", "C.UTF-8".into()),
        // No sound, unless the environment of a lab is added.
        ("PULSE_SERVER", "unix:/nonexistent".into()),
        // Nothing is asked of the network that the machine is in.
        ("AHOY_NEARBY", "off".into()),
    ];
    command.envs(environment).stdin(Stdio::null());
}

/// A program that is ended with the value.
#[derive(Debug)]
pub(super) struct Running(Child);

impl Running {
    /// A program that runs already.
    pub(super) fn of(child: Child) -> Self {
        Self(child)
    }

    fn start(command: &mut Command, package: &'static str) -> Result<Self, LabError> {
        let child = command.stdin(Stdio::null()).spawn();
        child.map(Self).map_err(|error| start_error(command, package, error))
    }

    /// Starts a program that prints one line when it is ready, and returns the line.
    pub(super) fn start_and_listen(
        command: &mut Command,
        package: &'static str,
    ) -> Result<(Self, String), LabError> {
        let mut running = Self::start(command.stdout(Stdio::piped()).stderr(Stdio::null()), package)?;
        let mut line = String::new();
        if let Some(output) = running.0.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line.is_empty() {
            let status = running.0.wait()?.to_string();
            let output = "it ended before it was ready".into();
            return Err(LabError::Failed { tool: name_of(command), status, output });
        }
        Ok((running, line.trim().to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
