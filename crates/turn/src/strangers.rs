//! Connections of nobody in particular: streams that have not shown credentials yet. There are only so many of them, and only
//! so many from one place, so that a few who open many keep nobody else out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Strangers at once. Each holds an open file and a few KiB, for seconds.
const MOST: usize = 1_024;
/// Strangers at once from one place: an office behind one address that comes back all at once.
const MOST_OF_A_PLACE: usize = 64;

#[derive(Debug, Default)]
struct Counted {
    all: usize,
    by_place: HashMap<IpAddr, usize>,
}

/// Counts strangers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strangers {
    counted: Arc<Mutex<Counted>>,
}

/// A place for one stranger, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    strangers: Strangers,
    place: IpAddr,
}

/// One address of IPv4; of IPv6 a /64, which is what one customer has at least.
fn place(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

impl Strangers {
    /// Lets one more in, if there is room.
    pub(crate) fn admit(&self, ip: IpAddr) -> Option<Stranger> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place(ip);
        let here = counted.by_place.get(&place).copied().unwrap_or(0);
        if counted.all >= MOST || here >= MOST_OF_A_PLACE {
            return None;
        }
        counted.all += 1;
        counted.by_place.insert(place, here + 1);
        Some(Stranger { strangers: self.clone(), place })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counted = self.strangers.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.all = counted.all.saturating_sub(1);
        match counted.by_place.get_mut(&self.place) {
            Some(here) if *here > 1 => *here -= 1,
            Some(_) | None => {
                counted.by_place.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_so_many_and_leaves_room_for_others() {
        let strangers = Strangers::default();
        let crowd: Vec<_> = (0..100).filter_map(|_| strangers.admit([192, 0, 2, 1].into())).collect();
        assert_eq!(crowd.len(), MOST_OF_A_PLACE);
        assert!(strangers.admit([192, 0, 2, 2].into()).is_some());
        drop(crowd);
        assert!(strangers.admit([192, 0, 2, 1].into()).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_place() {
        let strangers = Strangers::default();
        let ip = |last: u16| IpAddr::V6(Ipv6Addr::new(0x2600, 0, 0, 1, 0, 0, 0, last));
        let crowd: Vec<_> = (0..100).filter_map(|last| strangers.admit(ip(last))).collect();
        assert_eq!(crowd.len(), MOST_OF_A_PLACE);
    }

    #[test]
    fn there_are_only_so_many_and_none_is_remembered() {
        let strangers = Strangers::default();
        let crowd: Vec<_> = (0..2_000_u32).filter_map(|ip| strangers.admit(IpAddr::V4(ip.into()))).collect();
        assert_eq!(crowd.len(), MOST);
        drop(crowd);
        assert!(strangers.counted.lock().unwrap().by_place.is_empty());
    }
}
