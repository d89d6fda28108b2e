//! Connections to contacts beside calls, over which files go: who knocks, who answers, when they end. Decided without I/O.
//!
//! Each program is an *end*, which it names itself. Whoever has something for a contact knocks at all of their programs, the first one
//! that says it is here is offered a connection, and the others hear nothing more. Where both knock at once, the one with the lower
//! user id goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ahoy_signal::{CallSignal, ClientMessage, LinkEnd, LinkSaid, UserId};

use crate::leg::{CONNECT_WITHIN, LinkState};

/// When it is knocked again where nobody has answered, at first and at most: each time twice as late.
const KNOCK_AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// When a connection that was lost or did not come about is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// How long a connection that was lost may come back by itself.
const LOST_FOR: Duration = Duration::from_secs(15);
/// How long a connection is kept for which nothing is left to do.
const KEPT: Duration = Duration::from_secs(30);

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum LinksInput {
    /// Something is to be done with somebody, or nothing any more.
    Wanted(UserId, bool),
    /// Somebody is reached by a call: there is no need for another connection.
    Reached(UserId),
    /// Somebody has come online.
    Online(UserId),
    /// The server passes on what somebody's program says.
    Heard {
        /// Who.
        from: UserId,
        /// Their end.
        end: LinkEnd,
        /// The end it is for.
        at: Option<LinkEnd>,
        /// What.
        said: LinkSaid,
    },
    /// This side of a connection has something to tell the other.
    Signal(UserId, CallSignal),
    /// A connection is like this now.
    Link(UserId, LinkState),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum LinksOutput {
    /// Ask the server this.
    Ask(ClientMessage),
    /// Open a connection to somebody; whether this side offers.
    Open(UserId, bool),
    /// Tell the connection what the other side says.
    Deliver(UserId, CallSignal),
    /// Close it.
    Close(UserId),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Something is wanted of them, and it is not time yet to knock.
    Waiting {
        until: Instant,
        knocks: u32,
    },
    Knocking {
        until: Instant,
        knocks: u32,
    },
    /// They have knocked, and heard that somebody is here.
    Answered {
        theirs: LinkEnd,
        until: Instant,
    },
    Connecting {
        theirs: LinkEnd,
        until: Instant,
    },
    Connected {
        theirs: LinkEnd,
        lost: Option<Instant>,
    },
}

#[derive(Clone, Debug)]
struct Link {
    stage: Stage,
    /// Whether this side has knocked: then it is for this side to say when it is done. The other one may have something to do of
    /// which nothing is known here.
    mine: bool,
    /// Whether this side has something to do.
    wanted: bool,
    /// Since when it has not.
    idle: Option<Instant>,
}

/// All connections beside calls.
#[derive(Debug)]
pub struct LinkMachine {
    me: UserId,
    mine: LinkEnd,
    links: BTreeMap<UserId, Link>,
    outputs: Vec<LinksOutput>,
}

impl LinkMachine {
    /// Of this user's program, with a new end.
    pub fn new(me: UserId, mine: LinkEnd) -> Self {
        Self { me, mine, links: BTreeMap::new(), outputs: Vec::new() }
    }

    /// What is to be done, in order.
    pub fn take_outputs(&mut self) -> Vec<LinksOutput> {
        std::mem::take(&mut self.outputs)
    }

    /// When it wants to be told that time has passed.
    pub fn deadline(&self) -> Option<Instant> {
        self.links.values().filter_map(Link::deadline).min()
    }

    /// Takes in what happens.
    pub fn handle(&mut self, input: LinksInput, now: Instant) {
        match input {
            LinksInput::Wanted(user, wanted) => self.want(user, wanted, now),
            LinksInput::Reached(user) => {
                if let Some(theirs) = self.links.get(&user).and_then(Link::theirs) {
                    self.say(user, Some(theirs), LinkSaid::Close {});
                }
                self.end(user, now);
                self.links.remove(&user);
            }
            LinksInput::Online(user) => {
                if let Some(Link {
                    stage: Stage::Waiting { until, .. } | Stage::Knocking { until, .. },
                    ..
                }) = self.links.get_mut(&user)
                {
                    *until = now;
                    self.tick(now);
                }
            }
            LinksInput::Heard { from, end, at, said } => {
                // What is for another of one's programs.
                if at.is_none_or(|at| at == self.mine) {
                    self.hear(from, end, at.is_some(), said, now);
                }
            }
            LinksInput::Signal(user, signal) => {
                if let Some(theirs) = self.links.get(&user).and_then(Link::theirs) {
                    self.say(user, Some(theirs), LinkSaid::Signal { signal });
                }
            }
            LinksInput::Link(user, state) => self.on_link(user, state, now),
            LinksInput::Tick => self.tick(now),
        }
    }

    fn say(&mut self, to: UserId, at: Option<LinkEnd>, said: LinkSaid) {
        self.outputs.push(LinksOutput::Ask(ClientMessage::Link { to, end: self.mine, at, said }));
    }

    fn want(&mut self, user: UserId, wanted: bool, now: Instant) {
        match self.links.get_mut(&user) {
            Some(link) => {
                link.wanted = wanted;
                link.idle = if wanted { None } else { link.idle.or(Some(now)) };
                let is_trying = matches!(link.stage, Stage::Waiting { .. } | Stage::Knocking { .. });
                if !wanted && is_trying {
                    self.links.remove(&user);
                }
            }
            None if wanted => self.knock(user, 0, now),
            None => {}
        }
    }

    fn knock(&mut self, user: UserId, knocks: u32, now: Instant) {
        self.say(user, None, LinkSaid::Knock {});
        let (first, most) = KNOCK_AGAIN;
        let until = now + first.saturating_mul(1 << knocks.min(10)).min(most);
        let stage = Stage::Knocking { until, knocks: knocks + 1 };
        self.links.insert(user, Link { stage, mine: true, wanted: true, idle: None });
    }

    fn hear(&mut self, from: UserId, end: LinkEnd, is_for_me: bool, said: LinkSaid, now: Instant) {
        let stage = self.links.get(&from).map(|link| link.stage);
        match said {
            LinkSaid::Knock {} => match stage {
                // They hear the knock from here as well, and answer it.
                Some(Stage::Knocking { .. }) if self.me < from => {}
                _ => self.answer(from, end, now),
            },
            LinkSaid::Here {} if !is_for_me => {}
            LinkSaid::Here {} => match stage {
                Some(Stage::Knocking { .. }) => {
                    self.go_to(from, Stage::Connecting { theirs: end, until: now + CONNECT_WITHIN });
                    self.outputs.push(LinksOutput::Open(from, true));
                }
                // Another program of theirs was here first.
                _ => self.say(from, Some(end), LinkSaid::Close {}),
            },
            LinkSaid::Signal { signal } => match stage {
                Some(Stage::Answered { theirs, .. }) if theirs == end => {
                    self.go_to(from, Stage::Connecting { theirs, until: now + CONNECT_WITHIN });
                    self.outputs.push(LinksOutput::Open(from, false));
                    self.outputs.push(LinksOutput::Deliver(from, signal));
                }
                Some(Stage::Connecting { theirs, .. } | Stage::Connected { theirs, .. }) if theirs == end => {
                    self.outputs.push(LinksOutput::Deliver(from, signal));
                }
                _ => {}
            },
            LinkSaid::Close {} => {
                if self.links.get(&from).and_then(Link::theirs) == Some(end) {
                    self.end(from, now);
                }
            }
        }
    }

    /// Somebody has knocked: there is a program here, whatever was before.
    fn answer(&mut self, from: UserId, theirs: LinkEnd, now: Instant) {
        let before = self.links.get(&from);
        if before.is_some_and(Link::is_open) {
            self.outputs.push(LinksOutput::Close(from));
        }
        let wanted = before.is_some_and(|link| link.wanted);
        let idle = (!wanted).then_some(now);
        let stage = Stage::Answered { theirs, until: now + CONNECT_WITHIN };
        self.links.insert(from, Link { stage, mine: false, wanted, idle });
        self.say(from, Some(theirs), LinkSaid::Here {});
    }

    fn go_to(&mut self, user: UserId, stage: Stage) {
        if let Some(link) = self.links.get_mut(&user) {
            link.stage = stage;
        }
    }

    /// There is no connection any more; another one where something is left to do.
    fn end(&mut self, user: UserId, now: Instant) {
        let Some(link) = self.links.get_mut(&user) else { return };
        if link.is_open() {
            self.outputs.push(LinksOutput::Close(user));
        }
        link.stage = Stage::Waiting { until: now + TRY_AGAIN, knocks: 0 };
        if !link.wanted {
            self.links.remove(&user);
        }
    }

    fn on_link(&mut self, user: UserId, state: LinkState, now: Instant) {
        let Some(link) = self.links.get_mut(&user) else { return };
        match (link.stage, state) {
            (Stage::Connecting { theirs, .. } | Stage::Connected { theirs, .. }, LinkState::Connected) => {
                link.stage = Stage::Connected { theirs, lost: None };
            }
            (Stage::Connected { theirs, lost: None }, LinkState::Disconnected | LinkState::Failed) => {
                link.stage = Stage::Connected { theirs, lost: Some(now + LOST_FOR) };
            }
            (Stage::Connecting { theirs, .. }, LinkState::Failed) => {
                self.say(user, Some(theirs), LinkSaid::Close {});
                self.end(user, now);
            }
            _ => {}
        }
    }

    fn tick(&mut self, now: Instant) {
        let due: Vec<(UserId, Link)> = self
            .links
            .iter()
            .filter(|(_, link)| link.deadline().is_some_and(|at| at <= now))
            .map(|(user, link)| (*user, link.clone()))
            .collect();
        for (user, link) in due {
            match link.stage {
                Stage::Waiting { knocks, .. } | Stage::Knocking { knocks, .. } => {
                    self.knock(user, knocks, now)
                }
                Stage::Answered { theirs, .. }
                | Stage::Connecting { theirs, .. }
                | Stage::Connected { theirs, .. } => {
                    self.say(user, Some(theirs), LinkSaid::Close {});
                    self.end(user, now);
                }
            }
        }
    }
}

impl Link {
    fn theirs(&self) -> Option<LinkEnd> {
        match self.stage {
            Stage::Waiting { .. } | Stage::Knocking { .. } => None,
            Stage::Answered { theirs, .. }
            | Stage::Connecting { theirs, .. }
            | Stage::Connected { theirs, .. } => Some(theirs),
        }
    }

    /// Whether there is a connection, or is to be one.
    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Connecting { .. } | Stage::Connected { .. })
    }

    fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Waiting { until, .. }
            | Stage::Knocking { until, .. }
            | Stage::Answered { until, .. }
            | Stage::Connecting { until, .. } => Some(until),
            Stage::Connected { lost, .. } => {
                lost.or(self.idle.filter(|_| self.mine).map(|since| since + KEPT))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ahoy_signal::{CandidateLine, IceGeneration};

    use super::*;

    const ADA: UserId = UserId::from_bits(1);
    const BOB: UserId = UserId::from_bits(2);

    fn signal(text: &str) -> CallSignal {
        CallSignal::Candidate {
            candidate: CandidateLine::new(format!("candidate:{text}")).unwrap(),
            sdp_mid: None,
            sdp_mline_index: Some(0),
            generation: IceGeneration::new("abcd").unwrap(),
        }
    }

    /// Programs that hear each other through a server.
    struct World {
        now: Instant,
        /// With the user and end of each, whether it is connected, and what it opened.
        programs: Vec<(UserId, LinkMachine, Vec<LinksOutput>)>,
        online: Vec<bool>,
    }

    impl World {
        fn new(users: &[UserId]) -> Self {
            let program = |(number, user): (usize, &UserId)| {
                (*user, LinkMachine::new(*user, LinkEnd::from_bits(number as u128 + 1)), Vec::new())
            };
            let programs = users.iter().enumerate().map(program).collect();
            Self { now: Instant::now(), programs, online: vec![true; users.len()] }
        }

        /// Ada has something for Bob, and they are connected.
        fn connected() -> Self {
            let mut world = Self::new(&[ADA, BOB]);
            world.tell(0, LinksInput::Wanted(BOB, true));
            world.settle();
            world.tell(0, LinksInput::Signal(BOB, signal("offer")));
            world.settle();
            world.connect(&[(0, BOB), (1, ADA)]);
            world
        }

        fn tell(&mut self, program: usize, input: LinksInput) {
            self.programs[program].1.handle(input, self.now);
        }

        /// Carries everything until nothing is said any more.
        fn settle(&mut self) {
            loop {
                let mut said = Vec::new();
                for (user, machine, done) in &mut self.programs {
                    for output in machine.take_outputs() {
                        match output {
                            LinksOutput::Ask(ClientMessage::Link { to, end, at, said: what }) => {
                                said.push((*user, to, end, at, what));
                            }
                            other => done.push(other),
                        }
                    }
                }
                if said.is_empty() {
                    return;
                }
                for (from, to, end, at, what) in said {
                    let hears =
                        (0..self.programs.len()).filter(|n| self.programs[*n].0 == to && self.online[*n]);
                    for program in hears.collect::<Vec<_>>() {
                        self.tell(program, LinksInput::Heard { from, end, at, said: what.clone() });
                    }
                }
            }
        }

        fn pass(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.now += Duration::from_secs(1);
                for program in 0..self.programs.len() {
                    self.tell(program, LinksInput::Tick);
                }
                self.settle();
            }
        }

        fn done(&mut self, program: usize) -> Vec<LinksOutput> {
            std::mem::take(&mut self.programs[program].2)
        }

        fn connect(&mut self, pairs: &[(usize, UserId)]) {
            for (program, other) in pairs {
                self.tell(*program, LinksInput::Link(*other, LinkState::Connected));
            }
        }
    }

    #[test]
    fn whoever_has_something_knocks_and_the_first_who_is_there_gets_a_connection() {
        // Bob has two programs.
        let mut world = World::new(&[ADA, BOB, BOB]);
        world.tell(0, LinksInput::Wanted(BOB, true));
        world.settle();
        assert_eq!(world.done(0), [LinksOutput::Open(BOB, true)]);
        world.tell(0, LinksInput::Signal(BOB, signal("offer")));
        world.settle();
        let opened = [LinksOutput::Open(ADA, false), LinksOutput::Deliver(ADA, signal("offer"))];
        assert_eq!((world.done(1), world.done(2)), (opened.to_vec(), Vec::new()));
        world.tell(1, LinksInput::Signal(ADA, signal("answer")));
        world.settle();
        assert_eq!(world.done(0), [LinksOutput::Deliver(BOB, signal("answer"))]);
        world.connect(&[(0, BOB), (1, ADA)]);
        world.pass(120);
        assert_eq!(
            (world.done(0), world.done(1), world.done(2)),
            (vec![], vec![], vec![]),
            "it is still wanted"
        );
    }

    #[test]
    fn of_two_who_knock_at_once_one_goes_on() {
        let mut world = World::new(&[ADA, BOB]);
        world.tell(0, LinksInput::Wanted(BOB, true));
        world.tell(1, LinksInput::Wanted(ADA, true));
        world.settle();
        assert_eq!((world.done(0), world.done(1)), (vec![LinksOutput::Open(BOB, true)], vec![]));
        world.tell(0, LinksInput::Signal(BOB, signal("offer")));
        world.settle();
        assert_eq!(world.done(1)[0], LinksOutput::Open(ADA, false));
    }

    #[test]
    fn nobody_there_is_tried_again_ever_more_seldom_and_at_once_when_they_come() {
        let mut world = World::new(&[ADA, BOB]);
        world.online[1] = false;
        world.tell(0, LinksInput::Wanted(BOB, true));
        world.settle();
        world.pass(3_600);
        assert_eq!(world.done(0), []);
        world.online[1] = true;
        world.tell(0, LinksInput::Online(BOB));
        world.settle();
        assert_eq!(world.done(0), [LinksOutput::Open(BOB, true)]);
    }

    #[test]
    fn a_connection_that_has_nothing_left_to_do_ends_after_a_while() {
        let mut world = World::connected();
        world.pass(60);
        assert_eq!(
            world.programs[1].2.last(),
            Some(&LinksOutput::Deliver(ADA, signal("offer"))),
            "it is kept"
        );
        world.tell(0, LinksInput::Wanted(BOB, false));
        world.pass(20);
        world.done(0);
        world.done(1);
        world.pass(20);
        assert_eq!(
            (world.done(0), world.done(1)),
            (vec![LinksOutput::Close(BOB)], vec![LinksOutput::Close(ADA)])
        );
        assert_eq!((world.programs[0].1.deadline(), world.programs[1].1.deadline()), (None, None));
    }

    #[test]
    fn what_is_lost_or_fails_is_tried_again_as_long_as_it_is_wanted() {
        let mut world = World::new(&[ADA, BOB]);
        world.tell(0, LinksInput::Wanted(BOB, true));
        world.settle();
        world.tell(0, LinksInput::Link(BOB, LinkState::Failed));
        world.settle();
        world.pass(3);
        assert_eq!(
            world.done(0),
            [LinksOutput::Open(BOB, true), LinksOutput::Close(BOB), LinksOutput::Open(BOB, true)]
        );
        world.tell(0, LinksInput::Signal(BOB, signal("offer")));
        world.settle();
        world.connect(&[(0, BOB), (1, ADA)]);
        world.tell(0, LinksInput::Link(BOB, LinkState::Disconnected));
        world.pass(10);
        world.connect(&[(0, BOB)]);
        world.pass(30);
        assert_eq!(world.done(0), [], "it came back");
        world.tell(0, LinksInput::Link(BOB, LinkState::Disconnected));
        world.pass(20);
        assert_eq!(world.done(0), [LinksOutput::Close(BOB), LinksOutput::Open(BOB, true)]);
    }

    #[test]
    fn whoever_is_reached_by_a_call_needs_no_other_connection_and_gets_one_again_after_it() {
        let mut world = World::connected();
        world.done(0);
        world.done(1);
        world.tell(0, LinksInput::Wanted(BOB, false));
        world.tell(0, LinksInput::Reached(BOB));
        world.settle();
        assert_eq!(
            (world.done(0), world.done(1)),
            (vec![LinksOutput::Close(BOB)], vec![LinksOutput::Close(ADA)])
        );
        world.pass(60);
        assert_eq!((world.done(0), world.done(1)), (vec![], vec![]));
        world.tell(0, LinksInput::Wanted(BOB, true));
        world.settle();
        assert_eq!(world.done(0), [LinksOutput::Open(BOB, true)]);
    }

    #[test]
    fn a_program_that_was_started_again_is_answered_anew() {
        let mut world = World::connected();
        world.done(1);
        world.programs[0].1 = LinkMachine::new(ADA, LinkEnd::from_bits(99));
        world.tell(0, LinksInput::Wanted(BOB, true));
        world.settle();
        world.tell(0, LinksInput::Signal(BOB, signal("again")));
        world.settle();
        assert_eq!(
            world.done(1),
            [
                LinksOutput::Close(ADA),
                LinksOutput::Open(ADA, false),
                LinksOutput::Deliver(ADA, signal("again"))
            ]
        );
    }
}
