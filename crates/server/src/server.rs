//! The whole server: built from a configuration, started, and stopped without anyone losing their place.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ahoy_turn::Relay;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::RustlsAcceptor;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::auth::keys::KeyError;
use crate::auth::password::{CostsError, PasswordCosts, Passwords};
use crate::auth::token::Issuer;
use crate::auth::{AccountRules, Accounts, Authenticator, SignUpPolicy, TokenRules};
use crate::clock::unix_ms;
use crate::config::{Config, ConfigError, SignUp};
use crate::files::{LOOK_EVERY, WatchedFiles};
use crate::http::{Health, HttpLimits, HttpState, router};
use crate::metrics_recorder::recorder;
use crate::realtime::bus::LocalBus;
use crate::realtime::limits::Limits;
use crate::realtime::presence::LocalPresence;
use crate::realtime::{Parts, Realtime};
use crate::store::StoreError;
use crate::store::sql::{Database, Retention, SqlStore};
use crate::tls::{Certificate, TlsError};
use crate::turn::{self, TurnError};

/// The SQLite file in the data folder.
const SQLITE_FILE: &str = "ahoy.db";
/// How often what is over is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How long requests that are under way may take when the server stops.
const DRAIN: Duration = Duration::from_secs(3);
/// How long a connection may take for its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
const DAY_MS: u64 = 24 * 3_600_000;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys can't be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no relay.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// Passwords can't be hashed as configured.
    #[error("auth.argon2_*: {0}")]
    Costs(#[from] CostsError),
    /// Nobody can connect there.
    #[error("http.listen: {address} can't be listened on: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

/// A server that runs.
pub struct Server {
    addr: SocketAddr,
    url: String,
    state: Arc<HttpState>,
    store: SqlStore,
    relay: Option<Relay>,
    handle: Handle<SocketAddr>,
    serving: JoinHandle<io::Result<()>>,
    upkeep: JoinHandle<()>,
    reload: Arc<Notify>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.url)
    }
}

/// Where a configuration stores things.
pub fn database(config: &Config) -> Database {
    match config.database.url.is_empty() {
        true => Database::Sqlite { path: config.data_dir.join(SQLITE_FILE) },
        false => {
            Database::Postgres { url: config.database.url.clone(), connections: config.database.connections }
        }
    }
}

/// Where a configuration keeps its keys.
pub fn keys_file(config: &Config) -> PathBuf {
    config.data_dir.join(&config.auth.keys_file)
}

/// What a configuration says of tokens.
pub fn token_rules(config: &Config) -> TokenRules {
    TokenRules {
        issuer: Issuer { issuer: config.auth.issuer.clone(), audience: config.auth.audience.clone() },
        access_s: config.auth.access_token_s,
        keys_file: keys_file(config),
    }
}

fn account_rules(config: &Config, url: &str) -> AccountRules {
    let auth = &config.auth;
    AccountRules {
        sign_up: match auth.sign_up {
            SignUp::Open => SignUpPolicy::Open,
            SignUp::Code => SignUpPolicy::Code(auth.sign_up_code.clone()),
            SignUp::Closed => SignUpPolicy::Closed,
        },
        refresh_lifetime_ms: auth.refresh_token_days * DAY_MS,
        refresh_grace_ms: auth.refresh_grace_s * 1000,
        devices_most: auth.devices_per_account,
        public_url: url.to_owned(),
    }
}

fn password_costs(config: &Config) -> PasswordCosts {
    let half = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    PasswordCosts {
        memory_kib: config.auth.argon2_memory_kib,
        passes: config.auth.argon2_passes,
        workers: match config.auth.password_workers {
            0 => half,
            some => some,
        },
        queue: config.auth.password_queue,
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| StartError::Listen { address, error })
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let metrics = recorder();
        let certificate = match config.uses_tls() {
            true => Some(Certificate::load(&config.tls)?),
            false => None,
        };
        let passwords = Passwords::new(&password_costs(&config))?;
        let store = SqlStore::open(&database(&config)).await?;
        let authenticator = Arc::new(Authenticator::new(store.clone(), token_rules(&config))?);
        let listener = listen(config.http.listen)?;
        let addr = listener
            .local_addr()
            .map_err(|error| StartError::Listen { address: config.http.listen, error })?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{addr}");
        let public_url = match config.http.public_url.trim_end_matches('/') {
            "" => url.clone(),
            named => named.to_owned(),
        };

        let (ice, relay) = turn::start(&config, certificate.as_ref())?;
        let realtime = Arc::new(Realtime::new(Parts {
            tokens: authenticator.clone(),
            rooms: Arc::new(store.clone()),
            contacts: Arc::new(store.clone()),
            inboxes: Arc::new(store.clone()),
            bus: Arc::new(LocalBus::default()),
            presence: Arc::new(LocalPresence::default()),
            ice,
            limits: Limits {
                guest_per_minute: config.limits.guest_per_minute,
                normal_per_minute: config.limits.normal_per_minute,
                partner_per_minute: config.limits.partner_per_minute,
                call_signals_per_minute: config.limits.call_signals_per_minute,
                call_signals_burst: config.limits.call_signals_burst,
            },
        }));
        let accounts = Accounts::new(
            store.clone(),
            authenticator.clone(),
            realtime.clone(),
            passwords,
            account_rules(&config, &public_url),
        );
        let mut allowed_origins = config.http.allowed_origins.clone();
        allowed_origins.insert(origin_of(&public_url));
        let state = Arc::new(HttpState {
            accounts: Arc::new(accounts),
            realtime,
            health: Health::new(store.clone()),
            limits: HttpLimits::new(&config.limits),
            allowed_origins,
            trusted_proxies: config.http.trusted_proxies.iter().map(|proxy| proxy.to_canonical()).collect(),
            metrics_for: config.http.metrics,
            metrics,
        });

        let handle = Handle::new();
        let serving = serve(listener, certificate.as_ref(), handle.clone(), state.clone())
            .map_err(|error| StartError::Listen { address: addr, error })?;
        let reload = Arc::new(Notify::new());
        let upkeep = Upkeep {
            state: state.clone(),
            store: store.clone(),
            authenticator,
            certificate,
            config,
            reload: reload.clone(),
        };
        Ok(Self {
            addr,
            url: public_url,
            state,
            store,
            relay,
            handle,
            serving,
            upkeep: tokio::spawn(upkeep.run()),
            reload,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What people's clients call it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads certificate and keys again, whether they seem to have changed or not.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// The relay for calls, where this program is one.
    pub fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref()
    }

    /// Everything about accounts, for programs that have the server in themselves.
    pub fn accounts(&self) -> &Accounts {
        &self.state.accounts
    }

    /// Stops: not ready any more, clients are told to come back, requests under way are answered, and nothing more is relayed.
    pub async fn stop(self) {
        self.state.health.stop();
        self.state.realtime.stop().await;
        self.handle.graceful_shutdown(Some(DRAIN));
        match self.serving.await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => tracing::error!(%error, "listening ended"),
            Err(error) => tracing::error!(%error, "listening ended unexpectedly"),
        }
        // Last, because calls go on while their server is away.
        if let Some(relay) = self.relay {
            relay.stop().await;
        }
        self.upkeep.abort();
        self.store.close().await;
    }
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            format!("{scheme}://{host}")
        }
        None => url.to_owned(),
    }
}

