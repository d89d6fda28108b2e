//! The video jitter buffer: packets in, pictures that can be decoded out.

mod config;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ahoy_media_types::{Codec, MediaTime, RtpPacket};
use bytes::Bytes;

pub use self::config::{VideoJitterConfig, VideoJitterStats};
use super::h264_depacketizer::{AccessUnit, H264Depacketizer, starts_keyframe};
use super::reception::{InterarrivalJitter, Origin, Place, Sequencer, SourceFilter};

/// Most packets held, and most that are waited for. At 20 Mbit/s this is two seconds; beyond it everything is dropped and a
/// key frame asked for.
const MAX_PACKETS: usize = 4096;
/// Most payload bytes held, for the same reason and with the same consequence.
const MAX_BYTES: usize = 8 << 20;
/// How many packets may come before the first one and still be put in front of it.
const START_REORDER: i64 = 64;

/// A complete picture, in decoding order.
#[derive(Clone, Debug)]
pub struct AssembledFrame {
    /// NAL units in Annex B form.
    pub data: Bytes,
    /// Sampling time on the sender's 90 kHz clock.
    pub rtp_timestamp: u32,
    /// Whether decoding can start here.
    pub keyframe: bool,
    /// When the first of its packets to come was taken from the socket.
    pub first_arrival: MediaTime,
    /// When the last one was.
    pub last_arrival: MediaTime,
}

/// What comes out of the buffer.
#[derive(Clone, Debug)]
pub enum VideoOut {
    /// Decode this.
    Frame(AssembledFrame),
    /// Ask the sender for a key frame. Said again as long as none comes, at the configured interval.
    NeedKeyframe,
}

#[derive(Debug)]
struct Held {
    timestamp: u32,
    marker: bool,
    payload: Bytes,
    arrived_at: MediaTime,
}

/// What stands at the head of the queue.
enum Head {
    /// Nothing, or the beginning of a picture whose rest has not been sent yet.
    Unfinished,
    Complete(Range<i64>),
    /// This packet has not come, but a later one has.
    Missing(i64),
}

/// Puts packets into order and pictures together, and gives each picture out the moment it is complete and everything it
/// refers to has been given out. It adds no delay of its own: smoothing is the [`PlayoutClock`](super::PlayoutClock)'s.
///
/// Each picture refers to the one before. So when a packet is missing the buffer waits for its retransmission, and if that
/// does not come in time goes on at the next key frame.
#[derive(Debug)]
pub struct VideoJitterBuffer {
    config: VideoJitterConfig,
    source: SourceFilter,
    stream: Stream,
    depacketizer: H264Depacketizer,
    keyframe: KeyframeNeed,
    stats: VideoJitterStats,
}

/// The state that belongs to one source.
#[derive(Debug)]
struct Stream {
    sequencer: Sequencer,
    packets: BTreeMap<i64, Held>,
    bytes: usize,
    /// Packets that later ones have overtaken, with the time when that was noticed.
    missing: BTreeMap<i64, MediaTime>,
    /// Packets held that begin a key frame.
    key_starts: BTreeSet<i64>,
    /// The next packet to use.
    next: Option<i64>,
    /// Whether anything was used, so that `next` can't move back any more.
    started: bool,
    /// Whether `next` is known to begin a picture.
    at_start: bool,
    newest: i64,
    newest_arrival: MediaTime,
    jitter: InterarrivalJitter,
}

/// Whether the decoder can go on, and when it was last said that it can't.
#[derive(Debug, Default)]
struct KeyframeNeed {
    /// Until a key frame comes nothing is given out.
    waiting: bool,
    /// Something was lost, so one has to be asked for: at the very start one is expected anyway.
    asked_for: bool,
    last_request: Option<MediaTime>,
}

impl Stream {
    fn new() -> Self {
        Self {
            sequencer: Sequencer::default(),
            packets: BTreeMap::new(),
            bytes: 0,
            missing: BTreeMap::new(),
            key_starts: BTreeSet::new(),
            next: None,
            started: false,
            at_start: false,
            newest: i64::MIN,
            newest_arrival: MediaTime::ZERO,
            jitter: InterarrivalJitter::new(Codec::H264.clock_rate()),
        }
    }

    /// Forgets everything before `position`; says how many pictures were (partly) among it.
    fn drop_before(&mut self, position: i64) -> u64 {
        let kept = self.packets.split_off(&position);
        let dropped = std::mem::replace(&mut self.packets, kept);
        self.bytes -= dropped.values().map(|held| held.payload.len()).sum::<usize>();
        self.missing = self.missing.split_off(&position);
        self.key_starts = self.key_starts.split_off(&position);
        self.next = Some(position);
        self.started = true;
        let mut timestamps: Vec<u32> =
            dropped.values().filter(|held| !held.payload.is_empty()).map(|held| held.timestamp).collect();
        timestamps.dedup();
        timestamps.len() as u64
    }

