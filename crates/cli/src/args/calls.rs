//! Calls with other people.

use std::net::IpAddr;
use std::path::PathBuf;

use ahoy_client::settings::SavePower;
use ahoy_client::{AudioSinkSpec, AudioSourceSpec, VideoSourceSpec};
use ahoy_media_types::Bitrate;
use ahoy_signal::{Handle, Name};
use clap::{Args, ValueEnum};

use super::{Choice, EXIT_CODES, PictureArgs, SessionArgs, audio_source, bitrate, seconds, video_source};

/// What is sent in a call, and where what comes goes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Picture and sound")]
pub(crate) struct TalkArgs {
    #[arg(long, help = "Where pictures come from: camera[:ID], pattern, file:PATH.y4m, blank, or none for a call without", default_value = "camera", value_name = "SOURCE", value_parser = video_source)]
    pub(crate) video: Choice<VideoSourceSpec>,

    #[command(flatten)]
    pub(crate) picture: PictureArgs,

    #[arg(long, help = "Where sound comes from: mic[:ID], chirps, tone, file:PATH.wav or none", default_value = "mic", value_name = "SOURCE", value_parser = audio_source)]
    pub(crate) audio: Choice<AudioSourceSpec>,

    /// Where the received sound goes: default, speaker:ID, null or file:PATH.wav
    #[arg(long, default_value = "default", value_name = "SINK")]
    pub(crate) speaker: AudioSinkSpec,

    /// Record what came: PATH.y4m pictures, PATH.wav sound, any other PATH both, as PATH.y4m and PATH.wav
    #[arg(long, value_name = "PATH")]
    pub(crate) record: Option<PathBuf>,

    /// Video bitrate in kbit/s
    #[arg(long, default_value = "1500", value_name = "KBPS", value_parser = bitrate)]
    pub(crate) bitrate: Bitrate,

    /// When pictures are smaller and fewer to save power
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    pub(crate) save_power: PowerChoice,

    /// Hang up after this time, counted from when the two are connected
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,

    /// Use only this address of this machine for the call; may be given several times
    #[arg(long, value_name = "IP")]
    pub(crate) bind: Vec<IpAddr>,

    /// Go through a relay, so that the other side learns no address of this machine
    #[arg(long)]
    pub(crate) relay_only: bool,

    /// Print the figures of the call twice a second; with --json only
    #[arg(long)]
    pub(crate) stats: bool,
}

/// When power is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PowerChoice {
    /// While the system is set to, the battery is nearly empty, or the machine is hot
    Auto,
    /// From the first picture to the last
    Always,
    /// Whatever the machine says
    Never,
}

impl From<PowerChoice> for SavePower {
    fn from(choice: PowerChoice) -> Self {
        match choice {
            PowerChoice::Auto => Self::Auto,
            PowerChoice::Always => Self::Always,
            PowerChoice::Never => Self::Never,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = CALL_HELP)]
pub(crate) struct CallArgs {
    /// Whom: the handle of one of your contacts; or where: the id of a room, or an invite link
    #[arg(required_unless_present = "print_schema")]
    pub(crate) whom: Option<String>,

    /// Come as a guest by this name, without an account; for invite links
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,

    /// Certificate (PEM) of the authority of a guest's server, where the system does not know it
    #[arg(long, value_name = "PATH", requires = "name")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Print the JSON Schema of the report that ends a call, and make no call
    #[arg(long)]
    pub(crate) print_schema: bool,

    #[command(flatten)]
    pub(crate) talk: TalkArgs,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = ANSWER_HELP)]
pub(crate) struct AnswerArgs {
    /// Take calls without asking
    #[arg(long)]
    pub(crate) auto: bool,

    /// Only calls of this contact; others are left to your other devices
    #[arg(long, value_name = "HANDLE")]
    pub(crate) from: Option<Handle>,

    /// Go on waiting after a call
    #[arg(long)]
    pub(crate) keep: bool,

    /// Give up if nobody calls within this time
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) wait: Option<f64>,

    #[command(flatten)]
    pub(crate) talk: TalkArgs,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct HangUpArgs {
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

const CALL_HELP: &str = "\
In the call, type:
  m   mute or unmute yourself        c   turn the camera off or on
  h   hold the call, or go on        q   hang up (as Ctrl-C does)
In a room, whatever else you type is said in its chat; /help shows the room's commands, /admit NAME among them.

Examples:
  ahoy-cli call grace                                     with your camera, microphone and speaker
  ahoy-cli call grace --video none                        with sound only
  ahoy-cli call grace --video pattern --audio chirps --speaker null --seconds 10 --json    without devices
  ahoy-cli call 'https://call.example.org/join/r_70sa…#eyJ0…' --name Charles    as a guest with an invite link

Exit codes:
  0  there was a call, and it ended as it should
  1  there was none (declined, busy, no answer), or it broke off; the last line says which
  2  the command line can't be understood
  3  nothing could be done: no server, not signed in, no such contact
  130  ended by Ctrl-C before anybody answered";

const ANSWER_HELP: &str = "\
Without --auto you are asked whether to take a call. In the call, type m, c, h or q as in `ahoy-cli call`.

Examples:
  ahoy-cli answer                                         asks, then takes the call with your devices
  ahoy-cli answer --auto --keep --video file:clip.y4m     an answering machine with a film

Exit codes:
  0  there was a call, and it ended as it should
  1  there was none, or it broke off
  2  the command line can't be understood
  3  nothing could be done: no server, not signed in
  130  ended by Ctrl-C while waiting";
