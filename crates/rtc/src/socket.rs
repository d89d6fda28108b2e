//! The one UDP socket that the library knows: no socket, but the [`Wire`] that ICE keeps, with these additions.
//!
//! - What the library's own ICE agent sends is answered by the [`StandIn`].
//! - What comes before that agent has agreed with the stand-in waits: the library would throw away the first packet of the
//!   handshake, which its sender repeats only after a second.
//! - A packet of the DTLS handshake is the last of its burst. The library takes the keys from it only between bursts, and
//!   media right behind the handshake's last packet, which is the call's first key frame, would be thrown away.
//! - Repeats in the DTLS handshake are dropped, see [`crate::handshake`], and its first round trip is left out, see
//!   [`crate::hello`].
//! - What of data channels gives way to calls waits, see [`crate::deferred`].
//! - What passes is told to [`Stir`], so that the library's task looks again.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use ahoy_ice::{CheckAnswer, Received, Wire};
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use crate::deferred::Deferred;
use crate::handshake::Handshake;
use crate::hello::Hello;
use crate::runtime::Stir;
use crate::stand_in::StandIn;

/// Datagrams that wait for the library to be ready, which takes it a few milliseconds. The other side can only have begun the
/// handshake. The oldest go.
const EARLY: usize = 16;
/// Answers of the stand-in that wait for the library, which makes one check after the other. The oldest go.
const ANSWERS: usize = 16;

/// What the library takes for its socket.
#[derive(Debug)]
pub(crate) struct CallSocket {
    local: SocketAddr,
    wire: Wire,
    stand_in: Arc<StandIn>,
    answers: Mutex<VecDeque<CheckAnswer>>,
    /// Whether the library takes what comes from the other side.
    ready: AtomicBool,
    early: Mutex<VecDeque<Vec<u8>>>,
    pause: AtomicBool,
    stir: Arc<Stir>,
    handshake: Handshake,
    hello: Arc<Hello>,
    deferred: Deferred,
}

impl CallSocket {
    /// The library believes to have the address `local`.
    pub(crate) fn new(
        local: SocketAddr,
        wire: Wire,
        stand_in: Arc<StandIn>,
        hello: Arc<Hello>,
        stir: Arc<Stir>,
        deferred: Deferred,
    ) -> Self {
        Self {
            local,
            wire,
            stand_in,
            answers: Mutex::default(),
            ready: AtomicBool::new(false),
            early: Mutex::default(),
            pause: AtomicBool::new(false),
            stir,
            handshake: Handshake::default(),
            hello,
            deferred,
        }
    }

    fn answers(&self) -> MutexGuard<'_, VecDeque<CheckAnswer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn early(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps datagrams until the library is ready.
    fn keep(&self, datagrams: &[u8], stride: usize) {
        let mut early = self.early();
        for datagram in datagrams.chunks(stride) {
            if early.len() == EARLY {
                early.pop_front();
            }
            early.push_back(datagram.to_vec());
        }
    }

    fn came(&self, meta: &mut RecvMeta, Received { len, stride }: Received) {
        *meta = RecvMeta::default();
        meta.addr = self.stand_in.address();
        meta.len = len;
        meta.stride = stride;
    }
}

impl AsyncUdpSocket for CallSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let sent = Poll::Ready(Ok(transmit.contents.len()));
        if transmit.contents.first().copied().is_some_and(is_stun) {
            self.stir.passed(transmit.contents);
            if let Some(answer) = self.stand_in.answer(transmit.contents, self.local) {
                let mut answers = self.answers();
                if answers.len() == ANSWERS {
                    answers.pop_front();
                }
                answers.push_back(answer);
                // Reading is a future of its own within the library's task: waking the task alone does not poll it.
                self.wire.wake_receiver();
            }
            return sent;
        }
        if self.hello.keeps(transmit.contents) {
            self.stir.passed(transmit.contents);
            self.wire.wake_receiver();
            return sent;
        }
        if self.deferred.takes(transmit.contents, transmit.segment_size) {
            self.stir.passed(transmit.contents);
            return sent;
        }
        match self.wire.poll_send(cx, transmit.contents, transmit.segment_size) {
            Poll::Ready(()) => {
                self.stir.passed(transmit.contents);
                sent
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.pause.swap(false, Relaxed) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        if let Some(CheckAnswer { message, nominates }) = self.answers().pop_front() {
            let len = message.len().min(buffer.len());
            buffer[..len].copy_from_slice(&message[..len]);
            self.stir.passed(&message);
            self.came(meta, Received { len, stride: len.max(1) });
            if nominates {
                // The library is ready when it has looked at everything once more.
                self.ready.store(true, Relaxed);
                self.pause.store(true, Relaxed);
            }
            return Poll::Ready(Ok(1));
        }
        let ready = self.ready.load(Relaxed);
        let kept = if ready { self.hello.next_heard().or_else(|| self.early().pop_front()) } else { None };
        let received = match kept {
            Some(datagram) => put(&datagram, buffer),
            None => match self.wire.poll_recv(cx, buffer) {
                Poll::Ready(received) => received,
                Poll::Pending => return Poll::Pending,
            },
        };
        let burst = &buffer[..received.len];
        // Messages of the handshake are looked at one by one.
        let is_mixed = received.len > received.stride
            && burst
                .chunks(received.stride)
                .any(|datagram| datagram.first().copied().is_some_and(is_handshake));
        if !ready || is_mixed {
            self.keep(&buffer[..received.len], received.stride);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let instead = self.hello.instead_of(&buffer[..received.len]);
        let received = instead.map_or(received, |first| put(&first, buffer));
        let mut wanted = false;
        for datagram in buffer[..received.len].chunks(received.stride) {
            self.stir.passed(datagram);
            let handshake = datagram.first().copied().is_some_and(is_handshake);
            wanted |= !handshake || !self.handshake.is_repeat(datagram);
            if handshake {
                self.pause.store(true, Relaxed);
            }
        }
        if wanted {
            self.came(meta, received);
            return Poll::Ready(Ok(1));
        }
        self.pause.store(false, Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn max_gso_segments(&self) -> usize {
        self.wire.most_sent_at_once()
    }

    fn max_gro_segments(&self) -> usize {
        self.wire.most_received_at_once()
    }
}

/// Puts a datagram where a received one belongs.
fn put(datagram: &[u8], buffer: &mut [u8]) -> Received {
    let len = datagram.len().min(buffer.len());
    buffer[..len].copy_from_slice(&datagram[..len]);
    Received { len, stride: len.max(1) }
}

/// Whether a datagram that begins with `first` is part of a DTLS handshake: change-cipher-spec or handshake
/// (RFC 5246 section 6.2.1), which no other protocol on the socket begins with (RFC 7983 section 7).
const fn is_handshake(first: u8) -> bool {
    matches!(first, 20 | 22)
}

/// Whether a datagram that begins with `first` is STUN (RFC 7983 section 7).
const fn is_stun(first: u8) -> bool {
    first < 4
}
