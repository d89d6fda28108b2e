//! The ends of a loopback call, their legs, and what happens to them.

use std::time::Duration;

use ahoy_measure::process;
use ahoy_media::capture::VideoSourceSpec;
use ahoy_media_types::{Codec, MediaClock, MediaTime};
use ahoy_rtc::{ConnectionState, Path, PeerEvent, Phase, Politeness, RemoteTrack, Signal};

use super::audio_leg::AudioLeg;
use super::config::LoopbackConfig;
use super::end::{End, Ends};
use super::live::{CallPhase, CallSnapshot};
use super::meter::Meter;
use super::played_clip::PlayedClip;
use super::report::{LoopbackReport, SetupReport};
use super::video_leg::{VideoLeg, VideoLegEnd};
use super::{CallCommand, DRAIN, LoopbackError};
use crate::media::{CallStats, Counters, DeviceState, PathReport, Rates, round};
use crate::pipeline::LipSync;
use crate::problem::{Problem, ProblemCode};

/// One end of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Captures and sends.
    Caller,
    /// Receives and renders.
    Callee,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

/// Carries signaling between the two ends.
pub trait SignalPath {
    /// Passes on what `from` says, changed or not; `None` swallows it.
    fn carry(&mut self, from: Side, signal: Signal) -> Option<Signal>;
}

/// Hands signals over as they are.
#[derive(Debug)]
pub struct DirectPath;

impl SignalPath for DirectPath {
    fn carry(&mut self, _from: Side, signal: Signal) -> Option<Signal> {
        Some(signal)
    }
}

/// The two ends and all that hangs on them.
pub(super) struct Session {
    clock: MediaClock,
    caller: End,
    callee: End,
    video: Option<VideoLeg>,
    audio: Option<AudioLeg>,
    meter: Meter,
    setup: SetupReport,
    connected_at: Option<MediaTime>,
    path: Option<Path>,
    problems: Vec<Problem>,
}

/// What happened at which end; `None` when an end has no more to say.
pub(super) type SessionEvent = (Side, Option<PeerEvent>);

impl Session {
    /// Makes the ends that are here and begins to open the devices and to connect, all at the same time.
    pub(super) async fn start(
        config: &LoopbackConfig,
        ends: Ends,
        clock: MediaClock,
    ) -> Result<Self, LoopbackError> {
        let here = |role| End::here(role, config, clock);
        let (caller, callee) = match ends {
            Ends::Both => (here(Politeness::Impolite).await?, here(Politeness::Polite).await?),
            Ends::One(Side::Caller, other) => (here(Politeness::Impolite).await?, End::Elsewhere(other)),
            Ends::One(Side::Callee, other) => (End::Elsewhere(other), here(Politeness::Polite).await?),
        };
        let clip = match &config.video {
            Some(VideoSourceSpec::File(path)) if !caller.is_here() => Some(
                PlayedClip::open(path)
                    .map_err(|reason| LoopbackError::PlayedClip { path: path.clone(), reason })?,
            ),
            Some(_) | None => None,
        };
        let meter = Meter::start(clip)?;
        let sync = LipSync::default();
        let video = match &config.video {
            Some(source) => {
                let track = caller.add_track(Codec::H264).await?;
                Some(VideoLeg::start(source, config, clock, track, meter.input(), sync.clone())?)
            }
            None => None,
        };
        let audio = match &config.audio {
            Some(source) => {
                let (track, receives) = (caller.add_track(Codec::Opus).await?, callee.is_here());
                Some(AudioLeg::start(source, config, clock, track, receives, meter.input(), sync)?)
            }
            None => None,
        };
        Ok(Self {
            clock,
            caller,
            callee,
            video,
            audio,
            meter,
            setup: SetupReport::default(),
            connected_at: None,
            path: None,
            problems: Vec::new(),
        })
    }
}

