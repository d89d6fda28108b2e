//! What the links do and who shares them: RFC 8867 section 5, what RFC 8868 recommends of losses, delays and queues, and the
//! testkit's traces.

mod several;

use std::fmt::{self, Write as _};
use std::time::Duration;

use ahoy_testkit::{LinkConfig, LinkConfigBuilder, Loss, RateSchedule, Trace};
use anyhow::{Result, bail};

pub(crate) use self::several::{CallSpec, TcpSpec};
use super::pair::Pair;

/// What is asked of a case.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Goals {
    /// Percent of what the link carries, at least.
    pub(crate) utilisation: Option<f64>,
    /// The same with what was lost and came after all.
    pub(crate) goodput: Option<f64>,
    /// Milliseconds, at most.
    pub(crate) steady_queue: Option<f64>,
    /// Seconds, at most.
    pub(crate) rise: Option<f64>,
    /// Milliseconds, at most.
    pub(crate) after_drop: Option<f64>,
    /// Percent, at most.
    pub(crate) lost: Option<f64>,
    pub(crate) freezes: Option<f64>,
    /// Percent, at most.
    pub(crate) concealed: Option<f64>,
    /// Jain's index, at least.
    pub(crate) jain: Option<f64>,
    /// TCP's part in percent, from and to.
    pub(crate) tcp_share: Option<[f64; 2]>,
}

/// Cases that belong together, and can be asked for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Rfc,
    Several,
    Loss,
    Delay,
    Queue,
    Traces,
}

impl Group {
    const ALL: [Group; 6] =
        [Group::Rfc, Group::Several, Group::Loss, Group::Delay, Group::Queue, Group::Traces];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Group::Rfc => "rfc",
            Group::Several => "several",
            Group::Loss => "loss",
            Group::Delay => "delay",
            Group::Queue => "queue",
            Group::Traces => "traces",
        })
    }
}

/// What cases play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pictures {
    /// A film forth and back: what a camera sees has no cuts.
    Film,
    /// The film from the beginning again and again.
    FilmWithCuts,
    /// Small ones that are worth as many bits, so that several calls have time for them.
    Small,
}

/// A link, and for how long a call goes over it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What the link does, in a line.
    pub(crate) about: String,
    group: Group,
    pub(crate) lasts: Duration,
    /// From which second on, and Mb/s, where the rate changes seldom enough to look at each change; none of a trace.
    pub(crate) rates: Vec<(f64, f64)>,
    there: LinkConfig,
    back: LinkConfig,
    has_cuts: bool,
    /// Who calls over it.
    pub(crate) calls: Vec<CallSpec>,
    /// What else goes over it.
    pub(crate) tcp: Vec<TcpSpec>,
    /// From when to when, in seconds, what each of several gets is compared.
    pub(crate) compared: Option<[f64; 2]>,
    pub(crate) goals: Goals,
}

/// What neither side sends more than: enough to be no limit to pictures of this size. Chromium's own would be about 2.5 Mb/s.
pub(crate) const MOST_KBPS: u64 = 6_000;
const QUEUE: Duration = Duration::from_millis(300);
const DELAY: Duration = Duration::from_millis(50);
/// RFC 8868 section 4.5: three standard deviations of 5 ms.
const JITTER: Duration = Duration::from_millis(15);
/// RFC 8867 section 5.1.
const VARIABLE: [(f64, f64); 4] = [(0.0, 1.0), (40.0, 2.5), (60.0, 0.6), (80.0, 1.0)];
const TWO: [(f64, f64); 1] = [(0.0, 2.0)];
/// By how much `--quick` makes time run faster.
const QUICK: f64 = 5.0;

impl Case {
    /// `way` says what differs from the usual, both ways; the rate is that of the way there.
    fn new(
        group: Group,
        name: String,
        about: String,
        rates: &[(f64, f64)],
        way: impl Fn(LinkConfigBuilder) -> LinkConfigBuilder,
    ) -> Result<Self> {
        let until = |index: usize| rates.get(index + 1).map_or(10_000.0, |(from, _)| *from);
        let steps = rates.iter().enumerate().map(|(index, (from, mbps))| {
            (Duration::from_secs_f64(until(index) - from), Some((mbps * 1e6) as u64))
        });
        let usual = || LinkConfig::builder().queue(QUEUE).delay(DELAY).half_normal_jitter(JITTER);
        Ok(Self {
            lasts: Duration::from_secs(if rates.len() > 1 { 100 } else { 60 }),
            rates: rates.to_vec(),
            there: way(usual()).rate(RateSchedule::holding(steps)).build()?,
            back: way(usual()).build()?,
            has_cuts: false,
            calls: vec![CallSpec::default()],
            tcp: Vec::new(),
            compared: None,
            goals: Goals::default(),
            group,
            name,
            about,
        })
    }

