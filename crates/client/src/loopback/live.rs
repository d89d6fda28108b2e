//! What the window shows of a test call while it lasts.

use serde::Serialize;

use crate::media::{DeviceStanding, DeviceState};
use crate::problem::Problem;

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CallPhase {
    /// Devices are being opened and the two ends connected.
    Connecting,
    /// Media flows.
    Running,
    /// It was hung up; what is on its way is waited for.
    Ending,
}

/// A call at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallSnapshot {
    /// How far it is.
    pub phase: CallPhase,
    /// Whether one's own sound is held back.
    pub muted: bool,
    /// Where pictures come from.
    pub camera: DeviceState,
    /// Where sound comes from.
    pub microphone: DeviceState,
    /// Where the received sound goes.
    pub speaker: DeviceState,
    /// What went wrong so far, oldest first.
    pub problems: Vec<Problem>,
}

impl CallSnapshot {
    /// A call of which nothing is there yet.
    pub(crate) fn beginning() -> Self {
        let opening = DeviceState { standing: DeviceStanding::Opening, trouble: None };
        Self {
            phase: CallPhase::Connecting,
            muted: false,
            camera: opening.clone(),
            microphone: opening.clone(),
            speaker: opening,
            problems: Vec::new(),
        }
    }
}
