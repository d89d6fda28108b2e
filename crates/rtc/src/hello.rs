//! A DTLS handshake without its first round trip, between two sides of ours.
//!
//! A DTLS 1.2 server may have a client repeat its first message with a cookie, to see that it receives where it claims to be
//! (RFC 6347 section 4.2.1). ICE has shown that already, so other servers leave it out; the library's always asks. So each side
//! tells in its descriptions which cookie its server will ask for ([`ATTRIBUTE`]). Where it is known,
//! - the client's first message stays here, and is answered with the request for that cookie: what is sent is its second one;
//! - the server's library hears a first message made from the second, and when it asks for the cookie, it hears the second.
//!
//! Neither of the two messages that are not sent counts in the hash of the handshake (same section), and nothing else changes.
//! A side that knows nothing of this neither tells nor hears a cookie, and everything is as usual.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rtc::crypto::{CryptoError, RTCCrypto, RTCCryptoProvider, RTCRandom};

use crate::error::LibraryError;
use crate::negotiation::attribute;

/// The attribute of descriptions that tells the cookie, as hexadecimal digits.
pub(crate) const ATTRIBUTE: &str = "x-ahoy-dtls-cookie";
/// The length of the library's cookies. Nothing else that it asks randomness for has it.
const LENGTH: usize = 20;

/// Type, version, epoch, sequence number and length of a record (RFC 6347 section 4.1).
const RECORD_HEADER: usize = 13;
/// Type, length, message number, fragment offset and fragment length (RFC 6347 section 4.2.2).
const MESSAGE_HEADER: usize = 12;
/// Version and random bytes, before the length of the session's id (RFC 6347 section 4.3.2).
const BEFORE_SESSION: usize = 34;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
const DTLS_1_2: [u8; 2] = [254, 253];

/// What a server has its client repeat.
pub(crate) type Cookie = [u8; LENGTH];

/// The first messages of one connection.
#[derive(Debug)]
pub(crate) struct Hello {
    /// What the library will ask for, if it is the server.
    own: Cookie,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the other side will ask for, if it is the server.
    theirs: Option<Cookie>,
    /// Whether the client has begun.
    begun: bool,
    /// The client's message, until the library has asked for it.
    held: Option<Vec<u8>>,
    /// What the library is to hear.
    heard: VecDeque<Vec<u8>>,
}

