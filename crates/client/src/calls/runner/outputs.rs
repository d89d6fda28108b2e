//! What the machines decide, carried out.

use std::time::Instant;

use ahoy_call::{Output, PeerId, RoomCall};
use ahoy_signal::{CallId, ClientMessage};

use super::{Over, Runner, wait_for};
use crate::calls::CallsEvent;
use crate::calls::active::Active;
use crate::calls::leg::{Carries, Leg, LegPlan};
use crate::calls::report::CallReport;
use crate::problem::{Problem, ProblemCode};
use crate::transfers::Person;

impl Runner {
    /// Does what the machines want, and tells what has changed.
    pub(super) async fn carry_out(&mut self) {
        let of_room = self.room.as_mut().map_or_else(Vec::new, RoomCall::take_outputs);
        for output in self.machine.take_outputs().into_iter().chain(of_room) {
            match output {
                Output::Ask(message) => self.ask(message).await,
                Output::BeginMedia { camera } => self.begin_media(camera).await,
                Output::EndMedia => self.over = self.active.take(),
                Output::OpenLeg { peer, offers } => self.open_leg(peer, offers).await,
                Output::CloseLeg { peer } => self.close_leg(peer).await,
                Output::Deliver { peer, signal } => self.with_leg(peer, |leg| leg.deliver(signal)),
                Output::RestartIce { peer } => self.with_leg(peer, Leg::restart_ice),
                Output::Tell { peer, message } => self.with_leg(peer, |leg| leg.tell(message)),
                Output::View { peer, view } => {
                    if let Some(active) = &self.active {
                        active.set_viewer(peer, view);
                    }
                }
                Output::Hold(on) => {
                    if let Some(active) = &mut self.active {
                        active.media.hold(on);
                    }
                }
                Output::Rings(call) => {
                    let snapshot = self.machine.snapshot(Instant::now());
                    if let Some(ringing) = snapshot.incoming.into_iter().find(|known| known.call == call) {
                        self.tell(CallsEvent::Rings(Box::new(ringing))).await;
                    }
                }
                Output::Over(record) => self.is_over(Over::Call(record)).await,
            }
        }
        self.tell_changes().await;
    }

    async fn ask(&mut self, message: ClientMessage) {
        let (call, room) = match &message {
            ClientMessage::RoomSignal { .. } => (None, self.room.as_ref().map(RoomCall::room)),
            _ => (call_of(&message), None),
        };
        self.last_post += 1;
        let post = self.last_post;
        match self.signaling.post(room, message, post).await {
            Ok(()) => self.asked.extend(call.map(|call| (post, call))),
            // The session is over; the machine's deadlines end what depends on it.
            Err(error) => tracing::debug!(%error, "the session is over"),
        }
    }

    /// About connections beside calls: whether it was done shows in what the other side says.
    pub(super) async fn ask_beside(&mut self, message: ClientMessage) {
        self.last_post += 1;
        // The session is over; so is this.
        let _ = self.signaling.post(None, message, self.last_post).await;
    }

    fn with_leg(&self, peer: PeerId, act: impl FnOnce(&Leg)) {
        if let Some(leg) = self.legs.get(&peer) {
            act(leg);
        }
    }

    async fn begin_media(&mut self, camera: bool) {
        self.ask_for_servers().await;
        // A camera belongs to one call at a time.
        self.await_end().await;
        match Active::start(self.options.media.clone(), camera) {
            Ok(active) => {
                let state = active.media.state();
                self.active = Some(active);
                // Nothing is connected yet, so nothing can be wrong with it.
                let _ = self.set_media(state);
            }
            Err(error) => self.can_not_call(error.to_string()).await,
        }
    }

    async fn open_leg(&mut self, peer: PeerId, offers: bool) {
        let ways = self.ways();
        let Some(active) = &mut self.active else { return };
        self.leg_number += 1;
        let files = self.options.transfers.is_some() && person(peer).is_some();
        let plan = LegPlan { peer, number: self.leg_number, offers, media: true, files, ways };
        match Leg::open(plan, active.media.clock, self.leg_events.clone()).await {
            Ok((leg, Carries { tracks, files })) => {
                if let Some(tracks) = tracks {
                    active.send_on(peer, tracks);
                }
                self.legs.insert(peer, leg);
                if let (Some(transfers), Some(files), Some(person)) =
                    (&self.options.transfers, files, person(peer))
                {
                    transfers.connected(&person, files);
                }
            }
            Err(error) => self.can_not_call(error.to_string()).await,
        }
    }

    /// This machine can't take part in a call: it ends.
    async fn can_not_call(&mut self, reason: String) {
        tracing::error!(reason, "no call can be made");
        let problem = Problem::new(ProblemCode::CallFailed, reason);
        if let Some(active) = &mut self.active {
            active.media.problems.push(problem.clone());
        }
        self.tell(CallsEvent::Failed(Box::new(problem))).await;
        let _ = Box::pin(self.hang_up()).await;
    }

    async fn close_leg(&mut self, peer: PeerId) {
        if let Some(leg) = self.legs.remove(&peer)
            && let Some(active) = &mut self.active
        {
            active.milestones.stats = leg.stats().await;
            active.await_leaving(leg.close());
        }
    }

    /// A call or a room is over. Its end is told when its devices are let go.
    pub(super) async fn is_over(&mut self, over: Over) {
        match self.over.take() {
            Some(active) => self.ending = Some(tokio::spawn(async move { (over, active.end().await) })),
            None => self.tell_over(over, None).await,
        }
    }

    async fn tell_over(&mut self, over: Over, report: Option<Box<CallReport>>) {
        let event = match over {
            Over::Call(record) => CallsEvent::Ended(Box::new(record.into()), report),
            Over::Room(room, end) => CallsEvent::RoomEnded(room, end, report),
        };
        self.tell(event).await;
    }

    /// Waits until the devices of a call that is over are let go.
    pub(super) async fn await_end(&mut self) {
        if self.ending.is_some() {
            let ended = wait_for(&mut self.ending).await;
            self.on_ended(ended).await;
        }
    }

    pub(super) async fn on_ended(&mut self, ended: Option<(Over, CallReport)>) {
        self.ending = None;
        if let Some((over, report)) = ended {
            self.tell_over(over, Some(Box::new(report))).await;
        }
    }
}

/// Who it is for good; guests are somebody else each time.
fn person(peer: PeerId) -> Option<Person> {
    match peer {
        PeerId::User(user) => Some(Person(user.to_string())),
        PeerId::Participant(_) => None,
    }
}

/// Which call a request is about.
fn call_of(message: &ClientMessage) -> Option<CallId> {
    match message {
        ClientMessage::Call { call, .. }
        | ClientMessage::CallAccept { call }
        | ClientMessage::CallDecline { call, .. }
        | ClientMessage::CallHangUp { call }
        | ClientMessage::CallSignal { call, .. } => Some(*call),
        _ => None,
    }
}
