//! Decides for one client with an allocation: what is answered, whom it reaches, and when it is over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use turn_server_proto::api::SocketAllocateError;
use turn_types::AddressFamily;
use turn_types::attribute::{ChannelNumber, EvenPort};
use turn_types::stun::attribute::ErrorCode;
use turn_types::stun::message::{IntegrityKey, TransactionId};
use turn_types::stun::prelude::AttributeStaticType as _;

use crate::answer::{self, AnswerError};
use crate::door::{Door, Ignored, Knock, Method, Request};
use crate::engine::{Engine, EngineError, Outgoing, Want};
use crate::measure::{self, Dropped, Flows};
use crate::moment::Moment;
use crate::permits::{Permits, Unpermitted};
use crate::policy::{PeerPolicy, Verdict};
use crate::ports::Ports;
use crate::quota::{NoPlace, Place, Quotas, Way};

/// What all sessions ask.
#[derive(Debug)]
pub(crate) struct House {
    /// Who may come in.
    pub(crate) door: Door,
    /// Whom they may reach.
    pub(crate) policy: PeerPolicy,
    /// How much they may have.
    pub(crate) quotas: Arc<Quotas>,
    /// The ports that allocations have.
    pub(crate) ports: Arc<Ports>,
}

/// What a session wants done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// To be told to the client.
    ToClient(Vec<u8>),
    /// To be sent from a relayed address.
    ToPeer(Outgoing),
    /// Relayed addresses of these families: [`Session::opened`] takes them. At even ports, where that is asked for (RFC 8656
    /// section 7.2).
    Open {
        /// Of which families.
        families: Vec<AddressFamily>,
        /// Whether at even ports only.
        even: bool,
    },
    /// A relayed address is over.
    Close(SocketAddr),
    /// The client has no allocation any more.
    Over,
}

/// A request that makes no session.
#[derive(Debug)]
pub(crate) struct Turned {
    /// What is answered; nothing where that can't be written.
    pub(crate) answer: Option<Vec<u8>>,
}

/// One client with an allocation, or on the way to one.
#[derive(Debug)]
pub(crate) struct Session {
    house: Arc<House>,
    engine: Engine,
    client: SocketAddr,
    username: String,
    key: IntegrityKey,
    place: Place,
    permits: Permits,
    /// The request that made the allocation, and what was answered: it comes again where the answer was lost.
    allocated: (TransactionId, Vec<u8>),
    relayed: Vec<SocketAddr>,
    wakes: Instant,
    flows: Flows,
}

fn turned(request: &Request<'_>, code: u16) -> Turned {
    measure::refused(code);
    Turned { answer: told(request.error(code)) }
}

fn told(answer: Result<Vec<u8>, AnswerError>) -> Option<Vec<u8>> {
    answer.inspect_err(|error| tracing::debug!(%error, "a client is not answered")).ok()
}

impl Session {
    /// Begins with a request for an allocation.
    pub(crate) fn begin(
        house: Arc<House>,
        client: SocketAddr,
        request: &Request<'_>,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<Self, Turned> {
        let place = house.quotas.take(request.user()).map_err(|full| match full {
            NoPlace::OfUser => turned(request, ErrorCode::ALLOCATION_QUOTA_REACHED),
            NoPlace::OfAll => turned(request, ErrorCode::INSUFFICIENT_CAPACITY),
        })?;
        let broken = |_: EngineError| turned(request, ErrorCode::SERVER_ERROR);
        let mut engine = Engine::new(client, now.at).map_err(broken)?;
        if let Some(refusal) = engine.request(&request.message, now.at).map_err(broken)? {
            let answer = told(answer::signed_for_client(&refusal, &request.key));
            measure::refused(ErrorCode::BAD_REQUEST);
            return Err(Turned { answer });
        }
        let mut families = Vec::new();
        let wakes = loop {
            match engine.want(now.at) {
                Want::Open(family) => families.push(family),
                Want::Close(_) => {}
                Want::Wait(at) => break at,
            }
        };
        if families.is_empty() {
            return Err(turned(request, ErrorCode::SERVER_ERROR));
        }
        let even = request.message.has_attribute(EvenPort::TYPE);
        out.push(Output::Open { families, even });
        Ok(Self {
            house,
            engine,
            client,
            username: request.username.clone(),
            key: request.key.clone(),
            place,
            permits: Permits::default(),
            allocated: (request.message.transaction_id(), Vec::new()),
            relayed: Vec::new(),
            wakes,
            flows: Flows::default(),
        })
    }

    /// The relayed addresses that were wanted, as clients and their peers know them, or why there are none.
    pub(crate) fn opened(
        &mut self,
        addresses: Vec<(AddressFamily, Result<SocketAddr, SocketAllocateError>)>,
        now: Moment,
        out: &mut Vec<Output>,
    ) {
        self.relayed = addresses.iter().filter_map(|(_, address)| address.ok()).collect();
        if self.relayed.is_empty() {
            for (_, address) in &addresses {
                measure::refused(address.map_or_else(SocketAllocateError::into_error_code, |_| 0));
            }
        }
        let answer = self.engine.opened(addresses, now.at);
        if let Some(answer) = answer.and_then(|answer| told(answer::signed_for_client(&answer, &self.key))) {
            self.allocated.1.clone_from(&answer);
            out.push(Output::ToClient(answer));
        }
        self.settle(now, out);
    }

    /// When time itself is something that happens.
    pub(crate) fn deadline(&self) -> Instant {
        self.wakes
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Moment, out: &mut Vec<Output>) {
        self.settle(now, out);
    }

