//! Whose certificates are believed: the same for HTTP and WebSocket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Why certificates can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of an own authority can't be read.
    #[error("{} is no file of certificates ({cause}): --ca-file takes a PEM file", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The system has no certificates, or they can't be used.
    #[error(
        "this system's certificates can't be used ({0}): install them (on Debian the package ca-certificates), or name your own with --ca-file"
    )]
    System(rustls::Error),
}

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    extra: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Those whom the system believes.
    pub fn system() -> Self {
        Self::default()
    }

    /// Those whom the system believes, and the authorities in a PEM file.
    ///
    /// # Errors
    /// [`TrustError::File`].
    pub fn with_ca_file(path: &Path) -> Result<Self, TrustError> {
        let wrong = |cause: String| TrustError::File { path: path.to_owned(), cause };
        let read = |error: pem::Error| match error {
            pem::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                wrong("there is no such file".to_owned())
            }
            other => wrong(other.to_string()),
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(read)?;
        let extra: Vec<_> = certificates.collect::<Result<_, _>>().map_err(read)?;
        if extra.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        Ok(Self { extra })
    }

    /// TLS as the client speaks it. Where nothing is to be encrypted, the system needs no certificates.
    pub(crate) fn tls(&self, encrypted: bool) -> Result<Arc<ClientConfig>, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::System)?;
        if !encrypted {
            let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
            return Ok(Arc::new(config));
        }
        let verifier =
            Verifier::new_with_extra_roots(self.extra.clone(), provider).map_err(TrustError::System)?;
        let config =
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        Ok(Arc::new(config))
    }
}
