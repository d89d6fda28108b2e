//! The door: answers whatever needs no memory, and tells who stands before it. Nobody who has not shown credentials is
//! remembered, so a flood of made-up addresses leaves nothing behind.

use std::net::SocketAddr;

use turn_types::attribute::{DontFragment, EvenPort, RequestedTransport, ReservationToken, XorPeerAddress};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};
use turn_types::stun::attribute::{
    AttributeType, ErrorCode, Fingerprint, MessageIntegrity, MessageIntegritySha256, Nonce, Realm, Username,
};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageClass,
};
use turn_types::stun::prelude::{Attribute as _, AttributeStaticType as _};

use crate::answer::{self, AnswerError};
use crate::credentials::{Claim, Secret};
use crate::frame::Kind;
use crate::moment::Moment;
use crate::nonce::Nonces;

/// Longest request in bytes: the longest username, realm and nonce (RFC 8489 section 14) make about 2,100, and real ones have
/// some hundred.
pub(crate) const REQUEST_LONGEST: usize = 2_400;

/// What is asked for with credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A relayed address.
    Allocate,
    /// To keep it, or to give it back.
    Refresh,
    /// To reach addresses.
    CreatePermission,
    /// To reach one address and port with less overhead.
    ChannelBind,
}

/// A request with a good signature.
pub(crate) struct Request<'a> {
    /// The request.
    pub(crate) message: Message<'a>,
    /// What is asked for.
    pub(crate) method: Method,
    /// By whom, as in the credentials.
    pub(crate) username: String,
    /// Signs the answer.
    pub(crate) key: IntegrityKey,
}

impl Request<'_> {
    /// Whose credentials these are, across all that were made for the same user.
    pub(crate) fn user(&self) -> &str {
        Claim::read(&self.username).map_or("", |claim| claim.user)
    }

    /// An error that the client believes.
    pub(crate) fn error(&self, code: u16) -> Result<Vec<u8>, AnswerError> {
        answer::error(&self.message, code, Some(&self.key))
    }

    /// Where it wants to reach.
    pub(crate) fn peers(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let id = self.message.transaction_id();
        let attributes =
            self.message.iter_attributes().filter(|(_, raw)| raw.get_type() == XorPeerAddress::TYPE);
        attributes.filter_map(move |(_, raw)| {
            let peer = XorPeerAddress::try_from(&raw).ok()?;
            Some(peer.addr(id))
        })
    }
}

/// Why something is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// It is no STUN, or breaks its rules.
    Malformed,
    /// An answer, or something that only servers say.
    OutOfPlace,
    /// The answer can't be written.
    Unanswerable,
}

/// What a message from a client is.
pub(crate) enum Knock<'a> {
    /// This answers it, and nothing else is to be done. The code, where it is an error.
    Answered(Vec<u8>, Option<u16>),
    /// A request with a good signature.
    Request(Box<Request<'a>>),
    /// Something to be passed on, by whoever has an allocation.
    Data,
    /// Nothing to be answered.
    Ignored(Ignored),
}

impl Knock<'_> {
    fn answered(answer: Result<Vec<u8>, AnswerError>, code: Option<u16>) -> Self {
        match answer {
            Ok(answer) => Self::Answered(answer, code),
            Err(error) => {
                tracing::debug!(%error, "a request is not answered");
                Self::Ignored(Ignored::Unanswerable)
            }
        }
    }
}

/// Looks at what clients say.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    secret: Secret,
    realm: String,
    nonces: Nonces,
}

impl Door {
    /// A door for those whose credentials were made with this secret.
    pub(crate) fn new(secret: Secret, realm: String) -> Self {
        Self { secret, realm, nonces: Nonces::random() }
    }

    /// A nonce that a client may sign with.
    pub(crate) fn nonce(&self, client: SocketAddr, now: Moment) -> String {
        self.nonces.issue(client, now.unix_s)
    }

