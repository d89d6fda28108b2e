//! Networks behind NATs and firewalls, in network namespaces (Linux, root): a small internet with a server in the middle, and
//! any number of sides around it, each in a [`Kind`] of network, in which unmodified programs run.
//!
//! [`Kind`] says what there is, [`Expected`] what theory makes of two of them, [`observe`] what a side's network really does,
//! and [`NatLab`] is where it happens:
//!
//! ```text
//! host ─ router (home) ─ router (carrier) ─┐
//! host ─ router (home) ────────────────────┤ internet ─ server
//! host ────────────────────────────────────┘
//! ```

mod access;
mod expect;
mod internet;
mod kind;
mod plan;
mod probe;
mod proxy;
mod rules;
mod side;

use std::io;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::namespace::{IP_PACKAGE, Namespace, NamespaceError};
use crate::wire::{TunError, TunLink, TunUnavailable};

pub use expect::Expected;
pub use internet::NatLab;
pub use kind::{Egress, Filtering, Kind, Mapping, Nat, Network, UnknownKind, V4, V6};
pub use plan::ServerAddresses;
pub use probe::{Observed, ProbeError, Reach, observe, reach};
pub use side::{Link, Side};

/// Debian package of `nft`.
const NFT_PACKAGE: &str = "nftables";

/// Why this machine can't have such networks.
#[derive(Debug, thiserror::Error)]
pub enum NatUnavailable {
    /// The process may not make namespaces.
    #[error(
        "networks behind NATs are made of network namespaces, which need root: run this as root, for example with sudo"
    )]
    NotRoot,
    /// A program is not installed.
    #[error(
        "the program {program} is not installed: run `cargo xtask setup`, or install the package {package}"
    )]
    Missing {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The system gives no namespaces, or nftables do not work in them.
    #[error(
        "this machine makes no network namespaces with nftables: {0}; in a container, allow it NET_ADMIN and SYS_ADMIN"
    )]
    Refused(NamespaceError),
    /// No emulated links.
    #[error(transparent)]
    Tun(#[from] TunUnavailable),
}

/// Why something could not be done with a network.
#[derive(Debug, thiserror::Error)]
pub enum NatError {
    /// This machine can't have any.
    #[error(transparent)]
    Unavailable(#[from] NatUnavailable),
    /// A namespace could not be made or used.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// An emulated link could not be laid.
    #[error(transparent)]
    Tun(#[from] TunError),
    /// The operating system refused something.
    #[error("a network of the lab could not be used: {0}")]
    Io(#[from] io::Error),
    /// All numbers of networks are used up.
    #[error("the lab has no more room: start another one")]
    Full,
}

/// Part of a namespace's name: several threads of a process may try at once.
static NEXT_TRY: AtomicU32 = AtomicU32::new(0);

/// Whether this machine can have such networks.
///
/// # Errors
/// [`NatUnavailable`] says what is missing.
pub fn available() -> Result<(), NatUnavailable> {
    if !rustix::process::geteuid().is_root() {
        return Err(NatUnavailable::NotRoot);
    }
    let programs =
        [("ip", IP_PACKAGE, "-V"), ("nft", NFT_PACKAGE, "-v"), (proxy::PROGRAM, proxy::PACKAGE, "-v")];
    for (program, package, version) in programs {
        let ran = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ran.map_err(|_| NatUnavailable::Missing { program, package })?;
    }
    let label = format!("try{}", NEXT_TRY.fetch_add(1, Ordering::Relaxed));
    let tried = Namespace::make(&label, true).and_then(|namespace| {
        namespace.nft("table ip lab { chain c { type nat hook postrouting priority 100; masquerade; }; }\n")
    });
    tried.map_err(NatUnavailable::Refused)?;
    Ok(TunLink::available()?)
}
