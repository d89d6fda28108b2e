//! Calls beside each other over one link, all of one program, and streams of TCP beside them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_client::loopback::{CallCommand, LoopbackConfig, Side, Signal, SignalPath, run_controlled};
use ahoy_client::{AudioSourceSpec, VideoSourceSpec};
use ahoy_media::capture::VideoFormat;
use ahoy_media_types::{Bitrate, FrameRate};
use ahoy_testkit::wire::TunLink;
use ahoy_testkit::{Direction, LinkConfig, LinkHandle, Side as LinkSide, UdpRelay};
use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::cases::{CallSpec, Case, MOST_KBPS};
use super::clips::small_size;
use super::log::{self, Packet, Purpose};
use super::measure::{Measured, Said, figures, merged};
use super::ours;
use super::tcp::Streams;
use crate::over_link::{carry, script_over};

/// The link of all calls, and for those that live farther away a link before it.
struct Roads {
    shared: Arc<UdpRelay>,
    /// One for each call.
    own: Vec<Option<Arc<UdpRelay>>>,
    link: LinkHandle,
    /// Where streams of TCP run, if there are any.
    beside: Option<TunLink>,
    there: LinkConfig,
    back: LinkConfig,
}

impl Roads {
    fn build(case: &Case, seed: u64) -> Result<Self> {
        let (there, back) = case.links(seed)?;
        let (beside, shared) = match case.tcp.is_empty() {
            true => (None, UdpRelay::start(there.clone(), back.clone())?),
            false => {
                let (beside, relay) = TunLink::beside_relay(there.clone(), back.clone())?;
                (Some(beside), relay)
            }
        };
        let own = case.calls.iter().map(|call| -> Result<_> {
            if call.farther.is_zero() {
                return Ok(None);
            }
            let longer = LinkConfig::builder().delay(call.farther).build()?;
            Ok(Some(Arc::new(UdpRelay::start(longer.clone(), longer)?)))
        });
        let own = own.collect::<Result<_>>()?;
        let link = shared.handle();
        Ok(Self { shared: Arc::new(shared), own, link, beside, there, back })
    }

    fn road(&self, number: usize, call: &CallSpec) -> Road {
        Road { shared: Arc::clone(&self.shared), own: self.own[number].clone(), back: call.back }
    }

    /// The link's schedule begins now; gives when by its own clock that is, and the streams of TCP.
    fn begin(&mut self, case: &Case) -> Result<(f64, Option<Streams>)> {
        self.link.set(Direction::AToB, self.there.clone());
        self.link.set(Direction::BToA, self.back.clone());
        self.link.start_headers();
        let streams = self.beside.take().map(|beside| Streams::start(beside, &case.tcp, Instant::now()));
        Ok((self.link.clock().now().as_secs_f64(), streams.transpose()?))
    }
}

/// The way of one call.
#[derive(Clone)]
struct Road {
    shared: Arc<UdpRelay>,
    own: Option<Arc<UdpRelay>>,
    back: bool,
}

impl Road {
    fn rewrite(&self, from: LinkSide, line: &str) -> Result<Option<String>> {
        let from = if self.back { from.other() } else { from };
        let nearer = match &self.own {
            Some(own) => own.rewrite_candidate(from, line)?,
            None => Some(line.to_owned()),
        };
        Ok(match nearer {
            Some(nearer) => self.shared.rewrite_candidate(from, &nearer)?,
            None => None,
        })
    }
}

impl SignalPath for Road {
    fn carry(&mut self, from: Side, signal: Signal) -> Option<Signal> {
        carry(from, signal, |side, line| self.rewrite(side, line))
    }
}

/// Calls of ours, all in this program.
pub(crate) fn ours(case: &Case, seed: u64, clip: &Path) -> Result<Measured> {
    let mut roads = Roads::build(case, seed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (began, streams) = roads.begin(case)?;
    let begin = Instant::now();
    let said = LocalSet::new().block_on(&runtime, async {
        let calls = case.calls.iter().enumerate().map(|(number, call)| {
            let (call, road, clip) = (call.clone(), roads.road(number, call), clip.to_owned());
            tokio::task::spawn_local(call_of_ours(call, road, clip, case.lasts, begin))
        });
        let mut said = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            said.push(call.await.context("a call failed")??);
        }
        anyhow::Ok(said)
    })?;
    streams.map_or(Ok(()), Streams::end)?;
    Ok(measure(case, &roads.link, began, &said))
}

async fn call_of_ours(
    call: CallSpec,
    mut road: Road,
    clip: PathBuf,
    lasts: Duration,
    begin: Instant,
) -> Result<Said> {
    tokio::time::sleep(call.starts.saturating_sub(begin.elapsed())).await;
    let pictures = VideoSourceSpec::File(clip);
    let config = LoopbackConfig {
        duration: Some(lasts.saturating_sub(begin.elapsed())),
        video: Some(pictures.clone()),
        format: VideoFormat { size: small_size()?, rate: FrameRate::FPS_30 },
        audio: Some(AudioSourceSpec::Chirps),
        bitrate: Bitrate::from_kbps(MOST_KBPS)?,
        unknown_path: true,
        ..LoopbackConfig::default()
    };
    // Who could command is there until the call ends.
    let (command, commands) = mpsc::channel(1);
    let commander = command.clone();
    let pausing = tokio::task::spawn_local(async move {
        for (at, pictures) in call.pause.into_iter().flatten().zip([None, Some(pictures)]) {
            tokio::time::sleep(at.saturating_sub(begin.elapsed())).await;
            // It fails where the call is over, which tells itself.
            let _ = commander.send(CallCommand::Video(pictures)).await;
        }
    });
    let report = run_controlled(&config, &mut road, commands, |_| {}).await;
    pausing.abort();
    drop(command);
    ours::said(&report?)
}

