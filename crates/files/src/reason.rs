//! What the other side is told of an error.

use std::io::{self, ErrorKind};

use ahoy_transfer::Reason;

/// Why something can't be read.
pub(crate) fn of_reading(error: &io::Error) -> Reason {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Reason::Gone,
        // It has become shorter.
        ErrorKind::UnexpectedEof => Reason::Changed,
        _ => Reason::Unreadable,
    }
}

/// Why something can't be written.
pub(crate) fn of_writing(error: &io::Error) -> Reason {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Reason::NoSpace,
        _ => Reason::Unwritable,
    }
}
