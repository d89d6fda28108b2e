//! What users say while they are measured, written without building messages first.

use std::io::Write as _;

use ahoy_signal::RoomId;

use crate::glance;
use crate::schedule::Saying;

/// What a line of chat goes on with after its marker: most lines are about as long.
const CHATTER: &str = "see you at the harbour at ten, bring the charts";

/// Writes a request into `out`, which is emptied first. A test holds it to what the protocol's types write.
pub(crate) fn request(out: &mut Vec<u8>, id: u64, ack: u64, room: &RoomId, saying: Saying, marker: u64) {
    out.clear();
    let marker = glance::marker_text(marker);
    // Writing to memory doesn't fail.
    let _ = write!(out, r#"{{"v":1,"id":{id},"ack":{ack},"room":"{room}","body":"#);
    let _ = match saying {
        Saying::Chat => write!(out, r#"{{"type":"chat","text":"{marker} {CHATTER}"}}}}"#),
        Saying::State => write!(
            out,
            r#"{{"type":"set_state","entry":{{"key":"tracks","value":[{{"mid":"{marker}","kind":"microphone","width":0,"height":0}},{{"mid":"1","kind":"camera","width":1280,"height":720}}]}}}}}}"#
        ),
    };
}

/// Writes a ping into `out`, which is emptied first.
pub(crate) fn ping(out: &mut Vec<u8>, ack: u64) {
    out.clear();
    let _ = write!(out, r#"{{"v":1,"ack":{ack},"body":{{"type":"ping"}}}}"#);
}

#[cfg(test)]
mod tests {
    use ahoy_signal::{ClientEnvelope, ClientMessage, RequestId, read_client_message};

    use super::*;

    fn read(out: &[u8]) -> ClientEnvelope {
        let text = str::from_utf8(out).unwrap();
        let envelope = read_client_message(text).unwrap();
        assert_eq!(envelope.to_json(), text, "written as the protocol's types write it");
        envelope
    }

    #[test]
    fn requests_are_messages_of_the_protocol_and_carry_their_marker() {
        let room = RoomId::from_bits(u128::MAX);
        let mut out = Vec::new();
        for (saying, kind) in [(Saying::Chat, "chat"), (Saying::State, "set_state")] {
            request(&mut out, 7, 9, &room, saying, 0xFF_FFFF_FFFF);
            let envelope = read(&out);
            assert_eq!((envelope.id, envelope.ack, envelope.room), (Some(RequestId(7)), Some(9), Some(room)));
            assert_eq!(envelope.body.kind(), kind);
            assert_eq!(glance::find_marker(&out), Some(0xFF_FFFF_FFFF));
        }
    }

    #[test]
    fn a_ping_acknowledges() {
        let mut out = b"something".to_vec();
        ping(&mut out, 12);
        let envelope = read(&out);
        assert_eq!((envelope.ack, envelope.body), (Some(12), ClientMessage::Ping {}));
    }
}
