//! Notices when files that were read change.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often files are looked at. Looking is one system call each.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What tells one content of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok()?, length: metadata.len() })
}

/// Files that belong together.
#[derive(Debug)]
pub(crate) struct WatchedFiles {
    files: Vec<(PathBuf, Option<Stamp>)>,
}

impl WatchedFiles {
    /// As they are now.
    pub(crate) fn new(paths: &[&Path]) -> Self {
        Self { files: paths.iter().map(|path| ((*path).to_owned(), stamp(path))).collect() }
    }

    /// Whether one of them is another than at the last look.
    pub(crate) fn changed(&mut self) -> bool {
        let mut changed = false;
        for (path, last) in &mut self.files {
            let now = stamp(path);
            changed |= now != *last;
            *last = now;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut files = WatchedFiles::new(&[&path]);
        assert!(!files.changed());
        std::fs::write(&path, "a").unwrap();
        assert!(files.changed());
        assert!(!files.changed());
        std::fs::write(&path, "ab").unwrap();
        assert!(files.changed());
        std::fs::remove_file(&path).unwrap();
        assert!(files.changed());
    }
}
