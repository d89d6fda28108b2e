//! The command line: what can be asked for, with help written for someone who has never used it.

mod calls;
mod doctor;
mod files;
mod people;
mod sign_in;

use std::path::PathBuf;

use ahoy_client::{AudioSinkSpec, AudioSourceSpec, Thresholds, VideoSourceSpec};
use ahoy_media_types::{Bitrate, FrameRate, FrameSize};
use clap::{ArgAction, Args, Parser, Subcommand};

pub(crate) use self::calls::{AnswerArgs, CallArgs, HangUpArgs, TalkArgs};
pub(crate) use self::doctor::DoctorArgs;
pub(crate) use self::files::{ReceiveArgs, SendArgs, WayArgs};
pub(crate) use self::people::{
    CallsArgs, ChatArgs, ContactsArgs, ContactsCommand, JoinArgs, MessageArgs, MessagesArgs, OnOff,
    RoomChangeArgs, RoomCreateArgs, RoomInviteArgs, RoomsArgs, RoomsCommand, WatchArgs,
};
pub(crate) use self::sign_in::{
    AccountArgs, AccountCommand, ServerArgs, SessionArgs, SignInArgs, SignOutArgs, SignUpArgs,
};

/// Exit codes, shown at the end of `--help` and in docs/loopback.md.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; for a loopback call: the call was good
  1  the call ran but was not good, a device asked for was missing, or the server refused
  2  the command line can't be understood
  3  nothing could be done: no connection, no port, no device, or a file that can't be used
  130  ended by Ctrl-C";

