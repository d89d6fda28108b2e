//! Windows, macOS and others: the libraries for cameras and sound that Ahoy uses there tell nothing.

/// Watches nothing.
#[derive(Debug)]
pub(super) struct Watch;

impl Watch {
    /// Nothing to start.
    pub(super) fn start(_on_change: impl FnMut() + Send + 'static) -> Option<Self> {
        None
    }
}
