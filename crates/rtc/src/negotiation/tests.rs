use super::*;

fn at(millis: u64) -> MediaTime {
    MediaTime::from_millis(millis)
}

fn sdp(ufrag: &str, setup: &str) -> String {
    format!("v=0\r\na=ice-ufrag:{ufrag}\r\na=setup:{setup}\r\n")
}

fn offer(ufrag: &str) -> Input {
    Input::Remote(Signal::Description { kind: DescriptionKind::Offer, sdp: sdp(ufrag, "actpass") })
}

fn answer(ufrag: &str, setup: &str) -> Input {
    Input::Remote(Signal::Description { kind: DescriptionKind::Answer, sdp: sdp(ufrag, setup) })
}

fn candidate(ufrag: Option<&str>, number: u16) -> Signal {
    Signal::Candidate {
        candidate: format!("candidate:{number} 1 udp 1 192.0.2.1 {number} typ host"),
        sdp_mid: None,
        sdp_mline_index: Some(0),
        ufrag: ufrag.map(str::to_owned),
    }
}

fn actions(machine: &mut Negotiation) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll()).collect()
}

/// Delivers an answer and lets it be accepted.
fn accept(machine: &mut Negotiation, ufrag: &str, setup: &str, now: MediaTime) {
    machine.handle(answer(ufrag, setup), now);
    assert_eq!(machine.poll(), Some(Action::Accept { sdp: sdp(ufrag, setup) }));
    machine.handle(Input::Accepted { sdp: sdp(ufrag, setup) }, now);
}

/// A machine whose offer is out.
fn offering(politeness: Politeness) -> Negotiation {
    let mut machine = Negotiation::new(politeness, FirstOffer::Either);
    machine.handle(Input::Changed, at(0));
    machine.handle(Input::Timeout, at(1));
    assert_eq!(actions(&mut machine), [Action::Offer { restart_ice: false }]);
    machine.handle(Input::Offered { sdp: sdp("L1", "actpass") }, at(1));
    actions(&mut machine);
    machine
}

#[test]
fn changes_made_at_once_cost_one_offer() {
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
    for _ in 0..3 {
        machine.handle(Input::Changed, at(10));
    }
    assert_eq!(actions(&mut machine), []);
    assert_eq!(machine.next_wakeup(), Some(at(11)));
    machine.handle(Input::Timeout, at(11));
    assert_eq!(actions(&mut machine), [Action::Offer { restart_ice: false }]);
    assert_eq!(machine.next_wakeup(), None);
}

#[test]
fn a_change_during_an_exchange_is_offered_after_it() {
    let mut machine = offering(Politeness::Polite);
    machine.handle(Input::Changed, at(5));
    machine.handle(Input::Timeout, at(100));
    assert_eq!(actions(&mut machine), []);
    accept(&mut machine, "R1", "active", at(101));
    let last = actions(&mut machine).pop();
    assert_eq!(last, Some(Action::Offer { restart_ice: false }));
}

#[test]
fn the_polite_side_takes_its_offer_back_and_makes_it_again_later() {
    let mut machine = offering(Politeness::Polite);
    machine.handle(offer("R1"), at(2));
    assert_eq!(actions(&mut machine), [Action::Rollback, Action::Answer { sdp: sdp("R1", "actpass") }]);
    machine.handle(Input::Answered { sdp: sdp("L1", "active") }, at(3));
    let done = actions(&mut machine);
    assert!(
        matches!(&done[..], [Action::Send(_), Action::Settled, Action::Offer { restart_ice: false }]),
        "{done:?}"
    );
}

#[test]
fn the_impolite_side_ignores_a_crossing_offer_and_its_candidates() {
    let mut machine = offering(Politeness::Impolite);
    machine.handle(offer("R1"), at(2));
    machine.handle(Input::Remote(candidate(Some("R1"), 1)), at(2));
    assert_eq!(actions(&mut machine), []);
    accept(&mut machine, "R2", "active", at(3));
    machine.handle(Input::Remote(candidate(Some("R1"), 2)), at(3));
    assert_eq!(actions(&mut machine), [Action::Settled], "no candidate of the ignored generation is added");
}

#[test]
fn an_ignored_offer_of_the_generation_that_is_then_answered_with_keeps_its_candidates() {
    // A peer keeps its ICE credentials when it takes an offer back, so the answer carries those of the ignored offer.
    let mut machine = offering(Politeness::Impolite);
    machine.handle(offer("R1"), at(2));
    machine.handle(Input::Remote(candidate(Some("R1"), 1)), at(2));
    accept(&mut machine, "R1", "active", at(3));
    machine.handle(Input::Remote(candidate(Some("R1"), 2)), at(4));
    let added: Vec<_> =
        actions(&mut machine).into_iter().filter(|a| matches!(a, Action::AddCandidate(_))).collect();
    assert_eq!(added, [1, 2].map(|number| Action::AddCandidate(candidate(Some("R1"), number))));
}

#[test]
fn an_answer_that_nobody_waits_for_is_ignored() {
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
    machine.handle(answer("R1", "active"), at(0));
    assert_eq!(actions(&mut machine), []);
}