/// Ahoy on the command line: people, rooms and chat, test calls, capture and devices, without a window.
#[derive(Debug, Parser)]
#[command(name = "ahoy-cli", version, about, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Cli {
    /// What to log to standard error: error, warn, info, debug, trace, or by part, such as ahoy_rtc=debug,warn
    #[arg(long, global = true, default_value = "warn", value_name = "FILTER", env = "AHOY_LOG")]
    pub(crate) log: String,

    /// Don't keep a log file
    #[arg(long, global = true)]
    pub(crate) no_log_file: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List cameras, microphones and speakers
    Devices(DevicesArgs),
    /// Save raw pictures and sound from a device, as they would go into a call
    Capture(CaptureArgs),
    /// Call yourself on this machine and report how good the call was
    Loopback(Box<LoopbackArgs>),
    /// Make an account on a server, and sign in
    SignUp(SignUpArgs),
    /// Sign in, and stay signed in on this machine
    SignIn(SignInArgs),
    /// Sign out on this machine
    SignOut(SignOutArgs),
    /// Look after your account: devices, password, recovery codes, your data
    Account(AccountArgs),
    /// List, add, remove and block contacts
    Contacts(ContactsArgs),
    /// List, make, change and delete rooms, and invite people to them
    Rooms(RoomsArgs),
    /// Enter a room: see who is there, read and write chat
    Join(JoinArgs),
    /// Say one line in a room
    Chat(ChatArgs),
    /// Write to a contact, who need not be online
    Message(MessageArgs),
    /// Show what you and your contacts have written
    Messages(MessagesArgs),
    /// Show your latest calls
    Calls(CallsArgs),
    /// Watch your contacts come and go, and calls and messages come in
    Watch(WatchArgs),
    /// Call a contact
    Call(Box<CallArgs>),
    /// Wait for a call, and take it
    Answer(Box<AnswerArgs>),
    /// Send files and folders to a contact
    Send(SendArgs),
    /// Wait for files of your contacts, and take them
    Receive(ReceiveArgs),
    /// Find out what keeps calls from connecting, and what to do about it
    Doctor(DoctorArgs),
    /// Hang up the call that another ahoy-cli of yours is in
    HangUp(HangUpArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where pictures come from, and how they should be.
#[derive(Clone, Debug, Args)]
pub(crate) struct PictureArgs {
    /// Width and height of the pictures, such as 1280x720
    #[arg(long, default_value = "1280x720", value_name = "WxH")]
    pub(crate) size: FrameSize,

    /// Frames per second
    #[arg(long, default_value = "30", value_name = "N", value_parser = frame_rate)]
    pub(crate) fps: FrameRate,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct CaptureArgs {
    #[arg(long, help = "Where pictures come from: camera[:ID], pattern, file:PATH.y4m, blank or none", default_value = "camera", value_name = "SOURCE", value_parser = video_source)]
    pub(crate) video: Choice<VideoSourceSpec>,

    #[arg(long, help = "Where sound comes from: mic[:ID], tone, chirps, file:PATH.wav or none", default_value = "mic", value_name = "SOURCE", value_parser = audio_source)]
    pub(crate) audio: Choice<AudioSourceSpec>,

    #[command(flatten)]
    pub(crate) picture: PictureArgs,

    /// How long to capture
    #[arg(long, default_value = "5", value_name = "N", value_parser = seconds)]
    pub(crate) seconds: f64,

    /// File for the pictures (YUV4MPEG2, opens in ffplay and mpv)
    #[arg(long, default_value = "capture.y4m", value_name = "PATH")]
    pub(crate) video_out: PathBuf,

    /// File for the sound (48 kHz mono WAV)
    #[arg(long, default_value = "capture.wav", value_name = "PATH")]
    pub(crate) audio_out: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = LOOPBACK_HELP, args_override_self = true)]
pub(crate) struct LoopbackArgs {
    /// How long the call lasts
    #[arg(long, default_value = "10", value_name = "N", value_parser = seconds)]
    pub(crate) seconds: f64,

    #[arg(long, help = "Where pictures come from: camera[:ID], pattern, file:PATH.y4m, blank or none", default_value = "pattern", value_name = "SOURCE", value_parser = video_source)]
    pub(crate) video: Choice<VideoSourceSpec>,

    #[command(flatten)]
    pub(crate) picture: PictureArgs,

    #[arg(long, help = "Where sound comes from: mic[:ID], chirps, tone, file:PATH.wav or none", default_value = "chirps", value_name = "SOURCE", value_parser = audio_source)]
    pub(crate) audio: Choice<AudioSourceSpec>,

    /// Where the received sound goes: default, speaker:ID, null or file:PATH.wav
    #[arg(long, default_value = "null", value_name = "SINK")]
    pub(crate) speaker: AudioSinkSpec,

    /// Record what was rendered: PATH.y4m pictures, PATH.wav sound, any other PATH both, as PATH.y4m and PATH.wav
    #[arg(long, value_name = "PATH")]
    pub(crate) record: Option<PathBuf>,

    /// Video bitrate in kbit/s
    #[arg(long, default_value = "1500", value_name = "KBPS", value_parser = bitrate)]
    pub(crate) bitrate: Bitrate,

    /// Milliseconds of sound in a packet: 20, or 10 for less delay and more overhead
    #[arg(long, default_value = "20", value_name = "MS", value_parser = ["10", "20"])]
    pub(crate) audio_packet: String,

    /// Print the report as one line of JSON (its schema: --print-schema)
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the JSON Schema of the report and make no call
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) print_schema: bool,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

const LOOPBACK_HELP: &str = "\
Examples:
  ahoy-cli loopback                                            test pattern and chirps, no devices needed
  ahoy-cli loopback --video camera --audio mic --speaker default   your own devices (wear headphones)
  ahoy-cli loopback --video file:clip.y4m --audio none --record out --json

Exit codes:
  0  the call was good
  1  the call ran but was not good, or a device asked for was missing; the report says what
  2  the command line can't be understood
  3  there was no call: no connection, no port, or a file that can't be used
  130  ended by Ctrl-C";

/// What counts as a good call.
#[derive(Debug, Args)]
#[command(next_help_heading = "What counts as a good call")]
pub(crate) struct LimitArgs {
    /// Share of sent frames that must be shown
    #[arg(long, value_name = "0..1", default_value_t = Thresholds::default().min_delivered_ratio)]
    min_delivered: f64,
    /// Share of the frame rate asked for that must be reached
    #[arg(long, value_name = "0..1", default_value_t = Thresholds::default().min_fps_ratio)]
    min_fps_ratio: f64,
    /// Freezes allowed
    #[arg(long, value_name = "N", default_value_t = Thresholds::default().max_freezes)]
    max_freezes: u64,
    /// Least PSNR of the picture in dB
    #[arg(long, value_name = "DB", default_value_t = Thresholds::default().min_psnr_db)]
    min_psnr: f64,
    /// Largest 95th percentile of the time from capture to screen in ms
    #[arg(long, value_name = "MS", default_value_t = Thresholds::default().max_latency_p95_ms)]
    max_latency: f64,
    /// Largest share of sound made up for missing packets
    #[arg(long, value_name = "0..1", default_value_t = Thresholds::default().max_concealed_ratio)]
    max_concealed: f64,
    /// Largest 95th percentile of the time between sound and picture in ms
    #[arg(long, value_name = "MS", default_value_t = Thresholds::default().max_av_offset_p95_ms)]
    max_av_offset: f64,
    /// Longest time until the first frame in ms
    #[arg(long, value_name = "MS", default_value_t = Thresholds::default().max_setup_ms)]
    max_setup: f64,
}

impl LimitArgs {
    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds {
            min_delivered_ratio: self.min_delivered,
            min_fps_ratio: self.min_fps_ratio,
            max_freezes: self.max_freezes,
            min_psnr_db: self.min_psnr,
            max_latency_p95_ms: self.max_latency,
            max_concealed_ratio: self.max_concealed,
            max_av_offset_p95_ms: self.max_av_offset,
            max_setup_ms: self.max_setup,
        }
    }
}

