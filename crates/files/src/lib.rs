//! Files of transfers on the disk. [`ahoy_transfer::Link`] decides; [`Disk`] does: it reads what is given, and writes what is taken
//! to partial files, remembers it across restarts and moves it to where it belongs.
//!
//! Nothing here knows a network or a runtime. All of it waits for disks, so [`Disk`] has threads of its own.

#![forbid(unsafe_code)]

mod disk;
mod given;
mod journal;
mod place;
mod reason;
mod scan;
mod taken;

pub use disk::{Disk, DiskError, Restored, RestoredGiven, RestoredTaken};
pub use given::Sources;
pub use place::{available_space, is_writable};
pub use scan::{LeftOut, ScanError, Scanned, Why, scan};
