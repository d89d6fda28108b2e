//! The task of one client: owns the way to it, its relayed sockets and its session, and does what the session decides.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::{Instant, sleep_until};
use turn_server_proto::api::SocketAllocateError;
use turn_types::AddressFamily;
use turn_types::stun::attribute::ErrorCode;

use crate::address::OwnAddresses;
use crate::door::{Knock, Method};
use crate::link::{DATAGRAM_LONGEST, Link};
use crate::measure::{self, Dropped};
use crate::moment::Moment;
use crate::ports::RelaySocket;
use crate::session::{House, Output, Session};
use crate::stopping::Stopping;
use crate::strangers::Stranger;

/// How long a client that comes with a message is waited for.
const FIRST_MESSAGE: Duration = Duration::from_secs(1);

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What sessions ask.
    pub(crate) house: Arc<House>,
    /// Where relayed sockets are.
    pub(crate) own: OwnAddresses,
}

/// A relayed address and its socket.
#[derive(Debug)]
struct Relayed {
    address: SocketAddr,
    socket: RelaySocket,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client<L> {
    link: L,
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Its place among those who have shown nothing yet.
    stranger: Option<Stranger>,
    session: Option<Session>,
    relayed: Vec<Relayed>,
    over: bool,
}

impl<L: Link> Client<L> {
    /// A client that has shown nothing yet.
    pub(crate) fn new(link: L, address: SocketAddr, shared: Arc<Shared>, stranger: Option<Stranger>) -> Self {
        Self { link, address, shared, stranger, session: None, relayed: Vec::new(), over: false }
    }

    /// Serves it until it is gone, its allocation is over, or the relay stops.
    pub(crate) async fn serve(mut self, mut stopping: Stopping) {
        let begun = Instant::now();
        let mut buffer = vec![0; DATAGRAM_LONGEST + 1];
        let mut out = Vec::new();
        let timer = sleep_until(begun);
        tokio::pin!(timer);
        while !self.over {
            let deadline = match (&self.session, L::PATIENCE) {
                (Some(session), _) => Instant::from_std(session.deadline()),
                (None, Some(patience)) => begun + patience,
                // There is a message already: clients of this kind come with one.
                (None, None) => begun + FIRST_MESSAGE,
            };
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                message = self.link.next(self.session.is_some()) => match message {
                    Some(message) => self.on_client(&message, &mut out),
                    None => break,
                },
                (relayed, length, peer) = receive(&self.relayed, &mut buffer) => match buffer.get(..length) {
                    Some(data) if length <= DATAGRAM_LONGEST => self.on_peer(relayed, peer, data, &mut out),
                    Some(_) | None => measure::dropped(Dropped::TooLong),
                },
                () = &mut timer => match &mut self.session {
                    Some(session) => session.tick(Moment::now(), &mut out),
                    None => break,
                },
                () = stopping.wait() => break,
            }
            if self.carry_out(&mut out).await.is_err() {
                break;
            }
        }
    }

    fn on_client(&mut self, message: &[u8], out: &mut Vec<Output>) {
        let now = Moment::now();
        if let Some(session) = &mut self.session {
            return session.on_client(message, now, out);
        }
        self.over = L::PATIENCE.is_none();
        match self.shared.house.door.look(message, self.address, now) {
            Knock::Answered(answer, code) => {
                if let Some(code) = code {
                    measure::refused(code);
                }
                out.push(Output::ToClient(answer));
            }
            Knock::Request(request) if request.method == Method::Allocate => {
                match Session::begin(self.shared.house.clone(), self.address, &request, now, out) {
                    Ok(session) => {
                        self.session = Some(session);
                        self.stranger = None;
                        self.over = false;
                    }
                    Err(turned) => out.extend(turned.answer.map(Output::ToClient)),
                }
            }
            Knock::Request(request) => {
                measure::refused(ErrorCode::ALLOCATION_MISMATCH);
                out.extend(request.error(ErrorCode::ALLOCATION_MISMATCH).ok().map(Output::ToClient));
            }
            Knock::Data => measure::dropped(Dropped::Unpermitted),
            Knock::Ignored(_) => measure::dropped(Dropped::Malformed),
        }
    }

    fn on_peer(&mut self, relayed: SocketAddr, peer: SocketAddr, data: &[u8], out: &mut Vec<Output>) {
        if let Some(session) = &mut self.session {
            session.on_peer(relayed, self.shared.own.to_external(peer), data, Moment::now(), out);
        }
    }

    /// Does what was decided; fails when the client is gone.
    async fn carry_out(&mut self, out: &mut Vec<Output>) -> io::Result<()> {
        let mut todo = std::mem::take(out);
        // What is opened is told to the session, which decides more.
        while !todo.is_empty() {
            for output in todo.drain(..) {
                match output {
                    Output::ToClient(message) => self.link.send(message).await?,
                    Output::ToPeer(outgoing) => {
                        let from = self.relayed.iter().find(|relayed| relayed.address == outgoing.relayed);
                        let Some(from) = from else { continue };
                        let to = self.shared.own.to_local(outgoing.peer);
                        // One that can't be sent is lost like any other datagram.
                        if let Err(error) = from.socket.socket.send_to(&outgoing.data, to).await {
                            tracing::trace!(%error, "a datagram can't be relayed");
                        }
                    }
                    Output::Open { families, even } => {
                        let opened =
                            families.into_iter().map(|family| (family, self.open(family, even))).collect();
                        if let Some(session) = &mut self.session {
                            session.opened(opened, Moment::now(), out);
                        }
                    }
                    Output::Close(address) => self.relayed.retain(|relayed| relayed.address != address),
                    Output::Over => {
                        self.session = None;
                        self.over = true;
                    }
                }
            }
            std::mem::swap(&mut todo, out);
        }
        Ok(())
    }

    fn open(&mut self, family: AddressFamily, even: bool) -> Result<SocketAddr, SocketAllocateError> {
        let Some(own) = self.shared.own.of(family) else {
            return Err(SocketAllocateError::AddressFamilyNotSupported);
        };
        let socket = self.shared.house.ports.open(own.local, even).map_err(|error| {
            tracing::warn!(%error, "there is no port for an allocation");
            SocketAllocateError::InsufficientCapacity
        })?;
        let address = SocketAddr::new(own.external, socket.port);
        self.relayed.push(Relayed { address, socket });
        Ok(address)
    }
}

/// Whether somebody with credentials asks for an allocation.
pub(crate) fn asks_for_allocation(knock: &Knock<'_>) -> bool {
    matches!(knock, Knock::Request(request) if request.method == Method::Allocate)
}

/// The next datagram at any of the relayed addresses, how long it is, and from whom.
async fn receive(relayed: &[Relayed], buffer: &mut [u8]) -> (SocketAddr, usize, SocketAddr) {
    poll_fn(|context| {
        for relayed in relayed {
            let mut read = ReadBuf::new(buffer);
            match relayed.socket.socket.poll_recv_from(context, &mut read) {
                Poll::Ready(Ok(peer)) => return Poll::Ready((relayed.address, read.filled().len(), peer)),
                // Somebody could not be reached: nothing to receive, but maybe something after it.
                Poll::Ready(Err(_)) => context.waker().wake_by_ref(),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}
