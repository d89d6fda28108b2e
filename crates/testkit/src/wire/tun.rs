//! A link between two network namespaces, for programs that need addresses and interfaces of their own.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use ahoy_media_types::MediaClock;
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{self, Setter, ioctl};

use super::handle::{LinkHandle, Shared};
use super::pump::{self, Received, Wire};
use super::relay::{RelayWire, UdpRelay};
use super::{Carried, Direction, Route, Side};
use crate::link::LinkConfig;
use crate::namespace::{Namespace, NamespaceError};

const DEVICE: &str = "ahoy0";
/// Packets that the kernel keeps for the link's thread: more than a second at the rates of calls.
const DEVICE_QUEUE_PACKETS: &str = "10000";
/// Addresses set aside for testing networks (RFC 2544 appendix C.2.2).
const PREFIX_LENGTH: u8 = 30;

/// Why no [`TunLink`] can be made on this machine.
#[derive(Debug, thiserror::Error)]
pub enum TunUnavailable {
    /// The process may not make namespaces and interfaces.
    #[error("network namespaces need root: run this as root, for example with sudo")]
    NotRoot,
    /// The kernel's TUN interface can't be opened.
    #[error(
        "/dev/net/tun can't be opened: {0}; load the kernel module tun, or allow the device in this container"
    )]
    NoTun(io::Error),
    /// The `ip` program is missing.
    #[error("the program ip is not installed: run `cargo xtask setup`, or install the package iproute2")]
    NoIp,
}

