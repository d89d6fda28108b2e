//! Whether what is lost is lost to a full queue or at random.
//!
//! A queue that is shorter than a frame's burst shows no delay, only losses; so does a rate that is policed. On a radio link
//! packets are lost whatever is sent. The two look the same until less is sent: then the one loses less and the other as
//! much as before. So that is tried, and what is lost all the same is taken for the path's own.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::history::PacketResult;

/// Losses are counted over this time.
const WINDOW: Duration = Duration::from_millis(1_000);
/// Fewer packets say nothing, so that they are counted for longer where there are few.
const LEAST_PACKETS: usize = 30;
const LONGEST_WINDOW: Duration = Duration::from_secs(3);
/// A path that loses more of sound alone carries less than that, whatever is lost at random.
const TOO_LOSSY: f64 = 0.25;
/// Losses above the path's own that are looked into: half of what makes pictures bad.
const LOOK_INTO: f64 = 0.03;
/// How much is sent while it is tried whether less is lost then.
const TRIED: f64 = 0.85;
/// No path on which a call makes sense loses more than this whatever is sent.
const OWN_MOST: f64 = 0.35;
/// It has helped to send less if at most this share of the losses above the path's own is left.
const HELPED: f64 = 0.5;
/// Packets are lost to a full queue if those that are lost come after others which waited longer than most, by so many seconds
/// and more than jitter explains.
const LONGER_S: f64 = 0.006;
/// How long packets wait is averaged over this time, in seconds.
const USUAL_S: f64 = 4.0;
/// Somebody else fills it if that goes on when so little is left of what was sent lately.
const FALLEN: f64 = 0.5;
const LATELY: Duration = Duration::from_secs(12);
/// What is lost now and then is reckoned with for so long, in seconds, as an exponent.
const EXPECTED_S: f64 = 10.0;
/// Between two trials.
const PAUSE: Duration = Duration::from_millis(1_500);

/// A trial.
#[derive(Clone, Copy, Debug)]
struct Trial {
    began: MediaTime,
    /// The target before.
    target: f64,
    /// The share of losses before.
    share: f64,
}

/// What to do about losses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing.
    Carry,
    /// Send this much, and no more while it is tried whether it helps.
    Try(f64),
    /// It did not help: send as much as before.
    Restore(f64),
    /// What is lost is lost to a full queue, however little is sent: somebody else fills it.
    Others(f64),
    /// It helped: too much was sent.
    TooMuch,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    at: MediaTime,
    lost: bool,
    /// How long those waited that arrived last, in seconds.
    queue: f64,
}

/// Losses of the last second, and what is known of their cause.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    results: VecDeque<Outcome>,
    lost: usize,
    /// The share that is lost whatever is sent.
    own: f64,
    /// The share that is to be reckoned with.
    expected: f64,
    trial: Option<Trial>,
    last_trial: Option<MediaTime>,
    /// How long packets wait, over [`USUAL_S`].
    usual_queue: f64,
    most: Most,
    /// What became of packets that left before is accounted for.
    explained: MediaTime,
}

/// The most that was sent lately.
#[derive(Debug, Default)]
struct Most(VecDeque<(MediaTime, f64)>);

impl Most {
    fn add(&mut self, target: f64, now: MediaTime) {
        while self.0.back().is_some_and(|(_, less)| *less <= target) {
            self.0.pop_back();
        }
        self.0.push_back((now, target));
        while self.0.front().is_some_and(|(at, _)| now - *at > LATELY) {
            self.0.pop_front();
        }
    }

    fn get(&self) -> f64 {
        self.0.front().map_or(0.0, |(_, most)| *most)
    }
}

impl Losses {
    /// Takes in what became of a packet; `queue` is how long those waited that arrived last, in seconds.
    pub(crate) fn result(&mut self, result: &PacketResult, queue: f64, now: MediaTime) {
        let lost = result.arrived.is_none();
        if lost && result.sent.at < self.explained {
            return;
        }
        let passed = self.results.back().map_or(0.0, |last| (now - last.at).as_secs_f64());
        self.usual_queue += (queue - self.usual_queue) * (1.0 - (-passed / USUAL_S).exp());
        self.results.push_back(Outcome { at: now, lost, queue });
        self.lost += usize::from(lost);
        while let Some(outcome) = self.results.front().copied()
            && (now - outcome.at > WINDOW && self.results.len() > LEAST_PACKETS
                || now - outcome.at > LONGEST_WINDOW)
        {
            self.results.pop_front();
            self.lost -= usize::from(outcome.lost);
        }
    }

