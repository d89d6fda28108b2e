use super::*;

const MS: Duration = Duration::from_millis(1);

fn pair(local: u8, remote: u8) -> Pair {
    let address = |network: u8, host: u8| SocketAddr::from(([10, network, 0, host], 5000));
    Pair { local: address(1, local), remote: address(2, remote) }
}

/// Two paths, questions that are answered or not, and what is heard.
struct World {
    paths: Paths,
    now: Instant,
    start: Instant,
    heard: BTreeMap<Pair, Instant>,
    in_use: Option<Pair>,
    nominated: Option<Pair>,
    number: u8,
    /// Paths that let something through, with their round trip.
    works: BTreeMap<Pair, Duration>,
    /// Whether the other side sends media by the pair in use.
    media: bool,
    answers: Vec<(Instant, Pair, TransactionNumber)>,
    questions: usize,
}

impl World {
    fn new(works: &[(Pair, u32)]) -> Self {
        let now = Instant::now() + Duration::from_secs(60);
        let mut world = Self {
            paths: Paths::default(),
            now,
            start: now,
            heard: BTreeMap::new(),
            in_use: None,
            nominated: None,
            number: 0,
            works: works.iter().map(|(pair, rtt)| (*pair, *rtt * MS)).collect(),
            media: true,
            answers: Vec::new(),
            questions: 0,
        };
        for (pair, _) in works {
            world.ask(*pair);
        }
        world.run(500 * MS);
        world
    }

    fn ask(&mut self, pair: Pair) {
        self.number = self.number.wrapping_add(1);
        let number = [self.number; 12];
        self.questions += 1;
        self.paths.asked(pair, number, self.now);
        if let Some(round_trip) = self.works.get(&pair) {
            self.answers.push((self.now + *round_trip, pair, number));
        }
    }

    /// Lets time pass in steps of a millisecond.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += MS;
            let (due, later) = self.answers.drain(..).partition(|(at, ..)| *at <= self.now);
            self.answers = later;
            let due: Vec<(Instant, Pair, TransactionNumber)> = due;
            for (_, pair, number) in due {
                if self.works.contains_key(&pair) {
                    self.heard.insert(pair, self.now);
                    self.paths.answered(pair, number, None, 0, self.now);
                }
            }
            if self.media
                && let Some(in_use) = self.in_use
                && self.works.contains_key(&in_use)
            {
                self.heard.insert(in_use, self.now);
            }
            let heard = self.heard.clone();
            for pair in self.paths.due(self.in_use, |pair| heard.get(&pair).copied(), self.now) {
                self.ask(pair);
            }
            let chosen =
                self.paths.choose(self.nominated, self.in_use, |pair| heard.get(&pair).copied(), self.now);
            self.in_use = chosen.or(self.in_use);
        }
    }

    /// How long until `done`.
    fn until(&mut self, done: impl Fn(&Self) -> bool) -> Duration {
        let from = self.now;
        while !done(self) {
            self.run(MS);
            assert!(self.now - self.start < Duration::from_secs(3600), "it never happens");
        }
        self.now - from
    }
}

#[test]
fn the_nominated_pair_is_used_even_where_another_is_faster() {
    let mut world = World::new(&[(pair(1, 1), 50), (pair(2, 1), 5)]);
    assert_eq!(world.in_use, Some(pair(2, 1)), "the fastest, before one is nominated");
    world.nominated = Some(pair(1, 1));
    world.run(10 * MS);
    assert_eq!(world.in_use, Some(pair(1, 1)));
    assert_eq!(world.paths.get(&pair(1, 1)).unwrap().round_trip, 50 * MS);
}

#[test]
fn media_moves_to_a_warm_pair_within_half_a_second_of_silence() {
    for round_trip in [1, 40, 100] {
        let mut world = World::new(&[(pair(1, 1), round_trip), (pair(2, 1), round_trip)]);
        world.nominated = Some(pair(1, 1));
        world.run(5000 * MS);
        world.works.remove(&pair(1, 1));
        let took = world.until(|world| world.in_use == Some(pair(2, 1)));
        assert!(took <= (500 + round_trip) * MS, "{took:?} at a round trip of {round_trip} ms");
    }
}

#[test]
fn a_pair_that_is_gone_is_replaced_at_once() {
    let mut world = World::new(&[(pair(1, 1), 20), (pair(2, 1), 20)]);
    world.nominated = Some(pair(1, 1));
    world.run(3000 * MS);
    world.paths.forget_local(pair(1, 1).local);
    (world.in_use, world.nominated) = (None, None);
    assert_eq!(world.until(|world| world.in_use == Some(pair(2, 1))), MS);
}

