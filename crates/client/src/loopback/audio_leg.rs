//! The audio leg of a loopback call: source, outgoing pipeline, incoming pipeline, sink, and what watches them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use ahoy_measure::sound::Chirps;
use ahoy_media::audio::{
    AudioCapture, AudioError, AudioEvent, AudioPlayback, AudioSinkSpec, AudioSourceSpec, BlockConsumer,
    BlockProvider, start_audio_sink, start_audio_source,
};
use ahoy_media::codec::{OpusDecoder, OpusEncoder, OpusEncoderConfig};
use ahoy_media_types::{AudioBlock, BLOCK_SAMPLES, MediaClock, MediaTime};
use ahoy_rtc::{LocalTrack, LocalTrackStats, RemoteTrack};
use tokio::task::JoinHandle;

use super::LoopbackError;
use super::config::LoopbackConfig;
use super::losses::Losses;
use super::meter::{Findings, MeterInput, Sample};
use super::recording::{SoundInput, SoundRecording};
use super::report::{AudioReport, Problem, problem, round};
use crate::pipeline::{IncomingAudio, IncomingAudioStats, LipSync, OutgoingAudio};

/// Happenings of a device that wait to be looked at, which is ten times a second; a device has a handful in a whole call.
const EVENTS: usize = 64;

/// The audio leg while the call lasts.
pub(super) struct AudioLeg {
    clock: MediaClock,
    opening: Option<JoinHandle<Opened>>,
    is_open: bool,
    capture: Option<AudioCapture>,
    playback: Option<AudioPlayback>,
    source: String,
    sink: String,
    source_events: Receiver<AudioEvent>,
    sink_events: Receiver<AudioEvent>,
    source_losses: Losses,
    sink_losses: Losses,
    underruns: u64,
    track: LocalTrack,
    outgoing: OutgoingAudio,
    recording: Option<SoundRecording>,
    incoming: IncomingAudio,
}

