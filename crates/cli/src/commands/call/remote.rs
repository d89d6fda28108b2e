//! Hanging up from another terminal: a call leaves a note of where it listens, for programs of the same person.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ahoy_client::account::account_folder;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long either side may take to say its line.
const LINE_WITHIN: Duration = Duration::from_secs(2);
/// How long hanging up may take: the devices are let go before it is said to be done.
const DONE_WITHIN: Duration = Duration::from_secs(10);
/// The longest line either side reads.
const LINE_LONGEST: u64 = 256;
/// Requests that wait: there is one call to hang up.
const REQUESTS: usize = 1;

/// A request to hang up. Whoever asked hears when it is answered.
pub(super) type HangUp = oneshot::Sender<()>;

/// What a call leaves for others to find. Only its owner can read it.
#[derive(Serialize, Deserialize)]
struct Note {
    address: SocketAddr,
    /// Proves that whoever connects has read this.
    secret: String,
    /// Whom the call is with.
    with: String,
}

/// Listens as long as it lives.
pub(super) struct Remote {
    note: PathBuf,
    /// Goes with this: then nobody new is listened to, but whoever has asked still hears the answer.
    _stop: oneshot::Sender<()>,
}

impl Remote {
    /// Begins to listen on behalf of a call with `with`.
    pub(super) async fn listen(with: &str) -> Result<(Self, mpsc::Receiver<HangUp>)> {
        let folder = folder()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let secret = format!("{:032x}", rand::random::<u128>());
        let note = Note { address: listener.local_addr()?, secret: secret.clone(), with: with.to_owned() };
        let path = folder.join(format!("{}.json", std::process::id()));
        write_private(&path, &serde_json::to_vec(&note)?)?;
        let (asked, requests) = mpsc::channel(REQUESTS);
        let (stop, mut stopped) = oneshot::channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = &mut stopped => return,
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { return };
                        // Whoever does not know the secret, or is slow, is none of ours.
                        let _ = serve(stream, &secret, &asked).await;
                    }
                }
            }
        });
        Ok((Self { note: path, _stop: stop }, requests))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Where it can't be removed, whoever finds it finds nobody there.
        let _ = std::fs::remove_file(&self.note);
    }
}

fn folder() -> Result<PathBuf> {
    let folder = account_folder().context("there is no home folder to look for calls in")?.join("calls");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} can't be made: check that you may write there", folder.display()))?;
    Ok(folder)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(path)?, bytes)
}

async fn line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    timeout(LINE_WITHIN, BufReader::new(stream.take(LINE_LONGEST)).read_line(&mut text)).await??;
    Ok(text.trim_end().to_owned())
}

async fn serve(mut stream: TcpStream, secret: &str, asked: &mpsc::Sender<HangUp>) -> std::io::Result<()> {
    if line(&mut stream).await? != secret {
        return Ok(());
    }
    let (done, is_done) = oneshot::channel();
    if asked.try_send(done).is_ok() && is_done.await.is_ok() {
        stream.write_all(b"done\n").await?;
    }
    Ok(())
}

/// Hangs up all calls of this person's programs; returns whom they were with.
pub(super) async fn hang_up_all() -> Result<Vec<String>> {
    let mut ended = Vec::new();
    for entry in std::fs::read_dir(folder()?)? {
        let path = entry?.path();
        let Some(note) =
            std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Note>(&text).ok())
        else {
            continue;
        };
        match ask(&note).await {
            Ok(true) => ended.push(note.with),
            Ok(false) => {}
            // The program that wrote it is gone, and could not take it along.
            Err(_) => drop(std::fs::remove_file(&path)),
        }
    }
    Ok(ended)
}

async fn ask(note: &Note) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(note.address).await?;
    stream.write_all(format!("{}\n", note.secret).as_bytes()).await?;
    let mut said = String::new();
    let heard = timeout(DONE_WITHIN, (&mut stream).take(LINE_LONGEST).read_to_string(&mut said)).await;
    Ok(matches!(heard, Ok(Ok(_))) && said.trim_end() == "done")
}
