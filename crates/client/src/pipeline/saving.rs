//! Whether power is saved while pictures are made: what the person has chosen, and what the machine says.

use ahoy_power::PowerState;
use tokio::sync::watch;

use crate::settings::SavePower;

/// Looks at the machine for as long as that counts.
#[derive(Debug)]
pub(super) enum Saving {
    /// Not even where the machine has a reason to.
    Never,
    /// Even where it has none.
    Always,
    /// While the machine has a reason to.
    WithReason(watch::Receiver<PowerState>),
}

impl Saving {
    /// Must be called on a tokio runtime.
    pub(super) fn by(choice: SavePower) -> Self {
        match choice {
            SavePower::Auto => Self::WithReason(ahoy_power::watch()),
            SavePower::Always => Self::Always,
            SavePower::Never => Self::Never,
        }
    }

    /// Whether it is saved now.
    pub(super) fn is_on(&self) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::WithReason(machine) => machine.borrow().reason.is_some(),
        }
    }
}
