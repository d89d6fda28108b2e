//! Looking at the network without a call: what STUN servers and relays say of this machine, and what gets through to it.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_tunnel::Tunnel;
use rustls::ClientConfig;
use stun_proto::types::attribute::XorMappedAddress;
use stun_proto::types::message::{BINDING, Message, MessageClass, MessageWriteVec, TransactionId};
use stun_proto::types::prelude::{MessageWrite as _, MessageWriteExt as _};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::agent::interfaces;
use crate::config::IceServer;
use crate::relay::{self, Connector, RelayEvent, RelayFailure, RelayHandle, RelayId, Way};
use crate::socket::Socket;
use crate::wire::{Arrival, Wire};

/// The first repetition of a question; each later one waits twice as long. As for calls.
const RTO: Duration = Duration::from_millis(100);
/// With the above 3.1 seconds: of a link that loses every third datagram each way, one question in eighty is not answered.
const TRIES: u32 = 5;
/// The longest datagram that is looked at: STUN messages without much in them.
const DATAGRAM: usize = 1500;

/// This machine's addresses, without loopback and those that mean nothing beyond one cable.
pub fn own_addresses() -> BTreeSet<IpAddr> {
    interfaces::own_addresses()
}

/// A small STUN message that is recognised where it comes out. Everything passes STUN that passes calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    id: TransactionId,
    datagram: Vec<u8>,
}

impl Mark {
    /// A new one.
    pub fn random() -> Self {
        let message = Message::builder(
            stun_proto::types::message::MessageType::from_class_method(MessageClass::Indication, BINDING),
            TransactionId::generate(),
            MessageWriteVec::new(),
        );
        Self { id: message.transaction_id(), datagram: message.finish() }
    }

    fn is(&self, datagram: &[u8]) -> bool {
        Message::from_bytes(datagram).is_ok_and(|message| message.transaction_id() == self.id)
    }
}

/// What a STUN server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The address that it sees.
    pub address: SocketAddr,
    /// Since the last time that it was asked.
    pub round_trip: Duration,
}

/// A UDP socket from which servers are asked.
#[derive(Debug)]
pub struct Asked {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Asked {
    /// A socket of one of this machine's addresses.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(ip: IpAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((ip, 0)).await?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// Its address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Asks a STUN server as which address it sees this socket; `None` where no answer comes within 3.1 seconds.
    pub async fn mapped_at(&self, server: SocketAddr) -> Option<Mapped> {
        let question = Message::builder_request(BINDING, MessageWriteVec::new());
        let id = question.transaction_id();
        let question = question.finish();
        for attempt in 0..TRIES {
            let asked = Instant::now();
            // What the system does not take, such as where there is no route, gets no answer either.
            let _ = self.socket.send_to(&question, server).await;
            let wait = RTO * 2_u32.pow(attempt);
            if let Ok(address) = timeout(wait, self.next(|datagram| address_in(datagram, id))).await {
                return Some(Mapped { address, round_trip: asked.elapsed() });
            }
        }
        None
    }

    /// Sends a mark.
    pub async fn send(&self, mark: &Mark, to: SocketAddr) {
        // What is not sent does not come out.
        let _ = self.socket.send_to(&mark.datagram, to).await;
    }

    /// Waits until a mark comes, as long as it takes.
    pub async fn wait_for(&self, mark: &Mark) {
        self.next(|datagram| mark.is(datagram).then_some(())).await;
    }

