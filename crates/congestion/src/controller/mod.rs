//! How much to send.

mod limit;
mod queue;

use std::time::Duration;

use ahoy_media_types::MediaTime;

use self::limit::FoundLimit;
use self::queue::{Compete, Drain};
use crate::delay::QueueDelay;
use crate::delivery::Delivery;
use crate::estimate::{Limits, NetworkEstimate, Reason};
use crate::headroom::{Headroom, Spread};
use crate::history::PacketResult;
use crate::loss::{Losses, Verdict};
use crate::pacer::{BURST_GAIN, Pace, PacketKind};

/// Bits that each call keeps in the queue of the bottleneck. All calls that share one see the same delay, so that all end at
/// the same rate (the principle of TCP Vegas, Brakmo and Peterson 1995). Less is nearer to an empty queue and less fair.
const OWN_IN_QUEUE_BITS: f64 = 3_000.0;
/// The queue never has to be shorter than this nor may it be longer, in seconds.
const QUEUE_WANTED_S: (f64, f64) = (0.006, 0.030);
/// A queue that lasts longer than this, and than jitter explains, is too long, in seconds.
const OVERUSE_S: f64 = 0.020;
/// Growth while frames arrive as they left: per second, as an exponent. Since a burst is half as fast again as the rate, the
/// limit is seen a factor of 1.5 ahead, and reports of it come back before it is reached.
const GROWTH: f64 = 2.0;
/// The same before any limit was met.
const START_GROWTH: f64 = 2.5;
/// How much of what bursts arrive at is grown to at once. The rest is felt for.
const KNOWN_SHARE: f64 = 0.90;
/// Steps of the balance, per second. Down they are this share of the target, up this share of its geometric mean with
/// [`STEP_OF`]: who has less grows by a greater part, so that all end at the same rate (Chiu and Jain 1989).
const STEP_DOWN: f64 = 0.10;
const STEP_UP: f64 = 0.12;
const STEP_OF: f64 = 1_000_000.0;
/// How far apart packets of a frame may arrive without a queue having been met.
const NO_SPREAD: f64 = 1.10;
/// Bursts before a limit was met, and while a path turns out to carry more: they see further ahead.
const PROBE_GAIN: f64 = 2.5;
/// The first bursts, after the very first. Most paths carry this much, and those that don't have it in their queue for a moment.
const START_GAIN: f64 = 4.0;
/// Bursts on a path that carries far more than can be used, and the very first, for which somebody waits: a key frame of 30 kB
/// leaves in 24 ms at the start rate.
const FREE_GAIN: f64 = 10.0;
/// What bursts take longer by than to leave, on average, without saying anything: timers are no finer.
const NOT_LONGER_S: f64 = 0.001;
/// The spread below which the path certainly carries more.
const CERTAINLY_FREE: f64 = 1.04;
/// There is headroom only where the queue has been short for so long, and for so many round trips: other calls, too, let it
/// run empty now and then, and whoever fills such gaps takes from them.
const EMPTY: (Duration, f64) = (Duration::from_millis(300), 4.0);
/// The same before any limit was met.
const EMPTY_AT_START: Duration = Duration::from_millis(100);
/// Nothing is grown beyond this multiple of what arrives: what is not sent proves nothing.
const BEYOND_ARRIVING: f64 = 1.6;
/// So many bits per second more are tried without proof. Pictures that were held back need as much to come again.
const UNPROVEN: f64 = 120_000.0;
/// Bursts into a queue that is too short for them.
const SMOOTH_GAIN: f64 = 1.05;
/// Growth into such a queue: per second, as an exponent.
const SHALLOW_GROWTH: f64 = 0.15;
/// Below this many bits per second frames are too small to tell much, and growth goes on without: per second, as an exponent.
const SMALL: f64 = 400_000.0;
const SMALL_GROWTH: f64 = 1.0;
/// How long a queue is remembered to be too short for bursts.
const SHALLOW: Duration = Duration::from_secs(20);
/// A queue in which packets wait for so many seconds takes in bursts.
const DEEP_S: f64 = 0.050;
/// How long headroom is left to others after they have kept the queue full.
const AFTER_COMPETING: Duration = Duration::from_secs(8);
/// After so long without pictures sound is alone.
const SOUND_ALONE: Duration = Duration::from_secs(1);
/// Reports come several times in a tenth of a second. Without any for so long, or for three round trips, something is wrong.
const SILENCE: Duration = Duration::from_millis(400);
/// How often the target is halved then.
const SILENCE_STEP: Duration = Duration::from_millis(200);
/// What is taken up again of the target before, when reports come again.
const AFTER_SILENCE: f64 = 0.6;

/// What is on its way, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// What has left after the last packet that is known to have arrived.
    pub(crate) in_flight: usize,
    /// All that has ever left.
    pub(crate) sent: u64,
}

