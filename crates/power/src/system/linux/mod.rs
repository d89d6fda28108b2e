//! Linux: batteries and chargers in sysfs, profiles from power-profiles-daemon or what stands in for it.

mod profiles;
mod supplies;

use std::path::PathBuf;

use self::profiles::Profiles;
use super::Machine;
use crate::Reading;

/// Where the kernel shows batteries and chargers (Documentation/ABI/testing/sysfs-class-power).
const SUPPLIES: &str = "/sys/class/power_supply";

pub(super) struct Linux {
    supplies: PathBuf,
    profiles: Profiles,
}

impl Linux {
    pub(super) fn this() -> Self {
        Self { supplies: SUPPLIES.into(), profiles: Profiles::of_the_system() }
    }
}

impl Machine for Linux {
    async fn read(&mut self) -> Reading {
        let root = self.supplies.clone();
        // Some drivers ask the firmware for each file, which takes tens of milliseconds.
        let supplies = tokio::task::spawn_blocking(move || supplies::read(&root));
        let (supplies, profile) = tokio::join!(supplies, self.profiles.read());
        let supplies = supplies.unwrap_or_default();
        Reading {
            on_battery: supplies.on_battery,
            charge_percent: supplies.charge_percent,
            saver: profile.saver,
            hot: profile.hot,
        }
    }
}

#[cfg(test)]
mod tests {
    use ahoy_testkit::lab::SessionBus;

    use super::profiles::PROFILES;
    use super::profiles::tests::{Daemon, serve};
    use super::supplies::tests::Tree;
    use super::*;

    #[tokio::test]
    async fn batteries_and_profile_are_told_together() {
        let tree = Tree::new();
        tree.add("BAT0", &[("type", "Battery"), ("status", "Discharging"), ("capacity", "15")]);
        let bus = SessionBus::start().unwrap();
        let daemon = Daemon::in_profile("power-saver");
        let _served = serve(&bus, PROFILES, daemon).await;
        let mut machine = Linux { supplies: tree.path(), profiles: Profiles::on(bus.address()) };
        let expected = Reading { on_battery: true, charge_percent: Some(15), saver: true, hot: false };
        assert_eq!(machine.read().await, expected);
    }
}
