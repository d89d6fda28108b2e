//! How many peers one allocation may reach. The protocol library keeps what it is asked to keep, however much, and looks
//! through all of it for each datagram.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Addresses that an allocation may have permissions for at once. A call's other side has a handful of candidates, on one or
/// two addresses each.
const PERMISSIONS_MOST: usize = 64;
/// Channels that an allocation may have at once.
const CHANNELS_MOST: usize = 64;
/// How long a permission lasts (RFC 8656 section 9).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel lasts, and five minutes more in which its number can't have another peer (RFC 8656 section 12).
const CHANNEL_LIFETIME: Duration = Duration::from_secs(900);

/// Why a permission or channel is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpermitted {
    /// There are as many as there may be.
    Full,
    /// The channel has another peer (RFC 8656 section 12.2).
    Taken,
}

/// What an allocation may reach, until when.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    addresses: BTreeMap<IpAddr, Instant>,
    channels: BTreeMap<u16, (SocketAddr, Instant)>,
}

impl Permits {
    /// Whether there is room for permissions for these addresses; they count from now on.
    pub(crate) fn permit(
        &mut self,
        addresses: impl IntoIterator<Item = IpAddr>,
        now: Instant,
    ) -> Result<(), Unpermitted> {
        self.addresses.retain(|_, until| *until > now);
        for address in addresses {
            if !self.addresses.contains_key(&address) && self.addresses.len() >= PERMISSIONS_MOST {
                return Err(Unpermitted::Full);
            }
            self.addresses.insert(address, now + PERMISSION_LIFETIME);
        }
        Ok(())
    }

    /// Whether a channel can have this peer; it has from now on.
    pub(crate) fn bind(&mut self, channel: u16, peer: SocketAddr, now: Instant) -> Result<(), Unpermitted> {
        self.channels.retain(|_, (_, until)| *until > now);
        match self.channels.get(&channel) {
            Some((bound, _)) if *bound != peer => return Err(Unpermitted::Taken),
            None if self.channels.len() >= CHANNELS_MOST => return Err(Unpermitted::Full),
            Some(_) | None => {}
        }
        self.permit([peer.ip()], now)?;
        self.channels.insert(channel, (peer, now + CHANNEL_LIFETIME));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_allocation_reaches_so_many_addresses_until_it_forgets_some() {
        let now = Instant::now();
        let mut permits = Permits::default();
        assert_eq!(permits.permit((0..64).map(ip), now), Ok(()));
        assert_eq!(permits.permit([ip(7)], now), Ok(()), "it has this one");
        assert_eq!(permits.permit([ip(64)], now), Err(Unpermitted::Full));
        assert_eq!(permits.permit([ip(64)], now + PERMISSION_LIFETIME), Ok(()));
    }

    #[test]
    fn a_channel_keeps_its_peer_until_well_after_it_is_over() {
        let now = Instant::now();
        let mut permits = Permits::default();
        let peer = |port| SocketAddr::new(ip(1), port);
        assert_eq!(permits.bind(0x4000, peer(1), now), Ok(()));
        assert_eq!(permits.bind(0x4000, peer(1), now), Ok(()));
        assert_eq!(permits.bind(0x4000, peer(2), now), Err(Unpermitted::Taken));
        assert_eq!(permits.bind(0x4000, peer(2), now + CHANNEL_LIFETIME), Ok(()));
    }

    #[test]
    fn an_allocation_has_so_many_channels() {
        let now = Instant::now();
        let mut permits = Permits::default();
        for channel in 0..64 {
            assert_eq!(permits.bind(0x4000 + channel, SocketAddr::new(ip(1), channel + 1), now), Ok(()));
        }
        assert_eq!(permits.bind(0x4fff, SocketAddr::new(ip(1), 99), now), Err(Unpermitted::Full));
    }
}
