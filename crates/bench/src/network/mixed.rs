//! Calls between one end of ours and one of Chromium's: our sender with its receiver, or the other way round.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ahoy_client::loopback::{LoopbackConfig, OtherEnd, Progress, Side, Signal, run_one};
use ahoy_client::{AudioSourceSpec, Stamping};
use ahoy_testkit::UdpRelay;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use super::cases::{Case, MOST_KBPS};
use super::measure::{Measured, Said, measure};
use super::ours::{self, Onlooker};
use crate::over_link::{OverLink, script_path};

/// Which end is whose: the first sends, the second receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mixed {
    OursToChromium,
    ChromiumToOurs,
}

impl Mixed {
    fn our_side(self) -> Side {
        match self {
            Mixed::OursToChromium => Side::Caller,
            Mixed::ChromiumToOurs => Side::Callee,
        }
    }

    fn chromiums_role(self) -> &'static str {
        match self {
            Mixed::OursToChromium => "receive",
            Mixed::ChromiumToOurs => "send",
        }
    }
}

/// Signals between the two ends that are on their way. A call has some twenty; when it is full, whoever speaks waits.
const SIGNALS: usize = 64;
/// How long Chromium may take to start and to report: three seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls over the case's link. `clip` carries numbers from 0 on as stamps.
pub(crate) fn call(case: &Case, seed: u64, clip: &Path, pair: Mixed) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(call_over_link(case, seed, clip, pair))
}

async fn call_over_link(case: &Case, seed: u64, clip: &Path, pair: Mixed) -> Result<Measured> {
    let (there, back) = case.links(seed)?;
    let relay = UdpRelay::start(there.clone(), back.clone())?;
    let link = relay.handle();
    let page = Page::start(pair.chromiums_role(), clip).await?;
    let (tell, told) = mpsc::channel(SIGNALS);
    let (hear, said) = mpsc::channel(SIGNALS);
    let (over, is_over) = oneshot::channel();
    let chromium = tokio::spawn(page.talk(told, hear, is_over));
    let config = LoopbackConfig {
        // The clip's own numbers are what Chromium knows pictures by.
        stamping: Stamping::Off,
        // Chromium takes our pauses (DTX) for sound that it has to make up.
        audio: Some(AudioSourceSpec::Tone),
        ..ours::config(case, clip)?
    };
    let mut onlooker = Onlooker::new(link.clone(), there, back);
    let mut over = Some(over);
    let other = OtherEnd { tell, said };
    let report = run_one(&config, pair.our_side(), other, &mut OverLink(relay), |progress| {
        if let Some(over) = over.take_if(|_| matches!(progress, Progress::Ending)) {
            // It fails where Chromium has gone, which is told below.
            let _ = over.send(());
        }
        onlooker.look(progress);
    })
    .await?;
    let chromium = tokio::time::timeout(PATIENCE, chromium).await.context("Chromium does not report")??;
    let said = match pair {
        Mixed::OursToChromium => chromium?.context("Chromium reports nothing")?,
        Mixed::ChromiumToOurs => chromium.and_then(|_| ours::said(&report))?,
    };
    let mut measured = measure(case, &link, onlooker.began()?, said);
    measured.estimates = onlooker.estimates;
    Ok(measured)
}

/// What the page says.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromPage {
    Ready(bool),
    Signal(Signal),
    Report(Option<Said>),
}

/// What it is told.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ToPage {
    Signal(Signal),
    Over(bool),
}

/// Chromium's end.
struct Page {
    node: Child,
    lines: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
}

impl Page {
    /// Starts Chromium and waits until it can be called.
    async fn start(role: &str, clip: &Path) -> Result<Self> {
        let mut node = Command::new("node")
            .arg(script_path("network_call.mjs"))
            .args(["--role", role, "--kbps", &MOST_KBPS.to_string()])
            .arg("--clip")
            .arg(clip)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("node can't be started: cargo xtask setup --for test installs what this bench needs")?;
        let input = node.stdin.take().context("its input was asked for")?;
        let output = node.stdout.take().context("its output was asked for")?;
        let mut page = Self { node, lines: BufReader::new(output).lines(), input };
        match tokio::time::timeout(PATIENCE, page.next()).await.context("Chromium does not start")?? {
            Some(FromPage::Ready(true)) => Ok(page),
            Some(FromPage::Ready(false) | FromPage::Signal(_) | FromPage::Report(_)) | None => {
                bail!("Chromium does not start")
            }
        }
    }

    async fn next(&mut self) -> Result<Option<FromPage>> {
        let line = self.lines.next_line().await?;
        line.map(|line| serde_json::from_str(&line).context("Chromium says something else")).transpose()
    }

    async fn say(&mut self, line: &ToPage) -> Result<()> {
        let line = serde_json::to_string(line)? + "\n";
        self.input.write_all(line.as_bytes()).await.context("Chromium listens no more")
    }

    /// Carries signals there and back until the call is over; gives what Chromium reports then.
    async fn talk(
        mut self,
        mut told: mpsc::Receiver<Signal>,
        hear: mpsc::Sender<Signal>,
        mut is_over: oneshot::Receiver<()>,
    ) -> Result<Option<Said>> {
        let mut over = false;
        let report = loop {
            tokio::select! {
                line = self.next() => match line? {
                    // Where nobody hears it any more the call is over.
                    Some(FromPage::Signal(signal)) => drop(hear.send(signal).await),
                    Some(FromPage::Report(report)) => break report,
                    Some(FromPage::Ready(_)) => {}
                    None => bail!("Chromium's end of the call is gone"),
                },
                Some(signal) = told.recv() => self.say(&ToPage::Signal(signal)).await?,
                ended = &mut is_over, if !over => {
                    ended.context("there was no call")?;
                    over = true;
                    self.say(&ToPage::Over(true)).await?;
                }
            }
        };
        drop(self.input);
        self.node.wait().await?;
        Ok(report)
    }
}
