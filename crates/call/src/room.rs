//! Talking to everybody who is in a room, as one device sees it: a leg to each of them.
//!
//! Who is there, the room itself tells; so nobody calls and nobody answers. Between two participants whoever has the lower id
//! offers (docs/signaling.md, rooms). A participant who is gone from the room may only have lost their way to the server:
//! while packets come from them, their leg stays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ahoy_signal::{CallSignal, ClientMessage, ParticipantId, RoomId, UserId};
use serde::Serialize;

use crate::control::{Control, MediaState, View};
use crate::events::{Output, PeerId};
use crate::leg::{Due, Leg, Link, LinkState};
use crate::snapshot::LegSnapshot;

/// How long is waited before a participant to whom no way was found is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What a device is told of a room.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomInput {
    /// It is in the room, for the first time or again, with these others.
    Entered {
        /// Who it is there.
        me: ParticipantId,
        /// The others.
        others: Vec<(ParticipantId, UserId)>,
    },
    /// Somebody came.
    Came(ParticipantId, UserId),
    /// Somebody is not in the room any more.
    Went(ParticipantId),
    /// Nothing is heard of the room any more, for good: its server is gone.
    ServerGone,
    /// Somebody says this, through the server.
    Signal {
        /// Who.
        from: ParticipantId,
        /// About which connection.
        connection: u32,
        /// What.
        signal: CallSignal,
    },
    /// The connection of a leg is now like this.
    Link {
        /// Whose leg.
        peer: PeerId,
        /// How it is.
        state: LinkState,
    },
    /// This side of a leg has something to tell the other side.
    LocalSignal {
        /// Whose leg.
        peer: PeerId,
        /// What.
        signal: CallSignal,
    },
    /// The other side says this, over the leg.
    Control {
        /// Whose leg.
        peer: PeerId,
        /// What.
        message: Control,
    },
    /// Time has passed: [`RoomCall::deadline`].
    Tick,
}

/// What is shown of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomCallSnapshot {
    /// Which room.
    pub room: RoomId,
    /// Whether this side has put the others on hold.
    pub held: bool,
    /// The others.
    pub legs: Vec<LegSnapshot>,
}

#[derive(Debug)]
struct Other {
    user: UserId,
    leg: Leg,
    /// Counted by whoever offers; 0 where nothing was heard of it yet.
    connection: u32,
    /// Not in the room any more, as far as the server knows.
    went: bool,
    /// When to begin anew.
    again_at: Option<Instant>,
}

impl Other {
    fn begin_anew(&mut self, now: Instant) {
        self.leg = Leg::new(self.leg.offers);
        self.leg.answered(now);
        self.again_at = None;
    }
}

/// A room in which one talks. See the module's description.
#[derive(Debug)]
pub struct RoomCall {
    room: RoomId,
    me: Option<ParticipantId>,
    others: BTreeMap<ParticipantId, Other>,
    held: bool,
    /// Nobody can come any more.
    server_gone: bool,
    media_here: Option<MediaState>,
    out: Vec<Output>,
}

impl RoomCall {
    /// Begins with the devices; legs follow when one has entered.
    pub fn new(room: RoomId, camera: bool) -> Self {
        let out = vec![Output::BeginMedia { camera }];
        let others = BTreeMap::new();
        Self { room, me: None, others, held: false, server_gone: false, media_here: None, out }
    }

    /// Which room.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// Whether nobody is there, nor can come.
    pub fn is_over(&self) -> bool {
        self.server_gone && self.others.is_empty()
    }

    /// When [`RoomInput::Tick`] is to be given.
    pub fn deadline(&self) -> Option<Instant> {
        self.others.values().flat_map(|other| [other.leg.deadline(), other.again_at]).flatten().min()
    }

    /// Takes what is to be done, in order. [`Output::Ask`] is to be asked in the room.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// What is shown.
    pub fn snapshot(&self) -> RoomCallSnapshot {
        let legs =
            self.others.iter().map(|(id, other)| LegSnapshot::of(PeerId::Participant(*id), &other.leg));
        RoomCallSnapshot { room: self.room, held: self.held, legs: legs.collect() }
    }