/// Nothing is heard.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// The target before.
    before: f64,
    halved_at: MediaTime,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Usual,
    Drain(Drain),
    Compete(Compete),
    Silence(Silence),
}

/// Whether bursts arrive as they left.
fn is_free(spread: &Spread, factor: f64) -> bool {
    spread.factor < factor || spread.longer < NOT_LONGER_S
}

/// Decides from reports how much to send. See docs/congestion.md for how and why.
#[derive(Debug)]
pub(crate) struct Controller {
    limits: Limits,
    target: f64,
    reason: Reason,
    mode: Mode,
    delay: QueueDelay,
    delivery: Delivery,
    headroom: Headroom,
    losses: Losses,
    last_report: Option<MediaTime>,
    /// When the latest packet arrived, by the other side's clock in seconds.
    last_arrival: f64,
    /// When something else than sound was reported on.
    last_picture: Option<MediaTime>,
    /// In seconds, with the time until a report is sent.
    rtt: f64,
    least_rtt: f64,
    /// No limit has been met yet.
    starting: bool,
    gain: f64,
    /// For how long the queue has been shorter than wanted, in seconds.
    empty_for: f64,
    /// When too much was found to be sent without a queue: bursts do not fit into this one.
    shallow: Option<MediaTime>,
    /// When the queue was seen last to be long enough for them.
    deep: Option<MediaTime>,
    /// What was too much last.
    limit: Option<FoundLimit>,
    /// When somebody else stopped keeping the queue full.
    competed: Option<MediaTime>,
    /// When it turned out last that nobody else fills the queue.
    own_queue: Option<MediaTime>,
}

