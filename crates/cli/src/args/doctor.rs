//! What keeps calls from connecting.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::SessionArgs;

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// Certificate (PEM) of the server's own authority, where the system does not know it
    #[arg(long, value_name = "PATH")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Leave out what takes longest: address translation, and the call through the relay
    #[arg(long)]
    pub(crate) quick: bool,

    /// Print the JSON Schema of the report that --json prints, and look at nothing
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) print_schema: bool,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

const DOCTOR_HELP: &str = "\
Looks at the server's name, the server, its certificate, this machine's clock, the session, UDP, relays and address
translation, calls yourself through the relay for two seconds, and says what is wrong and what to do, the worst first.
Without a sign-in it looks at what it can, up to the clock. With --json the report is one line.

Examples:
  ahoy-cli doctor                                      the server that you are signed in to
  ahoy-cli doctor --server https://call.example.org    any server

Exit codes:
  0  calls will work, as far as could be seen
  1  something is wrong: some calls fail, or all
  2  the command line can't be understood
  3  nothing could be checked: no server is named, or certificates can't be checked here
  130  ended by Ctrl-C";
