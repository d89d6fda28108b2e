//! One pair: two people, one call, and what came of it.

use std::time::Duration;

use ahoy_testkit::lab::nat::{Expected, Kind, NatLab};
use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::time::Instant;

use crate::person::{Person, Staying};
use crate::server::Server;

/// How long each call lasts once it is connected, in seconds.
const CALL_S: &str = "3";
/// How long the one who answers may take to be there.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long a call may take from the press of the button until it is connected. Whoever has to wait longer has hung up.
const CONNECTED_WITHIN: Duration = Duration::from_secs(15);
/// How long a connected call may take until it is over and reported on, on a busy machine.
const OVER_WITHIN: Duration = Duration::from_secs(30);
/// No device, and pictures that cost little: what is tried is the network.
pub(crate) const MEDIA: [&str; 8] =
    ["--video", "pattern", "--size", "320x180", "--audio", "chirps", "--speaker", "null"];

/// The path as one side reports it (`PathReport` of docs/call-report.schema.json).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Between the two candidates: `udp` or `tcp`.
    pub(crate) protocol: String,
    /// This side's candidate type.
    pub(crate) local: String,
    /// The other side's.
    pub(crate) remote: String,
    /// How this side reaches its relay: `udp`, `tcp` or `tls`; `None` where the report does not tell.
    pub(crate) relay_protocol: Option<String>,
}

impl Path {
    fn read(report: &Value) -> Option<Self> {
        let path = &report["path"];
        let text = |key: &str| path[key].as_str().map(str::to_owned);
        Some(Self {
            protocol: text("protocol")?,
            local: text("local_type")?,
            remote: text("remote_type")?,
            relay_protocol: text("relay_protocol"),
        })
    }

    fn is_relayed(&self) -> bool {
        self.local == "relay" || self.remote == "relay"
    }
}

/// A call that came about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Connected {
    /// The path as the caller sees it.
    pub(crate) path: Path,
    /// The path as the other side sees it; `None` without a report.
    pub(crate) there: Option<Path>,
    /// From the answer until pictures had come on both sides, in milliseconds; `None` where some did not come.
    pub(crate) media_ms: Option<f64>,
}

impl Connected {
    /// The way that was found. The transport to a relay is as good as the worse side's; where neither report tells it, it is
    /// what was expected of a relay.
    fn way(&self, expected: Expected) -> Expected {
        let sides = || std::iter::once(&self.path).chain(&self.there);
        if !sides().any(Path::is_relayed) {
            return if self.path.protocol == "tcp" { Expected::DirectTcp } else { Expected::DirectUdp };
        }
        let transports = sides().filter_map(|path| match path.relay_protocol.as_deref()? {
            "udp" => Some(Expected::RelayUdp),
            "tcp" => Some(Expected::RelayTcp),
            "tls" => Some(Expected::RelayTls),
            _ => None,
        });
        transports.max().unwrap_or(expected.max(Expected::RelayUdp))
    }
}

/// What came of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// They see and hear each other by the way that theory expects.
    AsExpected,
    /// By a better one.
    Better,
    /// By a worse one.
    Worse,
    /// They are connected, but pictures did not come on both sides.
    NoMedia,
    /// They are not connected.
    NotConnected,
    /// It could not be tried.
    NotTried,
}

impl Verdict {
    /// Whether nothing has to be mended.
    pub(crate) fn is_good(self) -> bool {
        match self {
            Verdict::AsExpected | Verdict::Better => true,
            Verdict::Worse | Verdict::NoMedia | Verdict::NotConnected | Verdict::NotTried => false,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Verdict::AsExpected => "as expected",
            Verdict::Better => "better than expected",
            Verdict::Worse => "WORSE than expected",
            Verdict::NoMedia => "NO PICTURES",
            Verdict::NotConnected => "NOT CONNECTED",
            Verdict::NotTried => "NOT TRIED",
        }
    }
}

/// A pair that was tried.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Who called.
    pub(crate) a: Kind,
    /// Who was called.
    pub(crate) b: Kind,
    /// What theory expects.
    pub(crate) expected: Expected,
    /// The call; `None` where there was none, with the reason where it is known.
    pub(crate) call: Result<Option<Connected>, String>,
}

impl Outcome {
    /// The way that was found.
    pub(crate) fn way(&self) -> Option<Expected> {
        self.connected().map(|connected| connected.way(self.expected))
    }

    pub(crate) fn connected(&self) -> Option<&Connected> {
        self.call.as_ref().ok().and_then(Option::as_ref)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let connected = match &self.call {
            Err(_) => return Verdict::NotTried,
            Ok(None) => return Verdict::NotConnected,
            Ok(Some(connected)) => connected,
        };
        match connected.way(self.expected).cmp(&self.expected) {
            _ if connected.media_ms.is_none() => Verdict::NoMedia,
            std::cmp::Ordering::Less => Verdict::Better,
            std::cmp::Ordering::Equal => Verdict::AsExpected,
            std::cmp::Ordering::Greater => Verdict::Worse,
        }
    }
}

/// Has somebody in one kind of network call somebody in another. `number` is the pair's alone.
pub(crate) async fn call(lab: &NatLab, server: &Server, (a, b): (Kind, Kind), number: usize) -> Outcome {
    let call = tried(lab, server, (a, b), number).await.map_err(|error| format!("{error:#}"));
    Outcome { a, b, expected: Expected::between(a, b), call }
}