#[test]
fn one_lost_check_in_silence_changes_nothing() {
    let mut world = World::new(&[(pair(1, 1), 20), (pair(2, 1), 20)]);
    world.nominated = Some(pair(1, 1));
    world.media = false;
    world.run(3000 * MS);
    let lost = world.until(|world| world.answers.iter().any(|(_, of, _)| *of == pair(1, 1)));
    assert!(lost < 300 * MS, "it is asked while it is silent: {lost:?}");
    world.answers.retain(|(_, of, _)| *of != pair(1, 1));
    for _ in 0..1000 {
        world.run(MS);
        assert_eq!(world.in_use, Some(pair(1, 1)));
    }
}

#[test]
fn where_nothing_answers_the_last_pair_stays_and_is_found_again_within_a_second() {
    let mut world = World::new(&[(pair(1, 1), 30)]);
    world.nominated = Some(pair(1, 1));
    world.run(2000 * MS);
    world.works.clear();
    world.run(3000 * MS);
    assert_eq!(world.in_use, Some(pair(1, 1)));
    assert!(world.paths.get(&pair(1, 1)).unwrap().is_dead());
    world.works.insert(pair(1, 1), 30 * MS);
    world.media = false;
    let took = world.until(|world| !world.paths.get(&pair(1, 1)).unwrap().is_dead());
    assert!(took <= 1030 * MS, "{took:?}");
}

#[test]
fn media_goes_back_to_the_nominated_pair_when_it_has_been_alive_for_a_while() {
    let mut world = World::new(&[(pair(1, 1), 20), (pair(2, 1), 20)]);
    world.nominated = Some(pair(1, 1));
    world.run(3000 * MS);
    world.works.remove(&pair(1, 1));
    world.until(|world| world.in_use == Some(pair(2, 1)));
    world.works.insert(pair(1, 1), 20 * MS);
    let took = world.until(|world| world.in_use == Some(pair(1, 1)));
    assert!((2000 * MS..=3100 * MS).contains(&took), "{took:?}");
}

#[test]
fn a_pair_from_which_is_heard_but_where_nothing_arrives_is_dead_in_the_end() {
    let mut world = World::new(&[(pair(1, 1), 20), (pair(2, 1), 20)]);
    world.nominated = Some(pair(1, 1));
    world.run(3000 * MS);
    world.works.remove(&pair(1, 1));
    let from = world.now;
    while world.in_use == Some(pair(1, 1)) {
        world.heard.insert(pair(1, 1), world.now);
        world.run(MS);
    }
    assert!(world.now - from <= 3000 * MS, "{:?}", world.now - from);
}

#[test]
fn a_quiet_call_costs_few_questions() {
    let mut world = World::new(&[(pair(1, 1), 20), (pair(2, 1), 20)]);
    world.nominated = Some(pair(1, 1));
    world.run(1000 * MS);
    world.questions = 0;
    world.run(10_000 * MS);
    assert!(world.questions <= 22, "one a second for each pair: {}", world.questions);
    world.media = false;
    world.questions = 0;
    world.run(10_000 * MS);
    assert!(world.questions <= 70, "more where nothing is heard: {}", world.questions);
}

/// Media as it comes: pair, when it began to, when it came last; in milliseconds before now.
fn media_of(rows: &[(Pair, u64, u64)], now: Instant) -> impl Fn(Pair) -> Option<Media> {
    let rows: Vec<_> = rows.iter().map(|(pair, since, last)| (*pair, *since, *last)).collect();
    let ago = move |ms: u64| now - Duration::from_millis(ms);
    move |pair| {
        let row = rows.iter().find(|(of, ..)| *of == pair);
        row.map(|(_, since, last)| Media { since: ago(*since), last: ago(*last) })
    }
}

#[test]
fn the_other_side_is_followed_to_where_its_media_comes_from_when_the_pair_in_use_is_silent() {
    let world = World::new(&[(pair(1, 1), 20), (pair(2, 1), 20)]);
    let moved =
        |rows: &[(Pair, u64, u64)]| world.paths.moved(Some(pair(1, 1)), media_of(rows, world.now), world.now);
    assert_eq!(moved(&[(pair(1, 1), 9000, 60), (pair(2, 1), 70, 5)]), Some(pair(2, 1)));
    assert_eq!(moved(&[(pair(1, 1), 9000, 10), (pair(2, 1), 70, 5)]), None, "both: it is moving");
    assert_eq!(moved(&[(pair(1, 1), 9000, 60), (pair(2, 1), 3000, 5)]), None, "it has always sent that way");
    assert_eq!(moved(&[(pair(1, 1), 9000, 60)]), None, "only silence");
    assert_eq!(moved(&[(pair(1, 1), 9000, 60), (pair(3, 1), 70, 5)]), None, "a pair that has never worked");
}

#[test]
fn it_is_followed_for_two_seconds_and_then_what_answers_counts() {
    let world = World::new(&[(pair(1, 1), 20), (pair(2, 1), 20)]);
    let follows =
        |since| world.paths.follows(pair(2, 1), media_of(&[(pair(2, 1), since, 5)], world.now), world.now);
    assert!(follows(1900));
    assert!(!follows(2100));
}
