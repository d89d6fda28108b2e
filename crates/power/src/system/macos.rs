//! macOS: the battery from IOKit, low power mode and heat from `NSProcessInfo`.

use objc2_foundation::{NSProcessInfo, NSProcessInfoThermalState};
use starship_battery::{Manager, State};

use super::Machine;
use crate::Reading;

pub(super) struct Macos;

impl Machine for Macos {
    async fn read(&mut self) -> Reading {
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

fn look() -> Reading {
    let (on_battery, charge_percent) = battery().unwrap_or_default();
    let process = NSProcessInfo::processInfo();
    Reading {
        on_battery,
        charge_percent,
        saver: process.isLowPowerModeEnabled(),
        // From here on the system slows programs down (Apple, NSProcessInfo.thermalState).
        hot: process.thermalState() >= NSProcessInfoThermalState::Serious,
    }
}

/// Whether it is being emptied, and how full it is. A Mac has one at most.
fn battery() -> Option<(bool, Option<u8>)> {
    let battery = Manager::new().ok()?.batteries().ok()?.next()?.ok()?;
    let emptied = match battery.state() {
        State::Discharging | State::Empty => true,
        State::Unknown | State::Charging | State::Full | State::Paused => false,
    };
    let percent = (battery.state_of_charge().value * 100.0).round().clamp(0.0, 100.0);
    Some((emptied, Some(percent as u8)))
}
