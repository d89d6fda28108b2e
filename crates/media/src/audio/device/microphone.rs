//! The microphone: a thread that turns what the device gives, in pieces of any size and at any rate, into blocks.

use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread;
use std::time::Duration;

use ahoy_media_types::{AudioBlock, BLOCK_DURATION, BLOCK_SAMPLES, MediaClock, MediaTime, SAMPLE_RATE};
use rtrb::Consumer;

use super::find::Line;
use super::find::is_there;
use super::reopen::{OPENING, Reopener, WATCHDOG};
use super::sample_clock::SampleClock;
use super::stream::{Mark, Open, Wish, open_input};
use super::{in_background, system, within};
use crate::audio::pace::{Pace, Pacer, Worker};
use crate::audio::{AudioError, AudioEvent, BlockConsumer, DeviceId, Resampler, announce};

/// The device may be this late before silence takes its place. Most delays end sooner, and what was delayed is then
/// still of use.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often the thread looks around when nothing wakes it.
const LOOK: Duration = Duration::from_millis(50);
/// How often the sound system is asked whether the device is still there, if it would not say so itself.
const ASK: Duration = Duration::from_secs(1);
/// Blocks over which the latency that is announced is averaged.
const LATENCY_BLOCKS: u32 = 20;

type Source = Open<Consumer<f32>>;

