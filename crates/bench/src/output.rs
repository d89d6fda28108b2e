//! The form that every bench reports in: rows of figures, each with its peer's and its goal.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::intervals::Interval;

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Ours is at most this.
    AtMost(f64),
    /// Ours is at least this.
    AtLeast(f64),
    /// Ours is neither less nor more than these.
    Within(f64, f64),
    /// Ours is at most so many times the peer's.
    RatioAtMost(f64),
    /// Ours is at least so many times the peer's.
    RatioAtLeast(f64),
}

impl Goal {
    /// Whether the goal is met; `None` where the figure that it needs was not measured.
    fn met(self, ours: Option<f64>, ratio: Option<f64>) -> Option<bool> {
        match self {
            Goal::AtMost(limit) => ours.map(|v| v <= limit),
            Goal::AtLeast(limit) => ours.map(|v| v >= limit),
            Goal::Within(least, most) => ours.map(|v| (least..=most).contains(&v)),
            Goal::RatioAtMost(limit) => ratio.map(|v| v <= limit),
            Goal::RatioAtLeast(limit) => ratio.map(|v| v >= limit),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtMost(v) => write!(f, "<= {v}"),
            Goal::AtLeast(v) => write!(f, ">= {v}"),
            Goal::Within(least, most) => write!(f, "{least} to {most}"),
            Goal::RatioAtMost(v) => write!(f, "ratio <= {v}"),
            Goal::RatioAtLeast(v) => write!(f, "ratio >= {v}"),
        }
    }
}

/// How far a figure can be trusted; all null where a bench does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Certainty {
    /// 95 % confidence interval of `ours`, `[low, high]`.
    pub(crate) ours_interval: Option<Interval>,
    /// The same of `peer`.
    pub(crate) peer_interval: Option<Interval>,
    /// The same of `ratio`, of runs taken in pairs.
    pub(crate) ratio_interval: Option<Interval>,
    /// How many runs `ours` is the median of.
    pub(crate) ours_runs: Option<usize>,
    /// How many runs `peer` is the median of.
    pub(crate) peer_runs: Option<usize>,
}

/// One figure of a bench.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was run, such as `720p30`.
    pub(crate) case: String,
    /// What was measured.
    pub(crate) metric: &'static str,
    /// Unit of `ours` and `peer`.
    pub(crate) unit: &'static str,
    /// Ahoy's median; null if it could not be measured.
    pub(crate) ours: Option<f64>,
    /// The peer's median in the same run; null if there is none.
    pub(crate) peer: Option<f64>,
    /// The peer's name; null if there is none.
    pub(crate) peer_name: Option<&'static str>,
    /// `ours / peer`.
    pub(crate) ratio: Option<f64>,
    /// How sure the three are.
    #[serde(flatten)]
    pub(crate) certainty: Certainty,
    /// What the figure has to be; null where it is only reported.
    pub(crate) goal: Option<String>,
    /// Whether the goal is met; null without a goal. A figure that was not measured does not meet its goal.
    pub(crate) met: Option<bool>,
}

impl Row {
    pub(crate) fn new(
        case: &str,
        metric: &'static str,
        unit: &'static str,
        ours: Option<f64>,
        peer: Option<(&'static str, f64)>,
        goal: Option<Goal>,
    ) -> Self {
        let peer_value = peer.map(|(_, value)| value);
        let ratio = match (ours, peer_value) {
            (Some(ours), Some(peer)) if peer != 0.0 => Some(ours / peer),
            (_, _) => None,
        };
        Self {
            case: case.to_owned(),
            metric,
            unit,
            ours,
            peer: peer_value,
            peer_name: peer.map(|(name, _)| name),
            ratio,
            certainty: Certainty::default(),
            goal: goal.map(|g| g.to_string()),
            met: goal.map(|g| g.met(ours, ratio).unwrap_or(false)),
        }
    }

    /// The same with how sure it is.
    pub(crate) fn certain(self, certainty: Certainty) -> Self {
        Self { certainty, ..self }
    }
}

/// The machine that a bench ran on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Processors that the system shows.
    pub(crate) cores: usize,
    /// Load average over the minute before the bench began.
    pub(crate) load1: f64,
    /// Processor's name.
    pub(crate) cpu: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name =
            cpuinfo.lines().find_map(|l| l.strip_prefix("model name").and_then(|l| l.split_once(": ")));
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load1: load.split(' ').next().and_then(|l| l.parse().ok()).unwrap_or(f64::NAN),
            cpu: name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned()),
        }
    }
}

