//! Files in the repository that `ahoy-cli` prints are what it prints now.

use std::path::Path;
use std::process::Command;

/// Compares what `arguments` print with a file in `docs/`.
#[track_caller]
fn is_written(arguments: &[&str], file: &str) {
    let printed =
        Command::new(env!("CARGO_BIN_EXE_ahoy-cli")).args(arguments).output().expect("ahoy-cli starts");
    assert!(printed.status.success(), "{printed:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("AHOY_GENERATE").is_some() {
        std::fs::write(&path, &printed.stdout).expect("the schema can be written");
    }
    let written = std::fs::read(&path).expect("the schema is checked in");
    assert!(written == printed.stdout, "the report has changed; run: cargo xtask generate");
}

#[test]
fn the_written_schema_of_the_report_is_that_of_the_code() {
    is_written(&["loopback", "--print-schema"], "loopback-report.schema.json");
}

#[test]
fn the_written_schema_of_the_report_of_the_doctor_is_that_of_the_code() {
    is_written(&["doctor", "--print-schema"], "doctor-report.schema.json");
}

#[test]
fn the_written_schema_of_the_report_of_calls_is_that_of_the_code() {
    is_written(&["call", "--print-schema"], "call-report.schema.json");
}
