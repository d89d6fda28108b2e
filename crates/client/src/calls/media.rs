//! What this side captures, sends, hears and sees in a call: devices and pipelines that outlive the legs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ahoy_call::MediaState;
use ahoy_congestion::{Cause, Decision, Viewer};
use ahoy_measure::stamp;
use ahoy_media::audio::{AudioSinkSpec, AudioSourceSpec, BlockConsumer, BlockProvider};
use ahoy_media::capture::{Stamping, VideoFormat, VideoSourceSpec};
use ahoy_media::codec::{
    CodecError, H264Decoder, H264Encoder, OpusDecoder, OpusEncoder, OpusEncoderConfig, VideoEncoderConfig,
};
use ahoy_media::slot::LatestSlot;
use ahoy_media_types::{
    AudioBlock, BLOCK_SAMPLES, Bitrate, Codec, FramePool, FrameRate, FrameSize, MediaClock, VideoFrame,
};
use ahoy_rtc::{LocalTrack, RemoteTrack};
use serde::Serialize;

use super::leg::Tracks;
use crate::loopback::Recording;
use crate::media::{
    Camera, Counters, DeviceState, Ledger, Loudest, Microphone, PictureRecording, RecordingError, SelfView,
    SendingStats, SoundInput, SoundRecording, Speaker,
};
use crate::picture_socket::{Area, PictureSocket};
use crate::pipeline::{
    EncodeTiming, FrameTiming, IncomingAudio, IncomingVideo, IncomingVideoStats, LipSync, OutgoingAudio,
    OutgoingVideo, TimedFrameSink, VideoOutput, VideoTap,
};
use crate::problem::Problem;
use crate::settings::SavePower;

/// What is sent in a call, and where what comes goes.
#[derive(Clone, Debug)]
pub struct MediaOptions {
    /// Where pictures come from while the camera is on.
    pub camera: VideoSourceSpec,
    /// Size and rate asked of it.
    pub format: VideoFormat,
    /// Video bitrate.
    pub bitrate: Bitrate,
    /// Whether pictures are smaller and fewer to save power. By default they never are, so that calls which are measured are
    /// alike on all machines.
    pub save_power: SavePower,
    /// Where sound comes from; `None` sends none.
    pub microphone: Option<AudioSourceSpec>,
    /// Where the received sound goes.
    pub speaker: AudioSinkSpec,
    /// Whether pictures carry their number and capture time as cells, for tests.
    pub stamping: Stamping,
    /// Where pictures are shown.
    pub screen: CallScreen,
    /// Files that what was received is written to.
    pub record: Recording,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self {
            camera: VideoSourceSpec::Camera(None),
            format: VideoFormat { size: FrameSize::HD, rate: FrameRate::FPS_30 },
            bitrate: Bitrate::HD_VIDEO,
            save_power: SavePower::Never,
            microphone: Some(AudioSourceSpec::Microphone(None)),
            speaker: AudioSinkSpec::Speaker(None),
            stamping: Stamping::Off,
            screen: CallScreen::Counted,
            record: Recording::default(),
        }
    }
}

/// Where the pictures of a call are shown.
#[derive(Clone, Debug)]
pub enum CallScreen {
    /// Nowhere: they are decoded, counted, and recorded if that is asked for.
    Counted,
    /// In the window, together with one's own. They are not recorded.
    Window(Arc<PictureSocket>),
}

/// Why a call has no media.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// A codec could not be made.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A recording can't be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A thread could not be started.
    #[error("the system gives no more threads: close some programs and try again")]
    Thread(#[from] std::io::Error),
}

/// Devices of a call at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MediaSnapshot {
    /// Where pictures come from.
    pub camera: DeviceState,
    /// Where sound comes from.
    pub microphone: DeviceState,
    /// Where the received sound goes.
    pub speaker: DeviceState,
    /// Whether one's own sound is held back.
    pub muted: bool,
    /// What went wrong so far, oldest first.
    pub problems: Vec<Problem>,
}

