use std::time::Duration;

use turn_types::attribute::{Data, Lifetime, XorPeerAddress, XorRelayedAddress};
use turn_types::channel::ChannelData;
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};
use turn_types::stun::message::{
    Message, MessageClass, MessageWrite as _, MessageWriteExt as _, MessageWriteVec,
};

use super::testing::*;
use super::*;
use crate::credentials::Secret;
use crate::quota::Limits;

/// A session whose time and client the test is.
struct Stage {
    house: Arc<House>,
    knocker: Knocker,
    session: Session,
    begun: Instant,
    now_s: u64,
    out: Vec<Output>,
}

fn relayed() -> SocketAddr {
    "9.9.9.9:50000".parse().unwrap()
}

fn peer(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Stage {
    fn new() -> Self {
        let (house, knocker) = house(LIMITS);
        let request = knocker.signed(&house.door, ALLOCATE, 0, |_| ());
        let now = moment(0);
        let mut out = Vec::new();
        let mut session = begin(&house, &request, now, &mut out).expect("an allocation");
        assert_eq!(out, [Output::Open { families: vec![AddressFamily::IPV4], even: false }]);
        out.clear();
        session.opened(vec![(AddressFamily::IPV4, Ok(relayed()))], now, &mut out);
        Self { house, knocker, session, begun: now.at, now_s: 0, out }
    }

    fn now(&self) -> Moment {
        Moment { at: self.begun + Duration::from_secs(self.now_s), unix_s: START_S + self.now_s }
    }

    fn say(&mut self, message: &[u8]) {
        let now = self.now();
        self.session.on_client(message, now, &mut self.out);
    }

    fn ask(
        &mut self,
        method: turn_types::stun::message::Method,
        change: impl Fn(&mut MessageWriteVec),
    ) -> u16 {
        let request = self.knocker.signed(&self.house.door, method, self.now_s, change);
        self.say(&request);
        let [Output::ToClient(answer), rest @ ..] = &self.out[..] else { panic!("{:?}", self.out) };
        self.knocker.believes(answer);
        let code = answer_code(answer).unwrap_or(0);
        self.out = rest
            .iter()
            .map(|output| match output {
                Output::Over => Output::Over,
                Output::Close(address) => Output::Close(*address),
                other => panic!("{other:?}"),
            })
            .collect();
        code
    }

    fn permit(&mut self, text: &str) -> u16 {
        let address = peer(text);
        self.ask(CREATE_PERMISSION, |request| add_peer(request, address))
    }

    fn bind(&mut self, channel: u16, text: &str) -> u16 {
        let address = peer(text);
        self.ask(CHANNEL_BIND, |request| {
            request.add_attribute(&ChannelNumber::new(channel)).unwrap();
            add_peer(request, address);
        })
    }

    fn send(&mut self, text: &str, data: &[u8]) -> Vec<Output> {
        let mut indication = Message::builder_indication(SEND, MessageWriteVec::new());
        let address = XorPeerAddress::new(peer(text), indication.transaction_id());
        indication.add_attribute(&address).unwrap();
        indication.add_attribute(&Data::new(data)).unwrap();
        self.say(&indication.finish());
        std::mem::take(&mut self.out)
    }

    fn hear(&mut self, from: &str, data: &[u8]) -> Vec<Output> {
        let now = self.now();
        self.session.on_peer(relayed(), peer(from), data, now, &mut self.out);
        std::mem::take(&mut self.out)
    }
}

fn add_peer(request: &mut MessageWriteVec, peer: SocketAddr) {
    let address = XorPeerAddress::new(peer, request.transaction_id());
    request.add_attribute(&address).unwrap();
}

#[test]
fn an_allocation_tells_the_address_that_others_know() {
    let stage = Stage::new();
    let [Output::ToClient(answer)] = &stage.out[..] else { panic!("{:?}", stage.out) };
    stage.knocker.believes(answer);
    let message = Message::from_bytes(answer).unwrap();
    assert!(message.has_class(MessageClass::Success));
    let address = message.attribute::<XorRelayedAddress>().unwrap().addr(message.transaction_id());
    assert_eq!(address, relayed());
    assert!((600..=3_600).contains(&message.attribute::<Lifetime>().unwrap().seconds()));
}

#[test]
fn a_request_that_comes_again_is_answered_as_it_was_and_another_allocation_is_refused() {
    let (house, knocker) = house(LIMITS);
    let request = knocker.signed(&house.door, ALLOCATE, 0, |_| ());
    let mut out = Vec::new();
    let mut session = begin(&house, &request, moment(0), &mut out).unwrap();
    out.clear();
    session.opened(vec![(AddressFamily::IPV4, Ok(relayed()))], moment(0), &mut out);
    let first = std::mem::take(&mut out);
    session.on_client(&request, moment(0), &mut out);
    assert_eq!(out, first);
    out.clear();
    session.on_client(&knocker.signed(&house.door, ALLOCATE, 0, |_| ()), moment(0), &mut out);
    let [Output::ToClient(answer)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(answer_code(answer), Some(437));
}

#[test]
fn peers_that_must_not_be_reached_are_forbidden_by_either_way() {
    let mut stage = Stage::new();
    stage.out.clear();
    for closed in [
        "127.0.0.1:1",
        "10.0.0.1:1",
        "169.254.169.254:80",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
        "[64:ff9b::a00:1]:1",
    ] {
        assert_eq!(stage.permit(closed), 403, "{closed}");
        assert_eq!(stage.bind(0x4000, closed), 403, "{closed}");
        assert_eq!(stage.send(closed, b"knock"), [], "{closed}");
    }
    assert_eq!(
        stage.bind(0x4000, "9.9.9.9:53"),
        403,
        "a port of the relay's machine that is no allocation's"
    );
}

#[test]
fn one_closed_peer_among_open_ones_forbids_all() {
    let mut stage = Stage::new();
    stage.out.clear();
    let code = stage.ask(CREATE_PERMISSION, |request| {
        add_peer(request, peer("8.8.8.8:1"));
        add_peer(request, peer("10.0.0.1:1"));
    });
    assert_eq!(code, 403);
    assert_eq!(stage.send("8.8.8.8:53", b"knock"), []);
}

#[test]
fn data_goes_both_ways_with_a_permission_and_not_without() {
    let mut stage = Stage::new();
    stage.out.clear();
    assert_eq!(stage.send("8.8.8.8:53", b"knock"), []);
    assert_eq!(stage.hear("8.8.8.8:53", b"who"), []);
    assert_eq!(stage.permit("8.8.8.8:1"), 0);
    let sent = stage.send("8.8.8.8:53", b"knock");
    let expected = Outgoing { relayed: relayed(), peer: peer("8.8.8.8:53"), data: b"knock".to_vec() };
    assert_eq!(sent, [Output::ToPeer(expected)]);
    let heard = stage.hear("8.8.8.8:53", b"who");
    let [Output::ToClient(indication)] = &heard[..] else { panic!("{heard:?}") };
    let message = Message::from_bytes(indication).unwrap();
    assert_eq!(message.attribute::<Data>().unwrap().data(), b"who");
    stage.now_s = 301;
    assert_eq!(stage.send("8.8.8.8:53", b"knock"), [], "a permission lasts five minutes");
}

#[test]
fn a_channel_carries_data_both_ways_and_keeps_its_peer() {
    let mut stage = Stage::new();
    stage.out.clear();
    assert_eq!(stage.bind(0x4001, "8.8.8.8:53"), 0);
    assert_eq!(stage.bind(0x4001, "8.8.4.4:53"), 400);
    stage.say(&[0x40, 1, 0, 2, b'h', b'i']);
    let out = std::mem::take(&mut stage.out);
    let expected = Outgoing { relayed: relayed(), peer: peer("8.8.8.8:53"), data: b"hi".to_vec() };
    assert_eq!(out, [Output::ToPeer(expected)]);
    let heard = stage.hear("8.8.8.8:53", b"ho");
    let [Output::ToClient(data)] = &heard[..] else { panic!("{heard:?}") };
    let data = ChannelData::parse(data).unwrap();
    assert_eq!((data.id(), data.data()), (0x4001, &b"ho"[..]));
}

#[test]
fn two_allocations_of_the_relay_reach_each_other_and_nothing_beside_them() {
    let mut stage = Stage::new();
    stage.out.clear();
    assert_eq!(stage.permit("9.9.9.9:1"), 0);
    assert_eq!(stage.send("9.9.9.9:50001", b"knock"), [], "nobody has this port");
    let range = 49_152..=65_535;
    assert!(stage.house.policy.relay_ports == range);
    stage.house.ports.pretend(peer("9.9.9.9:50001"));
    assert_eq!(stage.send("9.9.9.9:50001", b"knock").len(), 1);
    assert_eq!(stage.hear("9.9.9.9:50001", b"who").len(), 1);
    assert_eq!(stage.send("9.9.9.9:53", b"knock"), []);
    assert_eq!(stage.hear("9.9.9.9:53", b"who"), []);
}

#[test]
fn whoever_has_as_many_allocations_as_one_may_have_is_told() {
    let (house, knocker) = house(Limits { allocations_per_user: 1, ..LIMITS });
    let _one = house.quotas.take("ada").unwrap();
    let request = knocker.signed(&house.door, ALLOCATE, 0, |_| ());
    let turned = begin(&house, &request, moment(0), &mut Vec::new()).unwrap_err();
    let answer = turned.answer.unwrap();
    knocker.believes(&answer);
    assert_eq!(answer_code(&answer), Some(486));
}

#[test]
fn another_users_credentials_do_nothing_with_an_allocation() {
    let mut stage = Stage::new();
    let eve = Knocker::of("eve", Secret::new("north"));
    let request = eve.signed(&stage.house.door, REFRESH, 0, |_| ());
    stage.out.clear();
    stage.say(&request);
    let [Output::ToClient(answer)] = &stage.out[..] else { panic!("{:?}", stage.out) };
    assert_eq!(answer_code(answer), Some(441));
}

#[test]
fn what_is_too_fast_is_dropped() {
    let mut stage = Stage::new();
    stage.out.clear();
    stage.permit("8.8.8.8:1");
    let sent: usize = (0..200).map(|_| stage.send("8.8.8.8:53", &[0; 1_000]).len()).sum();
    assert_eq!(sent, 100, "a second's worth");
    stage.now_s += 1;
    assert_eq!(stage.send("8.8.8.8:53", &[0; 1_000]).len(), 1);
}

#[test]
fn an_allocation_lives_while_it_is_refreshed_also_with_credentials_that_have_expired() {
    let mut stage = Stage::new();
    stage.out.clear();
    for _ in 0..5 {
        stage.now_s += 500;
        let code = stage.ask(REFRESH, |request| request.add_attribute(&Lifetime::new(600)).unwrap());
        assert_eq!(code, 0);
        assert_eq!(stage.out, []);
    }
    assert!(stage.now_s > Knocker::EXPIRES_S);
    stage.now_s += 601;
    let now = stage.now();
    assert!(stage.session.deadline() <= now.at);
    stage.session.tick(now, &mut stage.out);
    assert_eq!(stage.out, [Output::Close(relayed()), Output::Over]);
}

#[test]
fn an_allocation_can_be_given_back() {
    let mut stage = Stage::new();
    stage.out.clear();
    let code = stage.ask(REFRESH, |request| request.add_attribute(&Lifetime::new(0)).unwrap());
    assert_eq!(code, 0);
    assert_eq!(stage.out, [Output::Close(relayed()), Output::Over]);
}

#[test]
fn an_allocation_without_a_port_is_refused_and_over() {
    let (house, knocker) = house(LIMITS);
    let request = knocker.signed(&house.door, ALLOCATE, 0, |_| ());
    let mut out = Vec::new();
    let mut session = begin(&house, &request, moment(0), &mut out).unwrap();
    out.clear();
    let none = Err(SocketAllocateError::InsufficientCapacity);
    session.opened(vec![(AddressFamily::IPV4, none)], moment(0), &mut out);
    let [Output::ToClient(answer), Output::Over] = &out[..] else { panic!("{out:?}") };
    assert_eq!(answer_code(answer), Some(508));
}

#[test]
fn of_two_families_one_is_enough() {
    use turn_types::attribute::AdditionalAddressFamily;
    let (house, knocker) = house(LIMITS);
    let request = knocker.signed(&house.door, ALLOCATE, 0, |request| {
        request.add_attribute(&AdditionalAddressFamily::new(AddressFamily::IPV6)).unwrap();
    });
    for works in [AddressFamily::IPV4, AddressFamily::IPV6] {
        let mut out = Vec::new();
        let mut session = begin(&house, &request, moment(0), &mut out).unwrap();
        let [Output::Open { families, .. }] = &out[..] else { panic!("{out:?}") };
        assert_eq!(families.len(), 2);
        let v6 = "[2600::9]:50000".parse().unwrap();
        let address = if works == AddressFamily::IPV4 { relayed() } else { v6 };
        let opened = families.iter().map(|family| match *family == works {
            true => (*family, Ok(address)),
            false => (*family, Err(SocketAllocateError::AddressFamilyNotSupported)),
        });
        let opened = opened.collect();
        out.clear();
        session.opened(opened, moment(0), &mut out);
        let [Output::ToClient(answer)] = &out[..] else { panic!("{out:?}") };
        assert_eq!(answer_code(answer), None, "{works:?}");
        assert_eq!(session.relayed, [address]);
    }
}
