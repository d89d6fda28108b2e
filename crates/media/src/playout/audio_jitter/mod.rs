//! The audio jitter buffer: packets in, an unbroken stream of 10 ms blocks out.

mod config;
mod made_up;
mod played;
mod stretch;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ahoy_media_types::{BLOCK_SAMPLES, Codec, MediaTime, RtpPacket, SAMPLE_RATE};
use bytes::Bytes;

pub use self::config::{AudioJitterConfig, AudioJitterStats};
use self::made_up::{Pending, StoodFor};
pub use self::played::{PlayedBlock, PlayedKind};
use self::tally::Tally;
use super::delay::{DelayEstimator, DelayGoal};
use super::reception::{InterarrivalJitter, Origin, Place, Sequencer, SourceFilter, TimestampUnwrapper};
use crate::codec::{AudioDecoder, opus_packet_has_fec, opus_packet_is_silence, opus_packet_samples};

/// Most packets held: 3 s. Beyond it the oldest are dropped.
const MAX_PACKETS: usize = 150;
/// Share of packets that must be there in time. What is later is concealed, so this bounds the concealed share.
const IN_TIME: f64 = 0.995;
/// A packet whose timestamp is further than this from what its arrival says comes from a sender that has set its clock
/// anew, not from a slow network.
const CLOCK_JUMP: Duration = Duration::from_secs(2);
/// With so much more delay than is needed, sound is dropped to catch up: squeezing it out would take half a minute.
const FAR_BEHIND: i64 = 300_000;
/// With so much more delay than is needed, sound is squeezed even where that can be heard.
const BEHIND: i64 = 80_000;
/// Delay in microseconds that may be there beyond what is needed: smaller than this the buffer would squeeze and stretch in
/// turn, since it can only do so by whole periods of the voice.
const TOLERANCE: i64 = 10_000;
/// How far inside its tolerance the delay is brought, so that it does not leave it again at once.
const INSIDE: i64 = 2_000;
/// Sound made up for longer than this is silence: the decoder has faded it out long before.
const FADED_OUT: u64 = SAMPLE_RATE as u64 / 2;
/// Packets over which the least delay counts, since sinks may fetch two blocks at a time.
const SLACK_WINDOW: usize = 4;
/// By how much the delay is too short where a packet has come in time but was handed over too late, at least.
const HANDOVER: i64 = 5_000;
/// Sound that squeezing works on: two periods of the deepest voice.
const STRETCH_SAMPLES: usize = 1500;

#[derive(Debug)]
struct Held {
    sequence: i64,
    samples: usize,
    payload: Bytes,
    arrived_at: MediaTime,
}

/// Holds sound back just long enough for nearly all packets to be there in time, and bridges what is missing.
///
/// The delay follows the network: it is measured how late packets come compared with the fastest ones, and sound is
/// squeezed or stretched by whole periods of the voice, without changing its pitch, until the delay fits.
pub struct AudioJitterBuffer {
    decoder: Box<dyn AudioDecoder>,
    source: SourceFilter,
    sequencer: Sequencer,
    tally: Tally,
    timestamps: TimestampUnwrapper,
    packets: BTreeMap<i64, Held>,
    estimator: DelayEstimator,
    config: AudioJitterConfig,
    /// Of the newest packet.
    packet_samples: usize,
    /// What pictures need that the network makes late.
    least: Duration,
    jitter: InterarrivalJitter,
    /// Position of the first sample that has not been decoded, on the sender's clock.
    next: Option<i64>,
    /// Sequence of the packet decoded last.
    last_sequence: i64,
    /// Decoded, not yet played.
    sound: Vec<f32>,
    pending: Pending,
    /// When the block before was fetched.
    last_pull: MediaTime,
    /// Whether the newest sound was made up, so that more of it belongs to the same gap.
    in_gap: bool,
    /// How long before it was needed each of the last packets was there or could have been, in microseconds.
    slack: VecDeque<i64>,
    /// Packets to let pass before sound is stretched again, so that it is not heard.
    rest: u32,
    /// How often in a row no fitting period was found.
    tries: u32,
    stats: AudioJitterStats,
}

