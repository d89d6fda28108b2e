//! Where one message ends and the next begins: datagrams hold one, streams hold one after the other (RFC 8656 section 12.5).

/// What a message is, by its first two bits (RFC 8656 section 12, RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A STUN message.
    Stun,
    /// Data in a channel.
    Channel,
}

impl Kind {
    /// What a message that begins with this byte is; `None` for what is neither.
    pub(crate) fn of(first: u8) -> Option<Self> {
        match first >> 6 {
            0 => Some(Self::Stun),
            1 => Some(Self::Channel),
            _ => None,
        }
    }
}

/// Bytes before the attributes of a STUN message (RFC 8489 section 5).
const STUN_HEADER: usize = 20;
/// Bytes before the data of a channel (RFC 8656 section 12.4).
const CHANNEL_HEADER: usize = 4;
/// What distinguishes STUN from whatever else is sent to a port (RFC 8489 section 5).
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Bytes on a stream that can't be a message: nobody knows where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not STUN")]
pub(crate) struct NotStun;

/// How long the first message in `bytes` is, and how many bytes of the stream it takes; `None` while too few are there to say.
fn measure(bytes: &[u8]) -> Result<Option<(usize, usize)>, NotStun> {
    let Some(first) = bytes.first() else { return Ok(None) };
    let kind = Kind::of(*first).ok_or(NotStun)?;
    let Some([_, _, high, low]) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    match kind {
        Kind::Channel => {
            let whole = CHANNEL_HEADER + length;
            Ok(Some((whole, whole.next_multiple_of(4))))
        }
        // Attributes are padded (RFC 8489 section 14).
        Kind::Stun if !length.is_multiple_of(4) => Err(NotStun),
        Kind::Stun => match bytes.get(4..8) {
            Some(cookie) if cookie != MAGIC_COOKIE => Err(NotStun),
            Some(_) => Ok(Some((STUN_HEADER + length, STUN_HEADER + length))),
            None => Ok(None),
        },
    }
}

/// Takes messages out of a stream.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// More of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, without padding, of `longest` bytes at most.
    pub(crate) fn next(&mut self, longest: usize) -> Result<Option<Vec<u8>>, NotStun> {
        let Some((length, taken)) = measure(&self.bytes)? else { return Ok(None) };
        if length > longest {
            return Err(NotStun);
        }
        if self.bytes.len() < taken {
            return Ok(None);
        }
        let mut message: Vec<u8> = self.bytes.drain(..taken).collect();
        message.truncate(length);
        Ok(Some(message))
    }
}

/// Pads a message for a stream (RFC 8656 section 12.5).
pub(crate) fn pad(message: &mut Vec<u8>) {
    message.resize(message.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel(data: &[u8]) -> Vec<u8> {
        let mut message = vec![0x40, 0, (data.len() >> 8) as u8, data.len() as u8];
        message.extend_from_slice(data);
        message
    }

    fn binding() -> Vec<u8> {
        let mut message = vec![0, 1, 0, 0];
        message.extend(MAGIC_COOKIE);
        message.extend([7; 12]);
        message
    }

    #[test]
    fn messages_come_out_as_they_went_in_without_padding() {
        let mut frames = Frames::default();
        let mut padded = channel(b"abcde");
        pad(&mut padded);
        frames.push(&padded);
        frames.push(&binding());
        assert_eq!(frames.next(1_000), Ok(Some(channel(b"abcde"))));
        assert_eq!(frames.next(1_000), Ok(Some(binding())));
        assert_eq!(frames.next(1_000), Ok(None));
    }

    #[test]
    fn what_is_no_stun_ends_a_stream_at_once() {
        for wrong in
            [&b"GET / HTTP/1.1\r\n"[..], &[0x16, 3, 1, 2], &[0x80], &[0, 1, 0, 3], &[0, 1, 0, 0, 1, 2, 3, 4]]
        {
            let mut frames = Frames::default();
            frames.push(wrong);
            let first = frames.next(1_000);
            // "GET " reads as data in a channel of 8,275 bytes.
            assert_eq!(first, Err(NotStun), "{wrong:?}");
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_before_it_is_there() {
        let mut frames = Frames::default();
        frames.push(&channel(&[0; 200])[..8]);
        assert_eq!(frames.next(100), Err(NotStun));
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_the_same_messages_come_out(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..10),
            cuts in prop::collection::vec(1_usize..30, 1..50),
        ) {
            let whole: Vec<_> = messages.iter().map(|data| channel(data)).collect();
            let mut stream = Vec::new();
            for message in &whole {
                let mut padded = message.clone();
                pad(&mut padded);
                stream.extend(padded);
            }
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                frames.push(now);
                while let Some(message) = frames.next(1_000).unwrap() {
                    seen.push(message);
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(seen, whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut frames = Frames::default();
            frames.push(&bytes);
            while let Ok(Some(message)) = frames.next(2_000) {
                prop_assert!(!message.is_empty());
            }
        }
    }
}
