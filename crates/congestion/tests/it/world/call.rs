//! One call: what a sender and a receiver do, with an encoder's behaviour in place of an encoder.

use std::collections::BTreeMap;
use std::time::Duration;

use ahoy_congestion::{
    Background, Departure, Limits, NetworkEstimate, PacketKind, Reporter, Sender, SoundEncoding,
    sound_encoding,
};
use ahoy_media_types::MediaTime;
use rand::RngExt;
use rand_pcg::Pcg32;

use super::files::Files;
use super::{Back, Body, Parcel};

/// RTP, its extensions, SRTP's tag, UDP and IPv4.
const HEADERS: usize = 64;
const LONGEST_PAYLOAD: usize = 1_150;
/// By how much the clocks differ.
const ELSEWHERE: Duration = Duration::from_secs(1_000);
/// What is lost for longer is not worth sending again.
const GIVE_UP: Duration = Duration::from_secs(1);
const SOUND_EVERY: Duration = Duration::from_millis(20);
/// How often it is looked how sound is to be encoded.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Of the bitrate that an encoder may use for sound it uses so much: people pause.
const SOUND_USED: f64 = 0.6;

#[derive(Clone, Copy, Debug)]
pub(crate) struct CallConfig {
    pub(crate) limits: Limits,
    pub(crate) fps: f64,
    pub(crate) starts: f64,
    pub(crate) ends: f64,
    /// Nothing is sent between these times.
    pub(crate) pause: Option<(f64, f64)>,
    /// Whether the receiving machine is busy now and then: what arrives meanwhile is taken in together afterwards.
    pub(crate) busy: bool,
    /// Between these times files go along.
    pub(crate) files: Option<(f64, f64)>,
    pub(crate) seed: u64,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            limits: Limits { min: 60_000.0, start: 600_000.0, max: 6_000_000.0 },
            fps: 30.0,
            starts: 0.0,
            ends: f64::INFINITY,
            pause: None,
            busy: false,
            files: None,
            seed: 1,
        }
    }
}

/// A packet on its way to the pacer.
#[derive(Clone, Copy, Debug)]
struct Outgoing {
    frame: Option<(u64, u32)>,
    bytes: usize,
}

pub(crate) struct Call {
    config: CallConfig,
    sender: Sender<Outgoing>,
    random: Pcg32,
    next_sound: MediaTime,
    sound_encoding: Option<(MediaTime, SoundEncoding)>,
    next_frame: MediaTime,
    frames: u64,
    /// Bits that the encoder has given out too much of late.
    debt: f64,
    sent: BTreeMap<u64, Outgoing>,
    reporter: Reporter,
    stall: (MediaTime, MediaTime),
    incomplete: BTreeMap<u64, (u32, u32)>,
    next_shown: u64,
    /// When each frame was complete, in seconds.
    pub(crate) shown: Vec<f64>,
    complete: BTreeMap<u64, f64>,
    /// Arrivals of media, without what was repeated: seconds and bytes.
    pub(crate) received: Vec<(f64, usize)>,
    /// The same of what was repeated.
    pub(crate) repeated: Vec<(f64, usize)>,
    /// When packets of sound arrived, in seconds, and how many left.
    pub(crate) sound: Vec<f64>,
    /// How long each of those took, in milliseconds.
    pub(crate) sound_took: Vec<f64>,
    sound_left: BTreeMap<u16, f64>,
    pub(crate) sound_sent: u64,
    /// When the packets of each frame left: the first and the last, at seconds.
    left: BTreeMap<u64, (f64, f64)>,
    /// What the sender knew after each report, at seconds.
    pub(crate) estimates: Vec<(f64, NetworkEstimate)>,
    /// Sent, and found to be lost.
    pub(crate) packets: [u64; 2],
    background: Background,
    pub(crate) files: Files,
}