impl Hello {
    pub(crate) fn new() -> Self {
        Self { own: rand::random(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line of a description that tells our cookie.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("a={ATTRIBUTE}:");
        for byte in self.own {
            // Writing to a text does not fail.
            let _ = write!(line, "{byte:02x}");
        }
        line + "\r\n"
    }

    /// Takes in the other side's description, before the library does.
    pub(crate) fn told(&self, sdp: &str) {
        self.state().theirs = attribute(sdp, ATTRIBUTE).and_then(read_cookie);
    }

    /// The library sends a datagram. Whether it is none for the other side: then the library has something to
    /// [hear](Self::next_heard).
    pub(crate) fn keeps(&self, datagram: &[u8]) -> bool {
        let Some(message) = Message::read(datagram) else { return false };
        let mut state = self.state();
        let heard = match (message.kind, message.number) {
            (CLIENT_HELLO, 0) => {
                let cookie =
                    state.theirs.filter(|_| message.cookie().is_some_and(|(_, cookie)| cookie.is_empty()));
                cookie.map(|cookie| request(&cookie))
            }
            (HELLO_VERIFY_REQUEST, _) => state.held.take(),
            _ => None,
        };
        let kept = heard.is_some();
        state.heard.extend(heard);
        kept
    }

    /// A datagram has come: what the library is to hear in its place, or nothing where it is to hear this one.
    pub(crate) fn instead_of(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let message = Message::read(datagram).filter(|message| message.kind == CLIENT_HELLO)?;
        let mut state = self.state();
        let is_first = !std::mem::replace(&mut state.begun, true);
        let (at, cookie) = message.cookie()?;
        // Until the library has asked, the client may have to say it again: the library may not have been there.
        if message.number != 1 || cookie != self.own || !(is_first || state.held.is_some()) {
            return None;
        }
        state.held = Some(datagram.to_vec());
        Some(message.first(at))
    }

    /// The next of what the library is to hear.
    pub(crate) fn next_heard(&self) -> Option<Vec<u8>> {
        self.state().heard.pop_front()
    }

    /// The library's cryptography, with our cookie.
    ///
    /// # Errors
    /// Where the library has none.
    pub(crate) fn crypto(&self) -> Result<Arc<dyn RTCCryptoProvider>, LibraryError> {
        let inner =
            rtc::crypto::default_provider().map_err(|error| LibraryError::Crypto(error.to_string()))?;
        Ok(Arc::new(Provider { inner, cookie: self.own, given: AtomicBool::new(false) }))
    }
}

fn read_cookie(digits: &str) -> Option<Cookie> {
    let mut cookie = Cookie::default();
    if digits.len() != LENGTH * 2 || !digits.is_ascii() {
        return None;
    }
    for (byte, at) in cookie.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(cookie)
}

/// A server's request for a cookie, in a record of its own.
fn request(cookie: &Cookie) -> Vec<u8> {
    let body = [&DTLS_1_2[..], &[LENGTH as u8], cookie].concat();
    let length = [0, 0, body.len() as u8];
    let message = [&[HELLO_VERIFY_REQUEST][..], &length, &[0, 0], &[0, 0, 0], &length, &body].concat();
    record(&message)
}

/// A message of the handshake in the first record of all.
fn record(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[HANDSHAKE][..], &DTLS_1_2, &[0; 8], &length, message].concat()
}

/// A datagram that consists of one unencrypted message of the handshake.
struct Message<'a> {
    kind: u8,
    number: u16,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(datagram: &'a [u8]) -> Option<Self> {
        let (header, message) = datagram.split_at_checked(RECORD_HEADER)?;
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        if header[0] != HANDSHAKE || header[3..5] != [0, 0] || length != message.len() {
            return None;
        }
        let (header, body) = message.split_at_checked(MESSAGE_HEADER)?;
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let is_whole = header[6..9] == [0; 3] && header[9..12] == header[1..4] && length == body.len();
        let number = u16::from_be_bytes([header[4], header[5]]);
        is_whole.then_some(Self { kind: header[0], number, body })
    }

    /// The cookie in a client's message, and where its length stands.
    fn cookie(&self) -> Option<(usize, &'a [u8])> {
        let session = usize::from(*self.body.get(BEFORE_SESSION)?);
        let at = BEFORE_SESSION + 1 + session;
        let length = usize::from(*self.body.get(at)?);
        Some((at, self.body.get(at + 1..at + 1 + length)?))
    }

    /// The client's first message, of which this one, with a cookie at `at`, is the second: the same without the cookie
    /// (RFC 6347 section 4.2.1).
    fn first(&self, at: usize) -> Vec<u8> {
        let behind = &self.body[at + 1 + usize::from(self.body[at])..];
        let body = [&self.body[..at], &[0], behind].concat();
        let length = &(body.len() as u32).to_be_bytes()[1..];
        record(&[&[CLIENT_HELLO][..], length, &[0, 0], &[0, 0, 0], length, &body].concat())
    }
}

/// The library's cryptography. The first twenty random bytes that it asks for are the cookie of its DTLS server.
struct Provider {
    inner: Arc<dyn RTCCryptoProvider>,
    cookie: Cookie,
    given: AtomicBool,
}

impl RTCCryptoProvider for Provider {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self.inner.crypto()
    }

    fn random(&self) -> &dyn RTCRandom {
        self
    }
}

