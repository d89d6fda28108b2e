//! WebSocket frames (RFC 6455 section 5) as a client writes and reads them, without copying what it reads.
//!
//! A load tool has to be much cheaper than what it loads, and needs little: our server sends every message in one frame.

use std::net::SocketAddr;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole message.
    Text(&'a [u8]),
    /// Is to be answered with the same bytes.
    Ping(&'a [u8]),
    /// Answers a ping.
    Pong,
    /// The connection is over, with this code (1005 where there is none).
    Close(u16),
}

/// What a client of ours does not expect of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// A message in pieces, binary, compressed or masked.
    #[error("the server sent a frame of another kind than text, ping, pong or close ({0:#04x} {1:#04x})")]
    Unexpected(u8, u8),
    /// More than the protocol allows.
    #[error("the server sent a message of {0} bytes")]
    TooLong(u64),
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
/// No status code was in the frame (RFC 6455 section 7.4.1).
const NO_CODE: u16 = 1005;

/// The sample nonce of RFC 6455: nothing here depends on it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Appends the request that makes a connection one of WebSocket.
pub(crate) fn write_upgrade(out: &mut Vec<u8>, host: SocketAddr, path: &str) {
    out.extend_from_slice(
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        .as_bytes(),
    );
}

/// The first frame in `bytes` and its length; `None` while it is not all there.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    let (length, head) = match second {
        0..=125 => (u64::from(second), 2),
        126 => match rest {
            &[a, b, ..] => (u64::from(u16::from_be_bytes([a, b])), 4),
            _ => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (u64::from_be_bytes(*length), 10),
            None => return Ok(None),
        },
        _ => return Err(FrameError::Unexpected(first, second)),
    };
    if length > ahoy_signal::limits::SERVER_MESSAGE_LONGEST as u64 {
        return Err(FrameError::TooLong(length));
    }
    let end = head + length as usize;
    let Some(payload) = bytes.get(head..end) else { return Ok(None) };
    let frame = match first ^ FIN {
        TEXT => Frame::Text(payload),
        PING => Frame::Ping(payload),
        PONG => Frame::Pong,
        CLOSE => Frame::Close(payload.first_chunk().map_or(NO_CODE, |code| u16::from_be_bytes(*code))),
        _ => return Err(FrameError::Unexpected(first, second)),
    };
    Ok(Some((frame, end)))
}

/// Appends a text message.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &[u8], mask: [u8; 4]) {
    write(out, FIN | TEXT, text, mask);
}

/// Appends a text message in pieces.
pub(crate) fn write_pieces<'a>(out: &mut Vec<u8>, pieces: impl Iterator<Item = &'a [u8]>, mask: [u8; 4]) {
    let mut pieces = pieces.peekable();
    let mut opcode = TEXT;
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { FIN } else { 0 };
        write(out, last | opcode, piece, mask);
        opcode = CONTINUATION;
    }
}

/// Appends the answer to a ping.
pub(crate) fn write_pong(out: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    write(out, FIN | PONG, payload, mask);
}

fn write(out: &mut Vec<u8>, first: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(first);
    match payload.len() {
        length @ 0..=125 => out.push(MASKED | length as u8),
        length @ 126..=0xFFFF => {
            out.push(MASKED | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(MASKED | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a server would have sent it: without its mask.
    fn served(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        write(&mut masked, FIN | opcode, payload, [0; 4]);
        let head = masked.len() - payload.len() - 4;
        masked.drain(head..head + 4);
        masked[1] ^= MASKED;
        masked
    }

    #[test]
    fn frames_of_each_length_are_read_when_they_are_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
            let text = vec![b'a'; length];
            let bytes = served(TEXT, &text);
            for missing in [1, bytes.len() - 1, bytes.len()] {
                assert_eq!(read(&bytes[..bytes.len() - missing]), Ok(None));
            }
            let mut two = bytes.clone();
            two.extend_from_slice(&bytes);
            assert_eq!(read(&two), Ok(Some((Frame::Text(&text), bytes.len()))));
        }
    }

    #[test]
    fn control_frames_are_told_apart() {
        assert_eq!(read(&served(PING, b"x")), Ok(Some((Frame::Ping(b"x"), 3))));
        assert_eq!(read(&served(PONG, b"")), Ok(Some((Frame::Pong, 2))));
        assert_eq!(read(&served(CLOSE, &4006_u16.to_be_bytes())), Ok(Some((Frame::Close(4006), 4))));
        assert_eq!(read(&served(CLOSE, b"")), Ok(Some((Frame::Close(NO_CODE), 2))));
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        assert_eq!(read(&[0x82, 0]), Err(FrameError::Unexpected(0x82, 0)));
        assert_eq!(read(&[0x01, 0]), Err(FrameError::Unexpected(0x01, 0)));
        assert_eq!(read(&[0xC1, 0]), Err(FrameError::Unexpected(0xC1, 0)));
        assert_eq!(read(&[0x81, 0x80]), Err(FrameError::Unexpected(0x81, 0x80)));
        assert_eq!(read(&[0x81, 127, 0, 0, 0, 0, 0x7F, 0, 0, 0]), Err(FrameError::TooLong(0x7F00_0000)));
    }

    #[test]
    fn pieces_make_one_message() {
        let mut out = Vec::new();
        write_pieces(&mut out, [b"He".as_slice(), b"", b"y"].into_iter(), [0; 4]);
        assert_eq!(out, b"\x01\x82\0\0\0\0He\x00\x80\0\0\0\0\x80\x81\0\0\0\0y");
    }

    #[test]
    fn text_is_masked_as_the_rfc_shows_it() {
        // RFC 6455 section 5.7: a masked "Hello".
        let mut out = Vec::new();
        write_text(&mut out, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }
}
