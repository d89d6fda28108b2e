//! What came out, for people and for programs.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

/// Growth that tells nothing, in bytes: pages that an allocator touches for the first time.
const GROWTH_ALWAYS: u64 = 2_000_000;

/// A figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

/// What a scenario found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Which.
    pub(crate) scenario: &'static str,
    /// `server` or `hub`.
    pub(crate) target: &'static str,
    /// Whether the figures are the server's. Otherwise `invalid` says why they are not.
    pub(crate) valid: bool,
    /// What spoils the figures, such as a load that was late itself.
    pub(crate) invalid: Vec<String>,
    /// What went wrong and must not under any load, such as connections that broke.
    pub(crate) faults: Vec<String>,
    /// Figures by their names, which say their units.
    #[serde(serialize_with = "by_name")]
    pub(crate) figures: Vec<Figure>,
}

fn by_name<S: Serializer>(figures: &[Figure], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(figures.len()))?;
    for Figure { name, value, .. } in figures {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

impl Report {
    pub(crate) fn add(&mut self, name: &'static str, unit: &'static str, value: f64) {
        self.figures.push(Figure { name, unit, value });
    }

    /// So many of something of which there must be none.
    pub(crate) fn none_but(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.faults.push(format!("{count} {what}"));
        }
    }

    /// Memory must not grow with what has been done: from here to there, in bytes.
    pub(crate) fn must_be_flat(&mut self, early: u64, late: u64) {
        if late > early + early / 10 + GROWTH_ALWAYS {
            let (early, late) = (early as f64 / 1e6, late as f64 / 1e6);
            self.faults.push(format!("the server's memory grew from {early:.1} to {late:.1} MB"));
        }
    }

    /// The figures are not to be trusted.
    pub(crate) fn spoil(&mut self, why: String) {
        self.valid = false;
        self.invalid.push(why);
    }
}

/// Faults shown to people; programs get more.
const FAULTS_SHOWN: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of the {}", self.scenario, self.target)?;
        for Figure { name, unit, value } in &self.figures {
            writeln!(f, "  {name:<34} {value:>14.3} {unit}")?;
        }
        for fault in self.faults.iter().take(FAULTS_SHOWN) {
            writeln!(f, "  fault: {fault}")?;
        }
        if self.faults.len() > FAULTS_SHOWN {
            writeln!(f, "  … and {} more faults", self.faults.len() - FAULTS_SHOWN)?;
        }
        for why in &self.invalid {
            writeln!(f, "  NOT VALID: {why}")?;
        }
        Ok(())
    }
}
