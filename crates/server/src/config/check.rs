//! Says what is wrong with a configuration, all of it at once.

use std::fmt;
use std::path::Path;

use super::{Config, SignUp};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key, such as `http.listen`; empty where it is none.
    pub key: String,
    /// Where it was read, such as the file's name or the variable; empty where that is not known.
    pub source: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub findings: Vec<Finding>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration can't be used:")?;
        for finding in &self.findings {
            write!(f, "\n  {finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(super) fn missing(path: &Path) -> Self {
        let problem = format!("{} is not a file", path.display());
        Self { findings: vec![Finding { key: String::new(), source: String::new(), problem }] }
    }

    pub(super) fn unreadable(error: figment::Error) -> Self {
        let findings = error.into_iter().map(|error| {
            let source = error.metadata.as_ref().map(|metadata| match &metadata.source {
                Some(source) => source.to_string(),
                None => metadata.name.to_string(),
            });
            Finding {
                key: error.path.join("."),
                source: source.unwrap_or_default(),
                problem: error.kind.to_string(),
            }
        });
        Self { findings: findings.collect() }
    }
}

impl Config {
    /// Checks what types can't.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut findings = Vec::new();
        let mut wrong = |key: &str, problem: String| {
            findings.push(Finding { key: key.into(), source: String::new(), problem });
        };
        let (certificate, key) = (&self.tls.certificate, &self.tls.key);
        if certificate.as_os_str().is_empty() != key.as_os_str().is_empty() {
            wrong("tls", "certificate and key belong together: set both, or neither".into());
        }
        if !self.uses_tls() && !self.http.listen.ip().is_loopback() && !self.http.allow_plain_http {
            wrong(
                "http.listen",
                format!(
                    "{} can be reached from outside, and passwords would pass unencrypted: set tls.certificate and \
                     tls.key, or http.allow_plain_http if a proxy in front does TLS",
                    self.http.listen
                ),
            );
        }
        let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        if !self.http.public_url.is_empty() && !is_url(&self.http.public_url) {
            wrong("http.public_url", "must begin with https:// or http://".into());
        }
        for origin in &self.http.allowed_origins {
            let host = origin.split_once("://").map(|(_, host)| host).unwrap_or_default();
            if !is_url(origin) || host.is_empty() || host.contains('/') {
                wrong(
                    "http.allowed_origins",
                    format!("{origin:?} is no origin: one looks like \"https://ahoy.example.org\""),
                );
            }
        }
        if !self.database.url.is_empty() && cfg!(not(feature = "postgres")) {
            wrong("database.url", "must be empty: this program was built without PostgreSQL".into());
        } else if !self.database.url.is_empty()
            && !self.database.url.starts_with("postgres://")
            && !self.database.url.starts_with("postgresql://")
        {
            wrong("database.url", "must begin with postgres://, or be empty for SQLite".into());
        }
        let auth = &self.auth;
        if auth.issuer.is_empty() {
            wrong("auth.issuer", "must not be empty".into());
        }
        if auth.audience.is_empty() {
            wrong("auth.audience", "must not be empty".into());
        }
        if auth.sign_up == SignUp::Code && auth.sign_up_code.is_empty() {
            wrong("auth.sign_up_code", "sign_up = \"code\" needs one".into());
        }
        if auth.keys_file.as_os_str().is_empty() {
            wrong("auth.keys_file", "must name a file".into());
        }
        for (key, problem) in self.turn.problems(self.uses_tls()) {
            wrong(key, problem);
        }
        let limits = &self.limits;
        let ranges = [
            ("database.connections", u64::from(self.database.connections), 2, 1_000),
            ("auth.access_token_s", auth.access_token_s, 60, 600),
            ("auth.refresh_token_days", auth.refresh_token_days, 1, 3_650),
            ("auth.refresh_grace_s", auth.refresh_grace_s, 0, 300),
            ("auth.key_lifetime_days", auth.key_lifetime_days, 1, 3_650),
            ("auth.devices_per_account", u64::from(auth.devices_per_account), 1, 1_000),
            ("auth.argon2_memory_kib", u64::from(auth.argon2_memory_kib), 8, 4_194_304),
            ("auth.argon2_passes", u64::from(auth.argon2_passes), 1, 100),
            ("auth.password_workers", auth.password_workers as u64, 0, 1_024),
            ("auth.password_queue", auth.password_queue as u64, 0, 100_000),
            ("limits.guest_per_minute", u64::from(limits.guest_per_minute), 1, 10_000_000),
            ("limits.normal_per_minute", u64::from(limits.normal_per_minute), 1, 10_000_000),
            ("limits.partner_per_minute", u64::from(limits.partner_per_minute), 1, 10_000_000),
            ("limits.call_signals_per_minute", u64::from(limits.call_signals_per_minute), 1, 10_000_000),
            ("limits.call_signals_burst", u64::from(limits.call_signals_burst), 1, 10_000_000),
            ("limits.strangers_per_minute", u64::from(limits.strangers_per_minute), 1, 10_000_000),
            ("limits.sockets_per_minute", u64::from(limits.sockets_per_minute), 1, 10_000_000),
            ("turn.credential_s", self.turn.credential_s, 60, 86_400),
            ("turn.allocations_per_user", self.turn.allocations_per_user as u64, 1, 10_000),
            ("turn.allocations", self.turn.allocations as u64, 1, 65_535),
            ("turn.allocation_bytes_per_s", self.turn.allocation_bytes_per_s, 10_000, 10_000_000_000),
            ("turn.user_bytes_per_s", self.turn.user_bytes_per_s, 10_000, 10_000_000_000),
            ("retention.audit_days", self.retention.audit_days, 1, 36_500),
            ("retention.inbox_days", self.retention.inbox_days, 1, 36_500),
            ("retention.unused_room_days", self.retention.unused_room_days, 1, 36_500),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                wrong(key, format!("{value} is out of range: {least} to {most}"));
            }
        }
        if let Err(error) = self.log.level.parse::<tracing_subscriber::filter::Targets>() {
            wrong("log.level", format!("is no filter: {error}"));
        }
        if findings.is_empty() { Ok(()) } else { Err(ConfigError { findings }) }
    }
}