    /// By how much longer those waited that arrived before a lost packet than packets do on average, in seconds.
    fn longer_when_lost(&self) -> f64 {
        let queues = self.results.iter().filter(|outcome| outcome.lost).map(|outcome| outcome.queue);
        queues.sum::<f64>() / self.lost.max(1) as f64 - self.usual_queue
    }

    /// The share of packets that were lost, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        match self.results.len() < LEAST_PACKETS {
            true => 0.0,
            false => self.lost as f64 / self.results.len() as f64,
        }
    }

    /// The share that is to be reckoned with: the most of the last seconds, slowly forgotten. Of some dozens of packets chance
    /// takes many more or many fewer than usual, and what has no time to be asked for again has to be there when it is needed.
    /// What a queue that was seen has lost does not count.
    pub(crate) fn expected(&self) -> f64 {
        self.expected
    }

    /// Time has passed since it was last said what is to be reckoned with, in seconds. `passing` is whether there is a queue that
    /// may be what packets are lost to, and that will be gone soon.
    pub(crate) fn expect(&mut self, passed: f64, passing: bool) {
        self.expected *= (-passed / EXPECTED_S).exp();
        if !passing {
            self.expected = self.expected.max(self.share());
        }
    }

    /// The share that is lost whatever is sent.
    pub(crate) fn own(&self) -> f64 {
        self.own
    }

    /// How far from a share chance may take what is counted: two and a half standard deviations.
    fn chance(&self, share: f64) -> f64 {
        let packets = self.results.len().max(1) as f64;
        2.5 * (share.max(0.01) * (1.0 - share) / packets).sqrt()
    }

    /// Looks into the losses. `arriving` are the bits per second that come through, `noise` is by how much delays differ for
    /// other reasons than queues, in seconds.
    pub(crate) fn judge(
        &mut self,
        target: f64,
        arriving: Option<f64>,
        noise: f64,
        now: MediaTime,
    ) -> Verdict {
        let share = self.share();
        self.most.add(target, now);
        if let Some(trial) = self.trial {
            // The window has to be full of what was sent since, and reports take a while.
            if now - trial.began < WINDOW + Duration::from_millis(300) {
                return Verdict::Try(target.min(trial.target));
            }
            self.trial = None;
            self.last_trial = Some(now);
            if share < self.own + (trial.share - self.own) * HELPED {
                return Verdict::TooMuch;
            }
            if (share - trial.share).abs() <= self.chance(trial.share).max(trial.share * 0.25) {
                self.own = share.min(OWN_MOST);
                return Verdict::Restore(trial.target);
            }
            // Neither: it was not little enough, or the path has changed.
            return self.begin(target, share, arriving, now);
        }
        if self.results.len() >= LEAST_PACKETS && share < self.own + LOOK_INTO + self.chance(self.own) {
            // Slowly up, so that a rate which creeps upwards does not take its own losses with it.
            self.own += (share - self.own) * if share < self.own { 0.01 } else { 0.0025 };
        }
        let rested = self.last_trial.is_none_or(|last| now - last > PAUSE);
        if rested && share > self.own + LOOK_INTO + self.chance(self.own) {
            if target < self.most.get() * FALLEN && self.longer_when_lost() > LONGER_S + noise {
                self.last_trial = Some(now);
                return Verdict::Others(target);
            }
            return self.begin(target, share, arriving, now);
        }
        Verdict::Carry
    }

    /// Sends less than what comes through, which itself is less than what was sent by what the path loses.
    fn begin(&mut self, target: f64, share: f64, arriving: Option<f64>, now: MediaTime) -> Verdict {
        self.trial = Some(Trial { began: now, target, share });
        let through = arriving.map_or(target, |arriving| arriving / (1.0 - self.own));
        Verdict::Try(target.min(through) * TRIED)
    }

    /// Looks into the losses of sound alone. It is not made to wait, so that a trial changes next to nothing, and of fifty packets
    /// chance decides. Hardly any path carries no more than that, so what is lost is taken for the path's own, unless that would
    /// be very much: then less is sent, until sound gets smaller and has no copies.
    pub(crate) fn overhear(&mut self, target: f64) -> Verdict {
        let share = self.share();
        if share > TOO_LOSSY {
            return Verdict::Try(target * 0.97);
        }
        self.own += (share - self.own) * 0.02;
        match self.trial.take() {
            Some(trial) => Verdict::Restore(trial.target),
            None => Verdict::Carry,
        }
    }

    /// Nothing got through for a while: what left until `now` was lost to that, and is reported later.
    pub(crate) fn was_cut_off(&mut self, now: MediaTime) {
        self.explained();
        self.explained = now;
    }

    /// What was lost to a queue that was seen is accounted for.
    pub(crate) fn explained(&mut self) {
        self.results.clear();
        self.lost = 0;
        self.trial = None;
    }
}
