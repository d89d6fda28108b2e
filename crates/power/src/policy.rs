//! What follows from what a machine says.

use std::time::Duration;

/// From here on a discharging battery is nearly empty: most systems begin to warn at 20 %.
const LOW_PERCENT: u8 = 20;
/// Above this it is not any more, so that a charge that is reckoned anew changes nothing.
const ENOUGH_PERCENT: u8 = 25;
/// A machine that has got less to do cools down, and would be hot again at once if it got more.
const COOL_FOR: Duration = Duration::from_secs(60);

/// What a machine says of its power at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether its batteries are being emptied.
    pub on_battery: bool,
    /// How full they are together; `None` without one, or where it does not say.
    pub charge_percent: Option<u8>,
    /// Whether the person, or the system for them, has chosen to save power.
    pub saver: bool,
    /// Whether it has slowed down, or is about to, because it is hot.
    pub hot: bool,
}

/// Why power is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The system is set to.
    Saver,
    /// The battery is nearly empty, and nothing charges it.
    LowBattery,
    /// The machine is hot, or was a moment ago.
    Hot,
}

/// How a machine is, and what follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerState {
    /// What it said last.
    pub reading: Reading,
    /// Why power is to be saved; `None` where it is not.
    pub reason: Option<Reason>,
}

/// Decides whether power is to be saved, and keeps to it where a machine wavers.
#[derive(Debug, Default)]
pub struct PowerPolicy {
    low: bool,
    hot_at: Option<Duration>,
}

impl PowerPolicy {
    /// Decides. `now` is the time since any moment, the same each time.
    pub fn decide(&mut self, reading: Reading, now: Duration) -> PowerState {
        let limit = if self.low { ENOUGH_PERCENT } else { LOW_PERCENT };
        self.low = reading.on_battery && reading.charge_percent.is_some_and(|percent| percent <= limit);
        if reading.hot {
            self.hot_at = Some(now);
        }
        let hot = self.hot_at.is_some_and(|at| now.saturating_sub(at) < COOL_FOR);
        let reason = match (reading.saver, self.low, hot) {
            (true, _, _) => Some(Reason::Saver),
            (false, true, _) => Some(Reason::LowBattery),
            (false, false, true) => Some(Reason::Hot),
            (false, false, false) => None,
        };
        PowerState { reading, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn battery(on_battery: bool, percent: u8) -> Reading {
        Reading { on_battery, charge_percent: Some(percent), ..Reading::default() }
    }

    /// The reasons that follow from readings which come ten seconds apart.
    fn reasons(readings: impl IntoIterator<Item = Reading>) -> Vec<Option<Reason>> {
        let mut policy = PowerPolicy::default();
        let times = (0..).map(|n| Duration::from_secs(n * 10));
        readings.into_iter().zip(times).map(|(reading, now)| policy.decide(reading, now).reason).collect()
    }

    #[test]
    fn a_machine_that_says_nothing_saves_nothing() {
        assert_eq!(reasons([Reading::default()]), [None]);
        let no_charge = Reading { on_battery: true, ..Reading::default() };
        assert_eq!(reasons([no_charge]), [None]);
    }

    #[test]
    fn the_power_saver_counts_at_once_both_ways() {
        let saver = Reading { saver: true, ..battery(false, 100) };
        assert_eq!(reasons([saver, battery(false, 100)]), [Some(Reason::Saver), None]);
    }

    #[test]
    fn a_nearly_empty_battery_counts_until_there_is_clearly_more() {
        let low = Some(Reason::LowBattery);
        let percents = [21, 20, 21, 25, 26, 25, 21, 20];
        let expected = [None, low, low, low, None, None, None, low];
        assert_eq!(reasons(percents.map(|percent| battery(true, percent))), expected);
    }

    #[test]
    fn a_nearly_empty_battery_that_is_charged_does_not_count() {
        let low = Some(Reason::LowBattery);
        let readings = [battery(false, 5), battery(true, 5), battery(false, 5), battery(true, 22)];
        assert_eq!(reasons(readings), [None, low, None, None]);
    }

    #[test]
    fn a_machine_counts_as_hot_until_it_has_been_cool_for_a_minute() {
        let hot = Reading { hot: true, ..Reading::default() };
        let cool = Reading::default();
        let told = reasons([cool, hot, hot, cool, cool, cool, cool, cool, cool, cool]);
        let counted: Vec<_> = told.iter().map(Option::is_some).collect();
        assert_eq!(counted, [false, true, true, true, true, true, true, true, false, false]);
        assert_eq!(told[1], Some(Reason::Hot));
    }

    #[test]
    fn what_the_person_has_chosen_is_told_first() {
        let all = Reading { saver: true, hot: true, ..battery(true, 3) };
        let rest = Reading { saver: false, ..all };
        assert_eq!(reasons([all, rest]), [Some(Reason::Saver), Some(Reason::LowBattery)]);
    }
}