/// The running media of a call.
pub(super) struct Media {
    pub(super) clock: MediaClock,
    options: MediaOptions,
    camera: Camera,
    microphone: Microphone,
    speaker: Speaker,
    camera_on: bool,
    held: Arc<AtomicBool>,
    muted: Arc<AtomicBool>,
    level_in: Loudest,
    level_out: Loudest,
    outgoing_video: OutgoingVideo,
    outgoing_audio: OutgoingAudio,
    incoming_audio: IncomingAudio,
    incoming_video: Option<IncomingVideo>,
    pub(super) tracks: Option<Tracks>,
    sync: LipSync,
    pub(super) shown: Ledger,
    pub(super) stamped: Stamped,
    pictures: Option<PictureRecording>,
    sound: Option<SoundRecording>,
    pub(super) problems: Vec<Problem>,
}

impl Media {
    /// Makes codecs and pipelines, and begins to open the devices. Must be called on a tokio runtime.
    pub(super) fn start(
        options: MediaOptions,
        camera_on: bool,
        clock: MediaClock,
    ) -> Result<Self, MediaError> {
        let VideoFormat { size, rate } = options.format;
        let frames = LatestSlot::new();
        let mut camera = Camera::new(options.format, options.stamping, clock, frames.clone());
        let encoding = VideoEncoderConfig { size, rate, bitrate: options.bitrate };
        let encoder = H264Encoder::new(encoding)?;
        let tap: Option<Box<dyn VideoTap>> = match &options.screen {
            CallScreen::Counted => None,
            CallScreen::Window(socket) => Some(Box::new(OwnPicture(SelfView::new(socket)))),
        };
        let outgoing_video =
            OutgoingVideo::start(frames, Box::new(encoder), encoding, options.save_power, tap, clock)?;
        let (outgoing_audio, consumer) =
            OutgoingAudio::start(Box::new(OpusEncoder::new(OpusEncoderConfig::default())?));
        let sync = LipSync::default();
        let (incoming_audio, provider) =
            IncomingAudio::new(Box::new(OpusDecoder::new()?), clock, sync.clone());
        let (held, muted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (level_in, level_out) = (Loudest::default(), Loudest::default());
        let pictures = match &options.record.video {
            Some(path) => Some(PictureRecording::create(path, rate)?),
            None => None,
        };
        let (sound, recorder) = match &options.record.audio {
            Some(path) => SoundRecording::create(path).map(|(sound, input)| (Some(sound), Some(input)))?,
            None => (None, None),
        };
        let silent = [Arc::clone(&held), Arc::clone(&muted)];
        let mut microphone = Microphone::new(clock, mouth(consumer, level_in.clone(), silent));
        let mut speaker = Speaker::new(clock, ear(provider, level_out.clone(), Arc::clone(&held), recorder));
        camera.want(camera_on.then(|| options.camera.clone()));
        microphone.want(options.microphone.clone());
        speaker.want(options.speaker.clone());
        Ok(Self {
            clock,
            options,
            camera,
            microphone,
            speaker,
            camera_on,
            held,
            muted,
            level_in,
            level_out,
            outgoing_video,
            outgoing_audio,
            incoming_audio,
            incoming_video: None,
            tracks: None,
            sync,
            shown: Ledger::default(),
            stamped: Stamped::default(),
            pictures,
            sound,
            problems: Vec::new(),
        })
    }

    /// Sends on these tracks from now on.
    pub(super) fn send_on(&mut self, tracks: Tracks) {
        self.outgoing_video.attach(tracks.video.clone());
        self.outgoing_audio.attach(tracks.audio.clone());
        self.tracks = Some(tracks);
    }

    /// Plays what comes on this track from now on, instead of the one before.
    pub(super) fn receive(&mut self, track: RemoteTrack) -> Result<(), MediaError> {
        match track.codec() {
            Codec::Opus => self.incoming_audio.attach(track),
            Codec::H264 => {
                // The window's stream and its thread are given back before they are needed again.
                self.incoming_video = None;
                let shown = self.shown.clone();
                let output = match &self.options.screen {
                    CallScreen::Counted => VideoOutput::Sink(Box::new(Counter {
                        shown,
                        stamped: self.stamped.clone(),
                        recording: self.pictures.clone(),
                    })),
                    CallScreen::Window(socket) => VideoOutput::Window(
                        Arc::clone(socket),
                        Box::new(move |timing| shown.rendered(timing)),
                    ),
                };
                let decoder = Box::new(H264Decoder::new(FramePool::new())?);
                let video = IncomingVideo::start(track, decoder, output, self.sync.clone(), self.clock)?;
                self.incoming_video = Some(video);
            }
        }
        Ok(())
    }

    /// The side that pictures are sent to does this with them.
    pub(super) fn set_viewer(&self, viewer: Viewer) {
        self.outgoing_video.set_viewer(viewer);
    }

    /// In which size the window shows pictures; `None` where it has not said so, or there is none.
    pub(super) fn area(&self) -> Option<Area> {
        self.incoming_video.as_ref().and_then(IncomingVideo::area)
    }

    /// The other side sends no pictures for a while, or nothing is shown here: that is no freeze.
    pub(super) fn pictures_pause(&self) {
        self.shown.paused();
    }

    /// What is sent.
    pub(super) fn state(&self) -> MediaState {
        MediaState {
            microphone: self.options.microphone.is_some() && !self.muted.load(Ordering::Relaxed),
            camera: self.camera_on,
            paused: self.camera_on
                && matches!(self.outgoing_video.decision(), Some(Decision::Pause(Cause::Network))),
        }
    }

    pub(super) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// Opens or closes the camera.
    pub(super) fn turn_camera(&mut self, on: bool) {
        self.camera_on = on;
        self.want_camera();
    }

    /// Sends and plays nothing, or goes on.
    pub(super) fn hold(&mut self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
        self.shown.paused();
        self.want_camera();
    }

    fn want_camera(&mut self) {
        let on = self.camera_on && !self.held.load(Ordering::Relaxed);
        self.camera.want(on.then(|| self.options.camera.clone()));
    }

    /// Goes over to other devices, and to another size of pictures.
    pub(super) fn follow(&mut self, options: MediaOptions) {
        let before = std::mem::replace(&mut self.options, options);
        if before.bitrate != self.options.bitrate {
            self.outgoing_video.set_most(self.options.bitrate);
        }
        if before.save_power != self.options.save_power {
            self.outgoing_video.set_save_power(self.options.save_power);
        }
        if before.format != self.options.format {
            self.camera.want_format(self.options.format);
        }
        if before.camera != self.options.camera {
            self.want_camera();
        }
        if before.microphone != self.options.microphone {
            self.microphone.want(self.options.microphone.clone());
        }
        if before.speaker != self.options.speaker {
            self.speaker.want(self.options.speaker.clone());
        }
    }

    /// Tries again to open what could not be opened.
    pub(super) fn retry(&mut self) {
        self.camera.retry();
        self.microphone.retry();
        self.speaker.retry();
    }

    /// Takes note of what happened to the devices since the last time.
    pub(super) async fn look(&mut self) {
        self.camera.look(&mut self.problems).await;
        self.microphone.look(&mut self.problems).await;
        self.speaker.look(&mut self.problems).await;
    }

    pub(super) fn snapshot(&self) -> MediaSnapshot {
        MediaSnapshot {
            camera: self.camera.state(),
            microphone: self.microphone.state(),
            speaker: self.speaker.state(),
            muted: self.muted.load(Ordering::Relaxed),
            problems: self.problems.clone(),
        }
    }

    pub(super) fn count(&self) -> Counters {
        let sent =
            |track: fn(&Tracks) -> &LocalTrack| self.tracks.as_ref().map(|tracks| track(tracks).stats());
        Counters {
            captured: self.camera.captured(),
            shown: self.shown.rendered_frames(),
            encoded: self.outgoing_video.stats(),
            received: self
                .incoming_video
                .as_ref()
                .map_or_else(IncomingVideoStats::default, IncomingVideo::stats),
            video: sent(|tracks| &tracks.video),
            audio: sent(|tracks| &tracks.audio),
            sound: self.incoming_audio.stats().jitter,
            sending: self
                .tracks
                .as_ref()
                .map(|tracks| SendingStats::new(&tracks.video.known(), self.outgoing_video.decision())),
        }
    }

    /// The longest time between two packets of sound.
    pub(super) fn longest_silence(&self) -> Duration {
        self.incoming_audio.stats().longest_silence
    }

    /// When the first sound and the first picture came.
    pub(super) fn first_packets(&self) -> [Option<ahoy_media_types::MediaTime>; 2] {
        let video = self.incoming_video.as_ref().and_then(|video| video.stats().first_packet_at);
        [self.incoming_audio.stats().first_packet_at, video]
    }

    /// The loudest samples of one's own and of the received sound since the last look, 0.0 to 1.0.
    pub(super) fn levels(&self) -> (f32, f32) {
        (self.level_in.take(), self.level_out.take())
    }

    pub(super) fn size(&self) -> FrameSize {
        self.options.format.size
    }

    /// What people know camera, microphone and speaker by.
    pub(super) fn names(&self) -> [String; 3] {
        [self.camera.name(), self.microphone.name(), self.speaker.name()].map(str::to_owned)
    }

    /// Closes the devices and waits until they are closed.
    pub(super) async fn close_devices(&mut self) {
        self.camera.close(&mut self.problems).await;
        self.microphone.close(&mut self.problems).await;
        self.speaker.close(&mut self.problems).await;
    }

    /// Ends everything else; returns what went wrong in the whole call. Waits for threads.
    pub(super) fn finish(self) -> Vec<Problem> {
        let mut problems = self.problems;
        drop(self.outgoing_video);
        drop(self.incoming_video);
        if let Some(pictures) = self.pictures {
            pictures.finish(&mut problems);
        }
        // The recording's input goes with it.
        drop(self.speaker);
        if let Some(sound) = self.sound {
            sound.finish(&mut problems);
        }
        problems
    }
}

/// What happens to one's own sound on its way into the call.
fn mouth(mut consumer: BlockConsumer, level: Loudest, silent: [Arc<AtomicBool>; 2]) -> BlockConsumer {
    Box::new(move |mut block: AudioBlock| {
        // The level shows people that their microphone works although nobody hears them.
        level.hear(&block.samples);
        if silent.iter().any(|silent| silent.load(Ordering::Relaxed)) {
            block.samples = [0.0; BLOCK_SAMPLES];
        }
        consumer(block);
    })
}

/// What happens to the received sound on its way to the speaker.
fn ear(
    mut provider: BlockProvider,
    level: Loudest,
    held: Arc<AtomicBool>,
    mut recorder: Option<SoundInput>,
) -> BlockProvider {
    Box::new(move |heard_at| {
        let mut samples = provider(heard_at);
        if held.load(Ordering::Relaxed) {
            samples = [0.0; BLOCK_SAMPLES];
        }
        if let Some(recorder) = &mut recorder {
            recorder.add(&samples);
        }
        level.hear(&samples);
        samples
    })
}

/// Shows one's own picture in the window.
struct OwnPicture(SelfView);

impl VideoTap for OwnPicture {
    fn on_captured(&mut self, frame: &VideoFrame) {
        self.0.show(frame);
    }