impl Controller {
    /// Begins at `limits.start`.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            target: limits.start,
            limits,
            reason: Reason::Start,
            mode: Mode::Usual,
            delay: QueueDelay::default(),
            delivery: Delivery::default(),
            headroom: Headroom::default(),
            losses: Losses::default(),
            last_report: None,
            last_arrival: 0.0,
            last_picture: None,
            rtt: 0.1,
            least_rtt: f64::INFINITY,
            starting: true,
            gain: START_GAIN,
            empty_for: 0.0,
            shallow: None,
            deep: None,
            limit: None,
            competed: None,
            own_queue: None,
        }
    }

    /// Another path: what was learned of the one before holds no longer. What was sent there is not believed to fit this one.
    pub(crate) fn path_changed(&mut self) {
        let target = self.target.min(self.limits.start);
        *self = Self { target, ..Self::new(self.limits) };
    }

    /// Other limits from now on.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.target = self.target.clamp(limits.min, limits.max);
    }

    /// What may be sent, in bits per second on the wire.
    pub(crate) fn target(&self) -> f64 {
        self.target
    }

    /// All that can be used, in bits per second.
    pub(crate) fn most(&self) -> f64 {
        self.limits.max
    }

    /// The queue that frames leave behind, in seconds.
    pub(crate) fn standing_queue(&self) -> f64 {
        self.delay.standing()
    }

    /// For how long even the luckiest of the latest packets waited, in seconds.
    pub(crate) fn shortest_wait(&self) -> f64 {
        self.delay.floor()
    }

    /// Whether a queue is being let run empty.
    pub(crate) fn lets_run_empty(&self) -> bool {
        matches!(self.mode, Mode::Drain(_))
    }

    /// By how much packets come earlier or later than their neighbours, in seconds.
    pub(crate) fn noise(&self) -> f64 {
        self.delay.noise()
    }

    /// How much faster than that packets leave.
    pub(crate) fn pace(&self) -> Pace {
        let burst = match self.shallow {
            _ if self.last_report.is_none() => FREE_GAIN,
            Some(_) => self.gain.min(SMOOTH_GAIN),
            None => self.gain,
        };
        // The first key frame tells what the path carries, and somebody waits for it.
        let sustained = if self.starting || burst > START_GAIN { burst } else { Pace::SUSTAINED };
        Pace { burst, sustained }
    }

    /// What is known.
    pub(crate) fn estimate(&self) -> NetworkEstimate {
        NetworkEstimate {
            target: self.target,
            video: Some(self.target),
            afresh: self.target,
            burst: self.target * self.pace().sustained,
            sent: 0.0,
            acknowledged: self.delivery.rate(0.5).unwrap_or(0.0),
            queue_ms: self.delay.queue() * 1e3,
            loss: self.losses.share(),
            expected_loss: self.losses.expected(),
            rtt_ms: self.rtt * 1e3,
            least_rtt_ms: if self.least_rtt.is_finite() { self.least_rtt * 1e3 } else { 0.0 },
            reason: self.reason,
        }
    }

    /// Takes in what a report says.
    pub(crate) fn on_results(&mut self, results: &[PacketResult], traffic: Traffic, now: MediaTime) {
        if results.is_empty() {
            return;
        }
        let mut lost = false;
        for result in results {
            self.losses.result(result, self.delay.queue(), now);
            lost |= result.arrived.is_none();
            if result.sent.kind != PacketKind::Audio {
                self.last_picture = Some(now);
            }
            let Some(arrived) = result.arrived else { continue };
            let queued = self.is_queued(result, arrived);
            self.delay.arrived(result.sent.at, arrived);
            self.delivery.arrived(arrived, result.sent.bytes, queued);
            self.headroom.arrived(result);
        }
        if let Some(last) = results.iter().rev().find(|result| result.arrived.is_some()) {
            let rtt = (now - last.sent.at).as_secs_f64();
            self.rtt += (rtt - self.rtt) * 0.2;
            self.least_rtt = self.least_rtt.min(rtt);
        }
        let passed = self.last_report.map_or(0.0, |last| (now - last).as_secs_f64()).min(0.2);
        self.last_report = Some(now);
        let queue = self.delay.floor();
        // What a queue of one's own loses is over soon. Others go on filling theirs.
        let passing = queue > self.overuse() && !matches!(self.mode, Mode::Compete(_));
        self.losses.expect(passed, passing);
        if queue > DEEP_S + self.delay.noise() {
            self.deep = Some(now);
            self.shallow = None;
        }
        match self.mode {
            Mode::Usual => self.usual(traffic, passed, now),
            Mode::Drain(drain) => self.drain(drain, traffic, now),
            Mode::Compete(compete) => self.compete(compete, lost, traffic, passed, now),
            Mode::Silence(silence) => self.hear_again(silence, now),
        }
        self.target = self.target.clamp(self.limits.min, self.limits.max);
    }

    /// When [`Self::on_time`] is to be called; `None` while nothing is awaited.
    pub(crate) fn next_wakeup(&self, in_flight: usize) -> Option<MediaTime> {
        let heard = self.last_report.filter(|_| in_flight > 0)?;
        Some(match self.mode {
            Mode::Silence(silence) => silence.halved_at + SILENCE_STEP,
            Mode::Usual | Mode::Drain(_) | Mode::Compete(_) => heard + self.patience(),
        })
    }

    /// Looks whether reports are missing.
    pub(crate) fn on_time(&mut self, in_flight: usize, now: MediaTime) {
        if self.next_wakeup(in_flight).is_none_or(|at| now < at) {
            return;
        }
        let before = match self.mode {
            Mode::Silence(silence) => silence.before,
            Mode::Drain(drain) => drain.capacity,
            Mode::Usual | Mode::Compete(_) => self.target,
        };
        self.reason = Reason::Silence;
        self.mode = Mode::Silence(Silence { before, halved_at: now });
        self.target = (self.target * 0.5).max(self.limits.min);
    }

    fn patience(&self) -> Duration {
        SILENCE.max(Duration::from_secs_f64(self.rtt.min(2.0) * 3.0))
    }

    fn hear_again(&mut self, silence: Silence, now: MediaTime) {
        self.mode = Mode::Usual;
        self.target = self.target.max(silence.before * AFTER_SILENCE);
        self.headroom.reset();
        self.losses.was_cut_off(now);
    }

    /// Whether a packet left when the one before had not come through the bottleneck yet, so that the time between the two
    /// arrivals is what the bottleneck took for it.
    fn is_queued(&mut self, result: &PacketResult, arrived: Duration) -> bool {
        let before = self.last_arrival;
        self.last_arrival = before.max(arrived.as_secs_f64());
        before - self.delay.base() > result.sent.at.as_secs_f64() + 0.001
    }

    /// How long packets should wait on average, in seconds. The path's own delay is the least that was measured, so that all
    /// delays seem longer than they are by about the noise.
    fn queue_wanted(&self) -> f64 {
        (OWN_IN_QUEUE_BITS / self.target + self.delay.noise()).clamp(QUEUE_WANTED_S.0, QUEUE_WANTED_S.1)
    }

    fn overuse(&self) -> f64 {
        OVERUSE_S.max(self.queue_wanted() * 1.8) + self.delay.noise() * 1.5
    }

    fn usual(&mut self, traffic: Traffic, passed: f64, now: MediaTime) {
        let trying = self.look_into_losses(traffic, now);
        let queue = self.delay.floor();
        if queue > self.overuse() {
            self.limit_met();
            return self.begin_to_drain(queue, traffic, now);
        }
        if trying {
            return;
        }
        let before = self.target;
        self.grow_or_balance(passed, now);
        if let Some(arriving) = self.delivery.rate(0.5) {
            let proven = arriving * BEYOND_ARRIVING + UNPROVEN;
            self.target = self.target.min(proven.max(before));
        }
    }

    fn grow_or_balance(&mut self, passed: f64, now: MediaTime) {
        if self.shallow.is_some_and(|since| now - since > SHALLOW) {
            self.shallow = None;
        }
        let wanted = self.queue_wanted();
        self.empty_for = match self.delay.standing() < wanted {
            true => self.empty_for + passed,
            false => 0.0,
        };
        // Whoever kept the queue full has only lost a packet, and is coming back.
        let competed = self.competed.is_some_and(|at| now - at < AFTER_COMPETING);
        let empty = match self.starting {
            _ if competed => false,
            _ if self.limit.is_some_and(|limit| limit.is_near(self.target, now)) => false,
            true => self.empty_for > EMPTY_AT_START.as_secs_f64(),
            false => self.empty_for > EMPTY.0.as_secs_f64() + EMPTY.1 * self.least_rtt.min(0.5),
        };
        let spread = self.headroom.spread().filter(|_| self.shallow.is_none());
        let known = spread.map_or(0.0, |spread| self.sent_for(spread.arrived) * KNOWN_SHARE);
        match spread {
            Some(spread) if empty && is_free(&spread, NO_SPREAD) => self.grow(&spread, passed),
            Some(_) if empty && known > self.target => {
                self.limit_met();
                self.reason = Reason::Headroom;
                let missing = known - self.target;
                self.target += (missing * passed / 0.4).min(self.target * GROWTH * passed);
            }
            Some(_) => {
                self.limit_met();
                self.balance(wanted, passed);
            }
            None if self.shallow.is_some() && empty => {
                self.reason = Reason::Headroom;
                self.target *= (SHALLOW_GROWTH * passed).exp();
            }
            // Frames of a packet or two have no spread, and too much is not much.
            None if self.target < SMALL && empty => {
                self.reason = Reason::Headroom;
                self.target *= (SMALL_GROWTH * passed).exp();
            }
            None => self.balance(wanted, passed),
        }
    }

    fn grow(&mut self, spread: &Spread, passed: f64) {
        self.reason = Reason::Headroom;
        let certainly = self.starting || is_free(spread, CERTAINLY_FREE);
        let all_there_is = self.target >= self.limits.max * 0.98;
        self.gain = match certainly {
            // The path carries more than can be used: what does not have to wait should not.
            true if all_there_is => (self.gain * 1.2).clamp(PROBE_GAIN, FREE_GAIN),
            true => self.gain.clamp(PROBE_GAIN, START_GAIN),
            false => BURST_GAIN,
        };
        let growth = if self.starting { START_GROWTH } else { GROWTH };
        // What left as bursts has arrived, so that at least is carried.
        let carried = self.sent_for(spread.sent) * 0.95;
        match self.target < carried {
            true => self.target = (self.target * (growth * passed).exp()).min(carried),
            false => self.balance(self.queue_wanted(), passed),
        }
    }

    fn balance(&mut self, wanted: f64, passed: f64) {
        self.reason = Reason::Balance;
        // The part of its own queue that is missing, or too much.
        let missing = (1.0 - self.delay.standing() / wanted).clamp(-2.5, 1.0);
        let step = match missing > 0.0 {
            true => (self.target * STEP_OF).sqrt() * STEP_UP,
            false => self.target * STEP_DOWN,
        };
        self.target += step * missing * passed;
    }

    fn limit_met(&mut self) {
        self.starting = false;
        self.gain = BURST_GAIN;
    }

    /// Whether it is being tried whether less is lost with less.
    fn look_into_losses(&mut self, traffic: Traffic, now: MediaTime) -> bool {
        let sound_alone = self.last_picture.is_none_or(|at| now - at > SOUND_ALONE);
        let verdict = match sound_alone {
            true => self.losses.overhear(self.target),
            false => self.losses.judge(self.target, self.delivery.rate(0.5), self.delay.noise(), now),
        };
        match verdict {
            Verdict::Carry => false,
            Verdict::Try(target) => {
                self.limit_met();
                self.reason = Reason::Loss;
                self.target = target;
                true
            }
            Verdict::Restore(target) => {
                self.target = target;
                false
            }
            Verdict::Others(target) => {
                self.target = target;
                self.begin_to_compete(traffic, now);
                true
            }
            Verdict::TooMuch => {
                let deep = self.deep.is_some_and(|at| now - at < SHALLOW);
                self.shallow = (!deep).then_some(now);
                self.headroom.reset();
                false
            }
        }
    }

    /// What is to be sent so that so much arrives, where the path loses its own share.
    fn sent_for(&self, arriving: f64) -> f64 {
        arriving / (1.0 - self.losses.own()).max(0.5)
    }
}
