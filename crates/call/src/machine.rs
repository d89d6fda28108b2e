//! Decides what becomes of calls on this device.

mod session;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ahoy_signal::{CallEnd, CallId, CallMedia, CallPeer, CallSignal, ClientMessage, ErrorCode};

use crate::control::{Control, MediaState};
use crate::current::{Current, Recall, Stage};
use crate::events::{Command, CommandError, Input, Outcome, Output, PeerId};
use crate::incoming::Incoming;
use crate::leg::{Due, Leg, LinkState};
use crate::snapshot::{CallRecord, CallSnapshot, Direction};

/// How long the server may take to answer what was asked of it, reconnecting included.
const ASK_PATIENCE: Duration = Duration::from_secs(30);
/// How much longer than the server says something rings here: its word comes first.
const GRACE: Duration = Duration::from_secs(3);
/// Time between two attempts to call them again.
const RECALL_EVERY: Duration = Duration::from_secs(1);
/// Calls that are over and may still be heard of.
const SETTLED_MOST: usize = 8;

/// All calls of a device. See the crate's description.
#[derive(Debug, Default)]
pub struct CallMachine {
    current: Option<Current>,
    incoming: Vec<Incoming>,
    media_here: Option<MediaState>,
    /// What became of the last calls that are not to ring here again.
    settled: VecDeque<(CallId, Outcome)>,
    out: Vec<Output>,
}

impl CallMachine {
    /// When [`Input::Tick`] is to be given.
    pub fn deadline(&self) -> Option<Instant> {
        let ringing = self.incoming.iter().map(Incoming::deadline);
        let current = self.current.iter().flat_map(|current| {
            let recall = current.recall.and_then(|recall| recall.at);
            current
                .stage
                .until()
                .into_iter()
                .chain(recall)
                .chain(current.legs.values().filter_map(Leg::deadline))
        });
        ringing.chain(current).min()
    }

    /// Takes what is to be done, in order.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// Does what the user wants.
    ///
    /// # Errors
    /// [`CommandError`]; then nothing has changed.
    pub fn command(&mut self, command: Command, now: Instant) -> Result<(), CommandError> {
        match command {
            Command::Call { call, peer, media } => self.call(call, peer, media, now)?,
            Command::Accept { call, media } => self.accept(call, media, now)?,
            Command::Decline { call } => {
                let incoming = self.take_incoming(call).ok_or(CommandError::NotRinging)?;
                self.ask(ClientMessage::CallDecline { call, busy: false });
                self.rang(incoming, Outcome::DeclinedHere, now);
            }
            Command::HangUp => self.hang_up(now)?,
            Command::Hold(on) => {
                let current = self.answered_mut().ok_or(CommandError::NoCall)?;
                if current.held != on {
                    current.held = on;
                    self.out.push(Output::Hold(on));
                    self.tell_all(&Control::Hold { on });
                }
            }
            Command::SetMedia(media) => {
                self.media_here = Some(media);
                self.tell_all(&Control::Media { media });
            }
            Command::SetView { peer, view } => {
                let leg = self.current.as_mut().and_then(|current| current.legs.get_mut(&peer));
                if let Some(message) = leg.and_then(|leg| leg.set_view(view)) {
                    self.out.push(Output::Tell { peer, message });
                }
            }
        }
        Ok(())
    }

