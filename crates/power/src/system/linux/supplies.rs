//! Batteries and chargers as the kernel shows them: a folder for each, with a file for each thing that it says.

use std::fs;
use std::path::Path;

/// What batteries and chargers say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Supplies {
    pub(super) on_battery: bool,
    pub(super) charge_percent: Option<u8>,
}

/// What becomes of a battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Charging,
    Discharging,
    /// It is full, or kept as it is.
    Idle,
    /// It does not say.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Battery {
    status: Status,
    percent: Option<u8>,
    /// What it holds when it is full, in µWh or in µAh; drivers tell one of the two.
    energy_full: Option<u64>,
    charge_full: Option<u64>,
}

enum Supply {
    Battery(Battery),
    Charger { plugged_in: bool },
}

/// Reads all supplies below `root`. What can't be read or understood is left out.
pub(super) fn read(root: &Path) -> Supplies {
    let (mut batteries, mut chargers) = (Vec::new(), Vec::new());
    for folder in fs::read_dir(root).into_iter().flatten().flatten() {
        match supply(&folder.path()) {
            Some(Supply::Battery(battery)) => batteries.push(battery),
            Some(Supply::Charger { plugged_in }) => chargers.push(plugged_in),
            None => {}
        }
    }
    Supplies { on_battery: on_battery(&batteries, &chargers), charge_percent: charge(&batteries) }
}

fn supply(folder: &Path) -> Option<Supply> {
    let told = |name: &str| fs::read_to_string(folder.join(name)).ok().map(|text| text.trim().to_owned());
    let number = |name: &str| told(name)?.parse::<u64>().ok();
    // That of a mouse or a headset.
    if told("scope").as_deref() == Some("Device") {
        return None;
    }
    match told("type")?.as_str() {
        "Battery" if told("present").as_deref() != Some("0") => Some(Supply::Battery(Battery {
            status: status(told("status").as_deref()),
            percent: number("capacity").map(|percent| percent.min(100) as u8),
            energy_full: number("energy_full"),
            charge_full: number("charge_full"),
        })),
        // A port that could charge says 0 while nothing is plugged in, and some say 2 while a charger may be chosen.
        "Mains" | "USB" | "Wireless" => Some(Supply::Charger { plugged_in: number("online")? > 0 }),
        _ => None,
    }
}

fn status(told: Option<&str>) -> Status {
    match told {
        Some("Charging") => Status::Charging,
        Some("Discharging") => Status::Discharging,
        Some("Full" | "Not charging") => Status::Idle,
        Some(_) | None => Status::Unknown,
    }
}

/// Batteries are believed before chargers, which may give less than is used. Of two batteries one rests while the other
/// is used.
fn on_battery(batteries: &[Battery], chargers: &[bool]) -> bool {
    let is_one = |status| batteries.iter().any(|battery| battery.status == status);
    if is_one(Status::Charging) {
        false
    } else if is_one(Status::Discharging) {
        true
    } else if is_one(Status::Idle) {
        false
    } else {
        !batteries.is_empty() && !chargers.is_empty() && !chargers.contains(&true)
    }
}

/// How full they are together, each counted by what it holds if all of them tell that.
fn charge(batteries: &[Battery]) -> Option<u8> {
    weighed(batteries, |battery| battery.energy_full)
        .or_else(|| weighed(batteries, |battery| battery.charge_full))
        .or_else(|| weighed(batteries, |_| Some(1)))
}