    fn head(&self) -> Head {
        let Some(next) = self.next else { return Head::Unfinished };
        self.frame_at(next)
    }

    /// The picture whose first packet is at `first`.
    fn frame_at(&self, first: i64) -> Head {
        let mut timestamp = None;
        for (expected, (&position, held)) in (first..).zip(self.packets.range(first..)) {
            if position != expected {
                return Head::Missing(expected);
            }
            // Padding packets have no content and may stand anywhere.
            let padding = held.payload.is_empty();
            if !padding && *timestamp.get_or_insert(held.timestamp) != held.timestamp {
                return Head::Complete(first..position);
            }
            if held.marker && !padding {
                return Head::Complete(first..position + 1);
            }
        }
        Head::Unfinished
    }

    /// The start of a complete key frame after `position`.
    fn keyframe_after(&self, position: i64) -> Option<i64> {
        let mut starts = self.key_starts.range(position + 1..).copied();
        starts.find(|&start| matches!(self.frame_at(start), Head::Complete(_)))
    }

    /// Where to go on when the packet at `lost` will not come: at the first picture after it whose beginning is there.
    fn restart_after(&self, lost: i64) -> i64 {
        let mut after_marker = None;
        for (&position, held) in self.packets.range(lost + 1..) {
            let padding = held.payload.is_empty();
            if !padding && after_marker == Some(position) || self.key_starts.contains(&position) {
                return position;
            }
            let between = padding && after_marker == Some(position);
            after_marker = (held.marker || between).then_some(position + 1);
        }
        self.newest + 1
    }
}

impl VideoJitterBuffer {
    /// An empty buffer.
    pub fn new(config: VideoJitterConfig) -> Self {
        Self {
            config,
            source: SourceFilter::default(),
            stream: Stream::new(),
            depacketizer: H264Depacketizer::new(),
            keyframe: KeyframeNeed { waiting: true, ..KeyframeNeed::default() },
            stats: VideoJitterStats::default(),
        }
    }

    /// Tells the measured round trip, which decides how long it is waited for what is sent again.
    pub fn set_round_trip(&mut self, round_trip: std::time::Duration) {
        self.config.round_trip = round_trip;
    }

    /// Tells that the decoder failed: nothing is given out until a key frame comes, which is asked for.
    pub fn decoder_failed(&mut self) {
        self.keyframe.waiting = true;
        self.keyframe.asked_for = true;
    }

    /// What was received and what became of it. Counters go on over a change of source.
    pub fn stats(&self) -> VideoJitterStats {
        VideoJitterStats { jitter: self.stream.jitter.get(), ..self.stats }
    }

    /// Takes a packet. Call [`Self::poll`] afterwards until it gives nothing more.
    pub fn push(&mut self, packet: RtpPacket, now: MediaTime) {
        match self.source.admit(packet.ssrc) {
            Origin::Same => {}
            Origin::New => {
                self.stats.frames_dropped += self.stream.drop_before(i64::MAX);
                self.stream = Stream::new();
                self.keyframe = KeyframeNeed { waiting: true, ..KeyframeNeed::default() };
            }
            Origin::Straggler => {
                self.stats.packets_discarded += 1;
                return;
            }
        }
        let stream = &mut self.stream;
        let position = match stream.sequencer.place(packet.sequence) {
            Place::At(position) => position,
            Place::Restarted(position) => {
                self.stats.frames_dropped += stream.drop_before(i64::MAX);
                stream.next = None;
                stream.started = false;
                stream.newest = i64::MIN;
                self.decoder_failed();
                position
            }
            Place::Stray => {
                self.stats.packets_discarded += 1;
                return;
            }
        };
        self.place(position, packet, now);
        let Stream { packets, missing, bytes, .. } = &self.stream;
        if packets.len() > MAX_PACKETS || missing.len() > MAX_PACKETS || *bytes > MAX_BYTES {
            let end = self.stream.newest + 1;
            self.give_up_to(end);
        }
    }

    fn place(&mut self, position: i64, packet: RtpPacket, now: MediaTime) {
        let stream = &mut self.stream;
        let first = stream.next.is_none();
        let next = *stream.next.get_or_insert(position);
        if position < next {
            if stream.started || next - position > START_REORDER {
                self.stats.packets_discarded += 1;
                return;
            }
            for skipped in position + 1..next {
                stream.missing.insert(skipped, now);
            }
            self.stats.packets_lost += next - position - 1;
            stream.next = Some(position);
        } else if stream.packets.contains_key(&position) {
            self.stats.packets_duplicate += 1;
            return;
        }
        self.stats.packets_received += 1;
        if stream.missing.remove(&position).is_some() {
            self.stats.packets_recovered += 1;
            self.stats.packets_lost -= 1;
        }
        if position > stream.newest {
            stream.jitter.on_packet(&packet);
            if !first {
                for skipped in stream.newest + 1..position {
                    stream.missing.insert(skipped, now);
                }
                self.stats.packets_lost += position - stream.newest - 1;
            }
            stream.newest = position;
        }
        stream.newest_arrival = stream.newest_arrival.max(packet.arrived_at);
        if starts_keyframe(&packet.payload) {
            stream.key_starts.insert(position);
        }
        stream.bytes += packet.payload.len();
        let RtpPacket { timestamp, marker, payload, arrived_at, .. } = packet;
        stream.packets.insert(position, Held { timestamp, marker, payload, arrived_at });
    }

