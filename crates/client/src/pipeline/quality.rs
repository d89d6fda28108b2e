//! What becomes of a picture before it is encoded: made smaller, left out, or kept as it is, by what the network carries
//! and whether power is to be saved.

use std::time::Duration;

use ahoy_congestion::{Content, Decision, Encoding, QualityPolicy, Situation, Viewer};
use ahoy_media::codec::VideoEncoder;
use ahoy_media::scale::Scaler;
use ahoy_media_types::{Bitrate, EncodedFrame, FramePool, FrameRate, FrameSize, MediaTime, VideoFrame};
use ahoy_rtc::{Limits, NetworkEstimate, PAYLOAD_SHARE, PeerConfig, Reason};
use tokio::sync::watch;

use super::key_frames::KeyFrames;
use super::saving::Saving;
use super::spending::Spending;

/// Sound with its headers, and some packets more than once.
const BESIDE_VIDEO: f64 = 200_000.0;
/// An encoder is told of changes of its bitrate that are larger than this share of it.
const WORTH_TELLING: f64 = 0.02;
/// A picture that is due within this share of its interval comes with the one before.
const EARLY: f64 = 0.3;
/// Encoding times and intervals are averaged over about so many pictures.
const AVERAGED: f64 = 15.0;

/// Between which rates media is sent whose pictures take `most`.
pub(super) fn limits(most: Bitrate) -> Limits {
    let usual = PeerConfig::DEFAULT_LIMITS;
    let max = most.as_bps() as f64 / PAYLOAD_SHARE + BESIDE_VIDEO;
    Limits { start: usual.start.min(max), max, ..usual }
}

/// Decides about each picture, and tells the encoder.
pub(super) struct Quality {
    policy: QualityPolicy,
    most: Bitrate,
    rate: FrameRate,
    told: Option<f64>,
    /// Seconds between two pictures that are made.
    spacing: f64,
    spending: Spending,
    keys: KeyFrames,
    network: Option<watch::Receiver<NetworkEstimate>>,
    viewer: Viewer,
    saving: Saving,
    /// Of the pictures that are encoded.
    size: Option<FrameSize>,
    scaler: Scaler,
    pool: FramePool,
    due: MediaTime,
    last: Option<MediaTime>,
    /// Seconds between pictures, and those that encoding one takes, on average.
    interval: f64,
    encoding: f64,
    decision: watch::Sender<Option<Decision>>,
}

impl Quality {
    pub(super) fn new(most: Bitrate, rate: FrameRate, saving: Saving) -> Self {
        Self {
            policy: QualityPolicy::default(),
            most,
            rate,
            told: None,
            spacing: 1.0 / rate.as_f64(),
            spending: Spending::new(),
            keys: KeyFrames::new(),
            network: None,
            viewer: Viewer::default(),
            saving,
            size: None,
            scaler: Scaler::new(),
            pool: FramePool::new(),
            due: MediaTime::ZERO,
            last: None,
            interval: 1.0 / rate.as_f64(),
            encoding: 0.0,
            decision: watch::Sender::new(None),
        }
    }

    /// What was decided last.
    pub(super) fn decision(&self) -> watch::Receiver<Option<Decision>> {
        self.decision.subscribe()
    }

    /// Looks at another path from now on, with somebody new at its end.
    pub(super) fn look_at(&mut self, network: watch::Receiver<NetworkEstimate>) {
        self.network = Some(network);
        self.viewer = Viewer::Unknown;
        self.keys.begin();
    }

    /// The other side does this with the pictures.
    pub(super) fn set_viewer(&mut self, viewer: Viewer) {
        self.viewer = viewer;
    }

    /// Power is saved by this from the next picture on.
    pub(super) fn set_saving(&mut self, saving: Saving) {
        self.saving = saving;
    }

    /// Whether power is saved.
    pub(super) fn is_saving(&self) -> bool {
        self.saving.is_on()
    }

    /// The other side can't go on without a picture that stands by itself.
    pub(super) fn want_key_frame(&mut self) {
        self.keys.want();
    }

