//! The real signaling server, inside of a test.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use ahoy_server::config::ConfigError;
pub use ahoy_server::config::{Config, TurnMode};
use ahoy_server::server::{Server, StartError};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Why the server can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SignalingServerError {
    /// No folder or no threads for it.
    #[error("the server has no place: {0}")]
    Io(#[from] std::io::Error),
    /// Its defaults can't be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It panicked.
    #[error("the server has panicked: its log says why")]
    Panicked,
}

/// A server on a free port of the loopback interface, on threads of its own, with a database that goes with it.
pub struct SignalingServer {
    runtime: Option<Runtime>,
    server: Option<Server>,
    config: Config,
    url: String,
    _folder: TempDir,
}

impl SignalingServer {
    /// Starts a server.
    ///
    /// # Errors
    /// [`SignalingServerError`].
    pub fn start() -> Result<Self, SignalingServerError> {
        Self::start_with(|_| {})
    }

    /// Starts a server whose configuration is changed a little.
    ///
    /// # Errors
    /// [`SignalingServerError`].
    pub fn start_with(change: impl FnOnce(&mut Config)) -> Result<Self, SignalingServerError> {
        let folder = TempDir::with_prefix("ahoy-server-")?;
        let mut config = Config::defaults()?;
        config.data_dir = folder.path().join("data");
        config.http.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        change(&mut config);
        let mut server = Self { runtime: None, server: None, config, url: String::new(), _folder: folder };
        server.begin()?;
        Ok(server)
    }

    fn begin(&mut self) -> Result<(), SignalingServerError> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("ahoy-server").enable_all().build()?;
        let config = self.config.clone();
        // On a thread without a runtime, because tests may be on one.
        let started = thread::spawn(move || {
            let server = runtime.block_on(Server::start(config));
            (runtime, server)
        });
        let (runtime, server) = started.join().map_err(|_| SignalingServerError::Panicked)?;
        let server = server?;
        let scheme = if self.config.uses_tls() { "https" } else { "http" };
        self.url = format!("{scheme}://{}", server.addr());
        // It comes back where it was.
        self.config.http.listen = server.addr();
        (self.runtime, self.server) = (Some(runtime), Some(server));
        Ok(())
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it in good order.
    pub fn stop(&mut self) {
        let (Some(runtime), Some(server)) = (self.runtime.take(), self.server.take()) else { return };
        let stopped = thread::spawn(move || {
            runtime.block_on(server.stop());
            runtime.shutdown_background();
        });
        // A panic of the server's has been shown; the test goes on to say what it misses.
        let _ = stopped.join();
    }

    /// Starts it again where it was, with the same data.
    ///
    /// # Errors
    /// [`SignalingServerError`].
    pub fn start_again(&mut self) -> Result<(), SignalingServerError> {
        self.stop();
        self.begin()
    }
}

impl Drop for SignalingServer {
    fn drop(&mut self) {
        self.stop();
    }
}
