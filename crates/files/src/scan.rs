//! What somebody wants to give: paths become a manifest.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ahoy_transfer::{Entry, Manifest, ManifestError};

use crate::given::Sources;

/// What there is to be given.
#[derive(Debug)]
pub struct Scanned {
    /// Where it is.
    pub sources: Sources,
    /// What can't be given.
    pub left_out: Vec<LeftOut>,
}

/// Something that can't be given.
#[derive(Debug)]
pub struct LeftOut {
    /// Where it is.
    pub path: PathBuf,
    /// Why not.
    pub why: Why,
}

/// Why something can't be given.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// It is a symbolic link in a folder: what it leads to may be anywhere, and need not be meant.
    #[error("a link to something else, which is not sent")]
    Link,
    /// It is a device, a pipe or a socket.
    #[error("neither a file nor a folder")]
    Special,
    /// Its name is not Unicode, so that it can't be told.
    #[error("a name that is not Unicode")]
    Name,
    /// It can't be opened.
    #[error("can't be read: {0}")]
    Unreadable(io::Error),
}

/// Why nothing can be given.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// There is neither a file nor a folder that can be read.
    #[error("there is nothing to send")]
    Nothing(Vec<LeftOut>),
    /// There is too much.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Somebody has called it off.
    #[error("called off")]
    CalledOff,
}

/// Looks for all that `paths` are and hold, in the order of names. A path that is a symbolic link stands for what it leads to.
/// `go_on` is told how many entries there are, and can call it off.
///
/// # Errors
/// [`ScanError`]. What can't be read is left out and told of, as long as there is something else.
pub fn scan(paths: &[PathBuf], go_on: impl FnMut(u32) -> bool) -> Result<Scanned, ScanError> {
    let mut scan = Scan { manifest: Manifest::default(), paths: Vec::new(), left_out: Vec::new(), go_on };
    let mut seen = HashSet::new();
    for path in paths {
        // Where it is does not change with the folder that the program is in.
        match path.canonicalize() {
            Ok(real) if !seen.insert(real.clone()) => {}
            Ok(real) => scan.top(path, &real)?,
            Err(error) => scan.leave_out(path, Why::Unreadable(error)),
        }
    }
    let Scan { manifest, paths, left_out, .. } = scan;
    if manifest.is_empty() {
        return Err(ScanError::Nothing(left_out));
    }
    Ok(Scanned { sources: Sources::new(manifest, paths), left_out })
}

struct Scan<F> {
    manifest: Manifest,
    paths: Vec<PathBuf>,
    left_out: Vec<LeftOut>,
    go_on: F,
}

impl<F: FnMut(u32) -> bool> Scan<F> {
    fn leave_out(&mut self, path: &Path, why: Why) {
        self.left_out.push(LeftOut { path: path.to_owned(), why });
    }

    /// Something that was named itself, by whatever name.
    fn top(&mut self, named: &Path, real: &Path) -> Result<(), ScanError> {
        // `.` and `..` have no name of their own, nor has the root.
        let name = named.file_name().or_else(|| real.file_name());
        let Some(name) = name.and_then(|name| name.to_str()) else {
            self.leave_out(named, Why::Name);
            return Ok(());
        };
        match fs::metadata(real) {
            Ok(metadata) => self.any(name.to_owned(), real.to_owned(), &metadata, None),
            Err(error) => {
                self.leave_out(named, Why::Unreadable(error));
                Ok(())
            }
        }
    }

    fn any(
        &mut self,
        name: String,
        path: PathBuf,
        metadata: &Metadata,
        folder: Option<u32>,
    ) -> Result<(), ScanError> {
        if metadata.is_dir() {
            return self.folder(name, path, metadata, folder);
        }
        if metadata.is_symlink() {
            self.leave_out(&path, Why::Link);
        } else if !metadata.is_file() {
            self.leave_out(&path, Why::Special);
        } else if let Err(error) = File::open(&path) {
            self.leave_out(&path, Why::Unreadable(error));
        } else {
            self.add(name, path, metadata, folder, Some(metadata.len()))?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: String,
        path: PathBuf,
        metadata: &Metadata,
        folder: Option<u32>,
        size: Option<u64>,
    ) -> Result<u32, ScanError> {
        let number = self.manifest.len();
        self.manifest.push(Entry { name, folder, size, modified: modified(metadata) })?;
        self.paths.push(path);
        if !(self.go_on)(number + 1) {
            return Err(ScanError::CalledOff);
        }
        Ok(number)
    }

    fn folder(
        &mut self,
        name: String,
        path: PathBuf,
        metadata: &Metadata,
        folder: Option<u32>,
    ) -> Result<(), ScanError> {
        let inside = match fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(inside) => inside,
            Err(error) => {
                self.leave_out(&path, Why::Unreadable(error));
                return Ok(());
            }
        };
        let number = self.add(name, path, metadata, folder, None)?;
        let mut named = Vec::with_capacity(inside.len());
        for entry in inside {
            match entry.file_name().into_string() {
                Ok(name) => named.push((name, entry)),
                Err(_) => self.leave_out(&entry.path(), Why::Name),
            }
        }
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, entry) in named {
            let path = entry.path();
            // Of the link itself, where it is one.
            match entry.metadata() {
                Ok(metadata) => self.any(name, path, &metadata, Some(number))?,
                Err(error) => self.leave_out(&path, Why::Unreadable(error)),
            }
        }
        Ok(())
    }
}

/// In milliseconds since 1970; nothing where the file system does not know.
pub(crate) fn modified(metadata: &Metadata) -> Option<i64> {
    let modified = metadata.modified().ok()?;
    match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).ok(),
        Err(before) => i64::try_from(before.duration().as_millis()).ok().map(|before| -before),
    }
}
