//! The microphone of a call, or what stands for it.

use std::sync::{Arc, Mutex, PoisonError};

use ahoy_media::audio::{
    AudioCapture, AudioError, AudioEvent, AudioSourceSpec, BlockConsumer, start_audio_source,
};
use ahoy_media_types::MediaClock;

use super::device_state::DeviceState;
use super::losses::{Losses, tell_once};
use super::switched::{News, Standing, Switched};
use crate::problem::Problem;

/// A source of sound that can be switched, with what is known of it.
pub(crate) struct Microphone {
    clock: MediaClock,
    source: Switched<AudioSourceSpec, AudioCapture, AudioEvent, AudioError>,
    losses: Losses,
    trouble: Option<Problem>,
    name: String,
}

impl Microphone {
    /// A microphone that is off. Its sound will go to `consumer`.
    pub(crate) fn new(clock: MediaClock, consumer: BlockConsumer) -> Self {
        let consumer = Arc::new(Mutex::new(consumer));
        let source = Switched::new(Arc::new(move |spec: &AudioSourceSpec, events| {
            start_audio_source(spec, clock, share(&consumer), events)
        }));
        let (losses, name) = (Losses::default(), String::new());
        Self { clock, source, losses, trouble: None, name }
    }

    /// Has sound come from a source, or none.
    pub(crate) fn want(&mut self, source: Option<AudioSourceSpec>) {
        self.trouble = None;
        if let Some(source) = &source {
            self.name = source.to_string();
        }
        self.source.want(source);
    }

    /// Tries again to open what could not be opened.
    pub(crate) fn retry(&mut self) {
        self.source.retry();
    }

    /// Takes note of what happened since the last time.
    pub(crate) async fn look(&mut self, problems: &mut Vec<Problem>) {
        let news = self.source.look().await;
        self.take_news(news, problems);
    }

    /// Closes it and waits until it is closed.
    pub(crate) async fn close(&mut self, problems: &mut Vec<Problem>) {
        let news = self.source.close().await;
        self.take_news(news, problems);
    }

    fn take_news(&mut self, news: Vec<News<AudioEvent, AudioError>>, problems: &mut Vec<Problem>) {
        let now = self.clock.now();
        for what in news {
            match what {
                News::Opened => self.trouble = None,
                News::Failed(error) => {
                    let problem = Problem::microphone(&error);
                    tell_once(self.trouble.as_ref(), &problem, problems);
                    self.trouble = Some(problem);
                }
                News::Event(AudioEvent::Started { device, .. }) => self.name = device,
                News::Event(AudioEvent::Lost { reason }) => {
                    let problem = Problem::microphone(&reason);
                    self.trouble = Some(problem.clone());
                    self.losses.lost(problem, now, problems);
                }
                News::Event(AudioEvent::Recovered) => {
                    self.trouble = None;
                    self.losses.recovered(now, problems);
                }
                // The loss before it has said why.
                News::Event(AudioEvent::Ended | AudioEvent::Underrun(_)) => {}
            }
        }
    }

    /// How it is.
    pub(crate) fn state(&self) -> DeviceState {
        DeviceState::new(self.source.standing(), self.trouble.as_ref())
    }

    /// Whether it is wanted and can't be had.
    pub(crate) fn has_failed(&self) -> bool {
        self.source.standing() == Standing::Failed
    }

    /// What people know it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A source takes its consumer with it, and the next one needs it too.
fn share(consumer: &Arc<Mutex<BlockConsumer>>) -> BlockConsumer {
    let consumer = Arc::clone(consumer);
    Box::new(move |block| (consumer.lock().unwrap_or_else(PoisonError::into_inner))(block))
}
