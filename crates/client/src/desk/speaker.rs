//! Plays the program's own sounds: the test of the speaker, and what is heard while a call is offered.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use ahoy_media::audio::{AudioError, AudioPlayback, DeviceId, start_chime};
use ahoy_media_types::{BLOCK_SAMPLES, MediaClock};
use tokio::sync::watch;

use super::person_call::{CallStage, CallsView};
use super::sound::Sound;
use crate::settings::Settings;

/// Time after a sound for the device's own buffers.
const TAIL: Duration = Duration::from_millis(300);
/// Events that wait; nobody looks at them.
const EVENTS: usize = 8;

/// Why nothing can be heard.
#[derive(Debug, thiserror::Error)]
pub enum SpeakerError {
    /// The speaker can't be opened.
    #[error(transparent)]
    Device(#[from] AudioError),
    /// The thread that opened it is gone.
    #[error("the speaker could not be opened: try again")]
    Gone,
}

/// The device of a setting; without one the system's default, whatever is used in calls.
pub(super) fn device(id: &Option<String>) -> Option<DeviceId> {
    id.as_deref().and_then(DeviceId::new)
}

/// Plays the test at a device; returns when it has been heard.
pub(super) async fn test(speaker: Option<DeviceId>, clock: MediaClock) -> Result<(), SpeakerError> {
    let playback = start(speaker, clock, Sound::Test).await?;
    tokio::time::sleep(Duration::from_secs_f32(Sound::Test.lasts_s().unwrap_or_default()) + TAIL).await;
    stop(playback).await;
    Ok(())
}

async fn start(
    speaker: Option<DeviceId>,
    clock: MediaClock,
    sound: Sound,
) -> Result<AudioPlayback, SpeakerError> {
    let open = tokio::task::spawn_blocking(move || {
        let (events, _) = sync_channel(EVENTS);
        let mut number = 0;
        let provider = move |_| {
            let mut block = [0.0; BLOCK_SAMPLES];
            for sample in &mut block {
                *sample = sound.sample(number);
                number += 1;
            }
            block
        };
        start_chime(speaker, clock, Box::new(provider), events)
    });
    Ok(open.await.map_err(|_| SpeakerError::Gone)??)
}

async fn stop(playback: AudioPlayback) {
    // Closing may wait for the device.
    let _ = tokio::task::spawn_blocking(move || drop(playback)).await;
}

/// What is to be heard, and where.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    sound: Option<Sound>,
    ringer: Option<DeviceId>,
    speaker: Option<DeviceId>,
}

impl Wanted {
    /// What is to be played now.
    fn playing(&self) -> Option<(Sound, Option<DeviceId>)> {
        let sound = self.sound?;
        let at = if sound == Sound::Ring { &self.ringer } else { &self.speaker };
        Some((sound, at.clone()))
    }
}

/// Rings while somebody calls. Dropping it ends whatever is heard.
#[derive(Debug)]
pub(super) struct Ringer {
    wanted: watch::Sender<Wanted>,
}

impl Ringer {
    /// Must be called on a tokio runtime.
    pub(super) fn start(settings: &Settings, clock: MediaClock) -> Self {
        let wanted =
            Wanted { sound: None, ringer: device(&settings.ringer), speaker: device(&settings.speaker) };
        let (wanted, seen) = watch::channel(wanted);
        tokio::spawn(ring(seen, clock));
        Self { wanted }
    }

    /// What is to be heard of these calls.
    pub(super) fn follow(&self, calls: &CallsView) {
        let sound = sound_of(calls);
        self.wanted.send_if_modified(|wanted| std::mem::replace(&mut wanted.sound, sound) != sound);
    }

    /// Rings at other devices from now on.
    pub(super) fn use_devices_of(&self, settings: &Settings) {
        self.wanted.send_modify(|wanted| {
            wanted.ringer = device(&settings.ringer);
            wanted.speaker = device(&settings.speaker);
        });
    }
}

fn sound_of(calls: &CallsView) -> Option<Sound> {
    match (&calls.current, calls.ringing.is_empty()) {
        (None, false) => Some(Sound::Ring),
        (Some(_), false) => Some(Sound::Knock),
        (Some(call), true) if call.outgoing && call.stage == CallStage::Ringing => Some(Sound::Ringback),
        (_, true) => None,
    }
}

/// A device that can't be had now may be had in a moment.
const TRY_AGAIN: Duration = Duration::from_millis(500);

async fn ring(mut wanted: watch::Receiver<Wanted>, clock: MediaClock) {
    let mut heard: Option<AudioPlayback> = None;
    let mut now = None;
    loop {
        let next = wanted.borrow_and_update().playing();
        if next != now {
            if let Some(playback) = heard.take() {
                stop(playback).await;
            }
            now = next;
        }
        let mut pause = None;
        if heard.is_none()
            && let Some((sound, speaker)) = &now
        {
            match start(speaker.clone(), clock, *sound).await {
                Ok(playback) => heard = Some(playback),
                // The window shows the call all the same.
                Err(error) => {
                    tracing::warn!(%error, ?sound, "a call can't be heard yet");
                    pause = Some(TRY_AGAIN);
                }
            }
        }
        let changed = match pause {
            Some(pause) => tokio::time::timeout(pause, wanted.changed()).await.unwrap_or(Ok(())),
            None => wanted.changed().await,
        };
        if changed.is_err() {
            break;
        }
    }
    if let Some(playback) = heard {
        stop(playback).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::{PersonCall, RingingCall};

    fn calls(stage: Option<(CallStage, bool)>, ringing: bool) -> CallsView {
        let current = stage.map(|(stage, outgoing)| PersonCall {
            user: String::new(),
            handle: "ada".into(),
            name: "Ada".into(),
            outgoing,
            stage,
            held: false,
            held_there: false,
            muted_there: false,
            camera_there: None,
            paused_there: false,
            link: None,
            hosted: false,
            lobby: Vec::new(),
        });
        let call = RingingCall { call: "c".into(), handle: "bob".into(), name: "Bob".into(), video: true };
        CallsView { current, ringing: Vec::from_iter(ringing.then_some(call)) }
    }

    #[test]
    fn what_is_heard_says_what_happens_to_calls() {
        assert_eq!(sound_of(&calls(None, false)), None);
        assert_eq!(sound_of(&calls(None, true)), Some(Sound::Ring));
        assert_eq!(sound_of(&calls(Some((CallStage::Connected, true)), true)), Some(Sound::Knock));
        assert_eq!(sound_of(&calls(Some((CallStage::Ringing, true)), false)), Some(Sound::Ringback));
        for silent in [CallStage::Calling, CallStage::Connecting, CallStage::Connected, CallStage::Waiting] {
            assert_eq!(sound_of(&calls(Some((silent, true)), false)), None, "{silent:?}");
        }
        assert_eq!(sound_of(&calls(Some((CallStage::Ringing, false)), false)), None, "one was called");
    }

    #[test]
    fn only_ringing_is_heard_at_the_ringer() {
        let (ringer, speaker) = (DeviceId::new("ringer"), DeviceId::new("speaker"));
        let at = |sound| {
            let wanted = Wanted { sound: Some(sound), ringer: ringer.clone(), speaker: speaker.clone() };
            wanted.playing().expect("a sound").1
        };
        assert_eq!(at(Sound::Ring), ringer);
        assert_eq!((at(Sound::Knock), at(Sound::Ringback)), (speaker.clone(), speaker.clone()));
    }
}
