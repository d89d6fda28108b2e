//! What the server says, line by line, as a client reads it into the state of a room.
#![no_main]

use ahoy_signal::{RoomState, ServerEnvelope, ServerMessage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut room: Option<RoomState> = None;
    for line in text.lines() {
        let Ok(envelope) = serde_json::from_str::<ServerEnvelope>(line) else { continue };
        assert_eq!(serde_json::from_str::<ServerEnvelope>(&envelope.to_json()).ok().as_ref(), Some(&envelope));
        let Some(pos) = envelope.pos else { continue };
        match envelope.body {
            ServerMessage::Joined { snapshot: Some(snapshot), .. } | ServerMessage::Snapshot { snapshot } => {
                room = Some(RoomState::from_snapshot(pos, *snapshot));
            }
            ServerMessage::Joined { snapshot: None, missed, .. } => {
                if let Some(room) = &mut room {
                    let _ = room.apply_all(pos.epoch, missed);
                }
            }
            ServerMessage::Delta { delta } => {
                if let Some(room) = &mut room {
                    let _ = room.apply(pos, delta);
                }
            }
            _ => {}
        }
        if let Some(room) = &room {
            assert_eq!(RoomState::from_snapshot(room.position(), room.snapshot()).hash(), room.hash());
        }
    }
});
