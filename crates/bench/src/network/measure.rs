//! What a run was worth, from the link's log and from what the ends say.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use ahoy_client::loopback::SendingStats;
use ahoy_testkit::LinkHandle;
use anyhow::{Context as _, Result};

use super::cases::Case;
use super::log::{self, Packet, Purpose};

/// From here on after a change of the link everything is steady.
const STEADY_AFTER_S: f64 = 5.0;
/// What [`Measured::write`] calls the two columns that plots are made of.
const MEDIA: &str = "media_kbps";
const QUEUE: &str = "queue_p95_ms";

/// What the receiving end says.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
pub(crate) struct Said {
    /// Interruptions of the picture as W3C webrtc-stats counts them.
    pub(crate) freezes: f64,
    pub(crate) freeze_ms: f64,
    /// Pictures shown a second.
    pub(crate) fps: Option<f64>,
    /// Share of the sound that was made up, 0 to 1.
    pub(crate) concealed: Option<f64>,
    /// SSIM of what was on the screen for each captured picture, in the mean.
    pub(crate) ssim_seen: Option<f64>,
}

/// One second at the bottleneck.
#[derive(Clone, Debug, Default)]
pub(super) struct Second {
    media_bits: f64,
    all_bits: f64,
    waits: Vec<f64>,
    dropped: u32,
}

/// One run. What it was like from second to second is written beside its figures, not with them.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Measured {
    #[serde(skip)]
    pub(super) seconds: Vec<Second>,
    /// What the sending side knew, at seconds; only of ours.
    #[serde(skip)]
    pub(crate) estimates: Vec<(f64, SendingStats)>,
    /// Media that came through, of what the link could carry, 0 to 1.
    pub(crate) utilisation: f64,
    /// The same with what was lost and came after all.
    #[serde(default)]
    pub(crate) goodput: Option<f64>,
    pub(crate) steady_queue_p95: f64,
    pub(crate) rise_s: Option<f64>,
    pub(crate) queue_after_drop: Option<f64>,
    pub(crate) queue_lost: f64,
    pub(crate) freezes: Option<f64>,
    pub(crate) frozen_ms_per_min: Option<f64>,
    pub(crate) fps: Option<f64>,
    pub(crate) concealed: Option<f64>,
    pub(crate) ssim_seen: Option<f64>,
    /// Jain's index of what calls beside each other got, 0 to 1.
    #[serde(default)]
    pub(crate) jain: Option<f64>,
    /// TCP's part of what it and the calls got, 0 to 1.
    #[serde(default)]
    pub(crate) tcp_share: Option<f64>,
}

/// Reads the packets of the way there since the link began to note them; `began` is the time of its schedule's begin.
pub(crate) fn measure(case: &Case, link: &LinkHandle, began: f64, said: Said) -> Measured {
    let [packets, _] = log::read(link, began);
    figures(case, &packets, said)
}

