//! Strangers send what is no message of the protocol, or no WebSocket, as fast as it is asked for.
//!
//! Everything before `hello`: that is what anybody on the network can do to a server.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahoy_signal::limits::MESSAGE_LONGEST;
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use super::Setting;
use crate::crew::Crew;
use crate::drive::{Load, Measured, alone, drive};
use crate::error::LoadError;
use crate::fleet::Fleet;
use crate::frame::{self, Frame};
use crate::link::{Flow, Link};
use crate::report::Report;

const WARM_UP_S: u64 = 1;
/// The neighbours are measured without the strangers and with them in turns, so that an hour in which the machine gives less
/// is in both.
const ROUNDS: u64 = 9;
/// Rounds in which the load itself was in time, or the ratio says nothing.
const ROUNDS_NEEDED: usize = 5;
/// Seconds of a round for which they are measured without the strangers.
const WITHOUT_S: u64 = 6;
/// Connections that are looked at in a turn.
const LOOKED_AT: usize = 8;
/// Messages of a stranger at most. The server closes earlier, by what it finds.
const VOLLEY: u64 = 12;
/// Bytes of them that are sent in one go.
const SENT_AT_ONCE: usize = 16 * 1024;
/// Connections of strangers at once: what comes in meanwhile waits.
const OPEN_MOST: usize = 2_000;
/// A connection that the server leaves open for longer, although all that came was bad, is a fault of the server's. It waits
/// 15 s for `hello`, where what came may go on, and some seconds for its own last word to be taken.
const CLOSED_WITHIN: Duration = Duration::from_secs(25);

pub(super) fn run(setting: &Setting, messages: u64, pace: f64) -> Result<Report, LoadError> {
    let Crew { mut fleet, target, .. } = Crew::bring(setting.dialect(), setting.cores, setting.manifest())?;
    let mut report = setting.report("malformed");
    let mut strangers = Strangers::new(setting.seed, pace);
    let each = messages.div_ceil(ROUNDS);
    let seconds = (each as f64 / pace).ceil() as u64;
    let (mut early, before) = (None, target.memory()?.rss);
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let load =
            |seconds| Load { seed: setting.seed + round, ..setting.load(setting.rate, WARM_UP_S, seconds) };
        let without = drive(&mut fleet, &target, load(WITHOUT_S), alone)?;
        strangers.may_send(each);
        let with = drive(&mut fleet, &target, load(seconds), |_, now| strangers.go_on(target.address, now))?;
        strangers.finish(&mut fleet)?;
        early.get_or_insert(target.memory()?.rss);
        rounds.push(Round { without, with });
    }
    let after = target.memory()?.rss;
    rounds
        .iter()
        .flat_map(|round| [&round.without, &round.with])
        .for_each(|measured| measured.check(&mut report));
    let mut counted: Vec<&Round> = rounds.iter().filter(|round| round.spoiled().is_none()).collect();
    if counted.len() < ROUNDS_NEEDED {
        report.spoil(format!("only {} of {ROUNDS} rounds count", counted.len()));
        rounds.iter().filter_map(Round::spoiled).for_each(|why| report.spoil(why));
        counted = rounds.iter().collect();
    }
    counted.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    let middle = counted[counted.len() / 2];
    middle.with.figures(&mut report);
    report.add("delivery_p99_without_ms", "ms", middle.without.account.delivery_ms.p99);
    report.add("load_lag_p99_without_ms", "ms", middle.without.lag_ms.p99);
    report.add("p99_ratio", "", middle.ratio());
    report.add("p99_ratio_best", "", counted[0].ratio());
    report.add("p99_ratio_worst", "", counted[counted.len() - 1].ratio());
    report.add("rounds_counted", "", counted.len() as f64);
    report.add("malformed_sent", "", strangers.sent as f64);
    report.add("malformed_answered", "", strangers.answered as f64);
    report.add("strangers", "", strangers.connected as f64);
    report.add("strangers_left_open", "", strangers.left_open as f64);
    report.add("strangers_turned_away", "", strangers.turned_away as f64);
    report.add("server_rss_mb_before", "MB", before as f64 / 1e6);
    report.add("server_rss_mb_early", "MB", early.unwrap_or(before) as f64 / 1e6);
    report.add("server_rss_mb_after", "MB", after as f64 / 1e6);
    report.none_but(strangers.left_open, "connections of strangers were left open");
    report.must_be_flat(early.unwrap_or(before), after);
    report.faults.append(&mut fleet.faults);
    Ok(report)
}

