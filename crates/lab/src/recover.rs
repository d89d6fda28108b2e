//! What becomes of a call when the network changes under it: how long each side hears nothing, told by the programs themselves.

use std::time::Duration;

use ahoy_testkit::LinkConfig;
use ahoy_testkit::lab::nat::{Kind, Link, NatLab};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::pair::{READY_WITHIN, is_connected, of_type, report};
use crate::person::{Person, Staying};
use crate::say;
use crate::server::{Relays, Server};

/// How long a call may take until it is connected.
const CONNECTED_WITHIN: Duration = Duration::from_secs(15);
/// How long it goes on before something happens: by then all pairs that work are known, and warm.
const BEFORE: Duration = Duration::from_secs(4);
/// How long the call lasts, in seconds, from when it is connected: what happens, and time to recover.
const CALL_S: &str = "14";
/// A tone, which has a packet every 20 ms: chirps pause, and pauses are not sent.
const MEDIA: [&str; 8] = ["--video", "pattern", "--size", "320x180", "--audio", "tone", "--speaker", "null"];
/// How long the network is gone in a blackout.
const BLACKOUT: Duration = Duration::from_secs(3);

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The cable is pulled while there is Wi-Fi as well.
    Unplugged,
    /// The only address is another one from now on.
    NewAddress,
    /// Nothing gets through for three seconds.
    Blackout,
    /// One of two ways lets nothing through any more, and nothing tells so.
    SilentLoss,
    /// The relay dies; there is another one.
    RelayKilled,
}

/// What one side noticed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    event: Event,
    /// Round trip between the two, in milliseconds.
    rtt_ms: u64,
    /// The longest time without sound, at the side that it happened to and at the other one, in milliseconds: the median of all
    /// runs. Of a blackout what came on top of it.
    silence_ms: [f64; 2],
    /// That of the worst run.
    worst_ms: [f64; 2],
    runs: usize,
    goal_ms: f64,
    met: bool,
}

impl Event {
    pub(crate) const ALL: [Self; 5] =
        [Self::Unplugged, Self::NewAddress, Self::Blackout, Self::SilentLoss, Self::RelayKilled];

    /// At most so long may nothing be heard.
    fn goal(self, rtt: Duration) -> Duration {
        let ms = Duration::from_millis;
        match self {
            Self::Unplugged => rtt + ms(300),
            Self::NewAddress => 8 * rtt + ms(500),
            Self::Blackout => ms(1000),
            Self::SilentLoss => ms(3000),
            Self::RelayKilled => ms(2000),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Unplugged => "cable pulled, Wi-Fi there",
            Self::NewAddress => "another address",
            Self::Blackout => "3 s blackout",
            Self::SilentLoss => "one of two ways dead, untold",
            Self::RelayKilled => "relay killed, another there",
        }
    }

    /// The network of both sides.
    fn kind(self) -> Kind {
        match self {
            // Only a relay connects them.
            Self::RelayKilled => Kind::Symmetric,
            Self::Unplugged | Self::NewAddress | Self::Blackout | Self::SilentLoss => Kind::PortRestricted,
        }
    }
}

impl Row {
    pub(crate) fn met(&self) -> bool {
        self.met
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [here, there] = self.silence_ms;
        let ([worst_here, worst_there], runs) = (self.worst_ms, self.runs);
        let verdict = if self.met { "met" } else { "NOT MET" };
        let (event, rtt, goal) = (self.event.words(), self.rtt_ms, self.goal_ms);
        write!(
            f,
            "{event}, round trip {rtt} ms: nothing heard for {here:.0} ms (worst of {runs}: {worst_here:.0}), at the other side {there:.0} ms ({worst_there:.0}); goal {goal:.0} ms: {verdict}"
        )
    }
}

/// Half of `rtt` each way on the access link of the side that it happens to.
fn link(rtt: Duration) -> Link {
    if rtt.is_zero() {
        return Link::Wire;
    }
    let config = || LinkConfig::builder().delay(rtt / 2).build().map(Box::new);
    match (config(), config()) {
        (Ok(up), Ok(down)) => Link::Emulated { up, down },
        _ => Link::Wire,
    }
}