    /// Takes in what happens.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::SessionBegan { calls } => self.on_session(calls, now),
            Input::Refused { call, code } => self.on_refused(call, code, now),
            Input::Ringing { call, timeout } => {
                if let Some(current) = self.current.as_mut().filter(|current| current.call == call)
                    && matches!(current.stage, Stage::Calling { .. } | Stage::Ringing { .. })
                {
                    current.stage = Stage::Ringing { until: now + timeout + GRACE };
                }
            }
            Input::Incoming { call, from, media, timeout } => {
                self.on_incoming(call, from, media, timeout, now)
            }
            Input::Answered { call, peer, offers } => self.on_answered(call, peer, offers, now),
            Input::Signal { call, signal } => {
                if let Some(current) = self.current.as_ref().filter(|current| current.call == call) {
                    self.deliver(PeerId::User(current.peer.user), signal);
                }
            }
            Input::Ended { call, reason } => self.on_ended(call, reason, now),
            Input::Link { peer, state } => self.on_link(peer, state, now),
            Input::LocalSignal { peer, signal } => self.on_local_signal(peer, signal),
            Input::Control { peer, message } => self.on_control(peer, message, now),
            Input::Tick => self.on_tick(now),
        }
    }

    /// What is shown.
    pub fn snapshot(&self, now: Instant) -> CallSnapshot {
        CallSnapshot {
            current: self.current.as_ref().map(|current| current.snapshot(now)),
            incoming: self.incoming.iter().map(Incoming::snapshot).collect(),
        }
    }

    fn call(
        &mut self,
        call: CallId,
        peer: CallPeer,
        media: CallMedia,
        now: Instant,
    ) -> Result<(), CommandError> {
        if self.current.is_some() {
            return Err(CommandError::InCall);
        }
        self.ask(ClientMessage::Call { call, to: peer.user, media });
        let stage = Stage::Calling { until: now + ASK_PATIENCE };
        // The offer is on its way while it rings: with the answer, both sides know all they need.
        self.begin(call, peer, Direction::Outgoing, media, stage, true, now);
        Ok(())
    }

    fn accept(&mut self, call: CallId, media: CallMedia, now: Instant) -> Result<(), CommandError> {
        let incoming = self.take_incoming(call).ok_or(CommandError::NotRinging)?;
        if self.current.is_some() {
            self.hang_up(now)?;
        }
        self.ask(ClientMessage::CallAccept { call });
        let stage = Stage::Accepting { until: now + ASK_PATIENCE };
        self.begin(call, incoming.peer, Direction::Incoming, media, stage, false, incoming.began);
        if let Some(current) = &mut self.current {
            // A server that has forgotten the call may hear of it again from its caller.
            current.recall = incoming.forgotten.map(|until| Recall { until, at: None });
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one call")]
    fn begin(
        &mut self,
        call: CallId,
        peer: CallPeer,
        direction: Direction,
        media: CallMedia,
        stage: Stage,
        offers: bool,
        began: Instant,
    ) {
        let leg = PeerId::User(peer.user);
        let legs = BTreeMap::from([(leg, Leg::new(offers))]);
        let (held, server_knows) = (false, true);
        let recall = None;
        self.current =
            Some(Current { call, peer, direction, media, began, stage, legs, held, server_knows, recall });
        self.out.push(Output::BeginMedia { camera: media == CallMedia::Video });
        self.out.push(Output::OpenLeg { peer: leg, offers });
    }

    fn hang_up(&mut self, now: Instant) -> Result<(), CommandError> {
        let current = self.current.as_ref().ok_or(CommandError::NoCall)?;
        let call = current.call;
        let outcome = match current.stage {
            Stage::Calling { .. } | Stage::Ringing { .. } => Outcome::Cancelled,
            Stage::Accepting { .. } | Stage::Answered { .. } => Outcome::HungUpHere,
        };
        self.tell_all(&Control::HangUp {});
        self.ask(ClientMessage::CallHangUp { call });
        self.end(outcome, now);
        Ok(())
    }

    /// Ends the current call.
    fn end(&mut self, outcome: Outcome, now: Instant) {
        let Some(current) = self.current.take() else { return };
        if current.held {
            self.out.push(Output::Hold(false));
        }
        self.out.extend(current.legs.keys().map(|peer| Output::CloseLeg { peer: *peer }));
        self.out.push(Output::EndMedia);
        self.over(current.into_record(outcome, now));
    }

    fn over(&mut self, record: CallRecord) {
        // A missed call may ring again: its caller tries a server that has restarted.
        if record.outcome != Outcome::Missed {
            if self.settled.len() == SETTLED_MOST {
                self.settled.pop_front();
            }
            self.settled.push_back((record.call, record.outcome));
        }
        self.out.push(Output::Over(record));
    }

    /// A call that rang here does so no longer.
    fn rang(&mut self, incoming: Incoming, outcome: Outcome, now: Instant) {
        self.over(incoming.into_record(outcome, now));
    }

    fn on_refused(&mut self, call: CallId, code: ErrorCode, now: Instant) {
        let Some(current) = self.current.as_mut().filter(|current| current.call == call) else { return };
        let comes_back = current.recall.as_ref().is_some_and(|recall| now < recall.until);
        if let Some(recall) = current.recall.as_mut().filter(|_| comes_back && code == ErrorCode::Offline) {
            recall.at = Some(now + RECALL_EVERY);
            return;
        }
        let outcome = match (current.stage, code) {
            (Stage::Answered { .. }, ErrorCode::NoSuchCall | ErrorCode::Busy | ErrorCode::Offline) => {
                current.server_knows = false;
                return;
            }
            (Stage::Answered { .. }, _) => return,
            (Stage::Calling { .. } | Stage::Ringing { .. }, ErrorCode::Busy) => Outcome::Busy,
            (Stage::Calling { .. } | Stage::Ringing { .. }, ErrorCode::Offline) => Outcome::Offline,
            // A candidate that came when the server had restarted; the call is asked for again.
            (Stage::Calling { .. } | Stage::Ringing { .. }, ErrorCode::NoSuchCall) => return,
            (Stage::Accepting { .. }, ErrorCode::NoSuchCall) if comes_back => return,
            (Stage::Accepting { .. }, ErrorCode::NoSuchCall) => Outcome::Missed,
            (Stage::Accepting { .. }, ErrorCode::Busy) => {
                // Another device of this user is in a call. The caller is told, instead of ringing on.
                self.ask(ClientMessage::CallDecline { call, busy: true });
                Outcome::Refused { code }
            }
            (Stage::Calling { .. } | Stage::Ringing { .. } | Stage::Accepting { .. }, code) => {
                Outcome::Refused { code }
            }
        };
        self.end(outcome, now);
    }

    fn on_incoming(
        &mut self,
        call: CallId,
        from: CallPeer,
        media: CallMedia,
        timeout: Duration,
        now: Instant,
    ) {
        let until = now + timeout + GRACE;
        if let Some(known) = self.incoming.iter_mut().find(|incoming| incoming.call == call) {
            (known.until, known.forgotten) = (until, None);
            return;
        }
        if self.current.as_ref().is_some_and(|current| current.call == call) {
            // A server that has restarted lets it ring again while it is being taken.
            return self.ask(ClientMessage::CallAccept { call });
        }
        match self.settled.iter().find(|(settled, _)| *settled == call) {
            // It is over by this user's will, and the server that was told so has forgotten it.
            Some((_, Outcome::DeclinedHere | Outcome::HungUpHere | Outcome::Refused { .. })) => {
                return self.ask(ClientMessage::CallDecline { call, busy: false });
            }
            Some(_) => return,
            None => {}
        }
        self.incoming.push(Incoming { call, peer: from, media, began: now, until, forgotten: None });
        self.out.push(Output::Rings(call));
    }

    fn on_answered(&mut self, call: CallId, peer: CallPeer, offers: bool, now: Instant) {
        let Some(current) = &mut self.current else { return self.ask(ClientMessage::CallHangUp { call }) };
        let in_it = matches!(current.stage, Stage::Answered { .. });
        if current.peer.user != peer.user || in_it && current.call != call {
            // Given up in the meantime.
            return self.ask(ClientMessage::CallHangUp { call });
        }
        // Where both called, the other's call is the one.
        (current.call, current.peer, current.server_knows, current.recall) = (call, peer, true, None);
        if !in_it {
            current.stage = Stage::Answered { at: now };
        }
        let id = PeerId::User(current.peer.user);
        let leg = current.legs.entry(id).or_insert_with(|| Leg::new(!offers));
        // Whoever called again did so with a new leg.
        if leg.offers != offers || in_it && !offers {
            *leg = Leg::new(offers);
            self.out.push(Output::OpenLeg { peer: id, offers });
        }
        leg.answered(now);
        // It has rung here as well, where both called.
        self.take_incoming(call);
    }

    fn on_ended(&mut self, call: CallId, reason: CallEnd, now: Instant) {
        if let Some(incoming) = self.take_incoming(call) {
            let outcome = match reason {
                CallEnd::AnsweredElsewhere => Outcome::AnsweredElsewhere,
                CallEnd::DeclinedElsewhere => Outcome::DeclinedElsewhere,
                CallEnd::HungUp
                | CallEnd::Cancelled
                | CallEnd::Declined
                | CallEnd::Busy
                | CallEnd::TimedOut
                | CallEnd::PeerGone
                | CallEnd::Merged => Outcome::Missed,
            };
            return self.rang(incoming, outcome, now);
        }
        let Some(current) = self.current.as_mut().filter(|current| current.call == call) else { return };
        let outcome = match reason {
            CallEnd::HungUp => Outcome::HungUpThere,
            CallEnd::Cancelled => Outcome::Missed,
            CallEnd::Declined => Outcome::Declined,
            CallEnd::Busy => Outcome::Busy,
            CallEnd::TimedOut if current.direction == Direction::Outgoing => Outcome::NoAnswer,
            CallEnd::TimedOut => Outcome::Missed,
            CallEnd::AnsweredElsewhere => Outcome::AnsweredElsewhere,
            CallEnd::DeclinedElsewhere => Outcome::DeclinedElsewhere,
            CallEnd::PeerGone => {
                // Their session is over, but whether media flow is for the leg to see.
                current.server_knows = false;
                current.legs.values_mut().for_each(|leg| leg.gone = true);
                if matches!(current.stage, Stage::Answered { .. }) {
                    return;
                }
                Outcome::ConnectionLost
            }
            // Told after the answer, with which the call has another id.
            CallEnd::Merged => return,
        };
        self.end(outcome, now);
    }

    fn on_link(&mut self, peer: PeerId, state: LinkState, now: Instant) {
        let Some(current) = &mut self.current else { return };
        let Some(leg) = current.legs.get_mut(&peer) else { return };
        if leg.on_link(state, now) {
            leg.gone = false;
            if let Some(media) = self.media_here {
                self.out.push(Output::Tell { peer, message: Control::Media { media } });
            }
            self.out.extend(leg.view().map(|message| Output::Tell { peer, message }));
            if current.held {
                self.out.push(Output::Tell { peer, message: Control::Hold { on: true } });
            }
        }
        self.on_tick(now);
    }

    fn on_local_signal(&mut self, peer: PeerId, signal: CallSignal) {
        let Some(current) = &self.current else { return };
        if current.server_knows {
            let call = current.call;
            self.ask(ClientMessage::CallSignal { call, signal });
        } else {
            self.out.push(Output::Tell { peer, message: Control::Signal { signal } });
        }
    }

    fn on_control(&mut self, peer: PeerId, message: Control, now: Instant) {
        let Some(current) = &mut self.current else { return };
        let Some(leg) = current.legs.get_mut(&peer) else { return };
        match message {
            Control::HangUp {} => {
                // Where the other side can't tell the server, it hears it from here.
                let call = current.call;
                self.ask(ClientMessage::CallHangUp { call });
                self.end(Outcome::HungUpThere, now);
            }
            Control::Hold { on } => leg.held_there = on,
            Control::Media { media } => leg.media_there = Some(media),
            Control::View { view } => self.out.push(Output::View { peer, view }),
            Control::Signal { signal } => self.deliver(peer, signal),
        }
    }

    fn on_tick(&mut self, now: Instant) {
        let (over, ringing) = std::mem::take(&mut self.incoming)
            .into_iter()
            .partition(|incoming: &Incoming| now >= incoming.deadline());
        self.incoming = ringing;
        for incoming in over {
            self.rang(incoming, Outcome::Missed, now);
        }
        let Some(current) = &mut self.current else { return };
        let (late, outcome) = match current.stage {
            Stage::Calling { until } => (now >= until, Outcome::NoServer),
            Stage::Accepting { until } => (now >= until, Outcome::Missed),
            Stage::Ringing { until } => (now >= until, Outcome::NoAnswer),
            Stage::Answered { .. } => (false, Outcome::ConnectionLost),
        };
        if late {
            let call = current.call;
            self.ask(ClientMessage::CallHangUp { call });
            return self.end(outcome, now);
        }
        if let Some(Recall { until, at: Some(at) }) = current.recall
            && now >= at
        {
            self.call_again(now, until);
        }
        let Some(current) = &mut self.current else { return };
        let mut ended = None;
        for (peer, leg) in &mut current.legs {
            match leg.on_tick(now) {
                Due::Nothing => {}
                Due::RestartIce => self.out.push(Output::RestartIce { peer: *peer }),
                Due::NoConnection => ended = Some(Outcome::NoConnection),
                Due::ConnectionLost => ended = Some(Outcome::ConnectionLost),
            }
        }
        if let Some(outcome) = ended {
            let call = current.call;
            self.ask(ClientMessage::CallHangUp { call });
            self.end(outcome, now);
        }
    }

    fn deliver(&mut self, peer: PeerId, signal: CallSignal) {
        if self.current.as_ref().is_some_and(|current| current.legs.contains_key(&peer)) {
            self.out.push(Output::Deliver { peer, signal });
        }
    }

    fn tell_all(&mut self, message: &Control) {
        let Some(current) = &self.current else { return };
        let connected = current.legs.iter().filter(|(_, leg)| leg.is_connected());
        self.out.extend(connected.map(|(peer, _)| Output::Tell { peer: *peer, message: message.clone() }));
    }

    fn ask(&mut self, message: ClientMessage) {
        self.out.push(Output::Ask(message));
    }

    fn take_incoming(&mut self, call: CallId) -> Option<Incoming> {
        let place = self.incoming.iter().position(|incoming| incoming.call == call)?;
        Some(self.incoming.remove(place))
    }

    fn answered_mut(&mut self) -> Option<&mut Current> {
        self.current.as_mut().filter(|current| matches!(current.stage, Stage::Answered { .. }))
    }
}
