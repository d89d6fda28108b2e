//! The runtime that the library runs on: tokio, except that the library's task looks again after each packet.
//!
//! The task sends, then hands out events, then sleeps until its next timer or the next packet. What an event sets off is
//! sent only when it wakes: a selected path starts the DTLS handshake, its end starts SCTP, and each waited for a timer
//! that belongs to something else. Up to 20 ms of a call's set-up, 400 ms of the opening of a data channel and 200 ms here
//! and there in a file transfer went that way. So the first sleep after a packet of those protocols ends at once.

use std::future::{self, Future};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ahoy_ice::Wire;
use tokio::task;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

use crate::deferred::Deferred;
use crate::hello::Hello;
use crate::socket::CallSocket;
use crate::stand_in::StandIn;
use crate::uplink::Uplink;

/// The runtime of one connection.
#[derive(Debug)]
pub(crate) struct CallRuntime {
    wire: Wire,
    stand_in: Arc<StandIn>,
    hello: Arc<Hello>,
    uplink: Uplink,
    stir: Arc<Stir>,
    /// The library's task, once it runs. Others sleep as well, and must not take its stirring away.
    driver: Arc<OnceLock<task::Id>>,
}

/// Whether something happened since the library's task last looked at everything.
#[derive(Debug, Default)]
pub(crate) struct Stir(AtomicBool);

impl Stir {
    /// Notes that `datagram` has been sent or received.
    pub(crate) fn passed(&self, datagram: &[u8]) {
        if stirs(datagram) {
            self.0.store(true, Relaxed);
        }
    }

    fn take(&self) -> bool {
        self.0.swap(false, Relaxed)
    }
}

/// Whether a datagram may have set off something that the library's task sends only when it looks again: STUN or DTLS
/// (RFC 7983 section 7), possibly in a TURN channel's message. Media never does, and looking again for each of its packets
/// would be most of a call's cost.
fn stirs(datagram: &[u8]) -> bool {
    /// Channel number and length (RFC 8656 section 12.4).
    const CHANNEL_HEADER: usize = 4;
    let first = match datagram.first() {
        Some(64..=79) => datagram.get(CHANNEL_HEADER),
        first => first,
    };
    matches!(first, Some(0..=3 | 20..=63))
}

impl CallRuntime {
    pub(crate) fn new(wire: Wire, stand_in: Arc<StandIn>, hello: Arc<Hello>, uplink: Uplink) -> Self {
        Self { wire, stand_in, hello, uplink, stir: Arc::default(), driver: Arc::default() }
    }

    /// An address that the library can bind a socket to.
    pub(crate) fn local(&self) -> IpAddr {
        self.wire.any_local().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |local| local.ip())
    }
}

impl Runtime for CallRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        let driver = Arc::clone(&self.driver);
        TokioRuntime.spawn(Box::pin(async move {
            // The first task is the driver. Any later one carries a TCP connection.
            let _ = driver.set(task::id());
            future.await;
        }))
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        // The library opens one to have an address; nothing ever passes through it.
        let local = socket.local_addr()?;
        let (stand_in, hello) = (Arc::clone(&self.stand_in), Arc::clone(&self.hello));
        let stir = Arc::clone(&self.stir);
        let deferred = Deferred::new(self.wire.clone(), self.uplink.clone());
        Ok(Arc::new(CallSocket::new(local, self.wire.clone(), stand_in, hello, stir, deferred)))
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        TokioRuntime.connect_tcp(remote)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        TokioRuntime.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        if task::try_id().is_some_and(|id| self.driver.get() == Some(&id)) && self.stir.take() {
            return Box::pin(future::ready(()));
        }
        TokioRuntime.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn name(&self) -> &'static str {
        "tokio"
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ahoy_ice::{Credentials, Ice, IceConfig};

    use super::*;

    const STUN: &[u8] = &[0, 1, 0, 0];
    const DTLS: &[u8] = &[22, 254, 253];
    const MEDIA: &[u8] = &[0x80, 102];
    const LONG: Duration = Duration::from_secs(3600);

    fn runtime() -> Arc<CallRuntime> {
        let bind = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = IceConfig { bind: vec![bind], ..IceConfig::default() };
        let (_, wire, _) = Ice::open(config, Credentials::random()).expect("loopback can be bound");
        Arc::new(CallRuntime::new(
            wire,
            Arc::new(StandIn::new(bind)),
            Arc::new(Hello::new()),
            Uplink::default(),
        ))
    }

    /// Runs `test` as the library's task.
    async fn as_driver<F: Future<Output = ()> + Send + 'static>(
        runtime: &Arc<CallRuntime>,
        test: impl FnOnce(Arc<CallRuntime>) -> F,
    ) {
        let (done, is_done) = tokio::sync::oneshot::channel();
        let body = test(Arc::clone(runtime));
        runtime.spawn(Box::pin(async move {
            body.await;
            let _ = done.send(());
        }));
        is_done.await.expect("the test's body has not panicked");
    }

    #[tokio::test(start_paused = true)]
    async fn one_sleep_after_a_packet_ends_at_once_and_no_more() {
        as_driver(&runtime(), |runtime| async move {
            for datagram in [STUN, DTLS, &[0x40, 0, 0, 3, 22, 254, 253]] {
                runtime.stir.passed(datagram);
                runtime.stir.passed(datagram);
                let before = tokio::time::Instant::now();
                runtime.sleep(LONG).await;
                assert_eq!(before.elapsed(), Duration::ZERO);
                runtime.sleep(LONG).await;
                assert!(before.elapsed() >= LONG, "the task does not spin");
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn media_does_not_cut_sleeps_short() {
        as_driver(&runtime(), |runtime| async move {
            for datagram in [MEDIA, &[0x40, 0, 0, 2, 0x80, 102], &[], &[0x40]] {
                runtime.stir.passed(datagram);
                let before = tokio::time::Instant::now();
                runtime.sleep(LONG).await;
                assert!(before.elapsed() >= LONG, "{datagram:?}");
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_librarys_task_is_stirred() {
        let runtime = runtime();
        as_driver(&runtime, |_| future::ready(())).await;
        runtime.stir.passed(STUN);
        let before = tokio::time::Instant::now();
        runtime.sleep(LONG).await;
        assert!(before.elapsed() >= LONG);
        assert!(runtime.stir.take(), "it is still there for the one that it is meant for");
    }

    #[tokio::test]
    async fn time_is_that_of_the_system() {
        let before = Instant::now();
        assert!(runtime().now() >= before);
    }
}