    pub(super) fn set_most(&mut self, most: Bitrate) {
        self.most = most;
    }

    /// What became of the picture that was prepared last, after so long; `None` where the encoder left it out.
    pub(super) fn encoded(&mut self, frame: &VideoFrame, made: Option<&EncodedFrame>, took: Duration) {
        self.encoding += (took.as_secs_f64() - self.encoding) / AVERAGED;
        let bytes = made.map_or(0, |made| made.data.len());
        if let Some(told) = self.told {
            self.spending.made(told, bytes, Duration::from_secs_f64(self.spacing));
        }
        if made.is_some_and(|made| made.keyframe) {
            self.keys.made(frame, bytes);
        }
    }

    /// The picture as it is to be encoded; `None` where it is left out.
    pub(super) fn prepare(
        &mut self,
        frame: &VideoFrame,
        encoder: &mut dyn VideoEncoder,
    ) -> Option<VideoFrame> {
        let now = frame.captured_at;
        if let Some(last) = self.last.replace(now) {
            self.interval += ((now - last).as_secs_f64().min(1.0) - self.interval) / AVERAGED;
        }
        let network = self.network.as_ref().map(|network| *network.borrow());
        let (available, burst) = match network {
            None => (self.most.as_bps() as f64, f64::INFINITY),
            Some(known) => (known.video.unwrap_or(known.afresh) * PAYLOAD_SHARE, known.burst),
        };
        let waiting = network.is_some_and(|known| known.video.is_none());
        let situation = Situation {
            source: frame.size(),
            fps: (1.0 / self.interval.max(0.001)).min(self.rate.as_f64()),
            content: Content::Camera,
            available,
            draining: network.is_some_and(|known| known.reason == Reason::Drain),
            waiting,
            most: self.most.as_bps() as f64,
            viewer: self.viewer,
            encoding: self.encoding / self.interval.max(0.001),
            saving: self.is_saving(),
        };
        let decision = self.policy.decide(&situation, now);
        self.decision.send_if_modified(|before| before.replace(decision) != Some(decision));
        let Decision::Encode(encoding) = decision else {
            // Whoever comes back needs a picture that stands by itself.
            self.keys.want();
            return None;
        };
        if self.size.is_some_and(|before| before != encoding.size) {
            // Encoders begin anew for another size.
            self.keys.want();
        }
        // Too much waits to leave: the next picture is made when that is gone, or when it needs none of it.
        if waiting && !self.keys.begin_again() {
            return None;
        }
        if !self.is_due(&encoding, situation.fps, now) {
            return None;
        }
        self.tell(&encoding, encoder);
        self.spacing = self.interval.max(1.0 / encoding.fps);
        self.size = Some(encoding.size);
        let frame = self.scaled(frame, encoding.size);
        if !self.keys.is_wanted(&frame) {
            return Some(frame);
        }
        encoder.force_keyframe();
        Some(self.keys.fitted(frame, burst))
    }

    fn is_due(&mut self, encoding: &Encoding, fps: f64, now: MediaTime) -> bool {
        if encoding.fps >= fps * 0.95 {
            self.due = now;
            return true;
        }
        let step = Duration::from_secs_f64(1.0 / encoding.fps);
        if now + step.mul_f64(EARLY) < self.due {
            return false;
        }
        self.due = (self.due + step).max(now);
        true
    }

    fn tell(&mut self, encoding: &Encoding, encoder: &mut dyn VideoEncoder) {
        // With no network to share it is known what pictures may have.
        let wanted = match self.network {
            Some(_) => self.spending.told(encoding.bitrate).min(self.most.as_bps() as f64),
            None => encoding.bitrate,
        };
        let changed = self.told.is_none_or(|told| (wanted / told - 1.0).abs() > WORTH_TELLING);
        let Ok(bitrate) = Bitrate::from_bps(wanted as u64) else { return };
        if changed {
            match encoder.set_bitrate(bitrate) {
                Ok(()) => self.told = Some(wanted),
                Err(error) => tracing::warn!(%error, "the encoder kept its bitrate"),
            }
        }
    }

