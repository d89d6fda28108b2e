//! The log: lines on standard error, for people or for programs.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Libraries of the relay that log the addresses of people and those they talk to. Who names them in `log.level` wants that.
const TELL_ADDRESSES: [&str; 4] = ["turn_server_proto", "turn_types", "stun_proto", "stun_types"];

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
    let mut filter = EnvFilter::builder().parse(&config.level)?;
    for library in TELL_ADDRESSES {
        if !config.level.contains(library) {
            filter = filter.add_directive(format!("{library}=off").parse()?);
        }
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| LogError::Taken)
}
