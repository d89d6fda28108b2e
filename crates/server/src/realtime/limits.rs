//! How much one may ask for: each user has a budget of requests, shared by all of the user's sessions, and another one for
//! signals inside calls. Each connection has one for what is no request: pings, repeats, what makes no sense.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use ahoy_signal::{ClientMessage, UserId};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::identity::Class;

/// How much one may ask for, in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests of a guest.
    pub guest_per_minute: u32,
    /// Requests of an account.
    pub normal_per_minute: u32,
    /// Requests of a partner.
    pub partner_per_minute: u32,
    /// Signals inside calls, of anyone.
    pub call_signals_per_minute: u32,
    /// Signals inside calls at once.
    pub call_signals_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            guest_per_minute: 60,
            normal_per_minute: 100,
            partner_per_minute: 5_000,
            call_signals_per_minute: 600,
            call_signals_burst: 200,
        }
    }
}

/// Pings, repeats and nonsense of a connection in a minute, and at once.
const NOISE_PER_MINUTE: u32 = 60;
const NOISE_BURST: u32 = 30;

/// Which budget a message comes out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// The user's requests.
    Requests,
    /// The user's signals inside calls.
    CallSignals,
    /// The connection's pings, repeats and nonsense.
    Noise,
}

impl Bucket {
    /// The budget of a message that is understood and new.
    pub fn of(message: &ClientMessage) -> Self {
        match message {
            ClientMessage::CallSignal { .. }
            | ClientMessage::RoomSignal { .. }
            | ClientMessage::Link { .. } => Self::CallSignals,
            ClientMessage::Ping {} => Self::Noise,
            ClientMessage::Hello { .. }
            | ClientMessage::Resume { .. }
            | ClientMessage::Reauth { .. }
            | ClientMessage::Bye {}
            | ClientMessage::IceServers {}
            | ClientMessage::Contacts {}
            | ClientMessage::ContactAdd { .. }
            | ClientMessage::ContactRemove { .. }
            | ClientMessage::ContactBlock { .. }
            | ClientMessage::Inbox { .. }
            | ClientMessage::Message { .. }
            | ClientMessage::MessageMark { .. }
            | ClientMessage::Rooms {}
            | ClientMessage::RoomCreate { .. }
            | ClientMessage::RoomChange { .. }
            | ClientMessage::RoomDelete {}
            | ClientMessage::Join { .. }
            | ClientMessage::Leave {}
            | ClientMessage::Sync { .. }
            | ClientMessage::Admit { .. }
            | ClientMessage::Remove { .. }
            | ClientMessage::SetRole { .. }
            | ClientMessage::SetState { .. }
            | ClientMessage::Mute { .. }
            | ClientMessage::Chat { .. }
            | ClientMessage::Call { .. }
            | ClientMessage::CallAccept { .. }
            | ClientMessage::CallDecline { .. }
            | ClientMessage::CallHangUp { .. } => Self::Requests,
        }
    }
}

/// Whether a message may be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// Not now.
    Refused {
        /// When it would, in milliseconds.
        retry_after_ms: u64,
    },
}

/// The runtime's clock, which tests can hold still.
#[derive(Clone, Copy, Debug, Default)]
struct RuntimeClock;

impl Clock for RuntimeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

type Limiter =
    RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<<RuntimeClock as Clock>::Instant>>;

fn limiter(per_minute: u32, burst: u32) -> Limiter {
    let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_minute(at_least_one(per_minute)).allow_burst(at_least_one(burst));
    RateLimiter::direct_with_clock(quota, RuntimeClock)
}

fn ask(limiter: &Limiter) -> Verdict {
    match limiter.check() {
        Ok(()) => Verdict::Allowed,
        Err(until) => {
            let wait = until.wait_time_from(RuntimeClock.now());
            let wait_ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            Verdict::Refused { retry_after_ms: wait_ms.max(1) }
        }
    }
}