/// Why a [`TunLink`] could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TunError {
    /// This machine can't have any.
    #[error(transparent)]
    Unavailable(#[from] TunUnavailable),
    /// A namespace could not be made or used.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The operating system refused something.
    #[error("the link between namespaces could not be made: {0}")]
    Io(#[from] io::Error),
}

/// Two network namespaces with nothing but an emulated link between them: a TUN device in each, which is the default
/// route. Dropping the link deletes both.
#[derive(Debug)]
pub struct TunLink {
    // Dropped in this order: its thread ends before the devices go. Beside a relay they are that thread's.
    cable: TunCable,
    a: Namespace,
    b: Namespace,
}

impl TunLink {
    /// Whether this machine can have such links.
    pub fn available() -> Result<(), TunUnavailable> {
        if !rustix::process::geteuid().is_root() {
            return Err(TunUnavailable::NotRoot);
        }
        open_tun().map_err(TunUnavailable::NoTun)?;
        let ip = Command::new("ip").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        ip.map(|_| ()).map_err(|_| TunUnavailable::NoIp)
    }

    /// Makes two namespaces with one link for packets from A to B and one for the way back.
    pub fn start(forward: LinkConfig, backward: LinkConfig) -> Result<TunLink, TunError> {
        Self::start_with_clock(MediaClock::start(), forward, backward)
    }

    /// The same with a given clock, so that the packet log and other records share their timeline.
    pub fn start_with_clock(
        clock: MediaClock,
        forward: LinkConfig,
        backward: LinkConfig,
    ) -> Result<TunLink, TunError> {
        Self::between(|a, b| TunCable::lay(clock, (a, DEVICE), (b, DEVICE), forward, backward))
    }

    /// Two namespaces over whose link the packets of a relay go too: programs inside, such as those that speak TCP, compete
    /// with calls outside. The link ends with whichever of the two is dropped first.
    pub fn beside_relay(forward: LinkConfig, backward: LinkConfig) -> Result<(TunLink, UdpRelay), TunError> {
        let shared = Shared::new(MediaClock::start(), forward, backward)?;
        let mut relay = None;
        let link = Self::between(|a, b| {
            let cable = TunWire { a: open_device(a, DEVICE)?, b: open_device(b, DEVICE)? };
            let with = |relay| BesideRelay { cable, relay };
            relay = Some(UdpRelay::over(Arc::clone(&shared), with)?);
            Ok(TunCable { shared, thread: None })
        })?;
        let relay = relay.ok_or_else(|| io::Error::other("the relay was not started"))?;
        Ok((link, relay))
    }

    fn between(
        lay: impl FnOnce(&Namespace, &Namespace) -> Result<TunCable, TunError>,
    ) -> Result<TunLink, TunError> {
        Self::available()?;
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        // Without IPv6, or the kernel's own packets would be on the link, and in its log.
        let a = Namespace::make(&format!("{number}-a"), false)?;
        let b = Namespace::make(&format!("{number}-b"), false)?;
        let cable = lay(&a, &b)?;
        for (namespace, side) in [(&a, Side::A), (&b, Side::B)] {
            let (own, peer) = (Self::address(side), Self::address(side.other()));
            namespace.ip(&format!(
                "address add {own}/{PREFIX_LENGTH} dev {DEVICE}\nroute add default via {peer}\n"
            ))?;
        }
        Ok(Self { cable, a, b })
    }

    /// Control over the links, to be kept or sent elsewhere.
    pub fn handle(&self) -> LinkHandle {
        self.cable.handle()
    }

    /// The name of a side's namespace, as `ip netns` knows it.
    pub fn namespace(&self, side: Side) -> &str {
        self.at(side).name()
    }

    /// The address of a side's device. Links do not see each other, so all have the same addresses.
    pub fn address(side: Side) -> IpAddr {
        match side {
            Side::A => Ipv4Addr::new(198, 18, 0, 1).into(),
            Side::B => Ipv4Addr::new(198, 18, 0, 2).into(),
        }
    }

    /// A command that runs `program` inside a side's namespace.
    pub fn command_in(&self, side: Side, program: impl AsRef<OsStr>) -> Command {
        self.at(side).command(program)
    }

    /// Runs `work` on a thread inside a side's namespace. Sockets that it opens stay there.
    pub fn run_in<T: Send>(&self, side: Side, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.at(side).run(work)
    }

    fn at(&self, side: Side) -> &Namespace {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
}

/// Part of the namespaces' names, beside the process id: a process may have several links.
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

/// The emulated link between two namespaces that are there already: a TUN device in each, up, without addresses.
/// Dropping it takes the devices away.
#[derive(Debug)]
pub struct TunCable {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl TunCable {
    /// Lays it between two namespaces, under a name of a device in each.
    ///
    /// # Errors
    /// [`TunError`].
    pub fn lay(
        clock: MediaClock,
        (a, device_a): (&Namespace, &str),
        (b, device_b): (&Namespace, &str),
        forward: LinkConfig,
        backward: LinkConfig,
    ) -> Result<Self, TunError> {
        let shared = Shared::new(clock, forward, backward)?;
        let wire = TunWire { a: open_device(a, device_a)?, b: open_device(b, device_b)? };
        let thread = pump::start("ahoy-tunlink", Arc::clone(&shared), wire)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Control over both directions, to be kept or sent elsewhere.
    pub fn handle(&self) -> LinkHandle {
        LinkHandle::new(Arc::clone(&self.shared))
    }
}

impl Drop for TunCable {
    fn drop(&mut self) {
        self.shared.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the link's thread panicked");
        }
    }
}

/// Makes a TUN device and brings it up.
fn open_device(namespace: &Namespace, name: &str) -> Result<OwnedFd, TunError> {
    let device = namespace.run(|| open_tun().and_then(|tun| attach(&tun, name).map(|()| tun)))??;
    namespace.ip(&format!("link set {name} txqueuelen {DEVICE_QUEUE_PACKETS} up\n"))?;
    Ok(device)
}

fn open_tun() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/dev/net/tun", flags, Mode::empty())?)
}

/// `struct ifreq` of the kernel, as far as it is used here (netdevice(7)).
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

/// `TUNSETIFF` of linux/if_tun.h, whose argument is declared as an int but is a pointer to an `ifreq`.
const SET_INTERFACE: ioctl::Opcode = ioctl::opcode::write::<i32>(b'T', 202);
/// `IFF_TUN | IFF_NO_PI`: bare IP packets.
const BARE_IP: i16 = 0x1001;

/// Makes a device in the thread's namespace; it lives as long as `tun`.
fn attach(tun: &OwnedFd, device: &str) -> io::Result<()> {
    let mut name = [0; 16];
    // One byte is left for the end of the name.
    let room = name.len() - 1;
    let length = device.len().min(room);
    name[..length].copy_from_slice(&device.as_bytes()[..length]);
    let request = InterfaceRequest { name, flags: BARE_IP, rest: [0; 22] };
    // SAFETY: TUNSETIFF reads and writes one ifreq, which InterfaceRequest is as long as.
    unsafe { ioctl(tun, Setter::<SET_INTERFACE, _>::new(request)) }?;
    Ok(())
}

struct TunWire {
    a: OwnedFd,
    b: OwnedFd,
}

impl Wire for TunWire {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.a.as_fd(), self.b.as_fd()]
    }

    fn receive(&mut self, index: usize, buffer: &mut [u8]) -> Received {
        let (device, direction) = match index {
            0 => (&self.a, Direction::AToB),
            _ => (&self.b, Direction::BToA),
        };
        match rustix::io::read(device, &mut *buffer) {
            Ok(0) | Err(_) => Received::Empty,
            Ok(length) => {
                let data = buffer[..length].into();
                Received::Packet(direction, Carried { data, wire_bytes: length, route: Route::Device })
            }
        }
    }

    fn transmit(&mut self, direction: Direction, packet: &Carried) -> io::Result<()> {
        let device = match direction {
            Direction::AToB => &self.b,
            Direction::BToA => &self.a,
        };
        rustix::io::write(device, &packet.data)?;
        Ok(())
    }
}

/// Devices and fronts over the same link. The devices' descriptors come first.
struct BesideRelay {
    cable: TunWire,
    relay: RelayWire,
}

impl BesideRelay {
    const DEVICES: usize = 2;
}

impl Wire for BesideRelay {
    fn refresh(&mut self) {
        self.relay.refresh();
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let mut descriptors = self.cable.descriptors();
        descriptors.extend(self.relay.descriptors());
        descriptors
    }

    fn receive(&mut self, index: usize, buffer: &mut [u8]) -> Received {
        match index.checked_sub(Self::DEVICES) {
            None => self.cable.receive(index, buffer),
            Some(front) => self.relay.receive(front, buffer),
        }
    }

    fn transmit(&mut self, direction: Direction, packet: &Carried) -> io::Result<()> {
        match packet.route {
            Route::Device => self.cable.transmit(direction, packet),
            Route::Front { .. } => self.relay.transmit(direction, packet),
        }
    }
}