async fn tried(
    lab: &NatLab,
    server: &Server,
    (a, b): (Kind, Kind),
    number: usize,
) -> Result<Option<Connected>> {
    let sides = tokio::task::block_in_place(|| lab.side(a).and_then(|at_a| Ok((at_a, lab.side(b)?))));
    let (at_a, at_b) = sides.context("a network can't be made")?;
    let (handle_a, handle_b) = (format!("caller-{number}"), format!("callee-{number}"));
    let (caller, callee) =
        tokio::try_join!(Person::sign_up(server, at_a, &handle_a), Person::sign_up(server, at_b, &handle_b))
            .context("an account can't be made")?;
    caller.adds(&callee).await.context("they can't become contacts")?;
    callee.adds(&caller).await.context("they can't become contacts")?;

    let mut answering = callee.start(&[&["answer", "--auto"], &MEDIA[..]].concat())?;
    let ready = answering.until(Instant::now() + READY_WITHIN, |event| of_type(event, "waiting")).await?;
    ready.context("ahoy-cli does not wait for calls")?;
    let mut calling =
        caller.start(&[&["call", callee.handle(), "--seconds", CALL_S], &MEDIA[..]].concat())?;
    let deadline = Instant::now() + CONNECTED_WITHIN;
    let connected = calling.until(deadline, |event| is_connected(event).then_some(())).await?;
    if connected.is_none() {
        return Ok(None);
    }
    let (here, there) = tokio::try_join!(report(&mut calling), report(&mut answering))?;
    let Some(path) = here.as_ref().and_then(Path::read) else { return Ok(None) };
    let media = [&here, &there].map(|report| report.as_ref().and_then(media_ms));
    Ok(Some(Connected {
        path,
        there: there.as_ref().and_then(Path::read),
        media_ms: media[0].zip(media[1]).map(|(here, there)| here.max(there)),
    }))
}

pub(crate) fn of_type(event: &Value, kind: &str) -> Option<()> {
    (event["type"] == kind).then_some(())
}

pub(crate) fn is_connected(event: &Value) -> bool {
    let current = &event["calls"]["current"];
    current["stage"] == "answered" && current["legs"][0]["status"] == "connected"
}

/// The report at the end of a call.
pub(crate) async fn report(side: &mut Staying) -> Result<Option<Value>> {
    let over = |event: &Value| of_type(event, "call_over").map(|()| event["report"].clone());
    side.until(Instant::now() + OVER_WITHIN, over).await
}

/// From the answer to the first picture, in milliseconds.
fn media_ms(report: &Value) -> Option<f64> {
    let reached = |phase: &str| report["setup_ms"][phase].as_f64();
    Some((reached("first_frame")? - reached("answered")?).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(local: &str, remote: &str, relay_protocol: Option<&str>) -> Path {
        let report = json!({"path": {"local_type": local, "remote_type": remote, "protocol": "udp", "relay_protocol": relay_protocol}});
        Path::read(&report).unwrap()
    }

    fn outcome(expected: Expected, path: Path, there: Option<Path>) -> Outcome {
        let connected = Connected { path, there, media_ms: Some(200.0) };
        Outcome { a: Kind::Open, b: Kind::Open, expected, call: Ok(Some(connected)) }
    }

    #[test]
    fn a_way_is_judged_by_its_relay_and_how_the_worse_side_reaches_it() {
        let direct = outcome(Expected::DirectUdp, path("host", "prflx", None), None);
        assert_eq!((direct.way(), direct.verdict()), (Some(Expected::DirectUdp), Verdict::AsExpected));
        let (here, there) = (path("relay", "prflx", Some("tcp")), path("prflx", "relay", None));
        let relayed = |expected| outcome(expected, here.clone(), Some(there.clone())).verdict();
        assert_eq!(relayed(Expected::RelayTcp), Verdict::AsExpected);
        assert_eq!(relayed(Expected::RelayUdp), Verdict::Worse);
        assert_eq!(relayed(Expected::RelayTls), Verdict::Better);
        let there =
            outcome(Expected::DirectUdp, path("host", "relay", None), Some(path("relay", "host", None)));
        assert_eq!((there.way(), there.verdict()), (Some(Expected::RelayUdp), Verdict::Worse));
    }

    #[test]
    fn a_relay_whose_transport_nobody_tells_is_taken_for_the_expected_one() {
        let silent = outcome(Expected::RelayTls, path("relay", "host", None), None);
        assert_eq!(silent.verdict(), Verdict::AsExpected);
    }

    #[test]
    fn without_pictures_or_a_connection_nothing_is_as_expected() {
        let mut outcome = outcome(Expected::DirectUdp, path("host", "host", None), None);
        let Ok(Some(connected)) = &mut outcome.call else { panic!("it is connected") };
        connected.media_ms = None;
        assert_eq!(outcome.verdict(), Verdict::NoMedia);
        outcome.call = Ok(None);
        assert_eq!(outcome.verdict(), Verdict::NotConnected);
        outcome.call = Err("no room".to_owned());
        assert_eq!(outcome.verdict(), Verdict::NotTried);
        assert!(!outcome.verdict().is_good());
    }

    #[test]
    fn media_is_timed_from_the_answer() {
        assert_eq!(media_ms(&json!({"setup_ms": {"answered": 100.0, "first_frame": 350.0}})), Some(250.0));
        assert_eq!(media_ms(&json!({"setup_ms": {"answered": 100.0, "first_frame": null}})), None);
    }
}
