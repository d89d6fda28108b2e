use turn_types::attribute::Lifetime;
use turn_types::stun::attribute::{RawAttribute, Software, UnknownAttributes, XorMappedAddress};
use turn_types::stun::message::{MessageWrite as _, MessageWriteExt as _, MessageWriteVec};

use super::*;
use crate::session::testing::{CLIENT, Knocker, REALM, answer_code, moment};

fn door() -> (Door, Knocker) {
    let secret = Secret::new("north");
    (Door::new(secret.clone(), REALM.into()), Knocker::new(secret))
}

fn answered(knock: Knock<'_>) -> (Vec<u8>, Option<u16>) {
    match knock {
        Knock::Answered(answer, code) => (answer, code),
        Knock::Request(_) => panic!("it was let in"),
        Knock::Data => panic!("it passed for data"),
        Knock::Ignored(why) => panic!("it was ignored: {why:?}"),
    }
}

#[test]
fn a_binding_request_is_told_where_it_came_from() {
    let (door, _) = door();
    let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
    let (answer, code) = answered(door.look(&request, CLIENT, moment(0)));
    let answer = Message::from_bytes(&answer).unwrap();
    assert_eq!(code, None);
    assert!(answer.has_class(MessageClass::Success));
    let address = answer.attribute::<XorMappedAddress>().unwrap().addr(answer.transaction_id());
    assert_eq!(address, CLIENT);
}

#[test]
fn what_must_be_understood_and_is_not_is_told() {
    let (door, _) = door();
    let mut request = Message::builder_request(BINDING, MessageWriteVec::new());
    let strange = AttributeType::new(0x7ff0);
    request.add_attribute(&RawAttribute::new(strange, &[1, 2, 3, 4])).unwrap();
    request.add_attribute(&Software::new("test").unwrap()).unwrap();
    let request = request.finish();
    let (answer, code) = answered(door.look(&request, CLIENT, moment(0)));
    assert_eq!(code, Some(420));
    let answer = Message::from_bytes(&answer).unwrap();
    assert!(answer.attribute::<UnknownAttributes>().unwrap().has_attribute(strange));
}

#[test]
fn whoever_shows_nothing_is_asked_for_credentials_and_not_remembered() {
    let (door, knocker) = door();
    let (answer, code) = answered(door.look(&knocker.unsigned(ALLOCATE), CLIENT, moment(0)));
    assert_eq!(code, Some(401));
    let message = Message::from_bytes(&answer).unwrap();
    assert_eq!(message.attribute::<Realm>().unwrap().realm(), REALM);
    assert!(message.has_attribute(Nonce::TYPE));
    assert!(answer.len() < 160, "{} bytes are sent to whoever is named as the sender", answer.len());
}

#[test]
fn good_credentials_are_let_in() {
    let (door, knocker) = door();
    let request = knocker.signed(&door, ALLOCATE, 0, |_| ());
    match door.look(&request, CLIENT, moment(0)) {
        Knock::Request(request) => {
            assert_eq!((request.method, request.user()), (Method::Allocate, "ada"));
        }
        other => panic!("{:?}", answered(other)),
    };
}

#[test]
fn credentials_of_another_secret_are_refused() {
    let (door, _) = door();
    let request = Knocker::new(Secret::new("south")).signed(&door, ALLOCATE, 0, |_| ());
    assert_eq!(answered(door.look(&request, CLIENT, moment(0))).1, Some(401));
}

#[test]
fn expired_credentials_allocate_nothing_and_keep_what_there_is() {
    let (door, knocker) = door();
    let late = Knocker::EXPIRES_S;
    let request = knocker.signed(&door, ALLOCATE, late, |_| ());
    assert_eq!(answered(door.look(&request, CLIENT, moment(late))).1, Some(401));
    let request = knocker.signed(&door, REFRESH, late, |request| {
        request.add_attribute(&Lifetime::new(600)).unwrap();
    });
    assert!(matches!(door.look(&request, CLIENT, moment(late)), Knock::Request(_)));
}

#[test]
fn an_old_nonce_is_stale() {
    let (door, knocker) = door();
    let request = knocker.signed(&door, REFRESH, 0, |_| ());
    assert_eq!(answered(door.look(&request, CLIENT, moment(3_601))).1, Some(438));
    let elsewhere = SocketAddr::from(([192, 0, 2, 99], 5));
    assert_eq!(answered(door.look(&request, elsewhere, moment(0))).1, Some(438));
}

#[test]
fn a_request_that_was_changed_is_refused() {
    let (door, knocker) = door();
    let mut request = knocker.signed(&door, ALLOCATE, 0, |_| ());
    request[19] ^= 1;
    assert_eq!(answered(door.look(&request, CLIENT, moment(0))).1, Some(401));
}

#[test]
fn tcp_to_peers_pairs_of_ports_and_whole_datagrams_are_not_offered() {
    let (door, knocker) = door();
    let code = |change: &dyn Fn(&mut MessageWriteVec)| {
        let request = knocker.signed_bare(&door, ALLOCATE, 0, change);
        let (answer, code) = answered(door.look(&request, CLIENT, moment(0)));
        assert_eq!(answer_code(&answer), code, "the answer says so");
        code
    };
    let transport = |protocol| RequestedTransport::new(protocol);
    assert_eq!(code(&|_| ()), Some(400), "no transport");
    assert_eq!(code(&|request| request.add_attribute(&transport(6)).unwrap()), Some(442));
    assert_eq!(
        code(&|request| {
            request.add_attribute(&transport(17)).unwrap();
            request.add_attribute(&EvenPort::new(true)).unwrap();
        }),
        Some(508)
    );
    assert_eq!(
        code(&|request| {
            request.add_attribute(&transport(17)).unwrap();
            request.add_attribute(&DontFragment::new()).unwrap();
        }),
        Some(420)
    );
}

#[test]
fn answers_and_what_is_no_stun_are_not_answered() {
    let (door, _) = door();
    let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
    let (answer, _) = answered(door.look(&request, CLIENT, moment(0)));
    assert!(matches!(door.look(&answer, CLIENT, moment(0)), Knock::Ignored(Ignored::OutOfPlace)));
    for nonsense in [&b""[..], b"GET / HTTP/1.1", b"\x00", b"\x00\x01\x00\x00", b"\xff\xff\xff\xff"] {
        let knock = door.look(nonsense, CLIENT, moment(0));
        assert!(matches!(knock, Knock::Ignored(Ignored::Malformed) | Knock::Data), "{nonsense:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        door().0.look(&bytes, CLIENT, moment(0));
    }

    #[test]
    fn no_change_to_a_good_request_makes_it_panic(at in 0_usize..200, value: u8) {
        let (door, knocker) = door();
        let mut request = knocker.signed(&door, ALLOCATE, 0, |_| ());
        if let Some(byte) = request.get_mut(at) {
            *byte = value;
        }
        door.look(&request, CLIENT, moment(0));
    }
}
