//! Windows, macOS and others: the one sound system that the platform has.

use cpal::HostId;

use super::Direction;

/// The sound systems to try, best first.
pub(super) fn hosts() -> Vec<HostId> {
    cpal::available_hosts()
}

/// Nothing to prepare here.
pub(super) fn prepare(_host: HostId) {}

/// Nothing to hush here.
pub(super) fn hush() {}

/// Whether a device is one that a person would choose: here all are.
pub(super) fn is_for_people(_host: HostId, _id: &str, _direction: Direction) -> bool {
    true
}

/// Whether devices of the same name are one device: two headsets of one make are not.
pub(super) fn same_name_is_same_device(_host: HostId) -> bool {
    false
}

/// Whether the sound system moves streams to another device when theirs is unplugged, without a word.
pub(super) fn moves_streams(_host: HostId) -> bool {
    false
}
