//! The task that keeps one relay.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use stun_proto::types::attribute::{ErrorCode, XorMappedAddress};
use stun_proto::types::message::{Message, MessageClass, TransactionId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::debug;
use turn_client_proto::api::{
    Transmit, TransmitBuild, TurnClientApi as _, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet,
};
use turn_client_proto::prelude::DelayedTransmitBuild;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::stun::TransportType;
use turn_client_proto::types::{AddressFamily, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::framing::{LostPlace, filling, next_message};
use super::stream::Duplex;
use super::{Command, RelayEvent, RelayFailure, RelayId, Way};
use crate::config::IceServer;
use crate::socket::Socket;
use crate::wire::{Pair, Wire, is_stun};

turn_client_proto::impl_client!(Client, (Udp, TurnClientUdp), (Tcp, TurnClientTcp));

/// The first repetition of a request. RFC 8489 section 6.2.1 wants 500 ms where nothing is known of the way; a call that
/// waits for that long because one datagram was lost is slow, and a server can stand a few more.
const RTO: Duration = Duration::from_millis(150);
const RTO_MOST: Duration = Duration::from_secs(1);
/// With the above, 6.6 seconds until a server counts as silent.
const TRIES: u32 = 8;
const LAST_WAIT: Duration = Duration::from_secs(1);

/// An address lasts for an hour at most without being asked for again (RFC 8656 section 7.2), so that something is due before.
const NOTHING_DUE: Duration = Duration::from_secs(3600);

/// How long the good-bye to a server may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// No credentials, or ones that are not believed (RFC 8489 section 14.8).
const UNAUTHENTICATED: u16 = 401;

/// Datagrams that wait for the server's leave to send them to one address. It takes one round trip; checks come every few
/// tens of milliseconds.
const WAITING_MOST: usize = 8;
/// Addresses that may be waited for. The other side has a dozen candidates.
const WAITING_PEERS_MOST: usize = 64;
/// What is read from a stream at once.
const READ: usize = 16 * 1024;

/// The way to the server, once it is open.
enum Link {
    Socket { socket: Arc<Socket>, server: SocketAddr },
    Stream { reader: ReadHalf<Box<dyn Duplex>>, writer: WriteHalf<Box<dyn Duplex>>, buffer: BytesMut },
}

pub(super) struct Task {
    id: RelayId,
    username: String,
    credential: String,
    wire: Wire,
    events: mpsc::Sender<RelayEvent>,
    /// What the protocol's times count from.
    base: Instant,
    addresses: Vec<SocketAddr>,
    failed: Vec<AddressFamily>,
    waiting: HashMap<IpAddr, Vec<(SocketAddr, Bytes)>>,
    /// The request for which the server asked for credentials.
    challenged: Option<TransactionId>,
    /// The last refusal, to tell why there is no relay.
    refusal: Option<u16>,
    /// Where the server sees this side.
    mapped: Arc<OnceLock<SocketAddr>>,
}

impl Task {
    pub(super) fn new(
        id: RelayId,
        server: &IceServer,
        wire: Wire,
        events: mpsc::Sender<RelayEvent>,
        mapped: Arc<OnceLock<SocketAddr>>,
    ) -> Self {
        Self {
            id,
            username: server.username.clone(),
            credential: server.credential.clone(),
            wire,
            events,
            base: Instant::now(),
            addresses: Vec::new(),
            failed: Vec::new(),
            waiting: HashMap::new(),
            challenged: None,
            refusal: None,
            mapped,
        }
    }

    pub(super) async fn run(mut self, way: Way, mut inbox: mpsc::Receiver<Command>) {
        let used = match &way {
            Way::Socket { socket, server } => Some(Pair { local: socket.local(), remote: *server }),
            Way::Stream(_) => None,
        };
        let failure = match self.open(way).await {
            Ok((mut client, mut link)) => self.keep(&mut client, &mut link, &mut inbox).await,
            Err(failure) => Some(failure),
        };
        if let Some(pair) = used {
            self.wire.remove_relay(pair);
        }
        if let Some(failure) = failure {
            debug!(relay = self.id.0, %failure, "no relay");
            let _ = self.events.send(RelayEvent::Gone(self.id, failure)).await;
        }
    }

    async fn open(&self, way: Way) -> Result<(Client, Link), RelayFailure> {
        let credentials = TurnCredentials::new(&self.username, &self.credential);
        let mut config = TurnConfig::new(credentials);
        config.add_address_family(AddressFamily::IPV6);
        config.set_request_retransmits(RTO, RTO_MOST, TRIES, LAST_WAIT);
        Ok(match way {
            Way::Socket { socket, server } => {
                let client = TurnClientUdp::allocate(socket.local(), server, config);
                (client.into(), Link::Socket { socket, server })
            }
            Way::Stream(connector) => {
                let open = connector.open().await?;
                let client = TurnClientTcp::allocate(open.local, open.remote, config);
                let (reader, writer) = tokio::io::split(open.stream);
                (client.into(), Link::Stream { reader, writer, buffer: BytesMut::with_capacity(READ) })
            }
        })
    }

    fn now(&self) -> turn_client_proto::types::Instant {
        let nanos = i64::try_from(self.base.elapsed().as_nanos()).unwrap_or(i64::MAX);
        turn_client_proto::types::Instant::from_nanos(nanos)
    }

    /// When there is something to do. A request for an address that is never answered ends the protocol's state, which says so only
    /// when it is asked once more, and names a moment hours away until then.
    fn poll(&self, client: &mut Client) -> TurnPollRet {
        let now = self.now();
        match client.poll(now) {
            TurnPollRet::WaitUntil(at) if at > now + NOTHING_DUE => client.poll(now),
            due => due,
        }
    }

    /// Keeps the relay until nobody wants it any more (`None`) or there is none.
    async fn keep(
        &mut self,
        client: &mut Client,
        link: &mut Link,
        inbox: &mut mpsc::Receiver<Command>,
    ) -> Option<RelayFailure> {
        loop {
            let wakeup = match self.poll(client) {
                TurnPollRet::WaitUntil(at) => {
                    self.base + Duration::from_nanos(at.as_nanos().max(0).unsigned_abs())
                }
                TurnPollRet::Closed => return Some(self.why()),
                // TCP to the other side (RFC 6062) is not asked for.
                TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => Instant::now(),
            };
            while let Some(transmit) = client.poll_transmit(self.now()) {
                if let Err(failure) = write(link, transmit.data.as_ref()).await {
                    return Some(failure);
                }
            }
            while let Some(event) = client.poll_event() {
                if let Some(failure) = self.on_event(client, link, event).await {
                    return Some(failure);
                }
            }
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => {
                        if let Err(failure) = self.on_command(client, link, command).await {
                            return Some(failure);
                        }
                    }
                    None => {
                        self.give_back(client, link).await;
                        return None;
                    }
                },
                read = read(link) => match read {
                    Ok(bytes) => {
                        if let Err(failure) = self.on_received(client, bytes) {
                            return Some(failure);
                        }
                    }
                    Err(failure) => return Some(failure),
                },
                () = sleep_until(wakeup) => {}
            }
        }
    }

    /// Tells the server that the address is not needed any more: a user may have a few only, and each would last for minutes. The
    /// protocol keeps its requests apart, so it may take a moment until this one may be sent.
    async fn give_back(&self, client: &mut Client, link: &mut Link) {
        let deadline = Instant::now() + FAREWELL;
        if client.delete(self.now()).is_err() {
            return;
        }
        loop {
            if let Some(transmit) = client.poll_transmit(self.now()) {
                let _ = write(link, transmit.data.as_ref()).await;
                return;
            }
            let TurnPollRet::WaitUntil(at) = client.poll(self.now()) else { return };
            let at = self.base + Duration::from_nanos(at.as_nanos().max(0).unsigned_abs());
            if at > deadline {
                return;
            }
            sleep_until(at).await;
        }
    }

    fn why(&self) -> RelayFailure {
        match self.refusal {
            Some(code) => RelayFailure::Refused(code),
            None => RelayFailure::Silent,
        }
    }

    async fn on_event(
        &mut self,
        client: &mut Client,
        link: &mut Link,
        event: TurnEvent,
    ) -> Option<RelayFailure> {
        match event {
            TurnEvent::AllocationCreated(_, address) => {
                self.addresses.push(address);
                self.tell_addresses().await;
            }
            TurnEvent::AllocationCreateFailed(family) => {
                self.failed.push(family);
                if self.addresses.is_empty() && self.failed.len() > 1 {
                    return Some(self.why());
                }
                self.tell_addresses().await;
            }
            TurnEvent::PermissionCreated(_, ip) => {
                for (to, datagram) in self.waiting.remove(&ip).unwrap_or_default() {
                    if let Err(failure) = self.send(client, link, to, datagram).await {
                        return Some(failure);
                    }
                }
            }
            // The relay does not send there, or the address is of a family that it has not: other pairs will do.
            TurnEvent::PermissionCreateFailed(_, ip) => {
                self.waiting.remove(&ip);
            }
            TurnEvent::ChannelCreated(..)
            | TurnEvent::ChannelCreateFailed(..)
            | TurnEvent::TcpConnected(_)
            | TurnEvent::TcpConnectFailed(_) => {}
        }
        None
    }

    /// Addresses come one by one, and all that there are so far are told each time.
    async fn tell_addresses(&self) {
        if !self.addresses.is_empty() {
            let _ = self.events.send(RelayEvent::Allocated(self.id, self.addresses.clone())).await;
        }
    }

    async fn on_command(
        &mut self,
        client: &mut Client,
        link: &mut Link,
        command: Command,
    ) -> Result<(), RelayFailure> {
        match command {
            Command::Send { to, datagram } => self.send(client, link, to, datagram).await?,
            Command::Arrived(datagram) => self.on_received(client, datagram)?,
            Command::Permit(ip) => {
                // Refused where there is one already.
                let _ = client.create_permission(TransportType::Udp, ip, self.now());
            }
            Command::Bind(to) => {
                let _ = client.bind_channel(TransportType::Udp, to, self.now());
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        client: &mut Client,
        link: &mut Link,
        to: SocketAddr,
        datagram: Bytes,
    ) -> Result<(), RelayFailure> {
        if !client.have_permission(TransportType::Udp, to.ip()) {
            if self.waiting.len() < WAITING_PEERS_MOST || self.waiting.contains_key(&to.ip()) {
                let waiting = self.waiting.entry(to.ip()).or_default();
                // Checks come again, what is newer may be a handshake.
                if waiting.len() == WAITING_MOST {
                    waiting.remove(0);
                }
                waiting.push((to, datagram));
            }
            let _ = client.create_permission(TransportType::Udp, to.ip(), self.now());
            return Ok(());
        }
        match client.send_to(TransportType::Udp, to, datagram, self.now()) {
            Ok(Some(TransmitBuild { data, .. })) => write(link, &data.build()).await,
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Takes in a message of the server's.
    fn on_received(&mut self, client: &mut Client, bytes: Bytes) -> Result<(), RelayFailure> {
        let (transport, from, to) = (client.transport(), client.remote_addr(), client.local_addr());
        self.note(&bytes);
        // The protocol would ask again until it is tired of it, over streams for half a minute.
        if let (true, Some(UNAUTHENTICATED)) = (self.addresses.is_empty(), self.refusal) {
            return Err(RelayFailure::Refused(UNAUTHENTICATED));
        }
        let transmit = Transmit::new(bytes, transport, from, to);
        match client.recv(transmit, self.now()) {
            TurnRecvRet::PeerData(data) => self.came_out(data.peer, Bytes::copy_from_slice(data.data())),
            // An answer to a question that the agent asked the same server.
            TurnRecvRet::Ignored(transmit) => {
                if transmit.data.first().copied().is_some_and(is_stun) {
                    self.wire.stun(Pair { local: to, remote: from }, transmit.data);
                }
            }
            TurnRecvRet::Handled | TurnRecvRet::PeerIcmp { .. } => {}
        }
        while let Some(data) = client.poll_recv(self.now()) {
            self.came_out(data.peer, Bytes::copy_from_slice(data.data()));
        }
        Ok(())
    }

    fn came_out(&self, peer: SocketAddr, datagram: Bytes) {
        let local = self.addresses.iter().find(|address| address.is_ipv4() == peer.is_ipv4());
        if let Some(local) = local {
            self.wire.came(Pair { local: *local, remote: peer }, datagram);
        }
    }

    /// The protocol's state tells that a request was refused, but not why, and nothing of where the server sees this side.
    fn note(&mut self, datagram: &[u8]) {
        const STALE_NONCE: u16 = 438;
        if !datagram.first().copied().is_some_and(is_stun) {
            return;
        }
        let Ok(message) = Message::from_bytes(datagram) else { return };
        if let (true, Ok(mapped)) =
            (message.has_class(MessageClass::Success), message.attribute::<XorMappedAddress>())
        {
            self.mapped.get_or_init(|| mapped.addr(message.transaction_id()));
        }
        if !message.has_class(MessageClass::Error) {
            return;
        }
        let Ok(error) = message.attribute::<ErrorCode>() else { return };
        match error.code() {
            // The first request has no credentials, however often it is sent, and is answered with what is needed for them.
            UNAUTHENTICATED
                if *self.challenged.get_or_insert(message.transaction_id()) == message.transaction_id() => {}
            STALE_NONCE => {}
            // Another one with this answer is a refusal of the credentials.
            code => self.refusal = Some(code),
        }
    }
}

async fn write(link: &mut Link, bytes: &[u8]) -> Result<(), RelayFailure> {
    match link {
        Link::Socket { socket, server } => socket.send_now(*server, bytes),
        Link::Stream { writer, .. } => {
            let written = async {
                writer.write_all(bytes).await?;
                writer.write_all(filling(bytes)).await?;
                writer.flush().await
            };
            written.await.map_err(|error| RelayFailure::Unreachable(error.to_string()))?;
        }
    }
    Ok(())
}

/// The next message of a stream. A socket is read by others. May be dropped at any time without losing anything.
async fn read(link: &mut Link) -> Result<Bytes, RelayFailure> {
    let Link::Stream { reader, buffer, .. } = link else { return std::future::pending().await };
    loop {
        match next_message(buffer) {
            Ok(Some(message)) => return Ok(message),
            Ok(None) => {}
            Err(LostPlace) => {
                return Err(RelayFailure::Unreachable("what answers there is no relay".to_owned()));
            }
        }
        match reader.read_buf(buffer).await {
            Ok(0) => return Err(RelayFailure::Unreachable("the relay closed the connection".to_owned())),
            Ok(_) => {}
            Err(error) => return Err(RelayFailure::Unreachable(error.to_string())),
        }
    }
}