/// All that a bench found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Findings {
    /// The bench's name.
    pub(crate) bench: &'static str,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// Its figures.
    pub(crate) rows: Vec<Row>,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = &self.machine;
        writeln!(f, "{} on {} ({} cores, load {:.2} before)", self.bench, m.cpu, m.cores, m.load1)?;
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["case", "metric", "ours", "peer", "ratio", "goal", "met"]);
        for row in &self.rows {
            let figure = |v: Option<f64>, interval: Option<Interval>| match v {
                None => "–".to_owned(),
                Some(v) => with_interval(format!("{} {}", digits(v), row.unit), interval),
            };
            let sure = &row.certainty;
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            let peer = match row.peer_name {
                Some(name) => format!("{} ({name})", figure(row.peer, sure.peer_interval)),
                None => String::new(),
            };
            table.add_row([
                Cell::new(&row.case),
                Cell::new(row.metric),
                right(figure(row.ours, sure.ours_interval)),
                right(peer),
                right(row.ratio.map(|v| with_interval(digits(v), sure.ratio_interval)).unwrap_or_default()),
                Cell::new(row.goal.as_deref().unwrap_or("")),
                Cell::new(row.met.map_or("", |met| if met { "yes" } else { "NO" })),
            ]);
        }
        write!(f, "{table}")
    }
}

/// Such as `90.6 % [89.9, 91.3]`.
fn with_interval(figure: String, interval: Option<Interval>) -> String {
    match interval {
        None => figure,
        Some([low, high]) => format!("{} [{}, {}]", figure.trim_end(), digits(low), digits(high)),
    }
}

fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The middle value; `None` of none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_compared_with_what_was_measured() {
        let row = |ours, goal| Row::new("c", "m", "ms", ours, Some(("peer", 20.0)), Some(goal));
        assert_eq!(row(Some(10.0), Goal::AtMost(10.0)).met, Some(true));
        assert_eq!(row(Some(10.1), Goal::AtMost(10.0)).met, Some(false));
        assert_eq!(row(Some(10.0), Goal::AtLeast(10.0)).met, Some(true));
        assert_eq!(row(None, Goal::AtLeast(0.0)).met, Some(false));
        assert_eq!(row(Some(10.0), Goal::RatioAtMost(0.5)).met, Some(true));
        assert_eq!(row(Some(10.1), Goal::RatioAtMost(0.5)).met, Some(false));
        assert_eq!(Row::new("c", "m", "ms", Some(1.0), None, None).met, None);
    }

    #[test]
    fn medians_take_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, f64::NAN, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn the_json_form_has_the_documented_fields() {
        let row = Row::new("720p30", "latency", "ms", Some(15.0), None, Some(Goal::AtMost(20.0)));
        let machine = Machine { cores: 2, load1: 0.1, cpu: "x".into() };
        let json = serde_json::to_value(Findings { bench: "loopback", machine, rows: vec![row] }).unwrap();
        let row = &json["rows"][0];
        let page = include_str!("../../../docs/benchmarks.md");
        let intervals = ["ours_interval", "peer_interval", "ratio_interval", "ours_runs", "peer_runs"];
        let others = ["case", "metric", "unit", "ours", "peer", "peer_name", "ratio", "goal", "met"];
        for field in others.into_iter().chain(intervals) {
            assert!(row.get(field).is_some(), "{field}");
            assert!(page.contains(&format!("\"{field}\"")), "docs/benchmarks.md does not name {field}");
        }
        assert_eq!(row.as_object().unwrap().len(), others.len() + intervals.len());
        assert_eq!((&row["met"], &row["peer"]), (&serde_json::json!(true), &serde_json::Value::Null));
        assert!(intervals.iter().all(|field| row[field].is_null()));
    }

    #[test]
    fn the_table_shows_how_sure_a_figure_is_only_where_that_is_known() {
        let row = Row::new("5.1", "media", "%", Some(90.61), Some(("Chromium", 62.9)), None);
        let certainty = Certainty {
            ours_interval: Some([89.9, 91.3]),
            ratio_interval: Some([1.4, 1.5]),
            ..Certainty::default()
        };
        let table = |rows| {
            let machine = Machine { cores: 2, load1: 0.1, cpu: "x".into() };
            Findings { bench: "network", machine, rows }.to_string()
        };
        let plain = table(vec![row.clone()]);
        assert!(plain.contains(" 90.6 % ") && !plain.contains('['), "{plain}");
        let sure = table(vec![row.certain(certainty)]);
        assert!(sure.contains(" 90.6 % [89.9, 91.3] ") && sure.contains(" 62.9 % (Chromium) "), "{sure}");
        assert!(sure.contains(" 1.441 [1.400, 1.500] "), "{sure}");
    }
}
