//! Files in the repository that `ahoy-cli` prints are what it prints now.

use std::path::Path;
use std::process::Command;

#[test]
fn the_written_schema_of_the_report_is_that_of_the_code() {
    let printed = Command::new(env!("CARGO_BIN_EXE_ahoy-cli"))
        .args(["loopback", "--print-schema"])
        .output()
        .expect("ahoy-cli starts");
    assert!(printed.status.success(), "{printed:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/loopback-report.schema.json");
    if std::env::var_os("AHOY_GENERATE").is_some() {
        std::fs::write(&path, &printed.stdout).expect("the schema can be written");
    }
    let written = std::fs::read(&path).expect("the schema is checked in");
    assert!(written == printed.stdout, "the report has changed; run: cargo xtask generate");
}