    /// Says good-bye and ends. Leaving the room itself is asked for apart.
    pub fn leave(&mut self) {
        self.tell_all(&Control::HangUp {});
        for (id, _) in std::mem::take(&mut self.others) {
            self.out.push(Output::CloseLeg { peer: PeerId::Participant(id) });
        }
        self.out.push(Output::EndMedia);
    }

    /// Puts the others on hold, or goes on.
    pub fn hold(&mut self, on: bool) {
        if self.held != on {
            self.held = on;
            self.out.push(Output::Hold(on));
            self.tell_all(&Control::Hold { on });
        }
    }

    /// Microphone or camera went on or off.
    pub fn set_media(&mut self, media: MediaState) {
        self.media_here = Some(media);
        self.tell_all(&Control::Media { media });
    }

    /// The pictures of one participant are shown in this size, or not at all. They are told where that is news to them.
    pub fn set_view(&mut self, peer: PeerId, view: Option<View>) {
        let message = self.other(peer).and_then(|(_, other)| other.leg.set_view(view));
        self.out.extend(message.map(|message| Output::Tell { peer, message }));
    }

    /// Takes in what happens.
    pub fn handle(&mut self, input: RoomInput, now: Instant) {
        match input {
            RoomInput::Entered { me, others } => self.on_entered(me, &others, now),
            RoomInput::Came(id, user) => self.on_came(id, user, now),
            RoomInput::Went(id) => self.on_went(id),
            RoomInput::ServerGone => self.on_server_gone(),
            RoomInput::Signal { from, connection, signal } => self.on_signal(from, connection, signal, now),
            RoomInput::Link { peer, state } => self.on_link(peer, state, now),
            RoomInput::LocalSignal { peer, signal } => self.on_local_signal(peer, signal),
            RoomInput::Control { peer, message } => self.on_control(peer, message),
            RoomInput::Tick => self.on_tick(now),
        }
    }

    fn on_entered(&mut self, me: ParticipantId, others: &[(ParticipantId, UserId)], now: Instant) {
        if self.me.replace(me).is_some_and(|before| before != me) {
            // For everybody else this is somebody new.
            let gone: Vec<ParticipantId> = self.others.keys().copied().collect();
            gone.into_iter().for_each(|id| self.close(id));
        }
        let gone: Vec<ParticipantId> =
            self.others.keys().copied().filter(|id| others.iter().all(|(other, _)| other != id)).collect();
        gone.into_iter().for_each(|id| self.on_went(id));
        for (id, user) in others {
            self.on_came(*id, *user, now);
        }
    }

    fn on_came(&mut self, id: ParticipantId, user: UserId, now: Instant) {
        if self.me.is_none_or(|me| me == id) {
            return;
        }
        if let Some(known) = self.others.get_mut(&id) {
            known.went = false;
            return;
        }
        // Who comes back as somebody new has left their old place for good.
        let before: Vec<ParticipantId> = self
            .others
            .iter()
            .filter(|(_, other)| other.went && other.user == user)
            .map(|(id, _)| *id)
            .collect();
        before.into_iter().for_each(|id| self.close(id));
        let offers = self.me.is_some_and(|me| me < id);
        let mut leg = Leg::new(offers);
        leg.answered(now);
        let connection = u32::from(offers);
        self.others.insert(id, Other { user, leg, connection, went: false, again_at: None });
        self.out.push(Output::OpenLeg { peer: PeerId::Participant(id), offers });
    }

    fn on_signal(&mut self, from: ParticipantId, connection: u32, signal: CallSignal, now: Instant) {
        let Some(other) = self.others.get_mut(&from) else { return };
        let peer = PeerId::Participant(from);
        if !other.leg.offers && connection > other.connection {
            // The leg that was opened when they came is for the first.
            if other.connection != 0 {
                other.begin_anew(now);
                self.out.push(Output::OpenLeg { peer, offers: false });
            }
            other.connection = connection;
        }
        if connection == other.connection {
            self.out.push(Output::Deliver { peer, signal });
        }
    }

