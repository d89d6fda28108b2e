//! How much one may have: allocations and bytes, of each user and of all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::bucket::Bucket;

/// How much one may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Allocations of a user at once, whichever of the user's credentials they were made with.
    pub allocations_per_user: usize,
    /// Allocations of all users at once.
    pub allocations: usize,
    /// Bytes that an allocation may relay in a second, each way.
    pub allocation_bytes_per_s: u64,
    /// Bytes that all of a user's allocations may relay in a second, each way.
    pub user_bytes_per_s: u64,
}

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From clients to whom they talk to.
    Out,
    /// To clients.
    In,
}

/// One bucket for each way.
#[derive(Debug)]
struct Flow {
    out: Bucket,
    into: Bucket,
}

impl Flow {
    fn new(bytes_per_s: u64) -> Self {
        Self { out: Bucket::new(bytes_per_s), into: Bucket::new(bytes_per_s) }
    }

    fn take(&mut self, way: Way, bytes: usize, now: Instant) -> bool {
        match way {
            Way::Out => self.out.take(bytes, now),
            Way::In => self.into.take(bytes, now),
        }
    }
}

#[derive(Debug)]
struct User {
    allocations: usize,
    flow: Arc<Mutex<Flow>>,
}

#[derive(Debug, Default)]
struct Taken {
    allocations: usize,
    users: HashMap<Box<str>, User>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The user has as many as one may have.
    OfUser,
    /// All together have as many as there may be.
    OfAll,
}

/// Counts what everyone has.
#[derive(Debug)]
pub(crate) struct Quotas {
    limits: Limits,
    taken: Mutex<Taken>,
}

impl Quotas {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    /// A place for one allocation.
    pub(crate) fn take(self: &Arc<Self>, user: &str) -> Result<Place, NoPlace> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.allocations >= self.limits.allocations {
            return Err(NoPlace::OfAll);
        }
        let known = taken.users.entry(user.into()).or_insert_with(|| User {
            allocations: 0,
            flow: Arc::new(Mutex::new(Flow::new(self.limits.user_bytes_per_s))),
        });
        if known.allocations >= self.limits.allocations_per_user {
            return Err(NoPlace::OfUser);
        }
        known.allocations += 1;
        let of_user = known.flow.clone();
        taken.allocations += 1;
        let flow = Flow::new(self.limits.allocation_bytes_per_s);
        Ok(Place { quotas: self.clone(), user: user.into(), flow, of_user })
    }

    fn give_back(&self, user: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.allocations = taken.allocations.saturating_sub(1);
        if let Some(known) = taken.users.get_mut(user) {
            known.allocations = known.allocations.saturating_sub(1);
            if known.allocations == 0 {
                taken.users.remove(user);
            }
        }
    }
}

/// A place for one allocation, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    quotas: Arc<Quotas>,
    user: Box<str>,
    flow: Flow,
    of_user: Arc<Mutex<Flow>>,
}

impl Place {
    /// Whether so many bytes may go this way now.
    pub(crate) fn lets_pass(&mut self, way: Way, bytes: usize, now: Instant) -> bool {
        self.flow.take(way, bytes, now)
            && self.of_user.lock().unwrap_or_else(PoisonError::into_inner).take(way, bytes, now)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.quotas.give_back(&self.user);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits {
            allocations_per_user: 2,
            allocations: 3,
            allocation_bytes_per_s: 1_000,
            user_bytes_per_s: 1_500,
        }
    }

    #[test]
    fn a_user_has_so_many_places_and_gets_them_back() {
        let quotas = Quotas::new(limits());
        let first = quotas.take("ada").unwrap();
        let _second = quotas.take("ada").unwrap();
        assert_eq!(quotas.take("ada").unwrap_err(), NoPlace::OfUser);
        drop(first);
        let _third = quotas.take("ada").unwrap();
    }

    #[test]
    fn all_have_so_many_places() {
        let quotas = Quotas::new(limits());
        let places: Vec<_> = ["ada", "ada", "bob"].map(|user| quotas.take(user).unwrap()).into();
        assert_eq!(quotas.take("cleo").unwrap_err(), NoPlace::OfAll);
        drop(places);
        assert!(quotas.take("cleo").is_ok());
        assert!(quotas.taken.lock().unwrap().users.is_empty(), "nobody is remembered");
    }

    #[test]
    fn a_users_allocations_share_the_users_rate_and_ways_are_apart() {
        let now = Instant::now();
        let quotas = Quotas::new(limits());
        let (mut first, mut second) = (quotas.take("ada").unwrap(), quotas.take("ada").unwrap());
        assert!(first.lets_pass(Way::Out, 900, now));
        assert!(second.lets_pass(Way::Out, 500, now));
        assert!(!second.lets_pass(Way::Out, 400, now), "the allocation could, the user can't");
        assert!(second.lets_pass(Way::In, 900, now));
    }

    proptest! {
        #[test]
        fn however_places_come_and_go_none_is_lost(steps in prop::collection::vec((0_usize..4, any::<bool>()), 0..100)) {
            let quotas = Quotas::new(limits());
            let mut places: Vec<(usize, Place)> = Vec::new();
            for (user, takes) in steps {
                match takes {
                    true => places.extend(quotas.take(&user.to_string()).ok().map(|place| (user, place))),
                    false => places.retain(|(of, _)| *of != user),
                }
                prop_assert!(places.len() <= 3);
                prop_assert_eq!(quotas.taken.lock().unwrap().allocations, places.len());
            }
        }
    }
}