impl Call {
    pub(crate) fn new(config: CallConfig) -> Self {
        let starts = MediaTime::ZERO + Duration::from_secs_f64(config.starts + 0.001);
        Self {
            sender: Sender::new(config.limits),
            random: Pcg32::new(config.seed, 77),
            next_sound: starts,
            sound_encoding: None,
            next_frame: starts,
            frames: 0,
            debt: 0.0,
            sent: BTreeMap::new(),
            reporter: Reporter::default(),
            stall: (MediaTime::ZERO, MediaTime::ZERO),
            incomplete: BTreeMap::new(),
            next_shown: 0,
            shown: Vec::new(),
            complete: BTreeMap::new(),
            received: Vec::new(),
            repeated: Vec::new(),
            sound: Vec::new(),
            sound_took: Vec::new(),
            sound_left: BTreeMap::new(),
            sound_sent: 0,
            left: BTreeMap::new(),
            estimates: Vec::new(),
            packets: [0; 2],
            background: Background::default(),
            files: Files::new(config.files),
            config,
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<MediaTime> {
        let media = self.next_sound.min(self.next_frame);
        let report = self.reporter.next_wakeup().map(|at| at.saturating_sub(ELSEWHERE));
        [Some(media), self.sender.next_wakeup(), report, self.files.next_wakeup()].into_iter().flatten().min()
    }

    /// What the sender knows.
    pub(crate) fn estimate(&self, now: MediaTime) -> NetworkEstimate {
        self.sender.estimate(now)
    }

    /// How long frames that left in that time took to leave.
    pub(crate) fn times_to_send(&self, from: f64, to: f64) -> Vec<f64> {
        let within = self.left.values().filter(|(first, _)| (from..to).contains(first));
        within.map(|(first, last)| last - first).collect()
    }

    fn is_on(&self, now: MediaTime) -> bool {
        let at = now.as_secs_f64();
        at < self.config.ends && !self.config.pause.is_some_and(|(from, to)| (from..to).contains(&at))
    }

    pub(crate) fn send(&mut self, now: MediaTime, leave: &mut impl FnMut(usize, Body)) {
        if now >= self.next_sound {
            let encoding = self.sound_encoding(now);
            let lasts = encoding.long_packet.unwrap_or(SOUND_EVERY);
            self.next_sound += lasts;
            if self.is_on(now) {
                let bits = encoding.bitrate as f64 * SOUND_USED * lasts.as_secs_f64();
                let bytes = (bits / 8.0) as usize + HEADERS;
                self.sound_sent += 1;
                self.sender.push(Outgoing { frame: None, bytes }, PacketKind::Audio, bytes, u32::MAX, None);
            }
        }
        if now >= self.next_frame {
            self.next_frame += Duration::from_secs_f64(1.0 / self.config.fps);
            if self.is_on(now) {
                self.encode(now);
            }
        }
        while let Some(Departure { packet, kind, number, .. }) = self.sender.poll(now) {
            let bytes = packet.bytes;
            self.sent.insert(number, packet);
            if self.sent.len() > 8_192 {
                self.sent.pop_first();
            }
            self.packets[0] += 1;
            if let Some((frame, _)) = packet.frame {
                let at = now.as_secs_f64();
                self.left.entry(frame).or_insert((at, at)).1 = at;
            }
            if kind == PacketKind::Audio {
                self.sound_left.insert(number as u16, now.as_secs_f64());
            }
            let repeated = kind == PacketKind::Retransmission;
            self.background.call_sends(bytes, now);
            leave(bytes, Body::Media { sequence: number as u16, frame: packet.frame, repeated });
        }
        self.files.send(&mut self.background, now, leave);
    }

    /// How sound is encoded, which is looked at now and then.
    fn sound_encoding(&mut self, now: MediaTime) -> SoundEncoding {
        match self.sound_encoding {
            Some((looked, encoding)) if now - looked < LOOK_EVERY => encoding,
            before => {
                let known = self.sender.estimate(now);
                let before = before.map(|(_, encoding)| encoding);
                let encoding = sound_encoding(known.target, known.expected_loss, 0, before);
                self.sound_encoding = Some((now, encoding));
                encoding
            }
        }
    }

    /// As an encoder with rate control: sizes vary, and what was too much is saved later.
    fn encode(&mut self, now: MediaTime) {
        let Some(rate) = self.sender.video_rate(now) else { return };
        let rate = rate.max(20_000.0);
        let wanted = rate / self.config.fps;
        if self.debt > wanted * 3.0 {
            // Frame skipping.
            self.debt -= wanted;
            return;
        }
        let noise: f64 = 1.0 + (self.random.random::<f64>() - 0.5) * 0.4;
        let corrected = (wanted - self.debt * 0.2).max(wanted * 0.3);
        let size = corrected * noise * if self.frames == 0 { 4.0 } else { 1.0 };
        self.debt = (self.debt + size - wanted).max(-wanted);
        let bytes = (size / 8.0) as usize;
        let packets = bytes.div_ceil(LONGEST_PAYLOAD + HEADERS).max(1);
        let bytes = (bytes / packets).max(80);
        for _ in 0..packets {
            let frame = Some((self.frames, packets as u32));
            self.sender.push(Outgoing { frame, bytes }, PacketKind::Video, bytes, self.frames as u32, None);
        }
        self.frames += 1;
    }

    pub(crate) fn on_back(&mut self, back: Back, now: MediaTime) {
        let statuses = match back {
            Back::Report(statuses) => statuses,
            Back::Ack(segment) => return self.files.on_ack(segment, &mut self.background, now),
        };
        let results = self.sender.reported(&statuses, now).results;
        self.estimates.push((now.as_secs_f64(), self.sender.estimate(now)));
        self.background.call_knows(0, self.sender.path_of_call(now), now);
        for result in &results {
            let Some(packet) = self.sent.remove(&result.number) else { continue };
            if result.arrived.is_none() {
                self.packets[1] += 1;
                if packet.frame.is_some() && now - result.sent.at < GIVE_UP {
                    self.sender.push_repeated(packet, |copy| *copy, packet.bytes, result.number, now);
                }
            }
        }
    }

    /// Takes in what has come through; what it answers at once.
    pub(crate) fn on_arrival(&mut self, parcel: Parcel, at: MediaTime) -> Option<Back> {
        let (sequence, frame, repeated) = match parcel.body {
            Body::Media { sequence, frame, repeated } => (sequence, frame, repeated),
            Body::Segment(segment) => return Some(self.files.on_arrival(segment, parcel.bytes, at)),
        };
        let at = self.taken_in(at);
        self.media_arrives(sequence, frame, repeated, parcel.bytes, at);
        None
    }

    fn media_arrives(
        &mut self,
        sequence: u16,
        frame: Option<(u64, u32)>,
        repeated: bool,
        bytes: usize,
        at: MediaTime,
    ) {
        // The other side's clock counts from elsewhere.
        self.reporter.arrived(sequence, bytes, at + ELSEWHERE);
        match repeated {
            true => self.repeated.push((at.as_secs_f64(), bytes)),
            false => self.received.push((at.as_secs_f64(), bytes)),
        }
        let Some((frame, packets)) = frame else {
            if let Some(left) = self.sound_left.remove(&sequence) {
                self.sound_took.push((at.as_secs_f64() - left) * 1e3);
                self.sound.push(at.as_secs_f64());
            }
            return;
        };
        let (have, _) = self.incomplete.entry(frame).or_insert((0, packets));
        *have += 1;
        if *have == packets {
            self.incomplete.remove(&frame);
            self.complete.insert(frame, at.as_secs_f64());
            while let Some(&complete) = self.complete.get(&self.next_shown) {
                let shown = self.shown.last().map_or(complete, |last| last.max(complete));
                self.shown.push(shown);
                self.complete.remove(&self.next_shown);
                self.next_shown += 1;
            }
        }
    }

    /// When what arrives is seen.
    fn taken_in(&mut self, at: MediaTime) -> MediaTime {
        if !self.config.busy {
            return at;
        }
        let (from, until) = self.stall;
        if at >= until {
            // Five times a second, for up to 30 ms.
            let next = at + Duration::from_secs_f64(self.random.random::<f64>() * 0.4);
            let lasts = Duration::from_secs_f64(self.random.random::<f64>().powi(2) * 0.03);
            self.stall = (next, next + lasts);
            return at;
        }
        if at >= from { until } else { at }
    }

    pub(crate) fn report(&mut self, now: MediaTime) -> Option<Back> {
        self.reporter.report(now + ELSEWHERE).map(Back::Report)
    }
}
