//! A side: a host with one way to the internet, or several.

use std::ffi::OsStr;
use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

use super::access::Access;
use super::internet::{Internet, at_once};
use super::{Kind, NatError};
use crate::link::LinkConfig;
use crate::namespace::Namespace;
use crate::wire::LinkHandle;

/// What the link between a side and the internet is like.
#[derive(Clone, Debug, Default)]
pub enum Link {
    /// As quick as the machine.
    #[default]
    Wire,
    /// Emulated: with delay, loss, a rate.
    Emulated {
        /// Towards the internet.
        up: Box<LinkConfig>,
        /// Towards the side.
        down: Box<LinkConfig>,
    },
}

/// A host in a network of a [`Kind`]. Dropping it ends the programs that run there and takes its network away.
///
/// Its ways to the internet are numbered in the order in which they came; the first is 0, and preferred. Whatever is asked of a
/// way that there is not panics.
#[derive(Debug)]
pub struct Side {
    // Dropped in this order: links and routers before the host.
    ways: Vec<Access>,
    host: Namespace,
    internet: Arc<Internet>,
}

impl Side {
    pub(super) fn attach(internet: &Arc<Internet>, kind: Kind, link: Link) -> Result<Self, NatError> {
        let name = internet.next_host();
        let host = Namespace::make(&format!("nat{}-host{name}", internet.lab), true)?;
        at_once(&host)?;
        let mut side = Self { ways: Vec::new(), host, internet: Arc::clone(internet) };
        side.add_way(kind, link)?;
        Ok(side)
    }

    /// Adds a way to the internet, such as the mobile network beside the Wi-Fi, with a device of its own. Returns its number.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn add_way(&mut self, kind: Kind, link: Link) -> Result<usize, NatError> {
        let number = self.ways.len();
        let v6 = if kind.network().has_v6() { "0" } else { "1" };
        // For the device that is about to come.
        self.host.set("ipv6/conf/default/disable_ipv6", v6)?;
        self.ways.push(Access::build(&self.internet, &self.host, number, kind, link)?);
        Ok(number)
    }

    /// The name of the host's namespace, as `ip netns` knows it.
    pub fn namespace(&self) -> &str {
        self.host.name()
    }

    /// A command that runs `program` on the host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.host.command(program)
    }

    /// Runs `work` on a thread on the host. Sockets that it opens stay there.
    ///
    /// # Errors
    /// The host is gone.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.host.run(work)
    }

    /// The host's own addresses by a way, IPv4 first.
    pub fn addresses(&self, way: usize) -> Vec<IpAddr> {
        let way = &self.ways[way];
        let v4 = way.host_v4().map(|(own, _)| IpAddr::from(own));
        v4.into_iter().chain(way.host_v6().map(|(own, _)| IpAddr::from(own))).collect()
    }

    /// The public IPv4 address by a way: that of the outermost NAT.
    pub fn public_address(&self, way: usize) -> Option<IpAddr> {
        self.ways[way].public_v4().map(IpAddr::from)
    }

    /// The address of the HTTP proxy of a way that lets nothing out but by it.
    pub fn proxy(&self, way: usize) -> Option<String> {
        self.ways[way].proxy()
    }

    /// Control over an emulated link; A is this side, B the internet. `None` if the way has no emulated one.
    pub fn link(&self, way: usize) -> Option<LinkHandle> {
        self.ways[way].handle()
    }

    /// Takes the host's addresses away and gives it others in the same network.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn change_address(&mut self, way: usize) -> Result<(), NatError> {
        self.ways[way].change_host_address(&self.host)
    }

    /// Gives the outermost NAT another public IPv4 address, as carriers do over night. The host notices nothing, but all
    /// mappings are gone. Does nothing where there is no NAT.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn change_public_address(&mut self, way: usize) -> Result<(), NatError> {
        self.ways[way].change_public_address()
    }

    /// Takes the plug out: the host's device goes down, with its addresses and routes.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn unplug(&mut self, way: usize) -> Result<(), NatError> {
        self.ways[way].unplug(&self.host)
    }

    /// Ends [`unplug`](Self::unplug).
    ///
    /// # Errors
    /// [`NatError`].
    pub fn plug_in(&mut self, way: usize) -> Result<(), NatError> {
        self.ways[way].configure_host(&self.host)
    }

    /// Loses everything that passes between this way and the internet. The host notices nothing.
    ///
    /// # Errors
    /// [`NatError`].
    pub fn black_out(&self, way: usize) -> Result<(), NatError> {
        self.ways[way].black_out(true)
    }

    /// Ends [`black_out`](Self::black_out).
    ///
    /// # Errors
    /// [`NatError`].
    pub fn restore(&self, way: usize) -> Result<(), NatError> {
        self.ways[way].black_out(false)
    }
}
