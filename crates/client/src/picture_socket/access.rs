//! Who may connect: tokens that are good once.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ahoy_media_types::MediaTime;
use serde::Serialize;

/// Tokens given out and not used yet. A page asks for one a stream; when more wait, the oldest is forgotten.
const MOST_WAITING: usize = 16;
/// How long a token is good. The page connects as soon as it has it.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// Random bytes in a token.
const TOKEN_BYTES: usize = 32;

/// Where and with what to connect.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Access {
    /// The WebSocket's address.
    pub url: String,
    /// Good for one connection, soon.
    pub token: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The tokens that wait to be used.
#[derive(Default)]
pub(super) struct Tokens(Mutex<VecDeque<(String, MediaTime)>>);

impl Tokens {
    /// A new token.
    pub(super) fn issue(&self, now: MediaTime) -> String {
        let bytes: [u8; TOKEN_BYTES] = rand::random();
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MOST_WAITING {
            waiting.pop_front();
        }
        waiting.push_back((token.clone(), now));
        token
    }

    /// Whether `token` is good, which it is not a second time.
    pub(super) fn redeem(&self, token: &str, now: MediaTime) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(_, issued)| now.since(*issued) <= GOOD_FOR);
        match waiting.iter().position(|(known, _)| known == token) {
            Some(at) => waiting.remove(at).is_some(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> MediaTime {
        MediaTime::from_millis(seconds * 1000)
    }

    #[test]
    fn a_token_is_good_once() {
        let tokens = Tokens::default();
        let token = tokens.issue(at(0));
        assert_eq!(token.len(), 64);
        assert!(!tokens.redeem("", at(1)));
        assert!(!tokens.redeem(&token[1..], at(1)));
        assert!(tokens.redeem(&token, at(1)));
        assert!(!tokens.redeem(&token, at(1)));
    }

    #[test]
    fn a_token_that_is_not_used_soon_is_worth_nothing() {
        let tokens = Tokens::default();
        let token = tokens.issue(at(5));
        assert!(!tokens.redeem(&token, at(16)));
    }

    #[test]
    fn tokens_do_not_pile_up() {
        let tokens = Tokens::default();
        let first = tokens.issue(at(0));
        let others: Vec<_> = (0..MOST_WAITING).map(|_| tokens.issue(at(0))).collect();
        assert!(!tokens.redeem(&first, at(0)));
        assert!(others.iter().all(|token| tokens.redeem(token, at(0))));
    }

    #[test]
    fn the_token_is_kept_out_of_logs() {
        let access = Access { url: "ws://127.0.0.1:1/".into(), token: "secret".into() };
        assert!(!format!("{access:?}").contains("secret"));
    }
}
