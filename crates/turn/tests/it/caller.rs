//! A client of relays, by a library that is not the relay's own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_turn::Credentials;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use turn_client_proto::api::{Transmit, TurnClientApi as _, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::client::TurnClient;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::udp::TurnClientUdp;
use turn_types::attribute::RequestedTransport;
use turn_types::message::ALLOCATE;
use turn_types::prelude::DelayedTransmitBuild as _;
use turn_types::stun::attribute::{ErrorCode, Nonce, Realm, Username};
use turn_types::stun::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageWrite as _, MessageWriteExt as _,
    MessageWriteVec,
};
use turn_types::{AddressFamily, TransportType, TurnCredentials};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

enum Wire {
    Datagrams(UdpSocket),
    Stream(Box<dyn Stream>),
}

/// How to reach a relay.
pub(crate) enum Way {
    Udp(SocketAddr),
    Tcp(SocketAddr),
    Tls(SocketAddr, CertificateDer<'static>),
}

/// What a relay answers to a request for an allocation with these credentials: the code of the error, or 0. The library's own
/// client goes on asking where it is refused.
pub(crate) async fn answer_to(relay: SocketAddr, credentials: &Credentials) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(relay).await.expect("loopback");
    let ask = async |request: Vec<u8>| {
        socket.send(&request).await.expect("it is sent");
        let mut answer = vec![0; 1_500];
        let length = timeout(PATIENCE, socket.recv(&mut answer)).await.expect("in time").expect("an answer");
        answer.truncate(length);
        answer
    };
    let allocate = || {
        let mut request = Message::builder_request(ALLOCATE, MessageWriteVec::new());
        request.add_attribute(&RequestedTransport::new(RequestedTransport::UDP)).expect("room");
        request
    };
    let challenge = ask(allocate().finish()).await;
    let challenge = Message::from_bytes(&challenge).expect("STUN");
    let (realm, nonce) = (challenge.attribute::<Realm>(), challenge.attribute::<Nonce>());
    let (realm, nonce) = (realm.expect("a realm"), nonce.expect("a nonce"));
    let Credentials { username, password } = credentials.clone();
    let mut request = allocate();
    request.add_attribute(&Username::new(&username).expect("a short name")).expect("room");
    request.add_attribute(&realm).expect("room");
    request.add_attribute(&nonce).expect("room");
    let key = LongTermKeyCredentials::new(username, password, realm.realm().to_owned());
    let key = key.make_key(IntegrityAlgorithm::Sha1);
    request.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).expect("room");
    let answer = ask(request.finish()).await;
    let answer = Message::from_bytes(&answer).expect("STUN");
    answer.attribute::<ErrorCode>().map_or(0, |error| error.code())
}

/// Something that a client hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Event(TurnEvent),
    Data(SocketAddr, Vec<u8>),
}

/// A client of a relay.
pub(crate) struct Caller {
    client: TurnClient,
    wire: Wire,
    begun: Instant,
    local: SocketAddr,
    relay: SocketAddr,
    transport: TransportType,
}

impl Caller {
    /// Asks a relay for an allocation of one family; the relayed address, if there is one.
    pub(crate) async fn allocate(
        way: Way,
        credentials: &Credentials,
        family: AddressFamily,
    ) -> Result<(Self, SocketAddr), TurnEvent> {
        let mut config = TurnConfig::new(TurnCredentials::new(&credentials.username, &credentials.password));
        config.set_address_family(family);
        let (wire, local, relay, transport) = connect(way).await;
        let client = match transport {
            TransportType::Udp => TurnClient::from(TurnClientUdp::allocate(local, relay, config)),
            TransportType::Tcp => TurnClient::from(TurnClientTcp::allocate(local, relay, config)),
        };
        let mut caller = Self { client, wire, begun: Instant::now(), local, relay, transport };
        let created = caller.until(|heard| match heard {
            Heard::Event(TurnEvent::AllocationCreated(_, relayed)) => Some(Ok(relayed)),
            Heard::Event(event @ TurnEvent::AllocationCreateFailed(_)) => Some(Err(event)),
            Heard::Event(_) | Heard::Data(..) => None,
        });
        let relayed = created.await?;
        Ok((caller, relayed))
    }

    /// Whether the relay gives a permission.
    pub(crate) async fn permit(&mut self, peer: IpAddr) -> bool {
        let now = self.now();
        self.client.create_permission(TransportType::Udp, peer, now).expect("a new permission");
        self.until(|heard| match heard {
            Heard::Event(TurnEvent::PermissionCreated(_, ip)) if ip == peer => Some(true),
            Heard::Event(TurnEvent::PermissionCreateFailed(_, ip)) if ip == peer => Some(false),
            Heard::Event(_) | Heard::Data(..) => None,
        })
        .await
    }

