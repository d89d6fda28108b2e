//! `ahoy-cli doctor`.

use std::io::{IsTerminal as _, Write as _};

use ahoy_client::account::{AccountError, Accounts, ServerChoice, ServerUrl};
use ahoy_client::doctor::{self, CheckResult, DoctorConfig, DoctorReport, Progress, Session};
use anyhow::{Result, bail};
use tokio::sync::mpsc;

use super::{cancelled_by_ctrl_c, connect, json_line};
use crate::Outcome;
use crate::args::DoctorArgs;
use crate::table;

pub(crate) async fn run(args: DoctorArgs) -> Result<Outcome> {
    let mut out = std::io::stdout();
    if args.print_schema {
        out.write_all(DoctorReport::json_schema().as_bytes())?;
        return Ok(Outcome::Good);
    }
    let json = args.session.json;
    let config = config(args).await?;
    let (sender, mut progress) = mpsc::channel(doctor::EVENTS);
    let show = !json && std::io::stderr().is_terminal();
    let mut cancel = cancelled_by_ctrl_c();
    let examining = doctor::examine(config, sender);
    tokio::pin!(examining);
    let report = loop {
        tokio::select! {
            report = &mut examining => break report?,
            Some(progress) = progress.recv() => if show { show_progress(&progress) },
            _ = cancel.changed() => return Ok(Outcome::Interrupted),
        }
    };
    while let (true, Ok(progress)) = (show, progress.try_recv()) {
        show_progress(&progress);
    }
    match json {
        true => json_line(&report)?,
        false => out.write_all(table::doctor(&report).as_bytes())?,
    }
    Ok(if report.ok { Outcome::Good } else { Outcome::NotGood })
}

/// What is to be looked at: the server that is named, or the one that was signed in to last, and whoever is signed in there.
async fn config(args: DoctorArgs) -> Result<DoctorConfig> {
    let named = connect::named_server(&args.session)?;
    let accounts = connect::accounts(&args.session).await;
    let record = accounts.as_ref().ok().and_then(|accounts| accounts.record(named.as_ref()).ok());
    let plain = connect::plain(&args.session);
    let url = match (named, &record) {
        (Some(url), _) => url,
        (None, Some(record)) => ServerUrl::parse(&record.server, plain)?,
        (None, None) => bail!(
            "name the server with --server, such as --server https://call.example.org; you are signed in nowhere"
        ),
    };
    let session = match &accounts {
        Ok(accounts) => session(accounts, &url)?,
        // Without a keyring nobody is signed in; the rest can be looked at.
        Err(error) => {
            tracing::warn!(%error, "sign-ins can't be read");
            Session::None
        }
    };
    let ca_file = args.ca_file.or(record.and_then(|record| record.ca_file));
    let server = ServerChoice { ca_file, plain, ..ServerChoice::at(url) };
    Ok(DoctorConfig { server, session, client: connect::client_info(), quick: args.quick })
}

fn session(accounts: &Accounts, server: &ServerUrl) -> Result<Session> {
    match accounts.signed_in(Some(server)) {
        Ok(signed_in) => Ok(Session::SignedIn(signed_in)),
        Err(AccountError::NotSignedIn { .. }) => Ok(Session::None),
        Err(error) => Err(error.into()),
    }
}

#[expect(clippy::print_stderr, reason = "progress belongs on the terminal, not in the report")]
fn show_progress(progress: &Progress) {
    match progress {
        Progress::Began { check } => eprint!("\r\x1b[K  … {}", table::check(*check)),
        Progress::Ended { check, result, words } => {
            let mark = match result {
                CheckResult::Good => "✓",
                CheckResult::Partly => "~",
                CheckResult::Bad => "✗",
                CheckResult::Unknown => "?",
            };
            eprintln!("\r\x1b[K  {mark} {}: {words}", table::check(*check));
        }
    }
}
