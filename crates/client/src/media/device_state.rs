//! How a device in use is, as the window shows it.

use serde::Serialize;

use super::switched::Standing;
use crate::problem::Problem;

/// How a device of a call or a preview is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum DeviceStanding {
    /// Switched off, or not part of the call. It may still be on its way to being closed.
    #[default]
    Off,
    /// Being opened.
    Opening,
    /// In use.
    On,
    /// Wanted, and not to be had, or lost.
    Failed,
}

/// A device of a call or a preview.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct DeviceState {
    /// How it is.
    pub standing: DeviceStanding,
    /// Why it failed.
    pub trouble: Option<Problem>,
}

impl DeviceState {
    /// A device that is open and has trouble has failed for whoever sits in front of it.
    pub(crate) fn new(standing: Standing, trouble: Option<&Problem>) -> Self {
        let shown = match standing {
            Standing::Off | Standing::Closing => return Self::default(),
            Standing::Opening => DeviceStanding::Opening,
            Standing::On if trouble.is_none() => DeviceStanding::On,
            Standing::On | Standing::Failed => DeviceStanding::Failed,
        };
        Self { standing: shown, trouble: trouble.cloned() }
    }
}
