//! Servers, sign-in, and one's account.

use std::path::PathBuf;

use ahoy_signal::{DeviceId, Handle, Name};
use clap::{Args, Subcommand};

use super::EXIT_CODES;

/// Where one is signed in.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server and sign-in")]
pub(crate) struct SessionArgs {
    #[arg(
        long,
        help = "Address of the server, such as https://call.example.org; the one you signed in to last if left out",
        value_name = "URL",
        env = "AHOY_SERVER"
    )]
    pub(crate) server: Option<String>,

    /// Allow http:// to other machines than this one: passwords then cross the network in the open
    #[arg(long)]
    pub(crate) insecure_http: bool,

    /// Keep the sign-in in this file instead of the system's keyring, for machines without one. Whoever can read the file is signed in as you
    #[arg(long, value_name = "PATH", env = "AHOY_SESSION_FILE")]
    pub(crate) session_file: Option<PathBuf>,

    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A server to sign in to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server and sign-in")]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,

    /// Certificate (PEM) of the server's own authority, where the system does not know it. Remembered for this server
    #[arg(long, value_name = "PATH")]
    pub(crate) ca_file: Option<PathBuf>,

    /// What this device is called in your list of devices
    #[arg(long, value_name = "NAME", default_value_t = device_name())]
    pub(crate) device_name: String,
}

fn device_name() -> String {
    format!("ahoy-cli on {}", std::env::consts::OS)
}

/// How secrets are typed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PasswordArgs {
    /// Read what would be typed from standard input, one line each, in the order in which it is asked for
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
#[command(after_help = SIGN_UP_HELP)]
pub(crate) struct SignUpArgs {
    /// What people find you by: small letters, digits, dots, dashes and underscores
    pub(crate) handle: Handle,

    /// What you are called; your handle if left out
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,

    /// The server's word for new people, where it wants one
    #[arg(long, value_name = "CODE")]
    pub(crate) sign_up_code: Option<String>,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

const SIGN_UP_HELP: &str = "\
The password is asked for and not shown. Recovery codes are printed once: keep them where you keep important papers,
each gets you into your account once if you lose the password (ahoy-cli sign-in --recover).

Example:
  ahoy-cli sign-up ada --name \"Ada Lovelace\" --server https://call.example.org

Exit codes:
  0  you have an account and are signed in
  1  the server refused, for example because the handle is taken
  2  the command line can't be understood
  3  nothing could be done: no server, no keyring";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct SignInArgs {
    /// What people find you by
    pub(crate) handle: Handle,

    /// Your password is lost: a recovery code and a new password are asked for; all other devices are signed out
    #[arg(long)]
    pub(crate) recover: bool,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct SignOutArgs {
    /// Only forget the sign-in here, without asking the server; the device stays in your list of devices
    #[arg(long)]
    pub(crate) forget: bool,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    pub(crate) command: AccountCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Show who is signed in, and where the sign-in is kept
    Show {
        #[command(flatten)]
        session: SessionArgs,
    },
    /// List the devices that are signed in
    Devices {
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Sign a device out, such as a lost one
    Revoke {
        /// Its id, as `account devices` lists it
        device: DeviceId,
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Change the password; the other devices are signed out. Asks for the old one, then the new one
    Password {
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Make new recovery codes; the old ones are void. Asks for the password
    RecoveryCodes {
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        session: SessionArgs,
    },
    /// List security events: sign-ins, changed passwords, revoked devices
    Log {
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Print everything that the server stores about you, as JSON
    Export {
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Delete the account and everything of it on the server. Asks for the password; there is no way back
    Delete {
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        session: SessionArgs,
    },
}
