//! What reads bytes from outside, for the fuzzer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use bytes::BytesMut;

use crate::agent::Session;
use crate::candidate::{Candidate, Line};
use crate::config::{Credentials, ServerUrl};
use crate::gather::Questions;
use crate::lite::answer_check;
use crate::relay::next_message;
use crate::streams::next_datagram;
use crate::wire::Pair;

const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5000);
const THERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 5000);

/// Takes the text as lines of candidates and as addresses of servers.
pub fn lines(text: &str) {
    for line in text.lines() {
        if let Ok(url) = line.parse::<ServerUrl>() {
            assert_eq!(url.to_string().parse(), Ok(url), "what is written can be read");
        }
        if let Ok(Line::Candidate(candidate)) = Candidate::read(line) {
            session().add_remote(candidate);
        }
    }
}

/// Takes the bytes as what a relay sends on a stream: pieces, and each whole message as a datagram from the other side and from a
/// STUN server.
pub fn stream(bytes: &[u8]) {
    let (mut session, mut questions, now) = (session(), Questions::default(), Instant::now());
    let pair = Pair { local: HERE, remote: THERE };
    questions.ask(pair, now);
    let mut read = BytesMut::from(bytes);
    while let Ok(Some(message)) = next_message(&mut read) {
        session.handle(pair, is::Protocol::Udp, &message, now);
        questions.handle(pair, &message, now);
        let _ = answer_check(&message, "password", THERE);
    }
    session.drive(now, |_, _| {});
}

/// Takes the bytes as what the other side sends on a connection.
pub fn connection(bytes: &[u8]) {
    let (mut session, now) = (session(), Instant::now());
    let mut read = BytesMut::from(bytes);
    while let Ok(Some(datagram)) = next_datagram(&mut read) {
        session.handle(Pair { local: HERE, remote: THERE }, is::Protocol::Tcp, &datagram, now);
    }
    session.drive(now, |_, _| {});
}

fn session() -> Session {
    let credentials = |ufrag: &str| Credentials { ufrag: ufrag.to_owned(), password: "password".to_owned() };
    let mut session = Session::new(&credentials("here"), &Default::default());
    session.set_remote(credentials("there"), true);
    if let Ok(host) = is::Candidate::host(HERE, is::Protocol::Udp) {
        session.add_local(host);
    }
    session
}
