//! A network with a server, somebody in it, and what can be done to both.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use ahoy_testkit::lab::nat::{Kind, Link, NatLab, ServerAddresses, Side};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

/// Where everybody finds the server.
pub(crate) const HTTPS: u16 = 443;
/// Where it really listens, and the program that only relays, where there is one.
const LISTENS: [u16; 2] = [8443, 9443];
/// The port of STUN and TURN.
const TURN: u16 = 3478;
/// What the password is.
const PASSWORD: &[u8] = b"correct horse battery\n";
/// Longer than any secret has to be.
const SECRETS: [&str; 2] = ["one secret that is long enough for it", "another one that is as long as that"];
pub(crate) const DAY: i64 = 86_400;

/// Who relays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Relay {
    /// The server itself.
    #[default]
    Own,
    /// Another program, which has the same secret or not.
    Apart { same_secret: bool },
    /// Nobody, where the server says that somebody does.
    Gone,
}

/// What the server's certificate says.
#[derive(Clone, Debug)]
pub(crate) struct Paper {
    /// Since and until when it counts, in seconds from now.
    pub(crate) valid: [i64; 2],
    /// For whom; the server's addresses if nobody is named.
    pub(crate) name: Option<&'static str>,
}

impl Default for Paper {
    fn default() -> Self {
        Self { valid: [-30 * DAY, 60 * DAY], name: None }
    }
}

/// A program that ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct World {
    // Dropped in this order: programs before their network and their files.
    programs: Vec<Running>,
    pub(crate) side: Side,
    pub(crate) lab: NatLab,
    folder: TempDir,
}

impl World {
    /// Somebody in a kind of network, and no server.
    pub(crate) fn new(kind: Kind, link: Link) -> Self {
        let lab = NatLab::start().unwrap();
        let side = lab.side_with(kind, link).unwrap();
        Self { programs: Vec::new(), side, lab, folder: TempDir::with_prefix("ahoy-doctor-").unwrap() }
    }

    /// The same with a server.
    pub(crate) fn served(kind: Kind, link: Link, paper: &Paper, relay: Relay) -> Self {
        let mut world = Self::new(kind, link);
        world.make_certificate(paper);
        for addresses in [ServerAddresses::v4(), ServerAddresses::v6()] {
            world.lab.redirect_at_server(addresses.signaling, HTTPS, LISTENS[0]).unwrap();
        }
        let of_relay = world.relay_settings();
        match relay {
            Relay::Own => world.start_server(0, of_relay),
            Relay::Apart { same_secret } => {
                world.start_server(0, external());
                let secret = SECRETS[usize::from(!same_secret)].to_owned();
                let with_secret = of_relay.into_iter().chain([("TURN__SECRET", secret)]).collect();
                world.start_server(1, with_secret);
            }
            Relay::Gone => world.start_server(0, external()),
        }
        world
    }

    /// A server in which nothing is wrong.
    pub(crate) fn well(kind: Kind) -> Self {
        Self::served(kind, Link::default(), &Paper::default(), Relay::Own)
    }

    fn relay_settings(&self) -> Vec<(&'static str, String)> {
        let (v4, v6) = (ServerAddresses::v4().relay, ServerAddresses::v6().relay);
        vec![
            ("TURN__LISTEN", format!("[::]:{TURN}")),
            ("TURN__TLS_LISTEN", format!("[::]:{HTTPS}")),
            ("TURN__EXTERNAL_IP", format!("[\"{v4}\", \"{v6}\"]")),
        ]
    }

    fn start_server(&mut self, number: usize, settings: Vec<(&'static str, String)>) {
        let folder = self.folder.path();
        let path = |name: &str| folder.join(name).display().to_string();
        let own = [
            ("DATA_DIR", path(&format!("data{number}"))),
            ("HTTP__LISTEN", format!("[::]:{}", LISTENS[number])),
            ("TLS__CERTIFICATE", path("certificate.pem")),
            ("TLS__KEY", path("key.pem")),
            ("AUTH__ARGON2_MEMORY_KIB", "64".to_owned()),
            ("AUTH__ARGON2_PASSES", "1".to_owned()),
        ];
        let log = folder.join(format!("log{number}"));
        let mut command = self.lab.command_at_server(beside("ahoy-server"));
        for (name, value) in own.into_iter().chain(settings) {
            command.env(format!("AHOY_SERVER__{name}"), value);
        }
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        // It says that it listens, in one line, or ends.
        let mut said = [0];
        let listens = child.stdout.as_mut().unwrap().read(&mut said).unwrap() == 1;
        self.programs.push(Running(child));
        assert!(listens, "{}", fs::read_to_string(&log).unwrap());
    }

    fn make_certificate(&self, paper: &Paper) {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_certificate = authority.self_signed(&authority_key).unwrap();
        let addresses = [ServerAddresses::v4(), ServerAddresses::v6()].map(ServerAddresses::all).concat();
        let names = match paper.name {
            Some(name) => vec![name.to_owned()],
            None => addresses.iter().map(IpAddr::to_string).collect(),
        };
        let mut own = CertificateParams::new(names).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let at = |seconds: i64| {
            let since = now.as_secs().checked_add_signed(seconds).unwrap();
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since)
        };
        (own.not_before, own.not_after) = (at(paper.valid[0]), at(paper.valid[1]));
        let key = KeyPair::generate().unwrap();
        let certificate = own.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        let write = |name: &str, content: String| fs::write(self.folder.path().join(name), content).unwrap();
        write("authority.pem", authority_certificate.pem());
        write("certificate.pem", certificate.pem());
        write("key.pem", key.serialize_pem());
    }

