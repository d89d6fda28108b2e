//! The certificate of calls that this computer hosts: made once, by nobody's authority.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ahoy_client::account::Fingerprint;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const CHAIN_FILE: &str = "host-certificate.pem";
const KEY_FILE: &str = "host-key.pem";
/// The only name in it. Browsers warn whatever it says, and programs go by the fingerprint.
const NAME: &str = "ahoy.local";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It can't be made.
    #[error("no certificate can be made for calls on this computer: {0}")]
    Make(#[from] rcgen::Error),
    /// It can't be kept.
    #[error("{} can't be used ({cause}): check that you may read and write there, and that the disk has room", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
}

/// Certificate and key, in files.
#[derive(Debug)]
pub(super) struct HostCertificate {
    pub(super) chain_file: PathBuf,
    pub(super) key_file: PathBuf,
    pub(super) fingerprint: Fingerprint,
}

impl HostCertificate {
    /// Takes the one in the folder, or makes one. One that can't be read is replaced: nothing but a browser's memory is lost.
    pub(super) fn open(folder: &Path) -> Result<Self, CertificateError> {
        let (chain_file, key_file) = (folder.join(CHAIN_FILE), folder.join(KEY_FILE));
        let fingerprint = match read(&chain_file).filter(|_| KeyPair::from_pem_file(&key_file).is_some()) {
            Some(fingerprint) => fingerprint,
            None => make(folder, &chain_file, &key_file)?,
        };
        Ok(Self { chain_file, key_file, fingerprint })
    }
}

/// What `KeyPair` lacks.
trait FromPemFile: Sized {
    fn from_pem_file(path: &Path) -> Option<Self>;
}

impl FromPemFile for KeyPair {
    fn from_pem_file(path: &Path) -> Option<Self> {
        Self::from_pem(&fs::read_to_string(path).ok()?).ok()
    }
}

fn read(chain_file: &Path) -> Option<Fingerprint> {
    let certificate = CertificateDer::from_pem_file(chain_file).ok()?;
    Some(Fingerprint::of(&certificate))
}

fn make(folder: &Path, chain_file: &Path, key_file: &Path) -> Result<Fingerprint, CertificateError> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::new([NAME.to_owned()])?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "Ahoy, a call on this computer");
    let certificate = parameters.self_signed(&key)?;
    let kept = |path: &Path, cause| CertificateError::Keep { path: path.to_owned(), cause };
    fs::create_dir_all(folder).map_err(|cause| kept(folder, cause))?;
    // The key first: a certificate without its key is made anew, a key that another one belongs to would not be.
    write(key_file, &key.serialize_pem()).map_err(|cause| kept(key_file, cause))?;
    write(chain_file, &certificate.pem()).map_err(|cause| kept(chain_file, cause))?;
    Ok(Fingerprint::of(certificate.der()))
}

/// Writes a file that nobody else reads.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_stays_the_same_until_a_file_of_it_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let first = HostCertificate::open(&folder.path().join("new")).unwrap();
        let again = HostCertificate::open(&folder.path().join("new")).unwrap();
        assert_eq!(again.fingerprint, first.fingerprint);
        fs::write(&first.key_file, "no key").unwrap();
        let other = HostCertificate::open(&folder.path().join("new")).unwrap();
        assert_ne!(other.fingerprint, first.fingerprint);
        assert_eq!(read(&other.chain_file), Some(other.fingerprint));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let certificate = HostCertificate::open(folder.path()).unwrap();
        assert_eq!(fs::metadata(certificate.key_file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_can_not_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = HostCertificate::open(&file).unwrap_err().to_string();
        assert!(error.contains("file") && error.contains("may read and write"), "{error}");
    }
}