    fn scaled(&mut self, frame: &VideoFrame, size: FrameSize) -> VideoFrame {
        if frame.size() == size {
            return frame.clone();
        }
        let mut smaller = self.pool.take(size);
        self.scaler.fit(&frame.buffer, &mut smaller);
        VideoFrame { buffer: smaller.into(), ..frame.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ahoy_congestion::Cause;
    use ahoy_measure::stamp;
    use ahoy_media::codec::CodecError;
    use ahoy_media_types::{Codec, ColorMatrix, FrameId, I420Buffer};
    use ahoy_power::PowerState;

    use super::*;

    /// Makes pictures of the size that it is told to, and notes what it is told.
    #[derive(Default)]
    struct Told {
        bitrates: Vec<u64>,
        last: Option<MediaTime>,
        forced: bool,
        key_frames: u32,
    }

    const INTERVAL: Duration = Duration::from_micros(33_333);

    impl VideoEncoder for Told {
        fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedFrame>, CodecError> {
            // As the real one does, it makes as much of a picture as there is time between two. A pause is none.
            let since =
                self.last.replace(frame.captured_at).map_or(INTERVAL, |last| frame.captured_at - last);
            let since = if since > 3 * INTERVAL { INTERVAL } else { since };
            let bytes = self.bitrates.last().map_or(0, |kbps| kbps * since.as_micros() as u64 / 8_000);
            let keyframe = std::mem::take(&mut self.forced);
            self.key_frames += u32::from(keyframe);
            Ok(Some(EncodedFrame {
                codec: Codec::H264,
                data: vec![0; bytes as usize].into(),
                rtp_timestamp: 0,
                duration: Duration::from_millis(33),
                keyframe,
                time: frame.captured_at,
            }))
        }
        fn force_keyframe(&mut self) {
            self.forced = true;
        }
        fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), CodecError> {
            self.bitrates.push(bitrate.as_kbps());
            Ok(())
        }
        fn set_rate(&mut self, _: FrameRate) -> Result<(), CodecError> {
            Ok(())
        }
    }

    fn estimate(video: Option<f64>) -> NetworkEstimate {
        NetworkEstimate {
            target: 0.0,
            video,
            afresh: video.unwrap_or(1_000_000.0),
            burst: f64::INFINITY,
            sent: 0.0,
            acknowledged: 0.0,
            queue_ms: 0.0,
            loss: 0.0,
            expected_loss: 0.0,
            rtt_ms: 0.0,
            least_rtt_ms: 0.0,
            reason: Reason::Start,
        }
    }

    /// Pictures for a second, at 30 a second; what is encoded of them.
    fn second(quality: &mut Quality, encoder: &mut Told, from: u64) -> Vec<VideoFrame> {
        let buffer = Arc::new(I420Buffer::black(FrameSize::HD));
        let frames = (0..30).map(|n| VideoFrame {
            buffer: Arc::clone(&buffer),
            id: FrameId(n),
            captured_at: MediaTime::from_micros(from * 1_000_000 + u64::from(n) * 33_333),
            color: ColorMatrix::default(),
        });
        let mut encode = |frame: VideoFrame| {
            let prepared = quality.prepare(&frame, encoder)?;
            let made = encoder.encode(&prepared).unwrap();
            quality.encoded(&prepared, made.as_ref(), Duration::ZERO);
            Some(prepared)
        };
        frames.filter_map(&mut encode).collect()
    }

    fn quality(video: Option<f64>) -> (Quality, watch::Sender<NetworkEstimate>) {
        let mut quality = Quality::new(Bitrate::from_kbps(2_500).unwrap(), FrameRate::FPS_30, Saving::Never);
        let (network, seen) = watch::channel(estimate(video));
        quality.look_at(seen);
        (quality, network)
    }

    #[test]
    fn pictures_follow_the_network_in_size_and_bitrate() {
        let (mut quality, network) = quality(Some(2_000_000.0));
        let mut encoder = Told::default();
        assert_eq!(second(&mut quality, &mut encoder, 0).last().unwrap().size(), FrameSize::HD);
        network.send_replace(estimate(Some(300_000.0)));
        let smaller = second(&mut quality, &mut encoder, 1);
        assert_eq!((smaller.len(), smaller[29].size().height()), (30, 360));
        assert_eq!(encoder.bitrates[..2], [1_888, 283]);
        assert_eq!(encoder.key_frames, 2, "another size begins with one");
    }

    #[test]
    fn what_small_pictures_have_of_headers_is_made_up_for() {
        let (mut quality, _network) = quality(Some(200_000.0));
        let mut encoder = Told::default();
        (0..8).for_each(|n| drop(second(&mut quality, &mut encoder, n)));
        let bytes = *encoder.bitrates.last().unwrap() as usize * 1_000 / 30 / 8;
        let left = ahoy_rtc::wire_bytes(bytes) * 8 * 30;
        assert!((194_000..=206_000).contains(&left), "{left}");
    }

    #[test]
    fn a_picture_that_would_only_wait_is_not_made() {
        let (mut quality, network) = quality(None);
        let mut encoder = Told::default();
        assert!(second(&mut quality, &mut encoder, 0).is_empty());
        network.send_replace(estimate(Some(1_000_000.0)));
        assert_eq!(second(&mut quality, &mut encoder, 1).len(), 30);
        network.send_replace(estimate(None));
        assert!(second(&mut quality, &mut encoder, 2).is_empty());
        network.send_replace(estimate(Some(1_000_000.0)));
        second(&mut quality, &mut encoder, 3);
        assert_eq!(encoder.key_frames, 1, "the pictures before and after belong together");
    }

    #[test]
    fn a_picture_that_needs_none_of_what_waits_is_made_at_once() {
        let (mut quality, network) = quality(Some(2_000_000.0));
        let mut encoder = Told::default();
        assert_eq!(second(&mut quality, &mut encoder, 0).len(), 30);
        let too_much_waits = |afresh| NetworkEstimate { afresh, ..estimate(None) };
        network.send_replace(too_much_waits(2_000_000.0));
        assert!(second(&mut quality, &mut encoder, 1).is_empty());
        network.send_replace(too_much_waits(100_000.0));
        let smaller = second(&mut quality, &mut encoder, 2);
        assert_eq!((smaller.len(), smaller[0].size().height()), (1, 180), "the path has shrunk");
        quality.want_key_frame();
        assert_eq!(second(&mut quality, &mut encoder, 3).len(), 1, "it was asked for");
        assert_eq!(encoder.key_frames, 3);
    }

    #[test]
    fn with_very_little_there_are_fewer_pictures_and_then_none_and_a_key_frame_after_that() {
        let (mut quality, network) = quality(Some(45_000.0));
        let mut encoder = Told::default();
        second(&mut quality, &mut encoder, 0);
        let few = second(&mut quality, &mut encoder, 1).len();
        assert!((14..=16).contains(&few), "{few}");
        let told = encoder.bitrates.last().unwrap();
        assert!((39..=45).contains(told), "{told} kb/s, of pictures that take as much as they should");
        network.send_replace(estimate(Some(10_000.0)));
        assert!(second(&mut quality, &mut encoder, 2).is_empty());
        assert!(matches!(*quality.decision().borrow(), Some(Decision::Pause(_))));
        assert_eq!(encoder.key_frames, 1);
        network.send_replace(estimate(Some(70_000.0)));
        second(&mut quality, &mut encoder, 3);
        assert_eq!(encoder.key_frames, 2);
    }

    #[test]
    fn pictures_are_no_larger_than_the_other_side_shows_them() {
        let (mut quality, network) = quality(Some(2_000_000.0));
        let mut encoder = Told::default();
        quality.set_viewer(Viewer::Shows(FrameSize::new(640, 368).unwrap()));
        let small = second(&mut quality, &mut encoder, 0);
        assert!(small.len() == 30 && small.iter().all(|picture| picture.size().height() == 360));
        quality.look_at(network.subscribe());
        assert_eq!(second(&mut quality, &mut encoder, 1)[0].size(), FrameSize::HD, "somebody else may look");
    }

    /// How many pictures were made, and how high the last one is.
    fn made(pictures: &[VideoFrame]) -> (usize, u32) {
        (pictures.len(), pictures.last().map_or(0, |picture| picture.size().height()))
    }

    #[test]
    fn pictures_are_smaller_and_fewer_while_the_machine_has_a_reason_to_save_power() {
        let (mut quality, _network) = quality(Some(2_000_000.0));
        let (machine, state) = watch::channel(PowerState::default());
        quality.set_saving(Saving::WithReason(state));
        let mut encoder = Told::default();
        assert_eq!(made(&second(&mut quality, &mut encoder, 0)), (30, 720));
        let reason = Some(ahoy_power::Reason::LowBattery);
        machine.send_replace(PowerState { reason, ..PowerState::default() });
        let saved = second(&mut quality, &mut encoder, 1);
        assert_eq!(saved[0].size().height(), 540, "the very next one");
        assert!((19..=21).contains(&saved.len()), "{}", saved.len());
        let decision = *quality.decision().borrow();
        assert!(
            matches!(decision, Some(Decision::Encode(Encoding { cause: Cause::Saving, .. }))),
            "{decision:?}"
        );
        machine.send_replace(PowerState::default());
        let again = second(&mut quality, &mut encoder, 2);
        assert_eq!((again[0].size().height(), made(&again)), (720, (30, 720)));
        assert_eq!(encoder.key_frames, 3, "another size begins with one");
    }

    #[test]
    fn who_always_or_never_saves_power_does_not_ask_the_machine() {
        let (mut quality, _network) = quality(Some(2_000_000.0));
        let mut encoder = Told::default();
        quality.set_saving(Saving::Always);
        assert_eq!(made(&second(&mut quality, &mut encoder, 0)).1, 540);
        quality.set_saving(Saving::Never);
        assert_eq!(made(&second(&mut quality, &mut encoder, 1)), (30, 720));
    }

    #[test]
    fn a_picture_still_says_which_it_is_when_it_has_been_made_smaller() {
        let (mut quality, _network) = quality(Some(2_000_000.0));
        let mut encoder = Told::default();
        let mut buffer = I420Buffer::black(FrameSize::HD);
        assert!(stamp::draw(&mut buffer, FrameId(77), MediaTime::from_millis(5)));
        let frame = |captured_at| VideoFrame {
            buffer: Arc::new(buffer.clone()),
            id: FrameId(77),
            captured_at,
            color: ColorMatrix::default(),
        };
        for (at, height) in [(0, 720), (1, 540), (2, 360), (3, 270), (4, 180), (5, 136)] {
            quality.set_viewer(Viewer::Shows(FrameSize::new(4_096, height).unwrap()));
            let made = quality.prepare(&frame(MediaTime::from_millis(at * 33)), &mut encoder).unwrap();
            assert_eq!(u64::from(made.size().height()), height);
            assert_eq!(stamp::read(&made.buffer).map(|stamp| stamp.id), Some(FrameId(77)), "{height}");
        }
    }

    #[test]
    fn nothing_is_made_that_nobody_sees_and_a_key_frame_when_somebody_looks_again() {
        let (mut quality, _network) = quality(Some(2_000_000.0));
        let mut encoder = Told::default();
        assert_eq!(second(&mut quality, &mut encoder, 0).len(), 30);
        quality.set_viewer(Viewer::Hidden);
        assert!(second(&mut quality, &mut encoder, 1).is_empty());
        assert_eq!(*quality.decision().borrow(), Some(Decision::Pause(Cause::Viewer)));
        assert_eq!(encoder.key_frames, 1);
        quality.set_viewer(Viewer::Shows(FrameSize::HD));
        let shown = second(&mut quality, &mut encoder, 2);
        assert_eq!((shown.len(), shown[0].size()), (30, FrameSize::HD));
        assert_eq!(encoder.key_frames, 2, "the next one stands by itself");
    }
}
