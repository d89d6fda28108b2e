//! Connections beside calls, over which files go: what [`LinkMachine`] decides, carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ahoy_call::{LinkMachine, LinkState, LinksInput, LinksOutput, PeerId};
use ahoy_media_types::MediaClock;
use ahoy_signal::{LinkEnd, Presence, ServerMessage, UserId};
use tokio::sync::watch;

use super::Runner;
use super::legs::link_state;
use crate::calls::leg::{Carries, Leg, LegNews, LegPlan};
use crate::calls::wire::Outgoing;
use crate::transfers::{Person, Transfers};

/// All of them, where files can be sent at all.
pub(super) struct Beside {
    machine: LinkMachine,
    transfers: Transfers,
    legs: BTreeMap<UserId, (Leg, Outgoing)>,
    busy: watch::Receiver<BTreeSet<Person>>,
    /// With whom the machine knows that something is left to do.
    wanted: BTreeSet<UserId>,
    /// Who is in a call with this side, and connected.
    reached: BTreeSet<UserId>,
}

impl Beside {
    pub(super) fn new(transfers: Option<Transfers>) -> Option<Self> {
        let transfers = transfers?;
        let me: UserId = transfers.me().0.parse().ok()?;
        let machine = LinkMachine::new(me, LinkEnd::from_bits(rand::random()));
        let (legs, wanted, reached) = Default::default();
        let busy = transfers.busy();
        Some(Self { machine, transfers, legs, busy, wanted, reached })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    /// Waits until there is more or less to do.
    pub(super) async fn changed(&mut self) {
        if self.busy.changed().await.is_err() {
            std::future::pending().await
        }
    }

    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> + '_ {
        self.legs.values().map(|(leg, _)| leg)
    }

    fn user_of(&self, leg: u64) -> Option<UserId> {
        self.legs.iter().find(|(_, (of, _))| of.number == leg).map(|(user, _)| *user)
    }

    /// Those with whom something is left to do, but for those who are reached by a call.
    fn look(&mut self) -> Vec<LinksInput> {
        let busy = self.busy.borrow_and_update();
        let users = busy.iter().filter_map(|person| person.0.parse::<UserId>().ok());
        let wanted: BTreeSet<UserId> = users.filter(|user| !self.reached.contains(user)).collect();
        drop(busy);
        let news = wanted.symmetric_difference(&self.wanted);
        let inputs = news.map(|user| LinksInput::Wanted(*user, wanted.contains(user))).collect();
        self.wanted = wanted;
        inputs
    }
}

impl Runner {
    /// Looks with whom something is left to do. Who is in a call with this side is reached by that.
    pub(super) async fn look_beside(&mut self) {
        let legs = &self.legs;
        let Some(beside) = &mut self.beside else { return };
        beside.reached.retain(|user| legs.contains_key(&PeerId::User(*user)));
        for input in beside.look() {
            self.beside(input).await;
        }
    }

    /// Somebody is connected by a call, over which files go from now on.
    pub(super) async fn reached_by_call(&mut self, peer: PeerId) {
        if let (PeerId::User(user), Some(beside)) = (peer, &mut self.beside)
            && beside.reached.insert(user)
        {
            self.look_beside().await;
            self.beside(LinksInput::Reached(user)).await;
        }
    }

    /// What the server tells that matters here.
    pub(super) async fn hear_beside(&mut self, message: &ServerMessage) {
        let input = match message {
            ServerMessage::Link { from, end, at, said } => {
                LinksInput::Heard { from: from.user, end: *end, at: *at, said: said.clone() }
            }
            ServerMessage::Contact { contact } if contact.presence != Presence::Offline => {
                LinksInput::Online(contact.user)
            }
            _ => return,
        };
        self.beside(input).await;
    }

    /// Whether it was news of a connection beside calls.
    pub(super) async fn on_leg_beside(&mut self, number: u64, news: &mut Option<LegNews>) -> bool {
        let Some(user) = self.beside.as_ref().and_then(|beside| beside.user_of(number)) else { return false };
        match news.take() {
            Some(LegNews::Signal(signal)) => {
                let outgoing = self.beside.as_mut().and_then(|beside| beside.legs.get_mut(&user));
                match outgoing.map(|(_, outgoing)| outgoing.pack(signal)) {
                    Some(Ok(signal)) => self.beside(LinksInput::Signal(user, signal)).await,
                    Some(Err(error)) => tracing::warn!(%error, "a signal was not sent"),
                    None => {}
                }
            }
            Some(LegNews::State(state)) => {
                let state = link_state(state);
                self.beside(LinksInput::Link(user, state)).await;
            }
            _ => {}
        }
        true
    }

    pub(super) async fn beside(&mut self, input: LinksInput) {
        let Some(beside) = &mut self.beside else { return };
        beside.machine.handle(input, Instant::now());
        for output in beside.machine.take_outputs() {
            match output {
                LinksOutput::Ask(message) => self.ask_beside(message).await,
                LinksOutput::Open(user, offers) => self.open_beside(user, offers).await,
                LinksOutput::Deliver(user, signal) => {
                    if let Some((leg, _)) = self.beside.as_ref().and_then(|beside| beside.legs.get(&user)) {
                        leg.deliver(signal);
                    }
                }
                LinksOutput::Close(user) => {
                    if let Some((leg, _)) = self.beside.as_mut().and_then(|beside| beside.legs.remove(&user))
                    {
                        // It ends by itself.
                        drop(leg.close());
                    }
                }
            }
        }
    }

    async fn open_beside(&mut self, user: UserId, offers: bool) {
        self.ask_for_servers().await;
        let ways = self.ways();
        self.leg_number += 1;
        let peer = PeerId::User(user);
        let plan = LegPlan { peer, number: self.leg_number, offers, media: false, files: true, ways };
        let opened = Leg::open(plan, MediaClock::start(), self.leg_events.clone()).await;
        let Some(beside) = &mut self.beside else { return };
        match opened {
            Ok((leg, Carries { files, .. })) => {
                beside.legs.insert(user, (leg, Outgoing::default()));
                if let Some(files) = files {
                    beside.transfers.connected(&Person(user.to_string()), files);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no connection for files");
                let failed = LinksInput::Link(user, LinkState::Failed);
                Box::pin(self.beside(failed)).await;
            }
        }
    }
}
