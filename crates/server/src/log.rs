//! The log: lines on standard error, for people or for programs.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.level` is no filter.
    #[error("log.level is no filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The program logs elsewhere already.
    #[error("the log is set up already")]
    Taken,
}

/// Sets the log up for the whole program.
///
/// # Errors
/// [`LogError`].
pub fn set_up(config: &LogConfig) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(&config.level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| LogError::Taken)
}