impl AudioJitterBuffer {
    /// An empty buffer that decodes with `decoder`.
    pub fn new(config: AudioJitterConfig, decoder: Box<dyn AudioDecoder>) -> Self {
        Self {
            decoder,
            source: SourceFilter::default(),
            sequencer: Sequencer::default(),
            tally: Tally::default(),
            timestamps: TimestampUnwrapper::default(),
            packets: BTreeMap::new(),
            estimator: DelayEstimator::new(DelayGoal {
                clock_rate: SAMPLE_RATE,
                quantile: IN_TIME,
                least: config.least_delay,
                most: config.most_delay.max(config.least_delay),
            }),
            config,
            packet_samples: 0,
            least: Duration::ZERO,
            jitter: InterarrivalJitter::new(Codec::Opus.clock_rate()),
            next: None,
            last_sequence: 0,
            sound: Vec::with_capacity(4 * BLOCK_SAMPLES),
            pending: Pending::default(),
            last_pull: MediaTime::ZERO,
            in_gap: false,
            slack: VecDeque::with_capacity(SLACK_WINDOW),
            rest: 0,
            tries: 0,
            stats: AudioJitterStats::default(),
        }
    }

    /// What was received and what became of it.
    pub fn stats(&self) -> AudioJitterStats {
        let (target_delay, jitter) = (self.target(), self.jitter.get());
        let packets_lost = self.tally.lost();
        AudioJitterStats { target_delay, jitter, packets_lost, ..self.stats }
    }

    /// How long sound is to be held back beyond the journey of the fastest packet.
    fn target(&self) -> Duration {
        self.estimator.target().max(self.least)
    }

    /// Holds sound back for at least so long, within the limits of the configuration, because of pictures that belong to it.
    pub fn hold_back(&mut self, least: Duration) {
        self.least = least.min(self.config.most_delay);
    }

    /// Takes a packet. `now` is the present time; packets may be handed over any time before the block is fetched that needs
    /// them, since it is their arrival at the socket that counts.
    pub fn push(&mut self, packet: RtpPacket, now: MediaTime) {
        let arrived_at = packet.arrived_at.min(now);
        match self.source.admit(packet.ssrc) {
            Origin::Same => {}
            Origin::New => {
                self.sequencer = Sequencer::default();
                self.start_over();
            }
            Origin::Straggler => {
                self.stats.packets_discarded += 1;
                return;
            }
        }
        let sequence = match self.sequencer.place(packet.sequence) {
            Place::At(sequence) => sequence,
            Place::Restarted(sequence) => {
                self.start_over();
                sequence
            }
            Place::Stray => {
                self.stats.packets_discarded += 1;
                return;
            }
        };
        let Some(samples) = opus_packet_samples(&packet.payload) else {
            self.stats.packets_damaged += 1;
            return;
        };
        let mut position = self.timestamps.unwrap(packet.timestamp);
        if self.estimator.distance(position, arrived_at).is_some_and(|off| off > CLOCK_JUMP) {
            self.start_over();
            position = self.timestamps.unwrap(packet.timestamp);
        }
        if std::mem::replace(&mut self.packet_samples, samples) != samples {
            // A longer packet is complete later, which is no delay of the network.
            self.estimator.forget_clock();
            self.slack.clear();
        }
        // Silence can come as late as it likes: its copy comes with the next sound.
        if !opus_packet_is_silence(&packet.payload) {
            self.estimator.on_packet(position, arrived_at);
        }
        // A copy of a lost packet is of use only if the place of that packet has not been played by then.
        let previous = position - samples as i64;
        if self.tally.newest().is_some_and(|newest| sequence == newest + 2)
            && opus_packet_has_fec(&packet.payload)
            && let Some(needed) = self.estimator.slack(previous, arrived_at)
        {
            self.estimator.observe(needed);
        }
        if self.packets.contains_key(&position) {
            self.stats.packets_discarded += 1;
            return;
        }
        if self.tally.on_packet(sequence) {
            self.jitter.on_packet(&packet);
        }
        if self.next.is_some_and(|next| position < next) {
            self.stats.packets_discarded += 1;
            return;
        }
        self.stats.packets_received += 1;
        let held = Held { sequence, samples, payload: packet.payload, arrived_at };
        self.packets.insert(position, held);
        if self.packets.len() > MAX_PACKETS {
            self.packets.pop_first();
            self.stats.packets_discarded += 1;
        }
    }

