use proptest::prelude::*;

use super::*;
use crate::room::{Link, Role};
use crate::{ChatId, ChatText, Epoch, UserId};

fn room() -> RoomState {
    RoomState::new(Epoch::from_bits(1), Name::new("Family").unwrap(), RoomSettings::default())
}

fn participant(number: u128) -> Participant {
    Participant {
        id: ParticipantId::from_bits(number),
        user: UserId::from_bits(number),
        name: Name::new("Ada").unwrap(),
        role: Role::Member,
        link: Link::Online,
    }
}

fn line(number: u128, text: &str) -> ChatMessage {
    ChatMessage {
        id: ChatId::from_bits(number),
        user: UserId::from_bits(1),
        name: Name::new("Ada").unwrap(),
        at_ms: 0,
        text: ChatText::new(text).unwrap(),
    }
}

fn delta() -> impl Strategy<Value = RoomDelta> {
    prop_oneof![
        prop::collection::vec(0_u128..6, 0..5).prop_map(|mut numbers| {
            numbers.dedup();
            RoomDelta::Roster { participants: numbers.into_iter().map(participant).collect() }
        }),
        (0_u128..6, any::<bool>(), any::<bool>()).prop_map(|(number, muted, on)| RoomDelta::State {
            participant: ParticipantId::from_bits(number),
            entry: if muted { StateEntry::Muted(on) } else { StateEntry::Hand(on) },
        }),
        (any::<u128>(), "[a-z]{1,2000}").prop_map(|(id, text)| RoomDelta::Chat { message: line(id, &text) }),
        (2_u16..100).prop_map(|capacity| RoomDelta::Settings {
            name: Name::new("Crew").unwrap(),
            settings: RoomSettings { capacity, ..RoomSettings::default() },
        }),
    ]
}

fn at(offset: u64) -> Position {
    Position { epoch: Epoch::from_bits(1), offset }
}

proptest! {
    #[test]
    fn who_joins_late_by_a_snapshot_sees_what_those_see_who_were_there(
        deltas in prop::collection::vec(delta(), 1..80),
        joins_at in 0_usize..80,
    ) {
        let mut early = room();
        let mut late = None;
        for (index, delta) in deltas.into_iter().enumerate() {
            let position = at(index as u64 + 1);
            early.apply(position, delta.clone()).unwrap();
            if let Some(late) = &mut late {
                RoomState::apply(late, position, delta).unwrap();
            } else if index >= joins_at {
                late = Some(RoomState::from_snapshot(position, early.snapshot()));
            }
        }
        if let Some(late) = late {
            prop_assert_eq!(late.hash(), early.hash());
            prop_assert_eq!(late, early);
        }
    }

    #[test]
    fn a_change_that_comes_twice_counts_once(deltas in prop::collection::vec(delta(), 1..40)) {
        let (mut once, mut twice) = (room(), room());
        for (index, delta) in deltas.iter().enumerate() {
            once.apply(at(index as u64 + 1), delta.clone()).unwrap();
            prop_assert!(twice.apply(at(index as u64 + 1), delta.clone()).unwrap());
            prop_assert!(!twice.apply(at(index as u64 + 1), delta.clone()).unwrap());
        }
        prop_assert_eq!(once, twice);
    }
}

#[test]
fn a_missing_change_is_noticed_and_nothing_is_applied() {
    let mut room = room();
    let before = room.clone();
    let chat = RoomDelta::Chat { message: line(1, "hello") };
    assert_eq!(room.apply(at(2), chat.clone()), Err(SyncError::Gap { expected: 1, found: 2 }));
    let elsewhere = Position { epoch: Epoch::from_bits(2), offset: 1 };
    assert_eq!(room.apply(elsewhere, chat), Err(SyncError::Epoch));
    assert_eq!(room, before);
}

#[test]
fn what_someone_said_about_themselves_goes_with_them() {
    let mut room = room();
    room.apply(at(1), RoomDelta::Roster { participants: vec![participant(1), participant(2)] }).unwrap();
    let muted = StateEntry::Muted(true);
    let id = ParticipantId::from_bits(1);
    room.apply(at(2), RoomDelta::State { participant: id, entry: muted.clone() }).unwrap();
    assert_eq!(room.entries(id).collect::<Vec<_>>(), [&muted]);
    room.apply(at(3), RoomDelta::Roster { participants: vec![participant(2)] }).unwrap();
    assert_eq!(room.entries(id).count(), 0);
}

#[test]
fn the_snapshot_of_the_fullest_room_fits_a_message() {
    let mut room = RoomState::new(
        Epoch::from_bits(1),
        Name::new("\u{1f30a}".repeat(limits::NAME_LONGEST)).unwrap(),
        RoomSettings::default(),
    );
    let participants: Vec<_> = (0..u128::from(limits::ROOM_CAPACITY_MOST))
        .map(|number| Participant {
            name: Name::new("\u{1f30a}".repeat(limits::NAME_LONGEST)).unwrap(),
            ..participant(number)
        })
        .collect();
    let tracks = format!(
        r#"{{"key":"tracks","value":[{}]}}"#,
        vec![
            format!(
                r#"{{"mid":"{}","kind":"screen_audio","width":65535,"height":65535}}"#,
                "x".repeat(limits::TRACK_ID_LONGEST)
            );
            limits::TRACKS_MOST
        ]
        .join(",")
    );
    let tracks: StateEntry = serde_json::from_str(&tracks).unwrap();
    room.apply(at(1), RoomDelta::Roster { participants: participants.clone() }).unwrap();
    let mut offset = 1;
    for participant in participants {
        offset += 1;
        room.apply(at(offset), RoomDelta::State { participant: participant.id, entry: tracks.clone() })
            .unwrap();
    }
    for number in 0..100 {
        offset += 1;
        room.apply(at(offset), RoomDelta::Chat { message: line(number, &"\"".repeat(limits::CHAT_LONGEST)) })
            .unwrap();
    }
    let json = serde_json::to_string(&room.snapshot()).unwrap();
    assert!(json.len() + 512 < limits::SERVER_MESSAGE_LONGEST, "{} bytes", json.len());
}