/// What all of several receiving ends say: the mean of each figure.
pub(super) fn merged(said: &[Said]) -> Said {
    let mean = |of: fn(&Said) -> Option<f64>| {
        let values: Vec<f64> = said.iter().filter_map(of).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    Said {
        freezes: mean(|said| Some(said.freezes)).unwrap_or(0.0),
        freeze_ms: mean(|said| Some(said.freeze_ms)).unwrap_or(0.0),
        fps: mean(|said| said.fps),
        concealed: mean(|said| said.concealed),
        ssim_seen: mean(|said| said.ssim_seen),
    }
}

/// The figures of a run with these packets.
pub(super) fn figures(case: &Case, packets: &[Packet], said: Said) -> Measured {
    let lasts = case.lasts.as_secs_f64();
    let seconds = seconds(packets, case);
    let until = |index: usize| case.rates.get(index + 1).map_or(lasts, |(from, _)| *from);
    let media: f64 = seconds.iter().map(|second| second.media_bits).sum();
    let waits = |from: f64, to: f64| -> Vec<f64> {
        let within = packets.iter().filter(|packet| (from..to).contains(&packet.at));
        within.filter_map(|packet| packet.wait_ms).collect()
    };
    let steady: Vec<f64> = match case.rates.is_empty() {
        // Where the link never stays what it is, all of it counts once the call has found out about it.
        true => waits(STEADY_AFTER_S.min(lasts / 12.0), lasts),
        false => (0..case.rates.len())
            .flat_map(|index| waits(case.rates[index].0 + STEADY_AFTER_S.min(lasts / 20.0), until(index)))
            .collect(),
    };
    let changes = || case.rates.windows(2).map(|pair| (pair[0].1, pair[1]));
    let rise = changes().filter(|(before, (_, after))| *after > before * 2.0).map(|(_, step)| step).next();
    let drop = changes().filter(|(before, (_, after))| *after < before * 0.5).map(|(_, step)| step).next();
    let rate = |from: f64, to: f64| -> f64 {
        let within = packets.iter().filter(|packet| packet.delivered && (from..to).contains(&packet.at));
        within.map(|packet| packet.media_bits).sum::<f64>() / (to - from)
    };
    let rise_s = rise.map(|(at, mbps)| {
        let mut times = (1..200).map(|tenths| f64::from(tenths) / 10.0);
        let reached = times.find(|t| rate(at + t - 0.5, at + t + 0.5) >= 0.9 * mbps * 1e6);
        reached.unwrap_or(20.0)
    });
    let queue_after_drop = drop.map(|(at, _)| waits(at + 1.0, at + 5.0).into_iter().fold(0.0, f64::max));
    let dropped: u32 = seconds.iter().map(|second| second.dropped).sum();
    Measured {
        utilisation: media / case.could(),
        goodput: Some((media + repaired(packets, lasts)) / case.could()),
        steady_queue_p95: percentile(steady, 0.95),
        rise_s,
        queue_after_drop,
        queue_lost: f64::from(dropped) / packets.len().max(1) as f64,
        freezes: Some(said.freezes),
        frozen_ms_per_min: Some(said.freeze_ms / lasts * 60.0),
        fps: said.fps,
        concealed: said.concealed,
        ssim_seen: said.ssim_seen,
        jain: None,
        tcp_share: None,
        estimates: Vec::new(),
        seconds,
    }
}

/// Bits of media that were lost and came after all: of what repeats and repairs as much as had been lost until then.
fn repaired(packets: &[Packet], lasts: f64) -> f64 {
    let (mut missing, mut repaired) = (0.0, 0.0);
    for packet in packets.iter().filter(|packet| (0.0..lasts).contains(&packet.at)) {
        if packet.lost && matches!(packet.purpose, Purpose::Pictures(_)) {
            missing += packet.media_bits;
        } else if packet.delivered && packet.purpose == Purpose::Repair {
            let came = packet.bits.min(missing);
            (missing, repaired) = (missing - came, repaired + came);
        }
    }
    repaired
}

/// What each second of the case was like.
pub(super) fn seconds(packets: &[Packet], case: &Case) -> Vec<Second> {
    let mut seconds = vec![Second::default(); case.lasts.as_secs_f64().ceil() as usize];
    for packet in packets.iter().filter(|packet| packet.at >= 0.0) {
        let Some(second) = seconds.get_mut(packet.at as usize) else { continue };
        second.dropped += u32::from(packet.dropped);
        second.waits.extend(packet.wait_ms);
        if packet.delivered {
            second.all_bits += packet.bits;
            second.media_bits += packet.media_bits;
        }
    }
    seconds
}

pub(super) fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(0.0)
}

