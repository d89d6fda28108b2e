//! The report.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::findings::Findings;
use super::verdict::{Conclusion, Severity, conclude};

/// Version of the JSON form; raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What was found out, and what it means. Addresses in it are those of whoever asked; there are no credentials in it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct DoctorReport {
    /// Version of this form.
    pub schema: u32,
    /// Whether calls connect and work, as far as could be seen.
    pub ok: bool,
    /// What is wrong and what to do, the worst first; never empty.
    pub conclusions: Vec<Conclusion>,
    /// What that rests on.
    pub findings: Findings,
    /// How long it took, in seconds.
    pub took_s: f64,
}

impl DoctorReport {
    pub(super) fn new(findings: Findings, took: Duration) -> Self {
        let conclusions = conclude(&findings);
        let ok = conclusions.iter().all(|conclusion| match conclusion.severity {
            Severity::CallsImpossible | Severity::SomeCallsFail => false,
            Severity::CallsWorkLessWell | Severity::Note => true,
        });
        let took_s = (took.as_secs_f64() * 10.0).round() / 10.0;
        Self { schema: SCHEMA_VERSION, ok, conclusions, findings, took_s }
    }

    /// The JSON Schema (2020-12) of the report.
    pub fn json_schema() -> String {
        let schema = schemars::schema_for!(DoctorReport);
        serde_json::to_string_pretty(&schema).expect("a schema is plain JSON") + "\n"
    }
}