    /// Forgets the timeline. Sound already decoded is still played.
    fn start_over(&mut self) {
        self.packets.clear();
        self.timestamps = TimestampUnwrapper::default();
        self.tally.start_over();
        self.estimator.forget_clock();
        self.next = None;
        self.slack.clear();
        self.settle(StoodFor::Sound);
    }

    /// The next 10 ms. Call it when the sink fetches a block, with the present time: not with the time when the block will
    /// be heard, which would make packets seem to have longer than they do.
    pub fn pull(&mut self, now: MediaTime) -> PlayedBlock {
        self.catch_up(now);
        let mut decoded = false;
        while self.sound.len() < BLOCK_SAMPLES && self.decode_next(now) {
            decoded = true;
        }
        if decoded {
            self.adjust(now);
        }
        let kind = if self.sound.len() >= BLOCK_SAMPLES {
            PlayedKind::Received
        } else if self.next.is_none() {
            self.sound.resize(BLOCK_SAMPLES, 0.0);
            PlayedKind::Nothing
        } else {
            self.await_more();
            PlayedKind::MadeUp
        };
        // While the next packet is awaited, what is left of made-up sound stands for nobody knows what.
        let position = self.next.filter(|_| kind == PlayedKind::Received && self.pending.samples == 0);
        let first = position.map(|next| next - self.sound.len() as i64);
        let slack = first.and_then(|first| self.estimator.slack(first, now));
        let held_back = slack.map(|slack| Duration::from_micros(u64::try_from(slack).unwrap_or(0)));
        let rtp_timestamp = first.map(|first| first as u32);
        if kind != PlayedKind::Nothing {
            self.stats.total_samples += BLOCK_SAMPLES as u64;
        }
        let mut samples = [0.0; BLOCK_SAMPLES];
        samples.copy_from_slice(&self.sound[..BLOCK_SAMPLES]);
        self.sound.drain(..BLOCK_SAMPLES);
        self.last_pull = now;
        PlayedBlock { samples, rtp_timestamp, kind, held_back }
    }

    /// Drops packets where the network has delivered a pile of them late.
    fn catch_up(&mut self, now: MediaTime) {
        let target = self.target().as_micros() as i64;
        let slack = |position: i64| self.estimator.slack(position, now).unwrap_or(0);
        let Some((&first, _)) = self.packets.first_key_value() else { return };
        if slack(first) <= target + FAR_BEHIND {
            return;
        }
        let Some((&start, held)) =
            self.packets.iter().find(|(position, _)| slack(**position) <= target + TOLERANCE)
        else {
            return;
        };
        self.last_sequence = held.sequence - 1;
        let kept = self.packets.split_off(&start);
        self.stats.packets_discarded += self.packets.len() as u64;
        let is_silence = self.packets.values().all(|held| opus_packet_is_silence(&held.payload));
        self.packets = kept;
        self.next = Some(start);
        self.slack.clear();
        self.settle(if is_silence { StoodFor::Silence } else { StoodFor::Sound });
    }