#[test]
fn candidates_that_overtake_their_description_wait_for_it_in_order() {
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
    for early in [candidate(None, 1), candidate(Some("R1"), 2), candidate(Some("R9"), 3)] {
        machine.handle(Input::Remote(early), at(0));
    }
    assert_eq!(actions(&mut machine), []);
    machine.handle(offer("R1"), at(1));
    assert_eq!(actions(&mut machine).len(), 1);
    machine.handle(Input::Answered { sdp: sdp("L1", "active") }, at(2));
    let added: Vec<_> =
        actions(&mut machine).into_iter().filter(|a| matches!(a, Action::AddCandidate(_))).collect();
    assert_eq!(
        added,
        [Action::AddCandidate(candidate(None, 1)), Action::AddCandidate(candidate(Some("R1"), 2))]
    );
}

#[test]
fn early_candidates_are_bounded() {
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
    for number in 0..1000 {
        machine.handle(Input::Remote(candidate(Some("R1"), number)), at(0));
    }
    machine.handle(offer("R1"), at(1));
    machine.handle(Input::Answered { sdp: sdp("L1", "active") }, at(2));
    let added: Vec<_> =
        actions(&mut machine).into_iter().filter(|a| matches!(a, Action::AddCandidate(_))).collect();
    assert_eq!(added.len(), MAX_EARLY_CANDIDATES);
    assert_eq!(added.last(), Some(&Action::AddCandidate(candidate(Some("R1"), 999))));
}

#[test]
fn late_candidates_of_a_replaced_generation_go_nowhere() {
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
    for generation in ["R1", "R2"] {
        machine.handle(offer(generation), at(1));
        machine.handle(Input::Answered { sdp: sdp("L1", "active") }, at(2));
    }
    actions(&mut machine);
    machine.handle(Input::Remote(candidate(Some("R1"), 1)), at(3));
    assert_eq!(actions(&mut machine), []);
    machine.handle(Input::Remote(candidate(Some("R2"), 2)), at(3));
    assert_eq!(actions(&mut machine), [Action::AddCandidate(candidate(Some("R2"), 2))]);
}

#[test]
fn an_answer_keeps_the_dtls_role_of_the_first_exchange() {
    // The other side answered our first offer as the one that connects, so we stay the one that waits.
    let mut machine = offering(Politeness::Polite);
    accept(&mut machine, "R1", "active", at(2));
    machine.handle(offer("R2"), at(3));
    actions(&mut machine);
    machine.handle(Input::Answered { sdp: sdp("L2", "active") }, at(4));
    let sent = actions(&mut machine).remove(0);
    let expected = Signal::Description { kind: DescriptionKind::Answer, sdp: sdp("L2", "passive") };
    assert_eq!(sent, Action::Send(expected));

    // And where we answered first, our own first choice stays.
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
    for _ in 0..2 {
        machine.handle(offer("R1"), at(0));
        machine.handle(Input::Answered { sdp: sdp("L1", "active") }, at(1));
    }
    let answers: Vec<_> =
        actions(&mut machine).into_iter().filter(|a| matches!(a, Action::Send(_))).collect();
    let active = Signal::Description { kind: DescriptionKind::Answer, sdp: sdp("L1", "active") };
    assert_eq!(answers, [Action::Send(active.clone()), Action::Send(active)]);
}

#[test]
fn an_ice_restart_survives_a_crossing_offer_and_is_made_once() {
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
    machine.handle(Input::RestartIce, at(0));
    machine.handle(Input::Timeout, at(1));
    assert_eq!(actions(&mut machine), [Action::Offer { restart_ice: true }]);
    machine.handle(Input::Offered { sdp: sdp("L2", "actpass") }, at(1));
    machine.handle(offer("R1"), at(2));
    machine.handle(Input::Answered { sdp: sdp("L2", "active") }, at(3));
    assert_eq!(actions(&mut machine).pop(), Some(Action::Offer { restart_ice: true }));
    machine.handle(Input::Offered { sdp: sdp("L3", "actpass") }, at(4));
    actions(&mut machine);
    accept(&mut machine, "R1", "passive", at(5));
    actions(&mut machine);
    machine.handle(Input::Timeout, at(1000));
    assert_eq!(actions(&mut machine), []);
}

#[test]
fn a_refused_offer_leaves_the_machine_able_to_go_on() {
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
    machine.handle(offer("R1"), at(0));
    actions(&mut machine);
    machine.handle(Input::OfferRefused, at(1));
    assert_eq!(actions(&mut machine), [Action::Settled]);
    machine.handle(Input::Changed, at(2));
    machine.handle(Input::Timeout, at(3));
    assert_eq!(actions(&mut machine), [Action::Offer { restart_ice: false }]);
}

#[test]
fn an_answer_that_does_not_fit_takes_the_offer_back() {
    let mut machine = offering(Politeness::Impolite);
    machine.handle(answer("R1", "active"), at(2));
    actions(&mut machine);
    machine.handle(Input::OfferFailed, at(3));
    assert_eq!(actions(&mut machine), [Action::Rollback, Action::Settled]);
}