/// The same load twice in a row.
#[derive(Debug)]
struct Round {
    without: Measured,
    with: Measured,
}

impl Round {
    /// How many times as long a delivery takes at p99 with the strangers there.
    fn ratio(&self) -> f64 {
        self.with.account.delivery_ms.p99 / self.without.account.delivery_ms.p99
    }

    fn spoiled(&self) -> Option<String> {
        let without = self.without.spoiled().map(|why| format!("without the strangers, {why}"));
        without.or_else(|| self.with.spoiled())
    }
}

/// Those who send them.
#[derive(Debug)]
struct Strangers {
    random: Pcg64Mcg,
    /// Messages a second.
    pace: f64,
    /// Messages that are to be sent altogether so far.
    messages: u64,
    /// When they began with those that were added last, and how many had been sent by then.
    began: Option<(Instant, u64)>,
    /// Messages that were sent.
    sent: u64,
    /// Connections.
    connected: u64,
    /// Those that the server did not close in time.
    left_open: u64,
    /// Those that it never let in.
    turned_away: u64,
    /// Messages that were answered with what is wrong about them.
    answered: u64,
    /// The one that was looked at longest ago is first.
    open: VecDeque<Stranger>,
    next: Volley,
    scratch: Vec<u8>,
}

/// What the next stranger says. It is written and sent a little at a time: whatever is done in one go makes the load beside it
/// late, and its lateness would be taken for the server's.
#[derive(Debug, Default)]
struct Volley {
    bytes: Vec<u8>,
    messages: u64,
    /// Whose it is, and how much of it is sent, as soon as it is due.
    given_to: Option<(Stranger, usize)>,
}

impl Strangers {
    fn new(seed: u64, pace: f64) -> Self {
        Self {
            random: Pcg64Mcg::seed_from_u64(seed),
            pace,
            messages: 0,
            began: None,
            sent: 0,
            connected: 0,
            left_open: 0,
            turned_away: 0,
            answered: 0,
            open: VecDeque::new(),
            next: Volley::default(),
            scratch: vec![0; 16 * 1024],
        }
    }

    /// So many more, from now on.
    fn may_send(&mut self, messages: u64) {
        self.messages += messages;
        self.began = None;
    }

    /// Takes one step towards what is due, and looks at whom the server has shut out.
    fn go_on(&mut self, to: SocketAddr, now: Instant) -> Result<(), LoadError> {
        let (began, before) = *self.began.get_or_insert((now, self.sent));
        let due = before + ((now - began).as_secs_f64() * self.pace) as u64;
        let wanted = self.sent < self.messages && self.open.len() < OPEN_MOST;
        if let Some((mut stranger, sent)) = self.next.given_to.take() {
            let end = self.next.bytes.len().min(sent + SENT_AT_ONCE);
            // The server may have closed already.
            let _ = stranger.link.send(|out| out.extend_from_slice(&self.next.bytes[sent..end]));
            if end < self.next.bytes.len() {
                self.next.given_to = Some((stranger, end));
            } else {
                self.sent += self.next.messages;
                self.open.push_back(stranger);
                self.next.messages = 0;
                self.next.bytes.clear();
            }
        } else if self.next.messages < VOLLEY && wanted {
            if self.next.messages == 0 {
                frame::write_upgrade(&mut self.next.bytes, to, ahoy_signal::paths::SOCKET);
            }
            write_malformed(&mut self.next.bytes, &mut self.random);
            self.next.messages += 1;
        } else if self.sent + VOLLEY <= due && wanted {
            let link = Link::connect(to, false).map_err(LoadError::system("connecting a stranger"))?;
            self.connected += 1;
            self.next.given_to = Some((Stranger { link, since: now, let_in: false, answered: 0 }, 0));
        }
        self.look(now);
        Ok(())
    }

    /// Looks at the connections in turn, a few at a time.
    fn look(&mut self, now: Instant) {
        for _ in 0..LOOKED_AT {
            let Some(mut stranger) = self.open.pop_front() else { return };
            if stranger.is_shut_out(&mut self.scratch) {
                self.turned_away += u64::from(!stranger.let_in);
                self.answered += stranger.answered;
            } else if now - stranger.since > CLOSED_WITHIN {
                self.left_open += 1;
            } else {
                self.open.push_back(stranger);
            }
        }
    }

    /// Waits until all are shut out.
    fn finish(&mut self, fleet: &mut Fleet) -> Result<(), LoadError> {
        let limit = CLOSED_WITHIN + Duration::from_secs(5);
        fleet.until("shutting strangers out", limit, |_| {
            self.look(Instant::now());
            self.open.is_empty()
        })
    }
}

