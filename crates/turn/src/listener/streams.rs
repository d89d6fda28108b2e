//! Streams, with and without TLS: a connection for each client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::AFTER_FAILURE;
use crate::client::{Client, Shared};
use crate::link::StreamLink;
use crate::relay::TlsSource;
use crate::stopping::Stopping;
use crate::strangers::{Stranger, Strangers};

/// How long a client may take for the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What TURN over TLS is called where a port serves more than that (RFC 7443 section 3).
const ALPN: [&[u8]; 2] = [b"stun.turn", b"stun.nat-discovery"];

/// A listener and the clients that came by it.
pub(crate) struct Streams {
    listener: TcpListener,
    tls: Option<TlsSource>,
    shared: Arc<Shared>,
    strangers: Strangers,
    tasks: JoinSet<()>,
}

impl Streams {
    pub(crate) fn new(
        listener: TcpListener,
        tls: Option<TlsSource>,
        shared: Arc<Shared>,
        strangers: Strangers,
    ) -> Self {
        Self { listener, tls, shared, strangers, tasks: JoinSet::new() }
    }

    /// Serves until the relay stops.
    pub(crate) async fn run(mut self, mut stopping: Stopping) {
        loop {
            let stop = stopping.clone();
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, client)) => self.welcome(stream, client, stop),
                    Err(error) => {
                        tracing::warn!(%error, "a connection can't be accepted");
                        sleep(AFTER_FAILURE).await;
                    }
                },
                Some(_) = self.tasks.join_next() => {}
                () = stopping.wait() => break,
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn welcome(&mut self, stream: TcpStream, client: SocketAddr, stopping: Stopping) {
        // Closed at once: whoever opens too many learns it without our remembering anything.
        let Some(stranger) = self.strangers.admit(client.ip()) else { return };
        // Media can't wait for more of it. Where this fails the connection is gone.
        let _ = stream.set_nodelay(true);
        let shared = self.shared.clone();
        match self.tls.clone() {
            None => {
                let link = StreamLink::new(stream);
                self.tasks.spawn(Client::new(link, client, shared, Some(stranger)).serve(stopping));
            }
            Some(tls) => {
                self.tasks.spawn(encrypted(stream, client, tls, shared, stranger, stopping));
            }
        }
    }
}

async fn encrypted(
    stream: TcpStream,
    client: SocketAddr,
    tls: TlsSource,
    shared: Arc<Shared>,
    stranger: Stranger,
    mut stopping: Stopping,
) {
    let mut config = (*tls()).clone();
    // Clients that ask for a name get one of these; most ask for none.
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    let handshake = timeout(HANDSHAKE, TlsAcceptor::from(Arc::new(config)).accept(stream));
    let accepted = tokio::select! {
        accepted = handshake => accepted,
        () = stopping.wait() => return,
    };
    match accepted {
        Ok(Ok(stream)) => {
            let link = StreamLink::new(stream);
            Client::new(link, client, shared, Some(stranger)).serve(stopping).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
        Err(_) => tracing::debug!("no TLS in time"),
    }
}
