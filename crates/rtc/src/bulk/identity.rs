//! Who the two ends of the QUIC connection are: certificates of their own, whose fingerprints the descriptions carry, as those of
//! DTLS are carried (RFC 8122): whoever can change a description can be anybody, for media and for this alike.

use std::fmt::Write as _;
use std::sync::Arc;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use crate::negotiation::attribute;

/// The attribute of descriptions that says that this side takes QUIC on the way of media, with the SHA-256 of its certificate as
/// hexadecimal digits.
pub(crate) const ATTRIBUTE: &str = "x-ahoy-quic";
/// The protocol over QUIC, and its version (RFC 7301).
const ALPN: &[u8] = b"ahoy-bulk/1";
/// What the certificates name. Nobody looks at it.
pub(super) const NAME: &str = "ahoy";

/// The SHA-256 of a certificate.
pub(crate) type Fingerprint = [u8; 32];

/// This side of one connection.
#[derive(Debug)]
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    /// A new one, for one connection.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&key)?;
        Ok(Self { certificate: certificate.der().clone(), key: key.serialize_der().into() })
    }

    /// The line of a description that tells of it.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("a={ATTRIBUTE}:");
        for byte in fingerprint(&self.certificate) {
            // Writing to a text does not fail.
            let _ = write!(line, "{byte:02x}");
        }
        line + "\r\n"
    }

    pub(super) fn client(&self, theirs: Fingerprint) -> Result<QuicClientConfig, Unusable> {
        let provider = Arc::new(ring::default_provider());
        let pinned = Arc::new(Pinned { theirs, provider: Arc::clone(&provider) });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Each connection has identities of its own.
        config.resumption = Resumption::disabled();
        Ok(config.try_into()?)
    }

    pub(super) fn server(&self, theirs: Fingerprint) -> Result<QuicServerConfig, Unusable> {
        let provider = Arc::new(ring::default_provider());
        let pinned = Arc::new(Pinned { theirs, provider: Arc::clone(&provider) });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(pinned)
            .with_single_cert(vec![self.certificate.clone()], self.key())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config.try_into()?)
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }
}

/// Why there is no such connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Tls(#[from] Error),
    #[error(transparent)]
    Cipher(#[from] NoInitialCipherSuite),
}

/// What the other side's description says of it, if it takes QUIC at all.
pub(crate) fn told(sdp: &str) -> Option<Fingerprint> {
    let digits = attribute(sdp, ATTRIBUTE)?.as_bytes();
    let mut fingerprint = Fingerprint::default();
    if digits.len() != 2 * fingerprint.len() {
        return None;
    }
    for (byte, digits) in fingerprint.iter_mut().zip(digits.chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
    }
    Some(fingerprint)
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Sha256::digest(certificate).into()
}

/// Believes one certificate, and that whoever shows it has its key.
#[derive(Debug)]
struct Pinned {
    theirs: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn believe(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        match fingerprint(certificate) == self.theirs {
            true => Ok(()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// QUIC has no older one.
fn no_tls12() -> Error {
    PeerIncompatible::Tls12NotOffered.into()
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.believe(certificate).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.believe(certificate).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_tells_what_was_written_into_it() {
        let identity = Identity::new().unwrap();
        let sdp = format!("v=0\r\n{}m=audio 9 x 0\r\n", identity.line());
        assert_eq!(told(&sdp), Some(fingerprint(&identity.certificate)));
    }

    #[test]
    fn what_is_no_fingerprint_is_none() {
        let long = "0".repeat(66);
        for value in ["", "00", "zz", &long[..63], &long, &"+0".repeat(32), &"é".repeat(32)] {
            assert_eq!(told(&format!("a={ATTRIBUTE}:{value}\r\n")), None, "{value}");
        }
        assert_eq!(told("v=0\r\n"), None);
    }
}
