//! A short sound by which people find out whether they hear anything.

use std::f32::consts::TAU;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use ahoy_media::audio::{AudioError, start_audio_sink};
use ahoy_media_types::{BLOCK_SAMPLES, MediaClock, SAMPLE_RATE};

use super::call;
use crate::settings::Settings;

/// Two tones, a fourth apart, like a doorbell.
const TONES: [f32; 2] = [659.3, 493.9];
/// Length of each.
const TONE: Duration = Duration::from_millis(700);
/// Loudness of the beginning of each, of 1.0.
const AMPLITUDE: f32 = 0.25;
/// How fast a tone fades, in seconds to a third.
const FADE: f32 = 0.25;
/// Time after the tones for the device's own buffers.
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

/// Plays the sound at the speaker that was chosen; returns when it has been heard.
pub(super) async fn play(settings: &Settings, clock: MediaClock) -> Result<(), SpeakerError> {
    let sink = call::speaker(settings);
    let open = tokio::task::spawn_blocking(move || {
        let (events, _) = sync_channel(EVENTS);
        let mut position = 0;
        let provider = move |_| {
            let mut block = [0.0; BLOCK_SAMPLES];
            for sample in &mut block {
                *sample = sample_at(position);
                position += 1;
            }
            block
        };
        start_audio_sink(&sink, clock, Box::new(provider), events)
    });
    let playback = open.await.map_err(|_| SpeakerError::Gone)??;
    tokio::time::sleep(TONE * TONES.len() as u32 + TAIL).await;
    // Closing may wait for the device.
    let _ = tokio::task::spawn_blocking(move || drop(playback)).await;
    Ok(())
}

/// One sample of the sound.
fn sample_at(position: u32) -> f32 {
    let length = TONE.as_millis() as u32 * SAMPLE_RATE / 1000;
    let Some(hertz) = TONES.get((position / length) as usize) else { return 0.0 };
    let seconds = (position % length) as f32 / SAMPLE_RATE as f32;
    // Begins without a click.
    let attack = (seconds / 0.005).min(1.0);
    AMPLITUDE * attack * (-seconds / FADE).exp() * (TAU * hertz * seconds).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sound_has_an_end_and_is_never_too_loud() {
        let samples: Vec<f32> = (0..2 * SAMPLE_RATE).map(sample_at).collect();
        assert!(samples.iter().all(|sample| sample.abs() <= AMPLITUDE));
        assert!(samples[..SAMPLE_RATE as usize].iter().any(|sample| sample.abs() > 0.15));
        assert!(samples[(1.4 * SAMPLE_RATE as f32) as usize..].iter().all(|sample| *sample == 0.0));
    }
}
