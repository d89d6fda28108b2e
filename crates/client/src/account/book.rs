//! Who is signed in where: a file, which several programs of one person share.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ahoy_signal::{DeviceId, Handle, Name, UserId};
use serde::{Deserialize, Serialize};

/// A file larger than this is none of ours.
const LARGEST_FILE: u64 = 1 << 20;

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// It can't be read or written.
    #[error("{} can't be used ({cause}): check that you may read and write there, and that the disk has room", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// It is no such file.
    #[error("{} is not a file of Ahoy's sign-ins: move it away, or name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// A sign-in, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInRecord {
    /// The server's address.
    pub server: String,
    /// What one is found by.
    pub handle: Handle,
    /// What one is called.
    pub name: Name,
    /// Who one is.
    pub user: UserId,
    /// Which of one's devices this is.
    pub device: DeviceId,
    /// The certificates of the server's own authority, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether somebody chose plain HTTP for this server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_http: bool,
}

impl SignInRecord {
    /// What its secret is called: handle and server, so that people find it in their keyring.
    pub(super) fn secret_name(&self) -> String {
        format!("{}@{}", self.handle, self.server)
    }
}

/// What is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    /// The server that was signed in to last.
    pub(super) current: Option<String>,
    pub(super) sign_ins: Vec<SignInRecord>,
    /// Only in a file that was chosen for that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) secrets: BTreeMap<String, String>,
}

impl Page {
    /// The sign-in at a server, or the last one.
    pub(super) fn find(&self, server: Option<&str>) -> Option<&SignInRecord> {
        let server = server.or(self.current.as_deref())?;
        self.sign_ins.iter().find(|record| record.server == server)
    }

    pub(super) fn put(&mut self, record: SignInRecord) {
        self.sign_ins.retain(|other| other.server != record.server);
        self.current = Some(record.server.clone());
        self.sign_ins.push(record);
    }

    pub(super) fn remove(&mut self, server: &str) {
        self.sign_ins.retain(|record| record.server != server);
        if self.current.as_deref() == Some(server) {
            self.current = self.sign_ins.last().map(|record| record.server.clone());
        }
    }
}

/// The file. Only its owner can read it.
#[derive(Clone, Debug)]
pub(super) struct AccountBook {
    path: PathBuf,
}

/// Keeps other programs from changing sign-ins until it is dropped.
#[derive(Debug)]
pub(super) struct BookLock(#[expect(dead_code, reason = "closing the file lets go of the lock")] File);

impl AccountBook {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    fn error(&self, cause: io::Error) -> BookError {
        BookError::Io { path: self.path.clone(), cause }
    }

    /// Waits until no other program changes sign-ins. A refresh of another program takes seconds at most.
    pub(super) fn lock(&self) -> Result<BookLock, BookError> {
        let file = self.locked_file().map_err(|cause| self.error(cause))?;
        Ok(BookLock(file))
    }

    fn locked_file(&self) -> io::Result<File> {
        make_folder(&self.path)?;
        let file = private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(self.path.with_added_extension("lock"))?;
        file.lock()?;
        Ok(file)
    }

    pub(super) fn read(&self) -> Result<Page, BookError> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Page::default()),
            Err(error) => return Err(self.error(error)),
            Ok(about) if about.len() > LARGEST_FILE => {
                return Err(BookError::Foreign { path: self.path.clone() });
            }
            Ok(_) => {}
        }
        let text = fs::read(&self.path).map_err(|cause| self.error(cause))?;
        serde_json::from_slice(&text).map_err(|_| BookError::Foreign { path: self.path.clone() })
    }

    /// Changes the file. Whoever calls it holds the lock.
    pub(super) fn change(&self, change: impl FnOnce(&mut Page)) -> Result<(), BookError> {
        let mut page = self.read()?;
        change(&mut page);
        self.write(&page).map_err(|cause| self.error(cause))
    }

    /// Writes beside the file and puts that in its place, so that whatever happens one of the two is whole.
    fn write(&self, page: &Page) -> io::Result<()> {
        make_folder(&self.path)?;
        let beside = self.path.with_added_extension("new");
        let mut text = serde_json::to_vec_pretty(page)?;
        text.push(b'\n');
        // An old one may have been left behind by a program that was ended, with other rights.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = private(OpenOptions::new().create_new(true).write(true)).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(Ok(()), fs::create_dir_all)
}

/// Only the owner may read what is opened with these. Windows keeps files of a user's folders from others by itself.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(server: &str) -> SignInRecord {
        SignInRecord {
            server: server.to_owned(),
            handle: Handle::new("ada").unwrap(),
            name: Name::new("Ada").unwrap(),
            user: UserId::from_bits(1),
            device: DeviceId::from_bits(1),
            ca_file: None,
            insecure_http: false,
        }
    }

    #[test]
    fn the_last_sign_in_is_the_one_that_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let book = AccountBook::at(folder.path().join("ahoy/account.json"));
        let _lock = book.lock().unwrap();
        assert!(book.read().unwrap().find(None).is_none());
        for server in ["https://a.example", "https://b.example"] {
            book.change(|page| page.put(record(server))).unwrap();
        }
        let page = book.read().unwrap();
        assert_eq!(page.find(None).unwrap().server, "https://b.example");
        assert_eq!(page.find(Some("https://a.example")).unwrap().server, "https://a.example");
        book.change(|page| page.remove("https://b.example")).unwrap();
        assert_eq!(book.read().unwrap().find(None).unwrap().server, "https://a.example");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it_whatever_was_there_before() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.json");
        fs::write(path.with_added_extension("new"), "left behind").unwrap();
        let book = AccountBook::at(path.clone());
        book.change(|page| page.put(record("https://a.example"))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "my notes").unwrap();
        let book = AccountBook::at(path.clone());
        let error = book.change(|page| page.put(record("https://a.example"))).unwrap_err();
        assert!(matches!(error, BookError::Foreign { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "my notes");
    }
}
