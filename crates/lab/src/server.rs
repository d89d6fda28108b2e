//! The real `ahoy-server` in the middle of the lab's internet, with a certificate of an authority of the lab's own.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ahoy_testkit::lab::nat::{NatLab, ServerAddresses};
use anyhow::{Context as _, Result, bail};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The only port that gets out of every network; signaling and relays have it, each at addresses of its own.
const HTTPS: u16 = 443;
/// Where signaling really listens, at all addresses and in both families.
const LISTENS: u16 = 8443;
/// The port of STUN and TURN (RFC 8489 section 6.1).
const TURN: u16 = 3478;
/// How long the server may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(20);
/// More requests in a minute than a whole matrix makes: here many people share few addresses.
const REQUESTS: &str = "1000000";

/// Settings that are changed, by their names in the environment.
pub(crate) type Settings = Vec<(&'static str, String)>;

/// A server that is ended with the value.
#[derive(Debug)]
pub(crate) struct Server {
    // Dropped before its files.
    _process: Child,
    authority: PathBuf,
    _folder: TempDir,
}

impl Server {
    /// Starts the server that was built beside this program, and waits until it listens.
    pub(crate) async fn start(lab: &NatLab) -> Result<Self> {
        Self::start_with(lab, turn(&beside("ahoy-server")?).await?).await
    }

    /// The same, with other settings of relays.
    pub(crate) async fn start_with(lab: &NatLab, relays: Settings) -> Result<Self> {
        let program = beside("ahoy-server")?;
        let folder = TempDir::with_prefix("ahoy-lab-").context("no temporary folder could be made")?;
        let certificate = Certificate::make(folder.path())?;
        for addresses in [ServerAddresses::v4(), ServerAddresses::v6()] {
            tokio::task::block_in_place(|| lab.redirect_at_server(addresses.signaling, HTTPS, LISTENS))?;
        }
        let mut command = Command::from(lab.command_at_server(&program));
        command
            .envs(signaling(&certificate, folder.path()))
            .envs(relays)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("log"))?)
            .kill_on_drop(true);
        let process = started(command, folder.path()).await?;
        Ok(Self { _process: process, authority: certificate.authority, _folder: folder })
    }

    /// The file with the certificate of the authority that vouches for it.
    pub(crate) fn authority(&self) -> &Path {
        &self.authority
    }

    /// Its address for somebody who has IPv4, or only IPv6.
    pub(crate) fn url(has_v4: bool) -> String {
        let addresses = if has_v4 { ServerAddresses::v4() } else { ServerAddresses::v6() };
        format!("https://{}", SocketAddr::new(addresses.signaling, HTTPS))
    }
}

/// Starts a server and waits until it listens.
async fn started(mut command: Command, folder: &Path) -> Result<Child> {
    let mut process = command.spawn().context("ahoy-server can't be started")?;
    let output = process.stdout.take().context("its output was asked for")?;
    let mut lines = BufReader::new(output).lines();
    let said = timeout(STARTED_WITHIN, lines.next_line()).await;
    if !matches!(said, Ok(Ok(Some(_)))) {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        bail!("ahoy-server does not start: {}", log.trim());
    }
    Ok(process)
}

/// What all relays know.
const SECRET: &str = "what the relays of the lab know, and nobody else";

/// Two relays that are nothing else, and are ended with the value.
#[derive(Debug)]
pub(crate) struct Relays {
    relays: Vec<(Child, TempDir)>,
}

impl Relays {
    /// Starts them, each at an address of its own.
    pub(crate) async fn start(lab: &NatLab) -> Result<Self> {
        let mut relays = Vec::new();
        for address in Self::addresses() {
            let folder = TempDir::with_prefix("ahoy-lab-").context("no temporary folder could be made")?;
            let mut command = Command::from(lab.command_at_server(beside("ahoy-server")?));
            command
                .env("AHOY_SERVER__DATA_DIR", folder.path().join("data"))
                .env("AHOY_SERVER__HTTP__LISTEN", "127.0.0.1:0")
                .env("AHOY_SERVER__TURN__LISTEN", format!("{address}:{TURN}"))
                .env("AHOY_SERVER__TURN__EXTERNAL_IP", list([address.to_string()]))
                .env("AHOY_SERVER__TURN__SECRET", SECRET)
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(fs::File::create(folder.path().join("log"))?)
                .kill_on_drop(true);
            relays.push((started(command, folder.path()).await?, folder));
        }
        Ok(Self { relays })
    }

    fn addresses() -> [IpAddr; 2] {
        let addresses = ServerAddresses::v4();
        [addresses.relay, addresses.spare]
    }

