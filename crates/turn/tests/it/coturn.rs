//! Debian's coturn, with the configuration that comes with Ahoy and a few lines of its own for this machine.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ahoy_turn::Secret;
use tempfile::TempDir;

use crate::support::{OPEN_PEER, named};

const CONFIGURATION: &str = include_str!("../../../../deploy/coturn/turnserver.conf");

/// Where it says what is wrong.
const LOG: &str = "turn.log";

/// A coturn that runs on loopback.
pub(crate) struct Coturn {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// A port that nobody has over UDP or TCP.
fn free_port() -> u16 {
    let free = |_| {
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        let port = listener.local_addr().ok()?.port();
        UdpSocket::bind(("127.0.0.1", port)).ok().map(|_| port)
    };
    (0..100).find_map(free).expect("a free port")
}

/// The configuration that operators get, with its placeholders filled in and what only this machine needs at the end.
fn configuration(secret: &Secret, port: u16, tls_port: u16, folder: &Path) -> String {
    let own = |line: &str| {
        let kept = |key: &str| line.starts_with(&format!("{key}="));
        let machine = [
            "listening-ip",
            "relay-ip",
            "external-ip",
            "listening-port",
            "tls-listening-port",
            "cert",
            "pkey",
        ];
        let files =
            ["log-file", "pidfile", "static-auth-secret", "realm", "proc-user", "proc-group", "syslog"];
        !machine.iter().chain(&files).any(|key| kept(key) || line == *key)
    };
    let mut text: String =
        CONFIGURATION.lines().filter(|line| own(line)).map(|line| format!("{line}\n")).collect();
    let certificate = named("localhost");
    let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&chain, certificate.cert.pem()).expect("the folder is there");
    std::fs::write(&key, certificate.signing_key.serialize_pem()).expect("the folder is there");
    text += &format!(
        "listening-ip=127.0.0.1\nlistening-ip=::1\nrelay-ip=127.0.0.1\nrelay-ip=::1\nlistening-port={port}\n\
         tls-listening-port={tls_port}\nrealm=ahoy.example\nstatic-auth-secret={}\ncert={}\npkey={}\n\
         pidfile={}\nlog-file={}\nallow-loopback-peers\nallowed-peer-ip={OPEN_PEER}\n",
        secret.reveal(),
        chain.display(),
        key.display(),
        folder.join("pid").display(),
        folder.join(LOG).display(),
    );
    text
}

impl Coturn {
    pub(crate) fn start(secret: &Secret) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, tls_port) = (free_port(), free_port());
        let path = folder.path().join("turnserver.conf");
        let text = configuration(secret, port, tls_port, folder.path());
        std::fs::write(&path, text).expect("the folder is there");
        let child = Command::new("turnserver")
            .arg("-c")
            .arg(&path)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("coturn is installed: cargo xtask setup");
        let coturn = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), folder };
        coturn.wait_until_it_answers();
        coturn
    }

    /// coturn says nothing when it is ready: it is asked until it answers.
    fn wait_until_it_answers(&self) {
        let begun = Instant::now();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(self.address).expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time limit");
        // A binding request (RFC 8489 section 5).
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend([7; 12]);
        while socket.send(&request).is_err() || socket.recv(&mut [0; 100]).is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(30), "coturn does not answer:\n{}", log());
        }
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // It has ended where the test went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
