//! Windows: battery and energy saver from `Windows.System.Power`. Of heat the system tells programs nothing.

use windows::System::Power::{BatteryStatus, EnergySaverStatus, PowerManager};

use super::Machine;
use crate::Reading;

pub(super) struct Windows;

impl Machine for Windows {
    async fn read(&mut self) -> Reading {
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

fn look() -> Reading {
    Reading {
        on_battery: PowerManager::BatteryStatus().is_ok_and(|status| status == BatteryStatus::Discharging),
        charge_percent: PowerManager::RemainingChargePercent()
            .ok()
            .and_then(|percent| u8::try_from(percent).ok()),
        saver: PowerManager::EnergySaverStatus().is_ok_and(|status| status == EnergySaverStatus::On),
        hot: false,
    }
}