    /// Whether the relay gives a channel.
    pub(crate) async fn bind(&mut self, peer: SocketAddr) -> bool {
        let now = self.now();
        self.client.bind_channel(TransportType::Udp, peer, now).expect("a new channel");
        self.until(|heard| match heard {
            Heard::Event(TurnEvent::ChannelCreated(_, address)) if address == peer => Some(true),
            Heard::Event(TurnEvent::ChannelCreateFailed(_, address)) if address == peer => Some(false),
            Heard::Event(_) | Heard::Data(..) => None,
        })
        .await
    }

    /// Sends to a peer.
    pub(crate) async fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        let now = self.now();
        let transmit =
            self.client.send_to(TransportType::Udp, peer, data.to_vec(), now).expect("it may be sent");
        if let Some(transmit) = transmit {
            self.write(&transmit.data.build()).await.expect("it is sent");
        }
    }

    /// What comes from a peer next.
    pub(crate) async fn data(&mut self) -> (SocketAddr, Vec<u8>) {
        self.until(|heard| match heard {
            Heard::Data(peer, data) => Some((peer, data)),
            Heard::Event(_) => None,
        })
        .await
    }

    /// Gives the allocation back; returns when the relay has said so.
    pub(crate) async fn delete(mut self) {
        let now = self.now();
        self.client.delete(now).expect("there is an allocation");
        let deleted = async {
            while !matches!(self.client.poll(self.now()), TurnPollRet::Closed) {
                if self.hear().await.is_err() {
                    break;
                }
            }
        };
        timeout(PATIENCE, deleted).await.expect("the allocation is given back");
    }

    fn now(&self) -> turn_types::Instant {
        turn_types::Instant::from_std(self.begun)
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Datagrams(socket) => socket.send(bytes).await.map(|_| ()),
            Wire::Stream(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn until<T>(&mut self, mut found: impl FnMut(Heard) -> Option<T>) -> T {
        let search = async {
            loop {
                let heard = self.hear().await.expect("the relay stays");
                if let Some(found) = heard.and_then(&mut found) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, search).await.expect("the relay answers in time")
    }

    /// Goes on until something is heard, or nothing is known to come.
    async fn hear(&mut self) -> io::Result<Option<Heard>> {
        while let Some(transmit) = self.client.poll_transmit(self.now()) {
            self.write(&transmit.data).await?;
        }
        if let Some(event) = self.client.poll_event() {
            return Ok(Some(Heard::Event(event)));
        }
        if let Some(data) = self.client.poll_recv(self.now()) {
            return Ok(Some(Heard::Data(data.peer, data.data().to_vec())));
        }
        let wait = match self.client.poll(self.now()) {
            TurnPollRet::WaitUntil(until) => until.saturating_duration_since(self.now()),
            TurnPollRet::Closed => return Ok(None),
            other => panic!("{other:?}"),
        };
        let mut buffer = vec![0; 65_536];
        let read = async {
            match &mut self.wire {
                Wire::Datagrams(socket) => socket.recv(&mut buffer).await,
                Wire::Stream(stream) => stream.read(&mut buffer).await,
            }
        };
        let length = match timeout(wait, read).await {
            Ok(length) => length?,
            Err(_) => return Ok(None),
        };
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(length);
        let transmit = Transmit::new(buffer, self.transport, self.relay, self.local);
        Ok(match self.client.recv(transmit, self.now()) {
            TurnRecvRet::PeerData(data) => Some(Heard::Data(data.peer, data.data().to_vec())),
            TurnRecvRet::Handled | TurnRecvRet::Ignored(_) | TurnRecvRet::PeerIcmp { .. } => None,
        })
    }
}

async fn connect(way: Way) -> (Wire, SocketAddr, SocketAddr, TransportType) {
    match way {
        Way::Udp(relay) => {
            let any = if relay.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
            let socket = UdpSocket::bind(any).await.expect("a socket");
            socket.connect(relay).await.expect("loopback");
            let local = socket.local_addr().expect("an address");
            (Wire::Datagrams(socket), local, relay, TransportType::Udp)
        }
        Way::Tcp(relay) => {
            let stream = TcpStream::connect(relay).await.expect("the relay listens");
            let local = stream.local_addr().expect("an address");
            (Wire::Stream(Box::new(stream)), local, relay, TransportType::Tcp)
        }
        Way::Tls(relay, certificate) => {
            let stream = TcpStream::connect(relay).await.expect("the relay listens");
            let local = stream.local_addr().expect("an address");
            let stream = encrypt(stream, certificate).await.expect("the certificate is the relay's");
            (Wire::Stream(Box::new(stream)), local, relay, TransportType::Tcp)
        }
    }
}

/// A connection of somebody who trusts one certificate, for `localhost`.
pub(crate) async fn encrypt(
    stream: TcpStream,
    certificate: CertificateDer<'static>,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