proptest::proptest! {
    /// Descriptions are rewritten and searched as text: whatever they hold, nothing but the role changes.
    #[test]
    fn any_description_is_survived(text in "(a=setup:(active|passive|x)?|a=ice-ufrag:|a=|\\PC|\r|\n|:){0,40}") {
        let rewritten = with_setup(&text, Setup::Passive);
        proptest::prop_assert_eq!(rewritten.lines().count(), text.lines().count());
        for (before, after) in text.split('\n').zip(rewritten.split('\n')) {
            if before.starts_with("a=setup:") {
                proptest::prop_assert!(after.starts_with("a=setup:passive"));
            } else {
                proptest::prop_assert_eq!(before, after);
            }
        }
        let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Either);
        machine.handle(Input::Remote(Signal::Description { kind: DescriptionKind::Offer, sdp: text.clone() }), at(0));
        machine.handle(Input::Answered { sdp: text.clone() }, at(1));
        let candidate = Signal::Candidate { candidate: text.clone(), sdp_mid: None, sdp_mline_index: None, ufrag: Some(text.clone()) };
        machine.handle(Input::Remote(candidate), at(2));
        machine.handle(Input::Remote(Signal::Description { kind: DescriptionKind::Answer, sdp: text }), at(3));
        actions(&mut machine);
    }
}

/// Two machines joined by queues, with the library played by constants.
mod pair {
    use proptest::prelude::*;

    use super::*;

    struct Side {
        machine: Negotiation,
        inbox: VecDeque<Signal>,
        generation: u32,
        name: &'static str,
        settled: bool,
    }

    impl Side {
        fn new(name: &'static str, politeness: Politeness) -> Self {
            let machine = Negotiation::new(politeness, FirstOffer::Either);
            Self { machine, inbox: VecDeque::new(), generation: 0, name, settled: false }
        }

        fn handle(&mut self, input: Input, now: MediaTime, out: &mut VecDeque<Signal>) {
            self.machine.handle(input, now);
            while let Some(action) = self.machine.poll() {
                match action {
                    Action::Offer { restart_ice } => {
                        self.generation += u32::from(restart_ice);
                        self.settled = false;
                        let sdp = sdp(&format!("{}{}", self.name, self.generation), "actpass");
                        self.machine.handle(Input::Offered { sdp }, now);
                    }
                    Action::Answer { .. } => {
                        let sdp = sdp(&format!("{}{}", self.name, self.generation), "active");
                        self.machine.handle(Input::Answered { sdp }, now);
                    }
                    Action::Send(signal) => out.push_back(signal),
                    Action::Settled => self.settled = true,
                    Action::Accept { sdp } => self.machine.handle(Input::Accepted { sdp }, now),
                    Action::Rollback | Action::AddCandidate(_) => {}
                }
            }
        }
    }

    proptest! {
        /// Whatever is changed on either side and however deliveries interleave, both end up settled with nothing left
        /// to say, and agree on who connects in DTLS.
        #[test]
        fn two_sides_always_come_to_rest(steps in proptest::collection::vec(0u8..6, 1..60)) {
            let mut sides = [Side::new("P", Politeness::Polite), Side::new("I", Politeness::Impolite)];
            let mut now = at(0);
            let mut run = |sides: &mut [Side; 2], step: u8| {
                now += Duration::from_millis(1);
                let who = usize::from(step % 2);
                let input = match step / 2 {
                    0 => Some(Input::Changed),
                    1 => Some(Input::RestartIce),
                    _ => sides[who].inbox.pop_front().map(Input::Remote),
                };
                let mut out = VecDeque::new();
                for input in input.into_iter().chain([Input::Timeout]) {
                    sides[who].handle(input, now, &mut out);
                }
                sides[1 - who].inbox.append(&mut out);
            };
            for step in steps {
                run(&mut sides, step);
            }
            for _ in 0..20 {
                for step in [4, 5] {
                    run(&mut sides, step);
                }
            }
            for side in &sides {
                prop_assert!(side.inbox.is_empty());
                prop_assert_eq!(&side.machine.state, &State::Stable);
                prop_assert_eq!(side.machine.next_wakeup(), None);
            }
            prop_assert_eq!(sides[0].machine.setup, sides[1].machine.setup.map(Setup::opposite));
        }
    }
}

#[test]
fn who_answers_first_offers_nothing_before() {
    let mut machine = Negotiation::new(Politeness::Polite, FirstOffer::Theirs);
    machine.handle(Input::Changed, at(0));
    assert_eq!(machine.next_wakeup(), None);
    machine.handle(Input::Timeout, at(1000));
    assert_eq!(actions(&mut machine), []);
    machine.handle(offer("R1"), at(1001));
    assert!(matches!(&actions(&mut machine)[..], [Action::Answer { .. }]));
    machine.handle(Input::Answered { sdp: sdp("L1", "active") }, at(1002));
    assert!(matches!(&actions(&mut machine)[..], [Action::Send(_), Action::Settled]));
    assert_eq!(machine.next_wakeup(), None, "what was added before is in the answer");
    machine.handle(Input::Changed, at(1003));
    assert!(machine.next_wakeup().is_some(), "from now on each side offers");
}
