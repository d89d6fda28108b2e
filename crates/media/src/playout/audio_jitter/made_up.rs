//! Sound that was not received, until it is known what it stands for.

/// Sound that was made up while the next packet was awaited: what it stood for shows when that comes.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) samples: u64,
    /// Of those, samples that are silent.
    pub(super) silent: u64,
}

impl Pending {
    /// The first `samples`, and the rest.
    pub(super) fn split(self, samples: u64) -> (Self, Self) {
        let first = self.samples.min(samples);
        let silent = self.silent.min(first);
        let rest = Self { samples: self.samples - first, silent: self.silent - silent };
        (Self { samples: first, silent }, rest)
    }
}

/// What made-up sound turned out to stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StoodFor {
    /// Sound that was lost, or came late.
    Sound,
    /// Silence that the sender did not send (discontinuous transmission).
    Silence,
}
