//! `ahoy-cli sign-up`, `sign-in` and `sign-out`.

use ahoy_client::account::{Accounts, Keeping, SignInRecord, SignedIn};
use ahoy_signal::account::{Recover, SignIn, SignUp};
use ahoy_signal::{Name, RecoveryCode};
use anyhow::{Context as _, Result};
use serde_json::json;

use super::{connect, json_line, print_line};
use crate::Outcome;
use crate::args::{SignInArgs, SignOutArgs, SignUpArgs};
use crate::password::Secrets;

pub(crate) async fn sign_up(args: SignUpArgs) -> Result<Outcome> {
    let json = args.server.session.json;
    let accounts = connect::accounts(&args.server.session).await?;
    let server = connect::choice(&accounts, &args.server)?;
    accounts.check().await?;
    let secrets = Secrets { stdin: args.password.password_stdin };
    let account = SignUp {
        name: args.name.map_or_else(|| Name::new(args.handle.as_str()), Ok)?,
        handle: args.handle,
        password: secrets.new_password()?,
        device_name: device_name(&args.server.device_name)?,
        sign_up_code: args.sign_up_code,
    };
    let (signed_in, codes) = accounts.sign_up(&server, &account).await?;
    told(&accounts, &signed_in, Some(&codes), json)
}

pub(crate) async fn sign_in(args: SignInArgs) -> Result<Outcome> {
    let json = args.server.session.json;
    let accounts = connect::accounts(&args.server.session).await?;
    let server = connect::choice(&accounts, &args.server)?;
    accounts.check().await?;
    let secrets = Secrets { stdin: args.password.password_stdin };
    let device_name = device_name(&args.server.device_name)?;
    let signed_in = if args.recover {
        let recovery = Recover {
            handle: args.handle,
            recovery_code: secrets.recovery_code()?,
            new_password: secrets.new_password()?,
            device_name,
        };
        accounts.recover(&server, &recovery).await?
    } else {
        let credentials = SignIn { handle: args.handle, password: secrets.password()?, device_name };
        accounts.sign_in(&server, &credentials).await?
    };
    told(&accounts, &signed_in, None, json)
}

pub(crate) async fn sign_out(args: SignOutArgs) -> Result<Outcome> {
    let accounts = connect::accounts(&args.session).await?;
    let server = connect::named_server(&args.session)?;
    let record = if args.forget {
        let record = accounts.record(server.as_ref())?;
        accounts.forget(record.clone()).await?;
        record
    } else {
        accounts.sign_out(server.as_ref()).await.context(
            "you are still signed in; sign-out --forget forgets the sign-in here without asking the server",
        )?
    };
    if args.session.json {
        json_line(&json!({"type": "signed_out", "handle": record.handle, "server": record.server}))?;
    } else {
        print_line(&format!("{} is signed out of {}.", record.handle, record.server))?;
    }
    Ok(Outcome::Good)
}

fn device_name(text: &str) -> Result<Name> {
    Name::new(text).context("--device-name")
}

fn told(
    accounts: &Accounts,
    signed_in: &SignedIn,
    codes: Option<&[RecoveryCode]>,
    json: bool,
) -> Result<Outcome> {
    let Some(record) = signed_in.record() else { return Ok(Outcome::Good) };
    if json {
        let mut line = signed_in_json(record, accounts.keeping());
        if let Some(codes) = codes {
            line["recovery_codes"] = json!(codes);
        }
        json_line(&line)?;
        return Ok(Outcome::Good);
    }
    print_line(&signed_in_words(record, accounts.keeping()))?;
    if let Some(codes) = codes {
        recovery_codes(codes)?;
    }
    Ok(Outcome::Good)
}

pub(super) fn signed_in_json(record: &SignInRecord, keeping: Keeping) -> serde_json::Value {
    json!({
        "type": "signed_in",
        "server": record.server,
        "handle": record.handle,
        "name": record.name,
        "user": record.user,
        "device": record.device,
        "kept_in": keeping,
    })
}

pub(super) fn signed_in_words(record: &SignInRecord, keeping: Keeping) -> String {
    let kept = match keeping {
        Keeping::Keyring => "in the system's keyring",
        Keeping::File => "in a file, which must stay yours alone",
        Keeping::Memory => "in this program, until it ends",
    };
    format!(
        "{} ({}) is signed in at {}. The sign-in is kept {kept}.",
        record.name, record.handle, record.server
    )
}

/// Shows recovery codes.
pub(super) fn recovery_codes(codes: &[RecoveryCode]) -> Result<()> {
    print_line("Recovery codes, shown now and never again. Each gets you in once if the password is lost:")?;
    codes.iter().try_for_each(|code| print_line(&format!("  {}", code.as_str())))
}
