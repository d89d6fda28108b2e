//! Somebody with a home of their own who uses `ahoy-cli` on a side of the lab.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use ahoy_testkit::lab::nat::Side;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, timeout, timeout_at};

use crate::server::{Server, beside};

/// What everybody's password is.
const PASSWORD: &str = "correct horse battery\n";
/// The environment variable that names a folder for what the programs log.
const LOGS: &str = "AHOY_LAB_LOGS";
/// And the one that says what, as `ahoy-cli --log` takes it.
const LOGGED: &str = "AHOY_LAB_LOG";
/// How long a command that asks the server for one thing may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// What would lead the program to the accounts, the keyring, the settings or the proxy of whoever runs the lab.
const REMOVED: [&str; 11] = [
    "AHOY_SERVER",
    "AHOY_SESSION_FILE",
    "XDG_DATA_HOME",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// A person.
#[derive(Debug)]
pub(crate) struct Person {
    side: Side,
    handle: String,
    home: TempDir,
}

impl Person {
    /// Makes an account.
    pub(crate) async fn sign_up(server: &Server, side: Side, handle: &str) -> Result<Self> {
        let home = TempDir::with_prefix("ahoy-lab-").context("no temporary folder could be made")?;
        let url = Server::url(side.addresses(0).iter().any(IpAddr::is_ipv4));
        let person = Self { side, handle: handle.to_owned(), home };
        let mut command = person.command(&["sign-up", handle, "--server", &url, "--password-stdin"])?;
        command.arg("--ca-file").arg(server.authority());
        run(command, PASSWORD).await?;
        Ok(person)
    }

    /// Asks somebody to be a contact, or agrees.
    pub(crate) async fn adds(&self, other: &Person) -> Result<()> {
        run(self.command(&["contacts", "add", &other.handle])?, "").await
    }

    /// The network they are in.
    pub(crate) fn side(&mut self) -> &mut Side {
        &mut self.side
    }

    /// What others find them by.
    pub(crate) fn handle(&self) -> &str {
        &self.handle
    }

    /// Starts a command that stays and prints events.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Staying> {
        let mut command = self.command(arguments)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(self.log()?);
        let mut process = command.spawn().context("ahoy-cli can't be started")?;
        let output = process.stdout.take().context("its output was asked for")?;
        Ok(Staying { _process: process, lines: BufReader::new(output).lines() })
    }

    /// Where it logs to: a file of its own, where somebody wants to know.
    fn log(&self) -> Result<Stdio> {
        let Some(folder) = std::env::var_os(LOGS) else { return Ok(Stdio::null()) };
        let path = std::path::Path::new(&folder).join(format!("{}.log", self.handle));
        Ok(std::fs::File::create(path).context("there is no such folder for logs")?.into())
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::from(self.side.command(beside("ahoy-cli")?));
        for name in REMOVED {
            command.env_remove(name);
        }
        let home = self.home.path();
        if let Some(proxy) = self.side.proxy(0) {
            command.env("https_proxy", proxy);
        }
        command
            .args(["--no-log-file", "--log"])
            .arg(std::env::var(LOGGED).unwrap_or_else(|_| "ahoy_ice=debug,ahoy_rtc=debug,info".to_owned()))
            .args(arguments)
            .arg("--json")
            .arg("--session-file")
            .arg(home.join("session.json"))
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .env("PULSE_SERVER", "unix:/nonexistent")
            .current_dir(home)
            .kill_on_drop(true);
        Ok(command)
    }
}

/// Runs a command to its good end.
async fn run(mut command: Command, typed: &str) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().context("ahoy-cli can't be started")?;
    if let Some(mut stdin) = process.stdin.take() {
        // A command that ends before it has read everything says why.
        let _ = stdin.write_all(typed.as_bytes()).await;
    }
    let output = timeout(ANSWERED_WITHIN, process.wait_with_output()).await;
    let output = output.context("the server does not answer")??;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// A command that runs. It is ended with the value.
#[derive(Debug)]
pub(crate) struct Staying {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Staying {
    /// Waits for an event that `wanted` makes something of. `None` if the command ends, or time is up, without one.
    pub(crate) async fn until<T>(
        &mut self,
        deadline: Instant,
        mut wanted: impl FnMut(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        loop {
            let Ok(line) = timeout_at(deadline, self.lines.next_line()).await else { return Ok(None) };
            let Some(line) = line.context("ahoy-cli prints something that is not text")? else {
                return Ok(None);
            };
            let event = serde_json::from_str(&line).context("ahoy-cli prints something that is not JSON")?;
            if let Some(found) = wanted(&event) {
                return Ok(Some(found));
            }
        }
    }
}
