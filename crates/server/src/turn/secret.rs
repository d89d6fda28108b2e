//! The secret of the relay in this program, in a file for its user alone: credentials outlive a restart.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use ahoy_turn::Secret;

use super::TurnError;
use crate::store::private_folder;

/// The file in the data folder.
const FILE: &str = "turn-secret";
/// Fewest characters of a secret that somebody has put there: 128 bits in hexadecimal.
const SHORTEST: usize = 32;

/// The secret that is kept in the data folder; on the first start a random one.
pub(super) fn load_or_make(data_dir: &Path) -> Result<Secret, TurnError> {
    let path = data_dir.join(FILE);
    let kept = match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= SHORTEST => return Ok(Secret::new(text.trim())),
        // Cut off where the disk was full, say. Nothing hangs on it but credentials that live for minutes.
        Ok(_) => make(data_dir, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(data_dir, &path),
        Err(error) => Err(error),
    };
    kept.map_err(|error| TurnError::Secret { path, error })
}

fn make(data_dir: &Path, path: &Path) -> io::Result<Secret> {
    private_folder(data_dir)?;
    let secret = Secret::random();
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(secret.reveal().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = load_or_make(&data).unwrap();
        assert_eq!(load_or_make(&data).unwrap().reveal(), first.reveal());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(data.join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_was_cut_off_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "short").unwrap();
        let secret = load_or_make(folder.path()).unwrap();
        assert!(secret.reveal().len() >= SHORTEST);
        assert_eq!(load_or_make(folder.path()).unwrap().reveal(), secret.reveal());
    }
}
