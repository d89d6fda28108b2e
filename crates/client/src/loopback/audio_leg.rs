//! The audio leg of a loopback call: source, outgoing pipeline, incoming pipeline, sink, and what watches them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use ahoy_measure::sound::Chirps;
use ahoy_media::audio::{
    AudioCapture, AudioError, AudioEvent, AudioPlayback, AudioSinkSpec, AudioSourceSpec, BlockConsumer,
    BlockProvider, start_audio_sink, start_audio_source,
};
use ahoy_media::codec::{OpusDecoder, OpusEncoder, OpusEncoderConfig};
use ahoy_media_types::{AudioBlock, BLOCK_SAMPLES, MediaClock, MediaTime};
use ahoy_rtc::{LocalTrack, LocalTrackStats, RemoteTrack};

use super::LoopbackError;
use super::config::LoopbackConfig;
use super::live::Counters;
use super::losses::{Losses, tell_once};
use super::meter::{Findings, MeterInput, Sample};
use super::recording::{SoundInput, SoundRecording};
use super::report::{AudioReport, round};
use crate::device_state::DeviceState;
use crate::pipeline::{IncomingAudio, IncomingAudioStats, LipSync, OutgoingAudio};
use crate::problem::Problem;
use crate::switched::{News, Standing, Switched};

/// The audio leg while the call lasts.
pub(super) struct AudioLeg {
    clock: MediaClock,
    source: Switched<AudioSourceSpec, AudioCapture, AudioEvent, AudioError>,
    sink: Switched<AudioSinkSpec, Sink, AudioEvent, AudioError>,
    source_name: String,
    sink_name: String,
    source_losses: Losses,
    sink_losses: Losses,
    source_trouble: Option<Problem>,
    sink_trouble: Option<Problem>,
    underruns: u64,
    muted: Arc<AtomicBool>,
    levels: Arc<Levels>,
    track: LocalTrack,
    outgoing: OutgoingAudio,
    recording: Option<SoundRecording>,
    incoming: IncomingAudio,
}

/// What the received sound goes to.
struct Sink {
    _playback: AudioPlayback,
    /// Why it is not what was asked for: then it stands in, so that the sound is still received and measured.
    unavailable: Option<AudioError>,
}

impl AudioLeg {
    /// Makes the codec and begins to open source and sink, which may take real devices a while.
    pub(super) fn start(
        source: &AudioSourceSpec,
        config: &LoopbackConfig,
        clock: MediaClock,
        track: LocalTrack,
        meter: MeterInput,
        sync: LipSync,
    ) -> Result<Self, LoopbackError> {
        let encoder = OpusEncoder::new(OpusEncoderConfig {
            frame: config.audio_packet,
            ..OpusEncoderConfig::default()
        })?;
        let (outgoing, consumer) = OutgoingAudio::start(Box::new(encoder), track.clone());
        let (incoming, provider) = IncomingAudio::new(Box::new(OpusDecoder::new()?), clock, sync);
        let (muted, levels) = (Arc::new(AtomicBool::new(false)), Arc::new(Levels::default()));
        let mouth = Mouth { muted: Arc::clone(&muted), levels: Arc::clone(&levels), meter: meter.clone() };
        let spoken = mouth.listen(consumer, matches!(source, AudioSourceSpec::Tone));
        let (recording, recorder) = match &config.record.audio {
            Some(path) => {
                SoundRecording::create(path).map(|(recording, input)| (Some(recording), Some(input)))?
            }
            None => (None, None),
        };
        let spoken = Arc::new(Mutex::new(spoken));
        let mut microphone = Switched::new(Arc::new(move |spec: &AudioSourceSpec, events| {
            start_audio_source(spec, clock, share_consumer(&spoken), events)
        }));
        microphone.want(Some(source.clone()));
        let heard = Arc::new(Mutex::new(tap_sink(provider, meter, recorder, Arc::clone(&levels))));
        let mut speaker = Switched::new(Arc::new(move |spec: &AudioSinkSpec, events| {
            open_sink(spec, clock, &heard, events)
        }));
        speaker.want(Some(config.speaker.clone()));
        Ok(Self {
            clock,
            source: microphone,
            sink: speaker,
            source_name: source.to_string(),
            sink_name: config.speaker.to_string(),
            source_losses: Losses::default(),
            sink_losses: Losses::default(),
            source_trouble: None,
            sink_trouble: None,
            underruns: 0,
            muted,
            levels,
            track,
            outgoing,
            recording,
            incoming,
        })
    }
}

fn open_sink(
    spec: &AudioSinkSpec,
    clock: MediaClock,
    provider: &Arc<Mutex<BlockProvider>>,
    events: SyncSender<AudioEvent>,
) -> Result<Sink, AudioError> {
    match start_audio_sink(spec, clock, share_provider(provider), events.clone()) {
        Ok(playback) => Ok(Sink { _playback: playback, unavailable: None }),
        Err(error) => {
            let playback = start_audio_sink(&AudioSinkSpec::Null, clock, share_provider(provider), events)?;
            Ok(Sink { _playback: playback, unavailable: Some(error) })
        }
    }
}

