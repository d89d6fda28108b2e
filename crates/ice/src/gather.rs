//! Asking STUN servers by which address they see this machine (RFC 8489 section 2), without I/O.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_proto::types::attribute::XorMappedAddress;
use stun_proto::types::message::{BINDING, Message, MessageClass, MessageWriteVec, TransactionId};
use stun_proto::types::prelude::{MessageWrite as _, MessageWriteExt as _};

use crate::wire::Pair;

/// The first repetition; each later one waits twice as long. RFC 8489 section 6.2.1 wants 500 ms where nothing is known of the
/// way; somebody waits for a call here, and a server can stand one more datagram.
const RTO: Duration = Duration::from_millis(100);
/// With the above a server counts as silent after 6.3 seconds.
const TRIES: u32 = 6;

#[derive(Debug)]
struct Question {
    /// From which socket to which server.
    pair: Pair,
    id: TransactionId,
    message: Vec<u8>,
    asked: Instant,
    tries: u32,
    next: Instant,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// From which socket to which server.
    pub(crate) pair: Pair,
    /// The address that the server saw; `None` where it does not answer, or refuses.
    pub(crate) mapped: Option<SocketAddr>,
    /// Since the last time that it was asked.
    pub(crate) round_trip: Duration,
}

/// All questions that are open.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: Vec<Question>,
}

impl Questions {
    /// Asks a server from a socket.
    pub(crate) fn ask(&mut self, pair: Pair, now: Instant) {
        if self.open.iter().any(|question| question.pair == pair) {
            return;
        }
        let message = Message::builder_request(BINDING, MessageWriteVec::new());
        let id = message.transaction_id();
        self.open.push(Question { pair, id, message: message.finish(), asked: now, tries: 0, next: now });
    }

    /// Whether all are answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Forgets those of a socket.
    pub(crate) fn forget(&mut self, local: SocketAddr) {
        self.open.retain(|question| question.pair.local != local);
    }

    /// Takes in a STUN message; `None` where it answers no question.
    pub(crate) fn handle(&mut self, pair: Pair, datagram: &[u8], now: Instant) -> Option<Answer> {
        let message = Message::from_bytes(datagram).ok()?;
        let id = message.transaction_id();
        // The answer of a server with several addresses may come from another one.
        let index =
            self.open.iter().position(|question| question.id == id && question.pair.local == pair.local)?;
        let mapped = match message.class() {
            MessageClass::Success => {
                message.attribute::<XorMappedAddress>().ok().map(|mapped| mapped.addr(id))
            }
            MessageClass::Error => None,
            MessageClass::Request | MessageClass::Indication => return None,
        };
        let question = self.open.swap_remove(index);
        Some(Answer { pair: question.pair, mapped, round_trip: now - question.asked })
    }

    /// What is to be sent now, and the questions that nobody answers.
    pub(crate) fn poll(&mut self, now: Instant, mut send: impl FnMut(Pair, &[u8])) -> Vec<Answer> {
        let mut silent = Vec::new();
        self.open.retain_mut(|question| {
            if question.next > now {
                return true;
            }
            if question.tries == TRIES {
                silent.push(Answer { pair: question.pair, mapped: None, round_trip: now - question.asked });
                return false;
            }
            send(question.pair, &question.message);
            question.asked = now;
            question.next = now + RTO * 2_u32.pow(question.tries);
            question.tries += 1;
            true
        });
        silent
    }

    /// When to [`poll`](Self::poll) next.
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.open.iter().map(|question| question.next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pair() -> Pair {
        Pair { local: "192.0.2.1:1000".parse().unwrap(), remote: "198.51.100.1:3478".parse().unwrap() }
    }

    fn mapped() -> SocketAddr {
        "203.0.113.9:7000".parse().unwrap()
    }

    /// The message that is sent at `now`, if one is.
    fn sent(questions: &mut Questions, now: Instant) -> Option<Vec<u8>> {
        let mut message = None;
        assert!(questions.poll(now, |_, bytes| message = Some(bytes.to_vec())).is_empty());
        message
    }

    fn answer_to(request: &[u8]) -> Vec<u8> {
        let request = Message::from_bytes(request).unwrap();
        let mut answer = Message::builder_success(&request, MessageWriteVec::new());
        let address = XorMappedAddress::new(mapped(), request.transaction_id());
        answer.add_attribute(&address).unwrap();
        answer.finish()
    }

    #[test]
    fn a_server_tells_the_address_that_it_sees() {
        let (mut questions, start) = (Questions::default(), Instant::now());
        questions.ask(pair(), start);
        questions.ask(pair(), start);
        let request = sent(&mut questions, start).unwrap();
        let answer = questions.handle(pair(), &answer_to(&request), start + 30 * MS);
        assert_eq!(answer, Some(Answer { pair: pair(), mapped: Some(mapped()), round_trip: 30 * MS }));
        assert!(questions.is_empty());
        assert_eq!(questions.handle(pair(), &answer_to(&request), start + 31 * MS), None, "it comes twice");
    }

    #[test]
    fn a_lost_question_is_asked_again_and_a_silent_server_is_given_up() {
        let (mut questions, start) = (Questions::default(), Instant::now());
        questions.ask(pair(), start);
        let mut times = Vec::new();
        let silent = loop {
            let now = questions.next_wakeup().unwrap();
            let silent = questions.poll(now, |_, _| times.push((now - start).as_millis()));
            if !silent.is_empty() {
                break silent;
            }
        };
        assert_eq!(times, [0, 100, 300, 700, 1500, 3100]);
        assert_eq!(silent[0].mapped, None);
        assert_eq!(questions.next_wakeup(), None);
    }

    #[test]
    fn an_answer_to_somebody_elses_question_is_none() {
        let (mut questions, start) = (Questions::default(), Instant::now());
        questions.ask(pair(), start);
        let other = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        assert_eq!(questions.handle(pair(), &answer_to(&other), start), None);
        assert_eq!(questions.handle(pair(), &other, start), None);
        assert_eq!(questions.handle(pair(), b"\0\x01\0\x04nonsense", start), None);
        assert!(!questions.is_empty());
    }
}
