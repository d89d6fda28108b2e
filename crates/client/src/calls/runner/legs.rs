//! What legs report.

use ahoy_call::{Input, LinkState, RoomInput};
use ahoy_rtc::{ConnectionState, Policy};

use super::Runner;
use crate::calls::leg::{LegEvent, LegNews};

impl Runner {
    pub(super) async fn on_leg(&mut self, event: LegEvent) {
        let LegEvent { peer, number, news } = event;
        let mut news = Some(news);
        if self.on_leg_beside(number, &mut news).await {
            return;
        }
        let Some(news) = news else { return };
        if self.legs.get(&peer).is_none_or(|leg| leg.number != number) {
            return;
        }
        match news {
            LegNews::Signal(signal) => match self.outgoing.pack(signal) {
                Ok(signal) => {
                    self.handle_room(RoomInput::LocalSignal { peer, signal: signal.clone() }).await;
                    self.handle(Input::LocalSignal { peer, signal }).await;
                }
                Err(error) => tracing::warn!(%error, "a signal was not sent"),
            },
            LegNews::State(state) => {
                let state = link_state(state);
                if state == LinkState::Connected {
                    self.reached_by_call(peer).await;
                }
                self.handle_room(RoomInput::Link { peer, state }).await;
                self.handle(Input::Link { peer, state }).await;
            }
            LegNews::Phase(phase, at) => {
                if let Some(active) = &mut self.active {
                    active.milestones.phase(phase, at);
                }
            }
            LegNews::Path(path) => {
                if let Some(active) = &mut self.active {
                    active.milestones.path = Some(path);
                }
            }
            LegNews::Ways(view) => {
                let relay_only = self.options.policy == Policy::RelayOnly && self.servers.are_known();
                if let Some(active) = &mut self.active {
                    active.see_ways(&view, relay_only);
                }
            }
            LegNews::Track(track) => {
                if let Some(active) = &mut self.active {
                    active.receive(peer, track);
                }
            }
            LegNews::Control(message) => {
                self.handle_room(RoomInput::Control { peer, message: message.clone() }).await;
                self.handle(Input::Control { peer, message }).await;
            }
        }
    }
}

pub(super) fn link_state(state: ConnectionState) -> LinkState {
    match state {
        ConnectionState::New | ConnectionState::Connecting => LinkState::Connecting,
        ConnectionState::Connected => LinkState::Connected,
        ConnectionState::Disconnected => LinkState::Disconnected,
        ConnectionState::Failed | ConnectionState::Closed => LinkState::Failed,
    }
}
