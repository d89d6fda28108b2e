//! The ICE agents: the one of the present credentials, and after a restart the one before, until the new one has found a way.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket, TransId};
use is::{
    DefaultSha1HmacProvider, IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol,
    Sha1HmacProvider as _,
};

use crate::candidate::Candidate;
use crate::config::Credentials;
use crate::paths::TransactionNumber;
use crate::wire::Pair;

/// How far apart checks are (Ta, RFC 8445 section 14.2, which wants 50 ms and allows less): a few dozen pairs are then all asked
/// within 200 ms.
const PACE: Duration = Duration::from_millis(5);
/// The first repetition of a check; each later one waits twice as long, up to [`RTO_MOST`].
const RTO: Duration = Duration::from_millis(100);
const RTO_MOST: Duration = Duration::from_secs(2);
/// Checks without an answer before a pair is given up. With the above, and nothing heard, 19 seconds: longer than
/// somebody takes to allow the microphone, or a link to come back.
const CHECKS: usize = 12;
/// Agents that found nothing to try any more begin again with all pairs this often.
const AGAIN: Duration = Duration::from_secs(2);
/// Addresses that the other side may check from. Each is kept, and checked back; a dozen interfaces behind two layers of address
/// translation have fewer.
const SOURCES_MOST: usize = 128;
/// The longest connectivity check that we make: names of 8 letters and a few attributes have some 100 bytes.
const CHECK_LONGEST: usize = 256;

/// Relays that are worse than others, by their address: how much to take off their local preference.
pub(crate) type Penalties = Arc<Mutex<HashMap<SocketAddr, u32>>>;

/// One ICE session (RFC 8445 section 4).
#[derive(Debug)]
pub(crate) struct Session {
    agent: IceAgent,
    remote: Option<IceCreds>,
    tie_breaker: u64,
    pub(crate) nominated: Option<Pair>,
    /// The other side's candidates.
    pub(crate) remotes: Vec<Candidate>,
    tried_again: Option<Instant>,
    /// Where the other side has checked from.
    sources: BTreeSet<SocketAddr>,
}

/// What a message turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The other side checks a pair.
    Check,
    /// The other side answers a check, and saw us at this address.
    Answer { number: TransactionNumber, mapped: Option<SocketAddr> },
    /// Nothing, or nothing of the other side's.
    None,
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    DefaultSha1HmacProvider.sha1_hmac(key, parts)
}

/// The number of a message's transaction, if it is long enough to have one.
pub(crate) fn number_of(message: &[u8]) -> Option<TransactionNumber> {
    message.get(8..20)?.try_into().ok()
}

/// Whether a message of ours is a request (RFC 8489 section 5: both class bits are zero).
pub(crate) fn is_request(message: &[u8]) -> bool {
    matches!(message, [first, second, ..] if first & 1 == 0 && second & 0x10 == 0)
}

impl Session {
    pub(crate) fn new(local: &Credentials, penalties: &Penalties) -> Self {
        let local = IceCreds { ufrag: local.ufrag.clone(), pass: local.password.clone() };
        let mut agent = IceAgent::new(local);
        let tie_breaker = rand::random();
        agent.set_control_tie_breaker(tie_breaker);
        agent.set_timing_advance(PACE);
        agent.set_initial_stun_rto(RTO);
        agent.set_max_stun_rto(RTO_MOST);
        agent.set_max_stun_retransmits(CHECKS);
        let penalties = Arc::clone(penalties);
        agent.set_local_preference(move |candidate: &is::Candidate, same_kind: usize| {
            let penalties = penalties.lock().unwrap_or_else(PoisonError::into_inner);
            let penalty = penalties.get(&candidate.addr()).copied().unwrap_or(0);
            is::default_local_preference(candidate, same_kind).saturating_sub(penalty)
        });
        Self {
            agent,
            remote: None,
            tie_breaker,
            nominated: None,
            remotes: Vec::new(),
            tried_again: None,
            sources: BTreeSet::new(),
        }
    }

    pub(crate) fn set_remote(&mut self, remote: Credentials, controlling: bool) {
        let remote = IceCreds { ufrag: remote.ufrag, pass: remote.password };
        self.agent.set_controlling(controlling);
        self.agent.set_remote_credentials(remote.clone());
        self.remote = Some(remote);
    }

