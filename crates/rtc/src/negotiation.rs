//! Perfect negotiation (W3C WebRTC section 10.7) as a state machine without I/O.
//!
//! The machine is told what happened through [`Input`]s and says what to do through [`Action`]s, which its owner
//! carries out in order, each to its end. It takes care that
//! - offers that cross resolve without either side's user noticing: one side takes its own back, explicitly, because
//!   the library refuses to do so by itself;
//! - candidates that overtake their description wait for it, and those of an ignored or replaced ICE generation go
//!   nowhere;
//! - several changes made at once cost one offer, and those made before the other side's first offer none, if that is agreed
//!   on: they are part of the answer;
//! - an answer keeps the DTLS role that was established first (RFC 8842 section 5.3), whatever the library writes.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::config::{FirstOffer, Politeness};
use crate::signal::{DescriptionKind, Signal};

/// How long changes are gathered before they are offered: the tracks and channels of a call are added one after the
/// other within microseconds.
const OFFER_DELAY: Duration = Duration::from_millis(1);
/// Candidates that wait for their description. A machine with many interfaces has a few dozen; when more come, the
/// oldest go, because a flood of them is not a peer.
const MAX_EARLY_CANDIDATES: usize = 64;
/// ICE generations remembered as past, so that their late candidates are recognised.
const MAX_PAST_GENERATIONS: usize = 8;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A track or channel was added or removed in a way that the other side must agree to.
    Changed,
    /// The owner wants a new path to the other side.
    RestartIce,
    /// The other side sent this.
    Remote(Signal),
    /// [`Action::Offer`] has been carried out; this is the offer.
    Offered {
        /// The offer as the library made it.
        sdp: String,
    },
    /// [`Action::Answer`] has been carried out; this is the answer.
    Answered {
        /// The answer as the library made it.
        sdp: String,
    },
    /// [`Action::Accept`] has been carried out.
    Accepted {
        /// The other side's answer.
        sdp: String,
    },
    /// [`Action::Answer`] failed: the other side's offer has no effect.
    OfferRefused,
    /// [`Action::Offer`] or [`Action::Accept`] failed: our offer has no effect.
    OfferFailed,
    /// The time of [`Negotiation::next_wakeup`] has come.
    Timeout,
}

/// What to do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create an offer and set it as the local description, then report [`Input::Offered`] or
    /// [`Input::OfferFailed`].
    Offer {
        /// Whether it asks for a new ICE generation.
        restart_ice: bool,
    },
    /// Take the local offer back.
    Rollback,
    /// Set the remote offer, create an answer and set it as the local description, then report [`Input::Answered`] or
    /// [`Input::OfferRefused`].
    Answer {
        /// The offer.
        sdp: String,
    },
    /// Set the remote answer, then report [`Input::Accepted`] or [`Input::OfferFailed`].
    Accept {
        /// The answer.
        sdp: String,
    },
    /// Add a remote candidate.
    AddCandidate(Signal),
    /// Send this to the other side.
    Send(Signal),
    /// An exchange is complete: codecs and payload types are settled.
    Settled,
}

/// Where the exchange stands (RFC 9429 section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Stable,
    /// [`Action::Offer`] is being carried out or its offer waits for an answer.
    Offering {
        restart_ice: bool,
    },
    /// The other side's offer, of this ICE generation, is being answered.
    Answering {
        generation: Option<String>,
    },
}

/// Who connects in DTLS (RFC 8842): fixed by the first answer for as long as the connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    Active,
    Passive,
}

impl Setup {
    fn of(sdp: &str) -> Option<Self> {
        attribute(sdp, "setup").and_then(|value| match value {
            "active" => Some(Setup::Active),
            "passive" => Some(Setup::Passive),
            _ => None,
        })
    }

    fn opposite(self) -> Self {
        match self {
            Setup::Active => Setup::Passive,
            Setup::Passive => Setup::Active,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
        }
    }
}

/// The state machine. See the module's description.
#[derive(Debug)]
pub struct Negotiation {
    politeness: Politeness,
    state: State,
    /// When to offer, if there is something to offer.
    offer_at: Option<MediaTime>,
    restart_wanted: bool,
    /// Whether the other side makes the first offer and has not done so yet.
    awaits_first: bool,
    /// Our side's role in DTLS, once established.
    setup: Option<Setup>,
    /// ICE generation of the other side's description in effect.
    remote_generation: Option<String>,
    past_generations: VecDeque<String>,
    early: VecDeque<Signal>,
    actions: VecDeque<Action>,
}