impl RTCRandom for Provider {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        if output.len() == LENGTH && !self.given.swap(true, Relaxed) {
            output.copy_from_slice(&self.cookie);
            return Ok(());
        }
        self.inner.random().fill(output)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A client's message with a session id of two bytes, and two bytes behind the cookie.
    fn hello(number: u8, cookie: &[u8]) -> Vec<u8> {
        let body = [&[254, 253][..], &[7; 32], &[2, 5, 5], &[cookie.len() as u8], cookie, &[8, 9]].concat();
        let length = [0, 0, body.len() as u8];
        record(&[&[CLIENT_HELLO][..], &length, &[0, number], &[0; 3], &length, &body].concat())
    }

    fn acquainted() -> (Hello, Hello) {
        let (client, server) = (Hello::new(), Hello::new());
        client.told(&format!("v=0\r\n{}m=audio 9 x 1\r\n", server.line()));
        (client, server)
    }

    #[test]
    fn two_sides_that_know_the_cookie_need_one_message() {
        let (client, server) = acquainted();
        assert!(client.keeps(&hello(0, &[])), "the first message stays here");
        let asked = client.next_heard().unwrap();
        assert_eq!(asked, request(&server.own));
        let second = hello(1, &server.own);
        assert!(!client.keeps(&second));
        assert_eq!(server.instead_of(&second), Some(hello(0, &[])), "the library hears a first message");
        assert_eq!(
            server.instead_of(&second),
            Some(hello(0, &[])),
            "it did not, and the client says it again"
        );
        assert_eq!(server.next_heard(), None);
        assert!(server.keeps(&asked), "it asks for the cookie");
        assert_eq!(server.next_heard(), Some(second));
        assert!(!server.keeps(&asked) && server.next_heard().is_none(), "once");
    }

    #[test]
    fn a_side_that_knows_nothing_of_it_has_the_usual_handshake() {
        let (client, server) = (Hello::new(), Hello::new());
        client.told("v=0\r\nm=audio 9 x 1\r\n");
        assert!(!client.keeps(&hello(0, &[])));
        assert_eq!(server.instead_of(&hello(0, &[])), None);
        assert!(!server.keeps(&request(&server.own)));
        assert_eq!(server.instead_of(&hello(1, &server.own)), None, "it was asked for");
    }

    #[test]
    fn another_cookie_and_other_messages_are_the_librarys_business() {
        let (client, server) = acquainted();
        assert_eq!(server.instead_of(&hello(1, &[3; 20])), None);
        assert!(!client.keeps(&hello(0, &[3; 20])), "it has a cookie already");
        assert!(!client.keeps(&hello(1, &[])));
        assert!(!client.keeps(&[20, 254, 253]));
        for told in ["", "zz", &"0".repeat(41), &"ä".repeat(20)] {
            client.told(&format!("v=0\r\na={ATTRIBUTE}:{told}\r\nm=audio 9 x 1\r\n"));
            assert!(!client.keeps(&hello(0, &[])), "{told}");
        }
    }

    #[test]
    fn the_library_gets_the_cookie_once_and_chance_otherwise() {
        let hello = Hello::new();
        let crypto = hello.crypto().unwrap();
        let fill = |length: usize| {
            let mut bytes = vec![0; length];
            crypto.random().fill(&mut bytes).unwrap();
            bytes
        };
        assert_ne!(fill(28), vec![0; 28]);
        assert_eq!(fill(LENGTH), hello.own);
        assert_ne!(fill(LENGTH), hello.own);
    }

    proptest! {
        #[test]
        fn damaged_messages_are_survived(cut in 0usize..90, at in 0usize..90, with: u8) {
            let (client, server) = acquainted();
            let mut datagram = hello(1, &server.own);
            if let Some(byte) = datagram.get_mut(at) {
                *byte = with;
            }
            datagram.truncate(cut);
            client.keeps(&datagram);
            server.instead_of(&datagram);
        }
    }
}
