//! The forms in which outcomes are told: a line while it runs, a table, JSON.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::pair::{Connected, Outcome, Path, Verdict};

/// All that came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Findings {
    /// The lab's name.
    pub(crate) lab: &'static str,
    /// Pairs by a way that is as good as expected.
    pub(crate) passed: usize,
    /// The others.
    pub(crate) failed: usize,
    /// All of them.
    pub(crate) pairs: Vec<Row>,
    #[serde(skip)]
    pub(crate) outcomes: Vec<Outcome>,
}

/// One pair.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The kind of network that the caller is in.
    pub(crate) a: &'static str,
    /// The one of whoever is called.
    pub(crate) b: &'static str,
    /// Whether a connection came about.
    pub(crate) connected: bool,
    /// The way that theory expects.
    pub(crate) expected: &'static str,
    /// The way that was found; null without a connection.
    pub(crate) found: Option<&'static str>,
    /// The caller's candidate type; null without a connection.
    pub(crate) local: Option<String>,
    /// The type of the other side's candidate, as the caller sees it.
    pub(crate) remote: Option<String>,
    /// How the caller reaches its relay, where it has one and says so.
    pub(crate) relay_protocol: Option<String>,
    /// From the answer until pictures had come on both sides; null where some did not come.
    pub(crate) answer_to_media_ms: Option<f64>,
    /// What it is worth.
    pub(crate) verdict: Verdict,
    /// Why it could not be tried; null if it was.
    pub(crate) error: Option<String>,
}

impl Findings {
    pub(crate) fn of(outcomes: Vec<Outcome>) -> Self {
        let pairs: Vec<Row> = outcomes.iter().map(Row::of).collect();
        let passed = pairs.iter().filter(|row| row.verdict.is_good()).count();
        Self { lab: "nat", passed, failed: pairs.len() - passed, pairs, outcomes }
    }
}

impl Row {
    fn of(outcome: &Outcome) -> Self {
        let connected = outcome.connected();
        let path = connected.map(|connected| &connected.path);
        Self {
            a: outcome.a.name(),
            b: outcome.b.name(),
            connected: connected.is_some(),
            expected: outcome.expected.name(),
            found: outcome.way().map(|way| way.name()),
            local: path.map(|path| path.local.clone()),
            remote: path.map(|path| path.remote.clone()),
            relay_protocol: path.and_then(|path| path.relay_protocol.clone()),
            answer_to_media_ms: connected.and_then(|connected| connected.media_ms).map(f64::round),
            verdict: outcome.verdict(),
            error: outcome.call.as_ref().err().cloned(),
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header([
            "caller",
            "called",
            "expected",
            "found",
            "candidates",
            "answer to media",
            "verdict",
        ]);
        for outcome in &self.outcomes {
            let connected = outcome.connected();
            let media = connected.and_then(|connected| connected.media_ms);
            table.add_row([
                Cell::new(outcome.a),
                Cell::new(outcome.b),
                Cell::new(outcome.expected),
                Cell::new(outcome.way().map_or("–", |way| way.name())),
                Cell::new(connected.map(|connected| connected.path.to_string()).unwrap_or_default()),
                Cell::new(media.map(|ms| format!("{ms:.0} ms")).unwrap_or_default())
                    .set_alignment(CellAlignment::Right),
                Cell::new(outcome.verdict().words()),
            ]);
        }
        writeln!(f, "{table}")?;
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} – {}: {}", self.a, self.b, self.verdict().words())?;
        match &self.call {
            Err(error) => write!(f, " ({error})"),
            Ok(None) => write!(f, " (expected: {})", self.expected),
            Ok(Some(connected)) => write!(f, " ({connected})"),
        }
    }
}

impl fmt::Display for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)?;
        match self.media_ms {
            Some(ms) => write!(f, ", media after {ms:.0} ms"),
            None => f.write_str(", no media"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.local, self.remote)?;
        match &self.relay_protocol {
            Some(protocol) => write!(f, ", {protocol} to the relay"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ahoy_testkit::lab::nat::{Expected, Kind};

    fn outcomes() -> Vec<Outcome> {
        let path = Path {
            protocol: "udp".into(),
            local: "host".into(),
            remote: "prflx".into(),
            relay_protocol: None,
        };
        let connected = Connected { path, there: None, media_ms: Some(123.4) };
        let (a, b) = (Kind::Open, Kind::Symmetric);
        let of = |call| Outcome { a, b, expected: Expected::DirectUdp, call };
        vec![of(Ok(Some(connected))), of(Ok(None)), of(Err("no room".to_owned()))]
    }

    #[test]
    fn the_json_form_tells_what_was_found_and_what_was_not() {
        let json = serde_json::to_value(Findings::of(outcomes())).unwrap();
        assert_eq!((&json["lab"], &json["passed"], &json["failed"]), (&"nat".into(), &1.into(), &2.into()));
        let row = &json["pairs"][0];
        assert_eq!((&row["found"], &row["verdict"]), (&"direct".into(), &"as_expected".into()));
        assert_eq!((&row["remote"], &row["answer_to_media_ms"]), (&"prflx".into(), &123.0.into()));
        let failed = &json["pairs"][1];
        assert!(failed["found"].is_null() && failed["connected"] == false);
        assert_eq!(
            (&failed["verdict"], &failed["error"]),
            (&"not_connected".into(), &serde_json::Value::Null)
        );
        assert_eq!(json["pairs"][2]["error"], "no room");
    }

    #[test]
    fn the_table_has_a_line_for_each_pair_and_ends_with_the_sum() {
        let table = Findings::of(outcomes()).to_string();
        assert_eq!(table.matches("symmetric").count(), 3, "{table}");
        assert!(table.contains("host → prflx") && table.contains("NOT CONNECTED"), "{table}");
        assert!(table.ends_with("\n1 passed, 2 failed"), "{table}");
    }
}
