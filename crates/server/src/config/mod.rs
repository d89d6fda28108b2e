//! The configuration: one file in which every key stands with its default and a comment, changed by the operator's file and
//! by the environment.
//!
//! The defaults are read from the same text that is printed: a key without a default, or one that nothing reads, can't be.

mod check;
mod turn;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::{Deserialize, Serialize};

pub use check::{ConfigError, Finding};
pub use turn::{TurnConfig, TurnMode};

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("default.toml");
/// What environment variables begin with; sections and keys follow, each after two underscores.
pub const ENV_PREFIX: &str = "AHOY_SERVER__";
/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "ahoy-server.toml";

/// All of it. `default.toml` says what each key means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where files are kept.
    pub data_dir: PathBuf,
    /// How to listen.
    pub http: HttpConfig,
    /// Certificate and key.
    pub tls: TlsConfig,
    /// Where things are stored.
    pub database: DatabaseConfig,
    /// Accounts and tokens.
    pub auth: AuthConfig,
    /// How much one may ask for.
    pub limits: LimitsConfig,
    /// A relay for calls.
    pub turn: TurnConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// How to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// What people call this server; empty for what it listens on.
    pub public_url: String,
    /// Whether to listen without TLS on more than loopback.
    pub allow_plain_http: bool,
    /// Web pages that may talk to this server.
    pub allowed_origins: BTreeSet<String>,
    /// Proxies whose word on addresses counts.
    pub trusted_proxies: BTreeSet<IpAddr>,
    /// Who may read the metrics.
    pub metrics: MetricsFor,
}

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsFor {
    /// Programs on the same machine.
    Loopback,
    /// Everyone.
    Everyone,
    /// Nobody.
    Nobody,
}

/// Certificate and key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The chain, in PEM; empty without TLS.
    pub certificate: PathBuf,
    /// The key, in PEM; empty without TLS.
    pub key: PathBuf,
}

/// Where things are stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// PostgreSQL; empty for SQLite.
    pub url: String,
    /// Connections to PostgreSQL at most.
    pub connections: u32,
}

impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL holds a password.
        write!(f, "DatabaseConfig({} connections)", self.connections)
    }
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignUp {
    /// Everyone.
    Open,
    /// Whoever knows the code.
    Code,
    /// Nobody.
    Closed,
}

/// Accounts and tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
    /// How long an access token is good.
    pub access_token_s: u64,
    /// How long a device stays signed in.
    pub refresh_token_days: u64,
    /// For how long a lost answer can be had again.
    pub refresh_grace_s: u64,
    /// The file with the keys.
    pub keys_file: PathBuf,
    /// When a new key takes over.
    pub key_lifetime_days: u64,
    /// Who may make an account.
    pub sign_up: SignUp,
    /// The word for new people.
    pub sign_up_code: String,
    /// Devices of an account.
    pub devices_per_account: u32,
    /// Memory of a hash.
    pub argon2_memory_kib: u32,
    /// How often it goes over it.
    pub argon2_passes: u32,
    /// Passwords that are checked at once.
    pub password_workers: usize,
    /// Passwords that wait.
    pub password_queue: usize,
}

impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The sign-up code is a secret.
        write!(f, "AuthConfig({:?}, {:?})", self.issuer, self.sign_up)
    }
}

/// How much one may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests of a guest in a minute.
    pub guest_per_minute: u32,
    /// Requests of an account in a minute.
    pub normal_per_minute: u32,
    /// Requests of a partner in a minute.
    pub partner_per_minute: u32,
    /// Signals inside calls in a minute.
    pub call_signals_per_minute: u32,
    /// Signals inside calls at once.
    pub call_signals_burst: u32,
    /// Requests without a good token in a minute, from one address.
    pub strangers_per_minute: u32,
    /// WebSockets opened in a minute, from one address.
    pub sockets_per_minute: u32,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Security events.
    pub audit_days: u64,
    /// What lies in inboxes: messages, missed calls.
    pub inbox_days: u64,
    /// Rooms that nobody uses.
    pub unused_room_days: u64,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Filters.
    pub level: String,
    /// How it looks.
    pub format: LogFormat,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object a line, for programs.
    Json,
}

impl Config {
    /// The defaults.
    ///
    /// # Errors
    /// None: a test reads them.
    pub fn defaults() -> Result<Self, ConfigError> {
        read(Figment::from(Toml::string(DEFAULTS)))
    }

    /// The defaults, changed by the operator's file and by the environment, and checked.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let file = match named {
            Some(path) if !path.is_file() => return Err(ConfigError::missing(path)),
            Some(path) => Some(path),
            None => Some(Path::new(DEFAULT_FILE)).filter(|path| path.is_file()),
        };
        let mut sources = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            sources = sources.merge(Toml::file_exact(file));
        }
        let config = read(sources.merge(Env::prefixed(ENV_PREFIX).split("__")))?;
        config.check()?;
        Ok(config)
    }

    /// Whether connections are encrypted.
    pub fn uses_tls(&self) -> bool {
        !self.tls.certificate.as_os_str().is_empty()
    }
}

fn read(sources: Figment) -> Result<Config, ConfigError> {
    sources.extract().map_err(ConfigError::unreadable)
}

#[cfg(test)]
mod tests;