/// A sink takes its provider with it, and the next one needs it too.
fn share_provider(provider: &Arc<Mutex<BlockProvider>>) -> BlockProvider {
    let provider = Arc::clone(provider);
    Box::new(move |heard_at| (provider.lock().unwrap_or_else(PoisonError::into_inner))(heard_at))
}

/// The same for a source.
fn share_consumer(consumer: &Arc<Mutex<BlockConsumer>>) -> BlockConsumer {
    let consumer = Arc::clone(consumer);
    Box::new(move |block| (consumer.lock().unwrap_or_else(PoisonError::into_inner))(block))
}

/// How loud it is at both ends: the loudest sample since the last look.
#[derive(Default)]
struct Levels {
    source: Loudest,
    sink: Loudest,
}

/// Samples are not negative here, so their bits are in the same order as they are.
#[derive(Default)]
struct Loudest(AtomicU32);

impl Loudest {
    fn hear(&self, samples: &[f32]) {
        let loudest = samples.iter().fold(0.0, |loudest: f32, sample| loudest.max(sample.abs()));
        self.0.fetch_max(loudest.min(1.0).to_bits(), Ordering::Relaxed);
    }

    fn take(&self) -> f32 {
        f32::from_bits(self.0.swap(0, Ordering::Relaxed))
    }
}

/// What happens to sound on its way into the call.
struct Mouth {
    muted: Arc<AtomicBool>,
    levels: Arc<Levels>,
    meter: MeterInput,
}

impl Mouth {
    /// Shows the meter what goes into the call. A steady tone can't tell its own delay, so chirps are mixed into it.
    fn listen(self, mut consumer: BlockConsumer, mix_chirps: bool) -> BlockConsumer {
        let mut chirps = mix_chirps.then(Chirps::new);
        Box::new(move |mut block: AudioBlock| {
            // The level shows people that their microphone works although nobody hears them.
            self.levels.source.hear(&block.samples);
            if self.muted.load(Ordering::Relaxed) {
                block.samples = [0.0; BLOCK_SAMPLES];
            }
            if let Some(chirps) = &mut chirps {
                let mut marks = [0.0; BLOCK_SAMPLES];
                chirps.fill(&mut marks);
                for (sample, mark) in block.samples.iter_mut().zip(marks) {
                    *sample += mark;
                }
            }
            self.meter.give(Sample::Spoken(block.clone()));
            consumer(block);
        })
    }
}

/// Shows the meter, and the recording if there is one, what comes out of the call.
fn tap_sink(
    mut provider: BlockProvider,
    meter: MeterInput,
    mut recorder: Option<SoundInput>,
    levels: Arc<Levels>,
) -> BlockProvider {
    Box::new(move |heard_at| {
        let samples = provider(heard_at);
        if let Some(recorder) = &mut recorder {
            recorder.add(&samples);
        }
        levels.sink.hear(&samples);
        meter.give(Sample::Heard { samples, at: heard_at });
        samples
    })
}

impl AudioLeg {
    /// Starts to play what the other end receives.
    pub(super) fn attach(&mut self, track: RemoteTrack) {
        self.incoming.attach(track);
    }

    /// Takes note of what happened to source and sink since the last time.
    pub(super) async fn look_after(&mut self, problems: &mut Vec<Problem>) {
        let news = self.source.look().await;
        self.take_source_news(news, problems);
        let news = self.sink.look().await;
        self.take_sink_news(news, problems);
    }

    fn take_source_news(&mut self, news: Vec<News<AudioEvent, AudioError>>, problems: &mut Vec<Problem>) {
        let now = self.clock.now();
        for what in news {
            match what {
                News::Opened => self.source_trouble = None,
                News::Failed(error) => {
                    let problem = Problem::microphone(&error);
                    tell_once(self.source_trouble.as_ref(), &problem, problems);
                    self.source_trouble = Some(problem);
                }
                News::Event(AudioEvent::Started { device, .. }) => self.source_name = device,
                News::Event(AudioEvent::Lost { reason }) => {
                    let problem = Problem::microphone(&reason);
                    self.source_trouble = Some(problem.clone());
                    self.source_losses.lost(problem, now, problems);
                }
                News::Event(AudioEvent::Recovered) => {
                    self.source_trouble = None;
                    self.source_losses.recovered(now, problems);
                }
                // The loss before it has said why.
                News::Event(AudioEvent::Ended | AudioEvent::Underrun(_)) => {}
            }
        }
    }