    async fn next<T>(&self, wanted: impl Fn(&[u8]) -> Option<T>) -> T {
        let mut buffer = [0; DATAGRAM];
        loop {
            // What an earlier datagram met with ("connection refused") is told here, and says nothing of the next one.
            if let Ok((len, _)) = self.socket.recv_from(&mut buffer).await
                && let Some(found) = wanted(&buffer[..len])
            {
                return found;
            }
        }
    }
}

fn address_in(datagram: &[u8], id: TransactionId) -> Option<SocketAddr> {
    let message = Message::from_bytes(datagram).ok()?;
    let answers = message.transaction_id() == id && message.has_class(MessageClass::Success);
    answers.then(|| message.attribute::<XorMappedAddress>().ok().map(|mapped| mapped.addr(id)))?
}

/// An address at a relay, given back when the value is dropped.
#[derive(Debug)]
pub struct RelayProbe {
    handle: RelayHandle,
    wire: Wire,
    arrivals: mpsc::Receiver<Arrival>,
    events: mpsc::Receiver<RelayEvent>,
    addresses: Vec<SocketAddr>,
    took: Duration,
    reading: Option<JoinHandle<()>>,
}

impl RelayProbe {
    /// Asks a relay over UDP, from one of this machine's addresses.
    ///
    /// # Errors
    /// [`RelayFailure`].
    pub async fn over_udp(
        server: &IceServer,
        local: IpAddr,
        address: SocketAddr,
    ) -> Result<Self, RelayFailure> {
        let unusable = |error: io::Error| RelayFailure::Unreachable(error.to_string());
        let socket = Arc::new(Socket::bind(SocketAddr::new(local, 0)).map_err(unusable)?);
        let (wire, arrivals) = Wire::new(vec![Arc::clone(&socket)]);
        let reading = tokio::spawn(read(wire.clone()));
        Self::ask(server, Way::Socket { socket, server: address }, wire, arrivals, Some(reading)).await
    }

    /// Asks a relay over TCP, or over TLS with the certificates that `tls` believes.
    ///
    /// # Errors
    /// [`RelayFailure`].
    pub async fn over_stream(
        server: &IceServer,
        tunnel: &Tunnel,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, RelayFailure> {
        let (wire, arrivals) = Wire::new(Vec::new());
        let connector = Connector { url: server.url.clone(), tunnel: tunnel.clone(), tls };
        Self::ask(server, Way::Stream(connector), wire, arrivals, None).await
    }

    async fn ask(
        server: &IceServer,
        way: Way,
        wire: Wire,
        arrivals: mpsc::Receiver<Arrival>,
        reading: Option<JoinHandle<()>>,
    ) -> Result<Self, RelayFailure> {
        let asked = Instant::now();
        let (outbox, events) = mpsc::channel(relay::EVENTS);
        let handle = relay::allocate(RelayId(0), server, way, wire.clone(), outbox);
        // From here on dropping gives everything back.
        let mut probe =
            Self { handle, wire, arrivals, events, addresses: Vec::new(), took: Duration::ZERO, reading };
        match probe.events.recv().await {
            Some(RelayEvent::Allocated(_, addresses)) => {
                probe.addresses = addresses;
                probe.took = asked.elapsed();
                Ok(probe)
            }
            Some(RelayEvent::Gone(_, failure)) => Err(failure),
            None => Err(RelayFailure::Silent),
        }
    }

    /// How long it took to get the first address, with connecting: at least two round trips.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// The addresses, one of each family at most.
    pub fn addresses(&mut self) -> &[SocketAddr] {
        while let Ok(event) = self.events.try_recv() {
            match event {
                RelayEvent::Allocated(_, addresses) => self.addresses = addresses,
                RelayEvent::Gone(..) => self.addresses.clear(),
            }
        }
        &self.addresses
    }

    /// Where the relay sees this machine, at the end of the way that was asked by.
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.handle.mapped()
    }

    /// Lets in what comes from an IP address. It takes a round trip.
    pub fn permit(&self, ip: IpAddr) {
        self.handle.permit(ip);
    }

    /// Has the relay send a mark.
    pub fn send(&self, mark: &Mark, to: SocketAddr) {
        self.handle.send(to, &mark.datagram);
    }

