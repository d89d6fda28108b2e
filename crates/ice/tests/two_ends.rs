//! Two ends on this machine find each other, over real sockets.

use std::future::poll_fn;
use std::time::Duration;

use ahoy_ice::{CandidateKind, Credentials, Ice, IceConfig, IceEvent, IceEvents, IceState, PairView, Wire};
use tokio::time::timeout;

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

struct End {
    ice: Ice,
    wire: Wire,
    events: IceEvents,
    credentials: Credentials,
}

impl End {
    fn open() -> Self {
        let credentials = Credentials::random();
        let config =
            IceConfig { bind: vec!["127.0.0.1:0".parse().expect("an address")], ..IceConfig::default() };
        let (ice, wire, events) = Ice::open(config, credentials.clone()).expect("loopback can be bound");
        Self { ice, wire, events, credentials }
    }

    async fn next(&mut self) -> IceEvent {
        timeout(DEADLINE, self.events.recv()).await.expect("something happens").expect("it is open")
    }

    /// The candidates, once all are known.
    async fn candidates(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.next().await {
                IceEvent::Candidate(line) => lines.push(line),
                IceEvent::Gathered => return lines,
                _ => {}
            }
        }
    }

    async fn meet(&self, credentials: &Credentials, candidates: &[String], controlling: bool) {
        self.ice.set_remote(credentials.clone(), controlling).await;
        for line in candidates {
            self.ice.add_remote_candidate(line).await.expect("it is a candidate");
        }
    }

    async fn connected(&mut self) -> PairView {
        let (mut path, mut connected) = (None, false);
        loop {
            match self.next().await {
                IceEvent::Path(found) => path = Some(found),
                IceEvent::State(IceState::Connected) => connected = true,
                _ => {}
            }
            if let (Some(path), true) = (&path, connected) {
                return path.clone();
            }
        }
    }

    async fn send(&self, datagram: &[u8]) {
        poll_fn(|cx| self.wire.poll_send(cx, datagram, None)).await;
    }

    /// The next datagram. Checks are answered only while somebody receives.
    async fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 2000 * self.wire.most_received_at_once()];
        let received = poll_fn(|cx| self.wire.poll_recv(cx, &mut buffer)).await;
        buffer.truncate(received.len);
        buffer
    }
}

/// Two ends that know each other's candidates.
async fn pair() -> (End, End) {
    let (mut left, mut right) = (End::open(), End::open());
    let (of_left, of_right) = (left.candidates().await, right.candidates().await);
    left.meet(&right.credentials.clone(), &of_right, true).await;
    right.meet(&left.credentials.clone(), &of_left, false).await;
    (left, right)
}

const HELLO: &[u8] = b"\x80 hello";
const ANSWER: &[u8] = b"\x80 answer";

/// What is sent before anything is known arrives, and what is sent back, too.
async fn talk(left: &End, right: &End) {
    left.send(HELLO).await;
    let there = async {
        let heard = right.receive().await;
        right.send(ANSWER).await;
        // So that checks go on being answered.
        tokio::select! { _ = right.receive() => {}, () = std::future::pending() => {} }
        heard
    };
    let back = async { left.receive().await };
    tokio::select! {
        _ = there => panic!("nothing more is sent"),
        answer = timeout(DEADLINE, back) => assert_eq!(answer.expect("an answer comes"), ANSWER),
    }
}

#[tokio::test]
async fn two_ends_find_each_other_and_talk() {
    let (mut left, mut right) = pair().await;
    talk(&left, &right).await;
    for end in [&mut left, &mut right] {
        let path = end.connected().await;
        assert_eq!((path.local_kind, path.remote_kind), (CandidateKind::Host, CandidateKind::Host));
        assert!(path.in_use && !path.dead && !path.is_tcp);
    }
    let view = left.ice.view().await;
    assert_eq!((view.locals.len(), view.remotes.len()), (2, 2), "one for datagrams, one for connections");
    assert!(view.failures.is_empty());
    left.ice.close().await;
    right.ice.close().await;
}

#[tokio::test]
async fn two_ends_between_which_no_datagram_gets_through_connect_by_tcp() {
    let (mut left, mut right) = (End::open(), End::open());
    let (of_left, mut of_right) = (left.candidates().await, right.candidates().await);
    // Only one side can be connected to, and knows of no address of the other one.
    of_right.retain(|line| line.contains(" tcp "));
    assert_eq!((of_left.len(), of_right.len()), (2, 1));
    left.meet(&right.credentials.clone(), &of_right, true).await;
    right.meet(&left.credentials.clone(), &[], false).await;
    talk(&left, &right).await;
    for end in [&mut left, &mut right] {
        let path = end.connected().await;
        assert!(path.in_use && path.is_tcp && path.local_kind == CandidateKind::Host, "{path:?}");
    }
    // More than fits into one read, in pieces that come out as they went in.
    for number in 0..200_u8 {
        let mut datagram = vec![number; 1200];
        datagram[0] = 0x80;
        left.send(&datagram).await;
        assert_eq!(right.receive().await, datagram);
    }
}

#[tokio::test]
async fn a_restart_is_not_noticed_by_who_talks() {
    let (mut left, mut right) = pair().await;
    talk(&left, &right).await;
    left.connected().await;
    right.connected().await;
    let (of_left, of_right) = (left.lines().await, right.lines().await);
    (left.credentials, right.credentials) = (Credentials::random(), Credentials::random());
    left.ice.restart(left.credentials.clone()).await;
    talk(&left, &right).await;
    right.ice.restart(right.credentials.clone()).await;
    left.meet(&right.credentials, &of_right, true).await;
    right.meet(&left.credentials, &of_left, false).await;
    for _ in 0..3 {
        talk(&left, &right).await;
    }
}

impl End {
    /// The lines of the candidates known, as they would be told again.
    async fn lines(&self) -> Vec<String> {
        let locals = self.ice.view().await.locals;
        let line =
            |port: u16, priority: u32| format!("candidate:1 1 udp {priority} 127.0.0.1 {port} typ host");
        locals.iter().map(|local| line(local.address.port(), local.priority)).collect()
    }
}

#[tokio::test]
async fn who_does_not_know_the_password_is_not_heard() {
    let (left, right) = pair().await;
    talk(&left, &right).await;
    let address = left.ice.view().await.locals[0].address;
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("loopback can be bound");
    stranger.send_to(b"\x80 injected", address).await.expect("it is sent");
    right.send(ANSWER).await;
    let heard = timeout(DEADLINE, left.receive()).await.expect("something comes");
    assert_eq!(heard, ANSWER);
}

#[tokio::test]
async fn a_closed_end_gives_its_port_back() {
    let end = End::open();
    let address = end.ice.view().await.locals[0].address;
    assert!(std::net::UdpSocket::bind(address).is_err(), "it is in use");
    end.ice.close().await;
    assert!(std::net::UdpSocket::bind(address).is_ok());
    assert_eq!(end.ice.view().await, ahoy_ice::IceView::default());
}
