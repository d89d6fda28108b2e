//! Repeats in the DTLS handshake (RFC 6347 section 4.2.4) that the library must not see.
//!
//! A side whose flight is lost sends it again after a second, and so does the side that waits for it: their repeats cross.
//! The library stops its own timer when any message of the handshake comes, also one that it had already, and does not
//! start it again. Both sides then wait for each other until the call is given up: up to 4 of 24 set-ups at 5 % loss.
//! Without the repeats, the side that has something to send always has a timer that runs.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Messages remembered. A handshake has about ten, each in a few fragments; when more come, they are all let through.
const MAX_SEEN: usize = 256;

/// Type, version, epoch, sequence number and length of a record (RFC 6347 section 4.1).
const RECORD_HEADER: usize = 13;
/// Type, length, message number, fragment offset and fragment length (RFC 6347 section 4.2.2).
const MESSAGE_HEADER: usize = 12;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// One fragment of a handshake message: message number, offset, length.
type Fragment = (u16, u32, u32);

/// What has come of the other side's handshake, over whichever of a connection's sockets.
#[derive(Debug, Default)]
pub(crate) struct Handshake(Mutex<HashSet<Fragment>>);

impl Handshake {
    /// Whether `datagram` holds nothing but unencrypted handshake messages that came before. It counts as come from now
    /// on. Others, broken ones among them, are the library's business.
    pub(crate) fn is_repeat(&self, datagram: &[u8]) -> bool {
        let Some(messages) = plain_messages(datagram) else { return false };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut repeat = !messages.is_empty();
        for (kind, fragment) in messages {
            let new = seen.len() < MAX_SEEN && seen.insert(fragment);
            // A server keeps nothing of a client until the client has shown its address by repeating its first message
            // with a cookie. Until then it answers that message each time, and has no timer.
            let unanswered = kind == CLIENT_HELLO && fragment.0 == 0 && seen.iter().all(|seen| seen.0 == 0);
            repeat &= !new && !unanswered && seen.contains(&fragment);
        }
        repeat
    }
}

/// Type and position of each message; `None` unless the datagram consists of unencrypted handshake records.
fn plain_messages(mut datagram: &[u8]) -> Option<Vec<(u8, Fragment)>> {
    let mut messages = Vec::new();
    while !datagram.is_empty() {
        let (header, rest) = datagram.split_at_checked(RECORD_HEADER)?;
        let epoch = u16::from_be_bytes([header[3], header[4]]);
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        if header[0] != HANDSHAKE || epoch != 0 {
            return None;
        }
        let (mut record, rest) = rest.split_at_checked(length)?;
        datagram = rest;
        while !record.is_empty() {
            let (header, body) = record.split_at_checked(MESSAGE_HEADER)?;
            let number = u16::from_be_bytes([header[4], header[5]]);
            let offset = u32::from_be_bytes([0, header[6], header[7], header[8]]);
            let length = u32::from_be_bytes([0, header[9], header[10], header[11]]);
            messages.push((header[0], (number, offset, length)));
            record = body.get(length as usize..)?;
        }
    }
    Some(messages)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SERVER_HELLO: u8 = 2;
    const HELLO_VERIFY: u8 = 3;

    fn message(kind: u8, number: u16) -> Vec<u8> {
        let mut message = vec![kind, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 7, 7, 7];
        message[4..6].copy_from_slice(&number.to_be_bytes());
        message
    }

    fn record(content: u8, epoch: u16, sequence: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![content, 254, 253, 0, 0, 0, 0, 0, 0, 0, sequence, 0, 0];
        record[3..5].copy_from_slice(&epoch.to_be_bytes());
        record[11..13].copy_from_slice(&(body.len() as u16).to_be_bytes());
        record.extend(body);
        record
    }

    fn plain(kind: u8, number: u16) -> Vec<u8> {
        record(HANDSHAKE, 0, 1, &message(kind, number))
    }

    #[test]
    fn a_message_passes_once_whatever_its_record_is_numbered() {
        let handshake = Handshake::default();
        assert!(!handshake.is_repeat(&record(HANDSHAKE, 0, 1, &message(SERVER_HELLO, 1))));
        assert!(handshake.is_repeat(&record(HANDSHAKE, 0, 2, &message(SERVER_HELLO, 1))));
        assert!(!handshake.is_repeat(&plain(SERVER_HELLO, 2)));
    }

    #[test]
    fn a_datagram_with_anything_new_passes_whole() {
        let handshake = Handshake::default();
        assert!(!handshake.is_repeat(&plain(SERVER_HELLO, 1)));
        let both = [plain(SERVER_HELLO, 1), plain(11, 2)].concat();
        assert!(!handshake.is_repeat(&both));
        assert!(handshake.is_repeat(&both));
    }

    #[test]
    fn a_first_hello_is_answered_each_time_until_the_client_goes_on() {
        let server = Handshake::default();
        for _ in 0..3 {
            assert!(!server.is_repeat(&plain(CLIENT_HELLO, 0)));
        }
        assert!(!server.is_repeat(&plain(CLIENT_HELLO, 1)));
        assert!(server.is_repeat(&plain(CLIENT_HELLO, 1)));
        assert!(server.is_repeat(&plain(CLIENT_HELLO, 0)));
        let client = Handshake::default();
        assert!(!client.is_repeat(&plain(HELLO_VERIFY, 0)));
        assert!(client.is_repeat(&plain(HELLO_VERIFY, 0)));
    }

    #[test]
    fn encrypted_and_other_records_always_pass() {
        // A repeated last flight, which ends in an encrypted message, asks an established side for its own last flight.
        let last = [plain(11, 4), record(20, 0, 2, &[1]), record(HANDSHAKE, 1, 0, &[9; 40])].concat();
        let handshake = Handshake::default();
        for datagram in [&last[..], &[], &[0, 1, 0, 0], &record(23, 1, 1, &[1, 2, 3])] {
            assert!(!handshake.is_repeat(datagram));
            assert!(!handshake.is_repeat(datagram));
        }
    }

    #[test]
    fn a_flood_is_neither_remembered_nor_held_back() {
        let handshake = Handshake::default();
        for number in 0..2000 {
            assert!(!handshake.is_repeat(&plain(SERVER_HELLO, number)));
        }
        assert_eq!(handshake.0.lock().unwrap().len(), MAX_SEEN);
        assert!(!handshake.is_repeat(&plain(SERVER_HELLO, 1999)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8)) {
            let handshake = Handshake::default();
            for datagram in &datagrams {
                handshake.is_repeat(datagram);
            }
        }

        #[test]
        fn cut_and_damaged_handshakes_are_survived(cut in 0usize..60, at in 0usize..60, with: u8) {
            let handshake = Handshake::default();
            let mut datagram = [plain(SERVER_HELLO, 1), plain(11, 2)].concat();
            if let Some(byte) = datagram.get_mut(at) {
                *byte = with;
            }
            datagram.truncate(cut);
            handshake.is_repeat(&datagram);
        }
    }
}