/// What came of opening source and sink, on a thread that may wait for them.
struct Opened {
    capture: Result<AudioCapture, AudioError>,
    playback: Result<AudioPlayback, AudioError>,
    /// Stands in for a sink that can't be opened, so that the sound is still received and measured.
    stand_in: Option<AudioPlayback>,
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
        let (source_events_tx, source_events) = sync_channel(EVENTS);
        let (sink_events_tx, sink_events) = sync_channel(EVENTS);
        let spoken = tap_source(consumer, meter.clone(), matches!(source, AudioSourceSpec::Tone));
        let (recording, recorder) = match &config.record.audio {
            Some(path) => {
                SoundRecording::create(path).map(|(recording, input)| (Some(recording), Some(input)))?
            }
            None => (None, None),
        };
        let (from, to) = (source.clone(), config.speaker.clone());
        let opening = tokio::task::spawn_blocking(move || {
            let heard = tap_sink(provider, meter, recorder);
            let capture = start_audio_source(&from, clock, spoken, source_events_tx);
            let (playback, stand_in) = open_sink(&to, clock, heard, sink_events_tx);
            Opened { capture, playback, stand_in }
        });
        let (source, sink) = (source.to_string(), config.speaker.to_string());
        Ok(Self {
            clock,
            opening: Some(opening),
            is_open: false,
            capture: None,
            playback: None,
            source,
            sink,
            source_events,
            sink_events,
            source_losses: Losses::new("audio_source_lost"),
            sink_losses: Losses::new("audio_sink_lost"),
            underruns: 0,
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
    provider: BlockProvider,
    events: SyncSender<AudioEvent>,
) -> (Result<AudioPlayback, AudioError>, Option<AudioPlayback>) {
    // Shared with the stand-in, because a sink that fails to open has already taken its provider.
    let shared = Arc::new(Mutex::new(provider));
    let opened = start_audio_sink(spec, clock, share(&shared), events.clone());
    let stand_in = match &opened {
        Ok(_) => None,
        Err(_) => start_audio_sink(&AudioSinkSpec::Null, clock, share(&shared), events).ok(),
    };
    (opened, stand_in)
}

fn share(provider: &Arc<Mutex<BlockProvider>>) -> BlockProvider {
    let provider = Arc::clone(provider);
    Box::new(move |heard_at| (provider.lock().unwrap_or_else(PoisonError::into_inner))(heard_at))
}

/// Shows the meter what goes into the call. A steady tone can't tell its own delay, so chirps are mixed into it.
fn tap_source(mut consumer: BlockConsumer, meter: MeterInput, mix_chirps: bool) -> BlockConsumer {
    let mut chirps = mix_chirps.then(Chirps::new);
    Box::new(move |mut block: AudioBlock| {
        if let Some(chirps) = &mut chirps {
            let mut marks = [0.0; BLOCK_SAMPLES];
            chirps.fill(&mut marks);
            for (sample, mark) in block.samples.iter_mut().zip(marks) {
                *sample += mark;
            }
        }
        meter.give(Sample::Spoken(block.clone()));
        consumer(block);
    })
}

/// Shows the meter, and the recording if there is one, what comes out of the call.
fn tap_sink(
    mut provider: BlockProvider,
    meter: MeterInput,
    mut recorder: Option<SoundInput>,
) -> BlockProvider {
    Box::new(move |heard_at| {
        let samples = provider(heard_at);
        if let Some(recorder) = &mut recorder {
            recorder.add(&samples);
        }
        meter.give(Sample::Heard { samples, at: heard_at });
        samples
    })
}

impl AudioLeg {
    /// Starts to play what the other end receives.
    pub(super) fn attach(&mut self, track: RemoteTrack) {
        self.incoming.attach(track);
    }

    /// Looks whether source and sink are open by now.
    pub(super) async fn opened(&mut self, problems: &mut Vec<Problem>) {
        let Some(opening) = self.opening.take_if(|opening| opening.is_finished()) else { return };
        self.take_opened(opening.await.ok(), problems);
    }

    fn take_opened(&mut self, opened: Option<Opened>, problems: &mut Vec<Problem>) {
        let Some(opened) = opened else { return };
        match opened.capture {
            Ok(capture) => self.capture = Some(capture),
            Err(error) => problems.push(problem("audio_source", error.to_string())),
        }
        match opened.playback {
            Ok(playback) => self.playback = Some(playback),
            Err(error) => {
                problems.push(problem("audio_sink", error.to_string()));
                self.playback = opened.stand_in;
            }
        }
        self.is_open = true;
    }

    /// Takes note of what happened to source and sink since the last time.
    pub(super) fn hear_devices(&mut self, problems: &mut Vec<Problem>) {
        let now = self.clock.now();
        for event in self.source_events.try_iter() {
            match event {
                AudioEvent::Started { device, .. } => self.source = device,
                AudioEvent::Lost { reason } => self.source_losses.lost(&reason.to_string(), now, problems),
                AudioEvent::Recovered => self.source_losses.recovered(now, problems),
                // The loss before it has said why.
                AudioEvent::Ended | AudioEvent::Underrun(_) => {}
            }
        }
        for event in self.sink_events.try_iter() {
            match event {
                AudioEvent::Started { device, .. } => self.sink = device,
                AudioEvent::Lost { reason } => self.sink_losses.lost(&reason.to_string(), now, problems),
                AudioEvent::Recovered => self.sink_losses.recovered(now, problems),
                AudioEvent::Underrun(count) => self.underruns = count,
                AudioEvent::Ended => {}
            }
        }
    }

    /// Whether nothing can come from this leg.
    pub(super) fn has_no_source(&self) -> bool {
        self.is_open && self.capture.is_none()
    }

    pub(super) async fn stop_source(&mut self, problems: &mut Vec<Problem>) {
        if let Some(opening) = self.opening.take() {
            self.take_opened(opening.await.ok(), problems);
        }
        drop(self.capture.take());
    }

    /// Closes the sink and adds up.
    pub(super) fn finish(mut self, problems: &mut Vec<Problem>) -> AudioLegEnd {
        // With it goes the recording's input.
        drop(self.playback.take());
        if let Some(recording) = self.recording.take() {
            recording.finish(problems);
        }
        self.hear_devices(problems);
        AudioLegEnd {
            source: self.source,
            sink: self.sink,
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
