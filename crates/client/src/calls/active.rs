//! The media of the call or room that one is in, with what is told of them.

use ahoy_call::{PeerId, View};
use ahoy_media_types::{Codec, MediaClock, MediaTime};
use ahoy_rtc::{CandidateKind, IceView, RemoteTrack};
use tokio::task::JoinHandle;

use super::leg::Tracks;
use super::media::{Media, MediaError, MediaOptions, MediaSnapshot};
use super::report::{CallReport, Milestones};
use super::view;
use crate::media::{CallStats, Rates, WaysStats};
use crate::problem::{Problem, ProblemCode};

const NO_RELAY: &str = "Calls are to go through a relay only, and the server has none that answers: \
    allow direct ways too, or ask whoever runs the server for a relay";

/// Media while they last.
pub(super) struct Active {
    pub(super) media: Media,
    pub(super) milestones: Milestones,
    /// Between this side and the one who was heard of last.
    ways: WaysStats,
    rates: Rates,
    told: Option<MediaSnapshot>,
    /// Whether the other side knows that pictures are held back.
    pub(super) paused: bool,
    /// To whom pictures are sent, and whose are shown: the last ones there were.
    sends_to: Option<PeerId>,
    shows: Option<PeerId>,
    /// How they are shown, as the window has said last. It says so again soon when it has been loaded again.
    view: Option<Option<View>>,
    /// Legs that say good-bye.
    leaving: Vec<JoinHandle<()>>,
}

impl Active {
    pub(super) fn start(options: MediaOptions, camera: bool) -> Result<Self, MediaError> {
        let clock = MediaClock::start();
        let media = Media::start(options, camera, clock)?;
        let (milestones, rates) = (Milestones::begin(), Rates::new(clock.now()));
        let ways = WaysStats::default();
        Ok(Self {
            media,
            milestones,
            ways,
            rates,
            told: None,
            paused: false,
            sends_to: None,
            shows: None,
            view: None,
            leaving: Vec::new(),
        })
    }

    /// Sends to this participant from now on, instead of the one before.
    pub(super) fn send_on(&mut self, peer: PeerId, tracks: Tracks) {
        self.sends_to = Some(peer);
        self.media.send_on(tracks);
    }

    /// Plays what comes from this participant from now on, instead of the one before.
    pub(super) fn receive(&mut self, peer: PeerId, track: RemoteTrack) {
        match track.codec() {
            Codec::Opus => {}
            Codec::H264 => self.shows = Some(peer),
        }
        if let Err(error) = self.media.receive(track) {
            self.media.problems.push(Problem::new(ProblemCode::CallFailed, error.to_string()));
        }
    }

    /// A participant shows what they get like this.
    pub(super) fn set_viewer(&self, peer: PeerId, view: Option<View>) {
        if self.sends_to == Some(peer) {
            self.media.set_viewer(view::viewer(view));
        }
    }

    /// Whose pictures are shown, and how; `None` where nobody has said so, as without a window.
    pub(super) fn view(&mut self) -> Option<(PeerId, Option<View>)> {
        if let Some(area) = self.media.area() {
            let view = view::told_of(area);
            let before = self.view.replace(view).flatten();
            if before.is_some() != view.is_some() {
                self.media.pictures_pause();
            }
        }
        Some((self.shows?, self.view?))
    }

    /// Waits for a leg before it ends.
    pub(super) fn await_leaving(&mut self, leg: JoinHandle<()>) {
        self.leaving.push(leg);
    }

    /// These ways there are now. Where only relays may be used, it is a problem if there is none.
    pub(super) fn see_ways(&mut self, view: &IceView, relay_only: bool) {
        self.ways = WaysStats::from(view);
        let has_relay = view.locals.iter().any(|local| local.kind == CandidateKind::Relay);
        let known = &mut self.media.problems;
        if relay_only
            && view.gathered
            && !has_relay
            && known.iter().all(|problem| problem.code != ProblemCode::NoRelay)
        {
            known.push(Problem::new(ProblemCode::NoRelay, NO_RELAY));
        }
    }

    /// The devices, where they have changed since the last look.
    pub(super) fn news(&mut self) -> Option<MediaSnapshot> {
        let snapshot = self.media.snapshot();
        let is_new = self.told.as_ref() != Some(&snapshot);
        is_new.then(|| self.told.insert(snapshot).clone())
    }

    /// The figures since the last look.
    pub(super) fn stats(&mut self) -> CallStats {
        let now: MediaTime = self.media.clock.now();
        let mut stats = self.rates.next(now, self.media.count());
        stats.at_ms = self.milestones.connected_at().map_or(0.0, |at| now.since(at).as_secs_f64() * 1e3);
        stats.ways = self.ways.clone();
        stats.network.round_trip_ms =
            self.ways.ways.first().map(|way| way.round_trip_ms).or(stats.network.round_trip_ms);
        let glance = self.media.shown.look();
        let size = self.media.size();
        (stats.video.width, stats.video.height) = (size.width(), size.height());
        stats.video.freezes = u64::from(glance.freezes.count);
        stats.video.freeze_ms = glance.freezes.total.as_secs_f64() * 1e3;
        stats.stages_ms = glance.stages;
        (stats.audio.level_in, stats.audio.level_out) = self.media.levels();
        stats
    }

    /// Lets the devices go, waits until the legs have said good-bye, and adds everything up.
    pub(super) async fn end(self) -> CallReport {
        let Self { mut media, milestones, leaving, .. } = self;
        media.close_devices().await;
        for leg in leaving {
            // A leg that has panicked has said so in the log.
            let _ = leg.await;
        }
        let report = tokio::task::spawn_blocking(move || milestones.report(media)).await;
        report.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