    /// Appends to `sound`; `false` where there is nothing to append yet.
    fn decode_next(&mut self, now: MediaTime) -> bool {
        let Some((&position, held)) = self.packets.first_key_value() else { return false };
        let slack = self.estimator.slack(position, now).unwrap_or(0);
        let due = slack >= self.target().as_micros() as i64;
        let Some(next) = self.next else {
            if due {
                self.play_packet(position, slack, now);
            }
            return due;
        };
        let gap = usize::try_from(position - next).unwrap_or(0);
        let is_silence = opus_packet_is_silence(&held.payload);
        if gap == 0 {
            if is_silence {
                self.settle(StoodFor::Silence);
            } else if self.pending.samples > 0 && held.arrived_at <= self.last_pull {
                // It was at the socket in time, but not here: that delay has to be reckoned with too.
                let needed = self.estimator.slack(position, self.last_pull).unwrap_or(0);
                self.estimator.observe(needed + HANDOVER);
            }
            self.settle(StoodFor::Sound);
            self.play_packet(position, slack, now);
            return true;
        }
        if held.sequence == self.last_sequence + 1 {
            // Nothing was lost: the sender was silent. It goes on when the delay is what it should be.
            if due {
                self.settle(StoodFor::Silence);
                self.play_packet(position, slack, now);
            }
            return due;
        }
        // Lost. What was made up meanwhile has taken the place of the beginning. What lost packets can't have held, the sender
        // has left out.
        let (payload, samples) = (held.payload.clone(), held.samples);
        let lost =
            usize::try_from(held.sequence - self.last_sequence - 1).unwrap_or(1).saturating_mul(samples);
        let pending = std::mem::take(&mut self.pending);
        let awaited = usize::try_from(pending.samples).unwrap_or(usize::MAX);
        let longest = if is_silence { gap.max(awaited) } else { gap };
        self.settle_gap(pending, longest.saturating_sub(lost));
        let gap = gap.saturating_sub(awaited);
        let silence = gap.saturating_sub(lost);
        match gap {
            0 => self.play_packet(position, slack, now),
            _ if gap <= samples => {
                self.restore(&payload, samples, gap);
                self.next = Some(position);
            }
            _ => {
                // In whole packets: Opus fades less than with as much sound made up in smaller steps.
                let chunk = (gap - samples).min(samples);
                let made_up = self.make_up(chunk);
                self.settle_gap(made_up, silence);
                self.next = Some(position - (gap - chunk) as i64);
            }
        }
        true
    }

    /// Decodes the first packet.
    fn play_packet(&mut self, position: i64, slack: i64, now: MediaTime) {
        let Some(held) = self.packets.remove(&position) else { return };
        let waited = now.since(held.arrived_at)
            + Duration::from_secs_f64(self.sound.len() as f64 / f64::from(SAMPLE_RATE));
        let before = self.sound.len();
        if self.decoder.decode(&held.payload, &mut self.sound).is_ok() {
            self.in_gap = false;
            self.stats.on_packet_played(waited, self.sound.len() - before);
        } else {
            self.stats.packets_damaged += 1;
            let made_up = self.make_up(held.samples);
            self.settle_as(made_up, StoodFor::Sound);
        }
        self.next = Some(position + held.samples as i64);
        self.last_sequence = held.sequence;
        if before < BLOCK_SAMPLES {
            if self.slack.len() == SLACK_WINDOW {
                self.slack.pop_front();
            }
            self.slack.push_back(slack);
            self.rest = self.rest.saturating_sub(1);
        }
    }

    /// Takes the last `gap` samples of the packet before `payload` from the copy in it, if there is one.
    fn restore(&mut self, payload: &[u8], samples: usize, gap: usize) {
        let before = self.sound.len();
        // Asked for a copy that is not there, the decoder would make up the whole packet, and its end is its faintest part.
        let copied = opus_packet_has_fec(payload)
            && self.decoder.decode_fec(payload, samples, &mut self.sound).is_ok_and(|restored| restored);
        if copied {
            let surplus = (self.sound.len() - before).saturating_sub(gap);
            self.sound.drain(before..before + surplus);
            self.stats.restored_samples += gap as u64;
            self.in_gap = false;
        } else {
            let made_up = self.make_up(gap);
            self.settle_as(made_up, StoodFor::Sound);
        }
    }