impl Measured {
    /// One line for each second.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut out =
            std::fs::File::create(path).with_context(|| format!("no trace at {}", path.display()))?;
        writeln!(
            out,
            "second,{MEDIA},all_kbps,queue_p50_ms,{QUEUE},dropped,target_kbps,queue_ms,loss,why,height,sent_kbps"
        )?;
        for (number, second) in self.seconds.iter().enumerate() {
            let [p50, p95] = [0.5, 0.95].map(|share| percentile(second.waits.clone(), share));
            let (media, all) = (second.media_bits / 1e3, second.all_bits / 1e3);
            write!(out, "{number},{media:.0},{all:.0},{p50:.1},{p95:.1},{},", second.dropped)?;
            let known = self.estimates.iter().find(|(at, _)| *at as usize == number);
            match known.map(|(_, known)| known) {
                None => writeln!(out, ",,,,,")?,
                Some(known) => {
                    let (target, queue, loss) = (known.target_kbps, known.queue_ms, known.loss_percent);
                    let picture = known.picture.as_ref().map_or(0, |picture| picture.height);
                    let why = serde_json::to_string(&known.reason)?;
                    writeln!(
                        out,
                        "{target:.0},{queue:.1},{loss:.1},{},{picture},{:.0}",
                        why.trim_matches('"'),
                        known.sent_kbps
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// Media in kb/s and the queue's p95 in milliseconds, second by second, of what [`Measured::write`] wrote.
pub(crate) fn read(path: &Path) -> Result<[Vec<f64>; 2]> {
    let csv = std::fs::read_to_string(path)
        .with_context(|| format!("no seconds of a run at {}", path.display()))?;
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap_or_default();
    let mut columns = [Vec::new(), Vec::new()];
    let places = [MEDIA, QUEUE].map(|name| names.iter().position(|column| *column == name));
    for line in lines {
        for (column, place) in columns.iter_mut().zip(places) {
            let value = place.and_then(|place| line.get(place)?.parse::<f64>().ok());
            column.push(value.with_context(|| format!("{} is not what this bench writes", path.display()))?);
        }
    }
    Ok(columns)
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "media {:.1} %", self.utilisation * 100.0)?;
        if let Some(goodput) = self.goodput {
            write!(f, " ({:.1} with what was repaired)", goodput * 100.0)?;
        }
        write!(f, ", queue p95 {:.0} ms", self.steady_queue_p95)?;
        if let (Some(rise), Some(after)) = (self.rise_s, self.queue_after_drop) {
            write!(f, ", rise {rise:.1} s, after the drop {after:.0} ms")?;
        }
        write!(f, ", queue losses {:.2} %", self.queue_lost * 100.0)?;
        if let Some(jain) = self.jain {
            write!(f, ", Jain {jain:.3}")?;
        }
        if let Some(share) = self.tcp_share {
            write!(f, ", TCP {:.0} %", share * 100.0)?;
        }
        if let (Some(freezes), Some(fps)) = (self.freezes, self.fps) {
            write!(f, ", {freezes} freezes, {fps:.1} pictures/s")?;
        }
        if let Some(concealed) = self.concealed {
            write!(f, ", {:.2} % of the sound made up", concealed * 100.0)?;
        }
        if let Some(ssim) = self.ssim_seen {
            write!(f, ", SSIM as seen {ssim:.3}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_once_more_counts_as_media_only_where_something_was_lost() {
        let packet = |at: f64, purpose: Purpose, lost: bool| Packet {
            at,
            bits: 1_000.0,
            media_bits: if purpose == Purpose::Repair { 0.0 } else { 900.0 },
            purpose,
            lost,
            wait_ms: None,
            dropped: false,
            delivered: !lost,
        };
        let pictures = Purpose::Pictures(7);
        let packets = [
            packet(0.1, Purpose::Repair, false),
            packet(0.2, pictures, true),
            packet(0.3, pictures, false),
            packet(0.4, Purpose::Repair, true),
            packet(0.5, Purpose::Repair, false),
            packet(0.6, Purpose::Repair, false),
            packet(0.7, Purpose::Sound, true),
            packet(0.8, Purpose::Repair, false),
        ];
        assert_eq!(repaired(&packets, 1.0), 900.0);
    }

    #[test]
    fn the_seconds_of_a_run_are_read_as_they_were_written() {
        let second = |kbps: f64, wait: f64| Second {
            media_bits: kbps * 1e3,
            all_bits: kbps * 2e3,
            waits: vec![wait],
            dropped: 1,
        };
        let run = Measured { seconds: vec![second(800.0, 12.5), second(900.0, 0.0)], ..Measured::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.csv");
        run.write(&path).unwrap();
        assert_eq!(read(&path).unwrap(), [vec![800.0, 900.0], vec![12.5, 0.0]]);
        std::fs::write(&path, "second,other\n0,1\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("not what this bench writes"));
    }
}
