//! Servers that gave nothing, and when to ask them again: without I/O.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A server, from a socket or by a stream.
pub(super) type Asked = (Option<SocketAddr>, String);

/// When a server is asked again; each time it waits twice as long.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MOST: Duration = Duration::from_secs(60);

/// How long a server has to take back what it gave.
const SOON: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Refusal {
    /// How often in a row.
    times: u32,
    /// When to ask again; `None` while it is being asked.
    again: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refusals: BTreeMap<Asked, Refusal>,
}

impl Refusals {
    /// A server refused, or did not answer.
    pub(super) fn add(&mut self, asked: Asked, now: Instant) {
        let refusal = self.refusals.entry(asked).or_insert(Refusal { times: 0, again: None });
        refusal.again = Some(now + (AGAIN * 2_u32.saturating_pow(refusal.times)).min(AGAIN_MOST));
        refusal.times += 1;
    }

    /// One that has not refused is to be asked again, after what it kept has been given back.
    pub(super) fn soon(&mut self, asked: Asked, now: Instant) {
        self.refusals.insert(asked, Refusal { times: 0, again: Some(now + SOON) });
    }

    /// It answers.
    pub(super) fn remove(&mut self, asked: &Asked) {
        self.refusals.remove(asked);
    }

    /// Those that are to be asked now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Asked> {
        let due = self.refusals.iter_mut().filter(|(_, refusal)| refusal.again.is_some_and(|at| at <= now));
        due.map(|(asked, refusal)| {
            refusal.again = None;
            asked.clone()
        })
        .collect()
    }

    /// All of them, which are to be asked as if they never had been.
    pub(super) fn take(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.refusals).into_keys().collect()
    }

    /// A socket is no more.
    pub(super) fn forget(&mut self, local: SocketAddr) {
        self.refusals.retain(|(from, _), _| *from != Some(local));
    }

    /// When [`due`](Self::due) has something new to say.
    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        self.refusals.values().filter_map(|refusal| refusal.again).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_is_asked_again_ever_more_rarely() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let asked: Asked = (None, "turns:a.example".to_owned());
        let (mut now, mut waits) = (start, Vec::new());
        for _ in 0..8 {
            refusals.add(asked.clone(), now);
            assert!(refusals.due(now).is_empty());
            let at = refusals.next_wakeup().unwrap();
            waits.push((at - now).as_secs());
            now = at;
            assert_eq!(refusals.due(now), std::slice::from_ref(&asked));
            assert!(refusals.due(now).is_empty() && refusals.next_wakeup().is_none(), "it is being asked");
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        refusals.remove(&asked);
        refusals.add(asked, now);
        assert_eq!(refusals.next_wakeup(), Some(now + AGAIN), "it had answered in between");
    }

    #[test]
    fn a_socket_that_is_gone_asks_nobody() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let local = "192.0.2.1:1000".parse().unwrap();
        refusals.add((Some(local), "stun:a.example".to_owned()), start);
        refusals.add((None, "turns:a.example".to_owned()), start);
        refusals.forget(local);
        assert_eq!(refusals.take(), [(None, "turns:a.example".to_owned())]);
    }
}
