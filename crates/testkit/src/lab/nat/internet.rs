//! What is in the middle: the internet, and the server in it.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use super::plan::{GATEWAY, Segment, ServerAddresses, V4_PREFIX, V6_PREFIX};
use super::side::{Link, Side};
use super::{Kind, NatError, available};
use crate::namespace::{Namespace, remove_leftovers};

/// The server's end of its link.
const SERVER_DEVICE: &str = "eth0";
/// Numbers of networks: what public addresses are there for.
const SEGMENTS: u16 = 4096;

/// The internet with a server. Sides are attached to it; they hold on to it, and everything is gone with the last of them.
#[derive(Debug)]
pub struct NatLab {
    internet: Arc<Internet>,
    server: Namespace,
}

/// The router that everything is attached to.
#[derive(Debug)]
pub(super) struct Internet {
    pub(super) namespace: Namespace,
    /// Part of the namespaces' names: a process may have several labs.
    pub(super) lab: u32,
    next: AtomicU16,
    next_host: AtomicU32,
}

static NEXT_LAB: AtomicU32 = AtomicU32::new(0);

impl NatLab {
    /// Removes what processes that were killed have left, and starts an internet with nobody in it but the server.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn start() -> Result<Self, NatError> {
        remove_leftovers()?;
        available()?;
        let lab = NEXT_LAB.fetch_add(1, Ordering::Relaxed);
        let internet = Namespace::make(&format!("nat{lab}-internet"), true)?;
        let server = Namespace::make(&format!("nat{lab}-server"), true)?;
        for namespace in [&internet, &server] {
            at_once(namespace)?;
        }
        forward(&internet)?;
        let link = Segment(0);
        let device = link.device();
        let addresses = ServerAddresses::v4().all().map(|address| format!("{address}/{V4_PREFIX}"));
        let addresses_v6 = ServerAddresses::v6().all().map(|address| format!("{address}/{V6_PREFIX} nodad"));
        let (gateway, gateway_v6) = (link.public(GATEWAY), link.transit_v6(GATEWAY));
        // What nobody has is lost without a word, as on the real internet: a relay whose sending failed at once would show
        // another behaviour than there.
        internet.ip(&format!(
            "link add {device} type veth peer name {SERVER_DEVICE} netns {server}
address add {gateway}/{V4_PREFIX} dev {device}
address add {gateway_v6}/{V6_PREFIX} dev {device} nodad
link set {device} up
route add blackhole default
-6 route add blackhole default
",
            server = server.name()
        ))?;
        // A relay that listens at all addresses sends from the one that it is known by.
        let (relay, relay_v6) = (ServerAddresses::v4().relay, ServerAddresses::v6().relay);
        let add: String = addresses
            .iter()
            .chain(&addresses_v6)
            .map(|address| format!("address add {address} dev {SERVER_DEVICE}\n"))
            .collect();
        server.ip(&format!(
            "link set {SERVER_DEVICE} up
{add}route add default via {gateway} src {relay}
-6 route add default via {gateway_v6} src {relay_v6}
"
        ))?;
        Ok(Self {
            internet: Arc::new(Internet {
                namespace: internet,
                lab,
                next: AtomicU16::new(1),
                next_host: AtomicU32::new(0),
            }),
            server,
        })
    }

    /// A side in a network of a kind.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn side(&self, kind: Kind) -> Result<Side, NatError> {
        self.side_with(kind, Link::default())
    }

    /// The same with an emulated link to the internet.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn side_with(&self, kind: Kind, link: Link) -> Result<Side, NatError> {
        Side::attach(&self.internet, kind, link)
    }

    /// A command that runs `program` at the server.
    pub fn command_at_server(&self, program: impl AsRef<OsStr>) -> Command {
        self.server.command(program)
    }

    /// Runs `work` on a thread at the server. Sockets that it opens stay there.
    ///
    /// # Errors
    /// The lab is gone.
    pub fn run_at_server<T: Send>(&self, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
        self.server.run(work)
    }

    /// Has connections to a port of one of the server's addresses go to another of its ports, which may listen on all
    /// addresses; so different programs can have the same port of different addresses.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn redirect_at_server(&self, address: IpAddr, port: u16, listens: u16) -> Result<(), NatError> {
        let family = if address.is_ipv4() { "ip" } else { "ip6" };
        Ok(self.server.nft(&format!(
            "table {family} ports {{
  chain incoming {{
    type nat hook prerouting priority dstnat
    {family} daddr {address} tcp dport {port} redirect to :{listens}
  }}
}}
"
        ))?)
    }
}

impl Internet {
    /// Part of the name of a host's namespace.
    pub(super) fn next_host(&self) -> u32 {
        self.next_host.fetch_add(1, Ordering::Relaxed)
    }

    /// A network that nobody has yet.
    pub(super) fn next_segment(&self) -> Result<Segment, NatError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number < SEGMENTS { Ok(Segment(number)) } else { Err(NatError::Full) }
    }
}

/// Lets IPv6 addresses count as soon as they are given, without asking first whether somebody else has them.
pub(super) fn at_once(namespace: &Namespace) -> Result<(), NatError> {
    namespace.set("ipv6/conf/default/accept_dad", "0")?;
    // Router advertisements would bring addresses and routes that nobody planned.
    namespace.set("ipv6/conf/default/accept_ra", "0")?;
    Ok(())
}

/// Makes a router of it.
pub(super) fn forward(namespace: &Namespace) -> Result<(), NatError> {
    namespace.set("ipv4/ip_forward", "1")?;
    namespace.set("ipv6/conf/all/forwarding", "1")?;
    Ok(())
}
