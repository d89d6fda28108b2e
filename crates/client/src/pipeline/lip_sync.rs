//! What sound and picture of one remote participant have to know of each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ahoy_media::playout::{PlayoutClock, PlayoutClockConfig, StreamKind};
use ahoy_media_types::{MediaTime, SenderReport};

/// The playout clock that a participant's audio and video pipelines share. Cloning shares it.
///
/// The speaker's thread tells it what is heard when, the playout thread of the video asks it when to show a picture; each
/// holds the lock for a few microseconds.
#[derive(Clone)]
pub struct LipSync {
    clock: Arc<Mutex<PlayoutClock>>,
}

impl Default for LipSync {
    fn default() -> Self {
        Self { clock: Arc::new(Mutex::new(PlayoutClock::new(PlayoutClockConfig::default()))) }
    }
}

impl LipSync {
    fn lock(&self) -> MutexGuard<'_, PlayoutClock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on_sender_report(&self, kind: StreamKind, report: &SenderReport) {
        self.lock().on_sender_report(kind, report);
    }

    pub(super) fn on_audio_played(&self, rtp_timestamp: u32, heard_at: MediaTime) {
        self.lock().on_audio_played(rtp_timestamp, heard_at);
    }

    /// For how long sound should have been held back; see [`PlayoutClock::hold_sound`].
    pub(super) fn hold_sound(
        &self,
        rtp_timestamp: u32,
        held_back: Duration,
        heard_at: MediaTime,
    ) -> Duration {
        self.lock().hold_sound(rtp_timestamp, held_back, heard_at)
    }

    /// Whether there have been pictures lately.
    pub(super) fn has_pictures(&self, now: MediaTime) -> bool {
        self.lock().has_pictures(now)
    }

    /// A picture is complete; returns when to show it.
    pub(super) fn on_video_frame(&self, rtp_timestamp: u32, complete_at: MediaTime) -> MediaTime {
        let mut clock = self.lock();
        clock.on_video_frame(rtp_timestamp, complete_at);
        clock.present_at(rtp_timestamp).unwrap_or(complete_at)
    }

    pub(super) fn on_video_shown(&self, rtp_timestamp: u32, at: MediaTime) {
        self.lock().on_video_shown(rtp_timestamp, at);
    }
}
