//! What went over the link, packet by packet.

use std::collections::HashMap;

use ahoy_testkit::link::{PacketFate, PacketLog, PacketRecord};
use ahoy_testkit::wire::WireHeader;
use ahoy_testkit::{Direction, LinkHandle};

/// RTP payload type of Opus, at both sides.
const OPUS: u8 = 111;
/// RTP payload type of packets of Opus that carry those before them as well (RFC 2198), at both sides.
const REPEATED_OPUS: u8 = 63;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Pictures of this source, sent for the first time.
    Pictures(u32),
    /// Sound.
    Sound,
    Tcp,
    /// Pictures once more, and what they are repaired from; at Chromium padding as well.
    Repair,
    /// Reports, checks.
    Other,
}

/// A packet on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    /// In seconds since the link's schedule began.
    pub(crate) at: f64,
    pub(crate) bits: f64,
    /// Of those, what is media and sent for the first time, with its headers.
    pub(crate) media_bits: f64,
    pub(crate) purpose: Purpose,
    /// Whether it was lost on the way or to the queue.
    pub(crate) lost: bool,
    pub(crate) wait_ms: Option<f64>,
    pub(crate) dropped: bool,
    pub(crate) delivered: bool,
}

/// The packets of the way there and of the way back since the link began to note them, which ends that. `began` is the time of
/// its schedule's begin.
pub(crate) fn read(link: &LinkHandle, began: f64) -> [Vec<Packet>; 2] {
    let (headers, logs) = link.stop_headers();
    let mut logs = logs.iter();
    Direction::BOTH.map(|direction| {
        let headers: Vec<&WireHeader> =
            headers.iter().filter(|header| header.direction == direction).collect();
        logs.next().map_or_else(Vec::new, |log| packets(&headers, log, began))
    })
}

fn packets(headers: &[&WireHeader], log: &PacketLog, began: f64) -> Vec<Packet> {
    // Pictures are what most bytes are spent on; everything else in RTP repeats, repairs, or measures.
    let mut bytes: HashMap<u8, usize> = HashMap::new();
    let (mut sound_bytes, mut sound_packets) = (0, 0);
    for (header, record) in headers.iter().zip(log.records()) {
        match header.rtp() {
            Some((OPUS, ..)) => {
                (sound_bytes, sound_packets) = (sound_bytes + record.bytes, sound_packets + 1)
            }
            Some((REPEATED_OPUS, ..)) | None => {}
            Some((kind, ..)) => *bytes.entry(kind).or_default() += record.bytes,
        }
    }
    let pictures = bytes.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(kind, _)| kind);
    let sound_alone = sound_bytes as f64 * 8.0 / f64::from(sound_packets.max(1));
    let one = |(header, record): (&&WireHeader, &PacketRecord)| {
        let bits = record.bytes as f64 * 8.0;
        let (purpose, media_bits) = match header.rtp() {
            Some((OPUS, _, false)) => (Purpose::Sound, bits),
            // What it repeats can't be seen, but what a packet that repeats nothing takes on average.
            Some((REPEATED_OPUS, _, false)) => (Purpose::Sound, bits.min(sound_alone)),
            Some((kind, source, false)) if Some(kind) == pictures => (Purpose::Pictures(source), bits),
            Some((_, _, false)) => (Purpose::Repair, 0.0),
            _ if header.is_tcp() => (Purpose::Tcp, 0.0),
            _ => (Purpose::Other, 0.0),
        };
        let (wait_ms, dropped, delivered) = match record.fate {
            PacketFate::Delivered { queued, .. } => (Some(queued.as_secs_f64() * 1e3), false, true),
            PacketFate::QueueDropped => (None, true, false),
            PacketFate::Queued | PacketFate::Lost | PacketFate::Blocked => (None, false, false),
        };
        let at = record.arrived.as_secs_f64() - began;
        let lost = dropped || matches!(record.fate, PacketFate::Lost | PacketFate::Blocked);
        Packet { at, bits, media_bits, purpose, lost, wait_ms, dropped, delivered }
    };
    headers.iter().zip(log.records()).map(one).collect()
}
