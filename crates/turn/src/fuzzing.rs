//! What reads bytes from outside, for the fuzzer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use turn_types::AddressFamily;
use turn_types::stun::attribute::{Nonce, Realm, Username};
use turn_types::stun::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageWrite as _, MessageWriteExt as _,
    MessageWriteVec,
};
use turn_types::stun::prelude::{Attribute as _, AttributeStaticType as _};

use crate::answer::is_authentication;
use crate::credentials::Secret;
use crate::door::{Door, Knock};
use crate::frame::Frames;
use crate::moment::Moment;
use crate::policy::PeerPolicy;
use crate::ports::Ports;
use crate::quota::{Limits, Quotas};
use crate::session::{House, Output, Session};

const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5_000);
const RELAYED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)), 50_000);

/// Takes the bytes as a client's stream, once from nobody, and once from somebody whose every request is signed right: those
/// reach what signatures keep others from. How often something was answered or passed on.
pub fn client_stream(bytes: &[u8]) -> usize {
    let now = Moment { at: Instant::now(), unix_s: 1_000 };
    let secret = Secret::new("fuzzing");
    let limits = Limits {
        allocations_per_user: 2,
        allocations: 10,
        allocation_bytes_per_s: 1_000_000,
        user_bytes_per_s: 1_000_000,
    };
    let policy = PeerPolicy {
        allow: Vec::new(),
        external: vec![RELAYED.ip()],
        local: vec![RELAYED.ip()],
        listening: Vec::new(),
        relay_ports: 49_152..=65_535,
    };
    let house = Arc::new(House {
        door: Door::new(secret.clone(), "fuzzing".into()),
        policy,
        quotas: Quotas::new(limits),
        ports: Ports::new(49_152..=65_535),
    });
    let mut frames = Frames::default();
    frames.push(bytes);
    let mut session = None;
    let mut done = 0;
    while let Ok(Some(message)) = frames.next(4_000) {
        // From nobody.
        let _ = house.door.look(&message, CLIENT, now);
        let signed = sign(&message, &house.door, &secret, now).unwrap_or(message);
        let mut out = Vec::new();
        match &mut session {
            None => {
                if let Knock::Request(request) = house.door.look(&signed, CLIENT, now) {
                    session = Session::begin(house.clone(), CLIENT, &request, now, &mut out).ok();
                }
            }
            Some(session) => session.on_client(&signed, now, &mut out),
        }
        if let (Some(session), true) =
            (&mut session, out.iter().any(|out| matches!(out, Output::Open { .. })))
        {
            session.opened(vec![(AddressFamily::IPV4, Ok(RELAYED))], now, &mut out);
        }
        if let Some(session) = &mut session {
            session.on_peer(RELAYED, SocketAddr::from(([8, 8, 8, 8], 53)), bytes, now, &mut out);
        }
        done += out.len();
        if out.contains(&Output::Over) {
            session = None;
        }
    }
    done
}

/// The message with a good signature; `None` where it is none.
fn sign(message: &[u8], door: &Door, secret: &Secret, now: Moment) -> Option<Vec<u8>> {
    let message = Message::from_bytes(message).ok()?;
    let credentials = secret.issue("fuzzer", now.unix_s + 600);
    let key =
        LongTermKeyCredentials::new(credentials.username.clone(), credentials.password, "fuzzing".into())
            .make_key(IntegrityAlgorithm::Sha1);
    let mut signed = Message::builder(message.get_type(), message.transaction_id(), MessageWriteVec::new());
    for (_, attribute) in message.iter_attributes() {
        if !is_authentication(attribute.get_type()) && attribute.get_type() != Username::TYPE {
            signed.add_attribute(&attribute).ok()?;
        }
    }
    signed.add_attribute(&Username::new(&credentials.username).ok()?).ok()?;
    signed.add_attribute(&Realm::new("fuzzing").ok()?).ok()?;
    signed.add_attribute(&Nonce::new(&door.nonce(CLIENT, now)).ok()?).ok()?;
    signed.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).ok()?;
    Some(signed.finish())
}
