//! Messages on a stream to a relay: where one ends, and what fills it up (RFC 8656 section 12.5). `turn-client-proto` knows of
//! no filling, without which other servers lose their place.

use bytes::{Buf as _, Bytes, BytesMut};

/// Channel number and length.
const CHANNEL_HEADER: usize = 4;
/// Type, length, cookie and transaction number (RFC 8489 section 5).
const STUN_HEADER: usize = 20;
/// Messages on streams begin at multiples of this.
const ALIGNMENT: usize = 4;

/// The stream has lost its place: what comes next is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostPlace;

/// Takes the next whole message out of what has been read, without what fills it up.
pub(crate) fn next_message(read: &mut BytesMut) -> Result<Option<Bytes>, LostPlace> {
    let Some(header) = read.get(..CHANNEL_HEADER) else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let (length, filled) = match header[0] {
        0..=3 => (STUN_HEADER + length, STUN_HEADER + length),
        0x40..=0x4f => {
            let length = CHANNEL_HEADER + length;
            (length, length.next_multiple_of(ALIGNMENT))
        }
        _ => return Err(LostPlace),
    };
    if read.len() < filled {
        return Ok(None);
    }
    let message = read.split_to(length).freeze();
    read.advance(filled - length);
    Ok(Some(message))
}

/// What has to follow a message so that the next one begins where it should.
pub(super) fn filling(message: &[u8]) -> &'static [u8] {
    let beyond = message.len() % ALIGNMENT;
    &[0; ALIGNMENT][..(ALIGNMENT - beyond) % ALIGNMENT]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel(length: u16) -> Vec<u8> {
        let mut message = vec![0x40, 0x01];
        message.extend(length.to_be_bytes());
        message.extend(vec![7; usize::from(length)]);
        message
    }

    fn stun(words: u16) -> Vec<u8> {
        let mut message = vec![0x01, 0x01];
        message.extend((words * 4).to_be_bytes());
        message.extend(vec![9; 16 + usize::from(words) * 4]);
        message
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_stream_is_cut(
            messages in prop::collection::vec(
                prop_oneof![(0_u16..1500).prop_map(channel), (0_u16..60).prop_map(stun)], 0..12),
            cuts in prop::collection::vec(1_usize..900, 1..64),
        ) {
            let mut stream: Vec<u8> = Vec::new();
            for message in &messages {
                stream.extend(message);
                stream.extend(filling(message));
            }
            let (mut read, mut came, mut at) = (BytesMut::new(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(stream.len());
                read.extend_from_slice(&stream[at..end]);
                at = end;
                while let Some(message) = next_message(&mut read).unwrap() {
                    came.push(message.to_vec());
                }
                if at == stream.len() {
                    break;
                }
            }
            prop_assert_eq!(came, messages);
            prop_assert!(read.is_empty());
        }

        #[test]
        fn no_stream_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let mut read = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = next_message(&mut read) {}
        }
    }

    #[test]
    fn what_is_neither_is_noticed() {
        // An alert of TLS, from a server that expects it.
        assert_eq!(next_message(&mut BytesMut::from(&[0x15, 3, 1, 0][..])), Err(LostPlace));
    }
}
