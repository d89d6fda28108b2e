//! What the desk does not do, and the code that the window knows it by.

use ahoy_signal::{ErrorCode, Refusal, TextError};

use super::SpeakerError;
use crate::account::{AccountError, AddressError, ReachError};
use crate::calls::CommandError;
use crate::history::HistoryError;
use crate::problem::{Problem, ProblemCode};
use crate::settings::SettingsError;
use crate::signaling::{RequestError, SignalingError};
use crate::transfers::{DiskError, NoTransfer, ScanError};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Settings were not changed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The speaker can't be heard.
    #[error(transparent)]
    Speaker(#[from] SpeakerError),
    /// There is a call already.
    #[error("a test call is running: hang it up first")]
    Busy,
    /// There is no call.
    #[error("there is no call: start one first")]
    NoCall,
    /// Nobody is signed in.
    #[error("you are not signed in: sign in first")]
    NotSignedIn,
    /// What was written can't be read or kept on this machine.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Nobody is signed in, or the history could not be opened, which was told then.
    #[error("there is no history of messages and calls here: sign in first")]
    NoHistory,
    /// A window names somebody of whom nothing is known.
    #[error("nothing is known of this person here")]
    NoSuchPerson,
    /// A window names a message that there is not.
    #[error("there is no such message")]
    NoSuchMessage,
    /// Transfers can't be remembered.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// They could not be, which was told then.
    #[error("files can't be sent or taken: what goes on with them can't be remembered on this computer")]
    NoFiles,
    /// A window names a transfer that there is not.
    #[error(transparent)]
    NoTransfer(#[from] NoTransfer),
    /// Nothing was picked that could be sent.
    #[error("no files were picked: pick some first")]
    NothingPicked,
    /// What was picked can't be sent.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Nobody has said where files go.
    #[error("this system has no folder for downloads: choose one in the settings")]
    NoFolder,
    /// What was typed is no handle, name or password.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Signing in or out did not work.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The server did not do something.
    #[error(transparent)]
    Signaling(#[from] SignalingError),
    /// This computer can't host a call.
    #[error(transparent)]
    Host(#[from] crate::host::HostError),
    /// A call has it that way.
    #[error(transparent)]
    Call(#[from] CommandError),
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let code = match &error {
            DeskError::Settings(SettingsError::Name) => ProblemCode::NameRefused,
            DeskError::Settings(SettingsError::Write { .. }) => ProblemCode::SettingsNotKept,
            DeskError::Speaker(SpeakerError::Device(error)) => return Self::speaker(error),
            DeskError::Speaker(SpeakerError::Gone) => ProblemCode::SpeakerUnusable,
            DeskError::Busy => ProblemCode::CallRunning,
            DeskError::NoCall | DeskError::Call(CommandError::NoCall | CommandError::NotRinging) => {
                ProblemCode::NoCall
            }
            DeskError::Call(CommandError::InCall) => ProblemCode::CallRunning,
            DeskError::NotSignedIn | DeskError::NoHistory => ProblemCode::NotSignedIn,
            DeskError::History(_) => ProblemCode::HistoryUnusable,
            DeskError::NoSuchPerson => ProblemCode::NobodyFound,
            DeskError::NoSuchMessage => ProblemCode::HistoryUnusable,
            DeskError::Disk(_) | DeskError::NoFiles => ProblemCode::TransfersUnusable,
            DeskError::NoTransfer(_) => ProblemCode::NoTransfer,
            DeskError::NothingPicked => ProblemCode::NothingPicked,
            DeskError::Scan(ScanError::Manifest(_)) => ProblemCode::TooManyFiles,
            DeskError::Scan(ScanError::Nothing(_) | ScanError::CalledOff) => ProblemCode::NothingToSend,
            DeskError::NoFolder => ProblemCode::FolderMissing,
            DeskError::Text(error) => text_code(error),
            DeskError::Account(error) => account_code(error),
            DeskError::Host(crate::host::HostError::Nearby(_)) => ProblemCode::NetworkUnasked,
            DeskError::Host(_) => ProblemCode::HostUnusable,
            DeskError::Signaling(error) => signaling_code(error),
        };
        Self::new(code, error.to_string())
    }
}

fn text_code(error: &TextError) -> ProblemCode {
    match error {
        TextError::Handle => ProblemCode::HandleRefused,
        TextError::Password => ProblemCode::PasswordRefused,
        TextError::Chat => ProblemCode::MessageRefused,
        TextError::Name
        | TextError::Sdp
        | TextError::Candidate
        | TextError::IceGeneration
        | TextError::IceUrl
        | TextError::IceSecret
        | TextError::Secret => ProblemCode::NameRefused,
    }
}

fn refusal_code(refusal: &Refusal) -> ProblemCode {
    match refusal.code {
        ErrorCode::WrongCredentials => ProblemCode::WrongCredentials,
        ErrorCode::HandleTaken => ProblemCode::HandleTaken,
        ErrorCode::SignUpClosed => ProblemCode::SignUpClosed,
        ErrorCode::RateLimited | ErrorCode::TooMany => ProblemCode::TooOften,
        ErrorCode::NoSuchUser => ProblemCode::NobodyFound,
        ErrorCode::InviteInvalid => ProblemCode::InviteInvalid,
        ErrorCode::RoomFull => ProblemCode::RoomFull,
        ErrorCode::RoomLocked => ProblemCode::RoomLocked,
        _ => ProblemCode::ServerRefused,
    }
}

fn account_code(error: &AccountError) -> ProblemCode {
    match error {
        AccountError::NotSignedIn { .. } | AccountError::SignedOut { .. } => ProblemCode::NotSignedIn,
        AccountError::Address(AddressError::Link) => ProblemCode::LinkRefused,
        AccountError::Address(_) => ProblemCode::AddressRefused,
        AccountError::Reach(ReachError::Refused(refusal)) => refusal_code(refusal),
        AccountError::Reach(_) | AccountError::Trust(_) | AccountError::Garbled => {
            ProblemCode::ServerUnreachable
        }
        AccountError::Secret(_) | AccountError::Book(_) | AccountError::Vault(_) => {
            ProblemCode::SignInNotKept
        }
    }
}

fn signaling_code(error: &SignalingError) -> ProblemCode {
    match error {
        SignalingError::Account(error) => account_code(error),
        SignalingError::NoSuchContact { .. } => ProblemCode::NobodyFound,
        SignalingError::Request(RequestError::Refused(refusal)) => refusal_code(refusal),
        SignalingError::Trust(_)
        | SignalingError::GaveUp(_)
        | SignalingError::Ended(_)
        | SignalingError::Request(_)
        | SignalingError::Garbled => ProblemCode::ServerUnreachable,
    }
}
