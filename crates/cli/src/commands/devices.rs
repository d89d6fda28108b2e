//! `ahoy-cli devices`.

use std::io::Write as _;

use ahoy_client::devices;
use anyhow::Result;

use crate::args::DevicesArgs;
use crate::{Outcome, table};

pub(crate) fn run(args: &DevicesArgs) -> Result<Outcome> {
    let found = devices::list();
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&found)?)?;
    } else {
        out.write_all(table::devices(&found).as_bytes())?;
    }
    Ok(Outcome::Good)
}