/// Starts recording with the device `id` or the default one.
pub(crate) fn start(
    id: Option<DeviceId>,
    clock: MediaClock,
    on_block: BlockConsumer,
    events: SyncSender<AudioEvent>,
) -> Result<Worker, AudioError> {
    // One message: whether the device could be opened.
    let (ready, opened) = mpsc::sync_channel(1);
    let worker = Worker::spawn("ahoy-mic", move |stop| {
        let wish =
            Wish { line: Line::Call, id, host: None, or_default: false, clock, thread: thread::current() };
        let first = wish.clone();
        let source = match within(OPENING, move || open_input(&first)) {
            Ok(source) => source,
            Err(e) => {
                let _ = ready.send(Err(e));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let mut microphone = Microphone::new(wish, source, on_block, events);
        while !stop.requested() {
            let wait = microphone.turn(clock.now());
            thread::park_timeout(wait);
        }
    })?;
    // The thread answers within `OPENING`.
    opened.recv().unwrap_or(Err(AudioError::NoMicrophone)).map(|()| worker)
}

enum State {
    Live(Box<Live>),
    Lost(Reopener<Source>),
}

/// A microphone that gives sound, or did until a moment ago.
struct Live {
    source: Source,
    framer: Framer,
    heard_at: MediaTime,
    presence: Presence,
}

struct Microphone {
    wish: Wish,
    state: State,
    outlet: Outlet,
    events: SyncSender<AudioEvent>,
    lost: bool,
}

impl Microphone {
    fn new(wish: Wish, source: Source, on_block: BlockConsumer, events: SyncSender<AudioEvent>) -> Self {
        let now = wish.clock.now();
        let outlet = Outlet { on_block, next: now, silence: None, latency: Latency::default() };
        let wish = Wish { host: Some(source.host), or_default: true, ..wish };
        let mut microphone =
            Self { wish, state: State::Lost(Reopener::new(now)), outlet, events, lost: false };
        microphone.go_live(source, now);
        microphone
    }

    fn go_live(&mut self, source: Source, now: MediaTime) {
        match Framer::new(source.rate) {
            Ok(framer) => {
                self.state = State::Live(Box::new(Live {
                    source,
                    framer,
                    heard_at: now,
                    presence: Presence::new(now),
                }))
            }
            Err(reason) => self.lose(reason, now),
        }
    }

    fn lose(&mut self, reason: AudioError, now: MediaTime) {
        self.state = State::Lost(Reopener::new(now));
        if !std::mem::replace(&mut self.lost, true) {
            announce(&self.events, AudioEvent::Lost { reason });
        }
    }

    /// Hands over what there is; returns how long the thread may sleep unless it is woken.
    fn turn(&mut self, now: MediaTime) -> Duration {
        match &mut self.state {
            State::Live(live) => {
                let Live { source, framer, heard_at, presence } = &mut **live;
                let mut heard = false;
                while let Ok(mark) = source.marks.pop() {
                    heard = true;
                    framer.push(&mark, &mut source.ring, |block| self.outlet.sound(block, now));
                }
                if heard {
                    *heard_at = now;
                }
                let silent = now - *heard_at;
                let device = || source.name.clone();
                let reason = if presence.is_gone(now, source) {
                    Some(AudioError::Disconnected { device: device() })
                } else if silent > WATCHDOG {
                    Some(AudioError::Stalled { device: device() })
                } else {
                    source.fault.reason(&source.name)
                };
                if heard && std::mem::take(&mut self.lost) {
                    announce(&self.events, AudioEvent::Recovered);
                }
                if let Some(latency) = self.outlet.latency.once() {
                    let device = source.name.clone();
                    announce(&self.events, AudioEvent::Started { device, latency });
                }
                if let Some(reason) = reason {
                    self.lose(reason, now);
                }
            }
            State::Lost(reopener) => {
                let wish = &self.wish;
                let open = || {
                    let wish = wish.clone();
                    in_background(move || open_input(&wish))
                };
                if let Some(source) = reopener.poll(now, open) {
                    self.go_live(source, now);
                }
            }
        }
        self.outlet.silence(now)
    }
}

/// Asks now and then whether the device is still there.
struct Presence {
    next: MediaTime,
    answer: Option<Receiver<bool>>,
}

impl Presence {
    fn new(now: MediaTime) -> Self {
        Self { next: now + ASK, answer: None }
    }

    /// Whether the latest answer was no.
    fn is_gone(&mut self, now: MediaTime, source: &Source) -> bool {
        if let Some(answer) = &self.answer {
            let there = answer.try_recv();
            if !matches!(there, Err(TryRecvError::Empty)) {
                self.answer = None;
                self.next = now + ASK;
            }
            return there == Ok(false);
        }
        if now >= self.next && system::moves_streams(source.host) {
            let (host, id) = (source.host, source.id.clone());
            self.answer = in_background(move || is_there(host, &id)).ok();
            self.next = now + ASK;
        }
        false
    }
}

/// Cuts the device's sound into blocks and says when each was at the microphone.
struct Framer {
    clock: SampleClock,
    resampler: Resampler,
    /// Device frames for each sample at 48 kHz.
    ratio: f64,
    /// Device frames that the resampler holds back.
    delay: f64,
    rate: u32,
    /// Device frames taken so far.
    taken: u64,
    /// Samples at 48 kHz handed over so far.
    given: u64,
    piece: Vec<f32>,
    ready: Vec<f32>,
}

impl Framer {
    fn new(rate: u32) -> Result<Self, AudioError> {
        let resampler = Resampler::new(rate, SAMPLE_RATE)?;
        Ok(Self {
            clock: SampleClock::new(rate),
            delay: resampler.delay().as_secs_f64() * f64::from(rate),
            resampler,
            ratio: f64::from(rate) / f64::from(SAMPLE_RATE),
            rate,
            taken: 0,
            given: 0,
            piece: Vec::new(),
            ready: Vec::new(),
        })
    }

    /// Takes what one callback gave and hands over the blocks that are now complete.
    fn push(&mut self, mark: &Mark, ring: &mut Consumer<f32>, mut give: impl FnMut(AudioBlock)) {
        self.piece.clear();
        if let Ok(chunk) = ring.read_chunk(mark.moved) {
            self.piece.extend(chunk);
        }
        // However little latency a driver admits to, the first sample is older than all that were recorded after it.
        let length = Duration::from_secs_f64(mark.frames as f64 / f64::from(self.rate));
        self.clock.observe(self.taken, mark.at.saturating_sub(mark.latency.max(length)));
        self.taken += self.piece.len() as u64;
        self.resampler.process(&self.piece, &mut self.ready);
        let mut blocks = self.ready.chunks_exact(BLOCK_SAMPLES);
        for samples in &mut blocks {
            let position = self.given as f64 * self.ratio - self.delay;
            let captured_at = self.clock.time_of(position).unwrap_or(mark.at);
            let mut block = AudioBlock::silence(captured_at);
            block.samples.copy_from_slice(samples);
            self.given += BLOCK_SAMPLES as u64;
            give(block);
        }
        let rest = blocks.remainder().len();
        self.ready.drain(..self.ready.len() - rest);
    }
}

/// Where blocks leave: sound when there is some, silence when there has been none for a while.
struct Outlet {
    on_block: BlockConsumer,
    /// Time of the first sample of the next block, if all goes on as before.
    next: MediaTime,
    /// Present while silence is given.
    silence: Option<Pacer>,
    latency: Latency,
}

impl Outlet {
    fn sound(&mut self, block: AudioBlock, now: MediaTime) {
        // What arrives after silence has taken its place is too late.
        if self.silence.is_some() && block.captured_at + BLOCK_DURATION / 2 < self.next {
            return;
        }
        self.silence = None;
        self.next = block.captured_at + BLOCK_DURATION;
        self.latency.add(now - self.next);
        (self.on_block)(block);
    }

    /// Gives the silence that is due; returns how long nothing will be due.
    fn silence(&mut self, now: MediaTime) -> Duration {
        if self.silence.is_none() {
            if now < self.next + BLOCK_DURATION + PATIENCE {
                return LOOK;
            }
            // The blocks that have been waited for are given at once, so that the stream has no hole.
            self.silence = Some(Pacer::starting_at(self.next + BLOCK_DURATION));
        }
        let Some(pacer) = &mut self.silence else { return LOOK };
        loop {
            match pacer.poll(now) {
                Pace::Wait(time) => return time,
                Pace::Due(due) => {
                    self.next = due;
                    (self.on_block)(AudioBlock::silence(due.saturating_sub(BLOCK_DURATION)));
                }
            }
        }
    }
}

/// The mean latency of the first blocks.
#[derive(Default)]
struct Latency {
    blocks: u32,
    sum: Duration,
}

impl Latency {
    fn add(&mut self, latency: Duration) {
        if self.blocks < LATENCY_BLOCKS {
            self.blocks += 1;
            self.sum += latency;
        }
    }

    /// Gives the mean once, when enough blocks have been seen.
    fn once(&mut self) -> Option<Duration> {
        (self.blocks == LATENCY_BLOCKS).then(|| {
            self.blocks += 1;
            self.sum / LATENCY_BLOCKS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtrb::RingBuffer;
    use std::sync::{Arc, Mutex};

    /// Feeds `callbacks` of `frames` frames of a ramp at `rate` and returns the blocks.
    fn framed(rate: u32, frames: usize, callbacks: u64) -> Vec<AudioBlock> {
        let mut framer = Framer::new(rate).unwrap();
        let (mut samples, mut ring) = RingBuffer::new(48_000);
        let mut blocks = Vec::new();
        for n in 0..callbacks {
            let first = n * frames as u64;
            (0..frames).for_each(|k| samples.push((first + k as u64) as f32 * 1e-5).unwrap());
            // The last sample of the callback is 4 ms old.
            let captured = 1_000_000 + first * 1_000_000 / u64::from(rate);
            let length = frames as u64 * 1_000_000 / u64::from(rate);
            let at = MediaTime::from_micros(captured + length + 4_000);
            let latency = Duration::from_micros(length + 4_000);
            framer.push(&Mark { at, latency, frames, moved: frames }, &mut ring, |block| blocks.push(block));
        }
        blocks
    }

    #[test]
    fn pieces_of_any_size_become_blocks_without_gaps() {
        for frames in [64, 441, 480, 1000, 1024] {
            let blocks = framed(48_000, frames, 100);
            assert_eq!(blocks.len(), frames * 100 / BLOCK_SAMPLES);
            for (n, sample) in blocks.iter().flat_map(|b| b.samples).enumerate() {
                assert_eq!(sample, n as f32 * 1e-5);
            }
        }
    }

    #[test]
    fn blocks_carry_the_time_at_which_their_first_sample_was_recorded() {
        for (rate, frames) in [(48_000, 480), (48_000, 1024), (44_100, 441), (16_000, 333)] {
            for (n, block) in framed(rate, frames, 200).iter().enumerate() {
                // The ramp tells which device frame the first sample is.
                let frame = f64::from(block.samples[100]) / 1e-5 - 100.0 * f64::from(rate) / 48_000.0;
                let truth = 1e6 + frame * 1e6 / f64::from(rate);
                let off = block.captured_at.as_micros() as f64 - truth;
                assert!(n == 0 || off.abs() < 60.0, "{rate} Hz by {frames}, block {n}: off by {off} µs");
            }
        }
    }

    /// Times in ms of blocks given, and whether they are loud.
    type Given = Arc<Mutex<Vec<(u64, bool)>>>;

    fn outlet() -> (Outlet, Given) {
        let given = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&given);
        let on_block: BlockConsumer = Box::new(move |block| {
            theirs.lock().unwrap().push((block.captured_at.as_micros() / 1000, block.rms() > 0.0));
        });
        let outlet = Outlet { on_block, next: MediaTime::ZERO, silence: None, latency: Latency::default() };
        (outlet, given)
    }

    fn sound(at: u64) -> AudioBlock {
        AudioBlock { samples: [0.5; BLOCK_SAMPLES], captured_at: MediaTime::from_millis(at) }
    }

    #[test]
    fn silence_fills_the_place_of_a_device_that_is_gone_without_a_hole() {
        let (mut outlet, given) = outlet();
        outlet.sound(sound(0), MediaTime::from_millis(14));
        for ms in 15..300 {
            outlet.silence(MediaTime::from_millis(ms));
        }
        outlet.sound(sound(290), MediaTime::from_millis(304));
        outlet.silence(MediaTime::from_millis(305));
        let given = given.lock().unwrap();
        let times: Vec<u64> = given.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, (0..30).map(|n| n * 10).collect::<Vec<_>>());
        assert_eq!(given.iter().filter(|(_, loud)| *loud).count(), 2);
    }

    #[test]
    fn a_short_delay_is_waited_for_and_loses_nothing() {
        let (mut outlet, given) = outlet();
        outlet.sound(sound(0), MediaTime::from_millis(14));
        for ms in 15..115 {
            outlet.silence(MediaTime::from_millis(ms));
        }
        (1..10).for_each(|n| outlet.sound(sound(n * 10), MediaTime::from_millis(115)));
        assert!(given.lock().unwrap().iter().all(|(_, loud)| *loud));
    }

    #[test]
    fn sound_that_comes_after_its_silence_is_dropped() {
        let (mut outlet, given) = outlet();
        outlet.sound(sound(0), MediaTime::from_millis(14));
        outlet.silence(MediaTime::from_millis(200));
        (1..25).for_each(|n| outlet.sound(sound(n * 10), MediaTime::from_millis(255)));
        let times: Vec<u64> = given.lock().unwrap().iter().map(|(at, _)| *at).collect();
        assert_eq!(times, (0..25).map(|n| n * 10).collect::<Vec<_>>());
    }

    #[test]
    fn the_latency_is_told_once() {
        let mut latency = Latency::default();
        (0..LATENCY_BLOCKS).for_each(|_| latency.add(Duration::from_millis(3)));
        assert_eq!(latency.once(), Some(Duration::from_millis(3)));
        latency.add(Duration::from_millis(9));
        assert_eq!(latency.once(), None);
    }
}