    fn on_went(&mut self, id: ParticipantId) {
        let Some(other) = self.others.get_mut(&id) else { return };
        other.went = true;
        if !other.leg.is_connected() {
            self.close(id);
        }
    }

    /// Whoever is heard stays for as long as that is so.
    fn on_server_gone(&mut self) {
        self.server_gone = true;
        let all: Vec<ParticipantId> = self.others.keys().copied().collect();
        all.into_iter().for_each(|id| self.on_went(id));
    }

    fn close(&mut self, id: ParticipantId) {
        if self.others.remove(&id).is_some() {
            self.out.push(Output::CloseLeg { peer: PeerId::Participant(id) });
        }
    }

    fn on_link(&mut self, peer: PeerId, state: LinkState, now: Instant) {
        let Some((id, other)) = self.other(peer) else { return };
        let came = other.leg.on_link(state, now);
        let lost = other.went && !other.leg.is_connected();
        let view = other.leg.view();
        if came {
            if let Some(media) = self.media_here {
                self.out.push(Output::Tell { peer, message: Control::Media { media } });
            }
            self.out.extend(view.map(|message| Output::Tell { peer, message }));
            if self.held {
                self.out.push(Output::Tell { peer, message: Control::Hold { on: true } });
            }
        }
        if lost {
            self.close(id);
        }
        self.on_tick(now);
    }

    fn on_local_signal(&mut self, peer: PeerId, signal: CallSignal) {
        let Some((to, other)) = self.other(peer) else { return };
        if other.went {
            self.out.push(Output::Tell { peer, message: Control::Signal { signal } });
        } else {
            let connection = other.connection;
            self.out.push(Output::Ask(ClientMessage::RoomSignal { to, connection, signal }));
        }
    }

    fn on_control(&mut self, peer: PeerId, message: Control) {
        let Some((id, other)) = self.other(peer) else { return };
        match message {
            Control::HangUp {} => self.close(id),
            Control::Hold { on } => other.leg.held_there = on,
            Control::Media { media } => other.leg.media_there = Some(media),
            Control::View { view } => self.out.push(Output::View { peer, view }),
            Control::Signal { signal } => self.out.push(Output::Deliver { peer, signal }),
        }
    }

    fn on_tick(&mut self, now: Instant) {
        let ids: Vec<ParticipantId> = self.others.keys().copied().collect();
        for id in ids {
            let peer = PeerId::Participant(id);
            let Some(other) = self.others.get_mut(&id) else { continue };
            if other.again_at.is_some_and(|at| now >= at) {
                other.connection += 1;
                other.begin_anew(now);
                self.out.push(Output::OpenLeg { peer, offers: true });
                continue;
            }
            match other.leg.on_tick(now) {
                Due::Nothing => {}
                Due::RestartIce => self.out.push(Output::RestartIce { peer }),
                Due::NoConnection | Due::ConnectionLost if other.went => self.close(id),
                // They are in the room, so there is hope. Whoever offers begins anew.
                Due::NoConnection | Due::ConnectionLost => {
                    other.leg.link = Link::Connecting { until: None };
                    other.again_at = other.leg.offers.then_some(now + TRY_AGAIN);
                }
            }
        }
    }

    fn other(&mut self, peer: PeerId) -> Option<(ParticipantId, &mut Other)> {
        let PeerId::Participant(id) = peer else { return None };
        self.others.get_mut(&id).map(|other| (id, other))
    }

    fn tell_all(&mut self, message: &Control) {
        let connected = self.others.iter().filter(|(_, other)| other.leg.is_connected());
        self.out.extend(
            connected
                .map(|(id, _)| Output::Tell { peer: PeerId::Participant(*id), message: message.clone() }),
        );
    }
}
