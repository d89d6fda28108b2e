//! The protocol library, asked for one client: it keeps the client's allocation, permissions and channels, and forgets them
//! when they are over (RFC 8656 sections 7 to 12).
//!
//! Each client has a library of its own, so that looking things up does not take longer the more clients there are, and all of
//! a client is gone when it is. The library wants to check signatures by itself and to know all users in advance. The
//! door (`door.rs`) has checked them, against users that nobody can list; so requests are signed anew, for the one user that
//! this library knows, and nothing of that leaves the relay. It is told that all clients come over UDP: streams are cut into
//! messages before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use turn_server_proto::api::{SocketAllocateError, Transmit, TurnServerApi as _, TurnServerPollRet};
use turn_server_proto::server::TurnServer;
use turn_types::message::ALLOCATE;
use turn_types::stun::attribute::{Nonce, Realm, Username};
use turn_types::stun::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageWrite as _,
    MessageWriteExt as _, MessageWriteVec,
};
use turn_types::stun::prelude::Attribute as _;
use turn_types::{AddressFamily, TransportType};

use crate::answer;

/// The one user that the library knows, and what it takes itself for.
const USER: &str = "client";
const REALM: &str = "relay";
/// Where the library believes to listen: it asks only whether a message came here or to a relayed address, which this is none.
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
/// How long the library's own nonce is good: for longer than any client is there.
const NONCE_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// What lasts until a time is over after it: asked at that very time, the library wants to be asked again at once.
const A_MOMENT: Duration = Duration::from_millis(1);

/// The library does not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("the protocol library does not answer")]
pub(crate) struct EngineError;

/// What the library wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// A relayed address of this family.
    Open(AddressFamily),
    /// A relayed address is over.
    Close(SocketAddr),
    /// To be asked again then.
    Wait(Instant),
}

/// Data that a client wants to be passed on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// From which relayed address.
    pub(crate) relayed: SocketAddr,
    /// To whom.
    pub(crate) peer: SocketAddr,
    /// What.
    pub(crate) data: Vec<u8>,
}

/// The library, for one client.
#[derive(Debug)]
pub(crate) struct Engine {
    server: TurnServer,
    client: SocketAddr,
    key: IntegrityKey,
    nonce: String,
    begun: Instant,
}

impl Engine {
    /// For a new client.
    pub(crate) fn new(client: SocketAddr, now: Instant) -> Result<Self, EngineError> {
        let password = format!("{:032x}", rand::random::<u128>());
        let key = LongTermKeyCredentials::new(USER.into(), password.clone(), REALM.into())
            .make_key(IntegrityAlgorithm::Sha1);
        let mut server = TurnServer::new(TransportType::Udp, HERE, REALM.into());
        server.set_nonce_expiry_duration(NONCE_LIFETIME);
        server.add_user(USER.into(), password);
        let mut engine = Self { server, client, key, nonce: String::new(), begun: now };
        let question = Message::builder_request(ALLOCATE, MessageWriteVec::new()).finish();
        let answer = engine.hear(question, now).ok_or(EngineError)?;
        let message = Message::from_bytes(&answer).map_err(|_| EngineError)?;
        let nonce = message.attribute::<Nonce>().map_err(|_| EngineError)?;
        engine.nonce = nonce.nonce().to_owned();
        Ok(engine)
    }

    /// Performs a request. An allocation is answered later, once it has its relayed addresses.
    pub(crate) fn request(
        &mut self,
        request: &Message<'_>,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let request = self.signed_anew(request).map_err(|_| EngineError)?;
        Ok(self.hear(request, now))
    }

    fn signed_anew(
        &self,
        request: &Message<'_>,
    ) -> Result<Vec<u8>, turn_types::stun::message::StunWriteError> {
        let room = MessageWriteVec::with_capacity(request.as_bytes().len() + 128);
        let mut signed = Message::builder(request.get_type(), request.transaction_id(), room);
        let ours = |kind| {
            answer::is_authentication(kind)
                || kind == <Username as turn_types::stun::prelude::AttributeStaticType>::TYPE
        };
        for (_, attribute) in request.iter_attributes() {
            if !ours(attribute.get_type()) {
                signed.add_attribute(&attribute)?;
            }
        }
        signed.add_attribute(&Username::new(USER)?)?;
        signed.add_attribute(&Realm::new(REALM)?)?;
        signed.add_attribute(&Nonce::new(&self.nonce)?)?;
        signed.add_message_integrity_with_key(&self.key, IntegrityAlgorithm::Sha1)?;
        Ok(signed.finish())
    }

    fn hear(&mut self, message: Vec<u8>, now: Instant) -> Option<Vec<u8>> {
        let now = self.moment(now);
        let transmit = Transmit::new(message, TransportType::Udp, self.client, HERE);
        let answer = self.server.recv(transmit, now)?.build();
        (answer.to == self.client).then_some(answer.data)
    }

    /// What a client wants to be passed on, if it may.
    pub(crate) fn client_sends(&mut self, message: &[u8], now: Instant) -> Option<Outgoing> {
        let now = self.moment(now);
        let transmit = Transmit::new(message, TransportType::Udp, self.client, HERE);
        let out = self.server.recv(transmit, now)?.build();
        (out.from != HERE).then_some(Outgoing { relayed: out.from, peer: out.to, data: out.data })
    }

    /// What the client is told of a datagram that came to its relayed address, if it wants to hear of it.
    pub(crate) fn peer_sends(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        data: &[u8],
        now: Instant,
    ) -> Option<Vec<u8>> {
        let now = self.moment(now);
        let transmit = Transmit::new(data, TransportType::Udp, peer, relayed);
        self.server.recv(transmit, now).map(|out| out.build().data)
    }

    /// What is to be done next.
    pub(crate) fn want(&mut self, now: Instant) -> Want {
        loop {
            match self.server.poll(self.moment(now)) {
                TurnServerPollRet::AllocateSocket { family, .. } => return Want::Open(family),
                TurnServerPollRet::SocketClose { listen_addr, .. } => return Want::Close(listen_addr),
                TurnServerPollRet::WaitUntil(at) => {
                    let nanos = u64::try_from(at.as_nanos()).unwrap_or(0);
                    return Want::Wait(self.begun + Duration::from_nanos(nanos) + A_MOMENT);
                }
                // There are no allocations of this kind: the door lets none through.
                TurnServerPollRet::TcpConnect { .. } | TurnServerPollRet::TcpClose { .. } => {}
            }
        }
    }

    /// The relayed addresses that were asked for, by family, or why there are none; the answer to the client.
    pub(crate) fn opened(
        &mut self,
        mut addresses: Vec<(AddressFamily, Result<SocketAddr, SocketAllocateError>)>,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let now = self.moment(now);
        // The library forgets the client where the last of them is an error.
        addresses.sort_by_key(|(_, address)| address.is_ok());
        for (family, address) in addresses {
            let udp = TransportType::Udp;
            self.server.allocated_socket(udp, HERE, self.client, udp, family, address, now);
        }
        self.server.poll_transmit(now).map(|answer| answer.data)
    }

    fn moment(&self, now: Instant) -> turn_types::Instant {
        let nanos = now.saturating_duration_since(self.begun).as_nanos();
        turn_types::Instant::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}
