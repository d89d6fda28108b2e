//! One way of a host to the internet: the links and routers between them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ahoy_media_types::MediaClock;

use super::internet::{Internet, at_once, forward};
use super::kind::{Kind, Nat, Network, V4, V6};
use super::plan::{
    FIRST, GATEWAY, HOST_DEVICE, INNER_DEVICE, LAST, OUTER_DEVICE, Segment, V4_PREFIX, V6_PREFIX,
};
use super::proxy::Proxy;
use super::rules::{RouterRules, dark, light};
use super::side::Link;
use super::{Egress, NatError};
use crate::namespace::Namespace;
use crate::wire::{LinkHandle, TunCable};

/// Routes of a host's first way to the internet are preferred to those of its second, and so on.
const METRIC_STEP: usize = 100;
/// The first of the routing tables by which packets leave where their source address belongs.
const FIRST_TABLE: usize = 100;

/// A way to the internet. Dropping it takes it away.
#[derive(Debug)]
pub(super) struct Access {
    // Dropped first: its thread holds devices in the namespaces.
    cable: Option<TunCable>,
    proxy: Option<Proxy>,
    internet: Arc<Internet>,
    segment: Segment,
    kind: Kind,
    /// How many ways the host had before this one.
    number: usize,
    /// The nearest first.
    routers: Vec<Namespace>,
    /// The host's number in its network.
    host: u8,
    /// The number of the outermost router in its network.
    outermost: u8,
    /// Whether the host has addresses and routes by this way.
    plugged: bool,
}

impl Access {
    pub(super) fn build(
        internet: &Arc<Internet>,
        host: &Namespace,
        number: usize,
        kind: Kind,
        link: Link,
    ) -> Result<Self, NatError> {
        let segment = internet.next_segment()?;
        let mut access = Self {
            cable: None,
            proxy: None,
            internet: Arc::clone(internet),
            segment,
            kind,
            number,
            routers: Vec::new(),
            host: FIRST,
            outermost: FIRST,
            plugged: false,
        };
        for hop in 0..access.hops() {
            let label = format!("nat{}-router{}-{hop}", internet.lab, segment.0);
            let router = Namespace::make(&label, access.network().has_v6())?;
            at_once(&router)?;
            forward(&router)?;
            access.routers.push(router);
        }
        access.lay_links(host, link)?;
        access.give_addresses()?;
        access.set_rules()?;
        access.configure_host(host)?;
        if let (Egress::OnlyProxy, Some(router)) = (access.network().egress, access.routers.first()) {
            access.proxy = Some(Proxy::start(router, segment.home(GATEWAY))?);
        }
        Ok(access)
    }

    pub(super) fn network(&self) -> Network {
        self.kind.network()
    }

    /// Routers between host and internet.
    fn hops(&self) -> usize {
        match self.network().v4 {
            V4::Public => 0,
            V4::Behind(nats) => nats.len(),
            // IPv6 has its firewall in one.
            V4::Absent => 1,
        }
    }

    /// Control over the emulated link, if there is one; A is the side, B the internet.
    pub(super) fn handle(&self) -> Option<LinkHandle> {
        self.cable.as_ref().map(TunCable::handle)
    }

    /// The address of its proxy, where nothing gets out but by one.
    pub(super) fn proxy(&self) -> Option<String> {
        self.proxy.as_ref().map(Proxy::url)
    }

    /// The device at the host.
    pub(super) fn device(&self) -> String {
        format!("{HOST_DEVICE}{}", self.number)
    }

