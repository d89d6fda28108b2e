//! How many tests a program says it ran.

use std::iter::Sum;
use std::ops::Add;

/// Results of some tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Add for Counts {
    type Output = Counts;
    fn add(self, other: Counts) -> Counts {
        Counts { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), Counts::add)
    }
}

/// The counts in one line of a program's output, if it is a summary:
/// ours (`3 passed, 1 failed`), libtest's (`test result: ok. 3 passed; 1 failed; …`), vitest's
/// (`Tests  1 failed | 3 passed (4)`).
pub(crate) fn in_line(line: &str) -> Option<Counts> {
    let line = without_colours(line);
    let line = line.trim();
    let numbers = |text: &str, separator: &str| {
        let count = |word: &str| {
            let part = text.split(separator).map(str::trim).find_map(|part| part.split_once(word));
            part.and_then(|(number, _)| number.split_whitespace().last()?.parse().ok())
        };
        (count(" passed"), count(" failed"))
    };
    if let Some(rest) = line.strip_prefix("test result:") {
        let (passed, failed) = numbers(rest, ";");
        Some(Counts { passed: passed?, failed: failed? })
    } else if let Some(rest) = line.strip_prefix("Tests  ") {
        match numbers(rest, "|") {
            (None, None) => None,
            (passed, failed) => Some(Counts { passed: passed.unwrap_or(0), failed: failed.unwrap_or(0) }),
        }
    } else if line.ends_with(" failed") && line.split(", ").count() == 2 {
        let (passed, failed) = line.split_once(", ")?;
        let number = |text: &str, word| text.strip_suffix(word)?.parse().ok();
        Some(Counts { passed: number(passed, " passed")?, failed: number(failed, " failed")? })
    } else {
        None
    }
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The counts in the root element of a JUnit report, as nextest writes it.
pub(crate) fn in_junit(report: &str) -> Option<Counts> {
    let root = report.split_once("<testsuites ")?.1.split_once('>')?.0;
    let attribute = |name: &str| -> Option<u64> {
        let (_, rest) = root.split_once(&format!("{name}=\""))?;
        rest.split_once('"')?.0.parse().ok()
    };
    let failed = attribute("failures")? + attribute("errors")?;
    Some(Counts { passed: attribute("tests")?.checked_sub(failed)?, failed })
}

/// The tests that failed according to a JUnit report, as nextest writes it.
pub(crate) fn failures_in_junit(report: &str) -> Vec<String> {
    let failed = |case: &str| case.contains("<failure") || case.contains("<error");
    let cases = report.split("<testcase ").skip(1).filter(|case| failed(case));
    cases
        .filter_map(|case| {
            let attribute = |name: &str| case.split_once(name)?.1.split_once('"').map(|(value, _)| value);
            Some(format!("{} {}", attribute("classname=\"")?, attribute("name=\"")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_recognised() {
        let counts = |passed, failed| Some(Counts { passed, failed });
        let libtest = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(in_line(libtest), counts(3, 1));
        assert_eq!(in_line("12 passed, 0 failed"), counts(12, 0));
        assert_eq!(
            in_line("\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m7 passed\u{1b}[39m\u{1b}[22m (7)"),
            counts(7, 0)
        );
        assert_eq!(in_line("      Tests  1 failed | 7 passed (8)"), counts(7, 1));
        assert_eq!(in_line("      Tests  2 failed (2)"), counts(0, 2));
    }

    #[test]
    fn other_lines_are_not_taken_for_summaries() {
        for line in [
            "test a::b ... ok",
            "Test Files  1 passed (1)",
            "3 packets passed, 1 failed",
            "connection failed",
            "",
        ] {
            assert_eq!(in_line(line), None, "{line}");
        }
    }

    #[test]
    fn junit_totals_are_read_from_the_root_element() {
        let report = "<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" tests=\"9\" failures=\"2\" errors=\"1\" time=\"1\">\n\
                      <testsuite name=\"a\" tests=\"4\" failures=\"0\" errors=\"0\"/></testsuites>";
        assert_eq!(in_junit(report), Some(Counts { passed: 6, failed: 3 }));
        assert_eq!(in_junit("<testsuites name=\"x\">"), None);
    }

    #[test]
    fn junit_names_the_tests_that_failed() {
        let report = "<testsuites tests=\"3\"><testsuite name=\"a::b\">\
                      <testcase name=\"good\" classname=\"a::b\" time=\"1\"/>\
                      <testcase name=\"m::bad\" classname=\"a::b\" time=\"1\"><failure type=\"t\">x</failure></testcase>\
                      <testcase name=\"gone\" classname=\"c\" time=\"1\"><error type=\"t\"/></testcase>\
                      </testsuite></testsuites>";
        assert_eq!(failures_in_junit(report), ["a::b m::bad", "c gone"]);
    }
}
