//! Why a server could not be reached.

use std::error::Error;
use std::io;

use ahoy_signal::Refusal;

/// Why a server could not be reached, or did not do what was asked. The sentences say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// No connection: no network, a wrong address, or no server there.
    #[error(
        "{server} can't be reached ({cause}): check the address and your network, and that the server runs"
    )]
    Unreachable {
        /// Its address.
        server: String,
        /// The system's reason.
        cause: String,
    },
    /// The connection broke before the answer was there: whether it was done is not known.
    #[error("the connection to {server} broke off ({cause}): try again")]
    BrokenOff {
        /// Its address.
        server: String,
        /// The system's reason.
        cause: String,
    },
    /// Nothing came in time.
    #[error("{server} does not answer: try again later, or check your network")]
    TimedOut {
        /// Its address.
        server: String,
    },
    /// The certificate is somebody else's.
    #[error(
        "the certificate of {server} is for another name ({cause}): use the name that the server is known by"
    )]
    NameMismatch {
        /// Its address.
        server: String,
        /// What it is for.
        cause: String,
    },
    /// The certificate is not to be trusted.
    #[error(
        "the certificate of {server} is not trusted ({cause}): if the server has its own authority, name its certificate with --ca-file"
    )]
    Untrusted {
        /// Its address.
        server: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Something else answers there.
    #[error("what answers at {server} is not an Ahoy server ({cause}): check the address")]
    NotAhoy {
        /// Its address.
        server: String,
        /// How one can tell.
        cause: String,
    },
    /// The server does not do it.
    #[error("{0}")]
    Refused(Refusal),
}

impl ReachError {
    /// What an error of a network library means. Looks for the innermost reason, because libraries wrap it differently.
    pub(crate) fn of(server: &str, error: &(dyn Error + 'static)) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        let mut innermost = error.to_string();
        while let Some(error) = cause {
            innermost = error.to_string();
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self::tls(server, tls);
            }
            let io = error.downcast_ref::<io::Error>();
            if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
                return Self::TimedOut { server: server.to_owned() };
            }
            cause = match io.and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        Self::Unreachable { server: server.to_owned(), cause: innermost }
    }

    fn tls(server: &str, error: &rustls::Error) -> Self {
        let server = server.to_owned();
        match error {
            rustls::Error::InvalidCertificate(
                rustls::CertificateError::NotValidForName
                | rustls::CertificateError::NotValidForNameContext { .. },
            ) => Self::NameMismatch { server, cause: error.to_string() },
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Self::Untrusted { server, cause: error.to_string() }
            }
            // Something that does not speak TLS answers with something that is no TLS.
            rustls::Error::InvalidMessage(_) => {
                Self::NotAhoy { server, cause: "it does not speak TLS there".to_owned() }
            }
            other => Self::Unreachable { server, cause: other.to_string() },
        }
    }
}