    /// The file with the certificate of the authority that vouches for the server.
    fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The server's address.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", ServerAddresses::v4().signaling)
    }

    /// A command of the person's, to which `ahoy-cli` and what it is to do are added.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.side.command(program);
        for name in ["AHOY_SERVER", "AHOY_SESSION_FILE", "XDG_DATA_HOME", "DISPLAY", "WAYLAND_DISPLAY"] {
            command.env_remove(name);
        }
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        let home = self.folder.path();
        command
            .env("HOME", home)
            .env("AHOY_SESSION_FILE", home.join("session.json"))
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .current_dir(home);
        command
    }

    /// Makes an account at the server.
    pub(crate) fn sign_up(self) -> Self {
        let mut command = self.command(cli());
        command.args(["sign-up", "ada", "--no-log-file", "--password-stdin", "--server", &self.url()]);
        command.arg("--ca-file").arg(self.authority());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(PASSWORD).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }

    /// Has the doctor look, by a command that ends with `ahoy-cli`; whether the server's authority is believed.
    pub(crate) fn examined(&self, mut command: Command, server: &str, believes: bool) -> Report {
        command.args(["doctor", "--json", "--no-log-file", "--server", server]);
        if believes && self.authority().exists() {
            command.arg("--ca-file").arg(self.authority());
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let json: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {said}"));
        Report { code: output.status.code(), json }
    }

    /// What the doctor says of the server.
    pub(crate) fn doctor(&self) -> Report {
        self.examined(self.command(cli()), &self.url(), true)
    }

    /// Sets rules for nftables on the person's own machine.
    pub(crate) fn rules(&self, rules: &str) {
        let mut nft = self.side.command("nft");
        let mut child = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{rules}");
    }

    /// Answers everything that comes to a port of the person's own machine with a redirection.
    pub(crate) fn portal(&self, port: u16) {
        let listener = self.side.run(|| TcpListener::bind(("0.0.0.0", port))).unwrap().unwrap();
        // Ends with the test's process: nothing tells it that it is not needed any more.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut question = [0; 2048];
                let _ = stream.read(&mut question);
                let _ = stream.write_all(
                    b"HTTP/1.1 302 Found\r\nLocation: http://portal.hotel.example/\r\nContent-Length: 0\r\n\r\n",
                );
            }
        });
    }

    /// A name server that knows no name, at the server's third address.
    pub(crate) fn name_server(&self) {
        let address = ServerAddresses::v4().spare;
        let socket = self.lab.run_at_server(|| UdpSocket::bind((address, 53))).unwrap().unwrap();
        // As above.
        thread::spawn(move || {
            let mut message = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut message) {
                // An answer, for which recursion was there, to a name that does not exist (RFC 1035 section 4.1.1).
                (message[2], message[3]) = (0x81, 0x83);
                // What came with the question beside it is left out.
                message[6..12].fill(0);
                let end = question_end(&message[..len]);
                let _ = socket.send_to(&message[..end], from);
            }
        });
    }

    /// A command that has the system ask name servers at the server's third address, and ends with `ahoy-cli`.
    pub(crate) fn command_with_name_server(&self) -> Command {
        let file = self.folder.path().join("resolv.conf");
        fs::write(&file, format!("nameserver {}\n", ServerAddresses::v4().spare)).unwrap();
        let mut command = self.command("unshare");
        let script = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", file.display());
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(cli());
        command
    }
}

/// Where the first question of a message ends.
fn question_end(message: &[u8]) -> usize {
    let mut at = 12;
    while at < message.len() && message[at] != 0 {
        at += usize::from(message[at]) + 1;
    }
    (at + 5).min(message.len())
}

/// What a server says whose relay is another program.
fn external() -> Vec<(&'static str, String)> {
    let relay = ServerAddresses::v4().relay;
    let urls = [
        format!("stun:{relay}:{TURN}"),
        format!("turn:{relay}:{TURN}?transport=udp"),
        format!("turn:{relay}:{TURN}?transport=tcp"),
        format!("turns:{relay}:{HTTPS}?transport=tcp"),
    ];
    vec![
        ("TURN__MODE", "external".to_owned()),
        ("TURN__SECRET", SECRETS[0].to_owned()),
        ("TURN__URLS", format!("{urls:?}")),
    ]
}

/// The program under test, which is built beside the lab's.
pub(crate) fn cli() -> PathBuf {
    beside("ahoy-cli")
}

fn beside(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_ahoy-lab")).with_file_name(name);
    assert!(program.is_file(), "{} is not built", program.display());
    program
}

/// What the doctor says.
#[derive(Debug)]
pub(crate) struct Report {
    /// The exit code.
    pub(crate) code: Option<i32>,
    /// The report.
    pub(crate) json: Value,
}

impl Report {
    /// The codes of its conclusions.
    pub(crate) fn codes(&self) -> Vec<&str> {
        let conclusions = self.json["conclusions"].as_array().unwrap();
        conclusions.iter().map(|conclusion| conclusion["code"].as_str().unwrap()).collect()
    }
}
