//! What the relay answers by itself.

use turn_types::stun::attribute::{
    AttributeType, ErrorCode, Fingerprint, MessageIntegrity, MessageIntegritySha256, Nonce,
    PasswordAlgorithm, PasswordAlgorithms, Realm, UnknownAttributes, XorMappedAddress,
};
use turn_types::stun::message::{
    IntegrityAlgorithm, IntegrityKey, Message, MessageWrite as _, MessageWriteExt as _, MessageWriteVec,
    StunParseError, StunWriteError,
};
use turn_types::stun::prelude::{Attribute as _, AttributeStaticType as _};

/// An answer that can't be made: the protocol library refuses to write it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// It could not be written.
    #[error("an answer can't be written: {0}")]
    Write(#[from] StunWriteError),
    /// What it is made of could not be read.
    #[error("an answer can't be read: {0}")]
    Read(#[from] StunParseError),
}

type Answer = Result<Vec<u8>, AnswerError>;

/// Room for the answers that are written here; the longest has an address, realm, nonce and signature.
const ROOM: usize = 256;

/// What is about the signature of a message, or comes after it.
const AUTHENTICATION: &[AttributeType] = &[
    Nonce::TYPE,
    Realm::TYPE,
    PasswordAlgorithm::TYPE,
    PasswordAlgorithms::TYPE,
    MessageIntegrity::TYPE,
    MessageIntegritySha256::TYPE,
    Fingerprint::TYPE,
];

/// Where somebody's request came from (RFC 8489 section 6.3.1).
pub(crate) fn binding(request: &Message<'_>, client: std::net::SocketAddr) -> Answer {
    let mut answer = Message::builder_success(request, MessageWriteVec::with_capacity(ROOM));
    answer.add_attribute(&XorMappedAddress::new(client, request.transaction_id()))?;
    answer.add_fingerprint()?;
    Ok(answer.finish())
}

/// An error, signed where the client has shown credentials.
pub(crate) fn error(request: &Message<'_>, code: u16, key: Option<&IntegrityKey>) -> Answer {
    let mut answer = Message::builder_error(request, MessageWriteVec::with_capacity(ROOM));
    answer.add_attribute(&ErrorCode::builder(code).build()?)?;
    match key {
        Some(key) => answer.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)?,
        None => answer.add_fingerprint()?,
    }
    Ok(answer.finish())
}

/// That credentials are needed, or others: with what to sign them for (RFC 8489 section 9.2.4).
pub(crate) fn challenge(request: &Message<'_>, code: u16, realm: &str, nonce: &str) -> Answer {
    let mut answer = Message::builder_error(request, MessageWriteVec::with_capacity(ROOM));
    answer.add_attribute(&ErrorCode::builder(code).build()?)?;
    answer.add_attribute(&Realm::new(realm)?)?;
    answer.add_attribute(&Nonce::new(nonce)?)?;
    answer.add_fingerprint()?;
    Ok(answer.finish())
}

/// That the request says something which the relay does not understand and must not ignore (RFC 8489 section 6.3.1).
pub(crate) fn unknown(
    request: &Message<'_>,
    attributes: &[AttributeType],
    key: Option<&IntegrityKey>,
) -> Answer {
    let mut answer = Message::builder_error(request, MessageWriteVec::with_capacity(ROOM));
    answer.add_attribute(&ErrorCode::builder(ErrorCode::UNKNOWN_ATTRIBUTE).build()?)?;
    answer.add_attribute(&UnknownAttributes::new(attributes))?;
    match key {
        Some(key) => answer.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)?,
        None => answer.add_fingerprint()?,
    }
    Ok(answer.finish())
}

/// The library's answer, signed for the client: what it says of signatures is between the library and us.
pub(crate) fn signed_for_client(answer: &[u8], key: &IntegrityKey) -> Answer {
    let message = Message::from_bytes(answer)?;
    let room = MessageWriteVec::with_capacity(answer.len());
    let mut signed = Message::builder(message.get_type(), message.transaction_id(), room);
    for (_, attribute) in message.iter_attributes() {
        let kind = attribute.get_type();
        // Its lifetime and the client's address stand in an answer about two relayed addresses twice.
        let repeated = signed.has_attribute(kind) && kind != turn_types::attribute::XorRelayedAddress::TYPE;
        if !AUTHENTICATION.contains(&kind) && !repeated {
            signed.add_attribute(&attribute)?;
        }
    }
    signed.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)?;
    Ok(signed.finish())
}

/// Whether an attribute is about a message's signature, or may only come after it.
pub(crate) fn is_authentication(kind: AttributeType) -> bool {
    AUTHENTICATION.contains(&kind)
}