/// As the script takes it, times in seconds.
#[derive(Serialize)]
struct PageCall {
    starts: f64,
    pause: Option<[f64; 2]>,
}

/// Calls of Chromium, all of one page.
pub(crate) fn chromium(case: &Case, seed: u64, clip: &Path) -> Result<Measured> {
    let mut roads = Roads::build(case, seed)?;
    let calls: Vec<PageCall> = case
        .calls
        .iter()
        .map(|call| PageCall {
            starts: call.starts.as_secs_f64(),
            pause: call.pause.map(|pause| pause.map(|at| at.as_secs_f64())),
        })
        .collect();
    let calls = serde_json::to_string(&calls)?;
    let arguments = |node: &mut Command| {
        let seconds = case.lasts.as_secs().to_string();
        node.args(["--seconds", &seconds, "--kbps", &MOST_KBPS.to_string(), "--calls", &calls]);
        node.arg("--clip").arg(clip);
    };
    let mut begun = None;
    let said = script_over::<Vec<Said>>("several_calls.mjs", arguments, |number, side, line| {
        if begun.is_none() {
            // The schedule begins with the first candidate, which is half a second before media.
            begun = Some(roads.begin(case)?);
        }
        let number = number as usize;
        let call = case.calls.get(number).context("there are not so many calls")?;
        roads.road(number, call).rewrite(side, line)
    })?;
    let (began, streams) = begun.context("Chromium never looked for a way")?;
    streams.map_or(Ok(()), Streams::end)?;
    Ok(measure(case, &roads.link, began, &said))
}

fn measure(case: &Case, link: &LinkHandle, began: f64, said: &[Said]) -> Measured {
    let [there, back] = log::read(link, began);
    let mut measured = figures(case, &there, merged(said));
    if let Some(could_back) = case.could_back() {
        let media = |packets: &[Packet]| -> f64 {
            packets.iter().filter(|packet| packet.delivered).map(|packet| packet.media_bits).sum()
        };
        measured.utilisation = (media(&there) + media(&back)) / (case.could() + could_back);
        measured.goodput = None;
    }
    if let Some([from, to]) = case.compared {
        let window: Vec<&Packet> =
            there.iter().filter(|packet| packet.delivered && (from..to).contains(&packet.at)).collect();
        measured.jain = (case.calls.len() > 1).then(|| jain(&shares(&window, case.calls.len())));
        let all: f64 = window.iter().map(|packet| packet.bits).sum();
        let of_tcp = window.iter().filter(|packet| packet.purpose == Purpose::Tcp);
        let tcp: f64 = of_tcp.map(|packet| packet.bits).sum();
        measured.tcp_share = (!case.tcp.is_empty() && all > 0.0).then(|| tcp / all);
    }
    measured
}

/// Bits of pictures that each of so many calls got; none for a call that sent none.
fn shares(packets: &[&Packet], calls: usize) -> Vec<f64> {
    let mut sources = std::collections::HashMap::new();
    for packet in packets {
        if let Purpose::Pictures(source) = packet.purpose {
            *sources.entry(source).or_insert(0.0) += packet.bits;
        }
    }
    let mut shares: Vec<f64> = sources.into_values().collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    shares.resize(calls, 0.0);
    shares
}

/// Jain's index of fairness: 1 where all get the same, one part in so many where one gets all.
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_one_for_equals_and_a_part_for_one_who_takes_all() {
        assert!((jain(&[3.0, 3.0, 3.0]) - 1.0).abs() < 1e-9);
        assert!((jain(&[9.0, 0.0, 0.0]) - 1.0 / 3.0).abs() < 1e-9);
        assert!(jain(&[0.0, 0.0]).abs() < 1e-9);
    }

    #[test]
    fn a_call_without_pictures_counts_as_one_that_got_nothing() {
        let packet = |source, bits| Packet {
            at: 0.0,
            bits,
            media_bits: bits,
            purpose: Purpose::Pictures(source),
            lost: false,
            wait_ms: None,
            dropped: false,
            delivered: true,
        };
        let packets = [packet(1, 10.0), packet(2, 30.0), packet(1, 5.0)];
        assert_eq!(shares(&packets.iter().collect::<Vec<_>>(), 3), [30.0, 15.0, 0.0]);
    }

    #[test]
    fn a_candidate_of_a_call_that_lives_farther_away_leads_over_both_links() {
        let case = Case::chosen(&["5.5".to_owned()], false).unwrap().remove(0);
        let roads = Roads::build(&case, 1).unwrap();
        let line = "candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host";
        let fronts = |relay: &UdpRelay| relay.front_for_a("127.0.0.1:5000".parse().unwrap()).unwrap().port();
        let road = roads.road(1, &case.calls[1]);
        let told = road.rewrite(LinkSide::A, line).unwrap().unwrap();
        let own = fronts(road.own.as_ref().unwrap());
        let shared = road.shared.front_for_a(format!("127.0.0.1:{own}").parse().unwrap()).unwrap().port();
        assert!(told.contains(&format!(" {shared} typ")), "{told}");
    }
}
