//! The file that PulseAudio's clients show to prove that they belong to the same person as the server.
//!
//! A server that knows its clients by the socket's owner, as on desktops, does not look at its contents, but refuses a client
//! that sends none. PulseAudio's own client library makes the file when it is missing; the one that cpal uses does not, so
//! that in a new home directory, where no other program has had sound yet, the server could not be reached.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};

/// What the protocol prescribes.
const LENGTH: usize = 256;

/// Makes the file where there is none, as PulseAudio's client library would.
pub(crate) fn ensure() {
    let Some(home) = std::env::home_dir() else { return };
    if std::env::var_os("PULSE_COOKIE").is_some() || home.join(".pulse-cookie").exists() {
        return;
    }
    if let Err(error) = ensure_in(&home.join(".config/pulse")) {
        // Servers that need none can be reached all the same.
        tracing::debug!(%error, "there is no cookie for the sound server");
    }
}

fn ensure_in(folder: &Path) -> io::Result<()> {
    let path = folder.join("cookie");
    if path.exists() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut cookie = [0; LENGTH];
    // Short requests are answered in full (getrandom(2)).
    getrandom(&mut cookie, GetRandomFlags::empty())?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => file.write_all(&cookie),
        // Another program was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_cookie_is_made_once_and_for_its_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/pulse");
        ensure_in(&folder).unwrap();
        let made = std::fs::read(folder.join("cookie")).unwrap();
        assert!(made.len() == LENGTH && made.iter().any(|byte| *byte != made[0]));
        let mode = std::fs::metadata(folder.join("cookie")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        ensure_in(&folder).unwrap();
        assert_eq!(std::fs::read(folder.join("cookie")).unwrap(), made);
    }
}
