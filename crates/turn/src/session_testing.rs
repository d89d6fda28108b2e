//! A client that signs its requests, and a house to knock at.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use turn_types::attribute::RequestedTransport;
use turn_types::message::ALLOCATE;
use turn_types::stun::attribute::{ErrorCode, Nonce, Realm, Username};
use turn_types::stun::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageWrite as _,
    MessageWriteExt as _, MessageWriteVec, Method,
};

use super::{House, Output, Session, Turned};
use crate::credentials::{Credentials, Secret};
use crate::door::{Door, Knock};
use crate::moment::Moment;
use crate::policy::PeerPolicy;
use crate::ports::Ports;
use crate::quota::{Limits, Quotas};

pub(crate) const REALM: &str = "ahoy.example";
pub(crate) const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5_000);
/// When tests begin.
pub(crate) const START_S: u64 = 1_000_000;
pub(crate) const LIMITS: Limits = Limits {
    allocations_per_user: 12,
    allocations: 100,
    allocation_bytes_per_s: 100_000,
    user_bytes_per_s: 1_000_000,
};

/// So many seconds after tests begin.
pub(crate) fn moment(after_s: u64) -> Moment {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment { at: *BEGUN + std::time::Duration::from_secs(after_s), unix_s: START_S + after_s }
}

/// A client with credentials.
pub(crate) struct Knocker {
    credentials: Credentials,
    key: IntegrityKey,
}

impl Knocker {
    /// When its credentials expire, after tests begin.
    pub(crate) const EXPIRES_S: u64 = 300;

    pub(crate) fn new(secret: Secret) -> Self {
        Self::of("ada", secret)
    }

    pub(crate) fn of(user: &str, secret: Secret) -> Self {
        let credentials = secret.issue(user, START_S + Self::EXPIRES_S);
        let (username, password) = (credentials.username.clone(), credentials.password.clone());
        let key =
            LongTermKeyCredentials::new(username, password, REALM.into()).make_key(IntegrityAlgorithm::Sha1);
        Self { credentials, key }
    }

    pub(crate) fn unsigned(&self, method: Method) -> Vec<u8> {
        Message::builder_request(method, MessageWriteVec::new()).finish()
    }

    /// A request with a nonce of the time, and a transport where it asks for an allocation.
    pub(crate) fn signed(
        &self,
        door: &Door,
        method: Method,
        after_s: u64,
        change: impl Fn(&mut MessageWriteVec),
    ) -> Vec<u8> {
        self.signed_bare(door, method, after_s, &|request: &mut MessageWriteVec| {
            if method == ALLOCATE {
                request.add_attribute(&RequestedTransport::new(RequestedTransport::UDP)).unwrap();
            }
            change(request);
        })
    }

    pub(crate) fn signed_bare(
        &self,
        door: &Door,
        method: Method,
        after_s: u64,
        change: &dyn Fn(&mut MessageWriteVec),
    ) -> Vec<u8> {
        let mut request = Message::builder_request(method, MessageWriteVec::new());
        change(&mut request);
        request.add_attribute(&Username::new(&self.credentials.username).unwrap()).unwrap();
        request.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
        request.add_attribute(&Nonce::new(&door.nonce(CLIENT, moment(after_s))).unwrap()).unwrap();
        request.add_message_integrity_with_key(&self.key, IntegrityAlgorithm::Sha1).unwrap();
        request.finish()
    }

    /// That an answer has the signature of whoever knows the password, and tells nothing of how the relay works inside.
    pub(crate) fn believes(&self, answer: &[u8]) {
        let message = Message::from_bytes(answer).unwrap();
        message.validate_integrity_with_key(&self.key).expect("a good signature");
        assert!(message.attribute::<Nonce>().is_err() && message.attribute::<Realm>().is_err());
    }
}

/// The error that an answer tells.
pub(crate) fn answer_code(answer: &[u8]) -> Option<u16> {
    let message = Message::from_bytes(answer).unwrap();
    message.attribute::<ErrorCode>().ok().map(|error| error.code())
}

/// A house whose address is 9.9.9.9, and somebody who has credentials for it.
pub(crate) fn house(limits: Limits) -> (Arc<House>, Knocker) {
    let secret = Secret::new("north");
    let policy = PeerPolicy {
        allow: Vec::new(),
        external: vec![IpAddr::from([9, 9, 9, 9])],
        local: vec![IpAddr::from([10, 0, 0, 5])],
        listening: vec![SocketAddr::from(([10, 0, 0, 5], 3_478))],
        relay_ports: 49_152..=65_535,
    };
    let house = House {
        door: Door::new(secret.clone(), REALM.into()),
        policy,
        quotas: Quotas::new(limits),
        ports: Ports::new(49_152..=65_535),
    };
    (Arc::new(house), Knocker::new(secret))
}

/// Begins a session with a request that is good.
pub(crate) fn begin(
    house: &Arc<House>,
    request: &[u8],
    now: Moment,
    out: &mut Vec<Output>,
) -> Result<Session, Turned> {
    match house.door.look(request, CLIENT, now) {
        Knock::Request(request) => Session::begin(house.clone(), CLIENT, &request, now, out),
        Knock::Answered(answer, _) => panic!("{:?}", answer_code(&answer)),
        Knock::Data | Knock::Ignored(_) => panic!("no request"),
    }
}