    /// Whoever is attached to the internet itself, and by which device.
    fn edge<'a>(&'a self, host: &'a Namespace) -> (&'a Namespace, String) {
        match self.routers.last() {
            Some(router) => (router, OUTER_DEVICE.to_owned()),
            None => (host, self.device()),
        }
    }

    fn lay_links(&mut self, host: &Namespace, link: Link) -> Result<(), NatError> {
        let (edge, device) = self.edge(host);
        let here = self.segment.device();
        self.cable = match link {
            Link::Wire => {
                wire(&self.internet.namespace, &here, edge, &device)?;
                None
            }
            Link::Emulated { up, down } => {
                let ends = ((edge, device.as_str()), (&self.internet.namespace, here.as_str()));
                Some(TunCable::lay(MediaClock::start(), ends.0, ends.1, *up, *down)?)
            }
        };
        for pair in self.routers.windows(2) {
            wire(&pair[1], INNER_DEVICE, &pair[0], OUTER_DEVICE)?;
        }
        if let Some(nearest) = self.routers.first() {
            wire(nearest, INNER_DEVICE, host, &self.device())?;
        }
        Ok(())
    }

    /// Of everybody but the host.
    fn give_addresses(&self) -> Result<(), NatError> {
        let (segment, device) = (self.segment, self.segment.device());
        let mut internet = format!("address add {}/{V4_PREFIX} dev {device}\n", segment.public(GATEWAY));
        if self.network().has_v6() {
            let (own, edge) = (segment.transit_v6(GATEWAY), segment.transit_v6(FIRST));
            let home = segment.home_v6(0);
            // Writing to a string can't fail.
            let _ = write!(
                internet,
                "address add {own}/{V6_PREFIX} dev {device} nodad\n-6 route add {home}/{V6_PREFIX} via {edge} dev {device}\n"
            );
        }
        self.internet.namespace.ip(&internet)?;
        for (hop, router) in self.routers.iter().enumerate() {
            let mut commands = String::new();
            if self.network().v4 != V4::Absent {
                let inner = if hop == 0 { segment.home(GATEWAY) } else { Segment::carrier(GATEWAY) };
                let (outer, next) = (self.outer_address(hop), self.outer_gateway(hop));
                let _ = write!(
                    commands,
                    "address add {inner}/{V4_PREFIX} dev {INNER_DEVICE}
address add {outer}/{V4_PREFIX} dev {OUTER_DEVICE}
route add default via {next}
"
                );
            }
            if self.network().has_v6() {
                let (inner, outer) = (segment.home_v6(GATEWAY), segment.transit_v6(FIRST));
                let next = segment.transit_v6(GATEWAY);
                let _ = write!(
                    commands,
                    "address add {inner}/{V6_PREFIX} dev {INNER_DEVICE} nodad
address add {outer}/{V6_PREFIX} dev {OUTER_DEVICE} nodad
-6 route add default via {next} dev {OUTER_DEVICE}
"
                );
            }
            router.ip(&commands)?;
        }
        Ok(())
    }

    /// The address of a router away from the host.
    fn outer_address(&self, hop: usize) -> Ipv4Addr {
        if hop + 1 == self.routers.len() {
            self.segment.public(self.outermost)
        } else {
            Segment::carrier(FIRST)
        }
    }

    fn outer_gateway(&self, hop: usize) -> Ipv4Addr {
        if hop + 1 == self.routers.len() { self.segment.public(GATEWAY) } else { Segment::carrier(GATEWAY) }
    }

    fn set_rules(&self) -> Result<(), NatError> {
        let Network { v4, v6, egress } = self.network();
        let nats: &[Nat] = match v4 {
            V4::Behind(nats) => nats,
            V4::Absent | V4::Public => &[],
        };
        for (hop, router) in self.routers.iter().enumerate() {
            let behind = match hop {
                0 => self.segment.home(self.host),
                _ => self.outer_address(hop - 1),
            };
            let nat = nats.get(hop).map(|nat| (*nat, behind));
            // What does not get out ends at the first router.
            let egress = if hop == 0 { egress } else { Egress::Everything };
            router.nft(&RouterRules { nat, v6, egress }.script())?;
        }
        Ok(())
    }

    /// The host's own IPv4 address and its router's.
    pub(super) fn host_v4(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let segment = self.segment;
        match self.network().v4 {
            V4::Absent => None,
            V4::Public => Some((segment.public(self.host), segment.public(GATEWAY))),
            V4::Behind(_) => Some((segment.home(self.host), segment.home(GATEWAY))),
        }
    }

    /// The host's own IPv6 address and its router's.
    pub(super) fn host_v6(&self) -> Option<(Ipv6Addr, Ipv6Addr)> {
        match self.network().v6 {
            V6::Absent => None,
            V6::Firewalled | V6::Dead => {
                Some((self.segment.home_v6(self.host), self.segment.home_v6(GATEWAY)))
            }
        }
    }

    /// The IPv4 address that others see.
    pub(super) fn public_v4(&self) -> Option<Ipv4Addr> {
        match self.network().v4 {
            V4::Absent => None,
            V4::Public => Some(self.segment.public(self.host)),
            V4::Behind(_) => Some(self.segment.public(self.outermost)),
        }
    }

    /// Gives the host addresses and routes by this way, unless it has them.
    pub(super) fn configure_host(&mut self, host: &Namespace) -> Result<(), NatError> {
        if self.plugged {
            return Ok(());
        }
        let device = self.device();
        let (metric, table) = ((self.number + 1) * METRIC_STEP, FIRST_TABLE + self.number);
        let mut commands = format!("link set {device} up\n");
        let (v4, v6) = (self.host_v4(), self.host_v6());
        let families = [
            v4.map(|(own, router)| ("", own.to_string(), V4_PREFIX, "", router.to_string())),
            v6.map(|(own, router)| ("-6 ", own.to_string(), V6_PREFIX, " nodad", router.to_string())),
        ];
        for (family, own, prefix, flags, router) in families.into_iter().flatten() {
            // A socket that is bound to an address sends by the way that the address belongs to, whichever is preferred.
            let _ = write!(
                commands,
                "{family}address add {own}/{prefix} dev {device}{flags}
{family}route add default via {router} dev {device} metric {metric}
{family}route add default via {router} dev {device} table {table}
{family}rule add from {own} table {table}
"
            );
        }
        self.plugged = true;
        Ok(host.ip(&commands)?)
    }

    /// Takes addresses and routes from the host.
    fn forget_host(&mut self, host: &Namespace) -> Result<(), NatError> {
        let (device, table) = (self.device(), FIRST_TABLE + self.number);
        let v4 = self.host_v4().map(|(own, _)| ("", own.to_string(), V4_PREFIX));
        let v6 = self.host_v6().map(|(own, _)| ("-6 ", own.to_string(), V6_PREFIX));
        let mut commands = String::new();
        for (family, own, prefix) in v4.into_iter().chain(v6) {
            let _ = write!(
                commands,
                "{family}rule delete from {own} table {table}
{family}route flush table {table}
{family}route delete default dev {device}
{family}address delete {own}/{prefix} dev {device}
"
            );
        }
        self.plugged = false;
        Ok(host.ip(&commands)?)
    }

    /// Gives the host another address at the same place, as a router that has forgotten it would. One that is unplugged gets
    /// it when it is plugged in.
    pub(super) fn change_host_address(&mut self, host: &Namespace) -> Result<(), NatError> {
        let plugged = self.plugged;
        if plugged {
            self.forget_host(host)?;
        }
        self.host = next(self.host);
        self.set_rules()?;
        if plugged { self.configure_host(host) } else { Ok(()) }
    }

    /// Gives the outermost router another public IPv4 address. Mappings of the old one are gone. Does nothing where the host
    /// is public itself, or there is no IPv4.
    pub(super) fn change_public_address(&mut self) -> Result<(), NatError> {
        let V4::Behind(_) = self.network().v4 else { return Ok(()) };
        let old = self.segment.public(self.outermost);
        self.outermost = next(self.outermost);
        let (new, gateway) = (self.segment.public(self.outermost), self.segment.public(GATEWAY));
        if let Some(router) = self.routers.last() {
            router.ip(&format!(
                "address delete {old}/{V4_PREFIX} dev {OUTER_DEVICE}
address add {new}/{V4_PREFIX} dev {OUTER_DEVICE}
route replace default via {gateway}
"
            ))?;
        }
        Ok(())
    }

    /// Takes the host's plug out: its device is down, and it notices.
    pub(super) fn unplug(&mut self, host: &Namespace) -> Result<(), NatError> {
        if self.plugged {
            self.forget_host(host)?;
        }
        Ok(host.ip(&format!("link set {} down\n", self.device()))?)
    }

    /// Loses everything between this way and the internet, or no longer.
    pub(super) fn black_out(&self, on: bool) -> Result<(), NatError> {
        let device = self.segment.device();
        let rules = if on { light(&device) + &dark(&device) } else { light(&device) };
        Ok(self.internet.namespace.nft(&rules)?)
    }
}

/// A cable between two namespaces, both ends up.
fn wire(a: &Namespace, device_a: &str, b: &Namespace, device_b: &str) -> Result<(), NatError> {
    a.ip(&format!(
        "link add {device_a} type veth peer name {device_b} netns {}\nlink set {device_a} up\n",
        b.name()
    ))?;
    Ok(b.ip(&format!("link set {device_b} up\n"))?)
}

/// The number after this one, of those that hosts may have.
fn next(number: u8) -> u8 {
    if number < LAST { number + 1 } else { FIRST }
}
