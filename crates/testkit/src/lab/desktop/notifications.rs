//! The notifications of a desktop, shown by dunst, and a person who presses their buttons.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::{Desktop, Running};
use crate::lab::{LabError, run};

const PACKAGE: &str = "dunst";
/// Only a machine under heavy load needs more than a second.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// What shows notifications on a desktop. It ends when the value is dropped.
///
/// Debian package: dunst.
#[derive(Debug)]
pub struct Notifications<'a> {
    desktop: &'a Desktop,
    folder: PathBuf,
    _daemon: Running,
}

impl<'a> Notifications<'a> {
    /// Begins to show notifications.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn start(desktop: &'a Desktop) -> Result<Self, LabError> {
        let folder = desktop.home().join("notifications");
        fs::create_dir_all(&folder)?;
        // Dunst asks a menu which button is pressed, and this one answers with what the person wants.
        let menu = folder.join("menu");
        fs::write(
            &menu,
            format!("#!/bin/sh\nexec grep -m1 \"^#$(cat '{}') \"\n", choice(&folder).display()),
        )?;
        fs::set_permissions(&menu, fs::Permissions::from_mode(0o700))?;
        let configuration = folder.join("dunstrc");
        fs::write(&configuration, format!("[global]\n    dmenu = {}\n", menu.display()))?;
        let mut daemon = desktop.command("dunst");
        daemon.arg("-conf").arg(configuration).arg("-print");
        let log = File::create(log(&folder))?;
        let daemon = Running::start(daemon.stdout(log).stderr(Stdio::null()), PACKAGE)?;
        let notifications = Self { desktop, folder, _daemon: daemon };
        notifications.until("dunst", |shown| shown.control(&["is-paused"]).is_ok())?;
        Ok(notifications)
    }

    fn control(&self, what: &[&str]) -> Result<String, LabError> {
        let output = run(self.desktop.command("dunstctl").args(what), PACKAGE)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Everything that was shown so far, as text.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn text(&self) -> Result<String, LabError> {
        Ok(fs::read_to_string(log(&self.folder))?)
    }

    /// Waits until so many notifications are on the screen.
    ///
    /// # Errors
    /// [`LabError::NotReady`].
    pub fn until_shown(&self, count: usize) -> Result<(), LabError> {
        let is_shown = |shown: &Self| {
            shown.control(&["count", "displayed"]).is_ok_and(|now| now.trim() == count.to_string())
        };
        self.until("dunst", is_shown)
    }

    /// Presses a button of a notification.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn press(&self, button: &str) -> Result<(), LabError> {
        fs::write(choice(&self.folder), button)?;
        self.control(&["context"]).map(|_| ())
    }

    fn until(&self, tool: &'static str, is_so: impl Fn(&Self) -> bool) -> Result<(), LabError> {
        let start = Instant::now();
        while !is_so(self) {
            if start.elapsed() > TIMEOUT {
                let output = self.text().unwrap_or_default();
                return Err(LabError::NotReady { tool, seconds: TIMEOUT.as_secs(), output });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

fn choice(folder: &Path) -> PathBuf {
    folder.join("choice")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}
