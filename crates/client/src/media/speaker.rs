//! The speaker of a call, or what stands for it.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use ahoy_media::audio::{
    AudioError, AudioEvent, AudioPlayback, AudioSinkSpec, BlockProvider, start_audio_sink,
};
use ahoy_media_types::MediaClock;

use super::device_state::DeviceState;
use super::losses::{Losses, tell_once};
use super::switched::{News, Switched};
use crate::problem::Problem;

/// A sink for sound that can be switched, with what is known of it.
pub(crate) struct Speaker {
    clock: MediaClock,
    sink: Switched<AudioSinkSpec, Sink, AudioEvent, AudioError>,
    losses: Losses,
    trouble: Option<Problem>,
    name: String,
    underruns: u64,
}

/// What the received sound goes to.
struct Sink {
    _playback: AudioPlayback,
    /// Why it is not what was asked for: then it stands in, so that the sound is still received and measured.
    unavailable: Option<AudioError>,
}

impl Speaker {
    /// A speaker that is off. Its sound will come from `provider`.
    pub(crate) fn new(clock: MediaClock, provider: BlockProvider) -> Self {
        let provider = Arc::new(Mutex::new(provider));
        let sink =
            Switched::new(Arc::new(move |spec: &AudioSinkSpec, events| open(spec, clock, &provider, events)));
        let (losses, name) = (Losses::default(), String::new());
        Self { clock, sink, losses, trouble: None, name, underruns: 0 }
    }

    /// Has sound go to a sink.
    pub(crate) fn want(&mut self, sink: AudioSinkSpec) {
        self.trouble = None;
        self.name = sink.to_string();
        self.sink.want(Some(sink));
    }

    /// Tries again to open what could not be opened.
    pub(crate) fn retry(&mut self) {
        match self.sink.device() {
            Some(Sink { unavailable: Some(_), .. }) => self.sink.reopen(),
            Some(_) | None => self.sink.retry(),
        }
    }

    /// Takes note of what happened since the last time.
    pub(crate) async fn look(&mut self, problems: &mut Vec<Problem>) {
        let news = self.sink.look().await;
        self.take_news(news, problems);
    }

    /// Closes it and waits until it is closed.
    pub(crate) async fn close(&mut self, problems: &mut Vec<Problem>) {
        let news = self.sink.close().await;
        self.take_news(news, problems);
    }

    fn take_news(&mut self, news: Vec<News<AudioEvent, AudioError>>, problems: &mut Vec<Problem>) {
        let now = self.clock.now();
        for what in news {
            match what {
                News::Opened => {
                    let unavailable = self.sink.device().and_then(|sink| sink.unavailable.as_ref());
                    let trouble = unavailable.map(Problem::speaker);
                    if let Some(problem) = &trouble {
                        tell_once(self.trouble.as_ref(), problem, problems);
                    }
                    self.trouble = trouble;
                }
                News::Failed(error) => {
                    let problem = Problem::speaker(&error);
                    tell_once(self.trouble.as_ref(), &problem, problems);
                    self.trouble = Some(problem);
                }
                News::Event(AudioEvent::Started { device, .. }) => self.name = device,
                News::Event(AudioEvent::Lost { reason }) => {
                    let problem = Problem::speaker(&reason);
                    self.trouble = Some(problem.clone());
                    self.losses.lost(problem, now, problems);
                }
                News::Event(AudioEvent::Recovered) => {
                    self.trouble = None;
                    self.losses.recovered(now, problems);
                }
                News::Event(AudioEvent::Underrun(count)) => self.underruns = count,
                News::Event(AudioEvent::Ended) => {}
            }
        }
    }

    /// How it is. A sink that stands in for what was asked for has its trouble told.
    pub(crate) fn state(&self) -> DeviceState {
        DeviceState::new(self.sink.standing(), self.trouble.as_ref())
    }

    /// What people know it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Times that it ran empty.
    pub(crate) fn underruns(&self) -> u64 {
        self.underruns
    }
}

fn open(
    spec: &AudioSinkSpec,
    clock: MediaClock,
    provider: &Arc<Mutex<BlockProvider>>,
    events: SyncSender<AudioEvent>,
) -> Result<Sink, AudioError> {
    match start_audio_sink(spec, clock, share(provider), events.clone()) {
        Ok(playback) => Ok(Sink { _playback: playback, unavailable: None }),
        Err(error) => {
            let playback = start_audio_sink(&AudioSinkSpec::Null, clock, share(provider), events)?;
            Ok(Sink { _playback: playback, unavailable: Some(error) })
        }
    }
}

/// A sink takes its provider with it, and the next one needs it too.
fn share(provider: &Arc<Mutex<BlockProvider>>) -> BlockProvider {
    let provider = Arc::clone(provider);
    Box::new(move |heard_at| (provider.lock().unwrap_or_else(PoisonError::into_inner))(heard_at))
}