    /// What the signaling server has to know of them.
    pub(crate) fn settings(&self) -> Settings {
        let urls = Self::addresses().map(|address| format!("turn:{address}:{TURN}"));
        vec![
            ("AHOY_SERVER__TURN__MODE", "external".to_owned()),
            ("AHOY_SERVER__TURN__SECRET", SECRET.to_owned()),
            ("AHOY_SERVER__TURN__URLS", list(urls)),
        ]
    }

    /// Kills the one that is preferred, without warning.
    pub(crate) async fn kill_the_first(mut self) -> Result<Self> {
        let (mut first, _) = self.relays.remove(0);
        first.kill().await.context("the relay can't be killed")?;
        Ok(self)
    }
}

/// Accounts, contacts and calls.
fn signaling(certificate: &Certificate, folder: &Path) -> Settings {
    vec![
        ("AHOY_SERVER__DATA_DIR", folder.join("data").display().to_string()),
        ("AHOY_SERVER__HTTP__LISTEN", format!("[::]:{LISTENS}")),
        ("AHOY_SERVER__TLS__CERTIFICATE", certificate.chain.display().to_string()),
        ("AHOY_SERVER__TLS__KEY", certificate.key.display().to_string()),
        // Passwords that cost little, so that the lab is not busy with them.
        ("AHOY_SERVER__AUTH__ARGON2_MEMORY_KIB", "64".to_owned()),
        ("AHOY_SERVER__AUTH__ARGON2_PASSES", "1".to_owned()),
        ("AHOY_SERVER__LIMITS__NORMAL_PER_MINUTE", REQUESTS.to_owned()),
        ("AHOY_SERVER__LIMITS__STRANGERS_PER_MINUTE", REQUESTS.to_owned()),
        ("AHOY_SERVER__LIMITS__SOCKETS_PER_MINUTE", REQUESTS.to_owned()),
    ]
}

/// STUN and TURN, over UDP and TCP on the usual port, and over TLS on port 443, in both families, with the server's own
/// certificate. It listens at all addresses, but what comes to port 443 of signaling's never gets to it, and it is known by
/// the relay's address, from which the server also sends. None for a server that knows nothing of relays, which has no section
/// `[turn]` in its configuration.
async fn turn(program: &Path) -> Result<Settings> {
    let printed = Command::new(program).arg("print-config").stdin(Stdio::null()).output().await;
    let printed = printed.with_context(|| format!("{} can't be started", program.display()))?;
    let knows = String::from_utf8_lossy(&printed.stdout).lines().any(|line| line.trim() == "[turn]");
    if !knows {
        return Ok(Vec::new());
    }
    let addresses = [ServerAddresses::v4().relay, ServerAddresses::v6().relay];
    Ok(vec![
        ("AHOY_SERVER__TURN__LISTEN", format!("[::]:{TURN}")),
        ("AHOY_SERVER__TURN__TLS_LISTEN", format!("[::]:{HTTPS}")),
        ("AHOY_SERVER__TURN__EXTERNAL_IP", list(addresses.map(|address| address.to_string()))),
    ])
}

/// A list as the configuration reads it from the environment.
fn list<const N: usize>(items: [String; N]) -> String {
    format!("[{}]", items.map(|item| format!("{item:?}")).join(", "))
}

/// The server's certificate, in files.
struct Certificate {
    authority: PathBuf,
    chain: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// For all addresses of the server.
    fn make(folder: &Path) -> Result<Self> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);
        let addresses = [ServerAddresses::v4(), ServerAddresses::v6()].map(ServerAddresses::all).concat();
        let names: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let written = |name: &str, content: String| -> Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, content).context("the certificate can't be written")?;
            Ok(path)
        };
        Ok(Self {
            authority: written("authority.pem", authority_certificate.pem())?,
            chain: written("certificate.pem", certificate.pem())?,
            key: written("key.pem", key.serialize_pem())?,
        })
    }
}

/// A program that was built beside this one.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let program = own.with_file_name(name);
    if !program.is_file() {
        bail!("{} is not built: run `cargo xtask lab`, which builds it", program.display());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_written_as_the_configuration_reads_them() {
        let list = list(["45.16.0.11".to_owned(), "2a00::1".to_owned()]);
        assert_eq!(list, r#"["45.16.0.11", "2a00::1"]"#);
    }

    #[test]
    fn everybody_gets_an_address_of_a_family_that_they_have() {
        assert!(Server::url(true).starts_with("https://45."));
        assert!(Server::url(false).starts_with("https://[2a00:") && Server::url(false).ends_with("]:443"));
    }
}