    /// Waits until a mark comes out of the relay, as long as it takes; returns where the relay saw it come from.
    pub async fn wait_for(&mut self, mark: &Mark) -> SocketAddr {
        loop {
            match self.arrivals.recv().await {
                Some(arrival) if mark.is(&arrival.datagram) => return arrival.pair.remote,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for RelayProbe {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
        self.wire.close();
    }
}

/// Gives what comes to a socket to the relay and to whoever waits for marks.
async fn read(wire: Wire) {
    let mut buffer = vec![0; DATAGRAM * wire.most_received_at_once()];
    loop {
        poll_fn(|cx| wire.poll_recv(cx, &mut buffer)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use stun_proto::types::attribute::{ErrorCode, Nonce, Realm};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_server_that_loses_the_first_question_is_asked_again() {
        let server = UdpSocket::bind((HERE, 0)).await.unwrap();
        let at = server.local_addr().unwrap();
        let asked = Asked::bind(HERE).await.unwrap();
        let own = asked.local();
        let answers = async {
            let mut buffer = [0; DATAGRAM];
            server.recv_from(&mut buffer).await.unwrap();
            let (len, from) = server.recv_from(&mut buffer).await.unwrap();
            let request = Message::from_bytes(&buffer[..len]).unwrap();
            let mut answer = Message::builder_success(&request, MessageWriteVec::new());
            answer.add_attribute(&XorMappedAddress::new(from, request.transaction_id())).unwrap();
            server.send_to(&answer.finish(), from).await.unwrap();
        };
        let (mapped, ()) = tokio::join!(asked.mapped_at(at), answers);
        assert_eq!(mapped.unwrap().address, own);
    }

    #[tokio::test]
    async fn a_mark_is_told_from_others() {
        let (one, other) = (Asked::bind(HERE).await.unwrap(), Asked::bind(HERE).await.unwrap());
        let (wrong, right) = (Mark::random(), Mark::random());
        assert!(right.is(&right.datagram) && !right.is(&wrong.datagram));
        one.send(&wrong, other.local()).await;
        one.send(&right, other.local()).await;
        other.wait_for(&right).await;
    }

    /// Silent is also who first asks for credentials: in a network that loses much all that follows may get lost.
    #[tokio::test(start_paused = true)]
    async fn a_relay_that_falls_silent_is_given_up() {
        let relay = UdpSocket::bind((HERE, 0)).await.unwrap();
        let at = relay.local_addr().unwrap();
        let server = IceServer {
            url: format!("turn:{at}").parse().unwrap(),
            username: "u".to_owned(),
            credential: "c".to_owned(),
        };
        let challenges = async {
            let mut buffer = [0; DATAGRAM];
            let (len, from) = relay.recv_from(&mut buffer).await.unwrap();
            let request = Message::from_bytes(&buffer[..len]).unwrap();
            let mut answer = Message::builder_error(&request, MessageWriteVec::new());
            let code = ErrorCode::builder(ErrorCode::UNAUTHORIZED).build().unwrap();
            answer.add_attribute(&code).unwrap();
            answer.add_attribute(&Realm::new("call.example.org").unwrap()).unwrap();
            answer.add_attribute(&Nonce::new("once").unwrap()).unwrap();
            relay.send_to(&answer.finish(), from).await.unwrap();
            std::future::pending::<()>().await;
        };
        let began = tokio::time::Instant::now();
        tokio::select! {
            asked = RelayProbe::over_udp(&server, HERE, at) => {
                assert_eq!(asked.unwrap_err(), RelayFailure::Silent);
                assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
            }
            () = challenges => {}
        }
    }

    #[tokio::test]
    async fn a_relay_that_is_not_there_says_so() {
        let free = std::net::TcpListener::bind((HERE, 0)).unwrap().local_addr().unwrap();
        let server = IceServer {
            url: format!("turn:{free}?transport=tcp").parse().unwrap(),
            username: "u".to_owned(),
            credential: "c".to_owned(),
        };
        let failure = RelayProbe::over_stream(&server, &Tunnel::direct(), None).await.unwrap_err();
        assert!(matches!(failure, RelayFailure::Unreachable(_)), "{failure}");
    }
}
