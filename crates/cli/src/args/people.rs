//! Contacts, rooms, and being in one.

use std::path::PathBuf;

use ahoy_signal::{ChatText, Handle, InviteId, Name, limits};
use clap::{Args, Subcommand, ValueEnum};

use super::{EXIT_CODES, SessionArgs, seconds};

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ContactsArgs {
    #[command(subcommand)]
    pub(crate) command: ContactsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContactsCommand {
    /// List your contacts and who asks to be one
    List {
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Ask someone to be your contact, or agree where they have asked
    Add {
        /// What they are found by
        handle: Handle,
        #[command(flatten)]
        session: SessionArgs,
    },
    /// End a contact, decline who has asked, or lift a block
    Remove {
        /// What they are found by
        handle: Handle,
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Hear no more of someone; they are not told
    Block {
        /// What they are found by
        handle: Handle,
        #[command(flatten)]
        session: SessionArgs,
    },
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct RoomsArgs {
    #[command(subcommand)]
    pub(crate) command: RoomsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoomsCommand {
    /// List your rooms
    List {
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Make a room
    Create(RoomCreateArgs),
    /// Change a room: what is left out stays. Moderators can do that while they are in it
    Change(RoomChangeArgs),
    /// Delete a room; everybody in it leaves
    Delete {
        /// The room: its id or, where it is yours, its name
        room: String,
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Make a link that lets people without an account into a room
    Invite(RoomInviteArgs),
    /// List the links of a room that are good
    Invites {
        /// The room: its id or, where it is yours, its name
        room: String,
        #[command(flatten)]
        session: SessionArgs,
    },
    /// Make a link useless
    Revoke {
        /// Its id, as `rooms invites` lists it
        invite: InviteId,
        #[command(flatten)]
        session: SessionArgs,
    },
}

fn capacity(text: &str) -> Result<u16, CapacityError> {
    let capacity = text.parse().map_err(|_| CapacityError)?;
    if (2..=limits::ROOM_CAPACITY_MOST).contains(&capacity) { Ok(capacity) } else { Err(CapacityError) }
}

#[derive(Debug, thiserror::Error)]
#[error("a room holds 2 to {} people", limits::ROOM_CAPACITY_MOST)]
struct CapacityError;

#[derive(Debug, Args)]
pub(crate) struct RoomCreateArgs {
    /// What it is called
    pub(crate) name: Name,

    /// How many people it holds
    #[arg(long, value_name = "N", default_value_t = limits::ROOM_CAPACITY_DEFAULT, value_parser = capacity)]
    pub(crate) capacity: u16,

    /// People wait until you let them in
    #[arg(long)]
    pub(crate) waiting_room: bool,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct RoomChangeArgs {
    /// The room: its id or, where it is yours, its name
    pub(crate) room: String,

    /// What it is called from now on
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,

    /// How many people it holds
    #[arg(long, value_name = "N", value_parser = capacity)]
    pub(crate) capacity: Option<u16>,

    /// Whether people wait until somebody lets them in
    #[arg(long, value_name = "SWITCH")]
    pub(crate) waiting_room: Option<OnOff>,

    /// Whether nobody new comes in
    #[arg(long, value_name = "SWITCH")]
    pub(crate) locked: Option<OnOff>,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RoomInviteArgs {
    /// The room: its id or, where it is yours, its name
    pub(crate) room: String,

    /// For how many hours the link is good; a week at most
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
    pub(crate) hours: u32,

    /// How many people can use it; as many as the room holds if left out
    #[arg(long, value_name = "N")]
    pub(crate) uses: Option<u32>,

    /// Whoever uses it need not wait to be let in
    #[arg(long)]
    pub(crate) no_waiting: bool,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = JOIN_HELP)]
pub(crate) struct JoinArgs {
    /// The room: its id, its name where it is yours, or an invite link
    pub(crate) room: String,

    /// Come as a guest by this name, without an account; for invite links
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,

    /// Certificate (PEM) of the authority of a guest's server, where the system does not know it
    #[arg(long, value_name = "PATH", requires = "name")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Leave after this time
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

const JOIN_HELP: &str = "\
What you type is said in the room, line by line. What begins with / is a command:
  /who                        who is in the room, and who waits
  /mute, /unmute              say that your microphone is off, or on
  /hand, /lower               raise your hand, lower it
  /admit NAME, /deny NAME     let someone in who waits, or turn them away
  /mute NAME, /remove NAME    ask someone to mute themselves, remove someone
  /moderator NAME, /member NAME   make someone a moderator, or no longer
  /lock, /unlock              keep new people out, or not
  /leave                      leave the room (as Ctrl-D and Ctrl-C do)

Exit codes:
  0  you were in the room and left it
  1  you were not let in, or were removed
  2  the command line can't be understood
  3  nothing could be done: no server, not signed in
  130  ended by Ctrl-C";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ChatArgs {
    /// The room: its id or, where it is yours, its name
    pub(crate) room: String,

    /// What to say
    pub(crate) text: ChatText,

    /// How long to wait to be let in
    #[arg(long, value_name = "N", default_value = "30", value_parser = seconds)]
    pub(crate) seconds: f64,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct MessageArgs {
    /// Whom to write to; they need not be online
    pub(crate) handle: Handle,

    /// What to write
    pub(crate) text: ChatText,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct MessagesArgs {
    /// Whose messages to show; everybody one has written with if left out
    pub(crate) handle: Option<Handle>,

    /// How many messages to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) last: u32,

    /// Do not tell them that their messages were read
    #[arg(long)]
    pub(crate) peek: bool,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct CallsArgs {
    /// How many calls to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) last: u32,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct WatchArgs {
    /// Stop after this time
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}
