//! rsync's: without encryption, from its own server on this machine, to the disk.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Arrived;

/// How long its server may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(10);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn send(path: &Path) -> Result<Arrived> {
    let folder = tempfile::tempdir()?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let from = path.parent().context("a folder")?;
    let config = folder.path().join("rsyncd.conf");
    let user = "uid = 0\ngid = 0\n";
    fs::write(
        &config,
        format!("use chroot = no\n{user}[files]\npath = {}\nread only = yes\n", from.display()),
    )?;
    let server = Command::new("rsync")
        .args(["--daemon", "--no-detach", "--address=127.0.0.1", &format!("--port={port}")])
        .arg(format!("--config={}", config.display()))
        .stdout(Stdio::null())
        .spawn()
        .context("rsync can't be started: cargo xtask setup --for test installs what this bench needs")?;
    let _server = Running(server);
    let started = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if started.elapsed() > STARTED_WITHIN {
            bail!("rsync's server does not start");
        }
        thread::sleep(Duration::from_millis(10));
    }
    let name = path.file_name().context("a name")?.to_string_lossy();
    let began = Instant::now();
    let status = Command::new("rsync")
        .args(["--whole-file", "--fsync", &format!("rsync://127.0.0.1:{port}/files/{name}")])
        .arg(folder.path())
        .status()?;
    let took = began.elapsed();
    if !status.success() {
        bail!("rsync failed");
    }
    let bytes = fs::metadata(folder.path().join(&*name))?.len();
    Ok(Arrived { bytes, took, memory: None })
}