/// One of them.
#[derive(Debug)]
struct Stranger {
    link: Link,
    since: Instant,
    /// Whether the server made a WebSocket of its connection.
    let_in: bool,
    answered: u64,
}

impl Stranger {
    /// Hears what has come. Whether the server has ended the connection.
    fn is_shut_out(&mut self, scratch: &mut [u8]) -> bool {
        let (let_in, answered) = (&mut self.let_in, &mut self.answered);
        let flow = self.link.read(scratch, |_, bytes| {
            let mut taken = 0;
            if !*let_in {
                let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
                let Some(end) = end.filter(|_| bytes.starts_with(b"HTTP/1.1 101 ")) else {
                    return Ok::<_, io::Error>(0);
                };
                (*let_in, taken) = (true, end + 4);
            }
            while let Ok(Some((frame, length))) = frame::read(&bytes[taken..]) {
                *answered += u64::from(matches!(frame, Frame::Text(_)));
                taken += length;
            }
            Ok(taken)
        });
        // What can't be sent any more tells the same as what can't be read.
        !matches!(flow, Ok(Flow::Open)) || self.link.flush().is_err()
    }
}

/// Text that JSON, the protocol's limits or its types don't allow.
fn bad_text(random: &mut impl Rng) -> Vec<u8> {
    match random.random_range(0..10) {
        0 => b"{".repeat(random.random_range(1..2_000)),
        1 => b"[".repeat(random.random_range(1..20_000)),
        2 => br#"{"v":1,"id":1,"type":"no_such_thing"}"#.to_vec(),
        3 => br#"{"v":1,"id":"one","type":"ping"}"#.to_vec(),
        4 => br#"{"v":1,"type":"hello","token":12,"client":null}"#.to_vec(),
        5 => br#"{"v":1,"type":"resume","session":"x","resume_token":"","seq":-1}"#.to_vec(),
        6 => format!(r#"{{"v":1,"type":"hello","token":"{}"}}"#, "a".repeat(random.random_range(1..40_000)))
            .into_bytes(),
        7 => br#"{"v":1,"id":1,"id":2,"type":"join","room":{}}"#.to_vec(),
        8 => format!(r#"{{"v":1,"id":{},"type":"chat"}}"#, "9".repeat(random.random_range(1..400)))
            .into_bytes(),
        _ => (0..random.random_range(0..300)).map(|_| random.random_range(0x20..0x7F)).collect(),
    }
}

/// Something that is to be refused: mostly a frame with bad text, at times something that is not even that.
fn write_malformed(out: &mut Vec<u8>, random: &mut Pcg64Mcg) {
    let mask = random.next_u32().to_ne_bytes();
    match random.random_range(0..100) {
        0..60 => frame::write_text(out, &bad_text(random), mask),
        60..90 => {
            // In pieces, down to single bytes and empty ones.
            let text = bad_text(random);
            let piece = random.random_range(1..=text.len().div_ceil(8).max(1));
            frame::write_pieces(out, text.chunks(piece), mask);
        }
        90..93 => frame::write_text(out, &vec![b'a'; MESSAGE_LONGEST + 1], mask),
        93..95 => frame::write_pieces(out, [b"a".repeat(40_000).as_slice(); 3].into_iter(), mask),
        // The head of a message that would be longer than all memory.
        95 => out.extend([0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        // Not UTF-8.
        96 => frame::write_text(out, &[0xC3, 0x28, 0xFF], mask),
        // Not masked, reserved bits, a reserved opcode, a control frame in pieces.
        97 => out.extend_from_slice(
            [b"\x81\x02{}", b"\xF1\x82\x00\x00", b"\x83\x80\x00\x00", b"\x09\x80\x00\x00"]
                [random.random_range(0..4)],
        ),
        // A piece of nothing.
        98 => out.extend([0x80, 0x80, 0, 0, 0, 0]),
        _ => out.extend((0..random.random_range(1..500)).map(|_| random.random::<u8>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_sent_is_a_message_that_lets_anybody_in() {
        let mut random = Pcg64Mcg::seed_from_u64(7);
        for _ in 0..20_000 {
            let text = bad_text(&mut random);
            let read = std::str::from_utf8(&text).map(ahoy_signal::read_client_message);
            assert!(!matches!(read, Ok(Ok(_))), "{}", String::from_utf8_lossy(&text));
        }
    }
}