    /// RFC 8867 section 5.1, with its goals.
    fn variable(
        group: Group,
        name: &str,
        about: &str,
        way: impl Fn(LinkConfigBuilder) -> LinkConfigBuilder,
    ) -> Result<Self> {
        let goals = Goals {
            utilisation: Some(92.0),
            steady_queue: Some(25.0),
            rise: Some(4.0),
            after_drop: Some(50.0),
            lost: Some(0.5),
            freezes: Some(0.0),
            ..Goals::default()
        };
        let about = format!("1.0, 2.5, 0.6, 1.0 Mb/s (RFC 8867 section 5.1), {about}");
        Ok(Self { goals, ..Self::new(group, name.to_owned(), about, &VARIABLE, way)? })
    }

    fn lossy(name: String, about: &str, loss: Loss, queue: Duration) -> Result<Self> {
        let ten = matches!(loss, Loss::Random { p } if (p - 0.1).abs() < 1e-9);
        let goals = match ten {
            // Of what losses leave, 90 %.
            true => {
                Goals { goodput: Some(81.0), freezes: Some(0.0), concealed: Some(1.0), ..Goals::default() }
            }
            false => Goals::default(),
        };
        let about = format!("2 Mb/s, {about}");
        Ok(Self { goals, ..Self::new(Group::Loss, name, about, &TWO, |way| way.loss(loss).queue(queue))? })
    }

    fn over(trace: &Trace) -> Result<Self> {
        let (there, back) = trace.links(Trace::SEED)?;
        Ok(Self {
            name: format!("trace-{}", trace.name),
            about: trace.about.to_owned(),
            group: Group::Traces,
            lasts: Trace::LASTS,
            rates: Vec::new(),
            has_cuts: false,
            calls: vec![CallSpec::default()],
            tcp: Vec::new(),
            compared: None,
            goals: Goals::default(),
            there,
            back,
        })
    }

    fn all() -> Result<Vec<Self>> {
        let ms = Duration::from_millis;
        let mut all = vec![
            Self::variable(Group::Rfc, "5.1", "50 ms one way", |way| way)?,
            Self::variable(Group::Rfc, "5.1-100ms", "100 ms one way", |way| way.delay(ms(100)))?,
        ];
        let cuts =
            Self::variable(Group::Rfc, "5.1-cuts", "50 ms one way, a film with a cut every 4.4 s", |way| {
                way
            })?;
        all.push(Self { has_cuts: true, goals: Goals::default(), ..cuts });
        all.extend(Self::several()?);
        for percent in [1_u32, 5, 10, 20] {
            let loss = Loss::Random { p: f64::from(percent) / 100.0 };
            let about = format!("{percent} % of the packets lost at random");
            all.push(Self::lossy(format!("loss-{percent}"), &about, loss, QUEUE)?);
        }
        let about = "10 % of the packets lost at random, a queue of 70 ms";
        all.push(Self::lossy("loss-10-queue-70".to_owned(), about, Loss::Random { p: 0.1 }, ms(70))?);
        for percent in [5_u32, 10] {
            let loss = Loss::Burst { p: f64::from(percent) / 100.0, mean_run: 4.0 };
            let about = format!("{percent} % of the packets lost, 4 in a row on average");
            all.push(Self::lossy(format!("bursts-{percent}"), &about, loss, QUEUE)?);
        }
        for delay in (0..=300).step_by(50) {
            let (name, about) = (format!("delay-{delay}"), format!("2 Mb/s, {delay} ms one way"));
            all.push(Self::new(Group::Delay, name, about, &TWO, |way| way.delay(ms(delay)))?);
        }
        let about = "2 Mb/s, 150 ms one way, 5 % of the packets lost at random".to_owned();
        let lossy = |way: LinkConfigBuilder| way.delay(ms(150)).loss(Loss::Random { p: 0.05 });
        all.push(Self::new(Group::Delay, "delay-150-loss-5".to_owned(), about, &TWO, lossy)?);
        for queue in [70, 400, 1_500] {
            let (name, about) = (format!("5.1-queue-{queue}"), format!("a queue of {queue} ms"));
            all.push(Self::variable(Group::Queue, &name, &about, |way| way.queue(ms(queue)))?);
        }
        for trace in Trace::all() {
            all.push(Self::over(&trace)?);
        }
        Ok(all)
    }