    /// The next picture, or what else is to be done now. Call it until it gives nothing.
    pub fn poll(&mut self, now: MediaTime) -> Option<VideoOut> {
        loop {
            match self.stream.head() {
                Head::Complete(range) => {
                    if let Some(frame) = self.take(range) {
                        return Some(VideoOut::Frame(frame));
                    }
                }
                Head::Missing(lost) => {
                    if let Some(start) = self.stream.keyframe_after(lost) {
                        self.give_up_to(start);
                    } else if now >= self.deadline(lost) {
                        let start = self.stream.restart_after(lost);
                        self.give_up_to(start);
                    } else {
                        break;
                    }
                }
                Head::Unfinished => break,
            }
        }
        let due = self.keyframe_request_at().is_some_and(|at| now >= at);
        due.then(|| {
            self.keyframe.last_request = Some(now);
            self.stats.keyframes_requested += 1;
            VideoOut::NeedKeyframe
        })
    }

    /// When to call [`Self::poll`] again although no packet has come.
    pub fn next_wakeup(&self, now: MediaTime) -> Option<MediaTime> {
        let given_up = match self.stream.head() {
            Head::Missing(lost) => Some(self.deadline(lost)),
            Head::Complete(_) => Some(now),
            Head::Unfinished => None,
        };
        [given_up, self.keyframe_request_at()].into_iter().flatten().min()
    }

    /// Until when the packet at `lost` is waited for.
    fn deadline(&self, lost: i64) -> MediaTime {
        let noticed = self.stream.missing.get(&lost).copied().unwrap_or(MediaTime::ZERO);
        noticed + self.config.patience()
    }

    /// When to ask for a key frame, if one is needed.
    fn keyframe_request_at(&self) -> Option<MediaTime> {
        if !(self.keyframe.waiting && self.keyframe.asked_for) {
            return None;
        }
        let interval = self.config.keyframe_interval;
        let next = self.keyframe.last_request.map_or(MediaTime::ZERO, |last| last + interval);
        // One that is coming in already would only be made later by asking for another.
        let coming = self.stream.next.is_some_and(|next| self.stream.key_starts.contains(&next));
        Some(if coming { next.max(self.stream.newest_arrival + interval) } else { next })
    }

    /// Goes on at `position` without what comes before.
    fn give_up_to(&mut self, position: i64) {
        self.stats.frames_dropped += self.stream.drop_before(position);
        self.stream.at_start = true;
        self.decoder_failed();
    }

    /// Takes a complete picture out; `None` if it can't be decoded.
    fn take(&mut self, range: Range<i64>) -> Option<AssembledFrame> {
        let starts = self.stream.at_start || self.stream.key_starts.contains(&range.start);
        let mut rtp_timestamp = 0;
        let (mut first_arrival, mut last_arrival) = (None, MediaTime::ZERO);
        let mut intact = true;
        for held in self.stream.packets.range(range.clone()).map(|(_, held)| held) {
            intact = intact && self.depacketizer.push(&held.payload).is_ok();
            if !held.payload.is_empty() {
                rtp_timestamp = held.timestamp;
                first_arrival = Some(
                    first_arrival.map_or(held.arrived_at, |first: MediaTime| first.min(held.arrived_at)),
                );
                last_arrival = last_arrival.max(held.arrived_at);
            }
        }
        let unit = if intact { self.depacketizer.finish().ok() } else { None };
        self.depacketizer.reset();
        self.stream.drop_before(range.end);
        self.stream.at_start = true;
        let decodable = |unit: &AccessUnit| starts && (unit.keyframe || !self.keyframe.waiting);
        match (unit.filter(decodable), first_arrival) {
            (Some(AccessUnit { data, keyframe }), Some(first_arrival)) => {
                if keyframe {
                    self.keyframe = KeyframeNeed::default();
                }
                self.stats.frames_assembled += 1;
                Some(AssembledFrame { data, rtp_timestamp, keyframe, first_arrival, last_arrival })
            }
            _ => {
                self.stats.frames_dropped += 1;
                self.decoder_failed();
                None
            }
        }
    }
}
