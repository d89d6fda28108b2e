//! `ahoy-cli account`.

use ahoy_client::account::AccountError;
use ahoy_signal::account::{AuditEntry, Device};
use anyhow::Result;
use serde_json::json;

use super::sign_in::{recovery_codes, signed_in_json, signed_in_words};
use super::{connect, json_line, print_line};
use crate::Outcome;
use crate::args::{AccountArgs, AccountCommand, SessionArgs};
use crate::password::Secrets;

pub(crate) async fn run(args: AccountArgs) -> Result<Outcome> {
    match args.command {
        AccountCommand::Show { session } => show(&session).await?,
        AccountCommand::Devices { session } => devices(&session).await?,
        AccountCommand::Revoke { device, session } => {
            let (_, signed_in) = connect::signed_in(&session).await?;
            signed_in.revoke_device(device).await?;
            done(&session, "device_revoked", "The device is signed out.")?;
        }
        AccountCommand::Password { password, session } => {
            let (_, signed_in) = connect::signed_in(&session).await?;
            let secrets = Secrets { stdin: password.password_stdin };
            signed_in.change_password(secrets.password()?, secrets.new_password()?).await?;
            done(
                &session,
                "password_changed",
                "The password is changed, and your other devices are signed out.",
            )?;
        }
        AccountCommand::RecoveryCodes { password, session } => {
            let (_, signed_in) = connect::signed_in(&session).await?;
            let secrets = Secrets { stdin: password.password_stdin };
            let codes = signed_in.new_recovery_codes(secrets.password()?).await?;
            if session.json {
                json_line(&json!({"type": "recovery_codes", "recovery_codes": codes}))?;
            } else {
                recovery_codes(&codes)?;
            }
        }
        AccountCommand::Log { session } => log(&session).await?,
        AccountCommand::Export { session } => {
            let (_, signed_in) = connect::signed_in(&session).await?;
            let everything = signed_in.export().await?;
            match session.json {
                true => json_line(&everything)?,
                false => print_line(&serde_json::to_string_pretty(&everything)?)?,
            }
        }
        AccountCommand::Delete { password, session } => {
            let (accounts, signed_in) = connect::signed_in(&session).await?;
            let secrets = Secrets { stdin: password.password_stdin };
            signed_in.delete_account(secrets.password()?).await?;
            if let Some(record) = signed_in.record() {
                accounts.forget(record.clone()).await?;
            }
            done(&session, "account_deleted", "The account and everything of it is deleted.")?;
        }
    }
    Ok(Outcome::Good)
}

fn done(session: &SessionArgs, kind: &str, words: &str) -> Result<()> {
    if session.json { json_line(&json!({"type": kind})) } else { print_line(words) }
}

async fn show(session: &SessionArgs) -> Result<()> {
    let accounts = connect::accounts(session).await?;
    let record = accounts.record(connect::named_server(session)?.as_ref())?;
    match session.json {
        true => json_line(&signed_in_json(&record, accounts.keeping())),
        false => print_line(&signed_in_words(&record, accounts.keeping())),
    }
}

async fn devices(session: &SessionArgs) -> Result<()> {
    let (_, signed_in) = connect::signed_in(session).await?;
    let devices: Vec<Device> = signed_in.devices().await?;
    for device in devices {
        if session.json {
            json_line(&json!({"type": "device", "device": device}))?;
        } else {
            let here = if device.current { "this one" } else { "" };
            let seen = day(device.last_seen_ms);
            print_line(&format!("{}  {:<24} last seen {seen}  {here}", device.device, device.name.as_str()))?;
        }
    }
    Ok(())
}

async fn log(session: &SessionArgs) -> Result<()> {
    let (_, signed_in) = connect::signed_in(session).await?;
    let events: Vec<AuditEntry> = signed_in.audit().await.map_err(|error: AccountError| error)?;
    for event in events {
        if session.json {
            json_line(&json!({"type": "security_event", "event": event}))?;
        } else {
            let from = event.address.map_or_else(String::new, |address| format!("  from {address}"));
            print_line(&format!("{}  {}{from}", day(event.at_ms), event.event))?;
        }
    }
    Ok(())
}

/// A day of the Gregorian calendar, in UTC, from milliseconds since 1970 (Howard Hinnant's `civil_from_days`).
fn day(ms: u64) -> String {
    let days = ms / 86_400_000 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (ms, expected) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_735_689_599_999, "2024-12-31"),
            (1_795_573_800_000, "2026-11-25"),
        ] {
            assert_eq!(day(ms), expected);
        }
    }
}
