//! Datagrams: one socket for all clients. The task that reads it answers whatever needs no memory, and hands what clients with
//! an allocation send to their tasks.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use turn_types::stun::attribute::ErrorCode;

use crate::client::{Client, Shared, asks_for_allocation};
use crate::door::Knock;
use crate::link::{DATAGRAM_LONGEST, DatagramLink};
use crate::measure::{self, Dropped};
use crate::moment::Moment;
use crate::stopping::Stopping;

/// Datagrams that wait for one client's task: 0.3 s of a fast call. With more, the newest are dropped and counted.
const QUEUE: usize = 256;
/// Longest datagram from a client: one to be relayed and what is around it.
const LONGEST: usize = DATAGRAM_LONGEST + 128;

/// A socket and the clients behind it.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
    clients: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    tasks: JoinSet<()>,
    addresses: HashMap<Id, SocketAddr>,
}

impl Datagrams {
    pub(crate) fn new(socket: UdpSocket, shared: Arc<Shared>) -> Self {
        Self {
            socket: Arc::new(socket),
            shared,
            clients: HashMap::new(),
            tasks: JoinSet::new(),
            addresses: HashMap::new(),
        }
    }

    /// Serves until the relay stops.
    pub(crate) async fn run(mut self, mut stopping: Stopping) {
        let mut buffer = vec![0; LONGEST + 1];
        loop {
            let stop = stopping.clone();
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, client)) if length <= LONGEST => {
                        let message = buffer.get(..length).unwrap_or_default();
                        self.on_datagram(message, client, stop).await;
                    }
                    Ok(_) => measure::dropped(Dropped::TooLong),
                    // Somebody who was answered could not be reached.
                    Err(error) => tracing::trace!(%error, "no datagram"),
                },
                Some(ended) = self.tasks.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.forget(id);
                }
                () = stopping.wait() => break,
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn forget(&mut self, task: Id) {
        if let Some(client) = self.addresses.remove(&task) {
            // Another task may have taken its place.
            if self.clients.get(&client).is_some_and(mpsc::Sender::is_closed) {
                self.clients.remove(&client);
            }
        }
    }

    async fn on_datagram(&mut self, message: &[u8], client: SocketAddr, stopping: Stopping) {
        if let Some(queue) = self.clients.get(&client) {
            match queue.try_send(message.to_vec()) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(_)) => return measure::dropped(Dropped::Overrun),
                // Its task has just ended: it is a stranger again.
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    self.clients.remove(&client);
                }
            }
        }
        let knock = self.shared.house.door.look(message, client, Moment::now());
        if asks_for_allocation(&knock) {
            return self.welcome(message, client, stopping);
        }
        let answer = match knock {
            Knock::Answered(answer, code) => {
                if let Some(code) = code {
                    measure::refused(code);
                }
                answer
            }
            Knock::Request(request) => {
                measure::refused(ErrorCode::ALLOCATION_MISMATCH);
                let Ok(answer) = request.error(ErrorCode::ALLOCATION_MISMATCH) else { return };
                answer
            }
            Knock::Data => return measure::dropped(Dropped::Unpermitted),
            Knock::Ignored(_) => return measure::dropped(Dropped::Malformed),
        };
        // One that can't be sent is lost like any other datagram.
        if let Err(error) = self.socket.send_to(&answer, client).await {
            tracing::trace!(%error, "a datagram can't be sent");
        }
    }

    fn welcome(&mut self, message: &[u8], client: SocketAddr, stopping: Stopping) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        // It is empty.
        let _ = queue.try_send(message.to_vec());
        let link = DatagramLink { socket: self.socket.clone(), client, queue: receiver };
        let task = Client::new(link, client, self.shared.clone(), None).serve(stopping);
        let id = self.tasks.spawn(task).id();
        self.addresses.insert(id, client);
        self.clients.insert(client, queue);
    }
}
