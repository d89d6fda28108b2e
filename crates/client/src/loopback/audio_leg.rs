//! The audio leg of a loopback call: source, outgoing pipeline, incoming pipeline, sink, and what watches them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ahoy_measure::sound::Chirps;
use ahoy_media::audio::{AudioSinkSpec, AudioSourceSpec, BlockConsumer, BlockProvider};
use ahoy_media::codec::{OpusDecoder, OpusEncoder, OpusEncoderConfig};
use ahoy_media_types::{AudioBlock, BLOCK_SAMPLES, MediaClock, MediaTime};
use ahoy_rtc::{LocalTrack, LocalTrackStats, RemoteTrack};

use super::LoopbackError;
use super::config::LoopbackConfig;
use super::meter::{Findings, MeterInput, Sample};
use super::report::AudioReport;
use crate::media::{Counters, DeviceState, Loudest, Microphone, SoundInput, SoundRecording, Speaker, round};
use crate::pipeline::{IncomingAudio, IncomingAudioStats, LipSync, OutgoingAudio};
use crate::problem::Problem;

/// The audio leg while the call lasts.
pub(super) struct AudioLeg {
    microphone: Microphone,
    speaker: Speaker,
    muted: Arc<AtomicBool>,
    levels: Levels,
    /// `None` where the other end sends.
    track: Option<LocalTrack>,
    outgoing: OutgoingAudio,
    recording: Option<SoundRecording>,
    incoming: IncomingAudio,
}

/// How loud it is at both ends.
#[derive(Clone, Default)]
struct Levels {
    source: Loudest,
    sink: Loudest,
}

impl AudioLeg {
    /// Makes the codec and begins to open source and sink, which may take real devices a while: the source where there is a
    /// track to send on, the sink where this program `receives`.
    pub(super) fn start(
        source: &AudioSourceSpec,
        config: &LoopbackConfig,
        clock: MediaClock,
        track: Option<LocalTrack>,
        receives: bool,
        meter: MeterInput,
        sync: LipSync,
    ) -> Result<Self, LoopbackError> {
        let encoder = OpusEncoder::new(OpusEncoderConfig {
            frame: config.audio_packet,
            ..OpusEncoderConfig::default()
        })?;
        let (outgoing, consumer) = OutgoingAudio::start(Box::new(encoder));
        let (incoming, provider) = IncomingAudio::new(Box::new(OpusDecoder::new()?), clock, sync);
        let (muted, levels) = (Arc::new(AtomicBool::new(false)), Levels::default());
        let mouth = Mouth { muted: Arc::clone(&muted), level: levels.source.clone(), meter: meter.clone() };
        let spoken = mouth.listen(consumer, matches!(source, AudioSourceSpec::Tone));
        let (recording, recorder) = match &config.record.audio {
            Some(path) => {
                SoundRecording::create(path).map(|(recording, input)| (Some(recording), Some(input)))?
            }
            None => (None, None),
        };
        let mut microphone = Microphone::new(clock, spoken);
        if let Some(track) = &track {
            outgoing.attach(track.clone());
            microphone.want(Some(source.clone()));
        }
        let mut speaker = Speaker::new(clock, tap_sink(provider, meter, recorder, levels.sink.clone()));
        if receives {
            speaker.want(config.speaker.clone());
        }
        Ok(Self { microphone, speaker, muted, levels, track, outgoing, recording, incoming })
    }
}

/// What happens to sound on its way into the call.
struct Mouth {
    muted: Arc<AtomicBool>,
    level: Loudest,
    meter: MeterInput,
}

impl Mouth {
    /// Shows the meter what goes into the call. A steady tone can't tell its own delay, so chirps are mixed into it.
    fn listen(self, mut consumer: BlockConsumer, mix_chirps: bool) -> BlockConsumer {
        let mut chirps = mix_chirps.then(Chirps::new);
        Box::new(move |mut block: AudioBlock| {
            // The level shows people that their microphone works although nobody hears them.
            self.level.hear(&block.samples);
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
    level: Loudest,
) -> BlockProvider {
    Box::new(move |heard_at| {
        let samples = provider(heard_at);
        if let Some(recorder) = &mut recorder {
            recorder.add(&samples);
        }
        level.hear(&samples);
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
        self.microphone.look(problems).await;
        self.speaker.look(problems).await;
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
        self.microphone.want(Some(source));
    }

    /// Has the received sound go somewhere else.
    pub(super) fn want_sink(&mut self, sink: AudioSinkSpec) {
        self.speaker.want(sink);
    }

    /// Tries again to open what could not be opened.
    pub(super) fn retry(&mut self) {
        self.microphone.retry();
        self.speaker.retry();
    }

    /// How the source is.
    pub(super) fn microphone(&self) -> DeviceState {
        self.microphone.state()
    }

    /// How the sink is.
    pub(super) fn speaker(&self) -> DeviceState {
        self.speaker.state()
    }

    /// Adds what this leg counts.
    pub(super) fn count(&self, counters: &mut Counters) {
        counters.audio = self.track.as_ref().map(LocalTrack::stats);
        counters.sound = self.incoming.stats().jitter;
    }

    /// The loudest samples at the source and the sink since the last look, 0.0 to 1.0.
    pub(super) fn levels(&self) -> (f32, f32) {
        (self.levels.source.take(), self.levels.sink.take())
    }

    /// Whether nothing can come from this leg.
    pub(super) fn has_no_source(&self) -> bool {
        self.microphone.has_failed()
    }

    pub(super) async fn stop_source(&mut self, problems: &mut Vec<Problem>) {
        self.microphone.close(problems).await;
    }

    pub(super) async fn stop_sink(&mut self, problems: &mut Vec<Problem>) {
        self.speaker.close(problems).await;
    }

    /// Adds up, once source and sink are stopped.
    pub(super) fn finish(mut self, problems: &mut Vec<Problem>) -> AudioLegEnd {
        let (source, sink) = (self.microphone.name().to_owned(), self.speaker.name().to_owned());
        let underruns = self.speaker.underruns();
        // The recording's input goes with it.
        drop(self.speaker);
        if let Some(recording) = self.recording.take() {
            recording.finish(problems);
        }
        AudioLegEnd {
            source,
            sink,
            underruns,
            dropped: self.outgoing.dropped(),
            sent: self.track.as_ref().map(LocalTrack::stats),
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
    sent: Option<LocalTrackStats>,
    received: IncomingAudioStats,
}

impl AudioLegEnd {
    pub(super) fn first_packet(&self) -> Option<MediaTime> {
        self.received.first_packet_at
    }

    pub(super) fn report(self, findings: &Findings, seconds: f64) -> AudioReport {
        let received = &self.received.jitter;
        let (packets_sent, payload) =
            self.sent.as_ref().map_or((0, 0), |sent| (sent.packets_sent, sent.payload_bytes_sent));
        AudioReport {
            source: self.source,
            sink: self.sink,
            delay_ms: findings.audio_delay.into(),
            correlation: findings.audio_confidence.map(round),
            concealed_ratio: round(received.concealed_ratio()),
            concealment_events: received.concealment_events,
            bitrate_kbps: round(payload as f64 * 8.0 / 1000.0 / seconds.max(0.001)),
            packets_sent,
            packets_dropped: self.dropped,
            packets_received: received.packets_received,
            packets_lost: packets_sent.saturating_sub(received.packets_received),
            jitter_buffer_ms: round(received.mean_delay().as_secs_f64() * 1e3),
            underruns: self.underruns,
        }
    }
}
