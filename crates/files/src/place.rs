//! Where files land: in the folder that somebody chose and nowhere else, and never over something that is there.

use std::fs::{self, File, FileTimes};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ahoy_transfer::{Manifest, NameRules, Ranges, numbered};
use tempfile::TempPath;

/// Space that is left to others, in bytes: a disk that is full to the last byte stops more than transfers.
const LEFT_FREE: u64 = 64 * 1024 * 1024;
/// Names that are tried for one file. A folder with as many of the same name has something else wrong with it.
const MOST_NUMBERS: u32 = 10_000;

/// How many bytes of files `folder` can still take.
///
/// # Errors
/// What the system says where there is no such folder.
pub fn available_space(folder: &Path) -> io::Result<u64> {
    Ok(fs4::available_space(folder)?.saturating_sub(LEFT_FREE))
}

/// Whether files can be made in `folder`.
///
/// # Errors
/// What the system says where they can't.
pub fn is_writable(folder: &Path) -> io::Result<()> {
    tempfile::Builder::new().prefix(".ahoy-").tempfile_in(folder).map(drop)
}

/// What entries are called in `folder`, so that each is a file of its own, and none is `kept`.
pub(crate) fn names(manifest: &Manifest, folder: &Path, kept: &str) -> Vec<String> {
    let rules = NameRules::here();
    manifest.local_names(rules, |name| rules.key(name) == rules.key(kept) || exists(&folder.join(name)))
}

/// Whether there is something, be it a link that leads nowhere.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The path of an entry below the folder where all goes.
pub(crate) fn path_of(manifest: &Manifest, names: &[String], number: u32) -> Option<PathBuf> {
    let mut parts = vec![names.get(number as usize)?];
    let mut folder = manifest.get(number)?.folder;
    while let Some(above) = folder {
        parts.push(names.get(above as usize)?);
        folder = manifest.get(above)?.folder;
    }
    Some(parts.into_iter().rev().collect())
}

/// Folders that are wanted: those that wanted files are in, and where all files are wanted those in which there are none. In an
/// order in which they can be made.
pub(crate) fn folders<'a>(
    manifest: &'a Manifest,
    names: &'a [String],
    wanted: &Ranges,
) -> impl DoubleEndedIterator<Item = PathBuf> + 'a {
    let all = manifest.files().all(|(file, _)| wanted.contains(u64::from(file)));
    let mut is_needed = vec![all; manifest.len() as usize];
    for file in wanted.iter().map(|file| file as u32) {
        let mut folder = manifest.get(file).and_then(|entry| entry.folder);
        while let Some(number) = folder.filter(|number| !is_needed[*number as usize]) {
            is_needed[number as usize] = true;
            folder = manifest.get(number).and_then(|entry| entry.folder);
        }
    }
    let numbers = (0..manifest.len()).filter(move |number| {
        is_needed[*number as usize] && manifest.get(*number).is_some_and(|entry| entry.size.is_none())
    });
    numbers.filter_map(|number| path_of(manifest, names, number))
}

/// Makes a folder below `root` where there is none, and those that it is in. A link in the place of one of them is an error: it
/// leads somewhere that nobody chose.
pub(crate) fn make_folder(root: &Path, below: &Path) -> io::Result<PathBuf> {
    let mut path = root.to_owned();
    for part in below.components() {
        let Component::Normal(name) = part else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not below the folder"));
        };
        path.push(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.symlink_metadata()?.is_dir() => {}
            made => made?,
        }
    }
    Ok(path)
}

/// Moves `partial` to `below` in `root`, under another name where there is something by that one. `is_next` is told where it will be
/// before it is there.
pub(crate) fn move_to(
    partial: &Path,
    root: &Path,
    below: &Path,
    mut is_next: impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let not_a_name = || io::Error::new(ErrorKind::InvalidInput, "not a name");
    let name = below.file_name().and_then(|name| name.to_str()).ok_or_else(not_a_name)?;
    let above = below.parent().unwrap_or(Path::new(""));
    let folder = make_folder(root, above)?;
    let mut number = 1;
    loop {
        let name = if number == 1 { name.to_owned() } else { numbered(name, number) };
        let goal = folder.join(&name);
        if !exists(&goal) {
            is_next(&above.join(&name))?;
            match TempPath::try_from_path(partial)?.persist_noclobber(&goal) {
                Ok(()) => {
                    sync_folder(&folder);
                    return Ok(goal);
                }
                Err(failed) => {
                    // Else it would be deleted.
                    let _ = failed.path.keep();
                    if failed.error.kind() != ErrorKind::AlreadyExists {
                        return Err(failed.error);
                    }
                }
            }
        }
        number += 1;
        if number > MOST_NUMBERS {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "too many files of this name"));
        }
    }
}

/// Has the names in a folder on the disk for good. Not every system can.
fn sync_folder(folder: &Path) {
    if cfg!(unix)
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// Gives a file the time at which it was changed where it comes from. A time that can't be is left out.
pub(crate) fn set_modified(file: &File, modified: Option<i64>) {
    let time = modified.and_then(|millis| {
        let length = Duration::from_millis(millis.unsigned_abs());
        let time: Option<SystemTime> =
            if millis < 0 { UNIX_EPOCH.checked_sub(length) } else { UNIX_EPOCH.checked_add(length) };
        time
    });
    if let Some(time) = time {
        let _ = file.set_times(FileTimes::new().set_modified(time));
    }
}