/// A source, or the wish to do without.
#[derive(Clone, Debug)]
pub(crate) enum Choice<T> {
    None,
    Some(T),
}

impl<T> Choice<T> {
    pub(crate) fn is_some(&self) -> bool {
        matches!(self, Choice::Some(_))
    }

    pub(crate) fn into_option(self) -> Option<T> {
        match self {
            Choice::None => None,
            Choice::Some(value) => Some(value),
        }
    }
}

fn video_source(text: &str) -> Result<Choice<VideoSourceSpec>, <VideoSourceSpec as std::str::FromStr>::Err> {
    if text == "none" { Ok(Choice::None) } else { text.parse().map(Choice::Some) }
}

fn audio_source(text: &str) -> Result<Choice<AudioSourceSpec>, <AudioSourceSpec as std::str::FromStr>::Err> {
    if text == "none" { Ok(Choice::None) } else { text.parse().map(Choice::Some) }
}

fn frame_rate(text: &str) -> Result<FrameRate, ahoy_media_types::UnitError> {
    let syntax = || ahoy_media_types::UnitError::Syntax {
        text: text.to_owned(),
        expected: "a number of frames per second such as 30",
    };
    FrameRate::from_fps(text.parse().map_err(|_| syntax())?)
}

fn bitrate(text: &str) -> Result<Bitrate, ahoy_media_types::UnitError> {
    let syntax = || ahoy_media_types::UnitError::Syntax {
        text: text.to_owned(),
        expected: "a number of kilobits per second such as 1500",
    };
    Bitrate::from_kbps(text.parse().map_err(|_| syntax())?)
}

/// A day: longer calls are welcome, but a typing error should not run for weeks.
const MAX_SECONDS: f64 = 86_400.0;

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a number of seconds from 0.5 to 86400")]
pub(crate) struct SecondsError(String);

pub(crate) fn seconds(text: &str) -> Result<f64, SecondsError> {
    let wrong = || SecondsError(text.to_owned());
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if (0.5..=MAX_SECONDS).contains(&seconds) { Ok(seconds) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn refused(args: &[&str]) -> String {
        Cli::try_parse_from(args).unwrap_err().to_string()
    }

    #[test]
    fn bad_values_are_refused_with_what_to_write_instead() {
        assert!(refused(&["ahoy-cli", "loopback", "--fps", "0"]).contains("1 to 120"));
        assert!(refused(&["ahoy-cli", "loopback", "--size", "7680x4320"]).contains("4096 by 2304"));
        assert!(refused(&["ahoy-cli", "loopback", "--seconds", "nan"]).contains("0.5 to 86400"));
        assert!(refused(&["ahoy-cli", "loopback", "--bitrate", "x"]).contains("1500"));
        assert!(refused(&["ahoy-cli", "loopback", "--video", "webcam"]).contains("camera"));
        assert!(refused(&["ahoy-cli", "call", "grace", "--save-power", "no"]).contains("never"));
    }
}
