//! The other half of an ICE agent's talk, as an ICE-lite side has it (RFC 8445 section 2.5): it answers checks, and that is all.

use std::net::SocketAddr;

use is::stun::StunMessage;
use is::{DefaultSha1HmacProvider, Sha1HmacProvider as _};

/// The longest answer: an address, the integrity and the fingerprint have 76 bytes with the header.
const LONGEST: usize = 128;

/// The answer to a connectivity check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckAnswer {
    /// The message to send back.
    pub message: Vec<u8>,
    /// Whether the check says that its pair is the one to use (RFC 8445 section 7.1.2).
    pub nominates: bool,
}

/// Answers a connectivity check that came from `from` and was made for `password`; `None` if the message is no such check.
pub fn answer_check(message: &[u8], password: &str, from: SocketAddr) -> Option<CheckAnswer> {
    let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
    let check = StunMessage::parse(message).ok()?;
    if !check.is_binding_request() || !check.verify(password.as_bytes(), hmac) {
        return None;
    }
    let mut answer = vec![0; LONGEST];
    let reply = StunMessage::binding_reply(check.trans_id(), from);
    let length = reply.to_bytes(Some(password.as_bytes()), &mut answer, hmac).ok()?;
    answer.truncate(length);
    Some(CheckAnswer { message: answer, nominates: check.use_candidate() })
}

#[cfg(test)]
mod tests {
    use is::stun::TransId;

    use super::*;

    fn check(password: &str) -> Vec<u8> {
        let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
        let message = StunMessage::binding_request("them:us", TransId::new(), true, 7, 1 << 24, false);
        let mut bytes = vec![0; 256];
        let length = message.to_bytes(Some(password.as_bytes()), &mut bytes, hmac).unwrap();
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn a_check_with_the_right_password_is_answered_with_the_address_it_came_from() {
        let from: SocketAddr = "192.0.2.5:4000".parse().unwrap();
        let answer = answer_check(&check("password"), "password", from).unwrap();
        assert!(!answer.nominates);
        let answer = StunMessage::parse(&answer.message).unwrap();
        assert!(answer.is_successful_binding_response());
        assert_eq!(answer.mapped_address(), Some(from));
    }

    #[test]
    fn anything_else_is_not_answered() {
        let from: SocketAddr = "192.0.2.5:4000".parse().unwrap();
        assert_eq!(answer_check(&check("another"), "password", from), None);
        assert_eq!(answer_check(b"\0\x01\0\0", "password", from), None);
        let answer = answer_check(&check("password"), "password", from).unwrap().message;
        assert_eq!(answer_check(&answer, "password", from), None);
    }
}
