//! Logs: a rotating file and standard error, filtered, and free of what others must not read.
//!
//! Nothing in Ahoy logs SDP, candidates, tokens or names: the types that hold them redact themselves in `Debug`. The
//! WebRTC library does log some of it at `debug`, and whole packets at `warn` when a queue is full, so its targets
//! start at the levels that [`ahoy_rtc::log_directives`] gives, whatever the filter says for the rest.

use std::io;
use std::path::PathBuf;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// A week of daily files: enough to look into a report of "it broke on Monday".
const KEPT_FILES: usize = 7;

/// How to log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// What goes to standard error, as a `tracing` filter such as `info` or `ahoy_rtc=debug,warn`.
    pub stderr: String,
    /// What goes to the file.
    pub file: String,
    /// Folder of the files; `None` logs to standard error only.
    pub folder: Option<PathBuf>,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter can't be read.
    #[error(
        "the log filter {filter:?} can't be read ({source}); write a level such as info, or ahoy_rtc=debug,warn"
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Something has set up logging already.
    #[error("logging was set up twice")]
    AlreadySet,
}

/// Keeps the log file's writer running; dropping it writes out what is left.
#[must_use = "the log file is written only while this lives"]
pub struct LogGuard {
    _writer: Option<WorkerGuard>,
}

/// The folder that log files go to: the user's state (or local data) folder for Ahoy.
pub fn log_folder() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("chat", "ahoy", "ahoy")?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).join("logs"))
}

/// Starts logging for the whole process. A folder that can't be written to is reported on standard error and does
/// without a file: logs must never keep a call from starting.
pub fn start(options: &LogOptions) -> Result<LogGuard, LogError> {
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(true)
        .compact()
        .with_filter(filter(&options.stderr)?);
    let (file, writer) = match options.folder.as_ref().map(|folder| (folder, appender(folder))) {
        Some((_, Ok(appender))) => {
            // Lines are dropped when the disk can't keep up: a call must not wait for its log.
            let (writer, guard) = tracing_appender::non_blocking(appender);
            let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
            (Some(layer.with_filter(filter(&options.file)?)), Some(guard))
        }
        Some((folder, Err(error))) => {
            complain(&format!("logs are not kept: {} can't be written to ({error})", folder.display()));
            (None, None)
        }
        None => (None, None),
    };
    let subscriber = tracing_subscriber::registry().with(file).with(stderr);
    subscriber.try_init().map_err(|_| LogError::AlreadySet)?;
    Ok(LogGuard { _writer: writer })
}

#[expect(clippy::print_stderr, reason = "there is no log yet to say it in")]
fn complain(sentence: &str) {
    eprintln!("{sentence}");
}

fn appender(folder: &PathBuf) -> Result<RollingFileAppender, tracing_appender::rolling::InitError> {
    // The builder complains on standard error about a folder that is not there yet, and then makes it. Whether it can be
    // made, the builder tells.
    let _ = std::fs::create_dir_all(folder);
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("ahoy")
        .filename_suffix("log")
        .max_log_files(KEPT_FILES)
        .build(folder)
}

fn filter(text: &str) -> Result<EnvFilter, LogError> {
    let wrong = |source| LogError::Filter { filter: text.to_owned(), source };
    let mut filter = EnvFilter::builder().parse(text).map_err(wrong)?;
    for directive in ahoy_rtc::log_directives().split(',') {
        // A target that the user names keeps the user's level: asking for it by name is a choice.
        let target = directive.split('=').next().unwrap_or(directive);
        if !text.contains(target) {
            filter = filter.add_directive(directive.parse().map_err(wrong)?);
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_explained() {
        let error = filter("ahoy=loud").unwrap_err().to_string();
        assert!(error.contains("ahoy=loud") && error.contains("info"), "{error}");
    }

    #[test]
    fn the_librarys_packet_dumps_stay_out_unless_asked_for_by_name() {
        let quiet = filter("debug").unwrap().to_string();
        for directive in ahoy_rtc::log_directives().split(',') {
            assert!(quiet.contains(directive), "{quiet} lacks {directive}");
        }
    }
}
