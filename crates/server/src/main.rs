//! The `ahoy-server` executable.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ahoy_server::auth::keys::Keys;
use ahoy_server::clock::unix_ms;
use ahoy_server::config::{Config, DEFAULTS};
use ahoy_server::identity::Class;
use ahoy_server::server::{Server, database, keys_file};
use ahoy_server::store::sql::SqlStore;
use ahoy_server::{log, tls};
use ahoy_signal::Handle;
use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

/// Ahoy's server: accounts, rooms, presence and call set-up, in one program that needs nothing else.
///
/// Without a command it starts. Without a configuration it listens on this machine only and stores what it must in the
/// folder ahoy-data.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration; ahoy-server.toml in this folder, if it is there, when left out.
    #[arg(long, global = true, env = "AHOY_SERVER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the server and serves until it is told to stop (Ctrl-C or SIGTERM). SIGHUP reads certificate and keys again.
    Run,
    /// Says whether the configuration makes sense, and what is wrong with it.
    CheckConfig,
    /// Prints every key of the configuration with its default and what it means.
    PrintConfig,
    /// What tokens are signed with.
    Keys {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// What accounts may do.
    Accounts {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Asks a server that runs with this configuration whether it is ready. Exit code 0 if so.
    Health,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Adds a signing key, which takes over in five minutes. Nobody notices. A server that runs reads it by itself.
    Rotate {
        /// Throws all old keys away at once, because somebody has a copy: everyone has to sign in again.
        #[arg(long)]
        revoke_old: bool,
    },
}

#[derive(Subcommand)]
enum AccountCommand {
    /// Sets how much an account may ask for. Counts from its next token on.
    SetClass {
        /// Whose account.
        handle: Handle,
        /// How much.
        class: AccountClass,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum AccountClass {
    /// A person.
    Normal,
    /// A program that serves many.
    Partner,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("ahoy-server: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.config.as_deref();
    match arguments.command.as_ref().unwrap_or(&Command::Run) {
        Command::Run => serve(Config::load(config)?),
        Command::CheckConfig => check_config(config),
        Command::PrintConfig => say(DEFAULTS.trim_end()),
        Command::Keys { command: KeyCommand::Rotate { revoke_old } } => {
            rotate(&Config::load(config)?, *revoke_old)
        }
        Command::Accounts { command: AccountCommand::SetClass { handle, class } } => {
            set_class(&Config::load(config)?, handle, *class)
        }
        Command::Health => health(&Config::load(config)?),
    }
}

fn say(text: &str) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

fn complain(text: &str) {
    // Nobody hears a complaint that can't be written.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("ahoy-server").build().context("no threads can be started")
}

fn serve(config: Config) -> anyhow::Result<ExitCode> {
    log::set_up(&config.log)?;
    allow_many_connections();
    runtime()?.block_on(async {
        // Before anything is said to be there: whoever waits for that line may send signals.
        let mut signals = signals::Signals::new().context("signals can't be received")?;
        let data_dir = config.data_dir.clone();
        let server = Server::start(config).await?;
        // The one line that programs which start the server wait for.
        say(&format!(
            "ahoy-server listens on {} and keeps its data in {}",
            server.url(),
            data_dir.display()
        ))?;
        tracing::info!(address = %server.addr(), "started");
        while let signals::Signal::Reload = signals.next().await {
            server.reload();
        }
        tracing::info!("stopping");
        server.stop().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Raises the number of open files to what this user may have: each connection is one, and 1,024 are usual.
fn allow_many_connections() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        match raised {
            Ok(()) => tracing::debug!(files = ?limit.maximum, "so many files and connections can be open"),
            Err(error) => tracing::warn!(%error, files = ?limit.current, "no more connections can be open"),
        }
    }
}

fn check_config(named: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(named)?;
    if config.uses_tls() {
        tls::check(&config.tls)?;
    }
    say("The configuration makes sense.")
}

fn rotate(config: &Config, revoke_old: bool) -> anyhow::Result<ExitCode> {
    let path = keys_file(config);
    let now_ms = unix_ms();
    if revoke_old {
        let fresh = Keys::generate(now_ms)?;
        fresh.save(&path)?;
        return say("All keys are new: everyone has to sign in again.");
    }
    let mut keys = Keys::load_or_create(&path, now_ms)?;
    keys.rotate(now_ms)?;
    keys.save(&path)?;
    say("There is a new signing key. It takes over in five minutes; old tokens stay good.")
}

fn set_class(config: &Config, handle: &Handle, class: AccountClass) -> anyhow::Result<ExitCode> {
    let class = match class {
        AccountClass::Normal => Class::Normal,
        AccountClass::Partner => Class::Partner,
    };
    runtime()?.block_on(async {
        let store = SqlStore::open(&database(config)).await?;
        let found = store.set_class(handle, class).await?;
        store.close().await;
        anyhow::ensure!(found, "there is no account with this handle");
        say("Done. It counts from the account's next token on, in ten minutes at most.")
    })
}

fn health(config: &Config) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(!config.uses_tls(), "with TLS, ask https://<name of the certificate>/ready instead");
    let (ready, answer) = ahoy_server::health::ask(config.http.listen)?;
    say(answer.trim_end())?;
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

mod signals {
    //! What the operating system tells the server to do.

    pub(super) enum Signal {
        Stop,
        Reload,
    }

    #[cfg(unix)]
    pub(super) struct Signals {
        terminate: tokio::signal::unix::Signal,
        interrupt: tokio::signal::unix::Signal,
        hang_up: tokio::signal::unix::Signal,
    }

    #[cfg(unix)]
    impl Signals {
        pub(super) fn new() -> std::io::Result<Self> {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hang_up: signal(SignalKind::hangup())?,
            })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.terminate.recv() => Signal::Stop,
                _ = self.interrupt.recv() => Signal::Stop,
                _ = self.hang_up.recv() => Signal::Reload,
            }
        }
    }

    #[cfg(not(unix))]
    pub(super) struct Signals;

    #[cfg(not(unix))]
    impl Signals {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) -> Signal {
            match tokio::signal::ctrl_c().await {
                Ok(()) => Signal::Stop,
                Err(_) => std::future::pending().await,
            }
        }
    }
}