impl Negotiation {
    /// A machine before any exchange.
    pub fn new(politeness: Politeness, first_offer: FirstOffer) -> Self {
        Self {
            politeness,
            state: State::Stable,
            offer_at: None,
            restart_wanted: false,
            awaits_first: first_offer == FirstOffer::Theirs,
            setup: None,
            remote_generation: None,
            past_generations: VecDeque::new(),
            early: VecDeque::new(),
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, input: Input, now: MediaTime) {
        match input {
            Input::Changed => self.want_offer(now),
            Input::RestartIce => {
                self.restart_wanted = true;
                self.want_offer(now);
            }
            Input::Remote(Signal::Description { kind: DescriptionKind::Offer, sdp }) => {
                self.on_offer(sdp, now)
            }
            Input::Remote(Signal::Description { kind: DescriptionKind::Answer, sdp }) => self.on_answer(sdp),
            Input::Remote(candidate @ Signal::Candidate { .. }) => self.on_candidate(candidate),
            Input::Offered { sdp } => {
                self.actions
                    .push_back(Action::Send(Signal::Description { kind: DescriptionKind::Offer, sdp }));
            }
            Input::Answered { sdp } => self.on_answered(sdp, now),
            Input::Accepted { sdp } => self.on_accepted(&sdp, now),
            Input::OfferRefused => self.settle(now),
            Input::OfferFailed => {
                self.actions.push_back(Action::Rollback);
                self.settle(now);
            }
            Input::Timeout => {}
        }
        self.offer_when_due(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is to be given.
    pub fn next_wakeup(&self) -> Option<MediaTime> {
        match self.state {
            State::Stable if self.awaits_first => None,
            State::Stable => self.offer_at,
            State::Offering { .. } | State::Answering { .. } => None,
        }
    }

    fn want_offer(&mut self, now: MediaTime) {
        self.offer_at.get_or_insert(now + OFFER_DELAY);
    }

    fn offer_when_due(&mut self, now: MediaTime) {
        if self.next_wakeup().is_some_and(|at| at <= now) {
            self.offer_at = None;
            let restart_ice = std::mem::take(&mut self.restart_wanted);
            self.state = State::Offering { restart_ice };
            self.actions.push_back(Action::Offer { restart_ice });
        }
    }

    fn on_offer(&mut self, sdp: String, now: MediaTime) {
        if let State::Offering { restart_ice } = self.state {
            match self.politeness {
                Politeness::Impolite => {
                    // The other side takes its offer back and will answer ours. Its candidates wait: a browser answers
                    // with a new ICE generation, but others keep the one that they offered.
                    return;
                }
                Politeness::Polite => {
                    self.actions.push_back(Action::Rollback);
                    self.restart_wanted |= restart_ice;
                    self.want_offer(now);
                }
            }
        }
        self.state = State::Answering { generation: generation_of(&sdp) };
        self.actions.push_back(Action::Answer { sdp });
    }

    fn on_answered(&mut self, sdp: String, now: MediaTime) {
        let sdp = match self.setup {
            Some(setup) => with_setup(&sdp, setup),
            None => {
                self.setup = Setup::of(&sdp);
                sdp
            }
        };
        self.actions.push_back(Action::Send(Signal::Description { kind: DescriptionKind::Answer, sdp }));
        if std::mem::take(&mut self.awaits_first) {
            // It is in the answer. What is not, because the offer had no room for it, the library tells of again.
            self.offer_at = None;
        }
        if let State::Answering { generation } = &mut self.state {
            let generation = generation.take();
            self.enter_generation(generation);
        }
        self.settle(now);
    }

    fn on_answer(&mut self, sdp: String) {
        match self.state {
            State::Offering { .. } => self.actions.push_back(Action::Accept { sdp }),
            // The answer to an offer that has been taken back or was answered already.
            State::Stable | State::Answering { .. } => {}
        }
    }

    fn on_accepted(&mut self, sdp: &str, now: MediaTime) {
        if self.setup.is_none() {
            self.setup = Setup::of(sdp).map(Setup::opposite);
        }
        self.enter_generation(generation_of(sdp));
        self.settle(now);
    }

    fn settle(&mut self, now: MediaTime) {
        self.state = State::Stable;
        self.actions.push_back(Action::Settled);
        if self.restart_wanted {
            self.want_offer(now);
        }
    }

    fn on_candidate(&mut self, candidate: Signal) {
        let Signal::Candidate { ufrag, .. } = &candidate else { return };
        match (&self.remote_generation, ufrag) {
            (Some(_), None) => self.actions.push_back(Action::AddCandidate(candidate)),
            (Some(current), Some(ufrag)) if current == ufrag => {
                self.actions.push_back(Action::AddCandidate(candidate));
            }
            (_, Some(ufrag)) if self.past_generations.contains(ufrag) => {}
            (Some(_) | None, _) => {
                if self.early.len() == MAX_EARLY_CANDIDATES {
                    self.early.pop_front();
                }
                self.early.push_back(candidate);
            }
        }
    }

    fn enter_generation(&mut self, generation: Option<String>) {
        if generation != self.remote_generation {
            let past = std::mem::replace(&mut self.remote_generation, generation);
            if let Some(past) = past {
                self.early.retain(|early| !belongs_to(early, &past));
                if self.past_generations.len() == MAX_PAST_GENERATIONS {
                    self.past_generations.pop_front();
                }
                self.past_generations.push_back(past);
            }
        }
        for candidate in std::mem::take(&mut self.early) {
            self.on_candidate(candidate);
        }
    }
}

fn generation_of(sdp: &str) -> Option<String> {
    attribute(sdp, "ice-ufrag").map(str::to_owned)
}

fn belongs_to(candidate: &Signal, generation: &str) -> bool {
    matches!(candidate, Signal::Candidate { ufrag: Some(ufrag), .. } if ufrag == generation)
}

/// The value of the first `a=name:value` line of a description.
pub(crate) fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A description with its DTLS role replaced.
fn with_setup(sdp: &str, setup: Setup) -> String {
    sdp.split_inclusive('\n')
        .map(|line| match line.strip_prefix("a=setup:") {
            Some(value) => {
                let end = value.find(['\r', '\n']).unwrap_or(value.len());
                format!("a=setup:{}{}", setup.as_str(), &value[end..])
            }
            None => line.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