    /// Fills a block up while the next packet is awaited.
    fn await_more(&mut self) {
        let missing = BLOCK_SAMPLES - self.sound.len();
        let made_up = if self.pending.samples > FADED_OUT {
            self.sound.resize(BLOCK_SAMPLES, 0.0);
            Pending { samples: missing as u64, silent: missing as u64 }
        } else {
            self.make_up(missing)
        };
        self.pending.samples += made_up.samples;
        self.pending.silent += made_up.silent;
    }

    /// Appends at least `samples` of made-up sound.
    fn make_up(&mut self, samples: usize) -> Pending {
        let before = self.sound.len();
        if self.decoder.conceal(samples, &mut self.sound).is_err() {
            self.sound.resize(before + samples, 0.0);
        }
        self.weigh(before)
    }

    /// The sound since `before` as made up.
    fn weigh(&self, before: usize) -> Pending {
        let (sound, samples) = (&self.sound[before..], (self.sound.len() - before) as u64);
        Pending { samples, silent: if stretch::is_silent(sound) { samples } else { 0 } }
    }

    /// Counts what was made up while waiting, now that it is known what it stood for.
    fn settle(&mut self, stood_for: StoodFor) {
        let pending = std::mem::take(&mut self.pending);
        self.settle_as(pending, stood_for);
    }

    /// Counts what was made up in a gap that has so many samples of silence in it, at first.
    fn settle_gap(&mut self, made_up: Pending, silence: usize) {
        let (silence, sound) = made_up.split(silence as u64);
        self.settle_as(silence, StoodFor::Silence);
        self.settle_as(sound, StoodFor::Sound);
    }

    fn settle_as(&mut self, made_up: Pending, stood_for: StoodFor) {
        match stood_for {
            _ if made_up.samples == 0 => {}
            StoodFor::Silence => self.stats.comfort_samples += made_up.samples,
            StoodFor::Sound => {
                self.stats.concealed_samples += made_up.samples;
                self.stats.silent_concealed_samples += made_up.silent;
                self.stats.concealment_events += u64::from(!self.in_gap);
                self.in_gap = true;
            }
        }
    }

    /// Squeezes or stretches the sound that is about to be played, towards the delay that is needed.
    fn adjust(&mut self, now: MediaTime) {
        let Some(&slack) = self.slack.iter().min() else { return };
        let excess = slack - self.target().as_micros() as i64;
        let samples_of = |micros: i64| (micros * i64::from(SAMPLE_RATE) / 1_000_000) as usize;
        let behind = excess > BEHIND;
        if (0..=TOLERANCE).contains(&excess) || self.rest > 0 && !behind {
            return;
        }
        // The longer no good splice was found, the less good a one will do. Too little delay is worse than too much.
        let tries = self.tries as f32;
        let changed = if excess > 0 {
            while self.sound.len() < STRETCH_SAMPLES && self.follows_on() && self.decode_next(now) {}
            let likeness = if behind { 0.4 } else { (0.9 - 0.02 * tries).max(0.7) };
            let removed = stretch::shorten(&mut self.sound, samples_of(excess - INSIDE), likeness);
            self.stats.removed_for_acceleration += removed as u64;
            removed
        } else {
            let likeness = (0.9 - 0.1 * tries).max(0.3);
            let most = samples_of(TOLERANCE - INSIDE - excess);
            let inserted = stretch::lengthen(&mut self.sound, most, likeness);
            self.stats.inserted_for_deceleration += inserted as u64;
            inserted
        };
        if changed > 0 {
            self.slack.clear();
            (self.rest, self.tries) = (if behind { 1 } else { 3 }, 0);
        } else {
            self.tries += 1;
        }
    }

    /// Whether the packet right after what was decoded is there.
    fn follows_on(&self) -> bool {
        self.next.is_some() && self.next == self.packets.first_key_value().map(|(position, _)| *position)
    }
}