/// Has it happen to several calls, one after the other.
pub(crate) async fn recover(event: Event, rtt: Duration, runs: u64) -> Result<Row> {
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let silence = once(event, rtt).await?;
        here.push(silence[0]);
        there.push(silence[1]);
    }
    let sorted = [&mut here, &mut there].map(|runs| {
        runs.sort_by(f64::total_cmp);
        runs
    });
    let silence_ms = sorted.each_ref().map(|runs| runs[runs.len() / 2]);
    let worst_ms = sorted.each_ref().map(|runs| runs[runs.len() - 1]);
    let goal_ms = event.goal(rtt).as_secs_f64() * 1e3;
    let rtt_ms = u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX);
    let met = silence_ms.iter().all(|silence| *silence <= goal_ms);
    Ok(Row { event, rtt_ms, silence_ms, worst_ms, runs: here.len(), goal_ms, met })
}

/// Has it happen to a call, in an internet of its own. How long each side heard nothing, in milliseconds.
async fn once(event: Event, rtt: Duration) -> Result<[f64; 2]> {
    let lab = tokio::task::block_in_place(NatLab::start).context("no networks can be made here")?;
    let relays = match event {
        Event::RelayKilled => Some(Relays::start(&lab).await?),
        Event::Unplugged | Event::NewAddress | Event::Blackout | Event::SilentLoss => None,
    };
    let server = match &relays {
        Some(relays) => Server::start_with(&lab, relays.settings()).await?,
        None => Server::start(&lab).await?,
    };
    let (here, there) = tokio::task::block_in_place(|| {
        let mut here = lab.side_with(event.kind(), link(rtt))?;
        if matches!(event, Event::Unplugged | Event::SilentLoss) {
            here.add_way(Kind::PortRestricted, link(rtt))?;
        }
        anyhow::Ok((here, lab.side(event.kind())?))
    })
    .context("a network can't be made")?;
    let mut caller = Person::sign_up(&server, here, "here").await?;
    let callee = Person::sign_up(&server, there, "there").await?;
    caller.adds(&callee).await?;
    callee.adds(&caller).await?;
    let mut answering = callee.start(&[&["answer", "--auto"], &MEDIA[..]].concat())?;
    let ready = answering.until(Instant::now() + READY_WITHIN, |event| of_type(event, "waiting")).await?;
    ready.context("ahoy-cli does not wait for calls")?;
    let mut calling =
        caller.start(&[&["call", callee.handle(), "--seconds", CALL_S], &MEDIA[..]].concat())?;
    let connected = until_connected(&mut calling).await?;
    if !connected {
        bail!("the call does not come about");
    }
    sleep(BEFORE).await;
    say(&format!("{}: now", event.words()));
    let here = caller.side();
    let mut others = None;
    match event {
        Event::Unplugged => tokio::task::block_in_place(|| here.unplug(0))?,
        Event::NewAddress => tokio::task::block_in_place(|| here.change_address(0))?,
        Event::SilentLoss => tokio::task::block_in_place(|| here.black_out(0))?,
        Event::Blackout => {
            tokio::task::block_in_place(|| here.black_out(0))?;
            sleep(BLACKOUT).await;
            tokio::task::block_in_place(|| here.restore(0))?;
        }
        Event::RelayKilled => {
            if let Some(relays) = relays {
                others = Some(relays.kill_the_first().await?);
            }
        }
    }
    let (at_here, at_there) = tokio::try_join!(report(&mut calling), report(&mut answering))?;
    drop(others);
    let silence = |report: Option<Value>| {
        let report = report.context("the call breaks off without a report")?;
        let silence = report["received"]["longest_silence_ms"].as_f64();
        let silence = silence.context("nothing was heard at all")?;
        let dark = if event == Event::Blackout { BLACKOUT.as_secs_f64() * 1e3 } else { 0.0 };
        anyhow::Ok((silence - dark).max(0.0))
    };
    Ok([silence(at_here)?, silence(at_there)?])
}

async fn until_connected(calling: &mut Staying) -> Result<bool> {
    let deadline = Instant::now() + CONNECTED_WITHIN;
    Ok(calling.until(deadline, |event| is_connected(event).then_some(())).await?.is_some())
}
