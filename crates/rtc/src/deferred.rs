//! What of data channels waits while there are calls, until nothing of theirs does ([`Uplink`]): long packets that carry them. What
//! says what has come is short, and passes.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ahoy_ice::Wire;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::uplink::{HEADERS, SHORT, Uplink};

/// DTLS' content type of what is in it, once there are keys (RFC 6347 section 4.1).
const APPLICATION_DATA: u8 = 23;
/// As many bytes may wait whatever the link carries, and no more than that whatever it does.
const LEAST_ROOM: usize = 32 * 1024;
const MOST_ROOM: usize = 512 * 1024;
/// So many times as much as may leave at once: a quarter of a second. What does not fit is lost, as to any queue: SCTP sends it
/// again, and less at a time.
const ROOM: usize = 125;

/// Takes such packets, and lets them go.
#[derive(Debug)]
pub(crate) struct Deferred {
    uplink: Uplink,
    wire: Wire,
    waiting: Arc<Waiting>,
    /// Runs once there has been something to wait.
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: Mutex<Queue>,
    come: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
    /// One has been taken out, and has not left: others do not overtake it.
    leaving: bool,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Vec<u8> {
        loop {
            let come = self.come.notified();
            {
                let mut queue = self.lock();
                queue.leaving = false;
                if let Some(packet) = queue.packets.pop_front() {
                    queue.bytes -= packet.len();
                    queue.leaving = true;
                    return packet;
                }
            }
            come.await;
        }
    }
}

impl Deferred {
    pub(crate) fn new(wire: Wire, uplink: Uplink) -> Self {
        Self { uplink, wire, waiting: Arc::default(), task: Mutex::default() }
    }

    /// Whether packets of `segment` bytes each, or one, are to wait; they are taken then.
    pub(crate) fn takes(&self, packets: &[u8], segment: Option<usize>) -> bool {
        if packets.first() != Some(&APPLICATION_DATA) || packets.len() <= SHORT {
            return false;
        }
        {
            let mut queue = self.waiting.lock();
            let is_empty = queue.packets.is_empty() && !queue.leaving;
            if is_empty && self.uplink.is_free() {
                return false;
            }
            let room = self.uplink.most_at_once().saturating_mul(ROOM).clamp(LEAST_ROOM, MOST_ROOM);
            for packet in packets.chunks(segment.unwrap_or(packets.len()).max(1)) {
                if queue.bytes + packet.len() <= room {
                    queue.bytes += packet.len();
                    queue.packets.push_back(packet.to_vec());
                }
            }
        }
        self.start();
        self.waiting.come.notify_one();
        true
    }

    fn start(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_none() {
            let (uplink, wire) = (self.uplink.clone(), self.wire.clone());
            *task = Some(tokio::spawn(let_go(uplink, wire, Arc::clone(&self.waiting))).abort_handle());
        }
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

async fn let_go(uplink: Uplink, wire: Wire, waiting: Arc<Waiting>) {
    loop {
        let packet = waiting.next().await;
        while let Some(at) = uplink.may_leave(Instant::now()) {
            sleep_until(at.into()).await;
        }
        while wire.try_send(&packet, None).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            wire.writable().await;
        }
        let (bytes, now) = (packet.len() + HEADERS, Instant::now());
        uplink.leaves(bytes, now);
        // What has come is known to nobody here; SCTP sends no more than does, on average.
        uplink.delivered(bytes, now);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ahoy_congestion::CallPath;
    use ahoy_ice::{Credentials, Ice, IceConfig};

    use super::*;

    fn wire() -> (Ice, Wire) {
        let bind = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = IceConfig { bind: vec![bind], ..IceConfig::default() };
        let (ice, wire, _) = Ice::open(config, Credentials::random()).expect("loopback can be bound");
        (ice, wire)
    }

    fn packet(kind: u8, length: usize) -> Vec<u8> {
        let mut packet = vec![0; length];
        packet[0] = kind;
        packet
    }

    #[tokio::test]
    async fn only_long_packets_of_data_channels_wait_and_only_while_there_are_calls() {
        let ((_ice, wire), uplink) = (wire(), Uplink::default());
        let deferred = Deferred::new(wire, uplink.clone());
        assert!(!deferred.takes(&packet(APPLICATION_DATA, 1_200), None));
        let call = uplink.begin_call();
        let path = CallPath { wanted: 1e6, target: 1e6, sent: 1e6, acknowledged: 1e6, ..CallPath::default() };
        call.knows(path, Instant::now());
        assert!(deferred.takes(&packet(APPLICATION_DATA, 1_200), None));
        for (kind, length) in [(APPLICATION_DATA, 100), (22, 1_200), (0x80, 1_200)] {
            assert!(!deferred.takes(&packet(kind, length), None), "{kind} of {length} bytes");
        }
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_in_its_order() {
        let ((_ice, wire), uplink) = (wire(), Uplink::default());
        let call = uplink.begin_call();
        let path = CallPath { wanted: 1e6, target: 1e6, sent: 1e6, acknowledged: 1e6, ..CallPath::default() };
        call.knows(path, Instant::now());
        let deferred = Deferred::new(wire, uplink);
        for number in 0..10_000_u32 {
            let mut packet = packet(APPLICATION_DATA, 1_200);
            packet[4..8].copy_from_slice(&number.to_be_bytes());
            assert!(deferred.takes(&packet, None));
        }
        let queue = deferred.waiting.lock();
        assert!(queue.bytes <= MOST_ROOM, "{} bytes", queue.bytes);
        assert_eq!(queue.bytes, queue.packets.iter().map(Vec::len).sum::<usize>());
        assert!(
            queue.packets.iter().zip(queue.packets.iter().skip(1)).all(|(one, next)| one[4..8] < next[4..8])
        );
    }
}