    /// Those with these names or in these groups, or all. `quick` takes the first alone, with everything happening faster.
    pub(crate) fn chosen(names: &[String], quick: bool) -> Result<Vec<Self>> {
        let all = Self::all()?;
        let is = |case: &Self, name: &String| case.name == *name || case.group.to_string() == *name;
        if let Some(unknown) = names.iter().find(|name| !all.iter().any(|case| is(case, name))) {
            let known: Vec<&str> = all.iter().map(|case| case.name.as_str()).collect();
            let groups = Group::ALL.map(|group| group.to_string()).join(", ");
            bail!("there is no case {unknown}; there are {}, and the groups {groups}", known.join(", "));
        }
        let chosen =
            all.into_iter().filter(|case| names.is_empty() || names.iter().any(|name| is(case, name)));
        Ok(match quick {
            true => {
                let chosen: Vec<Self> = chosen.collect();
                // Of several calls one with TCP beside it, which has most in it that can fail.
                let is_first = |case: &&Self| case.group != Group::Several || !case.tcp.is_empty();
                chosen.iter().find(is_first).cloned().map(Self::faster).into_iter().collect::<Result<_>>()?
            }
            false => chosen.collect(),
        })
    }

    /// All cases, in their groups, for people.
    pub(crate) fn list() -> Result<String> {
        let all = Self::all()?;
        let mut list = String::new();
        for group in Group::ALL {
            writeln!(list, "{group}:")?;
            for case in all.iter().filter(|case| case.group == group) {
                writeln!(list, "  {:<18} {:>3} s  {}", case.name, case.lasts.as_secs(), case.about)?;
            }
        }
        let sum: Duration = all.iter().map(|case| case.lasts).sum();
        writeln!(
            list,
            "{} cases; one call of each takes {} minutes. Traces are those of seed {}.",
            all.len(),
            sum.as_secs().div_ceil(60),
            Trace::SEED
        )?;
        Ok(list)
    }

    fn faster(self) -> Result<Self> {
        let faster = |link: &LinkConfig| {
            let mut rate = link.rate().clone();
            for step in &mut rate.steps {
                step.lasts = step.lasts.div_f64(QUICK);
            }
            link.to_builder().rate(rate).build()
        };
        Ok(Self {
            name: format!("{}-quick", self.name),
            about: format!("{}, {QUICK} times as fast", self.about),
            lasts: self.lasts.div_f64(QUICK),
            rates: self.rates.iter().map(|(from, mbps)| (from / QUICK, *mbps)).collect(),
            calls: self.calls.iter().map(|call| call.faster(QUICK)).collect(),
            tcp: self.tcp.iter().map(|flow| flow.faster(QUICK)).collect(),
            compared: self.compared.map(|window| window.map(|at| at / QUICK)),
            // They are those of the case as it is.
            goals: Goals::default(),
            there: faster(&self.there)?,
            back: faster(&self.back)?,
            ..self
        })
    }

    /// What is played in it.
    pub(crate) fn pictures(&self) -> Pictures {
        match (self.is_shared(), self.has_cuts) {
            (true, _) => Pictures::Small,
            (false, true) => Pictures::FilmWithCuts,
            (false, false) => Pictures::Film,
        }
    }

    /// Whether there is more than one call on the link.
    pub(crate) fn is_shared(&self) -> bool {
        self.calls.len() > 1 || !self.tcp.is_empty()
    }

    /// Whether these can call each other here: calls beside each other are all of one program.
    pub(crate) fn takes(&self, pair: Pair) -> bool {
        !self.is_shared() || matches!(pair, Pair::OursOurs | Pair::ChromiumChromium)
    }