    fn take_sink_news(&mut self, news: Vec<News<AudioEvent, AudioError>>, problems: &mut Vec<Problem>) {
        let now = self.clock.now();
        for what in news {
            match what {
                News::Opened => {
                    let unavailable = self.sink.device().and_then(|sink| sink.unavailable.as_ref());
                    let trouble = unavailable.map(Problem::speaker);
                    if let Some(problem) = &trouble {
                        tell_once(self.sink_trouble.as_ref(), problem, problems);
                    }
                    self.sink_trouble = trouble;
                }
                News::Failed(error) => {
                    let problem = Problem::speaker(&error);
                    tell_once(self.sink_trouble.as_ref(), &problem, problems);
                    self.sink_trouble = Some(problem);
                }
                News::Event(AudioEvent::Started { device, .. }) => self.sink_name = device,
                News::Event(AudioEvent::Lost { reason }) => {
                    let problem = Problem::speaker(&reason);
                    self.sink_trouble = Some(problem.clone());
                    self.sink_losses.lost(problem, now, problems);
                }
                News::Event(AudioEvent::Recovered) => {
                    self.sink_trouble = None;
                    self.sink_losses.recovered(now, problems);
                }
                News::Event(AudioEvent::Underrun(count)) => self.underruns = count,
                News::Event(AudioEvent::Ended) => {}
            }
        }
    }

    /// Holds one's own sound back, or lets it go again.
    pub(super) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    pub(super) fn is_muted(&self) -> bool {
        self.muted.load(Ordering::Relaxed)
    }

    /// Has sound come from another source.
    pub(super) fn want_source(&mut self, source: AudioSourceSpec) {
        self.source_trouble = None;
        self.source_name = source.to_string();
        self.source.want(Some(source));
    }

    /// Has the received sound go somewhere else.
    pub(super) fn want_sink(&mut self, sink: AudioSinkSpec) {
        self.sink_trouble = None;
        self.sink_name = sink.to_string();
        self.sink.want(Some(sink));
    }

    /// Tries again to open what could not be opened.
    pub(super) fn retry(&mut self) {
        self.source.retry();
        match self.sink.device() {
            Some(Sink { unavailable: Some(_), .. }) => self.sink.reopen(),
            Some(_) | None => self.sink.retry(),
        }
    }

    /// How the source is.
    pub(super) fn microphone(&self) -> DeviceState {
        DeviceState::new(self.source.standing(), self.source_trouble.as_ref())
    }

    /// How the sink is. One that stands in for what was asked for has its trouble told.
    pub(super) fn speaker(&self) -> DeviceState {
        DeviceState::new(self.sink.standing(), self.sink_trouble.as_ref())
    }

    /// Adds what this leg counts.
    pub(super) fn count(&self, counters: &mut Counters) {
        counters.audio = Some(self.track.stats());
        counters.sound = self.incoming.stats().jitter;
    }

    /// The loudest samples at the source and the sink since the last look, 0.0 to 1.0.
    pub(super) fn levels(&self) -> (f32, f32) {
        (self.levels.source.take(), self.levels.sink.take())
    }

    /// Whether nothing can come from this leg.
    pub(super) fn has_no_source(&self) -> bool {
        self.source.standing() == Standing::Failed
    }

    pub(super) async fn stop_source(&mut self, problems: &mut Vec<Problem>) {
        let news = self.source.close().await;
        self.take_source_news(news, problems);
    }

    pub(super) async fn stop_sink(&mut self, problems: &mut Vec<Problem>) {
        let news = self.sink.close().await;
        self.take_sink_news(news, problems);
    }

    /// Adds up, once source and sink are stopped.
    pub(super) fn finish(mut self, problems: &mut Vec<Problem>) -> AudioLegEnd {
        // The recording's input goes with it.
        drop(self.sink);
        if let Some(recording) = self.recording.take() {
            recording.finish(problems);
        }
        AudioLegEnd {
            source: self.source_name,
            sink: self.sink_name,
            underruns: self.underruns,
            dropped: self.outgoing.dropped(),
            sent: self.track.stats(),
            received: self.incoming.stats(),
        }
    }
}

/// What the leg leaves behind.
pub(super) struct AudioLegEnd {
    source: String,
    sink: String,
    underruns: u64,
    dropped: u64,
    sent: LocalTrackStats,
    received: IncomingAudioStats,
}

impl AudioLegEnd {
    pub(super) fn first_packet(&self) -> Option<MediaTime> {
        self.received.first_packet_at
    }

    pub(super) fn report(self, findings: &Findings, seconds: f64) -> AudioReport {
        let (sent, received) = (&self.sent, &self.received.jitter);
        AudioReport {
            source: self.source,
            sink: self.sink,
            delay_ms: findings.audio_delay.into(),
            correlation: findings.audio_confidence.map(round),
            concealed_ratio: round(received.concealed_ratio()),
            concealment_events: received.concealment_events,
            bitrate_kbps: round(sent.payload_bytes_sent as f64 * 8.0 / 1000.0 / seconds.max(0.001)),
            packets_sent: sent.packets_sent,
            packets_dropped: self.dropped,
            packets_received: received.packets_received,
            packets_lost: sent.packets_sent.saturating_sub(received.packets_received),
            jitter_buffer_ms: round(received.mean_delay().as_secs_f64() * 1e3),
            underruns: self.underruns,
        }
    }
}
