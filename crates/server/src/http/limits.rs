//! How much one may ask for over HTTP. Requests with a good token count against their user, others against their address: so
//! an office behind one address works, and strangers can't keep the server busy.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ahoy_signal::{ErrorCode, Refusal, UserId};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::auth::Caller;
use crate::config::LimitsConfig;
use crate::identity::{Class, Identity};

pub(crate) struct HttpLimits {
    clock: DefaultClock,
    guests: DefaultKeyedRateLimiter<UserId>,
    normal: DefaultKeyedRateLimiter<UserId>,
    partners: DefaultKeyedRateLimiter<UserId>,
    strangers: DefaultKeyedRateLimiter<IpAddr>,
    sockets: DefaultKeyedRateLimiter<IpAddr>,
}

fn per_minute(requests: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN))
}

impl HttpLimits {
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        Self {
            clock: DefaultClock::default(),
            guests: RateLimiter::keyed(per_minute(limits.guest_per_minute)),
            normal: RateLimiter::keyed(per_minute(limits.normal_per_minute)),
            partners: RateLimiter::keyed(per_minute(limits.partner_per_minute)),
            strangers: RateLimiter::keyed(per_minute(limits.strangers_per_minute)),
            sockets: RateLimiter::keyed(per_minute(limits.sockets_per_minute)),
        }
    }

    /// Counts a request without a good token.
    pub(crate) fn stranger(&self, caller: Caller) -> Result<(), Refusal> {
        self.strangers.check_key(&caller.place()).map_err(|not| self.refuse("address", not))
    }

    /// Counts a WebSocket that is opened.
    pub(crate) fn socket(&self, caller: Caller) -> Result<(), Refusal> {
        self.sockets.check_key(&caller.place()).map_err(|not| self.refuse("sockets", not))
    }

    /// Counts a request with a good token.
    pub(crate) fn user(&self, who: &Identity) -> Result<(), Refusal> {
        let class = match who.class {
            Class::Guest => &self.guests,
            Class::Normal => &self.normal,
            Class::Partner => &self.partners,
        };
        class.check_key(&who.user).map_err(|not| self.refuse("user", not))
    }

    /// Forgets who has not asked for a while.
    pub(crate) fn forget(&self) {
        self.guests.retain_recent();
        self.normal.retain_recent();
        self.partners.retain_recent();
        self.strangers.retain_recent();
        self.sockets.retain_recent();
    }

    fn refuse(&self, by: &'static str, not: governor::NotUntil<governor::clock::QuantaInstant>) -> Refusal {
        metrics::counter!("ahoy_http_limited_total", "by" => by).increment(1);
        let wait = not.wait_time_from(self.clock.now());
        let mut refusal = Refusal::new(
            ErrorCode::RateLimited,
            format!("That were too many requests: wait {} s.", wait.as_secs() + 1),
        );
        refusal.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
        refusal
    }
}