fn weighed(batteries: &[Battery], weight: impl Fn(&Battery) -> Option<u64>) -> Option<u8> {
    let (mut sum, mut total) = (0, 0);
    for battery in batteries {
        let Some(percent) = battery.percent else { continue };
        let weight = u128::from(weight(battery)?);
        sum += u128::from(percent) * weight;
        total += weight;
    }
    u8::try_from(sum.checked_div(total)?).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    /// A made `/sys/class/power_supply`.
    pub(in super::super) struct Tree(TempDir);

    impl Tree {
        pub(in super::super) fn new() -> Self {
            Self(TempDir::with_prefix("power-").unwrap())
        }

        pub(in super::super) fn path(&self) -> PathBuf {
            self.0.path().to_owned()
        }

        /// A supply whose files say this.
        pub(in super::super) fn add(&self, name: &str, files: &[(&str, &str)]) {
            let folder = self.0.path().join(name);
            fs::create_dir(&folder).unwrap();
            for (file, text) in files {
                fs::write(folder.join(file), format!("{text}\n")).unwrap();
            }
        }

        fn battery(&self, name: &str, status: &str, capacity: &str) {
            self.add(name, &[("type", "Battery"), ("status", status), ("capacity", capacity)]);
        }

        fn read(&self) -> Supplies {
            read(self.0.path())
        }
    }

    fn supplies(on_battery: bool, charge_percent: impl Into<Option<u8>>) -> Supplies {
        Supplies { on_battery, charge_percent: charge_percent.into() }
    }

    #[test]
    fn a_battery_that_is_used_says_so_and_how_full_it_is() {
        let tree = Tree::new();
        tree.battery("BAT0", "Discharging", "15");
        tree.add("AC", &[("type", "Mains"), ("online", "0")]);
        assert_eq!(tree.read(), supplies(true, 15));
    }

    #[test]
    fn a_battery_that_is_charged_full_or_kept_as_it_is_is_not_used() {
        for status in ["Charging", "Full", "Not charging"] {
            let tree = Tree::new();
            tree.battery("BAT0", status, "15");
            assert_eq!(tree.read(), supplies(false, 15), "{status}");
        }
    }

    #[test]
    fn a_charger_that_gives_too_little_does_not_hide_that_the_battery_is_emptied() {
        let tree = Tree::new();
        tree.battery("BAT0", "Discharging", "50");
        tree.add("ucsi-source-psy", &[("type", "USB"), ("online", "1")]);
        assert_eq!(tree.read(), supplies(true, 50));
    }

    #[test]
    fn of_two_batteries_one_rests_while_the_other_is_used() {
        let tree = Tree::new();
        tree.battery("BAT0", "Not charging", "80");
        tree.battery("BAT1", "Discharging", "10");
        assert_eq!(tree.read(), supplies(true, 45));
    }

    #[test]
    fn two_batteries_count_by_what_they_hold() {
        let tree = Tree::new();
        let large = [("energy_full", "60000000"), ("type", "Battery"), ("capacity", "10")];
        let small = [("energy_full", "20000000"), ("type", "Battery"), ("capacity", "90")];
        tree.add("BAT0", &large);
        tree.add("BAT1", &small);
        assert_eq!(tree.read().charge_percent, Some(30));
        let other_unit = [("charge_full", "4000"), ("type", "Battery"), ("capacity", "50")];
        tree.add("BAT2", &other_unit);
        assert_eq!(tree.read().charge_percent, Some(50), "they can't be compared any more");
    }

    #[test]
    fn the_battery_of_a_mouse_is_not_that_of_the_machine() {
        let tree = Tree::new();
        let mouse = [("type", "Battery"), ("scope", "Device"), ("status", "Discharging"), ("capacity", "3")];
        tree.add("hidpp_battery_0", &mouse);
        assert_eq!(tree.read(), supplies(false, None));
        tree.battery("BAT0", "Charging", "60");
        assert_eq!(tree.read(), supplies(false, 60));
    }

    #[test]
    fn a_bay_without_a_battery_is_none() {
        let tree = Tree::new();
        tree.add("BAT0", &[("type", "Battery"), ("present", "0"), ("status", "Unknown"), ("capacity", "0")]);
        tree.add("AC", &[("type", "Mains"), ("online", "0")]);
        assert_eq!(tree.read(), supplies(false, None));
    }

    #[test]
    fn where_a_battery_does_not_say_the_chargers_are_asked() {
        for (online, on_battery) in [("0", true), ("1", false)] {
            let tree = Tree::new();
            tree.battery("BAT0", "Unknown", "40");
            tree.add("AC", &[("type", "Mains"), ("online", online)]);
            tree.add("ucsi-source-psy", &[("type", "USB"), ("online", "0")]);
            assert_eq!(tree.read(), supplies(on_battery, 40), "{online}");
        }
        let tree = Tree::new();
        tree.battery("BAT0", "Unknown", "40");
        assert_eq!(tree.read(), supplies(false, 40), "nobody says anything");
    }

    #[test]
    fn a_machine_without_a_battery_is_on_none() {
        let tree = Tree::new();
        assert_eq!(tree.read(), supplies(false, None));
        tree.add("AC", &[("type", "Mains"), ("online", "0")]);
        assert_eq!(tree.read(), supplies(false, None));
        assert_eq!(read(&tree.path().join("nowhere")), supplies(false, None));
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let tree = Tree::new();
        tree.battery("BAT0", "Discharging", "very");
        tree.battery("BAT1", "Dis\u{1}charging", "-5");
        tree.battery("BAT2", "", "99999999999999999999");
        tree.add("BAT3", &[("type", "Potato"), ("status", "Discharging"), ("capacity", "1")]);
        tree.add("BAT4", &[]);
        tree.add("AC", &[("type", "Mains"), ("online", "maybe")]);
        fs::write(tree.path().join("BAT1/type"), [0xff, 0xfe, 0x00]).unwrap();
        fs::create_dir(tree.path().join("BAT4/type")).unwrap();
        fs::write(tree.path().join("a file"), "Battery").unwrap();
        assert_eq!(tree.read(), supplies(true, None));
        tree.battery("BAT5", "Discharging", "101");
        assert_eq!(tree.read(), supplies(true, 100));
    }
}