    fn on_encoded(&mut self, _frame: &VideoFrame, _timing: EncodeTiming) {}
}

/// Counts received pictures that carry their number, as test pictures do.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamped {
    seen: Arc<AtomicU64>,
    /// One more than the number of the last; 0 before the first.
    next: Arc<AtomicU64>,
    out_of_order: Arc<AtomicU64>,
}

impl Stamped {
    fn look(&self, frame: &VideoFrame) {
        let Some(stamp) = stamp::read(&frame.buffer) else { return };
        self.seen.fetch_add(1, Ordering::Relaxed);
        let number = u64::from(stamp.id.0);
        if number < self.next.swap(number + 1, Ordering::Relaxed) {
            self.out_of_order.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were, and how many of them came after a later one.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.seen.load(Ordering::Relaxed), self.out_of_order.load(Ordering::Relaxed))
    }
}

/// Where pictures go without a window.
struct Counter {
    shown: Ledger,
    stamped: Stamped,
    recording: Option<PictureRecording>,
}

impl TimedFrameSink for Counter {
    fn present(&mut self, frame: &VideoFrame, timing: &FrameTiming) {
        self.shown.rendered(timing);
        self.stamped.look(frame);
        if let Some(recording) = &self.recording {
            recording.add(frame, timing.presented_at);
        }
    }
}
