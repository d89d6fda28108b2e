//! Why a load could not be put on, or not be measured.

use std::io;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The system refused something.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// The server answered something else over HTTP.
    #[error("{what}: {answer}")]
    Http {
        /// What was asked.
        what: &'static str,
        /// What came.
        answer: String,
    },
    /// The server did not start, or ended.
    #[error("the server {0}")]
    Server(String),
    /// It takes too long.
    #[error("{what} took more than {seconds} s; {state}")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        seconds: u64,
        /// How far it was.
        state: String,
    },
}

impl LoadError {
    /// For `map_err`: what was tried when the system refused.
    pub(crate) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |error| Self::System { what: what.into(), error: error.into() }
    }
}
