//! Whose certificates are believed: the same for HTTP and WebSocket.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest as _, Sha256};

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

/// The fingerprint of one certificate: SHA-256 of its DER, written in base64url without padding (RFC 4648 section 5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the fingerprint of a certificate: one has 43 letters, digits, - and _")]
pub struct NoFingerprint;

impl Fingerprint {
    /// Of a certificate, in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoFingerprint)?;
        Ok(Self(bytes.try_into().map_err(|_| NoFingerprint)?))
    }
}

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    extra: Vec<CertificateDer<'static>>,
    pinned: Option<Fingerprint>,
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
        Ok(Self { extra, pinned: None })
    }

    /// One certificate and no other, whatever stands in it: for a server that somebody has made themselves, and whose
    /// fingerprint came on a way that is believed.
    pub fn pinned(fingerprint: Fingerprint) -> Self {
        Self { extra: Vec::new(), pinned: Some(fingerprint) }
    }

    /// TLS as the client speaks it, for other servers of the same operator, such as relays.
    ///
    /// # Errors
    /// [`TrustError::System`].
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        self.tls(true)
    }

    /// TLS that believes any certificate. What is read over it may come from anybody: it is for questions whose answers nothing
    /// rests on, and that give nothing away.
    pub(crate) fn of_anybody() -> Result<Arc<ClientConfig>, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::System)?;
        let verifier = Arc::new(Chosen { belief: Belief::Anybody, provider });
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        Ok(Arc::new(builder.with_no_client_auth()))
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
        if let Some(fingerprint) = self.pinned {
            let verifier = Arc::new(Chosen { belief: Belief::Pinned(fingerprint), provider });
            let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
            return Ok(Arc::new(builder.with_no_client_auth()));
        }
        let verifier =
            Verifier::new_with_extra_roots(self.extra.clone(), provider).map_err(TrustError::System)?;
        let config =
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// Which certificates are believed, whatever names and dates stand in them.
#[derive(Debug)]
enum Belief {
    /// One: whoever gave the fingerprint said which it is.
    Pinned(Fingerprint),
    /// All.
    Anybody,
}

/// Believes certificates by what somebody said of them.
#[derive(Debug)]
struct Chosen {
    belief: Belief,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Chosen {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.belief {
            Belief::Pinned(fingerprint) if Fingerprint::of(certificate) != fingerprint => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Belief::Pinned(_) | Belief::Anybody => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let fingerprint = Fingerprint::of(b"a certificate");
        assert_eq!(fingerprint.to_string().len(), 43);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        for bad in ["", "abc", &fingerprint.to_string()[1..], &format!("{fingerprint}A"), "=", "ü"] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(NoFingerprint), "{bad}");
        }
    }
}