    pub(crate) fn has_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Adds an address of this side. What is to be told to the other side, if it is new.
    pub(crate) fn add_local(&mut self, candidate: is::Candidate) -> Option<is::Candidate> {
        self.agent.add_local_candidate(candidate).cloned()
    }

    pub(crate) fn remove_local(&mut self, candidate: &is::Candidate) {
        self.agent.invalidate_candidate(candidate);
        if self
            .nominated
            .is_some_and(|pair| pair.local == candidate.addr() || pair.local == candidate.local())
        {
            self.nominated = None;
        }
    }

    pub(crate) fn add_remote(&mut self, candidate: Candidate) {
        self.agent.add_remote_candidate(candidate.inner.clone());
        self.remotes.push(candidate);
    }

    /// Takes in a message, if it is of this session.
    pub(crate) fn handle(&mut self, pair: Pair, proto: Protocol, datagram: &[u8], now: Instant) -> Meaning {
        let Ok(message) = StunMessage::parse(datagram) else { return Meaning::None };
        let packet = |message| StunPacket { proto, source: pair.remote, destination: pair.local, message };
        if message.is_binding_request() {
            if self.sources.len() == SOURCES_MOST && !self.sources.contains(&pair.remote) {
                return Meaning::None;
            }
            if !self.agent.handle_packet(now, packet(message)) {
                return Meaning::None;
            }
            self.sources.insert(pair.remote);
            return Meaning::Check;
        }
        let Some(remote) = &self.remote else { return Meaning::None };
        if message.is_successful_binding_response() && message.verify(remote.pass.as_bytes(), hmac) {
            let mapped = message.mapped_address();
            self.agent.handle_packet(now, packet(message));
            return match number_of(datagram) {
                Some(number) => Meaning::Answer { number, mapped },
                None => Meaning::None,
            };
        }
        // Refusals are between the agents.
        self.agent.handle_packet(now, packet(message));
        Meaning::None
    }

    /// A check of our own, beside those of the agent.
    pub(crate) fn check(&self) -> Option<Vec<u8>> {
        let remote = self.remote.as_ref()?;
        let username = format!("{}:{}", remote.ufrag, self.agent.local_credentials().ufrag);
        /// What a peer-reflexive candidate would have that nothing is known of (RFC 8445 section 5.1.2.1, type preference 110).
        const PRIORITY: u32 = 110 << 24;
        let controlling = self.agent.controlling();
        let message = StunMessage::binding_request(
            &username,
            TransId::new(),
            controlling,
            self.tie_breaker,
            PRIORITY,
            false,
        );
        let mut buffer = vec![0; CHECK_LONGEST + username.len()];
        let length = message.to_bytes(Some(remote.pass.as_bytes()), &mut buffer, hmac).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// Lets time pass, and sends what is to be sent.
    pub(crate) fn drive(&mut self, now: Instant, mut send: impl FnMut(Pair, &[u8])) {
        // It works by steps of its own pace: what is due is done one by one.
        while self.agent.poll_timeout().is_none_or(|at| at <= now) {
            self.agent.handle_timeout(now);
            if self.agent.poll_timeout().is_none() {
                break;
            }
        }
        let stuck = self.remote.is_some()
            && !self.remotes.is_empty()
            && self.agent.state() == IceConnectionState::Disconnected
            && self.tried_again.is_none_or(|at| now.saturating_duration_since(at) >= AGAIN);
        if stuck {
            self.tried_again = Some(now);
            self.agent.recreate_candidate_pairs();
            self.agent.handle_timeout(now);
        }
        while let Some(transmit) = self.agent.poll_transmit() {
            send(Pair { local: transmit.source, remote: transmit.destination }, &transmit.contents);
        }
        while let Some(event) = self.agent.poll_event() {
            match event {
                IceAgentEvent::NominatedSend { source, destination, .. } => {
                    self.nominated = Some(Pair { local: source, remote: destination });
                }
                IceAgentEvent::IceRestart(_)
                | IceAgentEvent::IceConnectionStateChange(_)
                | IceAgentEvent::DiscoveredRecv { .. } => {}
            }
        }
    }

    /// Looks at once whether there is something to be checked: a candidate is new.
    pub(crate) fn nudge(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    pub(crate) fn next_wakeup(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }
}