fn serve(
    listener: TcpListener,
    certificate: Option<&Certificate>,
    handle: Handle<SocketAddr>,
    state: Arc<HttpState>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    // Not `http1_only`, with which axum-server lets no connection become a WebSocket. Without TCP_NODELAY the kernel holds a
    // small message back until the last one is acknowledged, which the other side's kernel puts off for 40 ms.
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    Ok(match certificate {
        Some(certificate) => {
            let acceptor = RustlsAcceptor::new(certificate.active()).acceptor(NoDelayAcceptor::new());
            let server = axum_server::from_tcp(listener)?
                .acceptor(acceptor)
                .handle(handle)
                .first_request_timeout(FIRST_REQUEST);
            tokio::spawn(server.serve(service))
        }
        None => {
            let server = axum_server::from_tcp(listener)?
                .acceptor(NoDelayAcceptor::new())
                .handle(handle)
                .first_request_timeout(FIRST_REQUEST);
            tokio::spawn(server.serve(service))
        }
    })
}

/// What is done while the server runs: files that change, keys that get old, rows that are over.
struct Upkeep {
    state: Arc<HttpState>,
    store: SqlStore,
    authenticator: Arc<Authenticator>,
    certificate: Option<Certificate>,
    config: Config,
    reload: Arc<Notify>,
}

impl Upkeep {
    async fn run(self) {
        let keys = keys_file(&self.config);
        let mut key_files = WatchedFiles::new(&[&keys]);
        let mut tls_files = WatchedFiles::new(&[&self.config.tls.certificate, &self.config.tls.key]);
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                () = self.reload.notified() => {
                    let _ = (key_files.changed(), tls_files.changed());
                    self.reload_keys();
                    self.reload_certificate();
                }
                _ = look.tick() => {
                    if key_files.changed() {
                        self.reload_keys();
                    }
                    if tls_files.changed() {
                        self.reload_certificate();
                    }
                    if let Some(metrics) = &self.state.metrics {
                        metrics.run_upkeep();
                    }
                }
                _ = sweep.tick() => {
                    self.state.limits.forget();
                    self.sweep().await;
                }
            }
        }
    }

    fn reload_keys(&self) {
        match self.authenticator.reload_keys() {
            Ok(()) => tracing::info!("keys were read again"),
            Err(error) => tracing::error!(%error, "keys stay what they were"),
        }
    }

    fn reload_certificate(&self) {
        match self.certificate.as_ref().map(Certificate::reload) {
            None => (),
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => tracing::error!(%error, "the certificate stays what it was"),
        }
    }

    async fn sweep(&self) {
        let now_ms = unix_ms();
        match self.authenticator.rotate_if_due(self.config.auth.key_lifetime_days * DAY_MS, now_ms) {
            Ok(true) => tracing::info!("a new key was made; it signs in five minutes"),
            Ok(false) => (),
            Err(error) => tracing::error!(%error, "no new key could be made"),
        }
        let retention = Retention {
            now_ms,
            audit_ms: now_ms.saturating_sub(self.config.retention.audit_days * DAY_MS),
            rooms_ms: now_ms.saturating_sub(self.config.retention.unused_room_days * DAY_MS),
            inbox_ms: now_ms.saturating_sub(self.config.retention.inbox_days * DAY_MS),
        };
        match self.store.sweep(&retention).await {
            Ok(swept) if swept.rows > 0 => tracing::debug!(rows = swept.rows, "what was over is forgotten"),
            Ok(_) => (),
            Err(error) => tracing::error!(%error, "nothing could be forgotten"),
        }
    }
}
