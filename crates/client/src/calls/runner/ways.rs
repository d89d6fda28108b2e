//! What legs need to know to find their way: servers that help, and news of the network.

use std::time::{Duration, Instant};

use ahoy_signal::{ClientMessage, ServerMessage};
use ahoy_signal_client::session::RequestError;

use super::Runner;
use super::beside::Beside;
use crate::calls::leg::Ways;
use crate::connectivity::{NetworkNews, NetworkWatch};

impl Runner {
    /// The ways that a leg may take which is opened now.
    pub(super) fn ways(&self) -> Ways {
        Ways {
            bind: self.options.bind.clone(),
            servers: self.servers.list().to_vec(),
            policy: self.options.policy,
            tunnel: self.tunnel.clone(),
            tls: self.tls.clone(),
            uplink: self.uplink.clone(),
        }
    }

    /// Asks for ICE servers, where those that are known will not do much longer.
    pub(super) async fn ask_for_servers(&mut self) {
        let now = Instant::now();
        if !self.servers.should_ask(now) {
            return;
        }
        self.servers.asked(now);
        self.last_post += 1;
        self.servers_asked = Some(self.last_post);
        if let Err(error) = self.signaling.post(None, ClientMessage::IceServers {}, self.last_post).await {
            tracing::debug!(%error, "the session is over");
        }
    }

    pub(super) fn on_servers(&mut self, answer: Result<ServerMessage, RequestError>) {
        match answer {
            Ok(ServerMessage::IceServers { servers, expires_in_s }) => {
                let expires_in = Duration::from_secs(expires_in_s.into());
                if self.servers.answered(&servers, expires_in, Instant::now()) {
                    let known = self.servers.list();
                    self.legs.values().for_each(|leg| leg.set_ice_servers(known.to_vec()));
                    let beside = self.beside.iter().flat_map(Beside::legs);
                    beside.for_each(|leg| leg.set_ice_servers(known.to_vec()));
                }
            }
            Ok(other) => tracing::warn!(kind = other.kind(), "the server answers with something else"),
            // An older server knows of none; calls go where they can. One that wants to be asked later may know some.
            Err(RequestError::Refused(refusal)) if refusal.retry_after_ms.is_none() => {
                tracing::debug!(%refusal, "no ICE servers");
                self.servers.refused();
            }
            Err(error) => tracing::debug!(%error, "no ICE servers yet"),
        }
    }
}

/// Waits until something has happened to the network.
pub(super) async fn news_of(network: &mut Option<NetworkWatch>) -> NetworkNews {
    match network {
        Some(network) => network.news().await,
        None => std::future::pending().await,
    }
}
