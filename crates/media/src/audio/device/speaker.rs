//! The speaker: a thread that asks for blocks just in time for the device to play them.

use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use ahoy_media_types::{BLOCK_DURATION, MediaClock, MediaTime, SAMPLE_RATE};
use rtrb::Producer;

use super::find::Line;
use super::lead::PullSchedule;
use super::reopen::{OPENING, Reopener, STARTING, WATCHDOG};
use super::sample_clock::SampleClock;
use super::stream::{Mark, Open, Wish, open_output};
use super::{in_background, within};
use crate::audio::pace::{Pace, Pacer, Worker};
use crate::audio::{AudioError, AudioEvent, BlockProvider, DeviceId, Resampler, announce};

/// Underruns are told at most this often.
const TELL_UNDERRUNS: Duration = Duration::from_secs(1);
/// The latency is told after so many blocks: by then the schedule has found the device's rhythm.
const SETTLED_BLOCKS: u32 = 100;

type Sink = Open<Producer<f32>>;

/// Starts playing on the device `id` or the default one.
pub(crate) fn start(
    line: Line,
    id: Option<DeviceId>,
    clock: MediaClock,
    provider: BlockProvider,
    events: SyncSender<AudioEvent>,
) -> Result<Worker, AudioError> {
    // One message: whether the device could be opened.
    let (ready, opened) = mpsc::sync_channel(1);
    let worker = Worker::spawn("ahoy-speaker", move |stop| {
        let wish = Wish { line, id, host: None, or_default: false, clock, thread: thread::current() };
        let first = wish.clone();
        let sink = match within(OPENING, move || open_output(&first)) {
            Ok(sink) => sink,
            Err(e) => {
                let _ = ready.send(Err(e));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let mut speaker = Speaker::new(wish, sink, provider, events);
        while !stop.requested() {
            let wait = speaker.turn(clock.now());
            thread::park_timeout(wait);
        }
    })?;
    // The thread answers within `OPENING`.
    opened.recv().unwrap_or(Err(AudioError::NoSpeaker)).map(|()| worker)
}

enum State {
    Live(Box<Live>),
    Lost(Reopener<Sink>),
}

/// A speaker that plays, or did until a moment ago.
struct Live {
    sink: Sink,
    feeder: Feeder,
    called_at: MediaTime,
}

struct Speaker {
    wish: Wish,
    state: State,
    provider: BlockProvider,
    /// Present while nothing plays: blocks are then taken at this pace and dropped, so that what feeds us does not fill
    /// up.
    discard: Option<Pacer>,
    events: SyncSender<AudioEvent>,
    lost: bool,
    started: bool,
    underruns: u64,
    underruns_told: u64,
    told_at: MediaTime,
}

impl Speaker {
    fn new(wish: Wish, sink: Sink, provider: BlockProvider, events: SyncSender<AudioEvent>) -> Self {
        let now = wish.clock.now();
        let wish = Wish { host: Some(sink.host), or_default: true, ..wish };
        let mut speaker = Self {
            wish,
            state: State::Lost(Reopener::new(now)),
            provider,
            discard: None,
            events,
            lost: false,
            started: false,
            underruns: 0,
            underruns_told: 0,
            told_at: now,
        };
        speaker.go_live(sink, now);
        speaker
    }

    fn go_live(&mut self, sink: Sink, now: MediaTime) {
        match Feeder::new(sink.rate) {
            Ok(feeder) => self.state = State::Live(Box::new(Live { sink, feeder, called_at: now })),
            Err(reason) => self.lose(reason, now),
        }
    }

    fn lose(&mut self, reason: AudioError, now: MediaTime) {
        self.state = State::Lost(Reopener::new(now));
        if !std::mem::replace(&mut self.lost, true) {
            announce(&self.events, AudioEvent::Lost { reason });
        }
    }

    /// Plays what is due; returns how long the thread may sleep unless it is woken.
    fn turn(&mut self, now: MediaTime) -> Duration {
        match &mut self.state {
            State::Live(live) => {
                let Live { sink, feeder, called_at } = &mut **live;
                while let Ok(mark) = sink.marks.pop() {
                    self.underruns += u64::from(feeder.on_callback(&mark, now));
                    *called_at = now;
                    if mark.moved > 0 && std::mem::take(&mut self.lost) {
                        announce(&self.events, AudioEvent::Recovered);
                    }
                }
                let wait = feeder.feed(now, &mut sink.ring, &mut self.provider);
                if !self.started
                    && let Some(latency) = feeder.settled_latency()
                {
                    self.started = true;
                    announce(&self.events, AudioEvent::Started { device: sink.name.clone(), latency });
                }
                let patience = if wait.is_some() { WATCHDOG } else { STARTING };
                let reason = sink.fault.reason(&sink.name).or_else(|| {
                    (now - *called_at > patience).then(|| AudioError::Stalled { device: sink.name.clone() })
                });
                if let Some(reason) = reason {
                    self.lose(reason, now);
                }
                self.tell_underruns(now);
                match wait {
                    Some(wait) => {
                        self.discard = None;
                        wait
                    }
                    None => self.discard(now),
                }
            }
            State::Lost(reopener) => {
                let wish = &self.wish;
                let open = || {
                    let wish = wish.clone();
                    in_background(move || open_output(&wish))
                };
                if let Some(sink) = reopener.poll(now, open) {
                    self.go_live(sink, now);
                }
                self.discard(now)
            }
        }
    }

    /// Takes and drops the blocks that are due; returns the time until the next.
    fn discard(&mut self, now: MediaTime) -> Duration {
        let pacer = self.discard.get_or_insert_with(|| Pacer::starting_at(now));
        loop {
            match pacer.poll(now) {
                Pace::Wait(time) => return time,
                Pace::Due(due) => {
                    (self.provider)(due);
                }
            }
        }
    }

    fn tell_underruns(&mut self, now: MediaTime) {
        if self.underruns > self.underruns_told && now - self.told_at >= TELL_UNDERRUNS {
            self.underruns_told = self.underruns;
            self.told_at = now;
            announce(&self.events, AudioEvent::Underrun(self.underruns));
        }
    }
}

/// Moves blocks from the provider into the device's ring.
struct Feeder {
    schedule: PullSchedule,
    clock: SampleClock,
    resampler: Resampler,
    /// Frames that the device has wanted so far, whether or not it got them.
    wanted: u64,
    piece: Vec<f32>,
    blocks: u32,
    latency: Duration,
}

impl Feeder {
    fn new(rate: u32) -> Result<Self, AudioError> {
        Ok(Self {
            schedule: PullSchedule::new(),
            clock: SampleClock::new(rate),
            resampler: Resampler::new(SAMPLE_RATE, rate)?,
            wanted: 0,
            piece: Vec::new(),
            blocks: 0,
            latency: Duration::ZERO,
        })
    }

    /// Takes note of a callback; returns whether it was the first of an underrun.
    fn on_callback(&mut self, mark: &Mark, now: MediaTime) -> bool {
        // The first callbacks of some sound systems don't know the latency yet.
        if !mark.latency.is_zero() {
            self.clock.observe(self.wanted, mark.at + mark.latency);
        }
        self.wanted += mark.frames as u64;
        self.schedule.on_callback(mark, now)
    }

    /// When a sample that is put into the ring now will be heard.
    fn heard_at(&self, now: MediaTime) -> MediaTime {
        let position = self.wanted + self.schedule.waiting();
        self.clock.time_of(position as f64).unwrap_or(now).max(now) + self.resampler.delay()
    }

    /// Puts the blocks that are due into the ring; returns the time until the next is due, or `None` before the device
    /// has begun to play.
    fn feed(
        &mut self,
        now: MediaTime,
        ring: &mut Producer<f32>,
        provider: &mut BlockProvider,
    ) -> Option<Duration> {
        loop {
            let due = self.schedule.due()?;
            if due > now {
                return Some((due - now).min(BLOCK_DURATION));
            }
            let heard_at = self.heard_at(now);
            let block = provider(heard_at);
            self.piece.clear();
            self.resampler.process(&block, &mut self.piece);
            // A ring without room belongs to a device that has stopped; the watchdog will see to it.
            let pushed = match ring.push_entire_slice(&self.piece) {
                Ok(()) => self.piece.len(),
                Err(_) => 0,
            };
            self.schedule.on_pulled(now, pushed);
            self.blocks = self.blocks.saturating_add(1);
            self.latency = heard_at - now;
        }
    }

    /// Time from a block being asked for to its being heard, once that has become steady.
    fn settled_latency(&self) -> Option<Duration> {
        (self.blocks >= SETTLED_BLOCKS).then_some(self.latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ahoy_media_types::BLOCK_SAMPLES;
    use rtrb::RingBuffer;
    use std::sync::{Arc, Mutex};

    #[test]
    fn the_provider_is_told_when_its_sound_will_be_heard() {
        for (rate, frames) in [(48_000, 480), (44_100, 441)] {
            let told = Arc::new(Mutex::new(Vec::new()));
            let theirs = Arc::clone(&told);
            let mut next = 0.0;
            let mut provider: BlockProvider = Box::new(move |at| {
                theirs.lock().unwrap().push(at.as_micros());
                next += 1.0;
                [next; BLOCK_SAMPLES]
            });
            let mut feeder = Feeder::new(rate).unwrap();
            let (mut ring, mut taken) = RingBuffer::new(rate as usize);
            let mut heard = Vec::new();
            for ms in 0..3000u64 {
                let now = MediaTime::from_millis(ms);
                if ms % 10 == 3 {
                    // The device plays what it takes 15 ms later.
                    let moved = taken.slots().min(frames);
                    for (k, sample) in taken.read_chunk(moved).unwrap().into_iter().enumerate() {
                        heard.push((sample, ms * 1000 + 15_000 + k as u64 * 1_000_000 / u64::from(rate)));
                    }
                    let mark = Mark { at: now, latency: Duration::from_millis(15), frames, moved };
                    feeder.on_callback(&mark, now);
                }
                feeder.feed(now, &mut ring, &mut provider);
            }
            let told = told.lock().unwrap();
            assert!(told.len() > 290);
            for (n, at) in told.iter().enumerate().skip(100).take(180) {
                // The first sample that is nearer to this block than to the one before it.
                let edge = heard.iter().find(|(s, _)| *s > n as f32 + 0.5).unwrap().1;
                assert!(edge.abs_diff(*at) < 200, "{rate} Hz, block {n}: told {at}, heard {edge}");
            }
            let latency = feeder.settled_latency().unwrap();
            // At 44.1 kHz blocks don't end where callbacks do, so that up to one more block must wait.
            assert!(
                latency > Duration::from_millis(15) && latency < Duration::from_millis(28),
                "{latency:?}"
            );
        }
    }
}