    /// The client says something.
    pub(crate) fn on_client(&mut self, message: &[u8], now: Moment, out: &mut Vec<Output>) {
        let house = self.house.clone();
        match house.door.look(message, self.client, now) {
            Knock::Answered(answer, code) => {
                if let Some(code) = code {
                    measure::refused(code);
                }
                out.push(Output::ToClient(answer));
            }
            Knock::Request(request) => {
                let answer = match self.decide(&request, now) {
                    Ok(()) => self.ask_engine(&request, now),
                    Err(Denied::Again) => Some(self.allocated.1.clone()),
                    Err(Denied::Error(code)) => turned(&request, code).answer,
                };
                out.extend(answer.map(Output::ToClient));
                self.settle(now, out);
            }
            Knock::Data => self.on_data(message, now, out),
            Knock::Ignored(Ignored::Malformed | Ignored::OutOfPlace | Ignored::Unanswerable) => {
                measure::dropped(Dropped::Malformed);
            }
        }
    }

    /// Whether the protocol library is to perform a request.
    fn decide(&mut self, request: &Request<'_>, now: Moment) -> Result<(), Denied> {
        // RFC 8656 section 5: all requests of an allocation have one username.
        if request.username != self.username {
            return Err(Denied::Error(ErrorCode::WRONG_CREDENTIALS));
        }
        match request.method {
            Method::Allocate if request.message.transaction_id() == self.allocated.0 => Err(Denied::Again),
            Method::Allocate => Err(Denied::Error(ErrorCode::ALLOCATION_MISMATCH)),
            Method::Refresh => Ok(()),
            Method::CreatePermission => {
                let policy = &self.house.policy;
                if request.peers().any(|peer| policy.address(peer.ip()) == Verdict::Closed) {
                    return Err(Denied::Error(ErrorCode::FORBIDDEN));
                }
                Ok(self.permits.permit(request.peers().map(|peer| peer.ip()), now.at)?)
            }
            Method::ChannelBind => {
                let channel = request.message.attribute::<ChannelNumber>();
                let (Ok(channel), Some(peer)) = (channel, request.peers().next()) else {
                    return Err(Denied::Error(ErrorCode::BAD_REQUEST));
                };
                if request.peers().any(|peer| self.house.policy.peer(peer) == Verdict::Closed) {
                    return Err(Denied::Error(ErrorCode::FORBIDDEN));
                }
                Ok(self.permits.bind(channel.channel(), peer, now.at)?)
            }
        }
    }

    fn ask_engine(&mut self, request: &Request<'_>, now: Moment) -> Option<Vec<u8>> {
        match self.engine.request(&request.message, now.at) {
            Ok(answer) => told(answer::signed_for_client(&answer?, &self.key)),
            Err(error) => {
                tracing::error!(%error, "a request is not performed");
                turned(request, ErrorCode::SERVER_ERROR).answer
            }
        }
    }

    fn on_data(&mut self, message: &[u8], now: Moment, out: &mut Vec<Output>) {
        let Some(outgoing) = self.engine.client_sends(message, now.at) else {
            return measure::dropped(Dropped::Unpermitted);
        };
        if !self.lets_pass(outgoing.peer) {
            return measure::dropped(Dropped::Forbidden);
        }
        if !self.place.lets_pass(Way::Out, outgoing.data.len(), now.at) {
            return measure::dropped(Dropped::TooFast);
        }
        self.flows.count(Way::Out, outgoing.data.len());
        out.push(Output::ToPeer(outgoing));
    }

    /// A datagram came from a peer to a relayed address.
    pub(crate) fn on_peer(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        data: &[u8],
        now: Moment,
        out: &mut Vec<Output>,
    ) {
        if !self.lets_pass(peer) {
            return measure::dropped(Dropped::Forbidden);
        }
        let Some(message) = self.engine.peer_sends(relayed, peer, data, now.at) else {
            return measure::dropped(Dropped::Unpermitted);
        };
        if !self.place.lets_pass(Way::In, data.len(), now.at) {
            return measure::dropped(Dropped::TooFast);
        }
        self.flows.count(Way::In, data.len());
        out.push(Output::ToClient(message));
    }

    fn lets_pass(&self, peer: SocketAddr) -> bool {
        self.house.policy.lets_pass(peer, || self.house.ports.is_open(peer))
    }

    /// What the protocol library wants after something has happened.
    fn settle(&mut self, now: Moment, out: &mut Vec<Output>) {
        loop {
            match self.engine.want(now.at) {
                Want::Close(address) => {
                    self.relayed.retain(|relayed| *relayed != address);
                    out.push(Output::Close(address));
                }
                Want::Open(_) => {}
                Want::Wait(at) => break self.wakes = at,
            }
        }
        if self.relayed.is_empty() {
            out.push(Output::Over);
        }
    }
}

/// Why a request is not performed.
enum Denied {
    /// It was performed before, and is answered as it was.
    Again,
    /// It is refused with this code.
    Error(u16),
}

impl From<Unpermitted> for Denied {
    fn from(unpermitted: Unpermitted) -> Self {
        match unpermitted {
            Unpermitted::Full => Self::Error(ErrorCode::INSUFFICIENT_CAPACITY),
            Unpermitted::Taken => Self::Error(ErrorCode::BAD_REQUEST),
        }
    }
}

#[cfg(test)]
#[path = "session_testing.rs"]
pub(crate) mod testing;
#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