    /// Says what a message from a client is.
    pub(crate) fn look<'a>(&self, bytes: &'a [u8], client: SocketAddr, now: Moment) -> Knock<'a> {
        match bytes.first().and_then(|first| Kind::of(*first)) {
            Some(Kind::Channel) => return Knock::Data,
            Some(Kind::Stun) => {}
            None => return Knock::Ignored(Ignored::Malformed),
        }
        let Ok(message) = Message::from_bytes(bytes) else { return Knock::Ignored(Ignored::Malformed) };
        match message.class() {
            MessageClass::Request if bytes.len() > REQUEST_LONGEST => Knock::Ignored(Ignored::Malformed),
            MessageClass::Request => self.request(message, client, now),
            MessageClass::Indication if message.method() == SEND => Knock::Data,
            // A binding indication keeps the way through an address translation open (RFC 8489 section 5).
            MessageClass::Indication | MessageClass::Success | MessageClass::Error => {
                Knock::Ignored(Ignored::OutOfPlace)
            }
        }
    }

    fn request<'a>(&self, message: Message<'a>, client: SocketAddr, now: Moment) -> Knock<'a> {
        let method = match message.method() {
            BINDING => return binding(&message, client),
            ALLOCATE => Method::Allocate,
            REFRESH => Method::Refresh,
            CREATE_PERMISSION => Method::CreatePermission,
            CHANNEL_BIND => Method::ChannelBind,
            // TCP allocations (RFC 6062) and whatever else there may be.
            _ => {
                let code = ErrorCode::BAD_REQUEST;
                return Knock::answered(answer::error(&message, code, None), Some(code));
            }
        };
        let challenge = |code: u16| {
            let nonce = self.nonce(client, now);
            Knock::answered(answer::challenge(&message, code, &self.realm, &nonce), Some(code))
        };
        // In the order of RFC 8489 section 9.2.4.
        if !message.has_attribute(MessageIntegrity::TYPE)
            && !message.has_attribute(MessageIntegritySha256::TYPE)
        {
            return challenge(ErrorCode::UNAUTHORIZED);
        }
        let (nonce, username) = (message.attribute::<Nonce>(), message.attribute::<Username>());
        let (Ok(nonce), Ok(username), true) = (nonce, username, message.has_attribute(Realm::TYPE)) else {
            let code = ErrorCode::BAD_REQUEST;
            return Knock::answered(answer::error(&message, code, None), Some(code));
        };
        if !self.nonces.accepts(nonce.nonce(), client, now.unix_s) {
            return challenge(ErrorCode::STALE_NONCE);
        }
        let username = username.username().to_owned();
        let password = self.secret.password(&username);
        let credentials = LongTermKeyCredentials::new(username.clone(), password, self.realm.clone());
        let key = credentials.make_key(IntegrityAlgorithm::Sha1);
        let signed = message.validate_integrity_with_key(&key).is_ok();
        // What was allocated while the credentials were good stays good for as long as it is refreshed.
        let good = match Claim::read(&username) {
            Ok(claim) => method != Method::Allocate || !claim.has_expired(now.unix_s),
            Err(_) => false,
        };
        if !signed || !good {
            return challenge(ErrorCode::UNAUTHORIZED);
        }
        let request = Request { message, method, username, key };
        match unsupported(&request) {
            Some((answer, code)) => Knock::answered(answer, Some(code)),
            None => Knock::Request(Box::new(request)),
        }
    }
}

fn binding<'a>(message: &Message<'_>, client: SocketAddr) -> Knock<'a> {
    let known = |kind: AttributeType| kind == Fingerprint::TYPE || answer::is_authentication(kind);
    match not_understood(message, known) {
        unknown if unknown.is_empty() => Knock::answered(answer::binding(message, client), None),
        unknown => {
            let code = ErrorCode::UNKNOWN_ATTRIBUTE;
            Knock::answered(answer::unknown(message, &unknown, None), Some(code))
        }
    }
}

/// What a request says that the relay must understand and does not (RFC 8489 section 14).
fn not_understood(message: &Message<'_>, known: impl Fn(AttributeType) -> bool) -> Vec<AttributeType> {
    let kinds = message.iter_attributes().map(|(_, attribute)| attribute.get_type());
    kinds.filter(|kind| kind.comprehension_required() && !known(*kind)).collect()
}

/// The answer to what this relay does not offer, although others do, and its code.
fn unsupported(request: &Request<'_>) -> Option<(Result<Vec<u8>, AnswerError>, u16)> {
    if request.method != Method::Allocate {
        return None;
    }
    let message = &request.message;
    // Datagrams are sent on as they are, and whether they may be cut is not passed on (RFC 8656 section 7.2).
    if message.has_attribute(DontFragment::TYPE) {
        let answer = answer::unknown(message, &[DontFragment::TYPE], Some(&request.key));
        return Some((answer, ErrorCode::UNKNOWN_ATTRIBUTE));
    }
    let reserves = message.attribute::<EvenPort>().is_ok_and(|even| even.requested());
    let code = match message.attribute::<RequestedTransport>() {
        Ok(transport) if transport.protocol() != RequestedTransport::UDP => {
            ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL
        }
        // Pairs of ports are for RTP beside RTCP, which have gone over one port since RFC 5761.
        Ok(_) if reserves || message.has_attribute(ReservationToken::TYPE) => {
            ErrorCode::INSUFFICIENT_CAPACITY
        }
        Ok(_) => return None,
        Err(_) => ErrorCode::BAD_REQUEST,
    };
    Some((request.error(code), code))
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