    /// The rate of the way there over time.
    pub(crate) fn schedule(&self) -> &RateSchedule {
        self.there.rate()
    }

    /// Bits that the link could carry during the call: the rate over time, of which no more counts than the senders would
    /// ever use. Without that limit a trace with a second of 50 Mb/s in it would say nothing of the other seconds.
    pub(crate) fn could(&self) -> f64 {
        self.schedule().carries(Duration::ZERO, self.lasts, MOST_KBPS * 1_000)
    }

    /// The same of the way back, where somebody sends pictures there.
    pub(crate) fn could_back(&self) -> Option<f64> {
        let back = self.calls.iter().any(|call| call.back);
        back.then(|| self.back.rate().carries(Duration::ZERO, self.lasts, MOST_KBPS * 1_000))
    }

    /// The way there and the way back. `seed` is that of losses and jitter: the rate of a trace is the same in each run.
    pub(crate) fn links(&self, seed: u64) -> Result<(LinkConfig, LinkConfig)> {
        let there = self.there.to_builder().seed(seed).build()?;
        Ok((there, self.back.to_builder().seed(seed + 1_000).build()?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Case::chosen(&names, false).unwrap().into_iter().map(|case| case.name).collect()
    }

    #[test]
    fn each_case_has_a_name_of_its_own_and_is_listed() {
        let all = names(&[]);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        let list = Case::list().unwrap();
        assert!(all.iter().all(|name| list.lines().any(|line| line.trim_start().starts_with(name))));
    }

    #[test]
    fn groups_choose_all_of_their_cases() {
        assert_eq!(names(&["rfc"]), ["5.1", "5.1-100ms", "5.1-cuts"]);
        assert_eq!(names(&["several"]), ["5.2", "5.3", "5.4", "5.5", "5.6-cubic", "5.6-reno", "5.7", "5.8"]);
        assert_eq!(
            names(&["queue", "delay-50"]),
            ["delay-50", "5.1-queue-70", "5.1-queue-400", "5.1-queue-1500"]
        );
        assert_eq!(names(&["traces"]).len(), Trace::all().count());
        let groups = Group::ALL.map(|group| group.to_string());
        let all: usize = groups.iter().map(|group| names(&[group]).len()).sum();
        assert_eq!(all, names(&[]).len());
    }

    #[test]
    fn an_unknown_case_is_refused_with_those_that_there_are() {
        let error = Case::chosen(&["5.9".to_owned()], false).unwrap_err().to_string();
        assert!(
            error.contains("no case 5.9") && error.contains("loss-10") && error.contains("traces"),
            "{error}"
        );
    }

    #[test]
    fn what_a_link_could_carry_is_its_rate_over_time_up_to_what_is_sent() {
        let case = |name: &str| Case::chosen(&[name.to_owned()], false).unwrap().remove(0);
        assert_eq!(case("5.1").could(), 40.0 * 1e6 + 20.0 * 2.5e6 + 20.0 * 0.6e6 + 20.0 * 1e6);
        // It carries 15 Mb/s and more.
        let fast = case("trace-5g-mmwave");
        assert!(fast.could() < 6e6 * 60.0 && fast.could() > 4e6 * 60.0, "{}", fast.could());
    }

    #[test]
    fn quick_is_one_case_with_the_same_rates_five_times_as_fast() {
        for group in Group::ALL.map(|group| group.to_string()) {
            let quick = Case::chosen(&[group], true).unwrap();
            assert_eq!(quick.len(), 1);
            let name = quick[0].name.trim_end_matches("-quick").to_owned();
            let case = Case::chosen(&[name], false).unwrap().remove(0);
            assert!((quick[0].could() * QUICK / case.could() - 1.0).abs() < 1e-6, "{}", case.name);
            assert!(quick[0].about.contains("5 times as fast"));
        }
    }

    #[test]
    fn seeds_change_losses_but_not_the_rate() {
        let case = Case::chosen(&["trace-leo".to_owned()], false).unwrap().remove(0);
        let [(one, back), (two, _)] = [1, 2].map(|seed| case.links(seed).unwrap());
        assert_eq!(one.rate(), two.rate());
        assert_ne!(one.seed(), two.seed());
        assert_ne!(one.seed(), back.seed());
    }
}
