//! The matrix in docs/connectivity.md.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ahoy_testkit::lab::nat::{Expected, Kind};
use anyhow::{Context as _, Result};

use crate::pair::Outcome;
use crate::report::Findings;

/// What the generated part of the page stands between.
const BEGIN: &str = "<!-- The matrix: written by `cargo xtask lab nat --write`. -->\n";
const END: &str = "<!-- End of the matrix. -->\n";

/// Puts the matrix into the page of the checkout that this was built from.
pub(crate) fn write(findings: &Findings) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectivity.md");
    let page = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
    let page = with_matrix(&page, &matrix(findings));
    let page = page.with_context(|| format!("{} has no place for the matrix", path.display()))?;
    fs::write(&path, page).with_context(|| format!("{} can't be written", path.display()))
}

/// The page with another matrix; `None` if it has no place for one.
fn with_matrix(page: &str, matrix: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{matrix}\n{END}{after}"))
}

/// A row and a column for each kind; below the diagonal it would say the same again.
fn matrix(findings: &Findings) -> String {
    let mut text = String::from("| |");
    for kind in Kind::ALL {
        // Writing to a string can't fail.
        let _ = write!(text, " {kind} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(Kind::ALL.len()));
    for a in Kind::ALL {
        let _ = write!(text, "\n| **{a}** |");
        for b in Kind::ALL {
            let found = findings.outcomes.iter().find(|outcome| (outcome.a, outcome.b) == (a, b));
            let _ = write!(text, " {} |", found.map(cell).unwrap_or_default());
        }
    }
    let _ = write!(text, "\n\n{} pairs as good as expected, {} not.", findings.passed, findings.failed);
    text.push('\n');
    text
}

fn cell(outcome: &Outcome) -> String {
    let verdict = outcome.verdict();
    let way = match outcome.way() {
        None => return format!("**{}** (expected: {})", verdict.words(), short(outcome.expected)),
        Some(way) => short(way),
    };
    let media = outcome.connected().and_then(|connected| connected.media_ms);
    let media = media.map(|ms| format!(" {ms:.0} ms")).unwrap_or_default();
    let remark = if verdict.is_good() { String::new() } else { format!(" **{}**", verdict.words()) };
    format!("{way}{media}{remark}")
}

fn short(way: Expected) -> &'static str {
    match way {
        Expected::DirectUdp => "direct",
        Expected::DirectTcp => "direct, TCP",
        Expected::RelayUdp => "UDP relay",
        Expected::RelayTcp => "TCP relay",
        Expected::RelayTls => "TLS relay",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let changed = with_matrix(&page, "new\n").unwrap();
        assert_eq!(changed, format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(with_matrix(&changed, "new\n").unwrap(), changed);
        assert_eq!(with_matrix("no marks", "new"), None);
    }

    #[test]
    fn the_page_has_a_place_for_the_matrix() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectivity.md");
        assert!(with_matrix(&fs::read_to_string(page).unwrap(), "").is_some());
    }

    #[test]
    fn a_pair_that_fails_is_told_with_what_was_expected() {
        let call = Ok(None);
        let outcome = Outcome { a: Kind::Symmetric, b: Kind::Symmetric, expected: Expected::RelayUdp, call };
        let matrix = matrix(&Findings::of(vec![outcome]));
        assert!(matrix.contains("| **NOT CONNECTED** (expected: UDP relay) |"), "{matrix}");
        assert!(matrix.ends_with("\n\n0 pairs as good as expected, 1 not.\n"), "{matrix}");
        assert_eq!(matrix.lines().filter(|line| line.starts_with("| **")).count(), Kind::ALL.len());
    }
}
