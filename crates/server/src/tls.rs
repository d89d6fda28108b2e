//! TLS from certificate files. They are read again when they change; connections that are open stay open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsConfig;

/// Why certificate and key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or holds something else.
    #[error("{path} can't be read: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// They are no good, or don't belong together.
    #[error("certificate and key can't be used: {0}")]
    Unusable(String),
}

fn read(config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let file = |path: &Path, reason: String| TlsError::File { path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file(&config.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(file(&config.certificate, "there is no certificate in it".into()));
    }
    let key =
        PrivateKeyDer::from_pem_file(&config.key).map_err(|error| file(&config.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Unusable(error.to_string()))?
        .with_no_client_auth()
        // Fails where the key is not the certificate's.
        .with_single_cert(chain, key)
        .map_err(|error| TlsError::Unusable(error.to_string()))?;
    // WebSockets go over HTTP/1.1 (RFC 6455).
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// Certificate and key in use.
#[derive(Clone)]
pub(crate) struct Certificate {
    files: TlsConfig,
    active: RustlsConfig,
}

impl Certificate {
    /// Reads the files.
    pub(crate) fn load(files: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self { files: files.clone(), active: RustlsConfig::from_config(read(files)?) })
    }

    /// What connections are accepted with.
    pub(crate) fn active(&self) -> RustlsConfig {
        self.active.clone()
    }

    /// Reads the files again. Where they can't be used, what was in use stays so.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        self.active.reload_from_config(read(&self.files)?);
        Ok(())
    }
}

/// Says whether certificate and key can be used, without using them.
///
/// # Errors
/// [`TlsError`] where they can't.
pub fn check(config: &TlsConfig) -> Result<(), TlsError> {
    read(config).map(|_| ())
}