impl Session {
    /// Waits for whatever happens next at either end. Cancel-safe.
    pub(super) async fn next_event(&mut self) -> SessionEvent {
        tokio::select! {
            event = self.caller.next_event() => (Side::Caller, event),
            event = self.callee.next_event() => (Side::Callee, event),
        }
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// The end whose way is reported.
    fn told_of(&self) -> Side {
        if self.caller.is_here() { Side::Caller } else { Side::Callee }
    }

    /// Reacts to what happened at one end.
    pub(super) async fn on_event(
        &mut self,
        (side, event): SessionEvent,
        path: &mut (dyn SignalPath + Send),
    ) -> Result<(), LoopbackError> {
        match event {
            Some(PeerEvent::Signal(signal)) => self.carry(side, signal, path).await,
            Some(PeerEvent::State(state)) => self.on_state(side, state),
            Some(PeerEvent::Track(track)) => self.on_track(track)?,
            Some(PeerEvent::SelectedPath(selected)) => {
                if side == self.told_of() {
                    self.path = Some(selected);
                }
            }
            Some(PeerEvent::PhaseReached(phase, at)) => self.on_phase(phase, at),
            Some(PeerEvent::Channel(_)) | None => {}
        }
        Ok(())
    }

    async fn carry(&mut self, from: Side, signal: Signal, path: &mut (dyn SignalPath + Send)) {
        let is_description = matches!(signal, Signal::Description { .. });
        if is_description && from == Side::Caller {
            self.setup.offer.get_or_insert(self.clock.now().as_millis_f64());
        }
        let Some(signal) = path.carry(from, signal) else { return };
        if let Some(trouble) = self.end(from.other()).hear(signal).await {
            self.problems.push(Problem::new(ProblemCode::Signaling, trouble));
        }
        if is_description && from == Side::Callee {
            self.setup.answer.get_or_insert(self.clock.now().as_millis_f64());
        }
    }

    /// The call is as far as the slower end.
    fn on_phase(&mut self, phase: Phase, at: MediaTime) {
        let reached = match phase {
            Phase::Gathered => &mut self.setup.gathered,
            Phase::IceConnected => &mut self.setup.ice,
            Phase::DtlsConnected => &mut self.setup.dtls,
        };
        *reached = Some(reached.map_or(at.as_millis_f64(), |other| other.max(at.as_millis_f64())));
    }

    fn on_state(&mut self, side: Side, state: ConnectionState) {
        let now = self.clock.now();
        match state {
            ConnectionState::Connected => {
                self.end(side).on_connected();
                if self.caller.is_connected() && self.callee.is_connected() && self.connected_at.is_none() {
                    self.connected_at = Some(now);
                    self.setup.connected = Some(now.as_millis_f64());
                    tracing::info!("the two ends are connected");
                }
            }
            ConnectionState::Failed | ConnectionState::Disconnected => {
                let who = match side {
                    Side::Caller => "caller",
                    Side::Callee => "callee",
                };
                let message =
                    format!("The {who} lost the connection {:.1} s into the call.", now.as_secs_f64());
                self.problems.push(Problem::new(ProblemCode::ConnectionLost, message));
            }
            ConnectionState::New | ConnectionState::Connecting | ConnectionState::Closed => {}
        }
    }

    fn on_track(&mut self, track: RemoteTrack) -> Result<(), LoopbackError> {
        match (track.codec(), &mut self.video, &mut self.audio) {
            (Codec::H264, Some(video), _) => video.attach(track),
            (Codec::Opus, _, Some(audio)) => {
                audio.attach(track);
                Ok(())
            }
            // A track of a kind that was not asked for; nobody sends one here.
            (Codec::H264 | Codec::Opus, _, _) => Ok(()),
        }
    }

    /// When both ends were connected for the first time.
    pub(super) fn connected_at(&self) -> Option<MediaTime> {
        self.connected_at
    }

    /// Frames rendered so far.
    pub(super) fn rendered_frames(&self) -> u64 {
        self.video.as_ref().map_or(0, VideoLeg::rendered_frames)
    }

    /// Does what was asked for. Hanging up is not this struct's business.
    pub(super) fn obey(&mut self, command: CallCommand) {
        match (command, &mut self.video, &mut self.audio) {
            (CallCommand::Mute(muted), _, Some(audio)) => audio.mute(muted),
            (CallCommand::Video(source), Some(video), _) => video.want(source),
            (CallCommand::Picture(format, bitrate), Some(video), _) => video.want_picture(format, bitrate),
            (CallCommand::SavePower(choice), Some(video), _) => video.save_power(choice),
            (CallCommand::Microphone(source), _, Some(audio)) => audio.want_source(source),
            (CallCommand::Speaker(sink), _, Some(audio)) => audio.want_sink(sink),
            (CallCommand::Retry, video, audio) => {
                video.iter_mut().for_each(VideoLeg::retry);
                audio.iter_mut().for_each(AudioLeg::retry);
            }
            // Of a leg that the call was made without.
            (
                CallCommand::Mute(_)
                | CallCommand::Video(_)
                | CallCommand::Picture(..)
                | CallCommand::SavePower(_)
                | CallCommand::Microphone(_)
                | CallCommand::Speaker(_)
                | CallCommand::HangUp,
                _,
                _,
            ) => {}
        }
    }

    /// The call at this moment.
    pub(super) fn snapshot(&self, phase: CallPhase) -> CallSnapshot {
        let (video, audio) = (self.video.as_ref(), self.audio.as_ref());
        CallSnapshot {
            phase,
            muted: audio.is_some_and(AudioLeg::is_muted),
            camera: video.map_or_else(DeviceState::default, VideoLeg::device),
            microphone: audio.map_or_else(DeviceState::default, AudioLeg::microphone),
            speaker: audio.map_or_else(DeviceState::default, AudioLeg::speaker),
            problems: self.problems.clone(),
        }
    }

    /// The figures since the last time.
    pub(super) fn stats(&self, rates: &mut Rates) -> CallStats {
        let now = self.clock.now();
        let mut counters = Counters::default();
        if let Some(video) = &self.video {
            video.count(&mut counters);
        }
        if let Some(audio) = &self.audio {
            audio.count(&mut counters);
        }
        let mut stats = rates.next(now, counters);
        stats.at_ms = self.connected_at.map_or(0.0, |at| now.since(at).as_secs_f64() * 1e3);
        if let Some(video) = &self.video {
            let glance = video.glance();
            (stats.video.width, stats.video.height) = (video.size().width(), video.size().height());
            stats.video.latency_ms = glance.latency_ms;
            stats.video.freezes = u64::from(glance.freezes.count);
            stats.video.freeze_ms = glance.freezes.total.as_secs_f64() * 1e3;
            stats.stages_ms = glance.stages;
        }
        if let Some(audio) = &self.audio {
            (stats.audio.level_in, stats.audio.level_out) = audio.levels();
            stats.audio.delay_ms = self.meter.latest_audio_delay();
        }
        stats
    }

    /// Looks after what opens on other threads, ten times a second.
    ///
    /// # Errors
    /// [`LoopbackError::NothingLeft`] where no source can be had.
    pub(super) async fn look_after(&mut self) -> Result<(), LoopbackError> {
        if let Some(video) = &mut self.video {
            video.look_after(&mut self.problems).await;
        }
        if let Some(audio) = &mut self.audio {
            audio.look_after(&mut self.problems).await;
        }
        let nothing_left = self.video.as_ref().is_none_or(VideoLeg::has_no_source)
            && self.audio.as_ref().is_none_or(AudioLeg::has_no_source);
        if nothing_left {
            let reasons = self.problems.iter().map(|problem| problem.message.clone()).collect();
            return Err(LoopbackError::NothingLeft(reasons));
        }
        Ok(())
    }

    /// Stops the sources, lets what is on its way arrive, hangs up, and adds everything up.
    pub(super) async fn finish(mut self, cpu_before: Duration) -> Result<LoopbackReport, LoopbackError> {
        let mut problems = std::mem::take(&mut self.problems);
        if let Some(audio) = &mut self.audio {
            audio.stop_source(&mut problems).await;
        }
        if let Some(video) = &mut self.video {
            video.stop_source(&mut problems).await;
        }
        let ended_at = self.clock.now();
        if let Some(video) = &mut self.video {
            video.drain(DRAIN).await;
        }
        let cpu = process::cpu_time().unwrap_or_default().saturating_sub(cpu_before);
        let measured_for = self.clock.now().as_secs_f64().max(0.001);
        let stats = match self.caller.stats().await {
            Some(stats) => stats,
            None => self.callee.stats().await.unwrap_or_default(),
        };
        if let Some(audio) = &mut self.audio {
            audio.stop_sink(&mut problems).await;
        }
        // The legs give up their meter inputs here, so that the meter knows that nothing more comes.
        let video = self.video.take().map(|leg| leg.finish(&mut problems));
        let audio = self.audio.take().map(|leg| leg.finish(&mut problems));
        self.caller.close().await;
        self.callee.close().await;
        let usage = process::usage().ok();
        let meter = self.meter;
        let findings = tokio::task::spawn_blocking(move || meter.finish(ended_at)).await.unwrap_or_default();
        let since_start = |at: MediaTime| round(at.as_millis_f64());
        let first_frame = video.as_ref().and_then(|v| v.first_decoded()).map(since_start);
        let first_packets =
            [video.as_ref().and_then(|v| v.first_packet()), audio.as_ref().and_then(|a| a.first_packet())];
        let first_packet = first_packets.into_iter().flatten().min().map(since_start);
        // A camera that can't be had does not keep the call from coming up with sound.
        let has_pictures = video.as_ref().is_some_and(VideoLegEnd::has_pictures);
        let lasted = self.connected_at.map_or(0.0, |at| ended_at.since(at).as_secs_f64());
        Ok(LoopbackReport {
            schema: super::SCHEMA_VERSION,
            ok: false,
            problems,
            cancelled: false,
            duration_s: round(lasted),
            path: self.path.as_ref().or(stats.path.as_ref()).map(|path| PathReport::new(path, &stats)),
            setup_ms: SetupReport {
                first_packet,
                first_frame,
                total: if has_pictures { first_frame } else { first_packet },
                ..self.setup
            },
            video: video.map(|v| v.report(&findings, ended_at, lasted, &stats)),
            audio: audio.map(|a| a.report(&findings, lasted)),
            av_offset_ms: findings.av_offset.into(),
            cpu_cores: round(cpu.saturating_sub(findings.cpu).as_secs_f64() / measured_for),
            metrics_cpu_cores: round(findings.cpu.as_secs_f64() / measured_for),
            peak_rss_mb: round(usage.as_ref().map_or(0, |u| u.peak_rss_bytes) as f64 / 1e6),
            threads: usage.map_or(0, |u| u.threads as u64),
            metrics_skipped: findings.skipped,
        })
    }
}