/// The budget of a user.
#[derive(Debug)]
pub struct UserBudget {
    requests: Limiter,
    call_signals: Limiter,
}

/// The budget of a connection: its user's, and its own for noise.
#[derive(Debug)]
pub struct Budget {
    user: Arc<UserBudget>,
    noise: Limiter,
}

impl Budget {
    /// Whether one more may be handled.
    pub fn ask(&self, bucket: Bucket) -> Verdict {
        match bucket {
            Bucket::Requests => ask(&self.user.requests),
            Bucket::CallSignals => ask(&self.user.call_signals),
            Bucket::Noise => ask(&self.noise),
        }
    }
}

/// The budgets of all users that have a session.
#[derive(Debug)]
pub struct Budgets {
    limits: Limits,
    users: Mutex<HashMap<UserId, Weak<UserBudget>>>,
}

impl Budgets {
    /// With these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, users: Mutex::default() }
    }

    /// The budget of a new session.
    pub fn budget(&self, user: UserId, class: Class) -> Budget {
        let per_minute = match class {
            Class::Guest => self.limits.guest_per_minute,
            Class::Normal => self.limits.normal_per_minute,
            Class::Partner => self.limits.partner_per_minute,
        };
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = users.get(&user).and_then(Weak::upgrade).unwrap_or_else(|| {
            Arc::new(UserBudget {
                requests: limiter(per_minute, per_minute),
                call_signals: limiter(self.limits.call_signals_per_minute, self.limits.call_signals_burst),
            })
        });
        users.insert(user, Arc::downgrade(&shared));
        Budget { user: shared, noise: limiter(NOISE_PER_MINUTE, NOISE_BURST) }
    }

    /// Forgets a user that has no session any more.
    pub fn forget(&self, user: UserId) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.get(&user).is_some_and(|budget| budget.strong_count() == 0) {
            users.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn allowed(budget: &Budget, bucket: Bucket) -> usize {
        (0..10_000).take_while(|_| budget.ask(bucket) == Verdict::Allowed).count()
    }

    #[tokio::test(start_paused = true)]
    async fn the_sessions_of_a_user_share_one_budget_and_signals_in_calls_have_their_own() {
        let budgets = Budgets::new(Limits::default());
        let user = UserId::from_bits(1);
        let one = budgets.budget(user, Class::Normal);
        let two = budgets.budget(user, Class::Normal);
        assert_eq!(allowed(&one, Bucket::Requests), 100);
        assert_eq!(allowed(&two, Bucket::Requests), 0);
        assert_eq!(allowed(&two, Bucket::CallSignals), 200);
        assert_eq!(allowed(&one, Bucket::Noise), 30);
        assert_eq!(allowed(&two, Bucket::Noise), 30);
        tokio::time::advance(Duration::from_millis(600)).await;
        assert_eq!(allowed(&two, Bucket::Requests), 1);
        let partner = budgets.budget(UserId::from_bits(2), Class::Partner);
        assert_eq!(allowed(&partner, Bucket::Requests), 5_000);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_learns_when_to_try_again() {
        let budget = Budgets::new(Limits::default()).budget(UserId::from_bits(1), Class::Normal);
        allowed(&budget, Bucket::Requests);
        let Verdict::Refused { retry_after_ms } = budget.ask(Bucket::Requests) else { panic!("allowed") };
        assert!((1..=600).contains(&retry_after_ms), "{retry_after_ms}");
        tokio::time::advance(Duration::from_millis(retry_after_ms)).await;
        assert_eq!(budget.ask(Bucket::Requests), Verdict::Allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_without_sessions_costs_nothing() {
        let budgets = Budgets::new(Limits::default());
        let user = UserId::from_bits(1);
        let budget = budgets.budget(user, Class::Guest);
        budgets.forget(user);
        assert_eq!(budgets.users.lock().unwrap().len(), 1);
        drop(budget);
        budgets.forget(user);
        assert!(budgets.users.lock().unwrap().is_empty());
    }
}
